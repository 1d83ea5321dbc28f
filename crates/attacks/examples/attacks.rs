//! Writes `docs/spec/attacks.md`.

fn main() -> std::io::Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/spec/attacks.md");
    std::fs::write(path, veritune_attacks::table::document())
}
