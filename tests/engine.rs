//! The public API on small models: batches, sharing, limits, lost devices.

mod support;

use pcsnet::{Engine, EngineOptions, Error, Precision, wgpu};
use pollster::block_on;
use support::{Random, default_device, device_with, engine, load, small_configs, weights};

#[test]
fn an_image_scores_the_same_alone_and_in_any_batch() {
    let config = &small_configs()[0];
    let model = load(engine(), config, 1, Precision::F32);
    let mut random = Random::new(2);
    let images: Vec<_> = (0..6).map(|_| random.image(config.input)).collect();
    let alone = block_on(model.session(1)).expect("one image fits");
    let singles: Vec<_> =
        images.iter().map(|image| alone.run_blocking(std::slice::from_ref(image)).expect("runs").remove(0)).collect();
    assert!(singles.windows(2).all(|pair| pair[0] != pair[1]), "different images give different maps");
    for batch in [2, 4, 6] {
        let session = block_on(model.session(batch)).expect("a few images fit");
        let together: Vec<_> =
            images.chunks(batch as usize).flat_map(|images| session.run_blocking(images).expect("runs")).collect();
        assert_eq!(together, singles, "batch {batch}");
    }
}

#[test]
fn the_score_is_the_blurred_maps_maximum() {
    for (seed, config) in (0..).zip(&small_configs()) {
        let model = load(engine(), config, seed, Precision::F32);
        let session = block_on(model.session(1)).expect("one image fits");
        let detection = session.run_blocking(&[Random::new(seed).image(config.input)]).expect("runs").remove(0);
        assert_eq!(detection.map.len(), (config.input * config.input) as usize);
        assert_eq!(detection.map.iter().copied().fold(f32::MIN, f32::max), detection.score);
        assert!(detection.map.iter().all(|value| value.is_finite()));
    }
}

#[test]
fn recording_into_the_hosts_encoder_gives_what_run_gives() {
    let config = &small_configs()[1];
    let model = load(engine(), config, 1, Precision::F32);
    let session = block_on(model.session(2)).expect("two images fit");
    let mut random = Random::new(5);
    let images = [random.image(config.input), random.image(config.input)];
    let expected = session.run_blocking(&images).expect("runs");
    let (device, queue) = (engine().device(), engine().queue());
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    session.record(&mut encoder);
    let size = session.score_buffer().size();
    let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ;
    let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
    let scores = device.create_buffer(&descriptor);
    encoder.copy_buffer_to_buffer(session.score_buffer(), 0, &scores, 0, size);
    queue.submit([encoder.finish()]);
    scores.slice(..).map_async(wgpu::MapMode::Read, |outcome| outcome.expect("mapped"));
    device.poll(wgpu::PollType::wait_indefinitely()).expect("waits");
    let values: Vec<f32> = bytemuck::pod_collect_to_vec(&scores.slice(..).get_mapped_range().expect("mapped"));
    assert_eq!(values, expected.iter().map(|detection| detection.score).collect::<Vec<_>>());
}

#[test]
fn heads_share_a_backbone() {
    let config = &small_configs()[0];
    let [first, second] = [1, 2].map(|seed| weights(config, seed));
    let backbone = block_on(engine().load_backbone(&first, Precision::F32)).expect("a sound backbone");
    let image = [Random::new(3).image(config.input)];
    let score = |model: &pcsnet::Model| {
        block_on(model.session(1)).expect("one image fits").run_blocking(&image).expect("runs")[0].score
    };
    let [own, other] =
        [&first, &second].map(|head| block_on(engine().load_head(&backbone, head, Precision::F32)).expect("a head"));
    assert_eq!(score(&own), score(&load(engine(), config, 1, Precision::F32)));
    assert_ne!(score(&own), score(&other));
    let foreign = weights(&small_configs()[1], 1);
    let refusal = block_on(engine().load_head(&backbone, &foreign, Precision::F32)).err().expect("another backbone");
    assert!(matches!(refusal, Error::Config(_)), "{refusal}");
}

#[test]
fn default_limits_are_enough() {
    let (device, queue) = default_device();
    let engine = Engine::new(device, queue, EngineOptions::default()).expect("default limits are enough");
    let config = &small_configs()[0];
    let image = [Random::new(4).image(config.input)];
    let score = |engine: &Engine| {
        let session = block_on(load(engine, config, 1, Precision::F32).session(1)).expect("one image fits");
        session.run_blocking(&image).expect("runs")[0].score
    };
    let difference = (score(&engine) - score(support::engine())).abs();
    assert!(difference < 1e-4, "{difference}");
}

#[test]
fn a_limit_that_is_too_small_is_named() {
    let limits = wgpu::Limits { max_storage_buffers_per_shader_stage: 5, ..Default::default() };
    let (device, queue) = device_with(limits);
    let refusal = Engine::new(device, queue, EngineOptions::default()).err().expect("too few storage buffers");
    let text = refusal.to_string();
    assert!(text.contains("max_storage_buffers_per_shader_stage of at least 6") && text.contains("given 5"), "{text}");
}

#[test]
fn a_tensor_that_does_not_fit_is_named() {
    let limits = wgpu::Limits { max_storage_buffer_binding_size: 64 << 10, ..Default::default() };
    let (device, queue) = device_with(limits);
    let engine = Engine::new(device, queue, EngineOptions::default()).expect("the kernels themselves need no more");
    let refusal = block_on(engine.load(&weights(&small_configs()[0], 1), Precision::F32)).err().expect("too large");
    let text = refusal.to_string();
    assert!(matches!(refusal, Error::Limit { limit: "max_storage_buffer_binding_size", .. }), "{text}");
    assert!(text.contains("cas.") || text.contains("prototypes."), "{text}");
}

#[test]
fn the_largest_batch_is_stated_and_works() {
    // Room for three inputs of 64 x 64 pixels, and for every tensor of the network.
    let config = &small_configs()[0];
    let bytes = 4 * u64::from(config.input * config.input);
    let limits = wgpu::Limits {
        max_buffer_size: 40 * bytes - 1,
        max_storage_buffer_binding_size: 40 * bytes - 4,
        ..Default::default()
    };
    let (device, queue) = device_with(limits);
    let engine = Engine::new(device, queue, EngineOptions::default()).expect("the kernels need no more");
    let model = load(&engine, config, 1, Precision::F32);
    let refusal = block_on(model.session(1000)).err().expect("too many");
    let Error::Batch { requested: 1000, largest } = refusal else { panic!("{refusal}") };
    assert_eq!(largest, 39);
    let session = block_on(model.session(largest)).expect("the stated batch fits");
    let image = Random::new(1).image(config.input);
    assert_eq!(session.run_blocking(&[image.clone(), image]).expect("runs").len(), 2);
}

#[test]
fn a_lost_device_is_an_error() {
    let (device, queue) = default_device();
    let engine = Engine::new(device.clone(), queue, EngineOptions::default()).expect("default limits are enough");
    let config = &small_configs()[1];
    let model = load(&engine, config, 1, Precision::F32);
    let session = block_on(model.session(1)).expect("one image fits");
    device.destroy();
    let refusal = session.run_blocking(&[Random::new(1).image(config.input)]).expect_err("the device is gone");
    assert!(matches!(refusal, Error::DeviceLost(_) | Error::Gpu { .. }), "{refusal}");
    let is_told = |error: Option<Error>| {
        let error = error.expect("the device is gone");
        assert!(matches!(error, Error::DeviceLost(_) | Error::Gpu { .. } | Error::OutOfMemory(_)), "{error}");
    };
    is_told(block_on(model.session(2)).err());
    is_told(block_on(model.trace(&vec![0.0; 3 * (config.input * config.input) as usize])).err());
    is_told(block_on(engine.load(&weights(config, 2), Precision::F32)).err());
}

#[test]
fn wrong_arguments_are_told() {
    let config = &small_configs()[0];
    let model = load(engine(), config, 1, Precision::F32);
    let session = block_on(model.session(1)).expect("one image fits");
    let mut random = Random::new(1);
    let text = session.run_blocking(&[random.image(63)]).expect_err("too small").to_string();
    assert_eq!(text, "image 0: expected 64 x 64 pixels, found 63 x 63");
    let two = [random.image(64), random.image(64)];
    assert!(session.run_blocking(&two).expect_err("too many").to_string().contains("at most 1"));
    assert!(block_on(model.trace(&[0.0; 5])).expect_err("too few").to_string().contains("3 x 64 x 64"));
    assert!(matches!(block_on(model.session(0)).err(), Some(Error::Batch { requested: 0, .. })));
}
