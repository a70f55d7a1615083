//! Devices that fail at a chosen call, for tests.

use std::sync::{Mutex, PoisonError};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The device is destroyed.
    Lost,
    /// The device has no memory for what the call creates; there is some again for later calls.
    NoMemory,
}

/// Counts the calls to a device between which the crate awaits something, and has one of them fail.
#[derive(Default)]
pub(crate) struct Calls(Mutex<State>);

#[derive(Default)]
struct State {
    made: u64,
    failing: Option<(u64, Fault)>,
}

impl Calls {
    /// How many there were.
    pub(crate) fn made(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).made
    }

    /// Has the call after so many more fail.
    pub(crate) fn fail_after(&self, calls: u64, fault: Fault) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failing = Some((state.made + calls, fault));
    }

    /// Whether the call that is to fail was not made yet.
    pub(crate) fn is_fault_ahead(&self) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failing.is_some_and(|(call, _)| state.made <= call)
    }

    /// Counts a call that creates something or submits work: destroys the device where that is its fault, and gives
    /// what wgpu would report else.
    pub(super) fn create(&self, device: &wgpu::Device) -> Option<wgpu::Error> {
        let fault = self.pass(device)?;
        (fault == Fault::NoMemory).then(|| wgpu::Error::OutOfMemory { source: "for a test".into() })
    }

    /// Counts a call that waits, which takes no memory: the next one lacks it instead.
    pub(super) fn wait(&self, device: &wgpu::Device) {
        if self.pass(device) == Some(Fault::NoMemory) {
            self.fail_after(0, Fault::NoMemory);
        }
    }

    fn pass(&self, device: &wgpu::Device) -> Option<Fault> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = state.failing.filter(|(call, _)| *call == state.made).map(|(_, fault)| fault);
        state.made += 1;
        if fault == Some(Fault::Lost) {
            device.destroy();
        }
        fault
    }
}
