//! PNM: PBM, PGM, PPM and PAM.

use super::depth::{Scaler, ValueRange};
use super::{Decoder, Pixels, Reason};
use ::image::codecs::pnm::PnmDecoder;
use ::image::{DynamicImage, ImageDecoder, RgbImage};
use std::io::Cursor;

/// Decodes a PNM. Up to 8 bits, samples are stretched from 0 to the declared maximum to 0 to 255, as in Pillow; deeper
/// ones follow [`ValueRange`], which is by default 0 to the declared maximum. The `image` crate has stretched all
/// samples, with a rounding of its own, so that they are brought back first.
pub(super) fn decode_pnm(bytes: &[u8], options: &Decoder) -> Result<Pixels, Reason> {
    let unusable = |error: ::image::ImageError| format!("not a usable PNM image: {error}");
    let (_, header) = PnmDecoder::new(Cursor::new(bytes)).map_err(unusable)?.into_inner();
    let maximum = if header.as_bitmap().is_some() { 255 } else { header.maximal_sample() };
    let decoder = PnmDecoder::new(Cursor::new(bytes)).map_err(unusable)?;
    let (width, height) = decoder.dimensions();
    options.check_size(width.into(), height.into())?;
    let image = DynamicImage::from_decoder(decoder).map_err(unusable)?;
    if maximum > 255 {
        let declared = ValueRange { low: 0.0, high: maximum.into() };
        let mut scaler = Scaler::whole(options.range, Some(declared), declared);
        let deep = image.into_rgb16();
        let sample = |stretched: &u16| (f64::from(*stretched) * f64::from(maximum) / 65535.0).round();
        let levels = deep.iter().map(|stretched| scaler.level(sample(stretched))).collect();
        let image = RgbImage::from_raw(width, height, levels).ok_or("pixels are missing")?;
        return Ok(Pixels { scaler: Some(scaler), ..Pixels::new(image) });
    }
    let mut image = image.into_rgb8();
    if maximum != 255 {
        let maximum = f64::from(maximum);
        // Pillow rounds a half to the even neighbour.
        let stretched = |sample: f64| (sample / maximum * 255.0).round_ties_even() as u8;
        image.iter_mut().for_each(|level| *level = stretched((f64::from(*level) * maximum / 255.0).round()));
    }
    Ok(Pixels::new(image))
}
