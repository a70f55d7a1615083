//! `pcsnet detect`: an anomaly score, map and overlay for every photograph.

mod drift;
mod outputs;
mod protocol;
mod report;
mod shard;
mod stdin;
mod watch;

use crate::device::DeviceArguments;
use crate::framing::FramingArguments;
use crate::images::{self, Image};
use crate::interrupt;
use crate::output;
use crate::pipeline::{Inspected, Pipeline, Source};
use crate::prepared::Prepared;
use anyhow::{Context, Result, ensure};
use clap::Args;
use outputs::{Outcome, Outputs};
use pcsnet::image::{Decoder, Scale};
use pcsnet::inspect::{Calibration, Inspector};
use report::{Row, Summary, Tally, trouble};
use shard::Shard;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use stdin::Input;
use watch::{Patience, Record, Watch};

const NOTES: &str = "\
Written for an image `good/000.png`, each as large as the image:
  good/000.png.heatmap.png  anomaly map in colours; what the fit leaves out is grey, not inspected
  good/000.png.overlay.png  the same over the photograph, what was not inspected darkened; outlines where the map is \
above the model's threshold
  good/000.png.map.npy      the map's float32 values, NaN where not inspected (--raw)
and for all images together:
  scores.csv    path, score, verdict, lowest, width, height, error
  scores.jsonl  the same and more, a JSON object for each image: the regions above the threshold with box, area, peak \
and mean, in the image's pixels; remarks on the file, such as that a part of it is missing; `unlike`, whether the \
image shows something else than the parts that the model knows, where its calibration tells what is common in these

The score is the map's largest value, `lowest` its least, before the map is brought to the image's size. The verdict, \
`pass` or `fail`, is there where the model holds a threshold; `pcsnet calibrate` gives it one. Outputs mirror the \
images' folders, below the deepest folder common to all arguments. An image that cannot be inspected is reported on \
stderr and in both tables, and the others are still done.

Folders are searched, with those below, for png, jpg, jpeg, bmp, tif, tiff, webp, gif, pgm, ppm and pnm files; an \
output folder inside them is passed over.

Without --scale, and where the model holds no range of its own, the colours of each image span its own map: every \
image shows its own most suspicious place in red, be it defective or not, and images do not compare.

Several machines share a folder with --shard 1/N to --shard N/N, into one output folder if they like: images are \
sorted, and each machine takes as many neighbours; `cat scores-*-of-N.jsonl` (or .csv: only the first has the header) \
gives what a single run writes.

On a line, --watch takes images as they finish writing into a folder, and --stdin takes paths or images from another \
program. Both print a JSON line for each image, in order; where the model remembers the good parts of its calibration, \
`drift` tells how the latest 100 parts that passed compare with them, and whether that is an alarm. --watch \
also appends them to scores.jsonl, and where it is \
stopped or killed, the next run goes on with what is not in there. A file counts as inspected by its name and content; \
one that ended the program twice is given up.

Examples:
  pcsnet detect --model bottle.safetensors photographs/
  pcsnet detect --model backbone.safetensors head.safetensors --raw a/ b/ c.jpg
  pcsnet detect --model bottle.safetensors --tiles 512 board.tif
  pcsnet detect --model bottle.safetensors --shard 2/8 archive/ --out /mnt/inspected
  pcsnet detect --model bottle.safetensors --watch camera/ --out inspected/
  ls *.png | pcsnet detect --model bottle.safetensors --stdin paths --no-pictures";

/// The table that a watched folder's images are added to, each as soon as it is done.
const JSON_LINES: &str = "scores.jsonl";

/// Find defects in photographs: a score, an anomaly map and an overlay for each.
#[derive(Args)]
#[command(after_help = NOTES)]
pub(crate) struct Arguments {
    /// The model: a bundle, or the backbone's and the head's safetensors. May be repeated, and any .safetensors file
    /// among the images belongs to the model too
    #[arg(long, value_name = "FILE", required = true)]
    model: Vec<PathBuf>,

    /// Photographs, and folders to search for them
    #[arg(value_name = "IMAGE|FOLDER", required_unless_present_any = ["watch", "stdin"])]
    inputs: Vec<PathBuf>,

    /// Inspect only the I-th of N nearly equal parts of the images, for several machines that share them. The tables
    /// are then called scores-I-of-N.csv and .jsonl; one after another they are those of a single run
    #[arg(long, value_name = "I/N", conflicts_with_all = ["watch", "stdin"])]
    shard: Option<Shard>,

    /// Inspect the images in DIR and those that are still to come, until stopped
    #[arg(long, value_name = "DIR", conflicts_with = "stdin")]
    watch: Option<PathBuf>,

    /// How long a watched file's size and content must not change to count as written; ten times as long where it ends
    /// in zeros, cannot be read, or lacks a part
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = output::seconds, requires = "watch")]
    settle: Duration,

    /// End when nothing new has come into the watched folder for so long
    #[arg(long, value_name = "SECONDS", value_parser = output::seconds, requires = "watch")]
    until_idle: Option<Duration>,

    /// Take from the standard input `paths`, one a line, or `images`: PNG files one after another, or any image files,
    /// each after its length as 4 bytes, the lowest first
    #[arg(long, value_name = "paths|images", hide_possible_values = true)]
    stdin: Option<Input>,

    /// The folder for everything that is written; it is made if missing
    #[arg(long, value_name = "FOLDER", default_value = "pcsnet-out")]
    out: PathBuf,

    /// Also write each anomaly map's values, as .npy
    #[arg(long)]
    raw: bool,

    /// Write no heatmaps and overlays
    #[arg(long)]
    no_pictures: bool,

    /// The values that get the first and the last colour; by default the model's, or else each image's own least and
    /// largest
    #[arg(long, value_name = "MIN,MAX", allow_hyphen_values = true, value_parser = scale)]
    scale: Option<Scale>,

    #[command(flatten)]
    framing: FramingArguments,

    #[command(flatten)]
    device: DeviceArguments,
}

fn scale(text: &str) -> Result<Scale, String> {
    let number = |text: &str| text.trim().parse::<f32>().ok().filter(|number| number.is_finite());
    let (low, high) = text.split_once(',').ok_or("two numbers with a comma between are expected, such as 0.1,0.9")?;
    match (number(low), number(high)) {
        (Some(low), Some(high)) if low < high => Ok(Scale { low, high }),
        (Some(_), Some(_)) => Err("the first number must be less than the second".to_owned()),
        _ => Err("two numbers are expected, such as 0.1,0.9".to_owned()),
    }
}

/// Runs `pcsnet detect` and gives the exit code.
pub(crate) fn run(arguments: &Arguments) -> Result<u8> {
    // What can fail at once does so before minutes of work.
    let (model_files, inputs) = images::split_models(&arguments.model, &arguments.inputs);
    let is_stream = arguments.watch.is_some() || arguments.stdin.is_some();
    let shard = arguments.shard.unwrap_or_default();
    let images = if is_stream { Vec::new() } else { shard.of(images::find(&inputs, &arguments.out)?) };
    output::ensure_writable(&arguments.out)?;

    let Prepared { inspector, decoder } = Prepared::new(&model_files, &arguments.framing, &arguments.device)?;
    let calibration =
        Calibration { scale: arguments.scale.or(inspector.calibration().scale), ..*inspector.calibration() };
    let detect = Detect {
        arguments,
        inspector: &inspector,
        decoder,
        calibration: &calibration,
        outputs: Outputs {
            out: &arguments.out,
            model: inspector.calibration(),
            calibration: &calibration,
            pictures: !arguments.no_pictures,
            raw: arguments.raw,
        },
        stop: Arc::default(),
    };
    match (&arguments.watch, arguments.stdin) {
        (Some(folder), _) => detect.watch(folder),
        (None, Some(input)) => {
            let images = stdin::images(input, std::io::BufReader::new(std::io::stdin()));
            detect.stream(images, |image, result| Row::of(image, result).line().map(Some))
        }
        (None, None) => detect.all(&images),
    }
}

/// What every way of coming by images shares.
struct Detect<'a> {
    arguments: &'a Arguments,
    inspector: &'a Inspector,
    decoder: Decoder,
    /// The inspector's, with the colours that the arguments ask for.
    calibration: &'a Calibration,
    outputs: Outputs<'a>,
    stop: Arc<AtomicBool>,
}

impl Detect<'_> {
    fn pipeline(&self) -> Pipeline<'_> {
        Pipeline::new(self.inspector, self.decoder, self.arguments.framing.jobs(), &self.stop)
    }

    /// Images that are all there.
    fn all(&self, images: &[Image]) -> Result<u8> {
        let template = "{bar:40} {pos}/{len} images, {per_sec}, {eta} left";
        let progress = output::progress_bar(template, images.len(), String::new());
        let start = Instant::now();
        interrupt::sets(&self.stop)?;
        let not_reached = || Err(anyhow::anyhow!("not inspected, because the run was stopped"));
        let mut results: Vec<_> = images.iter().map(|_| not_reached()).collect();
        let items = images.iter().enumerate().map(|item| Ok((item, Source::File(item.1.path.clone()))));
        let work = |(_, image): &(usize, &Image), inspected: Inspected| self.outputs.write(&image.name, &inspected);
        // Each as it comes: what a kill leaves is all that was done by then.
        let shard = self.arguments.shard.unwrap_or_default();
        let mut record = Record::create(&self.arguments.out.join(shard.table("jsonl")))?;
        let mut done = 0;
        let stopped = self.pipeline().run(items, work, |(index, image), result| {
            tell(image, &result);
            progress.inc(1);
            done += 1;
            let recorded = record.append(&Row::of(image, &result).line()?);
            let written = trouble(&result).map_or(Ok(()), ensure_not_full);
            results[index] = result;
            written.and(recorded)
        });
        let wall = start.elapsed();
        progress.finish_and_clear();

        // Also where the run was stopped: what was done by then is not lost.
        let tables = report::write_tables(&self.arguments.out, shard, images, &results);
        stopped.with_context(|| format!("stopped after {done} of {} images", images.len()))?;
        tables?;
        ensure!(
            done == images.len(),
            "stopped after {done} of {} images; what was done is in the tables",
            images.len()
        );
        let mut tally = Tally::default();
        results.iter().for_each(|result| tally.count(result));
        let Outputs { out, pictures, .. } = self.outputs;
        let summary = Summary { results: &results, wall, out, shard, pictures, calibration: self.calibration, tally };
        output::print(&summary.to_string())?;
        Ok(tally.code())
    }

    /// Images of a folder, as they come.
    fn watch(&self, folder: &Path) -> Result<u8> {
        interrupt::sets(&self.stop)?;
        let (mut record, done) = Record::open(&self.arguments.out.join(JSON_LINES))?;
        let Arguments { out, settle, until_idle, .. } = self.arguments;
        let images = Watch::new(folder, out, done, Patience { settle: *settle, idle: *until_idle }, &self.stop)?;
        let under_way = images.under_way();
        let mut unrecorded = Ok(());
        let code = self.stream(images, |image, result| {
            let is_final = result.is_ok() || image.version.as_ref().is_none_or(|version| version.is_last_try);
            let line = is_final.then(|| Row::of(image, result).line()).transpose()?;
            if let Some(Err(error)) = line.as_ref().map(|line| record.append(line)) {
                // The answer is still given; nothing new is begun.
                self.stop.store(true, Ordering::Relaxed);
                if unrecorded.is_ok() {
                    unrecorded = Err(error);
                }
            }
            under_way.finish(image, is_final);
            Ok(line)
        })?;
        unrecorded.map(|()| code)
    }

    /// Images one after another, each with its line on stdout as soon as it is done; without a line, it will come
    /// again.
    fn stream(
        &self,
        images: impl Iterator<Item = Result<(Image, Source)>> + Send,
        mut line: impl FnMut(&Image, &Result<Outcome>) -> Result<Option<String>> + Send,
    ) -> Result<u8> {
        let mut tally = Tally::default();
        let work = |image: &Image, inspected: Inspected| self.outputs.write(&image.name, &inspected);
        let mut drift = self.calibration.good_scores.map(drift::Watcher::new);
        self.pipeline().run(images, work, |image, mut result| {
            if let (Ok(part), Some(drift)) = (&mut result, &mut drift) {
                part.drift = drift.next(part);
            }
            let Some(line) = line(&image, &result)? else { return Ok(()) };
            tell(&image, &result);
            tally.count(&result);
            output::print(&line)?;
            trouble(&result).map_or(Ok(()), ensure_not_full)
        })?;
        Ok(tally.code())
    }
}

/// An error where nothing more can be written: going on would only fail with every image.
fn ensure_not_full(error: &anyhow::Error) -> Result<()> {
    ensure!(!output::is_disk_full(error), "the disk with the output folder is full; make room and start again");
    Ok(())
}

/// Says what a user should know of an image whatever its score.
fn tell(image: &Image, result: &Result<Outcome>) {
    if let Some(error) = trouble(result) {
        output::complain(&failure(image, error));
    }
    if result.as_ref().is_ok_and(|done| done.unlike == Some(true)) {
        let path = image.path.display();
        output::complain(&format!(
            "note: {path}: nearly nothing in it is like the good parts: another part, or another view of it?"
        ));
    }
}

/// The line that reports an image that could not be done; most reasons name the file already.
fn failure(image: &Image, error: &anyhow::Error) -> String {
    let (path, reason) = (image.path.display().to_string(), crate::one_line(error));
    if reason.contains(&path) { format!("failed: {reason}") } else { format!("failed: {path}: {reason}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales() {
        assert_eq!(scale("-1.5, 3"), Ok(Scale { low: -1.5, high: 3.0 }));
        for wrong in ["", "1", "1,", "a,b", "3,1", "1,1", "0,inf", "NaN,1", "1,2,3"] {
            assert!(scale(wrong).is_err(), "{wrong}");
        }
    }
}
