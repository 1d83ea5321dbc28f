//! The one map from errors of the core to Python.

use pyo3::exceptions::PyException;
use veritune_envelope::{Refusal, Verdict};
use veritune_executor::ExecuteError;
use veritune_run::RunError;

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
    /// A failure with its exit code.
    pub fn new(code: &str, message: impl ToString, location: impl ToString, exit: Verdict) -> Self {
        Self {
            code: code.to_owned(),
            message: message.to_string(),
            location: location.to_string(),
            exit: exit.exit_code(),
        }
    }

    /// JSON between the two languages that is not of the contract's form.
    pub fn json(what: &str, error: impl ToString) -> Self {
        Self::new("VT-JOB-010", error, what, Verdict::Unusable)
    }

    /// A panic: our bug, whatever it was.
    pub fn panic(cause: &(dyn std::any::Any + Send)) -> Self {
        let text = cause.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("panic");
        Self::new("VT-JOB-011", format_args!("the core stopped: {text}"), "", Verdict::Internal)
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
        Self::new(refusal.code().id(), message, refusal.location(), refusal.verdict())
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        use Verdict::{Inconclusive, Internal, Unusable};
        match error {
            RunError::Settings(reason) => Self::new("VT-JOB-001", reason, "recipe", Unusable),
            RunError::Spec(error) => Self::new("VT-JOB-002", error.reason, error.field, Unusable),
            RunError::Step(error) => Self::new("VT-JOB-003", error, "spec", Unusable),
            RunError::Model(error) => Self::new(error.code(), &error, "model", Unusable),
            RunError::Execute { step, source } => {
                let exit = match *source {
                    ExecuteError::OutOfRange { .. }
                    | ExecuteError::NotInTable { .. }
                    | ExecuteError::Denominator { .. }
                    | ExecuteError::NegativeSquare { .. } => Unusable,
                    _ => Internal,
                };
                Self::new("VT-JOB-004", source, format_args!("step {step}"), exit)
            }
            RunError::Statement(error) => Self::new("VT-JOB-005", error, "spec", Unusable),
            RunError::Commit(reason) => Self::new("VT-JOB-006", reason, "", Internal),
            RunError::Rows(reason) => Self::new("VT-JOB-007", reason, "data", Unusable),
            RunError::File { path, reason } => Self::new("VT-JOB-008", reason, path.display(), Unusable),
            RunError::Stopped => Self::new("VT-JOB-009", "stopped; the run can be continued", "", Inconclusive),
        }
    }
}
