//! The demo: the default model over the sample photographs, ending with a folder of heatmaps and one contact sheet.

use crate::machine;
use crate::run::{cargo, command, project_root};
use crate::sheet::{self, Entry};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};

const MODEL: &str = "weights/default.safetensors";
const SAMPLES: &str = "samples";
const OUT: &str = "out/demo";

/// What the demo reads of a line of `scores.jsonl`.
#[derive(Deserialize)]
struct Line {
    path: PathBuf,
    score: f32,
    verdict: String,
    heatmap: PathBuf,
    overlay: PathBuf,
}

pub(crate) fn run() -> Result<()> {
    machine::ensure_vulkan_driver()?;
    cargo(&["build", "--release", "--package", "pcsnet-cli"]).run()?;
    let program = project_root().join("target/release/pcsnet");
    let photographs = format!("{SAMPLES}/test");
    let detect = command(&program.display().to_string(), &["detect", "--model", MODEL, "--out", OUT, &photographs]);
    // With 4 all images were inspected and some parts fail, as some of the samples should.
    detect.run_to(&[0, 4])?;

    let out = project_root().join(OUT);
    let table = out.join("scores.jsonl");
    let text = std::fs::read_to_string(&table).with_context(|| format!("cannot read {}", table.display()))?;
    let entries = text.lines().map(|line| entry(&out, line)).collect::<Result<Vec<_>>>()?;
    let sheet = out.join("contact-sheet.png");
    sheet::write(&entries, &sheet)?;
    let right = entries.iter().filter(|entry| entry.right).count();
    println!("{right} of {} verdicts are right. Contact sheet: {}", entries.len(), sheet.display());
    Ok(())
}

fn entry(out: &Path, line: &str) -> Result<Entry> {
    let line: Line = serde_json::from_str(line).with_context(|| format!("unexpected line in scores.jsonl: {line}"))?;
    let photograph = project_root().join(&line.path);
    let [kind, name] = [photograph.parent(), Some(photograph.as_path())].map(|path| {
        path.and_then(Path::file_stem).map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
    });
    let sound = kind == "good";
    let mask = project_root().join(SAMPLES).join("ground_truth").join(&kind).join(format!("{name}_mask.png"));
    Ok(Entry {
        photograph,
        mask: (!sound).then_some(mask),
        heatmap: out.join(&line.heatmap),
        overlay: out.join(&line.overlay),
        caption: [format!("{} {name}", kind.replace('_', " ")), format!("score {:.3}: {}", line.score, line.verdict)],
        right: sound == (line.verdict == "pass"),
    })
}
