//! The way of an image: read, through the network, made use of.
//!
//! Reading and what comes after the network have threads of their own, so the GPU need not wait for them. The channels
//! between are short, so only a few photographs are in memory at a time. Images may overtake one another; their numbers
//! bring them back in order.

use crate::view::{Seen, View, Viewing};
use anyhow::Result;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use pcsnet::image::{self, RgbImage};
use pcsnet::{Detection, Session};
use std::collections::BTreeMap;
use std::iter::Enumerate;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// An image on its way in.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// A file's bytes, and what to call them.
    Bytes(String, Vec<u8>),
    /// What was decoded before.
    Picture(RgbImage),
}

impl Source {
    fn decode(self) -> pcsnet::Result<RgbImage> {
        match self {
            Self::File(path) => image::open(path),
            Self::Bytes(name, bytes) => image::decode(&bytes, &name),
            Self::Picture(picture) => Ok(picture),
        }
    }
}

/// What all images go through.
pub struct Pipeline<'a> {
    pub session: &'a Session,
    pub viewing: Viewing,
    /// Threads that read, and threads that work on what the network found.
    pub jobs: usize,
    /// Set when nothing more should be read: by the pipeline when it cannot go on, or by anyone else.
    pub stop: &'a AtomicBool,
}

/// How long an image took.
#[derive(Clone, Copy, Default)]
pub struct Times {
    pub decode: Duration,
    pub preprocess: Duration,
    /// A share of its batch's time, transfers included.
    pub gpu: Duration,
    pub write: Duration,
}

/// An image that was read.
struct Prepared<I> {
    index: usize,
    item: I,
    photograph: RgbImage,
    view: View,
    /// What the network sees.
    inputs: Vec<RgbImage>,
    times: Times,
}

/// An image that went through the network.
struct Detected<I> {
    prepared: Prepared<I>,
    detections: Vec<Detection>,
}

/// An image at its end.
type Finished<I, T> = (usize, I, Result<T>);

impl Pipeline<'_> {
    /// Takes items, each with an image, through the network. `work` is done with each, on several threads; `done` gets
    /// what became of each, in order, on one thread. Items are asked for only as fast as they are worked on.
    ///
    /// # Errors
    /// What ended the run before the last item: an error of the GPU, of `done`, or of `items` itself. Items that were
    /// under way are then not reported.
    pub fn run<I: Send, T: Send>(
        &self,
        items: impl Iterator<Item = Result<(I, Source)>> + Send,
        work: impl Fn(&I, Seen) -> Result<T> + Sync,
        done: impl FnMut(I, Result<T>) -> Result<()> + Send,
    ) -> Result<()> {
        let items = Mutex::new(items.enumerate());
        let failure = Mutex::new(None);
        let fail = |error| {
            self.stop.store(true, Ordering::Relaxed);
            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        };
        let (to_network, prepared) = bounded(self.session.batch() as usize);
        let (to_work, detected) = bounded::<Detected<I>>(self.jobs);
        let (to_end, finished) = unbounded();
        thread::scope(|scope| {
            for _ in 0..self.jobs {
                let (to_network, to_end) = (to_network.clone(), to_end.clone());
                scope.spawn(|| self.read(&items, to_network, to_end).unwrap_or_else(&fail));
            }
            for _ in 0..self.jobs {
                let (detected, to_end) = (detected.clone(), to_end.clone());
                scope.spawn(|| finish_each(&work, detected, to_end));
            }
            // A stage ends when nobody can send to it, or receive from it, any more: only the threads may hold the ends.
            drop((to_network, detected, to_end));
            scope.spawn(|| in_order(finished, done).unwrap_or_else(&fail));
            self.run_network(prepared, to_work).unwrap_or_else(&fail);
        });
        failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn read<I, T>(
        &self,
        items: &Mutex<Enumerate<impl Iterator<Item = Result<(I, Source)>>>>,
        to_network: Sender<Prepared<I>>,
        to_end: Sender<Finished<I, T>>,
    ) -> Result<()> {
        while !self.stop.load(Ordering::Relaxed) {
            let next = items.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, item)) = next else { break };
            let (item, source) = item?;
            match self.prepare(source) {
                Ok((photograph, view, inputs, times)) => {
                    // The network has stopped.
                    if to_network.send(Prepared { index, item, photograph, view, inputs, times }).is_err() {
                        break;
                    }
                }
                Err(error) => drop(to_end.send((index, item, Err(error)))),
            }
        }
        Ok(())
    }

    fn prepare(&self, source: Source) -> Result<(RgbImage, View, Vec<RgbImage>, Times)> {
        let start = Instant::now();
        let photograph = source.decode()?;
        let decode = start.elapsed();
        let view = self.viewing.view(photograph.dimensions())?;
        let inputs = view.inputs(&photograph)?;
        let times = Times { decode, preprocess: start.elapsed() - decode, ..Times::default() };
        Ok((photograph, view, inputs, times))
    }

    fn run_network<I>(&self, prepared: Receiver<Prepared<I>>, to_work: Sender<Detected<I>>) -> Result<()> {
        let batch = self.session.batch() as usize;
        // What has been read by now goes together; the GPU does not wait for more.
        while let Ok(first) = prepared.recv() {
            let mut count = first.inputs.len();
            let mut images = vec![first];
            while let Some(next) = (count < batch).then(|| prepared.try_recv().ok()).flatten() {
                count += next.inputs.len();
                images.push(next);
            }
            let start = Instant::now();
            let counts: Vec<usize> = images.iter().map(|image| image.inputs.len()).collect();
            let inputs: Vec<_> = images.iter_mut().flat_map(|image| std::mem::take(&mut image.inputs)).collect();
            let mut detections = Vec::with_capacity(inputs.len());
            for together in inputs.chunks(batch) {
                detections.extend(self.session.run_blocking(together)?);
            }
            let share = start.elapsed() / count.max(1) as u32;
            let mut detections = detections.into_iter();
            for (mut image, count) in images.into_iter().zip(counts) {
                image.times.gpu = share * count as u32;
                let detections = detections.by_ref().take(count).collect();
                // The workers go on until this end is dropped.
                if to_work.send(Detected { prepared: image, detections }).is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn finish_each<I, T>(
    work: &impl Fn(&I, Seen) -> Result<T>,
    detected: Receiver<Detected<I>>,
    to_end: Sender<Finished<I, T>>,
) {
    for Detected { prepared, detections } in detected {
        let Prepared { index, item, photograph, view, times, .. } = prepared;
        let result = Seen::new(photograph, view, detections, times).and_then(|seen| work(&item, seen));
        // The receiver is gone where `done` failed.
        to_end.send((index, item, result)).ok();
    }
}

fn in_order<I, T>(finished: Receiver<Finished<I, T>>, mut done: impl FnMut(I, Result<T>) -> Result<()>) -> Result<()> {
    let mut early = BTreeMap::new();
    let mut next = 0;
    for (index, item, result) in finished {
        early.insert(index, (item, result));
        while let Some((item, result)) = early.remove(&next) {
            done(item, result)?;
            next += 1;
        }
    }
    // Behind an image that was lost when the run was stopped.
    early.into_values().try_for_each(|(item, result)| done(item, result))
}
