//! The one map from errors of the core to Python.

use pyo3::exceptions::PyException;
use veritune_envelope::verdict::Code;
use veritune_envelope::{Refusal, Verdict};
use veritune_run::{RunError, codes};
use veritune_verifier::last_resort::Stopped;

pyo3::create_exception!(
    veritune._core,
    CoreError,
    PyException,
    "What every function of the core raises, with `args = (code, message, location, exit)`.\n\n\
     `code` names the check, `location` says where it failed, `exit` is the exit code that a command ends with:\n\
     1 refuted, 2 unreadable input, 3 inconclusive, 4 our own bug."
);

/// What becomes the arguments of a [`CoreError`].
#[derive(Debug)]
pub struct Failure {
    code: String,
    message: String,
    location: String,
    exit: u8,
}

impl Failure {
    /// A failure with the verdict of its code.
    pub fn new(code: Code, message: impl ToString, location: impl ToString) -> Self {
        Self::with(code.id(), code.verdict(), message, location)
    }

    fn with(id: &str, verdict: Verdict, message: impl ToString, location: impl ToString) -> Self {
        Self {
            code: id.to_owned(),
            message: message.to_string(),
            location: location.to_string(),
            exit: verdict.exit_code(),
        }
    }

    /// JSON of a file of the user's that is not of its form.
    pub fn json(what: &str, error: impl ToString) -> Self {
        Self::new(codes::SETTINGS, error, what)
    }

    /// A panic: our bug, whatever it was.
    pub fn stopped(stopped: &Stopped) -> Self {
        Self::new(codes::PANIC, "the core stopped at a bug of ours, please report it", stopped.location())
    }
}

impl From<Failure> for pyo3::PyErr {
    fn from(failure: Failure) -> Self {
        CoreError::new_err((failure.code, failure.message, failure.location, failure.exit))
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let message = format!("expected {}, got {}", refusal.expected(), refusal.got());
        Self::with(refusal.code().id(), refusal.verdict(), message, refusal.location())
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let (id, verdict) = error.code();
        Self::with(id, verdict, &error, error.location())
    }
}
