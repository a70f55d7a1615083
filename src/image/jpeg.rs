//! JPEG on native targets, by libjpeg-turbo's code (as mozjpeg carries it), which is what Pillow decodes with too.
//!
//! Bound through the TurboJPEG interface, and declared here because `mozjpeg-sys` builds it but does not declare it. It
//! keeps libjpeg's error handling, a `longjmp`, within C, where the plain interface would have errors unwind through C:
//! a damaged file would end any program built with `panic = "abort"`.

use super::{Reason, check_size};
use ::image::RgbImage;
use std::ffi::{CStr, c_char, c_int, c_uchar, c_ulong, c_void};
use std::ptr::NonNull;

// Names the library to the linker.
use mozjpeg_sys as _;

// The numbers are those of `turbojpeg.h`.
const PIXELS_RGB: c_int = 0;
const PIXELS_CMYK: c_int = 11;
const COLOURS_CMYK: c_int = 3;
const COLOURS_YCCK: c_int = 4;
/// libjpeg fills what is missing or damaged with guesses, and only warns.
const STOP_ON_WARNING: c_int = 8192;
/// At most 500 scans, against small files that take minutes.
const LIMIT_SCANS: c_int = 32768;

unsafe extern "C" {
    #[link_name = "tjInitDecompress"]
    fn init_decompress() -> *mut c_void;

    #[link_name = "tjDecompressHeader3"]
    fn decompress_header(
        decoder: *mut c_void,
        bytes: *const c_uchar,
        length: c_ulong,
        width: *mut c_int,
        height: *mut c_int,
        subsampling: *mut c_int,
        colours: *mut c_int,
    ) -> c_int;

    #[link_name = "tjDecompress2"]
    fn decompress(
        decoder: *mut c_void,
        bytes: *const c_uchar,
        length: c_ulong,
        pixels: *mut c_uchar,
        width: c_int,
        pitch: c_int,
        height: c_int,
        format: c_int,
        flags: c_int,
    ) -> c_int;

    #[link_name = "tjGetErrorStr2"]
    fn error_text(decoder: *mut c_void) -> *const c_char;

    #[link_name = "tjDestroy"]
    fn destroy(decoder: *mut c_void) -> c_int;
}

/// Decodes a JPEG of any kind to Pillow's values.
pub(super) fn decode_jpeg(bytes: &[u8]) -> Result<RgbImage, Reason> {
    let decoder = Decoder::new()?;
    let header = decoder.header(bytes)?;
    check_size(header.width.into(), header.height.into())?;
    let pixels = if header.is_cmyk {
        rgb_from_cmyk(&decoder.pixels(bytes, &header, PIXELS_CMYK, 4)?)
    } else {
        decoder.pixels(bytes, &header, PIXELS_RGB, 3)?
    };
    RgbImage::from_raw(header.width, header.height, pixels).ok_or_else(|| unusable("pixels are missing"))
}

fn unusable(why: &str) -> Reason {
    format!("not a usable JPEG image: {why}")
}

struct Header {
    width: u32,
    height: u32,
    is_cmyk: bool,
}

/// A TurboJPEG decompressor; it lives until the value is dropped.
struct Decoder(NonNull<c_void>);

impl Decoder {
    fn new() -> Result<Self, Reason> {
        // SAFETY: takes nothing, and gives a decompressor or null.
        NonNull::new(unsafe { init_decompress() }).map(Self).ok_or_else(|| "no memory for the JPEG decoder".to_owned())
    }

    fn header(&self, bytes: &[u8]) -> Result<Header, Reason> {
        let (mut width, mut height, mut subsampling, mut colours) = (0, 0, 0, 0);
        // SAFETY: the decompressor is alive, `bytes` is readable for its length, which MAX_BYTES keeps within `c_ulong`,
        // and the other pointers are to integers that outlive the call.
        let status = unsafe {
            decompress_header(
                self.0.as_ptr(),
                bytes.as_ptr(),
                bytes.len() as c_ulong,
                &mut width,
                &mut height,
                &mut subsampling,
                &mut colours,
            )
        };
        // A failure with a size is a warning, which decoding meets again, or an unusual subsampling, which it can do.
        if status != 0 && width == 0 {
            return Err(self.error());
        }
        let side = |side: c_int| u32::try_from(side).unwrap_or(0);
        Ok(Header { width: side(width), height: side(height), is_cmyk: matches!(colours, COLOURS_CMYK | COLOURS_YCCK) })
    }

    /// The image, row by row without padding, `channels` bytes a pixel; the cosine transform and the upsampling are the
    /// defaults, libjpeg's accurate ones, as in Pillow.
    fn pixels(&self, bytes: &[u8], header: &Header, format: c_int, channels: usize) -> Result<Vec<u8>, Reason> {
        let mut pixels = vec![0; header.width as usize * header.height as usize * channels];
        // SAFETY: the decompressor is alive and `bytes` is readable for its length. The size is the one in these same
        // bytes, so the image is written unscaled, and a row of the given format is as long as `pixels` has room for;
        // a pitch of 0 means rows without padding. JPEG's sides are at most 65500, so they fit.
        let status = unsafe {
            decompress(
                self.0.as_ptr(),
                bytes.as_ptr(),
                bytes.len() as c_ulong,
                pixels.as_mut_ptr(),
                header.width as c_int,
                0,
                header.height as c_int,
                format,
                STOP_ON_WARNING | LIMIT_SCANS,
            )
        };
        if status == 0 { Ok(pixels) } else { Err(self.error()) }
    }

    /// What the last call failed of.
    fn error(&self) -> Reason {
        // SAFETY: the decompressor is alive; the text is terminated, and copied before another call can change it, for
        // it belongs to the decompressor or to this thread.
        unusable(&unsafe { CStr::from_ptr(error_text(self.0.as_ptr())) }.to_string_lossy())
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: alive until here, and not used after.
        unsafe { destroy(self.0.as_ptr()) };
    }
}

/// Pillow takes every CMYK JPEG for inverted, as Adobe's programs write them: each value says how much ink is missing.
fn rgb_from_cmyk(pixels: &[u8]) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(pixels.len() / 4 * 3);
    for pixel in pixels.chunks_exact(4) {
        let white = pixel[3];
        rgb.extend(pixel[..3].iter().map(|&value| white - scaled(255 - value, white)));
    }
    rgb
}

/// `value * factor / 255`, rounded as in Pillow; at most `factor`.
fn scaled(value: u8, factor: u8) -> u8 {
    let product = u32::from(value) * u32::from(factor) + 128;
    ((product + (product >> 8)) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ink_is_scaled_to_the_nearest() {
        for value in 0..=255 {
            for factor in 0..=255 {
                let exact = f64::from(value) * f64::from(factor) / 255.0;
                assert_eq!(scaled(value, factor), exact.round() as u8, "{value} of {factor}");
            }
        }
    }

    #[test]
    fn missing_ink_is_light() {
        let (white, black, red) = ([255, 255, 255, 255], [255, 255, 255, 0], [255, 0, 0, 255]);
        assert_eq!(rgb_from_cmyk(&[white, black, red].concat()), [255, 255, 255, 0, 0, 0, 255, 0, 0]);
    }
}
