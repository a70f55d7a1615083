//! What models are made of: photographs of good parts and a backbone.

use crate::output;
use anyhow::{Context, Result, ensure};
use pcsnet::data::{GoodPhotographs, PassedOverSummary, good_photographs};
use pcsnet::image::{Decoder, RgbImage, ValueRange};
use pcsnet::weights::Weights;
use std::fs;
use std::path::{Path, PathBuf};

/// A photograph of a good part.
pub(crate) struct Shot {
    /// The file's name, without its folder.
    pub(crate) name: String,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub(crate) sha256: String,
    pub(crate) photograph: RgbImage,
}

impl Shot {
    pub(crate) fn read(path: &Path, decoder: Decoder) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let sha256 = output::sha256_of_bytes(&bytes);
        let shown = path.display().to_string();
        let photograph = decoder.decode(&bytes, &shown)?.whole(&shown)?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Self { name, sha256, photograph })
    }
}

/// The photographs of good parts among files and folders, or `shots` of them, drawn at random.
pub(crate) fn find(inputs: &[PathBuf], shots: Option<u32>, seed: u64) -> Result<Vec<PathBuf>> {
    let GoodPhotographs { good: found, passed_over } = good_photographs(inputs)?;
    if !passed_over.is_empty() {
        let passed_over = PassedOverSummary(&passed_over);
        output::complain(&format!("{} photographs of good parts; {passed_over}", found.len()));
    }
    let Some(shots) = shots else { return Ok(found) };
    ensure!(
        found.len() >= shots as usize,
        "{shots} photographs were asked for, but there are only {} of good parts",
        found.len()
    );
    let mut drawn = pcsnet::teach::draw(found, shots as usize, seed);
    drawn.sort();
    Ok(drawn)
}

/// The range that is stated or, where none is, that of the photographs.
pub(crate) fn stated_range(stated: Option<ValueRange>, photographs: &[PathBuf]) -> Result<Option<ValueRange>> {
    match stated {
        Some(range) => Ok(Some(range)),
        None => range_of(photographs),
    }
}

/// The range of the photographs, which is that of all of them together; `None` where all have 8 bits.
pub(crate) fn range_of(photographs: &[PathBuf]) -> Result<Option<ValueRange>> {
    let mut depths = Vec::new();
    for path in photographs {
        depths.extend(Decoder::default().open(path)?.depth);
    }
    let range = ValueRange::of_set(&depths);
    if let Some(range) = range {
        let ValueRange { low, high } = range;
        output::complain(&format!("note: samples of more than 8 bits are read from {low} (black) to {high} (white)"));
    }
    Ok(range)
}

/// The weights of a file, or those that are part of this program.
pub(crate) fn backbone(file: Option<&Path>) -> Result<Weights> {
    Ok(match file {
        Some(file) => Weights::open([file])?,
        None => Weights::built_in()?,
    })
}
