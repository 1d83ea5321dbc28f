//! The proof of the release beside a hidden adapter.
//!
//! A certificate of a hidden adapter has neither the digest of the adapter's file nor the proof of the release: either would
//! tell whoever guesses an adapter whether it is the one. Who is given the adapter is given the proof with it, in
//! [`ADAPTER_RELEASE`]. Nobody signs that file, and nobody needs to: its transcript absorbs the run and the digest of the adapter's file,
//! and it opens the last state, whose root is signed. So whoever makes another proof that verifies has shown the same thing.

use crate::certificate::MAX_PROOF_BYTES;
use crate::codes::{PROOF_EXTRA, RELEASE_MISSING};
use std::path::Path;
use veritune_envelope::Refusal;
use veritune_envelope::directory::{self, ADAPTER_RELEASE, Listing};
use veritune_envelope::statement::{ClaimsV1, ProofKind};

/// The bytes of the proof if the adapter's files are there; accepts iff the proof is there with them, and the claims list none.
pub(crate) fn beside_adapter(
    claimed: &ClaimsV1,
    adapter: Option<(&Path, &Listing)>,
) -> Result<Option<Vec<u8>>, Refusal> {
    if let Some(file) = claimed.proofs.iter().find(|proof| proof.kind == ProofKind::Release) {
        Refusal::new(PROOF_EXTRA, &file.name, "no proof of the release: the adapter is hidden", "one").raise()?;
    }
    let Some((folder, listing)) = adapter else { return Ok(None) };
    if listing.size(ADAPTER_RELEASE).is_none() {
        Refusal::new(RELEASE_MISSING, ADAPTER_RELEASE, "the proof of the release beside the adapter", "none")
            .raise()?;
        return Ok(None);
    }
    directory::read_file(folder, ADAPTER_RELEASE, MAX_PROOF_BYTES).map(Some)
}
