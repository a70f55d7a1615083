//! Image files to 8-bit RGB, with the values that Pillow's `ImageOps.exif_transpose(Image.open(path)).convert("RGB")`
//! gives.
//!
//! The format is told by the content, never by the file's name: PNG, JPEG, BMP, TIFF, WebP, GIF (first picture) and PNM
//! (PBM, PGM, PPM). An orientation in EXIF or TIFF is applied: photographs come as people see them.
//!
//! The values are Pillow's exactly, but for two uses of another JPEG decoder than Pillow's: of JPEG files in the
//! browser they may differ by a few levels, and of the rare TIFF that is compressed as JPEG too. Samples of more than 8
//! bits, which Pillow clips or does not read, follow [`ValueRange`].

mod colour;
mod depth;
mod foreign;
mod gif;
#[cfg_attr(target_arch = "wasm32", path = "jpeg_web.rs")]
#[cfg_attr(not(target_arch = "wasm32"), path = "jpeg.rs")]
mod jpeg;
mod orientation;
mod png;
mod pnm;
mod tiff;

pub use depth::{Depth, ValueRange};

use super::Rect;
use crate::{Error, Result};
use ::image::metadata::Orientation;
use ::image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use depth::Scaler;
use std::fs::File;
use std::io::{Cursor, Read};
use std::ops::Range;
use std::panic;
use std::path::Path;

/// The most pixels an image may have unless [`Decoder::with_max_pixels`] says otherwise; more are refused before
/// anything is decoded. Pillow's limit for the same purpose (twice `Image.MAX_IMAGE_PIXELS`).
pub const MAX_PIXELS: u64 = 178_956_970;

/// The most bytes a file may have, where no more than [`MAX_PIXELS`] are allowed.
pub const MAX_BYTES: u64 = 1 << 30;

/// The most bytes that a decoder may take for a pixel: four channels of 32 bits.
const BYTES_A_PIXEL: u64 = 16;

/// What is wrong with a file that its decoder did not expect.
const PANICKED: &str = "its decoder broke down over it: the file is damaged, or made to do harm; save the picture anew";

/// What is wrong with a file; [`Decoder::decode`] adds the file's name.
type Reason = String;

/// Reads and decodes an image file with the defaults of [`Decoder`].
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, otherwise those of [`decode`].
pub fn open(path: impl AsRef<Path>) -> Result<RgbImage> {
    let path = path.as_ref();
    Decoder::default().open(path)?.whole(&path.display().to_string())
}

/// Decodes the bytes of an image file with the defaults of [`Decoder`]; errors call it `name`.
///
/// # Errors
/// Those of [`Decoder::decode`], and [`Error::Image`] for a file of which a part is missing.
pub fn decode(bytes: &[u8], name: &str) -> Result<RgbImage> {
    Decoder::default().decode(bytes, name)?.whole(name)
}

/// How image files are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decoder {
    range: Option<ValueRange>,
    max_pixels: u64,
    /// Whether what is fully transparent becomes black, as in masks; otherwise alpha is dropped.
    clear_is_black: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { range: None, max_pixels: MAX_PIXELS, clear_is_black: false }
    }
}

/// A decoded image file.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The picture, upright.
    pub image: RgbImage,
    /// The part of the picture that the file lacks, because it was cut short or damaged.
    pub missing: Option<Rect>,
    /// What is known of samples of more than 8 bits; `None` where there are none.
    pub depth: Option<Depth>,
    /// What whoever uses the picture should be told, each a sentence without its full stop.
    pub remarks: Vec<String>,
}

impl Decoded {
    /// The picture, if nothing of it is missing.
    ///
    /// # Errors
    /// [`Error::Image`], which calls the file `name`, where a part is missing.
    pub fn whole(self, name: &str) -> Result<RgbImage> {
        match self.missing {
            None => Ok(self.image),
            Some(_) => Err(Error::Image { name: name.to_owned(), reason: self.remarks.join("; ") }),
        }
    }
}

impl Decoder {
    /// What is black and white in files of more than 8 bits a sample, instead of what each file declares; `None` for
    /// what each file declares.
    pub fn with_range(self, range: Option<ValueRange>) -> Self {
        Self { range, ..self }
    }

    /// The most pixels an image may have; [`MAX_PIXELS`] by default.
    pub fn with_max_pixels(self, max_pixels: u64) -> Self {
        Self { max_pixels, ..self }
    }

    /// For masks, where only black is background: small samples of any depth keep their values, and what is fully
    /// transparent is black.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn for_masks(self) -> Self {
        Self { range: Some(ValueRange::of_bits(8)), clear_is_black: true, ..self }
    }

    /// Reads and decodes an image file.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, otherwise those of [`Decoder::decode`].
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Decoded> {
        let path = path.as_ref();
        let mut bytes = Vec::new();
        File::open(path)
            // One byte more than is allowed, so that a longer file shows.
            .and_then(|file| file.take(self.max_bytes() + 1).read_to_end(&mut bytes))
            .map_err(Error::io("read", path))?;
        self.decode(&bytes, &path.display().to_string())
    }

    /// Decodes the bytes of an image file; errors call it `name`.
    ///
    /// The pixels are those of Pillow's `ImageOps.exif_transpose(Image.open(path)).convert("RGB")`: alpha is dropped
    /// and not blended, and of an animation or several pages the first is taken, with a remark. Samples of more than 8
    /// bits follow [`ValueRange`]. Only in the browser (on wasm32) are the pixels of a JPEG others: by at most 1 level
    /// in grey files, in about 0.5 % of the pixels, and by at most 4 levels in colour files, in up to half of the
    /// pixels where chroma is subsampled.
    ///
    /// Of a PNG, TIFF or JPEG that is cut short or damaged, what is there is read, and the rest is
    /// [`missing`](Decoded::missing); progressive JPEGs and interlaced PNGs excepted, where damage is everywhere.
    ///
    /// # Errors
    /// [`Error::Image`] if the bytes are empty, no image of a known format, damaged so that nothing is left, of a kind
    /// of pixels that is not read, or an image of too many pixels or bytes.
    pub fn decode(&self, bytes: &[u8], name: &str) -> Result<Decoded> {
        // An assertion in a decoder that a hostile file reaches fails that file, and not the line that inspects parts.
        let pixels = panic::catch_unwind(|| self.pixels(bytes)).unwrap_or_else(|_| Err(PANICKED.to_owned()));
        pixels.and_then(Pixels::finish).map_err(|reason| Error::Image { name: name.to_owned(), reason })
    }

    /// The most bytes a file may have.
    fn max_bytes(&self) -> u64 {
        MAX_BYTES.max(self.max_pixels.saturating_mul(6))
    }

    fn pixels(&self, bytes: &[u8]) -> Result<Pixels, Reason> {
        if bytes.is_empty() {
            return Err("the file is empty".to_owned());
        }
        if bytes.len() as u64 > self.max_bytes() {
            return Err(format!("the file is longer than {} bytes, the most that is read", self.max_bytes()));
        }
        match ::image::guess_format(bytes) {
            Ok(ImageFormat::Jpeg) => self.jpeg(bytes),
            Ok(ImageFormat::Gif) => gif::decode_gif(bytes, self),
            Ok(ImageFormat::Pnm) => pnm::decode_pnm(bytes, self),
            Ok(ImageFormat::Png) => png::decode_png(bytes, self),
            Ok(ImageFormat::Tiff) => tiff::decode_tiff(bytes, self),
            Ok(format @ (ImageFormat::Bmp | ImageFormat::WebP)) => self.lossless(bytes, format),
            _ if tiff::is_big(bytes) => tiff::decode_tiff(bytes, self),
            _ => match foreign::format(bytes) {
                Some(reason) => Err(reason),
                None => self.jpeg(jpeg_within(bytes).ok_or_else(foreign::unknown)?),
            },
        }
    }

    fn jpeg(&self, bytes: &[u8]) -> Result<Pixels, Reason> {
        let mut pixels = jpeg::decode_jpeg(bytes, self)?;
        pixels.orientation = orientation::of_jpeg(bytes);
        Ok(pixels)
    }

    /// A format that the `image` crate decodes to Pillow's values by itself.
    fn lossless(&self, bytes: &[u8], format: ImageFormat) -> Result<Pixels, Reason> {
        let unusable = |error: ::image::ImageError| format!("not a usable {} image: {error}", name_of(format));
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(self.max_pixels.saturating_mul(BYTES_A_PIXEL));
        let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(unusable)?;
        let (width, height) = decoder.dimensions();
        self.check_size(width.into(), height.into())?;
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let image = match DynamicImage::from_decoder(decoder).map_err(unusable)? {
            DynamicImage::ImageRgba8(image) if self.clear_is_black => {
                let colour = |pixel: &::image::Rgba<u8>| self.opaque([pixel[0], pixel[1], pixel[2]], pixel[3]);
                from_colours(image.dimensions(), image.pixels().map(colour))?
            }
            image => image.into_rgb8(),
        };
        let image = if format == ImageFormat::Bmp { as_pillow_stretches(image, bytes) } else { image };
        Ok(Pixels { orientation, ..Pixels::new(image) })
    }

    fn check_size(&self, width: u64, height: u64) -> Result<(), Reason> {
        match width.saturating_mul(height) {
            0 => Err(format!("the image has no pixels ({width} x {height})")),
            pixels if pixels > self.max_pixels => Err(format!(
                "the image has {width} x {height} pixels, at most {} are read; --max-pixels {pixels} reads it",
                self.max_pixels
            )),
            _ => Ok(()),
        }
    }

    /// A colour whose alpha is dropped.
    fn opaque(&self, colour: [u8; 3], alpha: u8) -> [u8; 3] {
        if self.clear_is_black && alpha == 0 { [0; 3] } else { colour }
    }
}

/// What a format's decoder makes of a file.
struct Pixels {
    /// The picture as it is stored, not yet turned upright.
    image: RgbImage,
    /// The rows that are missing from `image`.
    missing: Range<u32>,
    orientation: Orientation,
    scaler: Option<Scaler>,
    remarks: Vec<String>,
}

impl Pixels {
    fn new(image: RgbImage) -> Self {
        let orientation = Orientation::NoTransforms;
        Self { image, missing: 0..0, orientation, scaler: None, remarks: Vec::new() }
    }

    /// An image of which only the first rows are whole.
    fn with_rows(image: RgbImage, whole: u32) -> Result<Self, Reason> {
        let height = image.height();
        match whole {
            0 => Err("the file is cut short or damaged from its first row of pixels on; copy it again".to_owned()),
            _ => Ok(Self { missing: whole.min(height)..height, ..Self::new(image) }),
        }
    }

    /// Turns the picture upright.
    fn finish(mut self) -> Result<Decoded, Reason> {
        let (width, height) = self.image.dimensions();
        let Range { start, end } = self.missing;
        let missing = (start < end).then(|| {
            self.remarks.push(format!(
                "rows {} to {end} of {height} are missing, because the file is cut short or damaged; copy it again",
                start + 1
            ));
            let rows = Rect { x: 0, y: start, width, height: end - start };
            orientation::turned_rect(rows, (width, height), self.orientation)
        });
        let depth = match self.scaler.map(Scaler::finish).transpose()? {
            Some((depth, remark)) => {
                self.remarks.extend(remark);
                Some(depth)
            }
            None => None,
        };
        let image = orientation::turned(self.image, self.orientation);
        Ok(Decoded { image, missing, depth, remarks: self.remarks })
    }
}

/// The picture of a BMP, where its 5 or 6 bits a sample are stretched to 8 with the rounding of Pillow, which is
/// downwards; the `image` crate's is to the nearest.
fn as_pillow_stretches(mut image: RgbImage, bytes: &[u8]) -> RgbImage {
    // The bits of a pixel, the kind of compression that stands for masks, and the mask of green that has 6 bits.
    let is_deep = bytes.get(28..30) == Some(&[16, 0]);
    let has_six = bytes.get(30..34) == Some(&[3, 0, 0, 0]) && bytes.get(58..62) == Some(&[0xe0, 0x07, 0, 0]);
    let most = if has_six { [31_u32, 63, 31] } else { [31; 3] };
    let stretched = |level: u8, most: u32| ((u32::from(level) * most + 127) / 255 * 255 / most) as u8;
    if is_deep {
        image.pixels_mut().for_each(|pixel| pixel.0 = std::array::from_fn(|at| stretched(pixel.0[at], most[at])));
    }
    image
}

/// An image of `dimensions` from its pixels, row by row.
fn from_colours(dimensions: (u32, u32), colours: impl Iterator<Item = [u8; 3]>) -> Result<RgbImage, Reason> {
    let mut pixels = Vec::with_capacity(3 * dimensions.0 as usize * dimensions.1 as usize);
    pixels.extend(colours.flatten());
    RgbImage::from_raw(dimensions.0, dimensions.1, pixels).ok_or_else(|| "pixels are missing".to_owned())
}

/// The JPEG that begins within a file's first bytes: some cameras put bytes of their own before it.
fn jpeg_within(bytes: &[u8]) -> Option<&[u8]> {
    let near = &bytes[..bytes.len().min(1 << 12)];
    let start = near.windows(3).position(|marker| marker == [0xff, 0xd8, 0xff])?;
    Some(&bytes[start..])
}

fn name_of(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Bmp => "BMP",
        ImageFormat::WebP => "WebP",
        _ => "supported",
    }
}

#[cfg(test)]
mod tests;
