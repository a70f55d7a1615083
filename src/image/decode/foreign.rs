//! Formats that are known and not read: what they are, and what to do.

/// First bytes, from an offset on, and what they begin.
///
/// AVIF stays among them while no well-kept decoder in Rust reads it: rav1d's releases (1.1) have C's interface alone,
/// on which the `image` crate does not build either; others are C, or under a licence that binds whoever uses them.
const SIGNATURES: [(usize, &[u8], &str); 20] = [
    (4, b"ftypavif", "an AVIF photograph"),
    (4, b"ftypavis", "an AVIF photograph"),
    (4, b"ftypheic", "a HEIC photograph"),
    (4, b"ftypheix", "a HEIC photograph"),
    (4, b"ftyphevc", "a HEIC photograph"),
    (4, b"ftypmif1", "a HEIF photograph"),
    (4, b"ftypmsf1", "a HEIF photograph"),
    (4, b"ftypcrx", "a camera's raw photograph"),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw photograph"),
    (4, b"ftyp", "a video"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image"),
    (0, b"\xff\x0a", "a JPEG XL image"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"v/1\x01", "an OpenEXR image"),
    (0, b"#?RADIANCE", "a Radiance HDR image"),
    (0, b"qoif", "a QOI image"),
    (0, b"\0\0\x01\0", "an icon"),
    (0, b"%PDF", "a PDF document"),
];

const READ: &str = "PNG, JPEG, BMP, TIFF, WebP, GIF and PNM are read";

/// Why a file of a known format is not read.
pub(super) fn format(bytes: &[u8]) -> Option<String> {
    let (.., what) =
        SIGNATURES.iter().find(|(at, signature, _)| bytes.get(*at..).unwrap_or_default().starts_with(signature))?;
    Some(format!(
        "it is {what}, which is not read; save it as PNG or JPEG: phones can be set to do so (iPhone: Settings, \
         Camera, Formats, Most Compatible), and ImageMagick's `magick mogrify -auto-orient -format png FILES` converts \
         many"
    ))
}

/// Why a file of no known format is not read.
pub(super) fn unknown() -> String {
    format!("not an image of a known format; {READ}")
}
