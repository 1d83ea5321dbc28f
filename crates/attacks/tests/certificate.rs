//! Attacks on a whole certificate.

use veritune_attacks::certificate::TinyCertificate;
use veritune_attacks::run::{adamw, monotonous};

#[test]
fn honest_certificates_verify() {
    for spec in [adamw(2), monotonous(3)] {
        let certificate = TinyCertificate::new(spec);
        let folder = tempfile::tempdir().expect("a folder");
        certificate.publish(&certificate.parts, folder.path()).expect("published");
        let report = certificate.verify(folder.path());
        assert_eq!(report.exit, 0, "{} {} {}", report.code, report.location, report.message);
    }
}
