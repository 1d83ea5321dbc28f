//! Writes `docs/spec/attacks.md` and `docs/spec/step-checks.md`.

fn main() -> std::io::Result<()> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/spec");
    std::fs::write(format!("{folder}/attacks.md"), veritune_attacks::table::document())?;
    std::fs::write(format!("{folder}/step-checks.md"), veritune_attacks::table::step_checks_document())
}
