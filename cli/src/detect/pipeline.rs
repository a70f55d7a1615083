//! The way of an image: read, through the network, written.
//!
//! Reading and writing have threads of their own, so the GPU need not wait for them. The channels between are short, so
//! only a few photographs are in memory at a time. Images may overtake one another; their numbers bring them back in
//! order.

use super::images::Image;
use crate::output;
use anyhow::{Result, ensure};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use indicatif::ProgressBar;
use pcsnet::image::{self, Fit, Frame, Rect, RgbImage, Scale};
use pcsnet::{Detection, Session};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How much of the photograph the overlay's reddest place covers.
const OPACITY: f32 = 0.6;

/// What is done with every image.
pub struct Pipeline<'a> {
    pub images: &'a [Image],
    pub out: &'a Path,
    pub session: &'a Session,
    /// Side of the network's input.
    pub side: u32,
    pub fit: Fit,
    /// The colours' range; `None` for each map's own.
    pub scale: Option<Scale>,
    pub raw: bool,
    pub progress: &'a ProgressBar,
}

/// What became of all images.
pub struct Run {
    /// In the order of the images.
    pub results: Vec<Result<Inspected>>,
    /// Why the GPU could not go on.
    pub stopped: Option<anyhow::Error>,
}

/// An image that was done.
pub struct Inspected {
    pub score: f32,
    /// Least value of the map.
    pub lowest: f32,
    /// Width and height of the photograph.
    pub dimensions: (u32, u32),
    /// The part of the photograph that the network saw.
    pub inspected: Rect,
    pub colours: Scale,
    pub files: Files,
    pub times: Times,
}

/// What was written for an image, relative to the output folder.
pub struct Files {
    pub heatmap: PathBuf,
    pub overlay: PathBuf,
    pub map: Option<PathBuf>,
}

/// How long an image took.
#[derive(Clone, Copy, Default)]
pub struct Times {
    pub decode: Duration,
    pub preprocess: Duration,
    /// An equal share of its batch's time, transfers included.
    pub gpu: Duration,
    pub write: Duration,
}

/// An image that was read.
struct Prepared {
    index: usize,
    photograph: RgbImage,
    frame: Frame,
    /// What the network sees.
    input: RgbImage,
    times: Times,
}

/// An image that went through the network.
struct Detected {
    prepared: Prepared,
    detection: Detection,
}

type Finished = (usize, Result<Inspected>);

impl Pipeline<'_> {
    /// Does all images.
    pub fn run(&self) -> Run {
        let workers = thread::available_parallelism().map_or(1, usize::from).min(4);
        let next = AtomicUsize::new(0);
        let (to_network, prepared) = bounded(self.session.batch() as usize);
        let (to_disk, detected) = bounded(workers);
        let (to_results, finished) = unbounded();
        let stopped = thread::scope(|scope| {
            for _ in 0..workers {
                let (to_network, detected) = (to_network.clone(), detected.clone());
                let (from_reader, from_writer) = (to_results.clone(), to_results.clone());
                scope.spawn(|| self.read_images(&next, to_network, from_reader));
                scope.spawn(|| self.write_outputs(detected, from_writer));
            }
            // A stage ends when nobody can send to it, or receive from it, any more: only the threads may hold the ends.
            drop((to_network, detected, to_results));
            self.run_network(prepared, to_disk).err()
        });
        Run { results: self.in_order(finished), stopped }
    }

    fn read_images(&self, next: &AtomicUsize, to_network: Sender<Prepared>, to_results: Sender<Finished>) {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(image) = self.images.get(index) else { return };
            match self.prepare(index, image) {
                Ok(prepared) => {
                    // The network has stopped.
                    if to_network.send(prepared).is_err() {
                        return;
                    }
                }
                Err(error) => self.finish(index, Err(error), &to_results),
            }
        }
    }

    fn prepare(&self, index: usize, image: &Image) -> Result<Prepared> {
        let start = Instant::now();
        let photograph = image::open(&image.path)?;
        let decode = start.elapsed();
        let frame = Frame::new(self.fit, photograph.dimensions(), self.side)?;
        let input = frame.input(&photograph)?;
        let times = Times { decode, preprocess: start.elapsed() - decode, ..Times::default() };
        Ok(Prepared { index, photograph, frame, input, times })
    }

    fn run_network(&self, prepared: Receiver<Prepared>, to_disk: Sender<Detected>) -> Result<()> {
        loop {
            let mut batch: Vec<_> = prepared.iter().take(self.session.batch() as usize).collect();
            if batch.is_empty() {
                return Ok(());
            }
            let start = Instant::now();
            let inputs: Vec<_> = batch.iter_mut().map(|prepared| std::mem::take(&mut prepared.input)).collect();
            let detections = self.session.run_blocking(&inputs)?;
            let share = start.elapsed() / batch.len() as u32;
            for (mut prepared, detection) in batch.into_iter().zip(detections) {
                prepared.times.gpu = share;
                // The writers go on until this end is dropped.
                if to_disk.send(Detected { prepared, detection }).is_err() {
                    return Ok(());
                }
            }
        }
    }

    fn write_outputs(&self, detected: Receiver<Detected>, to_results: Sender<Finished>) {
        for detected in detected {
            let index = detected.prepared.index;
            self.finish(index, self.write(detected), &to_results);
        }
    }

    fn write(&self, Detected { prepared, detection }: Detected) -> Result<Inspected> {
        let start = Instant::now();
        let Prepared { index, photograph, frame, mut times, .. } = prepared;
        let Detection { score, map } = detection;
        ensure!(map.iter().all(|value| value.is_finite()), "the network gave values that are no numbers");
        let lowest = map.iter().copied().fold(f32::INFINITY, f32::min);
        let colours = self.scale.unwrap_or(Scale { low: lowest, high: score });
        let files = Files::of(&self.images[index], self.raw);
        let heatmap = image::heatmap(&map, self.side, self.side, colours)?;
        output::write_png(&self.out.join(&files.heatmap), &heatmap)?;
        let overlay = image::overlay(&photograph, &map, &frame, colours, OPACITY)?;
        output::write_png(&self.out.join(&files.overlay), &overlay)?;
        if let Some(file) = &files.map {
            output::write_npy(&self.out.join(file), &map, self.side)?;
        }
        times.write = start.elapsed();
        let (dimensions, inspected) = (frame.original(), frame.inspected());
        Ok(Inspected { score, lowest, dimensions, inspected, colours, files, times })
    }

    fn finish(&self, index: usize, result: Result<Inspected>, to_results: &Sender<Finished>) {
        if let Err(error) = &result {
            let line = failure(&self.images[index], error);
            self.progress.suspend(|| eprintln!("{line}"));
        }
        self.progress.inc(1);
        // The receiver outlives the threads.
        to_results.send((index, result)).ok();
    }

    fn in_order(&self, finished: Receiver<Finished>) -> Vec<Result<Inspected>> {
        let not_reached = || Err(anyhow::anyhow!("not inspected, because the run was stopped"));
        let mut results: Vec<_> = self.images.iter().map(|_| not_reached()).collect();
        for (index, result) in finished {
            results[index] = result;
        }
        results
    }
}

/// The line that reports a failed image; most reasons name the file already.
fn failure(image: &Image, error: &anyhow::Error) -> String {
    let (path, reason) = (image.path.display().to_string(), crate::one_line(error));
    if reason.contains(&path) { format!("failed: {reason}") } else { format!("failed: {path}: {reason}") }
}

impl Files {
    fn of(image: &Image, raw: bool) -> Self {
        // The whole name stays, because 000.png and 000.jpg may lie side by side.
        let named = |suffix: &str| {
            let mut name = image.name.clone().into_os_string();
            name.push(suffix);
            PathBuf::from(name)
        };
        Self { heatmap: named(".heatmap.png"), overlay: named(".overlay.png"), map: raw.then(|| named(".map.npy")) }
    }
}
