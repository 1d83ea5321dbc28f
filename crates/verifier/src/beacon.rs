//! Statement: the bytes are drand quicknet's signature of one round, and the round is the one that a plan's time fixes.
//!
//! quicknet (chain [`CHAIN_HASH`]) signs SHA-256 of the round's number, eight bytes big-endian, by BLS with signatures
//! on G1 (`bls-unchained-g1-rfc9380`); the round's randomness is SHA-256 of the signature. A round cannot be foreseen by
//! fewer than a threshold of the league's members, and nobody can give it a second signature.
//!
//! Source: drand's specification; the pairing check is the crate `drand-verify`.
//! Soundness: BLS over BLS12-381 (about 120 bits, an assumption), and the league's honest threshold. Neither is in the
//! total of the proofs; [`crate::ledger`] says why.

use drand_verify::{G2PubkeyRfc, Pubkey as _};

/// The chain's hash.
pub const CHAIN_HASH: &str = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971";
/// Seconds since 1970 of round 1.
pub const GENESIS_SECONDS: u64 = 1_692_803_367;
/// Seconds between rounds.
pub const PERIOD_SECONDS: u64 = 3;
/// Seconds from the plan's time to its round, at least: a plan whose time is a third party's is out of its maker's
/// hands well before the round is known.
pub const DELAY_SECONDS: u64 = 30;

/// The chain's public key: a point of G2, compressed.
const PUBLIC_KEY: [u8; 96] = [
    0x83, 0xcf, 0x0f, 0x28, 0x96, 0xad, 0xee, 0x7e, 0xb8, 0xb5, 0xf0, 0x1f, 0xca, 0xd3, 0x91, 0x22, 0x12, 0xc4, 0x37,
    0xe0, 0x07, 0x3e, 0x91, 0x1f, 0xb9, 0x00, 0x22, 0xd3, 0xe7, 0x60, 0x18, 0x3c, 0x8c, 0x4b, 0x45, 0x0b, 0x6a, 0x0a,
    0x6c, 0x3a, 0xc6, 0xa5, 0x77, 0x6a, 0x2d, 0x10, 0x64, 0x51, 0x0d, 0x1f, 0xec, 0x75, 0x8c, 0x92, 0x1c, 0xc2, 0x2b,
    0x0e, 0x17, 0xe6, 0x3a, 0xaf, 0x4b, 0xcb, 0x5e, 0xd6, 0x63, 0x04, 0xde, 0x9c, 0xf8, 0x09, 0xbd, 0x27, 0x4c, 0xa7,
    0x3b, 0xab, 0x4a, 0xf5, 0xa6, 0xe9, 0xc7, 0x6a, 0x4b, 0xc0, 0x9e, 0x76, 0xea, 0xe8, 0x99, 0x1e, 0xf5, 0xec, 0xe4,
    0x5a,
];

/// The round of a plan: the first at or after its time and [`DELAY_SECONDS`]. None before the chain began or out of range.
#[must_use]
pub fn round_of(plan_time: u64) -> Option<u64> {
    let since = plan_time.checked_add(DELAY_SECONDS)?.checked_sub(GENESIS_SECONDS)?;
    since.div_ceil(PERIOD_SECONDS).checked_add(1)
}

/// True iff `signature` is the chain's signature of `round`; the point must be canonical and in the subgroup.
#[must_use]
pub fn is_signature_of(round: u64, signature: &[u8; 48]) -> bool {
    let key = G2PubkeyRfc::from_fixed(PUBLIC_KEY);
    key.is_ok_and(|key| key.verify(round, b"", signature).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds as the chain published them.
    const ROUNDS: [(u64, &str); 2] = [
        (123, "b75c69d0b72a5d906e854e808ba7e2accb1542ac355ae486d591aa9d43765482e26cd02df835d3546d23c4b13e0dfc92"),
        (1000, "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39"),
    ];

    fn bytes(hex: &str) -> [u8; 48] {
        std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
    }

    #[test]
    fn recorded_rounds_are_accepted_and_no_other() {
        for (round, signature) in ROUNDS {
            let signature = bytes(signature);
            assert!(is_signature_of(round, &signature));
            assert!(!is_signature_of(round + 1, &signature));
            for bit in 0..384 {
                let mut forged = signature;
                forged[bit / 8] ^= 1 << (bit % 8);
                assert!(!is_signature_of(round, &forged), "bit {bit}");
            }
        }
        assert!(!is_signature_of(123, &bytes(ROUNDS[1].1)));
        let mut infinity = [0; 48];
        infinity[0] = 0xc0;
        assert!(!is_signature_of(123, &infinity));
        // On the curve and not in the subgroup: x = 4.
        let mut small = [0; 48];
        (small[0], small[47]) = (0x80, 4);
        assert!(!is_signature_of(123, &small));
    }

    #[test]
    fn the_round_follows_from_the_time() {
        let first = GENESIS_SECONDS - DELAY_SECONDS;
        assert_eq!(round_of(first), Some(1));
        assert_eq!(round_of(first + 1), Some(2));
        assert_eq!(round_of(first + 3), Some(2));
        assert_eq!(round_of(first + 4), Some(3));
        assert_eq!(round_of(first - 1), None);
        assert_eq!(round_of(u64::MAX), None);
    }
}
