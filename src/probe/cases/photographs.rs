//! Photographs in, heat out. The twins are the CPU's own resize and overlay.

use crate::Result;
use crate::engine::HeatParams;
use crate::gpu::{Gpu, Graph, HeatPass, Kernel, read_buffers};
use crate::image::resize::Taps;
use crate::image::{ColourMap, Fit, Frame, Rect, RgbImage, Scale, overlay, rgba};
use crate::ops::{self, Axis, Photograph};
use crate::probe::harness::{Answer, Case, FENCE, SENTINEL, host_buffer, values};

/// A photograph in a larger picture, and where it goes.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    pub size: [u32; 2],
    /// Pixels of the picture beside it: left, above, right, below.
    pub margins: [u32; 4],
    pub fit: Fit,
    /// Side of the network's input.
    pub side: u32,
    /// Pixels in the output before the first.
    pub before: u32,
    pub seed: u64,
}

impl Example {
    pub(crate) const SMALL: Self =
        Self { size: [61, 47], margins: [3, 1, 2, 4], fit: Fit::Crop, side: 29, before: 70, seed: 1 };
}

fn noise(width: u32, height: u32, seed: u64) -> RgbImage {
    let values = values((3 * width * height) as usize, seed);
    RgbImage::from_fn(width, height, |x, y| {
        let first = 3 * (y * width + x) as usize;
        ::image::Rgb([0, 1, 2].map(|channel| ((values[first + channel] + 1.0) * 128.0) as u8))
    })
}

fn levels(bytes: &[u8]) -> Vec<f32> {
    bytes.iter().map(|&byte| byte.into()).collect()
}

/// Equal to the last bit, and nothing written before or behind the image.
pub(crate) async fn lanczos(gpu: &Gpu, example: &Example, from_texture: bool) -> Result<Case> {
    let Example { size: [width, height], margins: [left, top, right, bottom], side, before, seed, fit } = *example;
    let whole = noise(left + width + right, top + height + bottom, seed);
    let photograph = ::image::imageops::crop_imm(&whole, left, top, width, height).to_image();
    let frame = Frame::new(fit, (width, height), side)?;
    let truth = rgba(&frame.input(&photograph)?);

    let count = (side * side) as usize;
    let sentinels = vec![SENTINEL; before as usize + count + 64];
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
    let out = gpu.buffer("out", 4 * sentinels.len() as u64, usage).await?;
    let [columns, rows] = frame.taps();
    let windows = |taps: &[Taps]| taps.iter().map(|pixel| (pixel.first, pixel.weights.clone())).collect::<Vec<_>>();
    let axes = [&Axis::new(gpu, &windows(&columns)).await?, &Axis::new(gpu, &windows(&rows)).await?];
    let mut graph = Graph::fenced(gpu, FENCE);
    if from_texture {
        let size = [whole.width(), whole.height()];
        let texture = gpu.rgba_texture(size, wgpu::TextureUsages::TEXTURE_BINDING, &rgba(&whole)).await?;
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        let source = Photograph::Texture { view: (&view).into(), origin: [left, top], linear: false, grey: false };
        ops::lanczos(&mut graph, "photograph", source, axes, (&out).into(), before);
    } else {
        let words: Vec<f32> = bytemuck::pod_collect_to_vec(&rgba(&whole));
        let buffer = host_buffer(gpu, &words).await?;
        let source =
            Photograph::Buffer { buffer: (&buffer).into(), first: top * whole.width() + left, stride: whole.width() };
        ops::lanczos(&mut graph, "photograph", source, axes, (&out).into(), before);
    }
    let kernels = graph.kernels().map(Kernel::label).collect();
    let schedule = graph.finish().await?;
    gpu.write("sentinels", &out, bytemuck::cast_slice(&sentinels)).await?;
    schedule.submit(gpu).await?;
    let mut pixels: Vec<u32> = read_buffers(gpu, &[(&out, out.size())]).await?.remove(0);
    let behind = pixels.split_off(before as usize + count);
    let inside = pixels.split_off(before as usize);
    let intact = pixels.iter().chain(&behind).all(|&pixel| pixel == SENTINEL.to_bits());
    Ok(Answer { values: levels(bytemuck::cast_slice(&inside)), kernels, intact }.against(levels(&truth), 0.0))
}

/// A map over a photograph of the given size.
pub(crate) async fn heat(gpu: &Gpu, (width, height): (u32, u32), seed: u64) -> Result<Case> {
    const SIDE: u32 = 24;
    let photograph = noise(width, height, seed);
    let map: Vec<f32> = values((SIDE * SIDE) as usize, seed + 1);
    let frame = Frame::new(Fit::Crop, (width, height), SIDE)?;
    let scale = Scale { low: -0.8, high: 0.7 };
    let truth = overlay(&photograph, &map, &frame, scale, 0.6)?;

    let usage = wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC;
    let target = gpu.rgba_texture([width, height], usage, &rgba(&photograph)).await?;
    let pass = HeatPass::new::<HeatParams>(gpu, &target, 0, &host_buffer(gpu, &map).await?).await?;
    let bytes_per_row = (4 * width).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
    let usage = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
    let copy = gpu.buffer("copy", u64::from(bytes_per_row * height), usage).await?;
    let region = Rect { x: 0, y: 0, width, height };
    gpu.submit("heat", |encoder| {
        let params = HeatParams::new(&frame, region, SIDE, scale, Some(0.6));
        pass.write(gpu, &params, &ColourMap::Turbo.table());
        pass.record(encoder, [0, 0, width, height]);
        let layout = wgpu::TexelCopyBufferLayout { bytes_per_row: Some(bytes_per_row), ..Default::default() };
        let into = wgpu::TexelCopyBufferInfo { buffer: &copy, layout };
        encoder.copy_texture_to_buffer(target.as_image_copy(), into, target.size());
    })
    .await?;
    let bytes: Vec<u8> = read_buffers(gpu, &[(&copy, copy.size())]).await?.remove(0);
    let rows = bytes.chunks_exact(bytes_per_row as usize);
    let found: Vec<u8> = rows.flat_map(|row| &row[..4 * width as usize]).copied().collect();
    let kernels = vec!["heat".to_owned()];
    // Where rounding falls on the other side of a colour's edge, a level changes by a colour's step.
    let answer = Answer { values: levels(&found), kernels, intact: true };
    Ok(answer.against(levels(&rgba(&truth)), 8.0 / 255.0))
}
