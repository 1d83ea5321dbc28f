//! What surrounds a target under libFuzzer: an allocator with a limit, and a limit on processor time.
//!
//! An input that asks for too much memory or time stops the program and is kept, like one that panics. The greatest of
//! each that was seen is written to stderr, for the log.

mod allocator;

use allocator::Limited;
pub use libfuzzer_sys;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Most bytes that one input may hold at a time, and so the most of one allocation.
pub const MAX_BYTES: usize = 256 << 20;
/// Most processor time of one input, in a build that counts edges and checks every addition.
pub const MAX_TIME: Duration = Duration::from_secs(1);

#[global_allocator]
static ALLOCATOR: Limited = Limited::new(MAX_BYTES);

/// Processor time of this thread.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of this frame.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Whether a value is greater than all before it.
fn is_record(record: &AtomicU64, value: u64) -> bool {
    record.fetch_max(value, Ordering::Relaxed) < value
}

static SLOWEST: AtomicU64 = AtomicU64::new(0);
static LARGEST: AtomicU64 = AtomicU64::new(0);

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Runs a target on an input within the limits.
///
/// Wall-clock time is that of everything else on the machine too. So an input that seems the slowest so far runs again,
/// alone, by its processor time.
///
/// # Panics
/// If the target does, or the input takes more than [`MAX_TIME`].
pub fn watched(run: fn(&[u8]), bytes: &[u8]) {
    ALLOCATOR.begin();
    let begun = Instant::now();
    run(bytes);
    let elapsed = begun.elapsed();
    if is_record(&LARGEST, ALLOCATOR.most()) {
        eprintln!("veritune: largest {} bytes", ALLOCATOR.most());
    }
    if microseconds(elapsed) > SLOWEST.load(Ordering::Relaxed) {
        let begun = processor_time();
        run(bytes);
        let time = processor_time().saturating_sub(begun);
        if is_record(&SLOWEST, microseconds(time)) {
            eprintln!("veritune: slowest {} microseconds", microseconds(time));
        }
        assert!(time <= MAX_TIME, "the input takes {time:?}");
    }
}

/// What a target makes once is made before anything is measured.
pub fn prepare(run: fn(&[u8])) {
    run(&[]);
}

/// The program of a target of `veritune_fuzz`.
#[macro_export]
macro_rules! program {
    ($target:ident) => {
        use $crate::libfuzzer_sys;
        libfuzzer_sys::fuzz_target!(
            init: $crate::prepare(veritune_fuzz::$target::run),
            |bytes: &[u8]| $crate::watched(veritune_fuzz::$target::run, bytes)
        );
    };
}
