//! What whoever starts a piece of work may want of it: to hear how far it is, and to end it early.

use anyhow::{Result, ensure};
use std::sync::atomic::{AtomicBool, Ordering};

/// How far a piece of work is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done, in words.
    pub step: String,
    /// How much of it is done.
    pub done: usize,
    /// How much of it there is.
    pub total: usize,
}

/// The line between a piece of work and whoever started it.
#[derive(Clone, Copy)]
pub struct Monitor<'a> {
    /// Told how far the work is, from any thread.
    pub on_progress: &'a (dyn Fn(Progress) + Sync),
    /// Set when the work should end early.
    pub stop: &'a AtomicBool,
}

impl std::fmt::Debug for Monitor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitor").field("stop", self.stop).finish_non_exhaustive()
    }
}

impl Monitor<'_> {
    /// Tells how far the work is.
    pub fn tell(&self, step: impl ToString, done: usize, total: usize) {
        (self.on_progress)(Progress { step: step.to_string(), done, total });
    }

    /// Whether the work should end early.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Ends work that is not done where it should end early.
    ///
    /// # Errors
    /// Where it should.
    pub fn ensure_wanted(&self) -> Result<()> {
        ensure!(!self.is_stopped(), "stopped before it was done");
        Ok(())
    }
}
