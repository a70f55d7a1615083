//! Every operation on the GPU against its CPU twin, over random shapes. Tensors end in a fence of sentinels that must
//! survive.

mod lanczos;
mod maps;
mod pools;
mod products;
mod selection;

use super::Matrix;
use crate::gpu::{Gpu, Graph, MatmulKernel, Slice, Tensor, Uploader, open_device, read_buffers};
use crate::reference::Maps;
use pollster::block_on;
use proptest::prelude::*;
use std::sync::OnceLock;

/// No operation gives this value for the inputs of these tests.
const SENTINEL: f32 = -12345.678;
const FENCE: u64 = 256;

/// The device all tests share, with the shape of matrix product that suits it.
fn gpu() -> &'static Gpu {
    static GPU: OnceLock<Gpu> = OnceLock::new();
    GPU.get_or_init(|| gpu_with(None))
}

fn gpu_with(matmul: Option<MatmulKernel>) -> Gpu {
    let (device, queue) = block_on(open_device(None))
        .expect("these tests need a graphics adapter; `cargo xtask setup` installs a software one");
    let matmul = matmul.unwrap_or_else(|| MatmulKernel::for_device(&device));
    Gpu::new(device, queue, matmul).expect("the adapter was checked")
}

fn config(cases: u32) -> ProptestConfig {
    // A failing case is reproduced from the seed it prints; files of past failures would only clutter the sources.
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Random but reproducible values between -1 and 1, never equal to one another by accident of a short period.
fn values(count: usize, seed: u64) -> Vec<f32> {
    let mix = |index: u64| {
        let z = (index.wrapping_add(seed << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (z ^ (z >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 40
    };
    (0..count as u64).map(|index| mix(index) as f32 / (1 << 23) as f32 - 1.0).collect()
}

fn random_maps(shape: [u32; 4], seed: u64) -> Maps {
    let shape = shape.map(|size| size as usize);
    Maps { shape, values: values(shape.iter().product(), seed) }
}

fn as_u32(maps: &Maps) -> [u32; 4] {
    maps.shape.map(|size| size as u32)
}

/// A tensor that will hold these values.
fn input(graph: &mut Graph<'_>, maps: &Maps) -> Tensor {
    graph.external("input", as_u32(maps))
}

/// Runs the graph on the given inputs and gives all values of the tensor that `out` lies in; what the graph does not
/// write is the sentinel.
fn run(mut graph: Graph<'_>, inputs: &[(Tensor, &[f32])], out: Slice) -> Vec<f32> {
    let gpu = graph.gpu();
    graph.stage("out", out);
    let schedule = block_on(graph.finish()).expect("the graph is sound");
    let size = out.tensor.bytes() + FENCE;
    let buffer = schedule.buffer(out.tensor);
    gpu.queue.write_buffer(buffer, 0, bytemuck::cast_slice(&vec![SENTINEL; size as usize / 4]));
    for (tensor, values) in inputs {
        assert_eq!(tensor.bytes(), 4 * values.len() as u64);
        gpu.queue.write_buffer(schedule.buffer(*tensor), 0, bytemuck::cast_slice(values));
    }
    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    schedule.record(&mut encoder, 0..schedule.len());
    gpu.queue.submit([encoder.finish()]);
    let mut values: Vec<f32> = block_on(read_buffers(gpu, &[(buffer, size)])).expect("readable").remove(0);
    let fence = values.split_off(out.tensor.bytes() as usize / 4);
    assert!(fence.iter().all(|&value| value == SENTINEL), "written behind the tensor");
    values
}

/// Constant matrices; as f16 the values must be exact in it.
fn matrix(gpu: &Gpu, values: &[f32], [batch, depth, columns]: [u32; 3], f16: bool) -> Matrix {
    let mut uploader = Uploader::new(gpu);
    let halves: Vec<half::f16> = values.iter().map(|&value| half::f16::from_f32(value)).collect();
    let bytes: &[u8] = if f16 { bytemuck::cast_slice(&halves) } else { bytemuck::cast_slice(values) };
    let buffer = block_on(uploader.buffer("matrix", bytes)).expect("small enough");
    Matrix { buffer, batch, depth, columns, f16 }
}

fn vector(gpu: &Gpu, values: &[f32]) -> wgpu::Buffer {
    block_on(Uploader::new(gpu).buffer("vector", bytemuck::cast_slice(values))).expect("small enough")
}

/// Values that f16 holds exactly.
fn halved(values: Vec<f32>) -> Vec<f32> {
    values.into_iter().map(|value| half::f16::from_f32(value).to_f32()).collect()
}

/// Whether each value is within `tolerance` of the truth, relative to the truth's largest magnitude.
fn is_close(values: &[f32], truth: &[f32], tolerance: f32) -> bool {
    let scale = truth.iter().fold(1e-3_f32, |scale, value| scale.max(value.abs()));
    values.len() == truth.len() && values.iter().zip(truth).all(|(a, b)| (a - b).abs() <= tolerance * scale)
}

fn assert_close(values: &[f32], truth: &[f32], tolerance: f32) {
    let worst = values.iter().zip(truth).enumerate().max_by(|a, b| {
        let error = |(_, (x, y)): (usize, (&f32, &f32))| (x - y).abs();
        error(*a).total_cmp(&error(*b))
    });
    assert!(is_close(values, truth, tolerance), "{} values for {}, worst {worst:?}", values.len(), truth.len());
}

#[test]
fn the_comparison_can_fail() {
    let truth = values(100, 1);
    assert!(is_close(&truth, &truth, 0.0));
    for index in [0, 57, 99] {
        let mut wrong = truth.clone();
        wrong[index] += 1e-3;
        assert!(!is_close(&wrong, &truth, 1e-4));
        wrong[index] = f32::NAN;
        assert!(!is_close(&wrong, &truth, 1e-4));
    }
    assert!(!is_close(&truth[1..], &truth, 1.0));
}

#[test]
#[should_panic(expected = "written behind the tensor")]
fn the_fence_can_fall() {
    // The blur is told of a map one row larger than the tensor it writes to.
    let x = random_maps([1, 5, 5, 1], 1);
    let mut graph = Graph::fenced(gpu(), FENCE);
    let tensor = input(&mut graph, &x);
    let out = graph.tensor("out", [1, 4, 5, 1]);
    super::blur(&mut graph, "blur", tensor, &vector(gpu(), &[1.0]), 1, out);
    run(graph, &[(tensor, &x.values)], out.all());
}
