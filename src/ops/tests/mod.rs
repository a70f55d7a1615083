//! Every operation on the GPU against its CPU twin, over random shapes: the cases of the self-test (`src/probe/cases`)
//! and more. Tensors end in a fence of sentinels that must survive.

mod gradients;
mod maps;
mod photographs;
mod pools;
mod products;
mod selection;
mod teaching;

use super::Matrix;
use crate::Error;
use crate::config::{BackboneConfig, LEVELS, Light};
use crate::gpu::{
    Binding, Constant, EngineOptions, Format, Gpu, Graph, Kernel, MatmulKernel, Slice, Tensor, open_device, reflection,
    uniforms,
};
use crate::parameters::{Parameters, Storage};
use crate::probe::cases;
use crate::probe::harness::{
    self, Case, FENCE, SENTINEL, exact_values, input, input_as, is_close, random_maps, random_maps_in, rounding, values,
};
use crate::reference::Maps;
use pollster::block_on;
use proptest::prelude::*;
use std::sync::OnceLock;

/// The device all tests share, with the shape of matrix product that suits it.
fn gpu() -> &'static Gpu {
    static GPU: OnceLock<Gpu> = OnceLock::new();
    GPU.get_or_init(|| gpu_with(None))
}

fn gpu_with(matmul: Option<MatmulKernel>) -> Gpu {
    gpu_of(EngineOptions { matmul, ..Default::default() })
}

fn gpu_of(options: EngineOptions) -> Gpu {
    let (device, queue) = block_on(open_device(None))
        .expect("these tests need a graphics adapter; `cargo xtask setup` installs a software one");
    Gpu::new(device, queue, options).expect("the adapter was checked")
}

fn config(cases: u32) -> ProptestConfig {
    // A failing case is reproduced from the seed it prints; files of past failures would only clutter the sources.
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// The light of photographs, if they are brought to one.
fn lights() -> impl Strategy<Value = Option<Light>> {
    let one = (0.0..1.0_f32, 0.0..1.0_f32).prop_map(|(level, contrast)| Light { level, contrast });
    prop::option::of(one)
}

/// Either format.
fn formats() -> impl Strategy<Value = Format> {
    prop::sample::select(vec![Format::F32, Format::F16])
}

/// Runs the graph on the given inputs and gives all values of the tensor that `out` lies in; what the graph does not
/// write is the sentinel.
fn run(graph: Graph<'_>, inputs: &[(Tensor, &[f32])], out: Slice) -> Vec<f32> {
    let answer = block_on(harness::run(graph, inputs, out)).expect("the graph is sound");
    assert!(answer.intact, "written behind the tensor");
    answer.values
}

fn assert_right(case: crate::Result<Case>) {
    let case = case.expect("the graph is sound");
    assert_eq!(case.failure(), None, "{:?}", case.kernels);
}

/// Constant matrices, where the device's products want them.
fn matrix(gpu: &Gpu, values: &[f32], shape: [u32; 3], format: Format) -> Matrix {
    let declare = |parameters: &mut Parameters<'_>| {
        let constant = parameters.matrix("matrix".to_owned(), shape, format);
        parameters.fixed(&constant, values.to_vec());
        Matrix::of(constant)
    };
    block_on(harness::declared(gpu, format, &[], &[], declare)).expect("small enough")
}

fn vector(gpu: &Gpu, values: &[f32]) -> Constant {
    block_on(harness::vector(gpu, values)).expect("small enough")
}

/// Values that f16 holds exactly.
fn halved(values: Vec<f32>) -> Vec<f32> {
    Format::F16.decode(&Format::F16.encode(&values))
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
    uniforms! {
        struct Params {
            size: u32,
            out_size: u32,
            align_corners: u32,
        }
    }
    // The kernel is told of a map one row larger than the tensor it writes to.
    let x = random_maps([1, 5, 5, 1], 1);
    let mut graph = Graph::fenced(gpu(), FENCE);
    let tensor = input(&mut graph, &x);
    let out = graph.tensor("out", [1, 4, 5, 1]);
    let params = Params { size: 5, out_size: 5, align_corners: 1 };
    let bindings = [Binding::read(tensor), Binding::write(out)];
    graph.dispatch("out", Kernel::new("upsample_map"), &params, bindings, [1, 5, 1]);
    run(graph, &[(tensor, &x.values)], out.all());
}

/// Numbers that a shader and who dispatches it both have to know.
#[test]
fn constants_are_the_shaders() {
    let known = [
        ("coreset_pick", "CANDIDATES", super::CANDIDATES.into()),
        ("coreset_pick", "FAR", super::FAR.into()),
        ("adam", "ROW", f64::from(64 * super::losses::GROUPS_OF_A_ROW)),
        ("join_levels", "LEVELS", LEVELS as f64),
    ];
    for (shader, name, value) in known {
        assert_eq!(reflection::constant(&Kernel::new(shader), name), value, "{shader}, {name}");
    }
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    fn constant(values: u32) -> Constant {
        Constant::buffer("constant".to_owned(), [1, 1, values], Format::F32)
    }
    /// Writes an operation with its name as label, of 5 x 5 pixels of 8 channels and a map of 5 x 5.
    type Write = fn(&mut Graph<'_>, &'static str, Tensor, Tensor);
    let cases: [(&str, Write); 11] = [
        ("channels of the center", |graph, label, x, _| {
            super::square_norm(graph, label, x, &constant(4));
        }),
        ("mean and deviation", |graph, label, x, _| {
            super::describe(graph, label, x, &constant(8), 3);
        }),
        ("weights", |graph, label, x, map| {
            super::project_by(graph, label, x, map);
        }),
        ("map's channels", |graph, label, x, map| super::upsample_map(graph, label, x, map, true)),
        ("scores", |graph, label, _, map| super::max_score(graph, label, map, map)),
        ("photograph", |graph, _, x, map| {
            let normalization = BackboneConfig::resnet18().normalization();
            super::warp(graph, x, map, 4, normalization);
        }),
        ("blurred map", |graph, label, x, map| {
            let gaussian = super::Gaussian::new(&mut Parameters::new(Storage::default()), 1.0, 1.0);
            super::blur(graph, label, map, &gaussian, x);
        }),
        ("levels", |graph, label, _, map| {
            super::join_levels(graph, label, &[map; 4], &constant(100), &constant(16));
        }),
        ("constants of levels", |graph, label, _, map| {
            super::join_levels(graph, label, &[map; 2], &constant(50), &constant(4));
        }),
        ("nine images", |graph, label, x, _| {
            super::resize_sum(graph, label, x, &[1; 9], 1, 4);
        }),
        ("pixels of images", |graph, label, x, _| {
            super::resize_sum(graph, label, x, &[5, 1], 1, 4);
        }),
    ];
    for (label, write) in cases {
        let mut graph = Graph::new(gpu(), false);
        let [x, map] = [8, 1].map(|channels| graph.external("x", [1, 5, 5, channels]));
        write(&mut graph, label, x, map);
        assert!(matches!(graph.check(), Err(Error::Input { what, .. }) if what == label), "{label}");
    }
}
