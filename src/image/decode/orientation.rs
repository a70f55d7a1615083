//! Pictures that were stored lying on their side or upside down.

use super::Rect;
use ::image::metadata::Orientation;
use ::image::{DynamicImage, RgbImage};

/// What begins the EXIF of a JPEG, in a segment APP1.
const EXIF: &[u8] = b"Exif\0\0";

/// The orientation that a JPEG's first EXIF states.
pub(super) fn of_jpeg(bytes: &[u8]) -> Orientation {
    let exif = segments(bytes).find_map(|(marker, body)| body.strip_prefix(EXIF).filter(|_| marker == 0xe1));
    exif.and_then(of_exif).unwrap_or(Orientation::NoTransforms)
}

/// The orientation in an EXIF block, which is built as a TIFF.
pub(super) fn of_exif(exif: &[u8]) -> Option<Orientation> {
    Orientation::from_exif_chunk(exif.strip_prefix(EXIF).unwrap_or(exif))
}

/// Markers and bodies of a JPEG's segments, up to the first scan.
fn segments(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = bytes.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        // Any number of bytes 0xff may stand before a marker.
        let [0xff, after @ ..] = rest else { return None };
        let at = after.iter().position(|&byte| byte != 0xff)?;
        let (marker, after) = (after[at], &after[at + 1..]);
        let length = usize::from(u16::from_be_bytes([*after.first()?, *after.get(1)?]));
        let body = after.get(2..length).filter(|_| marker != 0xda)?;
        rest = &after[length..];
        Some((marker, body))
    })
}

/// The picture, upright.
pub(super) fn turned(image: RgbImage, orientation: Orientation) -> RgbImage {
    let mut image = DynamicImage::ImageRgb8(image);
    image.apply_orientation(orientation);
    image.into_rgb8()
}

/// Where a part of a stored picture of `dimensions` (width, height) lies in the upright one.
pub(super) fn turned_rect(rect: Rect, dimensions: (u32, u32), orientation: Orientation) -> Rect {
    use Orientation::{
        FlipHorizontal, FlipVertical, NoTransforms, Rotate90, Rotate90FlipH, Rotate180, Rotate270, Rotate270FlipH,
    };
    let Rect { x, y, width, height } = rect;
    // As seen from the opposite edge.
    let (right, below) = (dimensions.0 - x - width, dimensions.1 - y - height);
    match orientation {
        NoTransforms => rect,
        FlipHorizontal => Rect { x: right, ..rect },
        Rotate180 => Rect { x: right, y: below, ..rect },
        FlipVertical => Rect { y: below, ..rect },
        Rotate90FlipH => Rect { x: y, y: x, width: height, height: width },
        Rotate90 => Rect { x: below, y: x, width: height, height: width },
        Rotate270FlipH => Rect { x: below, y: right, width: height, height: width },
        Rotate270 => Rect { x: y, y: right, width: height, height: width },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::Rgb;

    #[test]
    fn a_part_turns_as_its_picture() {
        let part = Rect { x: 1, y: 2, width: 3, height: 1 };
        let stored = RgbImage::from_fn(6, 4, |x, y| Rgb([if part.contains(x, y) { 255 } else { 0 }; 3]));
        for exif in 1..=8 {
            let orientation = Orientation::from_exif(exif).expect("one of eight");
            let there = turned_rect(part, stored.dimensions(), orientation);
            for (x, y, pixel) in turned(stored.clone(), orientation).enumerate_pixels() {
                assert_eq!(pixel.0[0] == 255, there.contains(x, y), "{exif}: {x}, {y} in {there:?}");
            }
        }
    }

    #[test]
    fn the_first_exif_of_a_jpeg() {
        let exif = |orientation: u8| {
            let entry = [0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0];
            let block = [b"Exif\0\0II*\0\x08\0\0\0\x01\0".as_slice(), &entry, &[0; 4]].concat();
            [&[0xff, 0xff, 0xe1, 0, block.len() as u8 + 2], block.as_slice()].concat()
        };
        let other = [0xff, 0xe1, 0, 4, b'x', b'y'];
        let jpeg = [&[0xff, 0xd8], other.as_slice(), &exif(6), &exif(3), &[0xff, 0xda, 0, 2]].concat();
        assert_eq!(of_jpeg(&jpeg), Orientation::Rotate90);
        let behind_the_scan = [&[0xff, 0xd8, 0xff, 0xda, 0, 2], exif(6).as_slice()].concat();
        assert_eq!(of_jpeg(&behind_the_scan), Orientation::NoTransforms);
        for length in 0..jpeg.len() {
            of_jpeg(&jpeg[..length]);
        }
    }
}
