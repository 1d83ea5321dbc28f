//! Long work beside the interpreter: without the GIL, on a given number of threads, with progress and Ctrl-C.
//!
//! The work runs on a thread of its own. The calling thread, where Python handles signals, hands on what the work
//! reports and asks Python for signals twice a second and more. What the callback raises stops the work at its next
//! report and is what the call ends with.

use crate::error::Failure;
use pyo3::prelude::*;
use rayon::prelude::*;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;
use veritune_run::codes;
use veritune_verifier::last_resort::{Stopped, caught};

/// How long Python may go without a call.
const PATIENCE: Duration = Duration::from_millis(200);

/// (done, total, value) for Python's `progress`.
type Report = (u64, u64, f64);

/// Where work reports to.
pub struct Reporter<'a> {
    reports: Sender<Report>,
    stopped: &'a AtomicBool,
}

impl Reporter<'_> {
    /// Reports, and says whether to go on.
    pub fn report(&self, done: u64, total: u64, value: f64) -> bool {
        self.reports.send((done, total, value)).is_ok() && !self.stopped.load(Ordering::Relaxed)
    }
}

/// Runs short work without the GIL; a panic is a failure.
pub fn quietly<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T, Failure> + Send) -> PyResult<T> {
    stoppable(py, work, |stopped| Err(Failure::stopped(&stopped)))
}

/// Runs short work without the GIL; what a panic means is for the caller to say.
pub fn stoppable<T: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T, Failure> + Send,
    stopped: impl FnOnce(Stopped) -> Result<T, Failure>,
) -> PyResult<T> {
    Ok(py.detach(|| caught(work)).unwrap_or_else(stopped)?)
}

/// Runs long work without the GIL on `threads` threads, and calls `progress` with its reports.
pub fn reporting<T: Send>(
    py: Python<'_>,
    threads: usize,
    progress: &Py<PyAny>,
    work: impl FnOnce(&Reporter<'_>) -> Result<T, Failure> + Send,
) -> PyResult<T> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| Failure::new(codes::THREADS, error, format_args!("{threads} threads")))?;
    let stopped = AtomicBool::new(false);
    py.detach(|| {
        let (reports, inbox) = channel();
        thread::scope(|scope| {
            let reporter = Reporter { reports, stopped: &stopped };
            let worker = scope.spawn(move || caught(|| pool.install(|| work(&reporter))));
            let mut latest = None;
            let mut raised = None;
            loop {
                match inbox.recv_timeout(PATIENCE) {
                    Ok(report) => latest = Some(report),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                if raised.is_some() {
                    continue;
                }
                let told = Python::attach(|py| {
                    py.check_signals()?;
                    latest.map_or(Ok(()), |report| progress.call1(py, report).map(drop))
                });
                if let Err(error) = told {
                    stopped.store(true, Ordering::Relaxed);
                    raised = Some(error);
                }
            }
            let done = worker.join().unwrap_or_else(|cause| resume_unwind(cause));
            let done = done.unwrap_or_else(|stopped| Err(Failure::stopped(&stopped)));
            match raised {
                Some(error) => Err(error),
                None => Ok(done?),
            }
        })
    })
}

/// Stops as no work of ours does, for the test of what becomes of a panic; with `progress` on the threads of a pool.
#[pyfunction]
#[pyo3(name = "_stop")]
#[pyo3(signature = (progress=None))]
#[expect(clippy::panic, reason = "what it is for")]
pub fn stop(py: Python<'_>, progress: Option<Py<PyAny>>) -> PyResult<()> {
    let stopped = |_: usize| -> Result<(), Failure> { panic!("a text that nobody is told") };
    match progress {
        None => quietly(py, || stopped(0)),
        Some(progress) => reporting(py, 2, &progress, |_| (0..2).into_par_iter().try_for_each(stopped)),
    }
}
