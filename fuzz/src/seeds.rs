//! Where fuzzing begins: small sound files of every kind, made here.

use image::{DynamicImage, ImageFormat, RgbImage};
use std::io::Cursor;
use tiff::encoder::{Compression, DeflateLevel, TiffEncoder, colortype};

/// The seeds of a target: names and contents.
pub fn of(target: &str) -> Vec<(String, Vec<u8>)> {
    let seeds = match target {
        "image" => images(),
        "layouts" => layouts(),
        "metadata" | "weights" => models(),
        "stdin" => inputs(),
        other => panic!("there is no target `{other}`"),
    };
    seeds.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()
}

type Seeds = Vec<(&'static str, Vec<u8>)>;

const WIDTH: u32 = 20;
const HEIGHT: u32 = 12;

fn picture() -> RgbImage {
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| image::Rgb([(12 * x) as u8, (20 * y) as u8, (x * y) as u8]))
}

fn images() -> Seeds {
    let picture = DynamicImage::from(picture());
    let saved = |picture: &DynamicImage, format| {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).expect("every kind of pixels here can be saved so");
        bytes.into_inner()
    };
    let (grey, deep, clear) =
        (picture.to_luma8().into(), picture.to_luma16().into(), DynamicImage::from(picture.to_rgba8()));
    let jpeg = saved(&picture, ImageFormat::Jpeg);
    let png = saved(&picture, ImageFormat::Png);
    let tiff = tiff_of(Compression::Uncompressed, false);
    let half = |bytes: &[u8]| bytes[..bytes.len() * 2 / 3].to_vec();
    vec![
        ("rgb.bmp", saved(&picture, ImageFormat::Bmp)),
        ("565.bmp", bmp_565()),
        ("animated.gif", gif()),
        ("grey.jpg", saved(&grey, ImageFormat::Jpeg)),
        ("turned.jpg", turned(&jpeg)),
        ("behind.jpg", [b"two bytes and".as_slice(), &jpeg].concat()),
        ("cut.jpg", jpeg[..jpeg.len() - 40].to_vec()),
        ("rgb.jpg", jpeg),
        ("cut.png", half(&png)),
        ("rgb.png", png),
        ("alpha.png", saved(&clear, ImageFormat::Png)),
        ("deep.png", saved(&deep, ImageFormat::Png)),
        ("palette.png", palette_png()),
        ("ascii.pbm", b"P1\n3 2\n1 0 1\n0 1 0\n".to_vec()),
        ("deep.pgm", b"P5\n3 2\n4095\n\0\0\x01\xff\x0f\xff\0\x10\x0a\xbc\x00\x01".to_vec()),
        ("ascii.ppm", b"P3 # a comment\n2 1 100\n0 50 100 7 8 9\n".to_vec()),
        ("pam.pam", b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\nabcdef".to_vec()),
        ("big.tif", tiff_of(Compression::Uncompressed, true)),
        ("cut.tif", half(&tiff)),
        ("rgb.tif", tiff),
        ("lzw.tif", tiff_of(Compression::Lzw, false)),
        ("deflate.tif", tiff_of(Compression::Deflate(DeflateLevel::Balanced), false)),
        ("packbits.tif", tiff_of(Compression::Packbits, false)),
        ("deep.tif", samples_tiff::<colortype::RGB16>(&[40_000; 3 * 6])),
        ("float.tif", samples_tiff::<colortype::Gray32Float>(&[0.5; 6])),
        ("whole.tif", samples_tiff::<colortype::Gray32>(&[70_000; 6])),
        ("signed.tif", samples_tiff::<colortype::GrayI16>(&[-7; 6])),
        ("cmyk.tif", samples_tiff::<colortype::CMYK8>(&[99; 4 * 6])),
        ("rgb.webp", saved(&picture, ImageFormat::WebP)),
        ("alpha.webp", saved(&clear, ImageFormat::WebP)),
        ("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec()),
        ("empty", Vec::new()),
    ]
}

/// A JPEG with an EXIF orientation of 6.
fn turned(jpeg: &[u8]) -> Vec<u8> {
    let exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], b"\xff\xe1", &length, exif, &jpeg[2..]].concat()
}

/// A BMP of 16 bits a pixel, whose masks give green 6 of them.
fn bmp_565() -> Vec<u8> {
    let header: [u32; 10] = [40, 4, 2, 16 << 16 | 1, 3, 16, 0, 0, 0, 0];
    let masks: [u32; 3] = [0xf800, 0x07e0, 0x001f];
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    let pixels: Vec<u8> = (0..8_u16).flat_map(|at| (at * 7919).to_le_bytes()).collect();
    [b"BM".to_vec(), words(&[82, 0, 66]), words(&header), words(&masks), pixels].concat()
}

fn gif() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = gif::Encoder::new(&mut bytes, 9, 7, &[0, 0, 0, 255, 0, 0, 0, 255, 0, 9, 9, 9]).expect("sound");
    for shade in [1, 2] {
        let pixels = (0..4 * 5).map(|at| at % 3 + shade - 1).collect::<Vec<u8>>();
        let mut frame = gif::Frame::from_indexed_pixels(4, 5, pixels, Some(0));
        (frame.left, frame.top) = (2, 1);
        encoder.write_frame(&frame).expect("sound");
    }
    drop(encoder);
    bytes
}

fn palette_png() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 8, 3);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Four);
    encoder.set_palette([0, 0, 0, 255, 0, 0, 0, 0, 255].as_slice());
    encoder.set_trns([0, 255, 7].as_slice());
    let mut writer = encoder.write_header().expect("sound");
    writer.write_image_data(&[0x01, 0x20, 0x12, 0x00].repeat(3)).expect("3 rows");
    writer.finish().expect("sound");
    bytes
}

fn tiff_of(compression: Compression, is_big: bool) -> Vec<u8> {
    let (mut bytes, pixels) = (Cursor::new(Vec::new()), picture().into_raw());
    let written = if is_big {
        let encoder = TiffEncoder::new_big(&mut bytes).map(|encoder| encoder.with_compression(compression));
        encoder.and_then(|mut encoder| encoder.write_image::<colortype::RGB8>(WIDTH, HEIGHT, &pixels))
    } else {
        let encoder = TiffEncoder::new(&mut bytes).map(|encoder| encoder.with_compression(compression));
        encoder.and_then(|mut encoder| encoder.write_image::<colortype::RGB8>(WIDTH, HEIGHT, &pixels))
    };
    written.expect("sound");
    bytes.into_inner()
}

fn samples_tiff<C: colortype::ColorType>(samples: &[C::Inner]) -> Vec<u8>
where
    [C::Inner]: tiff::encoder::TiffValue,
{
    let mut bytes = Cursor::new(Vec::new());
    TiffEncoder::new(&mut bytes).and_then(|mut encoder| encoder.write_image::<C>(3, 2, samples)).expect("sound");
    bytes.into_inner()
}

/// Safetensors files: the length of the header as 8 bytes, the header as JSON, the values.
fn models() -> Seeds {
    let model = |header: &str, values: usize| {
        let header = header.replace('\'', "\"");
        let values: Vec<u8> = (0..values).map(|at| (at * 31) as u8 & 0x3f).collect();
        [(header.len() as u64).to_le_bytes().as_slice(), header.as_bytes(), &values].concat()
    };
    let metadata = "'__metadata__':{'format':'pt','pcsnet.threshold':'0.25','pcsnet.scale':'0,1','pcsnet.tiles':'512',\
                    'pcsnet.good_scores':'0.2,9','pcsnet.fit':'crop','pcsnet.range':'0,4095',\
                    'pcsnet.backbone':'resnet18','pcsnet.grid':'8',\
                    'pcsnet.bins':'8,4','pcsnet.nearest':'3','pcsnet.input':'64',\
                    'pcsnet.training':'{\\'images\\':[\\'000.png\\'],\\'sha256\\':[\\'00\\']}'}";
    let tensors = "'adaptor.C':{'dtype':'F32','shape':[2,3],'data_offsets':[0,24]},\
                   'conv1.weight':{'dtype':'F16','shape':[2],'data_offsets':[24,28]},\
                   'bn1.bias':{'dtype':'BF16','shape':[],'data_offsets':[28,30]}";
    let config =
        "{\\'backbone\\':{\\'Basic\\':{\\'stem\\':8,\\'layers\\':[{\\'blocks\\':1,\\'width\\':8,\\'channels\\':8}]}}}";
    vec![
        ("whole.safetensors", model(&format!("{{{metadata},{tensors}}}"), 30)),
        ("bare.safetensors", model(&format!("{{{tensors}}}"), 30)),
        ("sizes.safetensors", model(&format!("{{'__metadata__':{{'pcsnet.config':'{config}'}}}}"), 0)),
        ("nothing.safetensors", model("{}", 0)),
    ]
}

fn layouts() -> Seeds {
    let mask = "=ground_truth/bent/000_mask.png\nP1 2 1 0 1\n=ground_truth/bent/001.png\nP1 2 1 1 1\n";
    vec![
        (
            "mvtec",
            format!("=train/good/0.png\n=test/good/000.png\n=test/bent/000.png\n=test/bent/001.png\n{mask}").into(),
        ),
        (
            "visa",
            b"=set/Data/Images/Normal/0.JPG\n=set/Data/Images/Anomaly/1.JPG\n=set/Data/Masks/Anomaly/1.png\nP1 1 1 1\n\
              =split_csv/1cls.csv\nobject,split,label,image,mask\nset,train,normal,set/Data/Images/Normal/0.JPG,\n\
              set,test,anomaly,set/Data/Images/Anomaly/1.JPG,set/Data/Masks/Anomaly/1.png\n"
                .to_vec(),
        ),
        (
            "real-iad",
            br#"=OK/a/1.jpg
=NG/scratch/2.jpg
=NG/scratch/2.png
P1 1 1 1
=set.json
{"meta":{"normal_class":"OK","prefix":""},"train":[{"anomaly_class":"OK","image_path":"OK/a/1.jpg"}],
"test":[{"anomaly_class":"scratch","image_path":"NG/scratch/2.jpg","mask_path":"NG/scratch/2.png"}]}
"#
            .to_vec(),
        ),
        (
            "plain",
            b"=good/1.png\n=crack/2.png\n=crack/2_mask.png\nP1 1 1 1\n=masks/crack/3.png\n=notes.txt\nx".to_vec(),
        ),
        ("kolektor", b"=kos01/Part0.jpg\n=kos01/Part0_label.bmp\nP1 1 1 0\n=kos01/Part1.jpg\n".to_vec()),
        ("loco", b"=test/good/0.png\n=test/logical/0.png\n=ground_truth/logical/0/000.png\nP1 1 1 1\n".to_vec()),
    ]
}

fn inputs() -> Seeds {
    let mut png = Cursor::new(Vec::new());
    picture().write_to(&mut png, ImageFormat::Png).expect("memory can be written");
    vec![
        ("paths", b"a.png\r\n\n/b/../c d.png\nf\xfc.png".to_vec()),
        ("images", b"\x03\0\0\0abc\0\0\0\0\x01\0\0\0x".to_vec()),
        ("cut", b"\x05\0\0\0ab".to_vec()),
        ("png", png.into_inner().repeat(2)),
        ("long", [b"x".repeat(70_000), b"\ny\n".to_vec()].concat()),
    ]
}
