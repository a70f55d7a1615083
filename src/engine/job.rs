//! A run of the network spread over several frames.

use super::session::Session;
use crate::{Error, Result};
use std::ops::Range;

/// How far a run has been recorded. It holds nothing but its place, so a host keeps it beside the [`Session`] it
/// belongs to.
///
/// ```no_run
/// # use pcsnet::{Job, Session, wgpu::CommandEncoder};
/// # fn frame(session: &Session, job: &mut Option<Job>, encoder: &mut CommandEncoder) -> pcsnet::Result<()> {
/// // In every frame: a tenth of the network, until it is done.
/// let part = session.work() / 10;
/// if session.advance(job.get_or_insert_default(), encoder, part)? {
///     *job = None; // the results are there once this frame's commands have run
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Job {
    /// The session that it was begun in.
    session: Option<u64>,
    /// The first image of those now running.
    first: u32,
    /// The next step for them.
    step: usize,
}

impl Job {
    /// A run that has not begun.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Session {
    /// Multiply-adds of a run of the whole batch, as many as the kernels do, and 1 for each value where a step does
    /// none: what budgets of [`Session::advance`] are shares of.
    pub fn work(&self) -> u64 {
        self.schedule.work(0..self.schedule.len()) * u64::from(self.batch / self.images)
    }

    /// Records the network for the whole batch into the host's encoder, from [`Session::pixel_buffer`] to
    /// [`Session::map_buffer`] and [`Session::score_buffer`]. Nothing is allocated or submitted.
    ///
    /// The encoder must be of the engine's device: wgpu finds a foreign one when the host finishes it.
    pub fn record(&self, encoder: &mut wgpu::CommandEncoder) {
        self.record_next(&mut Job::new(), encoder, u64::MAX);
    }

    /// Records the next part of a run into the host's encoder: steps until their estimated operations reach `budget`,
    /// but at least one step, so that every call gets on. True once the run is recorded to its end; further calls then
    /// do nothing.
    ///
    /// The parts must be submitted in order. Until the last one has been, the session's input must stay as it is and no
    /// other run of the session be recorded between; results are the same bit for bit as those of a run in one piece.
    /// Interfaces keep their frame rate and a driver's watchdog stays calm when the budget is chosen so that a frame's
    /// part takes a few milliseconds; the host sees in its own frame times whether it does.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a job that was begun in another session. Nothing is recorded then.
    pub fn advance(&self, job: &mut Job, encoder: &mut wgpu::CommandEncoder, budget: u64) -> Result<bool> {
        if *job.session.get_or_insert(self.id) != self.id {
            let reason = "a job begun in one session goes on in it alone; begin a new one";
            return Err(Error::Mismatch(reason.to_owned()));
        }
        Ok(self.record_next(job, encoder, budget))
    }

    fn record_next(&self, job: &mut Job, encoder: &mut wgpu::CommandEncoder, budget: u64) -> bool {
        let mut left = budget;
        while job.first < self.batch {
            if job.step == 0 {
                self.copy_in(encoder, job.first);
            }
            let steps = self.steps_within(job.step, left);
            self.schedule.record(encoder, steps.clone());
            left = left.saturating_sub(self.schedule.work(steps.clone()));
            job.step = steps.end;
            if job.step < self.schedule.len() {
                return false;
            }
            self.copy_out(encoder, job.first);
            (job.first, job.step) = (job.first + self.images, 0);
            if left == 0 {
                break;
            }
        }
        job.first >= self.batch
    }

    /// The steps from `first` on that fit the budget, at least one.
    fn steps_within(&self, first: usize, budget: u64) -> Range<usize> {
        let mut end = first + 1;
        while end < self.schedule.len() && self.schedule.work(first..end + 1) <= budget {
            end += 1;
        }
        first..end
    }
}
