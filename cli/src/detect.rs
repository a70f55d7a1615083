//! `pcsnet detect`: an anomaly score, map and overlay for every photograph.

mod images;
mod pipeline;
mod report;

use crate::device::{self, DeviceArguments};
use crate::output;
use anyhow::{Context, Result};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use indicatif::{ProgressBar, ProgressStyle};
use pcsnet::image::{Fit, Scale};
use pcsnet::inspect::Calibration;
use pipeline::{Pipeline, Run};
use pollster::block_on;
use report::Summary;
use std::path::{Path, PathBuf};
use std::time::Instant;

const NOTES: &str = "\
Written for an image `good/000.png`:
  good/000.png.heatmap.png  anomaly map in colours, as large as the network's input
  good/000.png.overlay.png  the same over the photograph, as large as that
  good/000.png.map.npy      the map's float32 values (--raw)
and for all images together:
  scores.csv    path, score, verdict, lowest, width, height, error
  scores.jsonl  the same and more, a JSON object for each image

The score is the map's largest value, `lowest` its least. The verdict, `pass` or `fail`, is there where the model holds a \
threshold. What the fit leaves out of a photograph is not inspected: \
overlays show it darkened, scores.jsonl tells the part that was `inspected`. Outputs mirror the images' folders, below \
the deepest folder common to all arguments. An image that fails is reported on stderr and in both tables, and the \
others are still done.

Folders are searched, with those below, for png, jpg, jpeg, bmp, tif, tiff, webp, gif, pgm, ppm and pnm files; an \
output folder inside them is passed over.

Without --scale, and where the model holds no range of its own, the colours of each image span its own map: every image shows its own most suspicious place in red, be \
it defective or not, and images do not compare. The summary at the end names the range of the whole run, for a second \
run with --scale.

Examples:
  pcsnet detect --model bottle.safetensors photographs/
  pcsnet detect --model backbone.safetensors head.safetensors --raw a/ b/ c.jpg
  pcsnet detect --model bottle.safetensors --batch 8 --scale 0.02,0.9 photographs/";

/// Find defects in photographs: a score, an anomaly map and an overlay for each.
#[derive(Args)]
#[command(after_help = NOTES)]
pub struct Arguments {
    /// The model: a bundle, or the backbone's and the head's safetensors. May be repeated, and any .safetensors file
    /// among the images belongs to the model too
    #[arg(long, value_name = "FILE", required = true)]
    model: Vec<PathBuf>,

    /// Photographs, and folders to search for them
    #[arg(value_name = "IMAGE|FOLDER", required = true)]
    inputs: Vec<PathBuf>,

    /// The folder for everything that is written; it is made if missing
    #[arg(long, value_name = "FOLDER", default_value = "pcsnet-out")]
    out: PathBuf,

    /// Also write each anomaly map's values, as .npy
    #[arg(long)]
    raw: bool,

    /// Images that are handed to the GPU at once; scores do not depend on it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,

    /// How a photograph becomes square: `crop` its middle or `stretch` it whole. By default as the model was trained
    #[arg(long, value_name = "crop|stretch", hide_possible_values = true, value_parser = fit())]
    fit: Option<Fit>,

    /// The values that get the first and the last colour; by default the model's, or else each image's own least and largest
    #[arg(long, value_name = "MIN,MAX", allow_hyphen_values = true, value_parser = scale)]
    scale: Option<Scale>,

    #[command(flatten)]
    device: DeviceArguments,
}

fn fit() -> impl TypedValueParser<Value = Fit> {
    PossibleValuesParser::new(["crop", "stretch"]).try_map(|name| Fit::by_name(&name))
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
pub fn run(arguments: &Arguments) -> Result<u8> {
    // What can fail at once does so before minutes of work.
    let (model_files, inputs) = split_models(arguments);
    let images = images::find(&inputs, &arguments.out)?;
    output::ensure_writable(&arguments.out)?;

    let weights = device::open_weights(&model_files)?;
    let model = device::load(&weights, &arguments.device)?;
    let calibration = Calibration::from_metadata(&weights.metadata())?;
    let scale = arguments.scale.or(calibration.scale);
    let batch = arguments.batch.min(u32::try_from(images.len())?);
    let session = block_on(model.session(batch)).context("cannot prepare the network")?;

    let progress = progress_bar(images.len());
    let pipeline = Pipeline {
        images: &images,
        out: &arguments.out,
        session: &session,
        side: model.config().input,
        fit: arguments.fit.unwrap_or(model.fit()),
        scale,
        raw: arguments.raw,
        progress: &progress,
    };
    let start = Instant::now();
    let Run { results, stopped } = pipeline.run();
    let wall = start.elapsed();
    progress.finish_and_clear();

    // Also where the run was stopped: what was done by then is not lost.
    report::write_tables(&arguments.out, &images, &results, &calibration)?;
    if let Some(error) = stopped {
        return Err(error.context("stopped before all images were done"));
    }
    let summary = Summary { results: &results, wall, out: &arguments.out, scale, calibration: &calibration };
    output::print(&summary.to_string())?;
    let all_done = results.iter().all(|result| result.is_ok());
    Ok(if all_done { crate::DONE } else { crate::SOME_FAILED })
}

/// `--model A B IMAGES` reads naturally, but only A is the option's value; no image is a .safetensors file.
fn split_models(arguments: &Arguments) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let is_model = |path: &Path| path.extension().is_some_and(|extension| extension == "safetensors");
    let (more, inputs): (Vec<_>, Vec<_>) = arguments.inputs.iter().cloned().partition(|path| is_model(path));
    ([arguments.model.clone(), more].concat(), inputs)
}

/// On stderr; indicatif hides it where that is no terminal.
fn progress_bar(images: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} images, {per_sec}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(images as u64).with_style(style)
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
