//! Prints the parameters and the ledger of an opening as JSON.
//!
//! `cargo run -p veritune-commit --example ledger -- [log_rows] [num_trees] [max_log_columns]
//! [log_inverse_rate]`; without arguments 18, 4, 6, 1. `scripts/soundness_recheck.py` reads the output.

use veritune_commit::{MAX_PROOFS, Profile, TERM_BITS};

fn main() {
    let arguments: Vec<u32> = std::env::args().skip(1).map(|a| a.parse().expect("a small integer")).collect();
    let argument = |i: usize, default: u32| arguments.get(i).copied().unwrap_or(default);
    let profile = Profile::with_parameters(argument(0, 18), argument(3, 1), TERM_BITS, MAX_PROOFS)
        .expect("a profile that reaches the target");
    println!("{}", profile.ledger_json(argument(1, 4) as usize, argument(2, 6)));
}
