//! Takes single checks of the verifier away and records the fields that it reads and what its transcripts do, in test
//! builds only.
//!
//! A test that an attack is refused shows little if another check refuses it too. Here a test switches off exactly one
//! check by its id and shows that the attack then passes. A test of what a proof hides fixes the challenges by a seed,
//! whatever is sent: a simulator may choose them, a prover may not. Without the feature `switches` every function is empty and
//! the compiler removes its calls; `veritune-verify` and the Python module do not compile with it.

#![forbid(unsafe_code)]

/// Whether this build can switch checks off.
pub const ENABLED: bool = cfg!(feature = "switches");

/// A field that a decoder read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// What it is: the same for every element of a list.
    pub name: String,
    /// First byte, relative to what the decoder was given.
    pub offset: usize,
    /// Bytes.
    pub len: usize,
}

/// Whether a test has switched the check of this id off.
#[must_use]
#[inline]
pub fn off(id: &str) -> bool {
    switches::off(id)
}

/// Whether a test has switched off that messages of this label reach the transcript.
#[must_use]
#[inline]
pub fn unabsorbed(label: &str) -> bool {
    ENABLED && switches::off(&format!("absorb {label}"))
}

/// The seed on which alone, with protocol and labels, challenges depend: set by a test that programs them.
#[must_use]
#[inline]
pub fn programme() -> Option<u64> {
    switches::programme()
}

/// What a transcript did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It was given a message under this label; it absorbs it unless a test has switched that off.
    Message(String, Vec<u8>),
    /// It gave a challenge under this label; the state from which it was drawn.
    Drawn(String, [u8; 32]),
}

/// Records what a transcript does.
#[inline]
pub fn event(event: impl FnOnce() -> Event) {
    switches::event(event);
}

/// Records that a decoder read a field.
#[inline]
pub fn field(name: impl FnOnce() -> String, offset: usize, len: usize) {
    switches::field(name, offset, len);
}

#[cfg(feature = "switches")]
pub use switches::{programmed, traced, transcribed, without};

#[cfg(feature = "switches")]
mod switches {
    use super::{Event, Field};
    use std::cell::RefCell;

    thread_local! {
        static OFF: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
        static FIELDS: RefCell<Option<Vec<Field>>> = const { RefCell::new(None) };
        static EVENTS: RefCell<Option<Vec<Event>>> = const { RefCell::new(None) };
        static PROGRAMME: RefCell<Option<u64>> = const { RefCell::new(None) };
    }

    pub(super) fn off(id: &str) -> bool {
        OFF.with_borrow(|off| off.iter().any(|o| o == id))
    }

    pub(super) fn programme() -> Option<u64> {
        PROGRAMME.with_borrow(|programme| *programme)
    }

    pub(super) fn field(name: impl FnOnce() -> String, offset: usize, len: usize) {
        FIELDS.with_borrow_mut(|fields| {
            if let Some(fields) = fields {
                fields.push(Field { name: name(), offset, len });
            }
        });
    }

    pub(super) fn event(event: impl FnOnce() -> Event) {
        EVENTS.with_borrow_mut(|events| {
            if let Some(events) = events {
                events.push(event());
            }
        });
    }

    /// Puts a thread-local value back, also after a panic.
    struct Restore<T: 'static>(&'static std::thread::LocalKey<RefCell<T>>, Option<T>);

    impl<T> Drop for Restore<T> {
        fn drop(&mut self) {
            if let Some(value) = self.1.take() {
                self.0.set(value);
            }
        }
    }

    /// Runs on this thread without the checks of these ids, and only these.
    pub fn without<R>(ids: &[&str], run: impl FnOnce() -> R) -> R {
        let before = OFF.replace(ids.iter().map(|&id| id.to_owned()).collect());
        let _restore = Restore(&OFF, Some(before));
        run()
    }

    /// Runs on this thread with challenges that no message reaches: a transcript made meanwhile draws by this seed, its
    /// protocol and the labels drawn before.
    pub fn programmed<R>(seed: u64, run: impl FnOnce() -> R) -> R {
        let before = PROGRAMME.replace(Some(seed));
        let _restore = Restore(&PROGRAMME, Some(before));
        run()
    }

    /// Runs on this thread and returns the fields that decoders read meanwhile, in their order.
    pub fn traced<R>(run: impl FnOnce() -> R) -> (R, Vec<Field>) {
        recorded(&FIELDS, run)
    }

    /// Runs on this thread and returns what transcripts did meanwhile, in order.
    pub fn transcribed<R>(run: impl FnOnce() -> R) -> (R, Vec<Event>) {
        recorded(&EVENTS, run)
    }

    type Record<T> = RefCell<Option<Vec<T>>>;

    fn recorded<T, R>(record: &'static std::thread::LocalKey<Record<T>>, run: impl FnOnce() -> R) -> (R, Vec<T>) {
        let before = record.replace(Some(Vec::new()));
        let restore = Restore(record, Some(before));
        let result = run();
        let entries = record.take().unwrap_or_default();
        drop(restore);
        (result, entries)
    }
}

#[cfg(not(feature = "switches"))]
mod switches {
    #[inline]
    pub(super) const fn off(_: &str) -> bool {
        false
    }

    #[inline]
    pub(super) const fn programme() -> Option<u64> {
        None
    }

    #[inline]
    pub(super) fn event(_: impl FnOnce() -> super::Event) {}

    #[inline]
    pub(super) fn field(_: impl FnOnce() -> String, _: usize, _: usize) {}
}
