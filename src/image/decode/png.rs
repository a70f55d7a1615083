//! PNG.

use super::depth::{Scaler, ValueRange};
use super::{Decoder, Pixels, Reason, orientation};
use ::image::RgbImage;
use ::image::metadata::Orientation;
use ::png::{BitDepth, ColorType, DecodingError, Limits, Transformations};
use std::io::{Cursor, ErrorKind};

/// Decodes a PNG row by row, so that of one that was cut short the rows that are there are read.
pub(super) fn decode_png(bytes: &[u8], options: &Decoder) -> Result<Pixels, Reason> {
    let mut decoder = ::png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let header = decoder.read_header_info().map_err(unusable)?;
    let (width, height) = header.size();
    options.check_size(width.into(), height.into())?;
    // A few rows, or a whole interlaced picture of 4 channels of 16 bits.
    decoder.set_limits(Limits { bytes: (u64::from(width) * u64::from(height) * 8).max(1 << 26) as usize });
    let mut reader = decoder.read_info().map_err(unusable)?;
    // The png crate takes this for granted, and panics (https://github.com/image-rs/image-png/issues/694).
    if reader.info().palette.as_ref().is_some_and(|palette| palette.len() % 3 != 0) {
        return Err(damaged("its palette ends within a colour"));
    }
    let is_interlaced = reader.info().interlaced;
    let (colour, depth) = reader.output_color_type();
    let mut rows = Rows::new(colour, depth, options)?;
    let mut image = RgbImage::new(width, height);
    let stride = 3 * width as usize;
    let mut whole = height;
    if is_interlaced {
        let size = reader.output_buffer_size().ok_or("the image is too large")?;
        let mut samples = vec![0; size];
        reader.next_frame(&mut samples).map_err(unusable)?;
        let lines = samples.chunks_exact((size / height as usize).max(1));
        lines.zip(image.chunks_exact_mut(stride)).for_each(|(samples, row)| rows.convert(samples, row));
    } else {
        for (y, row) in (0..).zip(image.chunks_exact_mut(stride)) {
            match reader.next_row() {
                Ok(Some(samples)) => rows.convert(samples.data(), row),
                Ok(None) => whole = whole.min(y),
                Err(error) if is_end(&error) => whole = whole.min(y),
                Err(error) => return Err(unusable(error)),
            }
        }
    }
    let exif = reader.info().exif_metadata.as_deref().and_then(orientation::of_exif);
    let is_animated = reader.info().animation_control().is_some();
    if whole == height {
        match reader.finish() {
            Err(error) if !is_end(&error) => return Err(unusable(error)),
            _ => {}
        }
    }
    // An EXIF behind the pixels counts too.
    let exif = exif.or_else(|| reader.info().exif_metadata.as_deref().and_then(orientation::of_exif));
    let mut pixels = Pixels::with_rows(image, whole)?;
    pixels.orientation = exif.unwrap_or(Orientation::NoTransforms);
    pixels.scaler = rows.scaler;
    if is_animated {
        pixels.remarks.push("it is an animation, of which the first picture is taken".to_owned());
    }
    Ok(pixels)
}

fn is_end(error: &DecodingError) -> bool {
    matches!(error, DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof)
}

fn unusable(error: DecodingError) -> Reason {
    match error {
        error if is_end(&error) => damaged("the file is cut short"),
        DecodingError::LimitsExceeded => {
            "not a usable PNG image: it asks for more memory than its pixels need".to_owned()
        }
        error => {
            let what = error.to_string();
            // What else a wrong checksum spoilt is not known, so that none of the picture can be trusted.
            damaged(match what.contains("CRC error") {
                true => "a checksum in it is wrong, so its contents were changed by accident",
                false => what.trim_end_matches('.'),
            })
        }
    }
}

fn damaged(what: &str) -> Reason {
    format!("not a usable PNG image: {what}; copy it again from where it came")
}

/// From rows of samples to rows of RGB.
struct Rows<'a> {
    channels: usize,
    /// What brings samples of 16 bits to 8.
    scaler: Option<Scaler>,
    options: &'a Decoder,
}

impl<'a> Rows<'a> {
    fn new(colour: ColorType, depth: BitDepth, options: &'a Decoder) -> Result<Self, Reason> {
        let all = ValueRange::of_bits(16);
        let scaler = (depth == BitDepth::Sixteen).then(|| Scaler::whole(options.range, None, all));
        Ok(Self { channels: colour.samples(), scaler, options })
    }

    fn convert(&mut self, samples: &[u8], row: &mut [u8]) {
        match self.scaler.take() {
            None => self.colours(samples, row),
            Some(mut scaler) => {
                let sample = |bytes: &[u8]| u16::from_be_bytes([bytes[0], bytes[1]]).into();
                let levels: Vec<u8> = samples.chunks_exact(2).map(|bytes| scaler.level(sample(bytes))).collect();
                self.scaler = Some(scaler);
                self.colours(&levels, row);
            }
        }
    }

    fn colours(&self, levels: &[u8], row: &mut [u8]) {
        for (levels, pixel) in levels.chunks_exact(self.channels).zip(row.chunks_exact_mut(3)) {
            pixel.copy_from_slice(&match *levels {
                [grey, alpha] => self.options.opaque([grey; 3], alpha),
                [red, green, blue] => [red, green, blue],
                [red, green, blue, alpha] => self.options.opaque([red, green, blue], alpha),
                _ => [levels[0]; 3],
            });
        }
    }
}
