//! What a crash or a spoilt folder leaves, and the codes with which a run is refused.

use std::fs;
use std::path::PathBuf;
use veritune_envelope::{Refusal, Verdict};
use veritune_executor::ExecuteError;
use veritune_relations::Range;
use veritune_run::RunError;
use veritune_run::store::{Store, write_whole};

fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("faults").join(name);
    let _ = fs::remove_dir_all(&path);
    path
}

fn file_error<T: std::fmt::Debug>(result: Result<T, RunError>, name: &str, word: &str) {
    match result.unwrap_err() {
        RunError::File { path, reason } => {
            assert!(path.ends_with(name), "{}", path.display());
            assert!(reason.contains(word), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_crash_left_half_written_is_removed_when_the_run_is_opened() {
    let root = folder("partial");
    let store = Store::open(&root).unwrap();
    store.save_state(0, &[&[1, 2, 3]]).unwrap();
    store.save_root(0, &[7; 32]).unwrap();
    let left = ["openings.json", "steps/000001.state", "secret/run.key", "certificate/proofs/step-000001.bin"];
    for name in left.map(|name| format!("{name}.partial")) {
        fs::write(root.join(name), b"half").unwrap();
    }
    let store = Store::open(&root).unwrap();
    assert!(left.iter().all(|name| !root.join(format!("{name}.partial")).exists()));
    assert_eq!((store.last_step().unwrap(), store.root(0).unwrap()), (Some(0), [7; 32]));
    assert_eq!(**store.load_state(0, &[3]).unwrap()[0], [1, 2, 3]);
}

#[test]
fn a_state_without_its_root_is_no_finished_step() {
    let store = Store::open(&folder("state")).unwrap();
    assert_eq!(store.last_step().unwrap(), None);
    store.save_state(0, &[&[1]]).unwrap();
    assert_eq!(store.last_step().unwrap(), None);
    store.save_root(0, &[0; 32]).unwrap();
    store.save_state(1, &[&[1]]).unwrap();
    assert_eq!(store.last_step().unwrap(), Some(0));
}

#[test]
fn a_failed_write_keeps_the_old_file_and_leaves_no_other() {
    let root = folder("write");
    fs::create_dir_all(root.join("taken.partial")).unwrap();
    fs::write(root.join("taken"), b"old").unwrap();
    file_error(write_whole(&root.join("taken"), b"new", false), "taken", "directory");
    assert_eq!(fs::read(root.join("taken")).unwrap(), b"old");
}

#[test]
fn a_lost_secret_or_record_of_openings_is_not_made_anew() {
    let root = folder("lost");
    let store = Store::open(&root).unwrap();
    let secret = store.secret().unwrap();
    assert_eq!(store.secret().unwrap(), secret);
    store.save_state(0, &[&[1]]).unwrap();
    store.save_root(0, &[0; 32]).unwrap();
    fs::remove_file(root.join("secret/run.key")).unwrap();
    file_error(store.secret(), "secret/run.key", "is missing");
    store.spend(&["state 1".to_owned()]).unwrap();
    store.spend(&["state 1".to_owned(), "state 2".to_owned()]).unwrap();
    assert_eq!(store.openings().unwrap().into_values().collect::<Vec<_>>(), [2, 1]);
    fs::write(root.join("certificate/proofs/step-000001.bin"), b"proof").unwrap();
    fs::remove_file(root.join("openings.json")).unwrap();
    file_error(store.openings(), "openings.json", "there are proofs");
    fs::remove_dir_all(root.join("steps")).unwrap();
    file_error(store.last_step(), "steps", "No such file");
}

/// The verdicts of docs/guide/errors.md: 2 for what the user can change, 3 for what is missing, 4 for our own bugs.
#[test]
fn errors_have_the_exit_of_their_situation() {
    let execute = |source| RunError::Execute { step: 7, rows: vec![3, 9], source: Box::new(source) };
    let range = Range { bits: 8, signed: true };
    let overflow = execute(ExecuteError::OutOfRange {
        operation: "gate".into(),
        tensor: "gate".into(),
        layer: Some(2),
        observed: 900,
        allowed: range,
        fraction_bits: 4,
        suggestion: "widen".into(),
    });
    assert_eq!(overflow.location(), "step 7, dataset rows 4, 10 counted from 1");
    assert!(overflow.to_string().contains("gate of layer 2 holds 900, outside -128 ..= 127"));
    let wide = RunError::BaseWidth { tensor: "base.up".into(), index: 5, value: 900, allowed: range };
    assert_eq!(wide.to_string(), "base.up holds 900 at position 5, its declared width of 8 bits holds -128 to 127");
    let refusal = Refusal::new(veritune_verifier::codes::SEED_REFUSED, "seed.json seed", "one", "another");
    let spent = RunError::BudgetSpent { tree: "state 3".into(), root: "ab".into(), spent: 4 };
    let file = PathBuf::from("steps/000003.state");
    let full = RunError::NoSpace { path: file, reason: "full".into(), needed_bytes: 10, rest_bytes: 0 }.with_rest(30);
    assert_eq!(full.to_string(), "full: this file takes 10 bytes, the rest of the run 30 more");
    for (error, code, verdict) in [
        (overflow, "VT-JOB-004", Verdict::Unusable),
        (execute(ExecuteError::MissingInput { tensor: "x".into() }), "VT-JOB-015", Verdict::Internal),
        (execute(ExecuteError::Threads { threads: 9, reason: "x".into() }), "VT-JOB-012", Verdict::Unusable),
        (RunError::Refused(refusal.in_container()), "VT-RUN-003", Verdict::Unusable),
        (RunError::Settings("x".into()), "VT-JOB-001", Verdict::Unusable),
        (RunError::Commit("x".into()), "VT-JOB-006", Verdict::Internal),
        (RunError::Unfinished { got: 1, steps: 2 }, "VT-JOB-016", Verdict::Inconclusive),
        (wide, "VT-JOB-017", Verdict::Refuted),
        (spent, "VT-JOB-014", Verdict::Inconclusive),
        (full, "VT-JOB-013", Verdict::Unusable),
        (RunError::Stopped, "VT-JOB-009", Verdict::Inconclusive),
    ] {
        assert_eq!(error.code(), (code, verdict), "{error:?}");
    }
}
