//! The system's allocator with a count and a limit.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Counts the bytes in use; stops the program where one input holds more than its limit.
pub(crate) struct Limited {
    limit: usize,
    in_use: AtomicUsize,
    /// In use when the input began.
    before: AtomicUsize,
    /// Most in use since.
    peak: AtomicUsize,
}

impl Limited {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { limit, in_use: AtomicUsize::new(0), before: AtomicUsize::new(usize::MAX), peak: AtomicUsize::new(0) }
    }

    /// An input begins.
    pub(crate) fn begin(&self) {
        let in_use = self.in_use.load(Relaxed);
        self.before.store(in_use, Relaxed);
        self.peak.store(in_use, Relaxed);
    }

    /// The most bytes that this input held at a time.
    pub(crate) fn most(&self) -> u64 {
        let most = self.peak.load(Relaxed).saturating_sub(self.before.load(Relaxed));
        u64::try_from(most).unwrap_or(u64::MAX)
    }

    fn take(&self, len: usize) {
        let now = self.in_use.fetch_add(len, Relaxed).saturating_add(len);
        if self.peak.fetch_max(now, Relaxed) < now && now.saturating_sub(self.before.load(Relaxed)) > self.limit {
            // Nothing that allocates: the text is fixed.
            let text = b"veritune: the input holds more bytes than the limit\n";
            // SAFETY: the pointer and the length are those of a constant.
            unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
            std::process::abort();
        }
    }

    fn give_back(&self, len: usize) {
        self.in_use.fetch_sub(len, Relaxed);
    }
}

// SAFETY: every call is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.take(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.take(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.give_back(layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        self.take(len);
        self.give_back(layout.size());
        unsafe { System.realloc(pointer, layout, len) }
    }
}
