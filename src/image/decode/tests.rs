use super::*;
use proptest::prelude::*;

/// An 8 x 8 grey JPEG saved by Pillow.
const JPEG: &str = "\
     ffd8ffe000104a46494600010100000100010000ffdb0043000302020302020303030304030304050805050404050a070706080c\
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
    let mut encoder = ::gif::Encoder::new(&mut bytes, 4, 3, &palette).expect("encodes");
    let mut frame = ::gif::Frame::from_indexed_pixels(2, 1, vec![2, 3], None);
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
        29, 39, 47, 55, 65, 73, 81, 91, 47, 57, 66, 73, 83, 91, 100, 109, 67, 77, 86, 93, 103, 111, 119, 129, 86, 95,
        104, 112, 121, 129, 138, 147, 106, 115, 124, 132, 141, 149, 158, 167, 124, 134, 142, 150, 160, 167, 176, 186,
        144, 153, 162, 170, 180, 187, 196, 206, 162, 172, 180, 188, 198, 206, 214, 224,
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
    assert_eq!(decode(&encoded(deep, ImageFormat::Png), "sample").expect("decodes").get_pixel(0, 0).0, [18, 0, 255]);
}

/// The grey of each pixel.
fn greys(decoded: &Decoded) -> Vec<u8> {
    decoded.image.pixels().map(|pixel| pixel.0[0]).collect()
}

#[test]
fn deep_grey_follows_its_range() {
    let deep = ::image::ImageBuffer::from_fn(3, 1, |x, _| ::image::Luma([[0, 1600, 4095_u16][x as usize]]));
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        let bytes = encoded(deep.clone(), format);
        let unstated = Decoder::default().decode(&bytes, "dark").expect("decodes");
        assert_eq!(greys(&unstated), [0, 6, 15]);
        assert!(unstated.remarks[0].contains("--range 0,4095"), "{:?}", unstated.remarks);
        let range = ValueRange::of_set(unstated.depth.as_ref());
        assert_eq!(range, Some(ValueRange::of_bits(12)));
        let stated = Decoder::default().with_range(range).decode(&bytes, "bright").expect("decodes");
        assert_eq!((greys(&stated), stated.remarks.len()), (vec![0, 100, 255], 0));
        let mask = Decoder::default().for_masks().decode(&bytes, "mask").expect("decodes");
        assert_eq!(greys(&mask), [0, 255, 255]);
    }
    let declared = Decoder::default().decode(b"P5 2 1 4095\n\x06\x40\x0f\xff", "sample").expect("decodes");
    assert_eq!((greys(&declared), declared.remarks.len()), (vec![100, 255], 0));
    let shallow = Decoder::default().decode(b"P5 3 1 100\n\x00\x33\x64", "sample").expect("decodes");
    assert_eq!(greys(&shallow), [0, 130, 255]);
}

#[test]
fn floating_point_and_signed_tiff() {
    let encode = |samples: &[f32]| {
        let mut bytes = Cursor::new(Vec::new());
        let mut encoder = ::tiff::encoder::TiffEncoder::new(&mut bytes).expect("encodes");
        encoder
            .write_image::<::tiff::encoder::colortype::Gray32Float>(samples.len() as u32, 1, samples)
            .expect("encodes");
        bytes.into_inner()
    };
    let unit = Decoder::default().decode(&encode(&[0.0, 0.5, 1.0]), "sample").expect("decodes");
    assert_eq!(greys(&unit), [0, 128, 255]);
    let wide = encode(&[0.0, 100.0, 213.0]);
    assert!(reason(&wide).contains("up to 213, where 0 to 1 is read"), "{}", reason(&wide));
    let range = Some(ValueRange { low: 0.0, high: 255.0 });
    assert_eq!(greys(&Decoder::default().with_range(range).decode(&wide, "sample").expect("decodes")), [0, 100, 213]);
}

/// The `tiff` crate takes the first of a tag's values without asking whether there is one.
#[test]
fn tiff_tags_without_values_are_refused() {
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = ::tiff::encoder::TiffEncoder::new(&mut bytes).expect("encodes");
    encoder.write_image::<::tiff::encoder::colortype::Gray8>(2, 1, &[0, 255]).expect("encodes");
    let bytes = bytes.into_inner();
    let directory = u32::from_le_bytes(bytes[4..8].try_into().expect("four bytes")) as usize;
    let count = usize::from(u16::from_le_bytes([bytes[directory], bytes[directory + 1]]));
    assert!(count > 8);
    for tag in 0..count {
        let mut damaged = bytes.clone();
        // Behind their number, tags of 12 bytes, whose count stands behind name and type.
        damaged[directory + 2 + 12 * tag + 4..][..4].fill(0);
        assert!(reason(&damaged).contains("a tag without a value"), "{}", reason(&damaged));
    }
}

#[test]
fn what_is_missing_is_told() {
    let tall =
        RgbImage::from_fn(64, 64, |x, y| ::image::Rgb([(x * y * 7) as u8, (x * 3 + y * y) as u8, (x ^ y) as u8]));
    for format in [ImageFormat::Png, ImageFormat::Jpeg] {
        let bytes = encoded(tall.clone(), format);
        let whole = Decoder::default().decode(&bytes, "whole").expect("decodes");
        let cut = &bytes[..bytes.len() * 2 / 3];
        let decoded = Decoder::default().decode(cut, "cut").expect("decodes");
        let missing = decoded.missing.expect("a part");
        assert!((16..50).contains(&missing.y), "{missing:?}");
        assert_eq!((missing.x, missing.width, missing.y + missing.height), (0, 64, 64));
        let there = 3 * 64 * missing.y as usize;
        assert_eq!(decoded.image.as_raw()[..there], whole.image.as_raw()[..there]);
        assert!(decoded.remarks[0].ends_with("copy it again"), "{:?}", decoded.remarks);
        assert!(reason(cut).contains("of 64 are missing"), "a picture with a part missing is no whole picture");
    }
}

#[test]
fn a_wrong_checksum_is_said_to_be_one() {
    let mut png = encoded(photograph(), ImageFormat::Png);
    let data = png.windows(4).position(|kind| kind == b"IDAT").expect("pixels");
    png[data + 9] ^= 1;
    assert!(reason(&png).contains("a checksum in it is wrong") || reason(&png).contains("copy it again"));
    assert!(!reason(&png).contains("Error"), "{}", reason(&png));
}

/// libpng refuses it; the png crate up to 0.18.1 indexes beyond the palette's end.
#[test]
fn a_palette_that_ends_within_a_colour_is_refused() {
    let mut file = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut file, 2, 1);
    encoder.set_color(::png::ColorType::Indexed);
    encoder.set_palette(&[1, 2, 3, 4]);
    encoder.write_header().and_then(|mut writer| writer.write_image_data(&[0, 0])).expect("encodes");
    assert!(reason(&file).contains("its palette ends within a colour"), "{}", reason(&file));
}

#[test]
fn jpegs_of_careless_cameras() {
    let jpeg = from_hex(JPEG);
    let expected = decode(&jpeg, "sample").expect("decodes");
    let scan = jpeg.windows(2).position(|marker| marker == [0xff, 0xda]).expect("a scan");
    let padded = [&jpeg[..scan], &[0; 5], &jpeg[scan..]].concat();
    for careless in [jpeg[..jpeg.len() - 2].to_vec(), [b"\x01\x02", &jpeg[..]].concat(), padded] {
        assert_eq!(decode(&careless, "careless").expect("decodes"), expected);
    }
}

#[test]
fn other_formats_are_named_and_helped() {
    for (start, what) in
        [(&b"\0\0\0\x1cftypavif\0"[..], "AVIF"), (b"\0\0\0\x18ftypheic", "HEIC"), (b"8BPS\0\x01", "Photoshop")]
    {
        let reason = reason(start);
        assert!(reason.contains(what) && reason.contains("save it as PNG or JPEG"), "{reason}");
    }
}

#[test]
fn larger_pictures_are_read_when_asked_for() {
    let bytes = encoded(photograph(), ImageFormat::Png);
    let refusal = Decoder::default().with_max_pixels(100).decode(&bytes, "large").expect_err("117 pixels").to_string();
    assert!(refusal.contains("13 x 9 pixels, at most 100 are read; --max-pixels 117"), "{refusal}");
    assert!(Decoder::default().with_max_pixels(117).decode(&bytes, "large").is_ok());
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
        // The last bytes of some formats are a checksum, an end mark or padding that holds nothing of the image.
        for length in 0..bytes.len() - 24 {
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
    // 20,000 pixels a side: what 32-bit targets cannot address is refused before it is asked for, in other words.
    bmp[18..26].copy_from_slice(&[0x20, 0x4e, 0, 0, 0x20, 0x4e, 0, 0]);
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
    fn damaged_files_never_panic(
        like in 0..7_usize, damage in prop::collection::vec((any::<u16>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = samples().swap_remove(like);
        let length = bytes.len();
        for (at, value) in damage {
            bytes[usize::from(at) % length] = value;
        }
        let _ = decode(&bytes, "damaged");
    }
}
