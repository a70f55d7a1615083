//! GIF.

use super::{Decoder, Pixels, Reason};
use ::gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};
use ::image::{Rgb, RgbImage};
use std::io::Cursor;
use std::num::NonZeroU64;

/// The first picture on its screen. What it leaves uncovered gets the transparent colour, or the palette's first, as in
/// Pillow.
pub(super) fn decode_gif(bytes: &[u8], options: &Decoder) -> Result<Pixels, Reason> {
    let unusable = |error: DecodingError| format!("not a usable GIF image: {error}");
    let mut reading = DecodeOptions::new();
    reading.set_color_output(ColorOutput::Indexed);
    reading.check_frame_consistency(true);
    reading.set_memory_limit(MemoryLimit::Bytes(NonZeroU64::MIN.saturating_add(options.max_pixels)));
    let mut decoder = reading.read_info(Cursor::new(bytes)).map_err(unusable)?;
    let (width, height) = (u32::from(decoder.width()), u32::from(decoder.height()));
    options.check_size(width.into(), height.into())?;
    let frame = decoder.read_next_frame().map_err(unusable)?.ok_or("the GIF holds no picture")?.clone();
    let palette = match &frame.palette {
        Some(local) => local,
        None => decoder.global_palette().ok_or("the GIF holds no palette")?,
    };
    let colour = |index: u8| match palette.chunks_exact(3).nth(index.into()) {
        Some(&[r, g, b]) => Rgb(options.opaque([r, g, b], if frame.transparent == Some(index) { 0 } else { 255 })),
        _ => Rgb([0; 3]),
    };
    let mut screen = RgbImage::from_pixel(width, height, colour(frame.transparent.unwrap_or(0)));
    let (left, top) = (u32::from(frame.left), u32::from(frame.top));
    for (row, indices) in (top..).zip(frame.buffer.chunks_exact(usize::from(frame.width.max(1)))) {
        for (column, &index) in (left..).zip(indices) {
            screen.put_pixel(column, row, colour(index));
        }
    }
    let mut pixels = Pixels::new(screen);
    if matches!(decoder.next_frame_info(), Ok(Some(_))) {
        pixels.remarks.push("it is an animation, of which the first picture is taken".to_owned());
    }
    Ok(pixels)
}
