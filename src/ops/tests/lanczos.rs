//! The resize of photographs. Its twin is the CPU's own resize, which `tests/pillow.rs` compares with Pillow.

use super::*;
use crate::image::{Fit, Frame, RgbImage};
use crate::ops::{self, Axis, Photograph};

fn noise(width: u32, height: u32, seed: u64) -> RgbImage {
    let bytes = values((3 * width * height) as usize, seed).iter().map(|value| ((value + 1.0) * 128.0) as u8).collect();
    RgbImage::from_raw(width, height, bytes).expect("as many values")
}

fn rgba(image: &RgbImage) -> Vec<u32> {
    image.pixels().map(|pixel| u32::from_le_bytes([pixel[0], pixel[1], pixel[2], 7])).collect()
}

/// Resizes to `side` x `side` pixels behind `before` others, which must stay as they are like those behind them.
fn resized(photograph: &Photograph<'_>, frame: &Frame, before: u32) -> Vec<u32> {
    let gpu = gpu();
    let count = (frame.size() * frame.size()) as usize;
    let sentinels = vec![SENTINEL; before as usize + count + 64];
    let out = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 4 * sentinels.len() as u64,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: false,
    });
    gpu.queue.write_buffer(&out, 0, bytemuck::cast_slice(&sentinels));
    let [columns, rows] = frame.taps().map(|taps| block_on(Axis::new(gpu, &taps)).expect("small enough"));
    let mut graph = Graph::fenced(gpu, FENCE);
    ops::lanczos(&mut graph, "photograph", photograph, [&columns, &rows], &out, before);
    let schedule = block_on(graph.finish()).expect("the graph is sound");
    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    schedule.record(&mut encoder, 0..schedule.len());
    gpu.queue.submit([encoder.finish()]);
    let mut pixels: Vec<u32> = block_on(read_buffers(gpu, &[(&out, out.size())])).expect("readable").remove(0);
    let behind = pixels.split_off(before as usize + count);
    let inside = pixels.split_off(before as usize);
    assert!(pixels.iter().chain(&behind).all(|&pixel| pixel == SENTINEL.to_bits()), "written outside the image");
    inside
}

fn texture(image: &RgbImage) -> wgpu::TextureView {
    let gpu = gpu();
    let size = wgpu::Extent3d { width: image.width(), height: image.height(), depth_or_array_layers: 1 };
    let texture = gpu.device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    });
    let layout = wgpu::TexelCopyBufferLayout { bytes_per_row: Some(4 * image.width()), ..Default::default() };
    gpu.queue.write_texture(texture.as_image_copy(), bytemuck::cast_slice(&rgba(image)), layout, size);
    texture.create_view(&wgpu::TextureViewDescriptor::default())
}

proptest! {
    #![proptest_config(config(24))]

    /// Equal to the last bit, from a texture and from a buffer, of which the photograph may be a part.
    #[test]
    fn lanczos(
        [width, height] in [1..90_u32, 1..90_u32], [left, top] in [0..5_u32, 0..5_u32], [right, bottom] in [0..5_u32, 0..5_u32],
        side in 1..70_u32, stretch: bool, before in 0..100_u32, seed: u32,
    ) {
        let whole = noise(left + width + right, top + height + bottom, seed.into());
        let photograph = ::image::imageops::crop_imm(&whole, left, top, width, height).to_image();
        let fit = if stretch { Fit::Stretch } else { Fit::Crop };
        let frame = Frame::new(fit, (width, height), side).expect("usable sizes");
        let truth = rgba(&frame.input(&photograph).expect("its own photograph"));
        let opaque = |pixels: Vec<u32>| pixels.into_iter().map(|pixel| pixel & 0xff_ffff | 7 << 24).collect::<Vec<_>>();

        let view = texture(&whole);
        let source = Photograph::Texture { view: &view, origin: [left, top], linear: false, grey: false };
        assert_eq!(opaque(resized(&source, &frame, before)), truth);

        let words: Vec<f32> = rgba(&whole).into_iter().map(f32::from_bits).collect();
        let buffer = vector(gpu(), &words);
        let source = Photograph::Buffer { buffer: &buffer, first: top * whole.width() + left, stride: whole.width() };
        assert_eq!(opaque(resized(&source, &frame, before)), truth);
    }
}
