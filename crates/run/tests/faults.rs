//! What a crash or a spoilt folder leaves, and the codes with which a run is refused.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use veritune_commit::Root;
use veritune_envelope::{Refusal, Verdict};
use veritune_executor::ExecuteError;
use veritune_relations::Range;
use veritune_run::RunError;
use veritune_run::openings::Opening;
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
    drop(store);
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

fn opening(step: u8, budget: u32) -> Opening {
    Opening { name: format!("state {step}"), root: Root([step; 32]), budget }
}

#[test]
fn a_lost_secret_or_record_of_openings_is_not_made_anew() {
    let root = folder("lost");
    let store = Store::open(&root).unwrap();
    let secret = store.secret().unwrap();
    assert_eq!(store.secret().unwrap(), secret);
    assert_eq!(store.openings().unwrap().counts().count(), 0);
    store.save_state(0, &[&[1]]).unwrap();
    store.save_root(0, &[0; 32]).unwrap();
    fs::rename(root.join("secret/run.key"), root.join("away")).unwrap();
    file_error(store.secret(), "secret/run.key", "is missing");
    fs::rename(root.join("away"), root.join("secret/run.key")).unwrap();
    let proof = root.join("certificate/proofs/step-000001.bin");
    store.publish(&proof, b"proof", &[opening(1, 4)], false).unwrap();
    store.publish(&proof, b"other", &[opening(1, 4), opening(2, 4)], false).unwrap();
    assert_eq!(store.openings().unwrap().counts().collect::<Vec<_>>(), [2, 1]);
    // Not even where no proof is left: one may have been published.
    fs::remove_file(&proof).unwrap();
    fs::remove_file(root.join("openings.json")).unwrap();
    file_error(store.openings(), "openings.json", "is missing");
    file_error(store.publish(&proof, b"third", &[opening(1, 4)], false), "openings.json", "is missing");
    assert!(fs::read_dir(root.join("certificate/proofs")).unwrap().next().is_none());
    fs::remove_dir_all(root.join("steps")).unwrap();
    file_error(store.last_step(), "steps", "No such file");
}

/// A proof past a budget is not written, whoever asks for it.
#[test]
fn a_proof_past_a_budget_leaves_no_byte_and_no_count() {
    let root = folder("budget");
    let store = Store::open(&root).unwrap();
    store.secret().unwrap();
    let proof = root.join("certificate/proofs/step-000001.bin");
    store.publish(&proof, b"first", &[opening(1, 2)], false).unwrap();
    store.publish(&proof, b"second", &[opening(1, 2)], false).unwrap();
    let record = fs::read(root.join("openings.json")).unwrap();
    match store.publish(&proof, b"third", &[opening(2, 2), opening(1, 2)], false).unwrap_err() {
        RunError::BudgetSpent { tree, root, spent } => {
            assert_eq!((tree.as_str(), root, spent), ("state 1", "01".repeat(32), 2))
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read(root.join("openings.json")).unwrap(), record);
    assert_eq!(fs::read(&proof).unwrap(), b"second");
    assert_eq!(fs::read_dir(root.join("certificate/proofs")).unwrap().count(), 1);
}

/// The record is written before the proof: what cannot be recorded is not written.
#[test]
fn what_cannot_be_counted_is_not_written() {
    let root = folder("uncounted");
    let store = Store::open(&root).unwrap();
    store.secret().unwrap();
    fs::create_dir_all(root.join("openings.json.partial/occupied")).unwrap();
    let proof = root.join("certificate/proofs/step-000001.bin");
    file_error(store.publish(&proof, b"proof", &[opening(1, 2)], false), "openings.json", "directory");
    assert!(fs::read_dir(root.join("certificate/proofs")).unwrap().next().is_none());
}

#[test]
fn a_run_has_one_store_at_a_time_and_the_other_is_told_who_has_it() {
    let root = folder("busy");
    let store = Store::open(&root).unwrap();
    let clone = store.clone();
    drop(store);
    let busy = Store::open(&root).unwrap_err();
    assert_eq!(
        (busy.code(), busy.location()),
        (("VT-JOB-018", Verdict::Unusable), root.join("secret").display().to_string())
    );
    assert_eq!(busy.to_string(), format!("process {} works in this run folder", std::process::id()));
    // A lock that is not on the folder of that name keeps nobody out of it.
    fs::rename(root.join("secret"), root.join("away")).unwrap();
    drop(Store::open(&root).unwrap());
    drop(clone);
    Store::open(&root).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_secret_is_readable_by_its_owner_alone() {
    let root = folder("modes");
    let store = Store::open(&root).unwrap();
    store.secret().unwrap();
    store.save_state(0, &[&[1]]).unwrap();
    store.save_root(0, &[0; 32]).unwrap();
    let files = ["secret/run.key", "steps/000000.state", "steps/000000.root"];
    let check = || {
        assert!(files.iter().all(|name| mode(&root.join(name)) == 0o600));
        assert!(["secret", "steps"].iter().all(|name| mode(&root.join(name)) == 0o700));
    };
    check();
    let record = root.join("openings.json");
    assert_eq!(mode(&record), 0o600);
    fs::set_permissions(&record, fs::Permissions::from_mode(0o644)).unwrap();
    // As a copy without modes leaves them.
    for name in files.iter().chain(&["secret", "steps"]) {
        let open = if name.contains('/') { 0o644 } else { 0o755 };
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(open)).unwrap();
    }
    drop(store);
    Store::open(&root).unwrap();
    check();
    assert_eq!(mode(&record), 0o600);
}

#[test]
fn a_file_that_waits_under_the_temporary_name_is_neither_followed_nor_taken_over() {
    let root = folder("planted");
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("elsewhere"), b"other").unwrap();
    symlink(root.join("elsewhere"), root.join("key.partial")).unwrap();
    write_whole(&root.join("key"), b"secret", true).unwrap();
    assert_eq!(fs::read(root.join("elsewhere")).unwrap(), b"other");
    fs::write(root.join("other.partial"), b"readable by all").unwrap();
    write_whole(&root.join("other"), b"secret", true).unwrap();
    assert_eq!((mode(&root.join("key")), mode(&root.join("other"))), (0o600, 0o600));
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
    let full = RunError::NoSpace { path: file, reason: "full".into(), needed_bytes: 10, rest_bytes: 0 };
    let full = full.with_rest(|file| 3 * file);
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
