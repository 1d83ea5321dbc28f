//! Where the prover's scalars go.

use veritune_field::{E, E_BYTES, e_to_bytes};
use veritune_transcript::Transcript;

/// The prover's side of the verifier's context: sends scalars and receives challenges.
pub trait Channel {
    /// Sends a scalar that may depend on the witness.
    fn send(&mut self, label: &'static str, scalar: E);
    /// Sends a scalar in clear.
    fn send_public(&mut self, label: &'static str, scalar: E);
    /// A challenge that depends on everything before.
    fn challenge(&mut self, label: &'static str) -> E;
}

/// Sends scalars as they are.
#[derive(Debug)]
pub struct NativeChannel<'a> {
    /// The transcript.
    pub transcript: &'a mut Transcript,
    /// Canonical bytes of all scalars so far.
    pub scalars: Vec<u8>,
}

impl<'a> NativeChannel<'a> {
    /// A channel into `transcript`.
    pub fn new(transcript: &'a mut Transcript) -> Self {
        Self { transcript, scalars: Vec::with_capacity(1024 * E_BYTES) }
    }
}

impl Channel for NativeChannel<'_> {
    fn send(&mut self, label: &'static str, scalar: E) {
        self.transcript.absorb_e(label, &[scalar]);
        self.scalars.extend_from_slice(&e_to_bytes(scalar));
    }
    fn send_public(&mut self, label: &'static str, scalar: E) {
        self.send(label, scalar);
    }
    fn challenge(&mut self, label: &'static str) -> E {
        self.transcript.challenge_e(label)
    }
}
