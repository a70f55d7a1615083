//! The engine against the CPU reference on small models of every kind, stage by stage.

mod support;

use pcsnet::reference::{Maps, network::network};
use pcsnet::{EngineOptions, LoadOptions, ModelConfig, Precision};
use pollster::block_on;
use support::{Random, engine, error_in_deviations, load, small_configs, weights};

/// Largest error of each stage in standard deviations of the reference.
fn errors(
    engine: &pcsnet::Engine,
    config: &ModelConfig,
    seed: u64,
    options: impl Into<LoadOptions>,
) -> Vec<(String, f64)> {
    let side = config.input as usize;
    let planes = Random::new(seed).values(3 * side * side);
    let stages = block_on(load(engine, config, seed, options).trace(&planes)).expect("runs");
    let input =
        Maps::from_fn([1, side, side, 3], |[_, y, x, channel]| f64::from(planes[(channel * side + y) * side + x]));
    let expected = network(&weights(config, seed), config, &input).expect("a sound model");
    assert_eq!(stages.len(), expected.len());
    let error = |stage: &pcsnet::TracedStage| {
        let (_, truth) = expected.iter().find(|(name, _)| *name == stage.name).expect("the same stages");
        error_in_deviations(&stage.values, &truth.to_nchw())
    };
    stages.iter().map(|stage| (stage.name.clone(), error(stage))).collect()
}

#[test]
fn every_stage_of_every_kind() {
    for (seed, config) in (10..).zip(&small_configs()) {
        for (stage, error) in errors(engine(), config, seed, Precision::F32) {
            eprintln!("{stage}: {error:.1e}");
            assert!(error < 1e-4, "{stage} of {config:?}: {error}");
        }
    }
}

fn error_of_map(engine: &pcsnet::Engine, config: &ModelConfig, seed: u64, precision: Precision) -> f64 {
    let errors = errors(engine, config, seed, precision);
    errors.into_iter().find(|(name, _)| name == "map").expect("the map is a stage").1
}

#[test]
fn f16_keeps_the_map() {
    let tiled = engine_with(pcsnet::gpu::MatmulKernel::Tiled);
    for (seed, config) in (10..).zip(&small_configs()) {
        let weights = error_of_map(engine(), config, seed, Precision::F16);
        let activations = [engine(), &tiled].map(|on| error_of_map(on, config, seed, Precision::F16Activations));
        let products = error_of_map(&tiled, config, seed, Precision::F16Products);
        eprintln!("f16 weights: {weights:.1e}, activations and products: {activations:?}, {products:.1e}");
        assert!(weights < 1e-2, "{config:?}: {weights}");
        assert!(weights > 1e-6, "f16 weights must not go unnoticed");
        // Twice what is asked of the full size (`tests/golden.rs`), and four times with products of f16: fewer channels
        // average less of the rounding away.
        assert!(activations.iter().all(|&error| error < 2e-2), "{config:?}: {activations:?}");
        assert!(products < 4e-2, "{config:?}: {products}");
        assert!(!activations.contains(&weights), "f16 activations must not go unnoticed");
        assert!(products != activations[1], "f16 products must not go unnoticed");
    }
}

fn engine_with(matmul: pcsnet::gpu::MatmulKernel) -> pcsnet::Engine {
    let (device, queue) = block_on(pcsnet::gpu::open_device(None)).expect("an adapter");
    let mut options = EngineOptions::default();
    options.matmul = Some(matmul);
    pcsnet::Engine::new(device, queue, options).expect("the adapter was checked")
}

/// What a GPU and a browser's CPU adapter get by default must be right on this adapter too.
#[test]
fn every_choice_of_kernels() {
    use pcsnet::gpu::MatmulKernel::{Direct, Register, Tiled};
    use pcsnet::gpu::Winograd::{F2x2, F4x4};
    for (matmul, winograd) in [(Tiled, Some(F4x4)), (Tiled, Some(F2x2)), (Register, None), (Direct, None)] {
        let mut options = LoadOptions::default();
        options.winograd = winograd;
        for (stage, error) in errors(&engine_with(matmul), &small_configs()[0], 20, options) {
            assert!(error < 1e-4, "{matmul:?} {winograd:?} {stage}: {error}");
        }
    }
}

#[test]
fn a_wrong_weight_is_noticed() {
    let config = &small_configs()[0];
    let side = config.input as usize;
    let planes = Random::new(1).values(3 * side * side);
    let stages = block_on(load(engine(), config, 1, Precision::F32).trace(&planes)).expect("runs");
    let input =
        Maps::from_fn([1, side, side, 3], |[_, y, x, channel]| f64::from(planes[(channel * side + y) * side + x]));
    let other = network(&weights(config, 2), config, &input).expect("a sound model");
    for (name, maps) in &other {
        let stage = stages.iter().find(|stage| stage.name == *name).expect("the same stages");
        assert!(error_in_deviations(&stage.values, &maps.to_nchw()) > 1e-2, "{name}");
    }
}
