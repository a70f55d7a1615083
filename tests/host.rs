//! Inside a host: photographs from its textures and buffers, heat into its textures, and what it may do wrong.

mod support;

use pcsnet::image::{ColourMap, Fit, Frame, Rect, RgbImage, Scale, heatmap, overlay, preprocess};
use pcsnet::{BufferSource, Encoding, Error, HeatStyle, HeatTarget, Paint, Precision, Session, TextureSource, wgpu};
use pollster::block_on;
use support::{Random, engine, load, read, small_configs, texture, texture_of};
use wgpu::{TextureFormat, TextureUsages};

fn session(batch: u32) -> Session {
    let model = load(engine(), &small_configs()[0], 1, Precision::F32);
    block_on(model.session(batch)).expect("a few images fit")
}

fn photograph(width: u32, height: u32, seed: u64) -> RgbImage {
    let bytes = Random::new(seed).values((3 * width * height) as usize);
    let bytes = bytes.into_iter().map(|value| (128.0 + 60.0 * value) as u8).collect();
    RgbImage::from_raw(width, height, bytes).expect("as many values")
}

/// All texels of a texture of 8-bit RGBA.
fn read_texture(texture: &wgpu::Texture) -> Vec<[u8; 4]> {
    let (device, queue) = (engine().device(), engine().queue());
    let bytes_per_row = (4 * texture.width()).next_multiple_of(256);
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: u64::from(bytes_per_row * texture.height()),
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let layout = wgpu::TexelCopyBufferLayout { bytes_per_row: Some(bytes_per_row), rows_per_image: None, offset: 0 };
    let target = wgpu::TexelCopyBufferInfo { buffer: &buffer, layout };
    encoder.copy_texture_to_buffer(texture.as_image_copy(), target, texture.size());
    queue.submit([encoder.finish()]);
    let words: Vec<[u8; 4]> = read(&buffer).into_iter().map(|word| word.to_bits().to_le_bytes()).collect();
    let rows = words.chunks_exact(bytes_per_row as usize / 4);
    rows.flat_map(|row| row[..texture.width() as usize].to_vec()).collect()
}

fn submit(record: impl FnOnce(&mut wgpu::CommandEncoder)) {
    let mut encoder = engine().device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    record(&mut encoder);
    engine().queue().submit([encoder.finish()]);
}

/// The network's input as it stands in the session, for one image.
fn pixels(session: &Session, index: usize) -> Vec<[u8; 3]> {
    let side = small_configs()[0].input as usize;
    let words = read(session.pixel_buffer());
    words[index * side * side..][..side * side]
        .iter()
        .map(|word| word.to_bits().to_le_bytes())
        .map(|[r, g, b, _]| [r, g, b])
        .collect()
}

fn levels(image: &RgbImage) -> Vec<[u8; 3]> {
    image.pixels().map(|pixel| pixel.0).collect()
}

/// The largest difference between any two levels.
fn worst(found: &[[u8; 3]], truth: &[[u8; 3]]) -> u8 {
    assert_eq!(found.len(), truth.len());
    let differences = found.iter().flatten().zip(truth.iter().flatten()).map(|(a, b)| a.abs_diff(*b));
    differences.max().expect("some pixels")
}

fn linear_light(byte: u8) -> f32 {
    let encoded = f32::from(byte) / 255.0;
    if encoded <= 0.04045 { encoded / 12.92 } else { ((encoded + 0.055) / 1.055).powf(2.4) }
}

#[test]
fn every_common_format_gives_the_pixels_of_the_cpu() {
    let session = session(2);
    let image = photograph(150, 97, 1);
    let bytes =
        |texel: &dyn Fn([u8; 3]) -> Vec<u8>| image.pixels().flat_map(|pixel| texel(pixel.0)).collect::<Vec<u8>>();
    let halves = |values: [f32; 4]| values.iter().flat_map(|&value| half::f16::from_f32(value).to_le_bytes()).collect();
    let rgba = bytes(&|[r, g, b]| vec![r, g, b, 9]);
    let bgra = bytes(&|[r, g, b]| vec![b, g, r, 9]);
    let floats = bytes(&|rgb| {
        [rgb[0], rgb[1], rgb[2], 0].map(|byte| f32::from(byte) / 255.0).iter().flat_map(|v| v.to_le_bytes()).collect()
    });
    let linear = bytes(&|[r, g, b]| halves([linear_light(r), linear_light(g), linear_light(b), 1.0]));
    let encoded = bytes(&|rgb| halves([rgb[0], rgb[1], rgb[2], 255].map(|byte| f32::from(byte) / 255.0)));
    use Encoding::{Linear, Srgb};
    // How far a level may be off: not at all from exact numbers, by rounding through the sRGB curve or 11 bits.
    let cases = [
        (TextureFormat::Rgba8Unorm, Srgb, &rgba, 0),
        (TextureFormat::Bgra8Unorm, Srgb, &bgra, 0),
        (TextureFormat::Rgba32Float, Srgb, &floats, 0),
        (TextureFormat::Rgba8UnormSrgb, Srgb, &rgba, 0),
        (TextureFormat::Bgra8UnormSrgb, Srgb, &bgra, 0),
        (TextureFormat::Rgba16Float, Srgb, &encoded, 0),
        (TextureFormat::Rgba16Float, Linear, &linear, 1),
    ];
    let truth = levels(&preprocess(&image, Fit::Crop, 64).expect("fits"));
    for (format, encoding, texels, tolerance) in cases {
        let texture = texture([150, 97], format, texels);
        let input = block_on(session.texture_input(1, &TextureSource::new(&texture, encoding))).expect("readable");
        submit(|encoder| input.record(encoder));
        let difference = worst(&pixels(&session, 1), &truth);
        assert!(difference <= tolerance, "{format:?} {encoding:?}: {difference} levels");
    }
    // A wrong word about the encoding does not go unnoticed.
    let wrong = texture([150, 97], TextureFormat::Rgba8Unorm, &rgba);
    let input = block_on(session.texture_input(1, &TextureSource::new(&wrong, Linear))).expect("readable");
    submit(|encoder| input.record(encoder));
    assert!(worst(&pixels(&session, 1), &truth) > 20);
}

#[test]
fn grey_textures_are_grey_photographs() {
    let session = session(1);
    let grey: Vec<u8> = photograph(80, 70, 3).pixels().map(|pixel| pixel[0]).collect();
    let image = RgbImage::from_fn(80, 70, |x, y| image::Rgb([grey[(y * 80 + x) as usize]; 3]));
    let texture = texture([80, 70], TextureFormat::R8Unorm, &grey);
    let input = block_on(session.texture_input(0, &TextureSource::new(&texture, Encoding::Srgb))).expect("readable");
    submit(|encoder| input.record(encoder));
    assert_eq!(pixels(&session, 0), levels(&preprocess(&image, Fit::Crop, 64).expect("fits")));
}

#[test]
fn regions_and_buffers_give_the_pixels_of_the_cpu() {
    let session = session(3);
    let image = photograph(200, 160, 4);
    let rgba: Vec<u8> = image.pixels().flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 0]).collect();
    let region = Rect { x: 17, y: 30, width: 120, height: 90 };
    let part = image::imageops::crop_imm(&image, 17, 30, 120, 90).to_image();
    let truth = levels(&preprocess(&part, Fit::Crop, 64).expect("fits"));
    let texture = texture([200, 160], TextureFormat::Rgba8Unorm, &rgba);
    let source = TextureSource { region: Some(region), ..TextureSource::new(&texture, Encoding::Srgb) };
    let input = block_on(session.texture_input(0, &source)).expect("readable");
    assert_eq!(*input.frame(), Frame::new(Fit::Crop, (120, 90), 64).expect("usable sizes"));
    let buffer = engine().device().create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: rgba.len() as u64,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    engine().queue().write_buffer(&buffer, 0, &rgba);
    let offset = 4 * (30 * 200 + 17);
    let source = BufferSource { buffer: &buffer, offset, bytes_per_row: 800, width: 120, height: 90 };
    let from_buffer = block_on(session.buffer_input(2, &source)).expect("readable");
    submit(|encoder| {
        input.record(encoder);
        from_buffer.record(encoder);
    });
    assert_eq!(pixels(&session, 0), truth);
    assert_eq!(pixels(&session, 2), truth);
}

/// A map that the network did not make, so that its values are known.
fn known_map(session: &Session) -> Vec<f32> {
    let side = small_configs()[0].input;
    let map: Vec<f32> = Random::new(9).values((side * side) as usize).iter().map(|value| 0.3 + 0.2 * value).collect();
    engine().queue().write_buffer(session.map_buffer(), 0, bytemuck::cast_slice(&map));
    map
}

/// All but a few pixels within `tolerance` levels; those few, where rounding falls on the other side of a colour's
/// edge, by no more than a colour's step.
fn assert_same_picture(found: &[[u8; 4]], truth: &RgbImage, tolerance: u8) {
    let found: Vec<[u8; 3]> = found.iter().map(|[r, g, b, _]| [*r, *g, *b]).collect();
    let truth = levels(truth);
    let off = found.iter().zip(&truth).filter(|(a, b)| worst(&[**a], &[**b]) > tolerance).count();
    assert!(off * 500 <= truth.len(), "{off} of {} pixels", truth.len());
    assert!(worst(&found, &truth) <= 8, "{} levels", worst(&found, &truth));
}

/// The frame of the map as the network sees it.
fn by_itself() -> Frame {
    let side = small_configs()[0].input;
    Frame::new(Fit::Stretch, (side, side), side).expect("a usable size")
}

const SCALE: Scale = Scale { low: 0.0, high: 0.8 };

#[test]
fn heat_is_painted_as_on_the_cpu() {
    let session = session(1);
    let map = known_map(&session);
    let truth = heatmap(&map, 64, 64, SCALE).expect("64 x 64 values");
    let style = HeatStyle { scale: SCALE, colours: ColourMap::Turbo, paint: Paint::Map };
    for format in [TextureFormat::Rgba8Unorm, TextureFormat::Rgba8UnormSrgb] {
        let target = texture([64, 64], format, &[77; 4 * 64 * 64]);
        let target_map = HeatTarget::new(&target, Encoding::Srgb, by_itself());
        let output = block_on(session.heat_output(0, 0, &target_map, &style)).expect("paintable");
        submit(|encoder| output.record(encoder));
        assert_same_picture(&read_texture(&target), &truth, 1);
        // Another look, without making anything anew.
        output.set_style(&HeatStyle { colours: ColourMap::Grey, ..style });
        submit(|encoder| output.record(encoder));
        assert!(read_texture(&target).iter().all(|[r, g, b, a]| r == g && g == b && *a == 255));
    }
}

#[test]
fn heat_lies_over_the_photograph_as_on_the_cpu() {
    let session = session(1);
    let map = known_map(&session);
    for (fit, width, height) in [(Fit::Crop, 111, 80), (Fit::Crop, 40, 75), (Fit::Stretch, 90, 33)] {
        let photograph = photograph(width, height, 6);
        let frame = Frame::new(fit, (width, height), 64).expect("usable sizes");
        let truth = overlay(&photograph, &map, &frame, SCALE, 0.6).expect("sizes agree");
        // The photograph stands in a part of the target.
        let whole = RgbImage::from_fn(width + 9, height + 5, |x, y| match (x.checked_sub(4), y.checked_sub(3)) {
            (Some(x), Some(y)) if x < width && y < height => *photograph.get_pixel(x, y),
            _ => image::Rgb([1, 2, 3]),
        });
        let rgba: Vec<u8> = whole.pixels().flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 255]).collect();
        let target = texture([width + 9, height + 5], TextureFormat::Rgba8Unorm, &rgba);
        let region = Some(Rect { x: 4, y: 3, width, height });
        let style = HeatStyle { scale: SCALE, colours: ColourMap::Turbo, paint: Paint::Overlay { opacity: 0.6 } };
        let target_region = HeatTarget { region, ..HeatTarget::new(&target, Encoding::Srgb, frame) };
        let output = block_on(session.heat_output(0, 0, &target_region, &style)).expect("paintable");
        submit(|encoder| output.record(encoder));
        let painted = read_texture(&target);
        let inside = |index: usize| {
            let (x, y) = (index as u32 % (width + 9), index as u32 / (width + 9));
            (4..4 + width).contains(&x) && (3..3 + height).contains(&y)
        };
        let (inner, outer): (Vec<_>, Vec<_>) = painted.into_iter().enumerate().partition(|(index, _)| inside(*index));
        assert!(outer.iter().all(|(_, texel)| *texel == [1, 2, 3, 255]), "painted outside the region");
        let inner: Vec<[u8; 4]> = inner.into_iter().map(|(_, texel)| texel).collect();
        assert_same_picture(&inner, &truth, 1);
    }
}

/// What a crop leaves out of the photograph is left out of its map too, in targets of the photograph's own size and, as
/// a window shows it, of another.
#[test]
fn a_map_lies_in_the_photographs_frame_as_on_the_cpu() {
    let session = session(1);
    let map = known_map(&session);
    let style = HeatStyle { scale: SCALE, colours: ColourMap::Turbo, paint: Paint::Map };
    for (fit, width, height) in [(Fit::Crop, 111, 80), (Fit::Crop, 40, 75), (Fit::Stretch, 90, 33)] {
        let frame = Frame::new(fit, (width, height), 64).expect("usable sizes");
        let truth = heatmap(&frame.to_original(&map).expect("64 x 64"), width, height, SCALE).expect("sizes agree");
        let grey = truth.pixels().any(|pixel| pixel.0 == [96; 3]);
        assert_eq!(grey, fit == Fit::Crop, "only a crop leaves something out");
        for (format, times) in
            [(TextureFormat::Rgba8Unorm, 1), (TextureFormat::Rgba8UnormSrgb, 1), (TextureFormat::Rgba8Unorm, 3)]
        {
            let size = [times * width, times * height];
            let target = texture(size, format, &vec![77; (4 * size[0] * size[1]) as usize]);
            let target_map = HeatTarget::new(&target, Encoding::Srgb, frame);
            let output = block_on(session.heat_output(0, 0, &target_map, &style)).expect("paintable");
            submit(|encoder| output.record(encoder));
            // Every third pixel's centre is that of one of the photograph.
            let painted: Vec<[u8; 4]> = read_texture(&target)
                .chunks_exact((times * size[0]) as usize)
                .flat_map(|rows| rows[(times / 2 * size[0]) as usize..][..size[0] as usize].to_vec())
                .skip(times as usize / 2)
                .step_by(times as usize)
                .collect();
            assert_same_picture(&painted, &truth, 1);
        }
    }
}

#[test]
fn texture_to_heat_gives_what_run_gives() {
    let model = load(engine(), &small_configs()[0], 1, Precision::F32);
    let session = block_on(model.session(1)).expect("fits");
    let image = photograph(130, 100, 11);
    let expected = session.run_blocking(&[preprocess(&image, model.fit(), 64).expect("fits")]).expect("runs").remove(0);
    let rgba: Vec<u8> = image.pixels().flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 255]).collect();
    let source = texture([130, 100], TextureFormat::Rgba8Unorm, &rgba);
    let target = texture([64, 64], TextureFormat::Rgba8Unorm, &[0; 4 * 64 * 64]);
    let lowest = expected.map.iter().copied().fold(f32::INFINITY, f32::min);
    let scale = Scale { low: lowest, high: expected.score };
    let style = HeatStyle { scale, colours: ColourMap::Turbo, paint: Paint::Map };
    let input = block_on(session.texture_input(0, &TextureSource::new(&source, Encoding::Srgb))).expect("readable");
    let target_map = HeatTarget::new(&target, Encoding::Srgb, by_itself());
    let output = block_on(session.heat_output(0, 0, &target_map, &style)).expect("paintable");
    session.run_blocking(&[photograph(64, 64, 1)]).expect("runs");
    submit(|encoder| {
        input.record(encoder);
        session.record(encoder);
        output.record(encoder);
    });
    assert_eq!(read(session.map_buffer()), expected.map);
    let refilled = block_on(session.run_input(1, |encoder| input.record(encoder))).expect("runs");
    assert_eq!(refilled, std::slice::from_ref(&expected));
    let error = block_on(session.run_input(2, |_| {})).expect_err("a batch of 1");
    assert!(matches!(error, Error::Batch { requested: 2, largest: 1 }), "{error}");
    assert_same_picture(&read_texture(&target), &heatmap(&expected.map, 64, 64, scale).expect("64 x 64"), 1);
}

fn input_error(outcome: pcsnet::Result<impl Sized>, words: &str) {
    match outcome.err().expect("refused") {
        error @ Error::Input { .. } => assert!(error.to_string().contains(words), "{error}"),
        other => panic!("{other}"),
    }
}

#[test]
fn textures_that_cannot_be_read_are_told() {
    let session = session(2);
    let device = engine().device();
    let readable = TextureUsages::TEXTURE_BINDING;
    let refused = |texture: &wgpu::Texture, encoding, words: &str| {
        input_error(block_on(session.texture_input(0, &TextureSource::new(texture, encoding))), words);
    };
    let of = |format, usage| texture_of(device, [20, 10], format, usage);
    refused(
        &of(TextureFormat::Rgba8Uint, readable),
        Encoding::Srgb,
        "normalised or floating-point channels, found Rgba8Uint",
    );
    refused(&of(TextureFormat::Rg8Unorm, readable), Encoding::Srgb, "1, 3 or 4");
    refused(&of(TextureFormat::Depth16Unorm, readable), Encoding::Srgb, "Depth16Unorm");
    refused(&of(TextureFormat::Rgba8Unorm, TextureUsages::RENDER_ATTACHMENT), Encoding::Srgb, "TEXTURE_BINDING");
    refused(&of(TextureFormat::Rgba8UnormSrgb, readable), Encoding::Linear, "Encoding::Srgb");

    let good = of(TextureFormat::Rgba8Unorm, readable);
    let source = TextureSource::new(&good, Encoding::Srgb);
    let region = |x, y, width, height| TextureSource { region: Some(Rect { x, y, width, height }), ..source };
    for source in [region(0, 0, 0, 5), region(15, 0, 6, 5), region(0, u32::MAX, 1, 2), region(3, 3, u32::MAX, 1)] {
        input_error(block_on(session.texture_input(0, &source)), "a region inside its 20 x 10 pixels");
    }
    input_error(block_on(session.texture_input(0, &TextureSource { layer: 1, ..source })), "a layer below 1");
    input_error(block_on(session.texture_input(2, &source)), "less than the session's batch of 2, found 2");

    let many = wgpu::TextureDescriptor {
        label: None,
        size: wgpu::Extent3d { width: 8, height: 8, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 4,
        dimension: wgpu::TextureDimension::D2,
        format: TextureFormat::Rgba8Unorm,
        usage: readable | TextureUsages::RENDER_ATTACHMENT,
        view_formats: &[],
    };
    refused(&device.create_texture(&many), Encoding::Srgb, "one sample");
    let deep =
        wgpu::TextureDescriptor { sample_count: 1, dimension: wgpu::TextureDimension::D3, usage: readable, ..many };
    refused(&device.create_texture(&deep), Encoding::Srgb, "two dimensions");
}

/// Where they are handed over destroyed; what is destroyed later shows in the host's own scope around its submission.
#[test]
fn destroyed_things_are_told() {
    let session = session(1);
    let device = engine().device();
    let usage = TextureUsages::TEXTURE_BINDING | TextureUsages::RENDER_ATTACHMENT;
    let texture = || texture_of(device, [20, 10], TextureFormat::Rgba8Unorm, usage);
    let style = HeatStyle { scale: SCALE, colours: ColourMap::Turbo, paint: Paint::Map };
    let input = |texture: &_| block_on(session.texture_input(0, &TextureSource::new(texture, Encoding::Srgb)));
    let output = |texture: &_| {
        block_on(session.heat_output(0, 0, &HeatTarget::new(texture, Encoding::Srgb, by_itself()), &style))
    };
    let create_buffer = || {
        let usage = wgpu::BufferUsages::STORAGE;
        let descriptor = wgpu::BufferDescriptor { label: None, size: 800, usage, mapped_at_creation: false };
        device.create_buffer(&descriptor)
    };
    let buffer_input = |buffer: &wgpu::Buffer| {
        let source = BufferSource { buffer, offset: 0, bytes_per_row: 80, width: 20, height: 10 };
        block_on(session.buffer_input(0, &source))
    };

    let (destroyed, destroyed_buffer) = (texture(), create_buffer());
    destroyed.destroy();
    destroyed_buffer.destroy();
    let told = |error: Option<Error>| assert!(matches!(error, Some(Error::Gpu { .. })), "{error:?}");
    told(input(&destroyed).err());
    told(output(&destroyed).err());
    told(buffer_input(&destroyed_buffer).err());

    let (source, target, buffer) = (texture(), texture(), create_buffer());
    let input = input(&source).expect("readable");
    let output = output(&target).expect("paintable");
    let buffer_input = buffer_input(&buffer).expect("readable");
    source.destroy();
    target.destroy();
    buffer.destroy();
    let recordings: [&dyn Fn(&mut wgpu::CommandEncoder); 3] =
        [&|encoder| input.record(encoder), &|encoder| output.record(encoder), &|encoder| buffer_input.record(encoder)];
    for (index, record) in recordings.into_iter().enumerate() {
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        submit(record);
        assert!(block_on(scope.pop()).is_some(), "recording {index}");
    }
}

#[test]
fn buffers_that_cannot_be_read_are_told() {
    let session = session(1);
    let create = |size, usage| {
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        engine().device().create_buffer(&descriptor)
    };
    let good = create(4 * 30 * 20, wgpu::BufferUsages::STORAGE);
    let source = BufferSource { buffer: &good, offset: 0, bytes_per_row: 120, width: 30, height: 20 };
    assert!(block_on(session.buffer_input(0, &source)).is_ok());
    let refused =
        |source: BufferSource<'_>, words: &str| input_error(block_on(session.buffer_input(0, &source)), words);
    refused(BufferSource { offset: 4, ..source }, "20 rows of 120 bytes from byte 4 on, found 2400 bytes");
    refused(BufferSource { height: 21, ..source }, "21 rows");
    refused(BufferSource { height: u32::MAX, bytes_per_row: u32::MAX - 3, ..source }, "rows of");
    refused(BufferSource { offset: u64::MAX - 3, ..source }, "rows of");
    refused(BufferSource { offset: 2, ..source }, "multiples of 4");
    refused(BufferSource { bytes_per_row: 116, ..source }, "at least 120 bytes per row");
    refused(BufferSource { width: 0, ..source }, "1 to");
    refused(BufferSource { height: 0, ..source }, "1 to");
    let wrong = create(2400, wgpu::BufferUsages::COPY_DST);
    refused(BufferSource { buffer: &wrong, ..source }, "usage STORAGE");
}

#[test]
fn targets_that_cannot_be_painted_are_told() {
    let session = session(2);
    let style = HeatStyle { scale: SCALE, colours: ColourMap::Turbo, paint: Paint::Map };
    let paintable = TextureUsages::RENDER_ATTACHMENT;
    let of = |format, usage| texture_of(engine().device(), [20, 10], format, usage);
    let refused = |head, index, target: &HeatTarget<'_>, words: &str| {
        input_error(block_on(session.heat_output(head, index, target, &style)), words);
    };
    for format in [TextureFormat::Rgba8Uint, TextureFormat::Rgba32Float, TextureFormat::R8Unorm] {
        let target = of(format, paintable);
        refused(0, 0, &HeatTarget::new(&target, Encoding::Srgb, by_itself()), "3 or 4 channels that can be blended");
    }
    let readable = of(TextureFormat::Rgba8Unorm, TextureUsages::TEXTURE_BINDING);
    refused(0, 0, &HeatTarget::new(&readable, Encoding::Srgb, by_itself()), "RENDER_ATTACHMENT");
    let good = of(TextureFormat::Rgba8Unorm, paintable);
    let target = HeatTarget::new(&good, Encoding::Srgb, by_itself());
    refused(1, 0, &target, "index of a head: expected less than the session's 1");
    refused(0, 2, &target, "index of an image");
    let region = Some(Rect { x: 10, y: 0, width: 11, height: 1 });
    refused(0, 0, &HeatTarget { region, ..target }, "a region inside");
    refused(0, 0, &HeatTarget { layer: 3, ..target }, "a layer below 1");
    let linear = of(TextureFormat::Rgba8UnormSrgb, paintable);
    refused(0, 0, &HeatTarget::new(&linear, Encoding::Linear, by_itself()), "Encoding::Srgb");
}

/// Things of another device reach the caller as errors where they are handed over, and the host's own error scope where
/// the host finishes a foreign encoder. Nothing panics.
#[test]
fn foreign_devices_are_told() {
    let [(own_device, own_queue), (device, queue)] = support::two_devices();
    let engine = pcsnet::Engine::new(own_device, own_queue, pcsnet::EngineOptions::default()).expect("default limits");
    let model = load(&engine, &small_configs()[0], 1, Precision::F32);
    let session = block_on(model.session(1)).expect("fits");
    let foreign = texture_of(
        &device,
        [20, 20],
        TextureFormat::Rgba8Unorm,
        TextureUsages::TEXTURE_BINDING | TextureUsages::RENDER_ATTACHMENT,
    );
    let gpu_error = |outcome: Option<Error>| assert!(matches!(outcome, Some(Error::Gpu { .. })), "{outcome:?}");
    gpu_error(block_on(session.texture_input(0, &TextureSource::new(&foreign, Encoding::Srgb))).err());
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 1600,
        usage: wgpu::BufferUsages::STORAGE,
        mapped_at_creation: false,
    });
    let source = BufferSource { buffer: &buffer, offset: 0, bytes_per_row: 80, width: 20, height: 20 };
    gpu_error(block_on(session.buffer_input(0, &source)).err());
    let style = HeatStyle { scale: SCALE, colours: ColourMap::Turbo, paint: Paint::Map };
    let target = HeatTarget::new(&foreign, Encoding::Srgb, by_itself());
    gpu_error(block_on(session.heat_output(0, 0, &target, &style)).err());

    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    session.record(&mut encoder);
    let commands = encoder.finish();
    queue.submit([commands]);
    assert!(block_on(scope.pop()).is_some(), "a session recorded into a foreign encoder");
}

/// What the library provokes never shows in a scope or callback of the host's, and what the host provokes never in the
/// library's results.
#[test]
fn the_hosts_error_scopes_are_left_alone() {
    let [(device, queue), (foreign_device, _foreign_queue)] = support::two_devices();
    let heard = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&heard);
    device.on_uncaptured_error(std::sync::Arc::new(move |_| {
        count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }));
    let wrong = wgpu::BufferDescriptor {
        label: None,
        size: 16,
        // No device maps a buffer for reading and binds it.
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::STORAGE,
        mapped_at_creation: false,
    };
    let outer = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let engine = pcsnet::Engine::new(device.clone(), queue, pcsnet::EngineOptions::default()).expect("default limits");
    let config = &small_configs()[0];
    let model = load(&engine, config, 1, Precision::F32);
    let session = block_on(model.session(1)).expect("fits");
    session.run_blocking(&[Random::new(1).image(config.input)]).expect("runs");
    // Refused by validation, inside the library's scopes.
    let foreign = texture_of(&foreign_device, [9, 9], TextureFormat::Rgba8Unorm, TextureUsages::TEXTURE_BINDING);
    assert!(block_on(session.texture_input(0, &TextureSource::new(&foreign, Encoding::Srgb))).is_err());
    assert!(block_on(memory.pop()).is_none());
    assert!(block_on(outer.pop()).is_none(), "the library's error reached the host's scope");
    assert_eq!(heard.load(std::sync::atomic::Ordering::SeqCst), 0, "the library's error reached the host's callback");
    // The host's scope still hears of the host's own, around library calls, and so does its callback.
    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let _ = device.create_buffer(&wrong);
    session.run_blocking(&[Random::new(2).image(config.input)]).expect("runs");
    assert!(block_on(scope.pop()).is_some(), "the host's error was swallowed");
    let _ = device.create_buffer(&wrong);
    assert_eq!(heard.load(std::sync::atomic::Ordering::SeqCst), 1, "the host's callback was replaced");
}

/// In a process of its own that may not take more than some memory: Mesa's software driver allocates from it.
#[cfg(target_os = "linux")]
#[test]
fn no_room_left_is_told() {
    const CHILD: &str = "PCSNET_LITTLE_MEMORY";
    const KIBIBYTES: u32 = 6 << 20;
    if std::env::var_os(CHILD).is_some() {
        fill_the_memory();
        return;
    }
    if engine().device().adapter_info().device_type != wgpu::DeviceType::Cpu {
        eprintln!("skipped: the memory of a graphics card cannot be limited");
        return;
    }
    let script = format!("ulimit -v {KIBIBYTES}; exec \"$0\" --exact no_room_left_is_told --nocapture");
    let program = std::env::current_exe().expect("this test");
    let child = std::process::Command::new("sh").arg("-c").arg(script).arg(program).env(CHILD, "1").output();
    let child = child.expect("sh starts");
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
}

/// Opens sessions until there is no memory for another, and sees what works then.
fn fill_the_memory() {
    let model = load(engine(), &small_configs()[0], 1, Precision::F32);
    let image = Random::new(1).image(64);
    let first = block_on(model.session(1)).expect("fits");
    let expected = first.run_blocking(std::slice::from_ref(&image)).expect("runs");
    let mut sessions = Vec::new();
    let error = loop {
        match block_on(model.session(4096)) {
            Ok(session) => sessions.push(session),
            Err(error) => break error,
        }
        assert!(sessions.len() < 100, "the limit does not hold");
    };
    assert!(matches!(error, Error::OutOfMemory(_)), "{error}");
    assert!(error.to_string().contains("use a smaller batch or f16 weights"), "{error}");
    // With some given back, what was there before still works.
    sessions.clear();
    assert_eq!(first.run_blocking(&[image]).expect("runs"), expected);
}

#[test]
fn a_lost_device_is_told_everywhere() {
    let (device, queue) = support::default_device();
    let engine = pcsnet::Engine::new(device.clone(), queue, pcsnet::EngineOptions::default()).expect("default limits");
    let model = load(&engine, &small_configs()[0], 1, Precision::F32);
    let session = block_on(model.session(1)).expect("fits");
    let usage = TextureUsages::TEXTURE_BINDING | TextureUsages::RENDER_ATTACHMENT;
    let texture = texture_of(&device, [20, 20], TextureFormat::Rgba8Unorm, usage);
    device.destroy();
    let told = |error: Option<Error>| {
        let error = error.expect("the device is gone");
        assert!(matches!(error, Error::DeviceLost(_) | Error::Gpu { .. } | Error::OutOfMemory(_)), "{error}");
    };
    told(block_on(session.texture_input(0, &TextureSource::new(&texture, Encoding::Srgb))).err());
    let style = HeatStyle { scale: SCALE, colours: ColourMap::Turbo, paint: Paint::Map };
    let target = HeatTarget::new(&texture, Encoding::Srgb, by_itself());
    told(block_on(session.heat_output(0, 0, &target, &style)).err());
    told(block_on(engine.load_backbone(&support::weights(&small_configs()[0], 2), Precision::F32)).err());
    match block_on(engine.probe()) {
        Err(error) => told(Some(error)),
        Ok(checks) => assert!(checks.iter().any(|check| !check.passed())),
    }
}

#[test]
fn every_kernel_answers_right_here() {
    let checks = block_on(engine().probe()).expect("the device stays");
    assert!(checks.len() > 20);
    assert!(checks.iter().all(pcsnet::KernelCheck::passed), "{checks:#?}");
}
