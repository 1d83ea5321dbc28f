//! Proves the runs that the targets of proofs change: `make-runs FOLDER`.

use std::path::Path;

fn main() {
    let folder = std::env::args().nth(1).expect("a folder");
    veritune_fuzz::certified::make_runs(Path::new(&folder));
}
