//! Devices that are lost at a chosen call, for tests.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the calls to a device between which the crate awaits something, and loses the device at one of them.
pub(crate) struct Calls {
    made: AtomicU64,
    last: AtomicU64,
}

impl Default for Calls {
    fn default() -> Self {
        Self { made: AtomicU64::new(0), last: AtomicU64::new(u64::MAX) }
    }
}

impl Calls {
    /// How many there were.
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Has the device destroyed after so many more calls.
    pub(crate) fn lose_after(&self, calls: u64) {
        self.last.store(self.made() + calls, Ordering::Relaxed);
    }

    pub(super) fn passed(&self, device: &wgpu::Device) {
        if self.made.fetch_add(1, Ordering::Relaxed) == self.last.load(Ordering::Relaxed) {
            device.destroy();
        }
    }
}
