//! What happens to a photograph of 1024 x 1024 before and after the network.

#[path = "../tests/support/mod.rs"]
mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use image::codecs::{jpeg::JpegEncoder, png::PngEncoder};
use image::imageops::{self, FilterType};
use pcsnet::image::{ColourMap, Fit, Frame, RgbImage, Scale, decode, heatmap, open, overlay};
use pcsnet::{Encoding, HeatStyle, HeatTarget, Paint, Precision, TextureSource, wgpu};
use pollster::block_on;
use std::path::Path;
use std::time::Duration;

const SIDE: u32 = 1024;
const INPUT: u32 = 224;

/// A sample, enlarged, with a sensor's noise.
fn photograph() -> RgbImage {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/test/good/000.png");
    let mut image = imageops::resize(&open(path).expect("a sample"), SIDE, SIDE, FilterType::CatmullRom);
    let mut random = support::Random::new(1);
    for level in image.iter_mut() {
        *level = (f32::from(*level) + 2.0 * random.normal()) as u8;
    }
    image
}

fn map() -> Vec<f32> {
    support::Random::new(2).values((INPUT * INPUT) as usize)
}

const SCALE: Scale = Scale { low: 0.0, high: 2.0 };

fn quick(criterion: &mut Criterion, name: &str, mut run: impl FnMut()) {
    let mut group = criterion.benchmark_group("images");
    group.sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    group.bench_function(name, |bencher| bencher.iter(&mut run));
    group.finish();
}

fn files(criterion: &mut Criterion) {
    let photograph = photograph();
    let (mut jpeg, mut png) = (Vec::new(), Vec::new());
    photograph.write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, 90)).expect("encodes");
    photograph.write_with_encoder(PngEncoder::new(&mut png)).expect("encodes");
    quick(criterion, "decode JPEG", || drop(decode(&jpeg, "photograph").expect("decodes")));
    quick(criterion, "decode PNG", || drop(decode(&png, "photograph").expect("decodes")));
}

fn on_the_cpu(criterion: &mut Criterion) {
    let (photograph, map) = (photograph(), map());
    let frame = Frame::new(Fit::Crop, (SIDE, SIDE), INPUT).expect("usable sizes");
    quick(criterion, "resize and crop", || drop(frame.input(&photograph).expect("fits")));
    quick(criterion, "map to the photograph's frame", || drop(frame.to_original(&map).expect("fits")));
    quick(criterion, "heatmap", || drop(heatmap(&map, INPUT, INPUT, SCALE).expect("fits")));
    quick(criterion, "overlay", || drop(overlay(&photograph, &map, &frame, SCALE, 0.6).expect("fits")));
}

/// From submission until the device is done.
fn on_the_gpu(criterion: &mut Criterion) {
    let engine = support::engine();
    let (device, queue) = (engine.device(), engine.queue());
    let model = support::load(
        engine,
        &pcsnet::ModelConfig { input: INPUT, ..support::small_configs().remove(0) },
        1,
        Precision::F32,
    );
    let session = block_on(model.session(1)).expect("one image fits");
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: wgpu::Extent3d { width: SIDE, height: SIDE, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: wgpu::TextureUsages::TEXTURE_BINDING
            | wgpu::TextureUsages::RENDER_ATTACHMENT
            | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    });
    let rgba: Vec<u8> = photograph().pixels().flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 255]).collect();
    let layout = wgpu::TexelCopyBufferLayout { bytes_per_row: Some(4 * SIDE), ..Default::default() };
    queue.write_texture(texture.as_image_copy(), &rgba, layout, texture.size());
    let input = block_on(session.texture_input(0, &TextureSource::new(&texture, Encoding::Srgb))).expect("readable");
    let style = HeatStyle { scale: SCALE, colours: ColourMap::Turbo, paint: Paint::Overlay { opacity: 0.6 } };
    queue.write_buffer(session.map_buffer(), 0, bytemuck::cast_slice(&map()));
    let target = HeatTarget::new(&texture, Encoding::Srgb, *input.frame());
    let output = block_on(session.heat_output(0, 0, &target, &style)).expect("paintable");
    let submit = |record: &dyn Fn(&mut wgpu::CommandEncoder)| {
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        record(&mut encoder);
        queue.submit([encoder.finish()]);
        device.poll(wgpu::PollType::wait_indefinitely()).expect("the device stays");
    };
    quick(criterion, "resize and crop, GPU", || submit(&|encoder| input.record(encoder)));
    quick(criterion, "overlay, GPU", || submit(&|encoder| output.record(encoder)));
}

criterion_group!(benches, files, on_the_cpu, on_the_gpu);
criterion_main!(benches);
