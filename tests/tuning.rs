//! Measuring kernels, and keeping transformed weights within bounds, on small models.

mod support;

use pcsnet::gpu::{MatmulKernel, Tuning};
use pcsnet::{Engine, EngineOptions, LoadOptions, Model, Precision};
use pollster::block_on;
use support::{Random, default_device, engine, error_in_deviations, load, small_configs};

fn engine_with(choose: impl FnOnce(&mut EngineOptions)) -> Engine {
    let (device, queue) = default_device();
    let mut options = EngineOptions::default();
    choose(&mut options);
    Engine::new(device, queue, options).expect("the default device can run the kernels")
}

fn map_of(model: &Model) -> Vec<f32> {
    let session = block_on(model.session(1)).expect("one image fits");
    let image = Random::new(3).image(model.config().input);
    session.run_blocking(&[image]).expect("runs").remove(0).map
}

/// The layers that were measured.
fn tune(engine: &Engine, model: &Model) -> usize {
    let mut seen = Vec::new();
    block_on(engine.tune(model, 1, |at| seen.push(at))).expect("measures");
    let total = seen[0].total;
    assert!(seen.iter().map(|at| at.done).eq(0..=total) && seen.iter().all(|at| at.total == total), "{seen:?}");
    total
}

#[test]
fn a_tuned_engine_computes_the_same() {
    let config = &small_configs()[0];
    let truth = map_of(&load(engine(), config, 1, Precision::F32));
    // The kernels for GPUs have the most to choose from.
    let first = engine_with(|options| options.matmul = Some(MatmulKernel::Tiled));
    let measured = tune(&first, &load(&first, config, 1, Precision::F32));
    assert!(measured > 0);
    let tuning = first.tuning();
    assert_eq!(tuning.layers(), measured);
    assert!(error_in_deviations(&map_of(&load(&first, config, 1, Precision::F32)), &truth) < 1e-4);

    let kept = Tuning::from_json(&tuning.to_json()).expect("written just now");
    let next = engine_with(|options| {
        options.matmul = Some(MatmulKernel::Tiled);
        options.tuning = Some(kept);
    });
    let model = load(&next, config, 1, Precision::F32);
    assert_eq!(tune(&next, &model), 0, "everything was measured before");
    assert_eq!(next.tuning(), tuning);
    assert!(error_in_deviations(&map_of(&model), &truth) < 1e-4);
}

#[test]
fn what_another_driver_was_measured_with_is_not_used() {
    let config = &small_configs()[0];
    let first = engine();
    block_on(first.tune(&load(first, config, 1, Precision::F32), 1, |_| {})).expect("measures");
    let text = first.tuning().to_json();
    let driver = first.device().adapter_info().driver_info;
    let foreign = Tuning::from_json(&text.replace(&driver, "another version")).expect("well formed");
    assert!(foreign.layers() > 0 && foreign.id() != first.tuning().id());
    let next = engine_with(|options| options.tuning = Some(foreign));
    assert_eq!(next.tuning().layers(), 0);
}

/// Weights that are transformed before each use take less memory and give the same map.
#[test]
fn transformed_weights_keep_within_their_bounds() {
    for config in &small_configs()[..2] {
        for precision in [Precision::F32, Precision::F16] {
            let loaded = |bytes| {
                let mut options = LoadOptions::from(precision);
                options.winograd_bytes = bytes;
                let model = load(engine(), config, 1, options);
                (model.weight_bytes(), map_of(&model))
            };
            let (all, truth) = loaded(None);
            let (least, map) = loaded(Some(0));
            let (some, _) = loaded(Some((all - least) / 2));
            assert!(least < some && some < all, "{least}, {some}, {all} bytes");
            // Weights rounded to f16 after their transform differ from those rounded before it.
            let tolerance = if precision == Precision::F16 { 2e-2 } else { 1e-4 };
            let error = error_in_deviations(&map, &truth);
            assert!(error < tolerance, "{error} standard deviations");
        }
    }
}
