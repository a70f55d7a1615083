//! Small random models and the one device that engine tests share.
#![allow(dead_code, reason = "each test file uses some of it")]

use pcsnet::config::{
    BackboneConfig, DescriptorKind, EfficientNetConfig, HeadConfig, LayerConfig, ResNetConfig, StageConfig, TaughtHead,
    TaughtLevel, TrainedHead,
};
use pcsnet::weights::Weights;
use pcsnet::wgpu::{self, TextureFormat, TextureUsages};
use pcsnet::{Engine, EngineOptions, LoadOptions, ModelConfig, schema};
use pollster::block_on;
use safetensors::tensor::{Dtype, TensorView};
use std::sync::OnceLock;

/// A device as a careful host would make it: no features, WebGPU's default limits.
pub fn default_device() -> (pcsnet::wgpu::Device, pcsnet::wgpu::Queue) {
    device_with(pcsnet::wgpu::Limits::default())
}

/// A device with the given limits on the best adapter, without any feature.
pub fn device_with(limits: pcsnet::wgpu::Limits) -> (pcsnet::wgpu::Device, pcsnet::wgpu::Queue) {
    device(&pcsnet::wgpu::DeviceDescriptor { required_limits: limits, ..Default::default() })
}

/// Two devices, with nothing more than the defaults, that know of one another's resources: of one instance.
pub fn two_devices() -> [(pcsnet::wgpu::Device, pcsnet::wgpu::Queue); 2] {
    let instance = pcsnet::wgpu::Instance::new(pcsnet::wgpu::InstanceDescriptor::new_without_display_handle());
    [(), ()].map(|()| {
        let adapter = block_on(instance.request_adapter(&Default::default())).expect("an adapter");
        block_on(adapter.request_device(&Default::default())).expect("the adapter has default limits")
    })
}

/// A device on the best adapter.
pub fn device(descriptor: &pcsnet::wgpu::DeviceDescriptor<'_>) -> (pcsnet::wgpu::Device, pcsnet::wgpu::Queue) {
    let instance = pcsnet::wgpu::Instance::new(pcsnet::wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = block_on(instance.request_adapter(&Default::default()))
        .expect("these tests need a graphics adapter; `cargo xtask setup` installs a software one");
    block_on(adapter.request_device(descriptor)).expect("the adapter offers what is asked for")
}

/// The engine most tests share, with every feature the adapter has.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let (device, queue) = block_on(pcsnet::gpu::open_device(None))
            .expect("these tests need a graphics adapter; `cargo xtask setup` installs a software one");
        Engine::new(device, queue, EngineOptions::default()).expect("the adapter was checked")
    })
}

/// An empty texture.
pub fn texture_of(
    device: &wgpu::Device,
    [width, height]: [u32; 2],
    format: TextureFormat,
    usage: TextureUsages,
) -> wgpu::Texture {
    device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: usage | TextureUsages::COPY_DST | TextureUsages::COPY_SRC,
        view_formats: &[],
    })
}

/// A texture of texels given as bytes, row after row.
pub fn texture(size: [u32; 2], format: TextureFormat, texels: &[u8]) -> wgpu::Texture {
    let usage = TextureUsages::TEXTURE_BINDING | TextureUsages::RENDER_ATTACHMENT;
    let texture = texture_of(engine().device(), size, format, usage);
    let bytes_per_row = format.block_copy_size(None).expect("plain texels") * size[0];
    let layout = wgpu::TexelCopyBufferLayout { bytes_per_row: Some(bytes_per_row), ..Default::default() };
    engine().queue().write_texture(texture.as_image_copy(), texels, layout, texture.size());
    texture
}

/// Sizes small enough to run in a moment, with everything odd that can be odd.
pub fn small_configs() -> Vec<ModelConfig> {
    let layer = |blocks, width, channels| LayerConfig { blocks, width, channels };
    let stage = |blocks, kernel, stride, expand, channels| StageConfig { blocks, kernel, stride, expand, channels };
    let bottleneck = BackboneConfig::Bottleneck(ResNetConfig {
        stem: 8,
        layers: [layer(2, 8, 16), layer(1, 12, 24), layer(2, 8, 40)],
    });
    let basic =
        BackboneConfig::Basic(ResNetConfig { stem: 8, layers: [layer(1, 8, 8), layer(2, 16, 16), layer(1, 24, 24)] });
    let inverted = BackboneConfig::Inverted(EfficientNetConfig {
        stem: 8,
        layers: [
            vec![stage(1, 3, 1, 1, 8), stage(2, 3, 2, 6, 12)],
            vec![stage(2, 5, 2, 4, 16)],
            vec![stage(1, 3, 2, 6, 20), stage(2, 5, 1, 6, 24)],
        ],
    });
    let trained = |descriptor, [prototypes, nearest, guide, width]: [u32; 4], bins: &[u32]| {
        let bins = bins.to_vec();
        HeadConfig::Trained(TrainedHead { descriptor, prototypes, nearest, guide, width, bins })
    };
    let level = |level, prototypes| TaughtLevel { level, prototypes };
    vec![
        ModelConfig {
            backbone: bottleneck.clone(),
            input: 64,
            light: None,
            grid: 16,
            head: trained(DescriptorKind::Plain, [300, 20, 24, 36], &[13, 7, 4]),
        },
        ModelConfig {
            backbone: basic,
            input: 72,
            light: None,
            grid: 13,
            head: trained(DescriptorKind::Rotation, [64, 64, 24, 16], &[13]),
        },
        ModelConfig {
            backbone: inverted.clone(),
            input: 65,
            light: None,
            grid: 12,
            head: trained(DescriptorKind::Plain, [144, 8, 28, 20], &[12, 6, 3, 2, 1]),
        },
        ModelConfig {
            backbone: bottleneck,
            input: 64,
            light: None,
            grid: 11,
            head: HeadConfig::Taught(TaughtHead { levels: vec![level(1, 84), level(2, 40)] }),
        },
        ModelConfig {
            backbone: inverted,
            input: 65,
            light: None,
            grid: 9,
            head: HeadConfig::Taught(TaughtHead { levels: vec![level(1, 20), level(2, 300), level(3, 4)] }),
        },
    ]
}

/// Random numbers that are the same everywhere: SplitMix64, and normal by the sum of twelve uniforms.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as f64 / 2f64.powi(64)
    }

    pub fn normal(&mut self) -> f32 {
        ((0..12).map(|_| self.uniform()).sum::<f64>() - 6.0) as f32
    }

    pub fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.normal()).collect()
    }

    pub fn image(&mut self, side: u32) -> pcsnet::image::RgbImage {
        let mut byte = || (self.uniform() * 256.0) as u8;
        pcsnet::image::RgbImage::from_fn(side, side, |_, _| image::Rgb([byte(), byte(), byte()]))
    }
}

/// A model's file: random weights of a size that keeps activations alive through all layers.
pub fn model_file(config: &ModelConfig, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = schema::model(config)
        .tensors()
        .iter()
        .map(|tensor| {
            let values = tensor_values(&mut random, &tensor.name, &tensor.shape);
            (tensor.name.clone(), tensor.shape.clone(), bytemuck::cast_slice(&values).to_vec())
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("values of the right number"))
    });
    let json = serde_json::to_string(config).expect("sizes become JSON");
    let metadata = [("pcsnet.config".to_owned(), json)].into();
    safetensors::serialize(views, Some(metadata)).expect("tensors become a file")
}

fn tensor_values(random: &mut Random, name: &str, shape: &[usize]) -> Vec<f32> {
    let count = shape.iter().product();
    let values = random.values(count);
    let scaled = |mean: f32, deviation: f32| values.iter().map(|value| mean + deviation * value).collect();
    match shape {
        [_, inputs, height, width] => scaled(0.0, (2.0 / (inputs * height * width) as f32).sqrt()),
        _ if name.ends_with("running_var") => values.iter().map(|value| (0.2 * value).exp()).collect(),
        _ if name.ends_with("weight") => scaled(1.0, 0.1),
        _ if name == "adaptor.C" => scaled(0.3, 1.0),
        _ if name.ends_with("deviation") || name.ends_with("normal") => scaled(1.0, 0.1),
        // Weight, lowest and highest quantile of each level.
        _ if name.ends_with("bounds") => [1.5, 0.5, 2.0, 0.0].repeat(shape[0]),
        _ if name.ends_with(".C") => scaled(0.0, 1.0),
        _ => scaled(0.0, 0.1),
    }
}

pub fn weights(config: &ModelConfig, seed: u64) -> Weights {
    Weights::from_bytes("random.safetensors", model_file(config, seed)).expect("a sound file")
}

pub fn load(engine: &Engine, config: &ModelConfig, seed: u64, options: impl Into<LoadOptions>) -> pcsnet::Model {
    block_on(engine.load(&weights(config, seed), options)).expect("a sound model")
}

/// Largest difference, in units of `truth`'s standard deviation.
pub fn error_in_deviations(values: &[f32], truth: &[f32]) -> f64 {
    assert_eq!(values.len(), truth.len());
    let count = truth.len() as f64;
    let mean = truth.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let variance = truth.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
    let largest = values.iter().zip(truth).map(|(a, b)| f64::from((a - b).abs()));
    // NaN is larger than any tolerance.
    largest.fold(0.0, |largest: f64, error| if error.is_nan() { f64::INFINITY } else { largest.max(error) })
        / variance.sqrt()
}

/// All values of a buffer on the shared engine's device.
pub fn read(buffer: &pcsnet::wgpu::Buffer) -> Vec<f32> {
    use pcsnet::wgpu;
    let (device, queue) = (engine().device(), engine().queue());
    let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ;
    let descriptor = wgpu::BufferDescriptor { label: None, size: buffer.size(), usage, mapped_at_creation: false };
    let staging = device.create_buffer(&descriptor);
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
    queue.submit([encoder.finish()]);
    staging.slice(..).map_async(wgpu::MapMode::Read, |outcome| outcome.expect("mapped"));
    device.poll(wgpu::PollType::wait_indefinitely()).expect("waits");
    bytemuck::pod_collect_to_vec(&staging.slice(..).get_mapped_range().expect("mapped"))
}
