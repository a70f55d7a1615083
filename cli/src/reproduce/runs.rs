//! What was measured, kept line by line.

use crate::evaluate::{METRICS, Measured};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A model of an experiment: what it is made for, how, and from what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Draw {
    pub category: String,
    pub method: String,
    /// What the method depends on beside the photographs.
    pub settings: String,
    pub shots: u32,
    pub seed: u64,
}

impl fmt::Display for Draw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { category, method, shots, seed, .. } = self;
        write!(f, "{category}, {method}, {shots} shots, seed {seed}")
    }
}

/// What was measured of a model.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    #[serde(flatten)]
    pub draw: Draw,
    /// The epoch after which it was measured, where that was not the last.
    pub epoch: Option<u32>,
    /// Null where undefined.
    pub metrics: BTreeMap<String, Option<f64>>,
    /// Good images, and how many of them fail; `None` where the model has no threshold.
    pub good: usize,
    pub good_that_fail: Option<usize>,
    /// Images that show a defect, and how many of them fail.
    pub defective: usize,
    pub defective_that_fail: Option<usize>,
}

/// The runs of an experiment, and the file they are kept in.
pub(crate) struct Runs {
    runs: Vec<Run>,
    file: File,
    path: PathBuf,
}

impl Runs {
    /// Opens the file of an experiment, with the runs that are done. A last line that was cut short is left out.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64).with_context(|| format!("cannot write {}", path.display()))?;
        let parsed = text[..whole].lines().enumerate().map(|(number, line)| {
            serde_json::from_str(line).with_context(|| format!("line {} of {} is no run", number + 1, path.display()))
        });
        Ok(Self { runs: parsed.collect::<Result<_>>()?, file, path: path.to_owned() })
    }

    /// Whether a model was measured after its last epoch.
    pub(crate) fn is_done(&self, draw: &Draw) -> bool {
        self.of(draw).any(|run| run.epoch.is_none())
    }

    /// All that was measured of a model.
    pub(crate) fn of(&self, draw: &Draw) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| run.draw == *draw)
    }

    /// Keeps what was measured of a model, after an epoch that was not the last or in the end.
    pub(crate) fn add(&mut self, draw: &Draw, epoch: Option<u32>, measured: &Measured) -> Result<()> {
        let values = measured.rows[0].metrics.iter().map(|value| value.as_ref().ok().copied());
        let failing = |is_good: bool| {
            let scores: Vec<f32> = measured
                .images
                .iter()
                .filter(|(item, _)| item.kind.is_none() == is_good)
                .map(|(_, score)| *score)
                .collect();
            let fail = measured.threshold.map(|threshold| scores.iter().filter(|score| **score > threshold).count());
            (scores.len(), fail)
        };
        let ((good, good_that_fail), (defective, defective_that_fail)) = (failing(true), failing(false));
        let metrics = METRICS.into_iter().map(str::to_owned).zip(values).collect();
        let run = Run { draw: draw.clone(), epoch, metrics, good, good_that_fail, defective, defective_that_fail };
        let line = serde_json::to_string(&run)? + "\n";
        self.file.write_all(line.as_bytes()).with_context(|| format!("cannot write {}", self.path.display()))?;
        self.runs.push(run);
        Ok(())
    }
}
