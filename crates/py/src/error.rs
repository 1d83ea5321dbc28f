//! The one map from errors of the core to Python.

use pyo3::exceptions::PyException;
use std::any::Any;
use std::panic;
use std::sync::Mutex;
use veritune_envelope::verdict::Code;
use veritune_envelope::{Refusal, Verdict};
use veritune_run::{RunError, codes};

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

    /// A panic: our bug, whatever it was. Its text may quote values of a row, so only its place is told.
    pub fn panic(cause: &(dyn Any + Send)) -> Self {
        let place = PANICKED.lock().ok().and_then(|mut place| place.take()).unwrap_or_default();
        if std::env::var_os(TRACEBACK).is_none() {
            return Self::new(codes::PANIC, "the core stopped", place);
        }
        let text = cause.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("panic");
        Self::new(codes::PANIC, format_args!("the core stopped: {text}"), place)
    }
}

/// Environment variable of those who look for our bugs: errors then quote what they are about.
const TRACEBACK: &str = "VERITUNE_TRACEBACK";
/// Where the core panicked last.
static PANICKED: Mutex<Option<String>> = Mutex::new(None);

/// Keeps panics off stderr and notes their place.
pub fn quote_no_panic() {
    let loud = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if let (Ok(mut place), Some(location)) = (PANICKED.lock(), info.location()) {
            *place = Some(location.to_string());
        }
        if std::env::var_os(TRACEBACK).is_some() {
            loud(info);
        }
    }));
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
