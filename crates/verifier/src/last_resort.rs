//! The last resort of a program that reads hostile bytes: a panic is a bug of ours, and ends as the verdict of one.
//!
//! No check relies on it: what the checks refuse, they refuse as an error, and tests show that no known input gets here.
//! The text of a panic may hold data that was being worked on, so only the place in the source is told.

use crate::codes::STOPPED;
use crate::report::Report;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::{Mutex, Once, PoisonError};
use veritune_envelope::Refusal;

/// Where the program stopped: file and line of its own source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    location: String,
}

/// The place of the last panic of this process.
static PLACE: Mutex<String> = Mutex::new(String::new());
static QUIET: Once = Once::new();

/// What the work returns, or where it panicked. From the first call on, this process writes no text of a panic.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Stopped> {
    QUIET.call_once(|| {
        set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place;
        }));
    });
    // What the work held is gone with it; nothing of it is used again.
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| Stopped { location: PLACE.lock().unwrap_or_else(PoisonError::into_inner).clone() })
}

impl Stopped {
    /// File, line and column of our source.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The verdict that tells of it: exit 4.
    #[must_use]
    pub fn report(&self) -> Report {
        Report::refused(&Refusal::new(STOPPED, &self.location, "a verdict", "a bug of ours, please report it"))
    }
}
