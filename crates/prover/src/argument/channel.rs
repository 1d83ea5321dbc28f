//! Where the prover's scalars go.

use super::pads::Pads;
use veritune_argument::{ArgumentError, Arithmetic, Labels, Wiring};
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

/// The prover's arithmetic on its own scalars: what is multiplied once more is sent.
pub(super) struct Own<'a, C: Channel>(pub(super) &'a mut C);

impl<C: Channel> Arithmetic for Own<'_, C> {
    type Sent = E;
    type Scalar = E;

    fn mul(&mut self, a: E, b: E) -> E {
        a * b
    }
    fn hold(&mut self, label: &'static str, value: E) -> Result<E, ArgumentError> {
        self.0.send(label, value);
        Ok(value)
    }
}

/// Sends scalars behind their pads.
pub struct MaskedChannel<'a> {
    /// The transcript.
    pub transcript: &'a mut Transcript,
    /// Canonical bytes of all scalars so far.
    pub scalars: Vec<u8>,
    wiring: &'a Wiring,
    pads: &'a Pads,
    next_pad: usize,
}

impl<'a> MaskedChannel<'a> {
    /// A channel into `transcript`; `pads` are those of the committed vector.
    pub fn new(transcript: &'a mut Transcript, wiring: &'a Wiring, pads: &'a Pads) -> Self {
        let scalars = Vec::with_capacity(wiring.num_masked_scalars() * E_BYTES);
        Self { transcript, scalars, wiring, pads, next_pad: 0 }
    }

    /// Sends what checks the products of pads; returns all scalars.
    pub fn finish(mut self) -> Vec<u8> {
        let z = self.challenge(Labels::PRODUCT_POINT);
        self.send_public(Labels::PRODUCT_LEFT, self.pads.left_at(self.wiring, z));
        self.scalars
    }
}

impl Channel for MaskedChannel<'_> {
    fn send(&mut self, label: &'static str, scalar: E) {
        let pad = self.pads.pad(self.next_pad);
        self.next_pad += 1;
        self.send_public(label, scalar + pad);
    }
    fn send_public(&mut self, label: &'static str, scalar: E) {
        self.transcript.absorb_e(label, &[scalar]);
        self.scalars.extend_from_slice(&e_to_bytes(scalar));
    }
    fn challenge(&mut self, label: &'static str) -> E {
        self.transcript.challenge_e(label)
    }
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
