//! Image files to 8-bit RGB, with the values that Pillow's `Image.open(path).convert("RGB")` gives.
//!
//! The format is told by the content, never by the file's name: PNG, JPEG, BMP, TIFF, WebP, GIF (first frame) and
//! PNM (PBM, PGM, PPM).
//!
//! The values are Pillow's exactly, but for two uses of another JPEG decoder than Pillow's: of JPEG files in the browser
//! they may differ by a few levels, and of the rare TIFF that is compressed as JPEG by 1 level.
//!
//! What would only look like success is refused: truncated files, and kinds of pixels whose values Pillow would clip
//! (16-bit grey turns all white) or that are read here otherwise than there (CMYK TIFF, PNM of odd depths). Palette and
//! grey-with-alpha TIFF are not read at all.

use crate::{Error, Result};
use ::image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use std::fs::File;
use std::io::{Cursor, Read};
use std::num::NonZeroU64;
use std::path::Path;

#[cfg_attr(target_arch = "wasm32", path = "jpeg_web.rs")]
#[cfg_attr(not(target_arch = "wasm32"), path = "jpeg.rs")]
mod jpeg;

/// The most pixels an image may have; more are refused before anything is decoded. Pillow's limit for the same purpose
/// (twice `Image.MAX_IMAGE_PIXELS`).
pub const MAX_PIXELS: u64 = 178_956_970;

/// The most bytes a file may have, and the most a decoder may allocate; that of JPEG knows no such limit, but takes only a
/// few bytes a pixel.
pub const MAX_BYTES: u64 = 1 << 30;

/// What is wrong with a file; [`decode`] adds the file's name.
type Reason = String;

/// Reads and decodes an image file.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, otherwise those of [`decode`].
pub fn open(path: impl AsRef<Path>) -> Result<RgbImage> {
    let path = path.as_ref();
    let mut bytes = Vec::new();
    File::open(path)
        // One byte more than is allowed, so that a longer file shows.
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(Error::io("read", path))?;
    decode(&bytes, &path.display().to_string())
}

/// Decodes the bytes of an image file; errors call it `name`.
///
/// The pixels are those of Pillow's `Image.open(path).convert("RGB")`: alpha is dropped and not blended, 16-bit colour
/// keeps the high byte, an EXIF orientation is not applied, and of an animation the first picture is taken. Only in the
/// browser (on wasm32) are those of a JPEG others: by at most 1 level in grey files, in about 0.5 % of the pixels, and
/// by at most 4 levels in colour files, in up to half of the pixels where chroma is subsampled.
///
/// # Errors
/// [`Error::Image`] if the bytes are empty, no image of a known format, truncated, corrupt, of a kind of pixels that is
/// not read, or an image of more than [`MAX_PIXELS`] or [`MAX_BYTES`].
pub fn decode(bytes: &[u8], name: &str) -> Result<RgbImage> {
    decode_any(bytes).map_err(|reason| Error::Image { name: name.to_owned(), reason })
}

fn decode_any(bytes: &[u8]) -> Result<RgbImage, Reason> {
    if bytes.is_empty() {
        return Err("the file is empty".to_owned());
    }
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("the file is longer than {MAX_BYTES} bytes, the most that is read"));
    }
    match ::image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => jpeg::decode_jpeg(bytes),
        Ok(ImageFormat::Gif) => gif_first_frame(bytes),
        Ok(ImageFormat::Pnm) => {
            check_pnm_depth(bytes)?;
            lossless(bytes, ImageFormat::Pnm)
        }
        Ok(format @ (ImageFormat::Png | ImageFormat::Bmp | ImageFormat::Tiff | ImageFormat::WebP)) => {
            lossless(bytes, format)
        }
        _ => Err("not an image of a known format; PNG, JPEG, BMP, TIFF, WebP, GIF and PNM are read".to_owned()),
    }
}

fn check_size(width: u64, height: u64) -> Result<(), Reason> {
    match width.saturating_mul(height) {
        0 => Err(format!("the image has no pixels ({width} x {height})")),
        1..=MAX_PIXELS => Ok(()),
        _ => Err(format!("the image has {width} x {height} pixels, at most {MAX_PIXELS} are read")),
    }
}

/// Every format that the `image` crate decodes to Pillow's values by itself.
fn lossless(bytes: &[u8], format: ImageFormat) -> Result<RgbImage, Reason> {
    let unusable = |error: ::image::ImageError| format!("not a usable {} image: {error}", name_of(format));
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(unusable)?;
    let (width, height) = decoder.dimensions();
    check_size(width.into(), height.into())?;
    if decoder.total_bytes() > MAX_BYTES {
        return Err(format!("the image takes {} bytes decoded, at most {MAX_BYTES} are read", decoder.total_bytes()));
    }
    if matches!(decoder.original_color_type(), ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16) {
        return Err("CMYK TIFF is not read; save the image as RGB".to_owned());
    }
    to_rgb8(DynamicImage::from_decoder(decoder).map_err(unusable)?)
}

fn to_rgb8(image: DynamicImage) -> Result<RgbImage, Reason> {
    match image {
        DynamicImage::ImageLuma8(_)
        | DynamicImage::ImageLumaA8(_)
        | DynamicImage::ImageRgb8(_)
        | DynamicImage::ImageRgba8(_) => Ok(image.into_rgb8()),
        DynamicImage::ImageLumaA16(_) | DynamicImage::ImageRgb16(_) | DynamicImage::ImageRgba16(_) => {
            let deep = image.into_rgb16();
            let high_bytes = deep.iter().map(|value| (value >> 8) as u8).collect();
            RgbImage::from_raw(deep.width(), deep.height(), high_bytes)
                .ok_or_else(|| "the image is too large".to_owned())
        }
        DynamicImage::ImageLuma16(_) => {
            Err("16-bit grey is not read, because Pillow clips it to white; save the image with 8 bits".to_owned())
        }
        _ => Err("floating-point pixels are not read; save the image with 8 bits per channel".to_owned()),
    }
}

fn name_of(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Png => "PNG",
        ImageFormat::Bmp => "BMP",
        ImageFormat::Tiff => "TIFF",
        ImageFormat::WebP => "WebP",
        ImageFormat::Pnm => "PNM",
        _ => "supported",
    }
}

/// A GIF's first frame on its screen. What the frame leaves uncovered gets the transparent colour, or the palette's
/// first, as in Pillow.
fn gif_first_frame(bytes: &[u8]) -> Result<RgbImage, Reason> {
    let unusable = |error: gif::DecodingError| format!("not a usable GIF image: {error}");
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::Indexed);
    options.check_frame_consistency(true);
    options.set_memory_limit(gif::MemoryLimit::Bytes(NonZeroU64::MIN.saturating_add(MAX_PIXELS)));
    let mut decoder = options.read_info(Cursor::new(bytes)).map_err(unusable)?;
    let (width, height) = (u32::from(decoder.width()), u32::from(decoder.height()));
    check_size(width.into(), height.into())?;
    let frame = decoder.read_next_frame().map_err(unusable)?.ok_or("the GIF holds no frame")?.clone();
    let palette = match &frame.palette {
        Some(local) => local,
        None => decoder.global_palette().ok_or("the GIF holds no palette")?,
    };
    let colour = |index: u8| match palette.chunks_exact(3).nth(index.into()) {
        Some(&[r, g, b]) => ::image::Rgb([r, g, b]),
        _ => ::image::Rgb([0; 3]),
    };
    let mut screen = RgbImage::from_pixel(width, height, colour(frame.transparent.unwrap_or(0)));
    let (left, top) = (u32::from(frame.left), u32::from(frame.top));
    for (row, indices) in (top..).zip(frame.buffer.chunks_exact(usize::from(frame.width.max(1)))) {
        for (column, &index) in (left..).zip(indices) {
            screen.put_pixel(column, row, colour(index));
        }
    }
    Ok(screen)
}

/// Pillow stretches a PNM of any depth to 8 bits, the `image` crate does not; so only 8 bits, and 1 bit, are read.
fn check_pnm_depth(bytes: &[u8]) -> Result<(), Reason> {
    let decoder = ::image::codecs::pnm::PnmDecoder::new(Cursor::new(bytes))
        .map_err(|error| format!("not a usable PNM image: {error}"))?;
    let (_, header) = decoder.into_inner();
    match header.maximal_sample() {
        255 => Ok(()),
        _ if header.as_bitmap().is_some() => Ok(()),
        other => Err(format!("PNM of maximum value {other} is not read; save the image with 255")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An 8 x 8 grey JPEG saved by Pillow.
    const JPEG: &str = "ffd8ffe000104a46494600010100000100010000ffdb0043000302020302020303030304030304050805050404050a070706080c\
         0a0c0c0b0a0b0b0d0e12100d0e110e0b0b1016101113141515150c0f171816141812141514ffc0000b080008000801011100ffc4\
         0014000100000000000000000000000000000003ffc4001a100000070000000000000000000000000000070824334251ffda0008\
         010100003f0032c128c2cf2a3fffd9";

    fn from_hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex digits")).collect()
    }

    fn photograph() -> RgbImage {
        RgbImage::from_fn(13, 9, |x, y| ::image::Rgb([(x * 19) as u8, (y * 28) as u8, (x * y * 31) as u8]))
    }

    fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, format).expect("encodes");
        bytes.into_inner()
    }

    fn gif() -> Vec<u8> {
        let mut bytes = Vec::new();
        let palette = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120];
        let mut encoder = gif::Encoder::new(&mut bytes, 4, 3, &palette).expect("encodes");
        let mut frame = gif::Frame::from_indexed_pixels(2, 1, vec![2, 3], None);
        (frame.left, frame.top) = (1, 1);
        encoder.write_frame(&frame).expect("encodes");
        drop(encoder);
        bytes
    }

    fn samples() -> Vec<Vec<u8>> {
        use ImageFormat::{Bmp, Png, Pnm, Tiff, WebP};
        let mut samples: Vec<_> = [Png, Bmp, Tiff, WebP, Pnm].map(|format| encoded(photograph(), format)).into();
        samples.extend([from_hex(JPEG), gif()]);
        samples
    }

    fn reason(bytes: &[u8]) -> String {
        decode(bytes, "part.png").expect_err("must be refused").to_string()
    }

    #[test]
    fn lossless_formats_give_their_pixels() {
        for bytes in &samples()[..5] {
            assert_eq!(decode(bytes, "sample").expect("decodes"), photograph());
        }
    }

    #[test]
    fn jpeg_gives_the_pixels_of_pillow() {
        let pillow: [u8; 64] = [
            29, 39, 47, 55, 65, 73, 81, 91, 47, 57, 66, 73, 83, 91, 100, 109, 67, 77, 86, 93, 103, 111, 119, 129, 86,
            95, 104, 112, 121, 129, 138, 147, 106, 115, 124, 132, 141, 149, 158, 167, 124, 134, 142, 150, 160, 167,
            176, 186, 144, 153, 162, 170, 180, 187, 196, 206, 162, 172, 180, 188, 198, 206, 214, 224,
        ];
        let image = decode(&from_hex(JPEG), "sample").expect("decodes");
        assert!(image.pixels().map(|pixel| pixel.0).eq(pillow.map(|value| [value; 3])), "{image:?}");
    }

    #[test]
    fn gif_frame_lies_on_its_screen() {
        let image = decode(&gif(), "sample").expect("decodes");
        assert_eq!(image.dimensions(), (4, 3));
        assert_eq!(image.get_pixel(0, 0).0, [10, 20, 30]);
        assert_eq!(image.get_pixel(1, 1).0, [70, 80, 90]);
        assert_eq!(image.get_pixel(2, 1).0, [100, 110, 120]);
    }

    #[test]
    fn alpha_is_dropped_and_deep_colour_keeps_its_high_byte() {
        let clear = ::image::RgbaImage::from_pixel(1, 1, ::image::Rgba([1, 2, 3, 0]));
        assert_eq!(decode(&encoded(clear, ImageFormat::Png), "sample").expect("decodes").get_pixel(0, 0).0, [1, 2, 3]);
        let deep = ::image::ImageBuffer::from_pixel(1, 1, ::image::Rgb([0x12ff_u16, 0x0080, 0xff80]));
        assert_eq!(
            decode(&encoded(deep, ImageFormat::Png), "sample").expect("decodes").get_pixel(0, 0).0,
            [18, 0, 255]
        );
    }

    #[test]
    fn what_pillow_would_spoil_is_refused() {
        let deep = ::image::ImageBuffer::from_pixel(1, 1, ::image::Luma([300_u16]));
        assert!(reason(&encoded(deep, ImageFormat::Png)).contains("16-bit grey is not read"));
        assert!(reason(b"P5 2 1 100\n\x00\x33").contains("maximum value 100"));
        assert!(reason(b"P5 2 1 1\n\x00\x01").contains("maximum value 1 "));
    }

    #[test]
    fn no_images() {
        assert_eq!(reason(b""), "part.png: the file is empty");
        assert!(reason(b"hello, world").contains("not an image of a known format"));
        let missing = open("no/such/file.png").expect_err("missing").to_string();
        assert!(missing.starts_with("cannot read no/such/file.png"), "{missing}");
    }

    #[test]
    fn every_truncation_is_refused() {
        for bytes in samples() {
            // The last bytes of some formats are an end mark or padding that holds nothing of the image.
            for length in 0..bytes.len() - 16 {
                assert!(decode(&bytes[..length], "cut").is_err(), "{length} of {} {:?}", bytes.len(), &bytes[..4]);
            }
        }
    }

    #[test]
    fn bombs_are_refused_by_their_header() {
        let mut png = encoded(photograph(), ImageFormat::Png);
        png[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
        // The checksum of the changed header, so that the size is what is wrong with it.
        png[29..33].copy_from_slice(&[0x39, 0x67, 0x4e, 0x07]);
        let mut gif = gif();
        gif[6..10].copy_from_slice(&[0xff; 4]);
        let mut jpeg = from_hex(JPEG);
        let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).expect("a frame header");
        // Not more: libjpeg itself refuses sides above 65500.
        jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0, 0xff, 0]);
        let mut bmp = encoded(photograph(), ImageFormat::Bmp);
        bmp[18..26].copy_from_slice(&[0xff, 0xff, 0, 0, 0xff, 0xff, 0, 0]);
        for bomb in [png, gif, jpeg, bmp, b"P6 65535 65535 255\n".to_vec()] {
            let reason = reason(&bomb);
            assert!(reason.contains("pixels, at most 178956970"), "{reason}");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), like in 0..8_usize) {
            // Behind a real file's first bytes, so that a decoder gets to see them.
            let start = samples().get(like).map_or(Vec::new(), |sample| sample[..12].to_vec());
            let _ = decode(&[start, bytes].concat(), "random");
        }

        #[test]
        fn damaged_files_never_panic(like in 0..7_usize, damage in prop::collection::vec((any::<u16>(), any::<u8>()), 1..6)) {
            let mut bytes = samples().swap_remove(like);
            let length = bytes.len();
            for (at, value) in damage {
                bytes[usize::from(at) % length] = value;
            }
            let _ = decode(&bytes, "damaged");
        }
    }
}
