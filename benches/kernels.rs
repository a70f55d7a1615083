//! The kernels at the full-size network's shapes, on the default adapter, by its own timestamps.
//!
//! Each group is a small network in which few steps but those of interest take long; what is timed is single steps of
//! it.

#[path = "../tests/support/mod.rs"]
mod support;

use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use pcsnet::config::{BackboneConfig, DescriptorKind, HeadConfig, LayerConfig, ResNetConfig, TrainedHead};
use pcsnet::gpu::{Winograd, open_device};
use pcsnet::{Engine, EngineOptions, LoadOptions, ModelConfig, Session, wgpu};
use pollster::block_on;
use std::time::Duration;

/// The first block of each of WideResNet-50-2's layers, the whole grid, and hardly anything behind it.
fn small_parts() -> ModelConfig {
    with_head([64, 64, 64, 64], &[60, 30, 15, 8])
}

/// The first block of each layer with a head of so many prototypes, nearest distances, guide channels and channels of
/// the decoder.
fn with_head([prototypes, nearest, guide, width]: [u32; 4], bins: &[u32]) -> ModelConfig {
    let layer = |width, channels| LayerConfig { blocks: 1, width, channels };
    let layers = [layer(128, 256), layer(256, 512), layer(512, 1024)];
    let backbone = BackboneConfig::Bottleneck(ResNetConfig { stem: 64, layers });
    let (descriptor, bins) = (DescriptorKind::Plain, bins.to_vec());
    let head = TrainedHead { descriptor, prototypes, nearest, guide, width, bins };
    ModelConfig { backbone, input: 224, light: None, grid: 64, head: HeadConfig::Trained(head) }
}

/// One bin of the decoder in full width.
fn one_bin() -> ModelConfig {
    ModelConfig { grid: 30, ..with_head([64, 64, 896, 896], &[30]) }
}

fn all_prototypes() -> ModelConfig {
    with_head([4096, 200, 64, 64], &[8])
}

fn session(config: &ModelConfig, winograd: Option<Winograd>) -> Session {
    let (device, queue) = block_on(open_device(None)).expect("an adapter");
    let engine = Engine::new(device, queue, EngineOptions::default()).expect("the adapter was checked");
    let mut options = LoadOptions::default();
    options.winograd = winograd;
    let session = block_on(support::load(&engine, config, 1, options).session(1)).expect("one image fits");
    // Drivers compile kernels at their first use.
    session.run_resident().expect("the device stays");
    session
}

fn has_timestamps() -> bool {
    let (device, _) = block_on(open_device(None)).expect("an adapter");
    let offered = device.features().contains(wgpu::Features::TIMESTAMP_QUERY);
    if !offered {
        eprintln!("skipped: {} has no timestamps", device.adapter_info().name);
    }
    offered
}

/// A name, and the beginning and a part of the labels of the steps that count.
type Steps = [&'static str; 3];

fn bench_steps(
    criterion: &mut Criterion,
    name: &str,
    config: &ModelConfig,
    winograd: Option<Winograd>,
    steps: &[Steps],
) {
    if !has_timestamps() {
        return;
    }
    let session = session(config, winograd);
    let mut group = criterion.benchmark_group(name);
    // Every measurement runs the whole network.
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.warm_up_time(Duration::from_millis(1)).measurement_time(Duration::from_secs(1));
    for [name, beginning, part] in steps {
        let time = || {
            let times = block_on(session.profile()).expect("the device has timestamps");
            let counts = |label: &str| label.starts_with(beginning) && label.contains(part);
            let counted: Vec<Duration> =
                times.into_iter().filter(|(label, _)| counts(label)).map(|(_, time)| time).collect();
            assert!(!counted.is_empty(), "the network has no step of {name}");
            counted.into_iter().sum::<Duration>()
        };
        group.bench_function(*name, |bencher| bencher.iter_custom(|runs| (0..runs).map(|_| time()).sum()));
    }
    group.finish();
}

/// `[900 x 960] x [960 x 896]`: 0.77 G multiply-adds.
fn product(criterion: &mut Criterion) {
    bench_steps(criterion, "matrix product", &one_bin(), None, &[["900 x 960 x 896", "decoder.bin30.corr", ""]]);
}

/// Two convolutions of 896 channels in and out at 30 x 30: 13 G multiply-adds as written.
fn convolution(criterion: &mut Criterion) {
    let steps = [
        ["input transform", "decoder.bin30.beta", ".input"],
        ["products", "decoder.bin30.beta", ".product"],
        ["output transform", "decoder.bin30.beta", ".output"],
    ];
    for winograd in [Winograd::F2x2, Winograd::F4x4] {
        bench_steps(criterion, &format!("3x3 convolutions, {winograd:?}"), &one_bin(), Some(winograd), &steps);
    }
}

/// 4096 positions of 1792 channels against 4096 prototypes, the 200 nearest.
fn prototypes(criterion: &mut Criterion) {
    let steps = [
        ["products", "prototypes.", ".product"],
        ["distances", "prototypes.", ".distances"],
        ["nearest", "prototypes.", ".nearest"],
    ];
    bench_steps(criterion, "prototypes", &all_prototypes(), None, &steps);
}

fn maps(criterion: &mut Criterion) {
    let steps = [
        ["resize features to the grid", "descriptor.", ".resize"],
        ["pool for the bins", "decoder.bin", ".guide"],
        ["resize from bin to bin", "decoder.bin", ".previous"],
        ["sum of resizes", "decoder.res1", ""],
        ["upsample the map", "anomaly_map.upsample", ""],
        ["blur", "anomaly_map.blur", ""],
    ];
    bench_steps(criterion, "maps", &small_parts(), None, &steps);
}

criterion_group!(benches, product, convolution, prototypes, maps);
criterion_main!(benches);
