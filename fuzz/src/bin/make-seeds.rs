//! Writes the inputs from which the fuzzer of a target begins: `make-seeds FOLDER`, in a folder of each target's name.

use std::fs;
use std::path::Path;

fn main() {
    let folder = std::env::args().nth(1).expect("a folder");
    for target in veritune_fuzz::TARGETS {
        let own = Path::new(&folder).join(target.name);
        fs::create_dir_all(&own).expect("a folder");
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(own.join(format!("seed-{number:02}")), seed).expect("written");
        }
    }
}
