//! PCSNet inside a program that draws with wgpu, without a window: a photograph in a texture goes in, a heatmap in a
//! texture comes out, and what wgpu does meanwhile is counted.
//!
//! ```text
//! cargo run --release --example embed_headless -- [PHOTOGRAPH [HEATMAP.png]]
//! ```

use pcsnet::gpu::{check_adapter, required_features, required_limits};
use pcsnet::image::{self, ColourMap, RgbImage, Scale};
use pcsnet::inspect::Calibration;
use pcsnet::weights::Weights;
use pcsnet::{Encoding, Engine, EngineOptions, HeatStyle, HeatTarget, Paint, Precision, TextureSource, wgpu};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

const FRAMES: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let photograph = arguments.next().unwrap_or_else(|| project.join("samples/test/chip/000.png"));
    let heatmap = arguments.next().unwrap_or_else(|| "heatmap.png".into());
    count_calls()?;
    pollster::block_on(run(&project.join("weights/default.safetensors"), &photograph, &heatmap))?;
    println!("{} -> {}", photograph.display(), heatmap.display());
    Ok(())
}

/// Runs a model on a photograph as a host does, and saves its heatmap; after [`count_calls`].
pub async fn run(model: &Path, photograph: &Path, heatmap: &Path) -> Result<(), Box<dyn Error>> {
    // The host's own device, with no more than the network needs.
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = instance.request_adapter(&wgpu::RequestAdapterOptions::default()).await?;
    check_adapter(&adapter)?;
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("host"),
        required_features: required_features(),
        required_limits: required_limits(),
        ..Default::default()
    };
    let (device, queue) = adapter.request_device(&descriptor).await?;

    // Once: the model, its memory, and the ways in and out.
    let weights = Weights::open([model])?;
    let scale = Calibration::from_metadata(&weights.metadata())?.scale.unwrap_or(Scale { low: 0.0, high: 1.0 });
    let engine = Engine::new(device.clone(), queue.clone(), EngineOptions::default())?;
    let model = engine.load(&weights, Precision::F32).await?;
    let session = model.session(1).await?;
    let source = upload(&device, &queue, &image::open(photograph)?);
    let target = create_texture(
        &device,
        (source.width(), source.height()),
        wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
    );
    let style = HeatStyle { scale, colours: ColourMap::Turbo, paint: Paint::Map };
    let input = session.texture_input(0, &TextureSource::new(&source, Encoding::Srgb)).await?;
    let output = session.heat_output(0, 0, &HeatTarget::new(&target, Encoding::Srgb, *input.frame()), &style).await?;

    // Every frame: commands in the host's encoder, and the host's one submission.
    for frame in 0..FRAMES {
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("frame") });
        let before = Calls::so_far();
        input.record(&mut encoder);
        session.record(&mut encoder);
        output.record(&mut encoder);
        let after = Calls::so_far();
        assert_eq!(before, after, "frame {frame} was more than recorded");
        queue.submit([encoder.finish()]);
        assert_eq!(Calls::so_far().submissions, after.submissions + 1, "submissions are counted");
    }
    let picture = read_back(&device, &queue, &target)?;
    assert!(Calls::so_far().buffers > 0, "buffers are counted");
    Ok(picture.save(heatmap)?)
}

fn create_texture(device: &wgpu::Device, (width, height): (u32, u32), usage: wgpu::TextureUsages) -> wgpu::Texture {
    device.create_texture(&wgpu::TextureDescriptor {
        label: Some("picture"),
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage,
        view_formats: &[],
    })
}

fn upload(device: &wgpu::Device, queue: &wgpu::Queue, photograph: &RgbImage) -> wgpu::Texture {
    let usage = wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST;
    let texture = create_texture(device, photograph.dimensions(), usage);
    let rgba: Vec<u8> = photograph.pixels().flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 255]).collect();
    let layout = wgpu::TexelCopyBufferLayout { bytes_per_row: Some(4 * texture.width()), ..Default::default() };
    queue.write_texture(texture.as_image_copy(), &rgba, layout, texture.size());
    texture
}

fn read_back(device: &wgpu::Device, queue: &wgpu::Queue, texture: &wgpu::Texture) -> Result<RgbImage, Box<dyn Error>> {
    let bytes_per_row = (4 * texture.width()).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("read-back"),
        size: u64::from(bytes_per_row) * u64::from(texture.height()),
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let layout = wgpu::TexelCopyBufferLayout { bytes_per_row: Some(bytes_per_row), ..Default::default() };
    let into = wgpu::TexelCopyBufferInfo { buffer: &buffer, layout };
    encoder.copy_texture_to_buffer(texture.as_image_copy(), into, texture.size());
    queue.submit([encoder.finish()]);
    buffer.slice(..).map_async(wgpu::MapMode::Read, |_| {});
    device.poll(wgpu::PollType::wait_indefinitely())?;
    let bytes = buffer.slice(..).get_mapped_range()?;
    let pixel = |x: u32, y: u32| {
        let first = (y * bytes_per_row + 4 * x) as usize;
        [bytes[first], bytes[first + 1], bytes[first + 2]]
    };
    Ok(RgbImage::from_fn(texture.width(), texture.height(), |x, y| ::image::Rgb(pixel(x, y))))
}

/// What has been asked of wgpu. Its core logs every call.
#[derive(Debug, PartialEq)]
struct Calls {
    submissions: usize,
    buffers: usize,
    /// Everything else that is created: textures, bind groups, pipelines, encoders.
    others: usize,
}

static SUBMISSIONS: AtomicUsize = AtomicUsize::new(0);
static BUFFERS: AtomicUsize = AtomicUsize::new(0);
static OTHERS: AtomicUsize = AtomicUsize::new(0);

impl Calls {
    fn so_far() -> Self {
        let [submissions, buffers, others] =
            [&SUBMISSIONS, &BUFFERS, &OTHERS].map(|counter| counter.load(Ordering::SeqCst));
        Self { submissions, buffers, others }
    }
}

struct Counter;

impl log::Log for Counter {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("wgpu_core")
    }

    fn log(&self, record: &log::Record<'_>) {
        let text = record.args().to_string();
        let counter = match text.as_str() {
            "Queue::submit" => &SUBMISSIONS,
            call if call.starts_with("Device::create_buffer") => &BUFFERS,
            call if call.starts_with("Device::create_") => &OTHERS,
            _ => return,
        };
        counter.fetch_add(1, Ordering::SeqCst);
    }

    fn flush(&self) {}
}

/// Begins to count, once in a program.
pub fn count_calls() -> Result<(), log::SetLoggerError> {
    log::set_logger(&Counter)?;
    log::set_max_level(log::LevelFilter::Trace);
    Ok(())
}
