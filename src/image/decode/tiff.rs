//! TIFF and BigTIFF.
//!
//! The `tiff` crate unpacks samples; what they mean is decided here, for it knows fewer kinds than cameras and editors
//! write.

use super::depth::{Scaler, ValueRange};
use super::{Decoder, Pixels, Reason, colour, from_colours};
use ::image::RgbImage;
use ::image::metadata::Orientation;
use ::tiff::decoder::{Decoder as Reader, DecodingResult, Limits};
use ::tiff::tags::Tag;
use ::tiff::{ColorType, TiffError, TiffUnsupportedError};
use std::io::{Cursor, ErrorKind};
use std::ops::Range;

// What samples mean, by TIFF's numbers (`PhotometricInterpretation`).
const WHITE_IS_ZERO: u16 = 0;
const BLACK_IS_ZERO: u16 = 1;
const RGB: u16 = 2;
const PALETTE: u16 = 3;
const CMYK: u16 = 5;
const YCBCR: u16 = 6;

// What a sample beyond the colour's means (`ExtraSamples`): an opacity that colours were multiplied by, or one beside
// them.
const ASSOCIATED_ALPHA: u16 = 1;
const UNASSOCIATED_ALPHA: u16 = 2;

/// The most bytes that the value of one tag may have.
const MAX_TAG: usize = 1 << 24;

/// Whether a file begins as a BigTIFF.
pub(super) fn is_big(bytes: &[u8]) -> bool {
    bytes.starts_with(b"II\x2b\0\x08\0") || bytes.starts_with(b"MM\0\x2b\0\x08")
}

/// Decodes the first page, part by part (strip or tile), so that of a file that was cut short the parts that are there
/// are read.
pub(super) fn decode_tiff(bytes: &[u8], options: &Decoder) -> Result<Pixels, Reason> {
    let Some(Entry { value: meaning, at }) = photometric(bytes) else {
        return Err(unusable(
            "it does not say what its samples mean, has a tag without a value, or is cut short; save it as grey or RGB",
        ));
    };
    let bytes = with_raw_samples(bytes, at);
    let mut page = Page::open(&bytes, meaning, options)?;
    let levels = page.levels()?;
    if page.missing == (0..page.height) {
        return Err(page.failure.unwrap_or_else(|| unusable("it holds no pixels")));
    }
    let image = page.image(levels)?;
    let orientation = page.tag(Tag::Orientation).and_then(|value| Orientation::from_exif(value.min(255) as u8));
    let mut pixels = Pixels {
        missing: page.missing,
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        scaler: page.scaler,
        ..Pixels::new(image)
    };
    if page.reader.more_images() {
        pixels.remarks.push("it has several pages, of which the first is taken".to_owned());
    }
    Ok(pixels)
}

fn unusable(why: &str) -> Reason {
    format!("not a usable TIFF image: {why}")
}

/// A TIFF's first page.
struct Page<'a> {
    reader: Reader<Cursor<&'a [u8]>>,
    options: &'a Decoder,
    width: u32,
    height: u32,
    /// What the samples mean.
    meaning: u16,
    /// Samples a pixel, and how many of them are colour or opacity.
    samples: usize,
    used: usize,
    /// What the sample behind the colour is, if any.
    extra: Option<u16>,
    bits: u32,
    is_planar: bool,
    /// What brings samples of more than 8 bits to 8, once the first was met.
    scaler: Option<Scaler>,
    /// Rows that could not be read, and why the first could not.
    missing: Range<u32>,
    failure: Option<Reason>,
}

impl<'a> Page<'a> {
    fn open(bytes: &'a [u8], meaning: u16, options: &'a Decoder) -> Result<Self, Reason> {
        let mut reader = Reader::new(Cursor::new(bytes)).map_err(reason)?;
        let (width, height) = reader.dimensions().map_err(reason)?;
        options.check_size(width.into(), height.into())?;
        let buffer = usize::try_from(options.max_pixels.saturating_mul(super::BYTES_A_PIXEL)).unwrap_or(usize::MAX);
        let mut limits = Limits::default();
        limits.decoding_buffer_size = buffer;
        limits.intermediate_buffer_size = buffer;
        limits.ifd_value_size = MAX_TAG;
        let mut reader = reader.with_limits(limits);
        let (bits, samples) = match reader.colortype().map_err(reason)? {
            ColorType::Gray(bits) => (bits, 1),
            ColorType::Multiband { bit_depth, num_samples } => (bit_depth, usize::from(num_samples)),
            _ => return Err(unread()),
        };
        let colours = match meaning {
            WHITE_IS_ZERO | BLACK_IS_ZERO | PALETTE => 1,
            RGB | YCBCR => 3,
            CMYK => 4,
            _ => return Err(unread()),
        };
        if samples < colours || (meaning == PALETTE && bits > 8) || !matches!(bits, 1 | 2 | 4 | 8 | 16 | 32 | 64) {
            return Err(unread());
        }
        let extra = reader.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples).ok().flatten();
        let extra = extra.and_then(|extra| extra.first().copied());
        let has_alpha = samples > colours && matches!(extra, Some(ASSOCIATED_ALPHA | UNASSOCIATED_ALPHA));
        let planar = reader.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).ok().flatten();
        Ok(Self {
            reader,
            options,
            width,
            height,
            meaning,
            samples,
            used: colours + usize::from(has_alpha),
            extra: extra.filter(|_| has_alpha),
            bits: bits.into(),
            is_planar: planar == Some(2),
            scaler: None,
            missing: 0..0,
            failure: None,
        })
    }

    fn tag(&mut self, tag: Tag) -> Option<u32> {
        self.reader.find_tag_unsigned(tag).ok().flatten()
    }

    /// The samples that are used as 8 bits each, side by side for each pixel.
    fn levels(&mut self) -> Result<Vec<u8>, Reason> {
        let (width, used) = (self.width as usize, self.used);
        let mut levels = vec![0; width * self.height as usize * used];
        let (part_width, part_height) = self.reader.chunk_dimensions();
        let (across, down) = (self.width.div_ceil(part_width), self.height.div_ceil(part_height));
        // Samples that lie side by side in a part, and how many parts lie on one another.
        let (together, planes) = if self.is_planar { (1, used as u32) } else { (self.samples, 1) };
        for part in 0..across * down * planes {
            let (plane, place) = (part / (across * down), part % (across * down));
            let (x, y) = (place % across * part_width, place / across * part_height);
            let (columns, rows) = self.reader.chunk_data_dimensions(part);
            let line = columns as usize * together;
            let found = match self.reader.read_chunk(part).map_err(reason) {
                Ok(samples) => self.eight_bits(samples, line),
                Err(failure) => {
                    self.lose(y..y + rows, failure);
                    continue;
                }
            };
            for (row, line) in (y..y + rows).zip(found.chunks_exact(line)) {
                let start = (row as usize * width + x as usize) * used + plane as usize;
                let pixels = levels[start..].chunks_mut(used);
                for (pixel, samples) in pixels.zip(line.chunks_exact(together)) {
                    let count = together.min(used);
                    pixel[..count].copy_from_slice(&samples[..count]);
                }
            }
        }
        Ok(levels)
    }

    fn lose(&mut self, rows: Range<u32>, failure: Reason) {
        self.missing = match self.missing.is_empty() {
            true => rows,
            false => self.missing.start.min(rows.start)..self.missing.end.max(rows.end),
        };
        self.failure.get_or_insert(failure);
    }

    /// The samples of a part as 8 bits each; `line` of them a row.
    fn eight_bits(&mut self, samples: DecodingResult, line: usize) -> Vec<u8> {
        use DecodingResult::{F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};
        if let U8(samples) = samples {
            return if self.bits < 8 { self.unpacked(&samples, line) } else { samples };
        }
        let mut scaler = match self.scaler.take() {
            Some(scaler) => scaler,
            None => self.new_scaler(&samples),
        };
        let levels = match samples {
            U8(samples) => samples,
            U16(samples) => samples.into_iter().map(|sample| scaler.level(sample.into())).collect(),
            U32(samples) => samples.into_iter().map(|sample| scaler.level(sample.into())).collect(),
            U64(samples) => samples.into_iter().map(|sample| scaler.level(sample as f64)).collect(),
            I8(samples) => samples.into_iter().map(|sample| scaler.level(sample.into())).collect(),
            I16(samples) => samples.into_iter().map(|sample| scaler.level(sample.into())).collect(),
            I32(samples) => samples.into_iter().map(|sample| scaler.level(sample.into())).collect(),
            I64(samples) => samples.into_iter().map(|sample| scaler.level(sample as f64)).collect(),
            F16(samples) => samples.into_iter().map(|sample| scaler.level(sample.into())).collect(),
            F32(samples) => samples.into_iter().map(|sample| scaler.level(sample.into())).collect(),
            F64(samples) => samples.into_iter().map(|sample| scaler.level(sample)).collect(),
        };
        self.scaler = Some(scaler);
        levels
    }

    fn new_scaler(&mut self, samples: &DecodingResult) -> Scaler {
        use DecodingResult::{F16, F32, F64, I8, I16, I32, I64};
        let half = 2.0_f64.powi(self.bits as i32 - 1);
        let all = match samples {
            F16(_) | F32(_) | F64(_) => return Scaler::float(self.options.range),
            I8(_) | I16(_) | I32(_) | I64(_) => ValueRange { low: -half, high: half - 1.0 },
            _ => ValueRange::of_bits(self.bits),
        };
        // Any other maximum is but a statistic of this one picture.
        let maximum = self.tag(Tag::MaxSampleValue).map(f64::from);
        let declared = [10, 12, 14].map(ValueRange::of_bits).into_iter().find(|range| Some(range.high) == maximum);
        Scaler::whole(self.options.range, declared, all)
    }

    /// Samples of less than 8 bits, each row of which begins with a byte; stretched to 0 to 255, but for a palette's.
    fn unpacked(&self, packed: &[u8], line: usize) -> Vec<u8> {
        let bits = self.bits as usize;
        let most = (1_u32 << bits) - 1;
        let scale = if self.meaning == PALETTE { 1 } else { 255 / most };
        let row = |packed: &[u8]| -> Vec<u8> {
            let sample = |at: usize| u32::from(packed[at / 8]) >> (8 - bits - at % 8) & most;
            (0..line).map(|at| (sample(at * bits) * scale) as u8).collect()
        };
        packed.chunks_exact((line * bits).div_ceil(8)).flat_map(row).collect()
    }

    /// The picture that samples of 8 bits mean.
    fn image(&mut self, levels: Vec<u8>) -> Result<RgbImage, Reason> {
        let palette = if self.meaning == PALETTE { self.palette()? } else { Vec::new() };
        let colour = |samples: &[u8]| match (self.meaning, samples) {
            (WHITE_IS_ZERO, [grey, ..]) => [255 - grey; 3],
            (PALETTE, [index, ..]) => palette.get(usize::from(*index)).copied().unwrap_or_default(),
            (CMYK, &[cyan, magenta, yellow, black, ..]) => colour::rgb_from_cmyk([cyan, magenta, yellow, black]),
            (YCBCR, &[luma, blue, red, ..]) => colour::rgb_from_ycbcr([luma, blue, red]),
            (_, &[red, green, blue, ..]) => [red, green, blue],
            (_, samples) => [samples[0]; 3],
        };
        let pixel = |samples: &[u8]| match (self.extra, samples.last()) {
            (Some(ASSOCIATED_ALPHA), Some(&alpha)) => colour::unmultiplied(colour(samples), alpha),
            (Some(_), Some(&alpha)) => self.options.opaque(colour(samples), alpha),
            _ => colour(samples),
        };
        from_colours((self.width, self.height), levels.chunks_exact(self.used).map(pixel))
    }

    fn palette(&mut self) -> Result<Vec<[u8; 3]>, Reason> {
        let entries = self.reader.find_tag_unsigned_vec::<u16>(Tag::ColorMap).map_err(reason)?;
        let entries = entries.ok_or_else(|| unusable("its palette is missing"))?;
        let third = entries.len() / 3;
        Ok((0..third).map(|at| [at, at + third, at + 2 * third].map(|at| (entries[at] >> 8) as u8)).collect())
    }
}

fn unread() -> Reason {
    unusable("its samples are of a kind that is not read; save it as grey or RGB of 8 or 16 bits")
}

/// A number in a TIFF's first directory, and where in the file it stands.
struct Entry {
    value: u16,
    at: usize,
}

/// Finds what the samples mean, in a directory whose tags all have values: the `tiff` crate counts on it.
fn photometric(bytes: &[u8]) -> Option<Entry> {
    let is_little = bytes.starts_with(b"II");
    let number = |at: usize, length: usize| -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(length)?)?;
        let digits: Box<dyn Iterator<Item = &u8>> =
            if is_little { Box::new(bytes.iter().rev()) } else { Box::new(bytes.iter()) };
        Some(digits.fold(0, |number, &digit| number << 8 | u64::from(digit)))
    };
    // Where the directory's offset is; the lengths of that, of its count, and of an entry; where in an entry its value
    // is.
    let (offset_at, offset_length, count_length, entry_length, value_at) =
        if is_big(bytes) { (8, 8, 8, 20, 12) } else { (4, 4, 2, 12, 8) };
    let directory = usize::try_from(number(offset_at, offset_length)?).ok()?;
    let count = number(directory, count_length)?.min(u64::from(u16::MAX)) as usize;
    let mut entries = (0..count).map(|index| directory.saturating_add(count_length + index * entry_length));
    let is_empty = |entry: usize| number(entry.saturating_add(4), value_at - 4) == Some(0);
    if entries.clone().any(is_empty) {
        return None;
    }
    let wanted = u64::from(Tag::PhotometricInterpretation.to_u16());
    let at = entries.find(|&entry| number(entry, 2) == Some(wanted))?.checked_add(value_at)?;
    Some(Entry { value: number(at, 2)? as u16, at })
}

/// A file with its samples said to mean grey, which the `tiff` crate gives as they are, however many a pixel has.
fn with_raw_samples(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let grey = if bytes.starts_with(b"II") { BLACK_IS_ZERO.to_le_bytes() } else { BLACK_IS_ZERO.to_be_bytes() };
    bytes[at..at + 2].copy_from_slice(&grey);
    bytes
}

/// Why something cannot be read, in words of ours where the crate's would be a list of numbers.
fn reason(error: TiffError) -> Reason {
    match error {
        TiffError::UnsupportedError(TiffUnsupportedError::UnsupportedCompressionMethod(method)) => unusable(&format!(
            "its compression (number {} of TIFF) is not read; save it with none, LZW, Deflate or PackBits",
            method.to_u16()
        )),
        TiffError::UnsupportedError(_) => unread(),
        TiffError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => unusable("the file is cut short"),
        TiffError::LimitsExceeded => unusable("it asks for more memory than its pixels need"),
        error => unusable(error.to_string().trim_end_matches('.')),
    }
}
