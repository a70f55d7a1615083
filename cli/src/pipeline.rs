//! The way of an image: read, through the network, made use of.
//!
//! Reading and what comes after the network have threads of their own, so the GPU need not wait for them. The channels
//! between are short, so only a few photographs are in memory at a time, and of a photograph's tiles only a few. Images
//! may overtake one another; their numbers bring them back in order.

use crate::output;
use ::image::ImageReader;
use anyhow::{Result, ensure};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use pcsnet::Detection;
use pcsnet::image::{Decoded, Decoder, Rect, RgbImage};
use pcsnet::inspect::{Gathered, Inspection, Inspector, Placement};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, Cursor, Seek};
use std::iter::Enumerate;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// An image on its way in.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// A file's bytes, and what to call them.
    Bytes(String, Vec<u8>),
    /// The bytes of a file that may be cut short because it is still being written: only a whole picture counts.
    Growing(String, Vec<u8>),
    /// What was decoded before.
    Picture(RgbImage),
    /// What cannot be read: what to call it, and why.
    Unreadable(String, &'static str),
}

impl Source {
    /// How many pixels it may have; where its head does not tell, more than fit beside any other.
    fn pixels(&self) -> u64 {
        let dimensions = match self {
            Self::File(path) if path.is_file() => {
                ImageReader::open(path).and_then(ImageReader::with_guessed_format).ok().map(dimensions_of)
            }
            Self::File(_) | Self::Unreadable(..) => Some(Some((0, 0))),
            Self::Bytes(_, bytes) | Self::Growing(_, bytes) => {
                ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok().map(dimensions_of)
            }
            Self::Picture(picture) => Some(Some(picture.dimensions())),
        };
        dimensions.flatten().map_or(u64::MAX, |(width, height)| u64::from(width) * u64::from(height))
    }

    fn decode(&self, decoder: &Decoder) -> pcsnet::Result<Decoded> {
        match self {
            Self::File(path) => {
                // A named pipe would be waited for without end.
                if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
                    return Err(unreadable(path.display().to_string(), "no regular file"));
                }
                decoder.open(path)
            }
            Self::Unreadable(name, reason) => Err(unreadable(name.clone(), reason)),
            Self::Bytes(name, bytes) => decoder.decode(bytes, name),
            Self::Growing(name, bytes) => {
                let decoded = decoder.decode(bytes, name)?;
                let is_whole = decoded.missing.is_none();
                if is_whole { Ok(decoded) } else { Err(unreadable(name.clone(), "only a part of it is there")) }
            }
            Self::Picture(picture) => {
                Ok(Decoded { image: picture.clone(), missing: None, depth: None, remarks: Vec::new() })
            }
        }
    }

    fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Bytes(name, _) | Self::Growing(name, _) | Self::Unreadable(name, _) => name.clone(),
            Self::Picture(_) => "a picture".to_owned(),
        }
    }
}

fn dimensions_of<R: BufRead + Seek>(reader: ImageReader<R>) -> Option<(u32, u32)> {
    reader.into_dimensions().ok()
}

fn unreadable(name: String, reason: &str) -> pcsnet::Error {
    pcsnet::Error::Image { name, reason: reason.to_owned() }
}

/// Pixels of photographs that may be in memory at a time, unless a single one has more: about 1 GB with their maps,
/// regions and pictures.
const PIXELS_IN_MEMORY: u64 = 64 << 20;

/// How many pixels of photographs may yet be decoded.
struct Budget {
    free: Mutex<u64>,
    freed: Condvar,
    /// Who waits for room waits here first, so that a large photograph's turn comes.
    queue: Mutex<()>,
}

/// Room for a photograph, given back with the value.
struct Room<'a> {
    budget: &'a Budget,
    pixels: u64,
}

impl Budget {
    fn new() -> Self {
        Self { free: Mutex::new(PIXELS_IN_MEMORY), freed: Condvar::new(), queue: Mutex::new(()) }
    }

    /// Waits until there is room for a photograph; one that is larger than all room gets it alone.
    fn take(&self, pixels: u64) -> Room<'_> {
        let pixels = pixels.min(PIXELS_IN_MEMORY);
        let _turn = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.freed.wait_while(free, |free| *free < pixels).unwrap_or_else(PoisonError::into_inner);
        *free -= pixels;
        Room { budget: self, pixels }
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        *self.budget.free.lock().unwrap_or_else(PoisonError::into_inner) += self.pixels;
        self.budget.freed.notify_all();
    }
}

/// What all images go through.
#[derive(Debug)]
pub struct Pipeline<'a> {
    /// The model.
    pub inspector: &'a Inspector,
    /// How files are read.
    pub decoder: Decoder,
    /// Threads that read, and threads that work on what the network found.
    pub jobs: usize,
    /// Set when nothing more should be read: by the pipeline when it cannot go on, or by anyone else.
    pub stop: &'a AtomicBool,
    /// What was said of files, each once.
    said: Mutex<BTreeSet<String>>,
}

/// A photograph that went through the network.
#[derive(Debug)]
pub struct Inspected {
    /// The photograph itself.
    pub photograph: RgbImage,
    /// What the network found; its time there is the sum of its shares of the batches it was in.
    pub inspection: Inspection,
    /// How long reading and decoding took.
    pub decode: Duration,
    /// The part of the photograph that its file lacks.
    missing: Option<Rect>,
    /// What is to be said of the file.
    pub remarks: Vec<String>,
}

impl Inspected {
    /// The inspection of a whole photograph; where a part of it is missing, an error.
    pub(crate) fn whole(self) -> Result<Self> {
        ensure!(self.missing.is_none(), "{}", self.remarks.join("; "));
        Ok(self)
    }
}

/// An image that was read.
struct Prepared<'a, I> {
    index: usize,
    /// The room that its photograph takes.
    room: Room<'a>,
    item: I,
    photograph: RgbImage,
    missing: Option<Rect>,
    remarks: Vec<String>,
    decode: Duration,
    preprocess: Duration,
}

/// One of an image's inputs. They come in order; those of several images may alternate.
struct Input<'a, I> {
    /// The image's number.
    index: usize,
    image: RgbImage,
    /// Where all of the image's inputs lie; comes with the first.
    begin: Option<Placement>,
    /// The image itself; comes with its last input.
    end: Option<Prepared<'a, I>>,
}

/// What the network found in an input, whose pixels have gone, and how long it took.
type Output<'a, I> = (Input<'a, I>, Detection, Duration);

/// An image that went through the network.
type Detected<'a, I> = (Prepared<'a, I>, pcsnet::Result<Inspection>);

/// An image at its end.
type Finished<I, T> = (usize, I, Result<T>);

impl<'a> Pipeline<'a> {
    /// A pipeline through a model.
    pub fn new(inspector: &'a Inspector, decoder: Decoder, jobs: usize, stop: &'a AtomicBool) -> Self {
        Self { inspector, decoder, jobs, stop, said: Mutex::default() }
    }

    /// Takes items, each with an image, through the network. `work` is done with each, on several threads; `done` gets
    /// what became of each, in order, on one thread. Items are asked for only as fast as they are worked on.
    ///
    /// # Errors
    /// What ended the run before the last item: an error of the GPU, of `done`, or of `items` itself. Items that were
    /// under way are then not reported.
    pub fn run<I: Send, T: Send>(
        &self,
        items: impl Iterator<Item = Result<(I, Source)>> + Send,
        work: impl Fn(&I, Inspected) -> Result<T> + Sync,
        done: impl FnMut(I, Result<T>) -> Result<()> + Send,
    ) -> Result<()> {
        let items = Mutex::new(items.enumerate());
        let budget = Budget::new();
        let failure = Mutex::new(None);
        let fail = |error| {
            self.stop.store(true, Ordering::Relaxed);
            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        };
        let batch = self.inspector.session().batch() as usize;
        let (to_network, inputs) = bounded(batch);
        let (to_gather, outputs) = bounded(batch);
        let (to_work, detected) = bounded(self.jobs);
        let (to_end, finished) = unbounded();
        thread::scope(|scope| {
            for _ in 0..self.jobs {
                let (to_network, to_end) = (to_network.clone(), to_end.clone());
                scope.spawn(|| self.read(&items, &budget, to_network, to_end).unwrap_or_else(&fail));
            }
            scope.spawn(|| gather(outputs, to_work).unwrap_or_else(&fail));
            for _ in 0..self.jobs {
                let (detected, to_end) = (detected.clone(), to_end.clone());
                scope.spawn(|| finish_each(&work, detected, to_end));
            }
            // A stage ends when nobody can send to it, or receive from it, any more: only the threads may hold the
            // ends.
            drop((to_network, detected, to_end));
            scope.spawn(|| in_order(finished, done).unwrap_or_else(&fail));
            self.run_network(inputs, to_gather).unwrap_or_else(&fail);
        });
        failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn read<'r, I, T>(
        &self,
        items: &Mutex<Enumerate<impl Iterator<Item = Result<(I, Source)>>>>,
        budget: &'r Budget,
        to_network: Sender<Input<'r, I>>,
        to_end: Sender<Finished<I, T>>,
    ) -> Result<()> {
        while !self.stop.load(Ordering::Relaxed) {
            let next = items.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, item)) = next else { break };
            let (item, source) = item?;
            let room = budget.take(source.pixels());
            let start = Instant::now();
            let decoded = source.decode(&self.decoder);
            let decode = start.elapsed();
            let framing = self.inspector.framing();
            match decoded.and_then(|decoded| Ok((framing.place(decoded.image.dimensions())?, decoded))) {
                Ok((placement, Decoded { image: photograph, missing, remarks, .. })) => {
                    self.say(&source, &remarks, missing.is_some());
                    let preprocess = Duration::ZERO;
                    let prepared = Prepared { index, room, item, photograph, missing, remarks, decode, preprocess };
                    if !send_inputs(placement, prepared, &to_network)? {
                        break;
                    }
                }
                Err(error) => drop(to_end.send((index, item, Err(error.into())))),
            }
        }
        Ok(())
    }

    /// Says on stderr what is to be said of a file: of a damaged one always, of a kind of file once.
    fn say(&self, source: &Source, remarks: &[String], is_damaged: bool) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        for remark in remarks {
            if said.insert(remark.clone()) || is_damaged {
                output::complain(&format!("note: {}: {remark}", source.name()));
            }
        }
    }

    fn run_network<'r, I>(&self, inputs: Receiver<Input<'r, I>>, to_gather: Sender<Output<'r, I>>) -> Result<()> {
        let session = self.inspector.session();
        // What has been read by now goes together; the GPU does not wait for more.
        while let Ok(first) = inputs.recv() {
            let mut together = vec![first];
            together.extend(inputs.try_iter().take(session.batch() as usize - 1));
            let start = Instant::now();
            let images: Vec<_> = together.iter_mut().map(|input| std::mem::take(&mut input.image)).collect();
            let detections = session.run_blocking(&images)?;
            let share = start.elapsed() / images.len() as u32;
            for (input, detection) in together.into_iter().zip(detections) {
                // What was found is taken until this end is dropped.
                if to_gather.send((input, detection, share)).is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Sends an image's inputs, each as soon as it is made; false where the network has stopped.
fn send_inputs<'a, I>(
    placement: Placement,
    mut prepared: Prepared<'a, I>,
    to_network: &Sender<Input<'a, I>>,
) -> Result<bool> {
    let index = prepared.index;
    for number in 1..placement.inputs() {
        let image = prepared.input(&placement, number - 1)?;
        let begin = (number == 1).then(|| placement.clone());
        if to_network.send(Input { index, image, begin, end: None }).is_err() {
            return Ok(false);
        }
    }
    let last = placement.inputs() - 1;
    let image = prepared.input(&placement, last)?;
    let begin = (last == 0).then_some(placement);
    Ok(to_network.send(Input { index, image, begin, end: Some(prepared) }).is_ok())
}

impl<I> Prepared<'_, I> {
    fn input(&mut self, placement: &Placement, number: usize) -> Result<RgbImage> {
        let start = Instant::now();
        let input = placement.input(&self.photograph, number)?;
        self.preprocess += start.elapsed();
        Ok(input)
    }
}

/// Joins what was found in the inputs of each image.
fn gather<'a, I>(outputs: Receiver<Output<'a, I>>, to_work: Sender<Detected<'a, I>>) -> Result<()> {
    let mut open: HashMap<usize, Gathered> = HashMap::new();
    for (Input { index, begin, end, .. }, detection, share) in outputs {
        if let Some(placement) = begin {
            open.insert(index, Gathered::new(placement));
        }
        if let Some(gathered) = open.get_mut(&index) {
            gathered.add(detection)?;
            gathered.times.network += share;
        }
        let Some(prepared) = end else { continue };
        let Some(mut gathered) = open.remove(&index) else { continue };
        gathered.times.preprocess = prepared.preprocess;
        if to_work.send((prepared, gathered.finish())).is_err() {
            break;
        }
    }
    Ok(())
}

fn finish_each<I, T>(
    work: &impl Fn(&I, Inspected) -> Result<T>,
    detected: Receiver<Detected<'_, I>>,
    to_end: Sender<Finished<I, T>>,
) {
    for (Prepared { index, room, item, photograph, missing, remarks, decode, .. }, inspection) in detected {
        let result = inspection.map_err(Into::into).and_then(|mut inspection| {
            if let Some(part) = missing {
                inspection.leave_out(part);
                let is_enough = inspection.score.is_finite();
                ensure!(is_enough, "{}; what is left is too little to inspect", remarks.join("; "));
            }
            work(&item, Inspected { photograph, inspection, decode, missing, remarks })
        });
        drop(room);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn large_photographs_wait_for_one_another() {
        let (budget, now, most) = (Budget::new(), AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for pixels in [PIXELS_IN_MEMORY / 3, PIXELS_IN_MEMORY * 3, 1000, PIXELS_IN_MEMORY / 2].repeat(4) {
                let (budget, now, most) = (&budget, &now, &most);
                scope.spawn(move || {
                    let room = budget.take(pixels);
                    let beside = now.fetch_add(room.pixels, Ordering::SeqCst) + room.pixels;
                    most.fetch_max(beside, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(5));
                    now.fetch_sub(room.pixels, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(most.into_inner(), PIXELS_IN_MEMORY, "never more than there is room for, and a large one alone");
        assert_eq!(budget.free.into_inner().expect("unpoisoned"), PIXELS_IN_MEMORY);
    }
}
