//! JPEG in the browser, where libjpeg-turbo, being C, is not built: by zune-jpeg.
//!
//! It differs from Pillow. Its inverse cosine transform rounds otherwise, which grey files show by at most 1 level, in
//! about 0.5 % of the pixels; and it interpolates subsampled chroma otherwise, which colour files show by at most 4
//! levels, in up to half of the pixels. It does not tell where data are missing, so that damaged files are refused.

use super::{Decoder, Pixels, Reason};
use ::image::RgbImage;
use std::borrow::Cow;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// What ends a JPEG.
const END: [u8; 2] = [0xff, 0xd9];

/// Decodes a JPEG of any kind, CMYK and YCCK in Adobe's inverted convention as in Pillow.
///
/// Not through the `image` crate, because that fills what a truncated file lacks with grey.
pub(super) fn decode_jpeg(bytes: &[u8], decoder: &Decoder) -> Result<Pixels, Reason> {
    let unusable = |error: zune_jpeg::errors::DecodeErrors| {
        format!("not a usable JPEG image: {error}; it is cut short or damaged, copy it again")
    };
    let side = usize::from(u16::MAX);
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(side)
        .set_max_height(side)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    // Some cameras leave the end mark out, and lose nothing by it.
    let ended = if bytes.ends_with(&END) { Cow::Borrowed(bytes) } else { Cow::Owned([bytes, &END].concat()) };
    let mut jpeg = JpegDecoder::new_with_options(ZCursor::new(&*ended), options);
    jpeg.decode_headers().map_err(unusable)?;
    let (width, height) = jpeg.dimensions().ok_or("not a usable JPEG image: no frame header")?;
    decoder.check_size(width as u64, height as u64)?;
    let pixels = jpeg.decode().map_err(unusable)?;
    let image = RgbImage::from_raw(width as u32, height as u32, pixels);
    image.map(Pixels::new).ok_or_else(|| "not a usable JPEG image: pixels are missing".to_owned())
}
