//! A program with a wgpu device of its own: a photograph in one of its textures is inspected where it lies, and what
//! comes back is a verdict.
//!
//! ```text
//! cargo run -- PHOTOGRAPH
//! ```

use pcsnet::gpu::{check_adapter, optional_features, required_features, required_limits};
use pcsnet::inspect::{Calibration, Gathered, Inspector, Placement};
use pcsnet::{Encoding, Engine, EngineOptions, Precision, TextureSource, image, weights::Weights};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("the path of a photograph is expected")?;
    pollster::block_on(inspect(&image::open(&path)?))
}

async fn inspect(photograph: &image::RgbImage) -> Result<(), Box<dyn Error>> {
    // What any program does that draws with wgpu; pcsnet wants no more than these features and limits.
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = instance.request_adapter(&wgpu::RequestAdapterOptions::default()).await?;
    check_adapter(&adapter)?;
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("the program's own"),
        // The optional ones make the network faster.
        required_features: required_features() | (adapter.features() & optional_features()),
        required_limits: required_limits(),
        ..Default::default()
    };
    let (device, queue) = adapter.request_device(&descriptor).await?;
    let texture = upload(&device, &queue, photograph);

    // Once: the model on that device, and the way from the texture into it.
    let engine = Engine::new(device, queue, EngineOptions::default())?;
    let weights = Weights::built_in()?;
    let model = engine.load(&weights, Precision::F32).await?;
    let inspector = Inspector::new(&model, Calibration::from_metadata(&weights.metadata())?, 1).await?;
    let input = inspector.session().texture_input(0, &TextureSource::new(&texture, Encoding::Srgb)).await?;

    // For each picture in the texture: resized, inspected, judged.
    let detection = inspector.session().run_input(1, |encoder| input.record(encoder)).await?.remove(0);
    let mut found = Gathered::new(Placement::Whole { frame: *input.frame(), fit: model.fit() });
    found.add(detection)?;
    let inspection = found.finish()?;
    let findings = inspection.findings(inspector.calibration())?;
    let verdict = findings.verdict.ok_or("the model has no threshold")?;
    println!("{verdict}: score {} on {}", findings.score, adapter.get_info().name);
    for region in findings.regions.unwrap_or_default() {
        let image::Rect { x, y, width, height } = region.bounds;
        println!("  {width} x {height} pixels at {x}, {y}, up to {}", region.peak);
    }
    Ok(())
}

fn upload(device: &wgpu::Device, queue: &wgpu::Queue, photograph: &image::RgbImage) -> wgpu::Texture {
    let (width, height) = photograph.dimensions();
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: Some("photograph"),
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    });
    let rgba: Vec<u8> = photograph.pixels().flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 255]).collect();
    let layout = wgpu::TexelCopyBufferLayout { bytes_per_row: Some(4 * width), ..Default::default() };
    queue.write_texture(texture.as_image_copy(), &rgba, layout, texture.size());
    texture
}
