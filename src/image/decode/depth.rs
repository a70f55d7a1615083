//! From samples of more than 8 bits to 8.

use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// The key of a model's metadata that holds its [`ValueRange`].
const RANGE: &str = "pcsnet.range";

/// The samples that become black and white where a file has more than 8 bits a sample: machine-vision cameras give 10,
/// 12 or 14 significant bits in 16.
///
/// Whole numbers are divided evenly: sample `v` becomes `floor((v - low) * 256 / (high - low + 1))`, the 8 highest bits
/// where the range is that of 10, 12 or 16 bits. Floating-point samples become `(v - low) * 255 / (high - low)`,
/// rounded. What lies outside is black or white. Files of 8 bits or less do not take part.
///
/// A file that is read without a range gets its own, by what it declares and never by what it shows: TIFF's
/// `MaxSampleValue`, PNM's maximum; else all of its bits, and 0 to 1 for floating point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueRange {
    /// The sample that becomes 0.
    pub low: f64,
    /// The sample that becomes 255.
    pub high: f64,
}

impl ValueRange {
    /// The range of unsigned samples of so many bits, at most 64.
    pub fn of_bits(bits: u32) -> Self {
        Self { low: 0.0, high: 2.0_f64.powi(bits.min(64) as i32) - 1.0 }
    }

    /// What a model's metadata hold in `pcsnet.range`, as `low,high`: the range that its training photographs were read
    /// in, and every other photograph is to be.
    ///
    /// # Errors
    /// [`Error::Config`] where it holds anything else than two rising numbers.
    pub fn from_metadata(metadata: &std::collections::BTreeMap<&str, &str>) -> Result<Option<Self>> {
        let parse = |text: &&str| {
            let unusable = |reason| Error::Config(format!("the model's `{RANGE}` is `{text}`: {reason}"));
            text.parse().map_err(unusable)
        };
        metadata.get(RANGE).map(parse).transpose()
    }

    /// The metadata that say the same: key and value.
    pub fn to_metadata(self) -> (String, String) {
        (RANGE.to_owned(), self.to_string())
    }

    /// The range for a whole set of photographs, from what is told of each: `None` where all have 8 bits. Where none
    /// declares its range, the significant bits are recognised: 8, 10, 12, 14 or 16, as many as the largest sample
    /// takes.
    pub fn of_set<'a>(depths: impl IntoIterator<Item = &'a Depth>) -> Option<Self> {
        let depths: Vec<&Depth> = depths.into_iter().collect();
        let first = depths.first()?;
        let is_same = depths.iter().all(|depth| depth.range == first.range);
        if is_same && (first.is_declared || first.is_float) {
            return Some(first.range);
        }
        let widest = depths.iter().map(|depth| depth.range.high).fold(0.0, f64::max);
        let highest = depths.iter().map(|depth| depth.highest).fold(0.0, f64::max);
        let recognised = [8, 10, 12, 14, 16].map(Self::of_bits).into_iter().find(|range| highest <= range.high);
        Some(recognised.filter(|range| range.high <= widest).unwrap_or(Self { low: 0.0, high: widest }))
    }
}

impl fmt::Display for ValueRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.low, self.high)
    }
}

impl FromStr for ValueRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        let range = text.split_once(',').and_then(|(low, high)| Some(Self { low: number(low)?, high: number(high)? }));
        range
            .filter(|range| range.low < range.high)
            .ok_or_else(|| "two rising numbers with a comma between are expected, such as 0,4095".to_owned())
    }
}

/// What is known of a file that has more than 8 bits a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Depth {
    /// What it was read in.
    pub range: ValueRange,
    /// Whether the caller or the file itself says so; otherwise it is the range of all bits.
    pub is_declared: bool,
    /// Whether samples are floating-point numbers.
    pub is_float: bool,
    /// The largest sample.
    pub highest: f64,
}

/// Brings the samples of one file to 8 bits.
pub(super) struct Scaler {
    depth: Depth,
    /// 256, or 255 for floating point.
    levels: f64,
    /// What becomes the next level after 255.
    width: f64,
    /// What is added before the fraction is cut off.
    rounding: f64,
    /// Whether a sample was below the range, or no number.
    is_below: bool,
}

impl Scaler {
    /// A scaler of whole numbers, whose range is `stated` by the caller, or `declared` by the file, or of all `bits`.
    pub(super) fn whole(stated: Option<ValueRange>, declared: Option<ValueRange>, all: ValueRange) -> Self {
        let range = stated.or(declared).unwrap_or(all);
        let is_declared = stated.or(declared).is_some();
        let depth = Depth { range, is_declared, is_float: false, highest: 0.0 };
        Self { depth, levels: 256.0, width: range.high - range.low + 1.0, rounding: 0.0, is_below: false }
    }

    /// A scaler of floating-point numbers.
    pub(super) fn float(stated: Option<ValueRange>) -> Self {
        let range = stated.unwrap_or(ValueRange { low: 0.0, high: 1.0 });
        let depth = Depth { range, is_declared: stated.is_some(), is_float: true, highest: 0.0 };
        Self { depth, levels: 255.0, width: range.high - range.low, rounding: 0.5, is_below: false }
    }

    /// A sample's 8 bits.
    pub(super) fn level(&mut self, sample: f64) -> u8 {
        self.depth.highest = self.depth.highest.max(sample);
        self.is_below |= sample < self.depth.range.low || sample.is_nan();
        // A cast ends at 0 and 255, and makes 0 of what is no number.
        ((sample - self.depth.range.low) * self.levels / self.width + self.rounding) as u8
    }

    /// What is known now that all samples were brought to 8 bits, and what is to be said of it.
    ///
    /// # Errors
    /// For floating-point samples outside 0 to 1 where nobody said what their range is.
    pub(super) fn finish(self) -> Result<(Depth, Option<String>), String> {
        let Depth { range, is_declared, is_float, highest } = self.depth;
        if is_float && !is_declared && (self.is_below || highest > range.high) {
            let what = if self.is_below { "below 0 or no numbers".to_owned() } else { format!("up to {highest}") };
            return Err(format!(
                "its floating-point samples are {what}, where 0 to 1 is read; say what is black and white, such as \
                 --range 0,{}",
                highest.max(1.0)
            ));
        }
        let bits = [8, 10, 12, 14].into_iter().find(|&bits| highest <= ValueRange::of_bits(bits).high);
        let is_dark = !is_float && !is_declared && highest * 4.0 <= range.high;
        let remark = bits.filter(|_| is_dark).map(|bits| {
            format!(
                "its largest sample is {highest} of {}, so it is read as dark; where the camera has {bits} bits, say \
                 --range {}",
                range.high,
                ValueRange::of_bits(bits)
            )
        });
        Ok((self.depth, remark))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: ValueRange = ValueRange { low: 0.0, high: 65535.0 };

    fn levels(mut scaler: Scaler, samples: &[f64]) -> Vec<u8> {
        samples.iter().map(|&sample| scaler.level(sample)).collect()
    }

    #[test]
    fn whole_numbers_keep_their_highest_bits() {
        for (bits, shift) in [(10, 2), (12, 4), (16, 8), (32, 24)] {
            let mut scaler = Scaler::whole(None, None, ValueRange::of_bits(bits));
            let end = 1_u64 << bits;
            for sample in (0..end).step_by((end / 999 + 1) as usize) {
                assert_eq!(u64::from(scaler.level(sample as f64)), sample >> shift, "{sample} of {bits} bits");
            }
        }
        let stated = ValueRange { low: 100.0, high: 199.0 };
        assert_eq!(
            levels(Scaler::whole(Some(stated), None, ALL), &[0.0, 99.0, 100.0, 149.0, 150.0, 199.0, 900.0]),
            [0, 0, 0, 125, 128, 253, 255]
        );
    }

    #[test]
    fn floating_point_is_rounded() {
        let grey: Vec<f64> = (0..=255).map(|level| f64::from(level as f32 / 255.0)).collect();
        assert!(levels(Scaler::float(None), &grey).into_iter().eq(0..=255));
        let stated = ValueRange { low: -1.0, high: 1.0 };
        assert_eq!(levels(Scaler::float(Some(stated)), &[f64::NAN, -9.0, -1.0, 0.0, 1.0]), [0, 0, 0, 128, 255]);
    }

    #[test]
    fn what_cannot_be_the_range_is_said() {
        let finish = |mut scaler: Scaler, sample| {
            scaler.level(sample);
            scaler.finish()
        };
        assert!(finish(Scaler::float(None), 213.0).expect_err("not 0 to 1").contains("--range 0,213"));
        assert!(finish(Scaler::float(None), f64::NAN).is_err());
        assert!(finish(Scaler::float(None), 1.0).expect("in range").1.is_none());
        let remark = finish(Scaler::whole(None, None, ALL), 3360.0).expect("a range").1.expect("dark");
        assert!(remark.contains("3360 of 65535") && remark.ends_with("--range 0,4095"), "{remark}");
        assert!(finish(Scaler::whole(None, None, ALL), 20000.0).expect("a range").1.is_none());
    }

    #[test]
    fn a_set_has_one_range() {
        let depth = |highest, high, is_declared| {
            let range = ValueRange { low: 0.0, high };
            Depth { range, is_declared, is_float: false, highest }
        };
        let of = |depths: &[Depth]| ValueRange::of_set(depths).map(|range| range.high);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[depth(3360.0, 65535.0, false), depth(900.0, 65535.0, false)]), Some(4095.0));
        assert_eq!(of(&[depth(3360.0, 65535.0, false), depth(60000.0, 65535.0, false)]), Some(65535.0));
        assert_eq!(of(&[depth(90.0, 4095.0, true), depth(900.0, 4095.0, true)]), Some(4095.0));
        assert_eq!(of(&[depth(100000.0, 4294967295.0, false)]), Some(4294967295.0));
    }

    #[test]
    fn ranges_are_written_and_read() {
        let range = ValueRange { low: -0.5, high: 4095.0 };
        let (key, value) = range.to_metadata();
        let read = |value: &str| ValueRange::from_metadata(&[(key.as_str(), value)].into());
        assert_eq!(read(&value).expect("our own words"), Some(range));
        assert_eq!(ValueRange::from_metadata(&[].into()).expect("nothing"), None);
        for nonsense in ["", "1", "2,1", "1,1", "0,inf", "a,b"] {
            assert!(read(nonsense).expect_err("nonsense").to_string().contains("`pcsnet.range` is `"));
        }
    }
}
