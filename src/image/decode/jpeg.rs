//! JPEG on native targets, by libjpeg-turbo's code (as mozjpeg carries it), which is what Pillow decodes with too.

use super::{Decoder, Pixels, Reason, colour};
use ::image::RgbImage;
use std::ffi::{CStr, c_char, c_int, c_uchar, c_uint, c_ulong, c_void};
use std::ptr::NonNull;

// Names the library to the linker.
use mozjpeg_sys as _;

/// More scans than programs write (10 to 20), against small files that take minutes.
const MOST_SCANS: c_int = 100;

// See jpeg.c.
unsafe extern "C" {
    fn pcsnet_jpeg_new(bytes: *const c_uchar, length: c_ulong, most_scans: c_int) -> *mut c_void;
    fn pcsnet_jpeg_free(jpeg: *mut c_void);
    fn pcsnet_jpeg_reason(jpeg: *const c_void) -> *const c_char;
    fn pcsnet_jpeg_header(jpeg: *mut c_void, width: *mut c_uint, height: *mut c_uint, channels: *mut c_uint) -> c_int;
    fn pcsnet_jpeg_rows(jpeg: *mut c_void, pixels: *mut c_uchar, whole_rows: *mut c_uint) -> c_int;
}

/// Decodes a JPEG of any kind to Pillow's values.
pub(super) fn decode_jpeg(bytes: &[u8], decoder: &Decoder) -> Result<Pixels, Reason> {
    let mut jpeg = Jpeg::new(bytes)?;
    let Header { width, height, channels } = jpeg.header()?;
    decoder.check_size(width.into(), height.into())?;
    let (pixels, whole_rows) = jpeg.rows(width as usize * height as usize * channels as usize)?;
    let pixels = if channels == 4 { rgb_from_cmyk(&pixels) } else { pixels };
    let image = RgbImage::from_raw(width, height, pixels).ok_or_else(|| unusable("pixels are missing"))?;
    Pixels::with_rows(image, whole_rows)
}

fn unusable(why: &str) -> Reason {
    format!("not a usable JPEG image: {why}")
}

struct Header {
    width: u32,
    height: u32,
    /// 3 for RGB, 4 for CMYK.
    channels: u32,
}

/// A decoder of jpeg.c and the bytes that it reads.
struct Jpeg<'a> {
    decoder: NonNull<c_void>,
    _bytes: &'a [u8],
}

impl<'a> Jpeg<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, Reason> {
        let length = c_ulong::try_from(bytes.len()).map_err(|_| unusable("it is too long"))?;
        // SAFETY: `bytes` is readable for its length and borrowed for as long as the decoder lives.
        let decoder = unsafe { pcsnet_jpeg_new(bytes.as_ptr(), length, MOST_SCANS) };
        let decoder = NonNull::new(decoder).ok_or_else(|| unusable("there is no memory for the decoder"))?;
        Ok(Self { decoder, _bytes: bytes })
    }

    fn header(&mut self) -> Result<Header, Reason> {
        let (mut width, mut height, mut channels) = (0, 0, 0);
        // SAFETY: the decoder is alive, and the pointers are to integers that outlive the call.
        let status = unsafe { pcsnet_jpeg_header(self.decoder.as_ptr(), &mut width, &mut height, &mut channels) };
        if status == 0 { Ok(Header { width, height, channels }) } else { Err(self.error()) }
    }

    /// The `length` values of all rows, and how many rows there are before the first that lost data. The header has
    /// been read.
    fn rows(&mut self, length: usize) -> Result<(Vec<u8>, u32), Reason> {
        let mut pixels = vec![0; length];
        let mut whole_rows = 0;
        // SAFETY: the decoder is alive, and `pixels` has room for the rows that its header announced.
        let status = unsafe { pcsnet_jpeg_rows(self.decoder.as_ptr(), pixels.as_mut_ptr(), &mut whole_rows) };
        if status == 0 { Ok((pixels, whole_rows)) } else { Err(self.error()) }
    }

    /// What the last call failed of.
    fn error(&self) -> Reason {
        // SAFETY: the decoder is alive, and its text is terminated; it is copied before another call can change it.
        unusable(&unsafe { CStr::from_ptr(pcsnet_jpeg_reason(self.decoder.as_ptr())) }.to_string_lossy())
    }
}

impl Drop for Jpeg<'_> {
    fn drop(&mut self) {
        // SAFETY: alive until here, and not used after.
        unsafe { pcsnet_jpeg_free(self.decoder.as_ptr()) };
    }
}

/// Pillow takes every CMYK JPEG for inverted, as Adobe's programs write them: each value says how much ink is missing.
fn rgb_from_cmyk(pixels: &[u8]) -> Vec<u8> {
    let inks = |pixel: &[u8]| colour::rgb_from_cmyk([255 - pixel[0], 255 - pixel[1], 255 - pixel[2], 255 - pixel[3]]);
    pixels.chunks_exact(4).flat_map(inks).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_ink_is_light() {
        let (white, black, red) = ([255, 255, 255, 255], [255, 255, 255, 0], [255, 0, 0, 255]);
        assert_eq!(rgb_from_cmyk(&[white, black, red].concat()), [255, 255, 255, 0, 0, 0, 255, 0, 0]);
    }
}
