//! A panic ends as a verdict, and nothing that is known gets there.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use veritune_attacks::tamper::{CHANGES, changed};
use veritune_cli_verify::run;
use veritune_fuzz::certificate::{honest, published, replacing, seeds};
use veritune_mutation::{Field, without};
use veritune_verifier::last_resort::caught;
use veritune_verifier::request::{Request, verify};

/// Exit code and texts of `veritune-verify` for a request.
fn said(path: &Path, request: &Request) -> (u8, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut words: Vec<OsString> = vec![path.into()];
    for (number, key) in request.keys.iter().enumerate() {
        let file = folder.path().join(format!("{number}.pem"));
        fs::write(&file, key).expect("written");
        words.extend(["--key".into(), file.into()]);
    }
    words.extend(request.any_signer.then(|| "--any-signer".into()));
    words.extend(request.no_file.then(|| "--no-file".into()));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(words.into_iter(), &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (exit, text(out), text(err))
}

#[test]
fn a_panic_is_exit_4_and_tells_its_place_only() {
    published(&[0, 0], |path, request| {
        assert_eq!(said(path, request).0, 0);
        let (exit, out, err) = without(&["stop"], || said(path, request));
        assert_eq!(exit, 4);
        let verdict: serde_json::Value = serde_json::from_str(&out).expect("a verdict");
        assert_eq!((&verdict["exit"], &verdict["code"]), (&4.into(), &"VT-RUN-016".into()));
        let location = verdict["location"].as_str().expect("a place");
        assert!(location.contains("request.rs:"), "{location}");
        assert_eq!(
            err,
            format!(
                "internal error: VT-RUN-016 at {location}: expected a verdict, got a bug of ours, please report it\n"
            )
        );
        // The text of the panic could hold anything.
        assert!(!out.contains("a test stops") && !err.contains("a test stops"));

        let stopped = without(&["stop"], || caught(|| verify(path, request))).expect_err("a panic");
        assert_eq!((stopped.location(), stopped.report().exit), (location, 4));
        assert!(stopped.report().claims.is_empty());
    });
}

#[test]
fn no_known_certificate_reaches_it() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/certificate");
    let kept = fs::read_dir(corpus)
        .expect("the folder of the target")
        .map(|entry| fs::read(entry.expect("an entry").path()).expect("an input"));
    let exits = seeds().into_iter().chain(kept).map(|input| published(&input, said).0);
    let exits: Vec<u8> = exits.collect();
    assert!(exits.contains(&0) && exits.contains(&1) && exits.iter().all(|&exit| exit < 4), "{exits:?}");
}

/// Every change of the tamper manifest, at places spread over every file that a maker signs.
#[test]
fn no_tampered_file_reaches_it() {
    for (position, (path, file)) in (0..).zip(honest()) {
        let fields: Vec<Field> =
            (0..file.len() / 24).map(|n| Field { name: "word".to_owned(), offset: 24 * n, len: 24 }).collect();
        for (place, change) in (0..).zip(CHANGES) {
            let at = fields.len() * place / CHANGES.len();
            let Some(tampered) = changed(file, &fields, at, change) else { continue };
            let (exit, _, err) = published(&replacing(position, &tampered), said);
            // Who made the index may list what is there; a text of the claims may be another.
            assert!((1..4).contains(&exit), "{path} {change:?} at {at}: exit {exit} {err}");
        }
    }
}
