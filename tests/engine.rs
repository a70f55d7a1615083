//! The public API on small models: batches, sharing, limits, lost devices.

mod support;

use pcsnet::config::Light;
use pcsnet::teach::{TeachOptions, Teacher};
use pcsnet::{
    Encoding, Engine, EngineOptions, Error, HeatStyle, HeatTarget, LoadOptions, ModelConfig, Paint, Precision,
    TextureSource, image, wgpu,
};
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
    queue.submit([encoder.finish()]);
    let values = support::read(session.score_buffer());
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
    let refusal = block_on(engine().load_head(&backbone, &foreign, Precision::F32)).expect_err("another backbone");
    assert!(matches!(refusal, Error::Mismatch(_)), "{refusal}");
    let (device, queue) = default_device();
    let other_engine = Engine::new(device, queue, EngineOptions::default()).expect("default limits are enough");
    let refusal = block_on(other_engine.load_head(&backbone, &first, Precision::F32)).expect_err("another instance's");
    assert!(refusal.to_string().contains("another engine"), "{refusal}");
    let precision = Precision::F16Activations;
    let refusal = block_on(engine().load_head(&backbone, &second, precision)).expect_err("a backbone in f32");
    assert!(refusal.to_string().contains("f16-activations on a backbone with f32 weights"), "{refusal}");
}

#[test]
fn f16_activations_take_less_memory() {
    let config = &small_configs()[0];
    // What a GPU gets: CPU adapters keep rows of products as f32.
    let (device, queue) = default_device();
    let mut options = EngineOptions::default();
    options.matmul = Some(pcsnet::gpu::MatmulKernel::Tiled);
    let engine = Engine::new(device, queue, options).expect("default limits are enough");
    let bytes = |precision| {
        let memory = block_on(load(&engine, config, 1, precision).session(4)).expect("fits").memory();
        memory.activations + memory.scratch
    };
    let (weights_alone, activations) = (bytes(Precision::F16), bytes(Precision::F16Activations));
    assert_eq!(weights_alone, bytes(Precision::F32));
    // Most of so small a network are its distances, which stay f32.
    assert!(20 * activations < 19 * weights_alone, "{activations} of {weights_alone} bytes");
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
fn every_limit_that_is_too_small_is_named() {
    let limits = wgpu::Limits {
        max_storage_buffers_per_shader_stage: 5,
        max_compute_workgroup_storage_size: 4096,
        ..Default::default()
    };
    let (device, queue) = device_with(limits.clone());
    let refusal = Engine::new(device, queue, EngineOptions::default()).expect_err("too small limits");
    let text = refusal.to_string();
    let Error::Requirements { shortfalls, .. } = refusal else { panic!("{text}") };
    assert_eq!(shortfalls, pcsnet::gpu::shortfalls(&limits));
    assert!(text.contains("max_storage_buffers_per_shader_stage is 5, needs 6"), "{text}");
    assert!(text.contains("max_compute_workgroup_storage_size is 4096, needs 8192"), "{text}");
}

#[test]
fn what_is_required_is_enough() {
    let descriptor = wgpu::DeviceDescriptor {
        required_features: pcsnet::gpu::required_features(),
        required_limits: pcsnet::gpu::required_limits(),
        ..Default::default()
    };
    let (device, queue) = support::device(&descriptor);
    let mut told = Vec::new();
    let note = |progress: pcsnet::PipelineProgress<'_>| told.push((progress.done, progress.kernel.to_owned()));
    let engine = Engine::new(device, queue, EngineOptions::default()).expect("enough");
    let config = &small_configs()[0];
    block_on(engine.prepare(config, Precision::F32, 1, note)).expect("enough");
    assert!(told.len() > 15 && told.iter().any(|(_, kernel)| kernel.starts_with("nearest")), "{told:?}");
    assert!(told.iter().map(|(done, _)| *done).eq(0..told.len()));
    let session = block_on(load(&engine, config, 1, Precision::F32).session(1)).expect("one image fits");
    session.run_blocking(&[Random::new(1).image(config.input)]).expect("runs");
}

#[test]
fn what_was_prepared_is_what_a_session_needs() {
    let (device, queue) = default_device();
    let engine = Engine::new(device, queue, EngineOptions::default()).expect("default limits are enough");
    let config = &small_configs()[1];
    let mut options = LoadOptions::from(Precision::F16Activations);
    options.winograd_bytes = Some(0);
    block_on(load(&engine, config, 1, options).session(2)).expect("two images fit");
    let missing = |options: LoadOptions, batch| {
        let mut total = 0;
        block_on(engine.prepare(config, options, batch, |progress| total = progress.total)).expect("sound sizes");
        total
    };
    assert_eq!(missing(options, 2), 0, "the session made them");
    assert_ne!(missing(LoadOptions::default(), 2), 0, "weights and activations of f32 have kernels of their own");
    assert_eq!(missing(LoadOptions::default(), 2), 0, "made just now");
}

#[test]
fn heads_in_one_session_give_what_each_gives_alone() {
    let config = &small_configs()[0];
    let files = [1, 2, 3].map(|seed| weights(config, seed));
    let backbone = block_on(engine().load_backbone(&files[0], Precision::F32)).expect("a sound backbone");
    let heads = files.map(|head| block_on(engine().load_head(&backbone, &head, Precision::F32)).expect("a head"));
    let mut random = Random::new(7);
    let images: Vec<_> = (0..3).map(|_| random.image(config.input)).collect();
    let apart: Vec<_> = heads
        .iter()
        .flat_map(|head| block_on(head.session(3)).expect("fits").run_blocking(&images).expect("runs"))
        .collect();
    let session = block_on(pcsnet::Session::open(&heads.each_ref(), 3)).expect("fits");
    assert_eq!(session.heads(), 3);
    assert_eq!(session.run_blocking(&images).expect("runs"), apart);
    // Fewer images than the batch: still those images for one head after another.
    let two = session.run_blocking(&images[..2]).expect("runs");
    let expected: Vec<_> = apart.chunks(3).flat_map(|head| head[..2].to_vec()).collect();
    assert_eq!(two, expected);
    // The backbone is half of this small network; three sessions' worth of work would be three times one's.
    let one = block_on(heads[0].session(3)).expect("fits").work();
    assert!(session.work() < 3 * one && session.work() > one);
}

#[test]
fn models_that_cannot_share_a_session_are_told() {
    let [first, second] = [0, 1].map(|index| load(engine(), &small_configs()[index], 1, Precision::F32));
    let told = |models: &[&pcsnet::Model]| match block_on(pcsnet::Session::open(models, 1)).err() {
        Some(Error::Mismatch(text)) => text,
        other => panic!("{other:?}"),
    };
    assert!(told(&[]).contains("at least one model"));
    assert!(told(&[&first, &second]).contains("model 1 of the session has another backbone"));
    let file = weights(&small_configs()[0], 1);
    let backbone = block_on(engine().load_backbone(&file, Precision::F16)).expect("a sound backbone");
    let [first, second] = [Precision::F16, Precision::F16Activations]
        .map(|precision| block_on(engine().load_head(&backbone, &file, precision)).expect("a head"));
    assert!(
        told(&[&first, &second]).contains("model 1 of the session has another precision of activations or products")
    );
    let light = Some(Light { level: 0.4, contrast: 0.3 });
    let lit = weights(&ModelConfig { light, ..small_configs()[0].clone() }, 1);
    let lit = block_on(engine().load_head(&backbone, &lit, Precision::F16)).expect("a head");
    assert!(told(&[&first, &lit]).contains("model 1 of the session has another light"));
}

#[test]
fn a_job_in_pieces_gives_what_one_run_gives() {
    let config = &small_configs()[1];
    let model = load(engine(), config, 1, Precision::F32);
    let session = block_on(model.session(9)).expect("nine images fit");
    let mut random = Random::new(8);
    let images: Vec<_> = (0..9).map(|_| random.image(config.input)).collect();
    let scores = |detections: Vec<pcsnet::Detection>| detections.iter().map(|d| d.score).collect::<Vec<_>>();
    let expected = scores(session.run_blocking(&images).expect("runs"));
    let (device, queue) = (engine().device(), engine().queue());
    // A step each, a few pieces, and everything at once.
    for (budget, pieces) in [(0, 100..10_000), (session.work() / 7, 7..30), (u64::MAX, 1..2)] {
        // What another run left behind must not be taken for the job's results.
        session.run_blocking(&[random.image(config.input)]).expect("runs");
        block_on(session.write_images(&images)).expect("nine images");
        let mut job = pcsnet::Job::new();
        let mut count = 0;
        loop {
            let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let done = session.advance(&mut job, &mut encoder, budget).expect("its own job");
            queue.submit([encoder.finish()]);
            count += 1;
            if done {
                break;
            }
        }
        assert!(pieces.contains(&count), "{count} pieces for a budget of {budget}");
        assert_eq!(support::read(session.score_buffer()), expected, "budget {budget}");
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        assert!(session.advance(&mut job, &mut encoder, budget).expect("its own job"), "a finished job stays finished");
    }
}

/// Against what wgpu itself counts, where its backend does.
#[test]
fn the_stated_memory_is_what_is_allocated() {
    let (device, queue) = block_on(pcsnet::gpu::open_device(None)).expect("an adapter");
    // Drivers round buffers up a little, and the rows of small textures a good deal.
    for (matmul, slack) in [(Some(pcsnet::gpu::MatmulKernel::Tiled), 1.02), (None, 1.2)] {
        let mut options = EngineOptions::default();
        options.matmul = matmul;
        let engine = Engine::new(device.clone(), queue.clone(), options).expect("the adapter was checked");
        let allocated = || {
            queue.submit([]);
            device.poll(wgpu::PollType::wait_indefinitely()).expect("the device stays");
            let report = device.generate_allocator_report()?;
            let ours = report.allocations.iter().filter(|allocation| !allocation.name.starts_with("(wgpu"));
            Some(ours.map(|allocation| allocation.size).sum::<u64>())
        };
        let before = allocated();
        let config = &small_configs()[0];
        let model = load(&engine, config, 1, Precision::F32);
        let session = block_on(model.session(3)).expect("fits");
        let memory = session.memory();
        assert_eq!(memory.weights, model.weight_bytes());
        // Pixels and blurred maps of the batch and of the images that run at once, here all three; maps before the
        // blur.
        let side = u64::from(config.input);
        assert_eq!(memory.io, 5 * 3 * 4 * side * side + 2 * 3 * 4);
        let descriptor = u64::from(3 * config.grid * config.grid * config.descriptor_channels());
        assert!(memory.activations > 4 * descriptor && memory.scratch > 0, "{memory:?}");
        assert_eq!(memory.total(), memory.weights + memory.activations + memory.scratch + memory.io);
        match (before, allocated()) {
            (Some(before), Some(after)) => {
                let (stated, found) = (memory.total() as f64, (after - before) as f64);
                let range = stated..slack * stated;
                assert!(range.contains(&found), "stated {stated}, allocated {found}: {memory:?}");
            }
            _ => eprintln!("skipped: this backend does not count its memory"),
        }
    }
}

#[test]
fn a_tensor_that_does_not_fit_is_named() {
    let limits = wgpu::Limits { max_storage_buffer_binding_size: 64 << 10, ..Default::default() };
    let (device, queue) = device_with(limits);
    let engine = Engine::new(device, queue, EngineOptions::default()).expect("the kernels themselves need no more");
    let refusal = block_on(engine.load(&weights(&small_configs()[0], 1), Precision::F32)).expect_err("too large");
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
    let refusal = block_on(model.session(1000)).expect_err("too many");
    let Error::Batch { requested: 1000, largest } = refusal else { panic!("{refusal}") };
    assert_eq!(largest, 39);
    let session = block_on(model.session(largest)).expect("the stated batch fits");
    let image = Random::new(1).image(config.input);
    assert_eq!(session.run_blocking(&[image.clone(), image]).expect("runs").len(), 2);
}

#[test]
fn after_the_loss_of_a_device_every_call_tells_it() {
    let (device, queue) = default_device();
    let engine = Engine::new(device.clone(), queue, EngineOptions::default()).expect("default limits are enough");
    let config = &small_configs()[1];
    let file = weights(config, 1);
    let backbone = block_on(engine.load_backbone(&file, Precision::F32)).expect("a sound backbone");
    let model = block_on(engine.load_head(&backbone, &file, Precision::F32)).expect("a sound head");
    let session = block_on(model.session(1)).expect("one image fits");
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: wgpu::Extent3d { width: 90, height: 80, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::RENDER_ATTACHMENT,
        view_formats: &[],
    });
    let source = TextureSource::new(&texture, Encoding::Srgb);
    let input = block_on(session.texture_input(0, &source)).expect("readable");
    let target = HeatTarget::new(&texture, Encoding::Srgb, *input.frame());
    let scale = image::Scale { low: 0.0, high: 1.0 };
    let style = HeatStyle { scale, colours: image::ColourMap::Turbo, paint: Paint::Map };
    let output = block_on(session.heat_output(0, 0, &target, &style)).expect("paintable");
    device.destroy();

    fn is_told<T>(call: &str, outcome: pcsnet::Result<T>) {
        match outcome.err() {
            Some(Error::DeviceLost(_)) => {}
            other => panic!("{call}: {other:?}"),
        }
    }
    let images = [Random::new(1).image(config.input)];
    is_told("run", session.run_blocking(&images));
    is_told("run_input", block_on(session.run_input(1, |encoder| input.record(encoder))));
    is_told("run_resident", session.run_resident());
    is_told("texture_input", block_on(session.texture_input(0, &source)));
    is_told("heat_output", block_on(session.heat_output(0, 0, &target, &style)));
    is_told("session", block_on(model.session(2)));
    is_told("trace", block_on(model.trace(&vec![0.0; 3 * (config.input * config.input) as usize])));
    is_told("load", block_on(engine.load(&weights(config, 2), Precision::F32)));
    is_told("load_backbone", block_on(engine.load_backbone(&file, Precision::F32)));
    is_told("load_head", block_on(engine.load_head(&backbone, &file, Precision::F32)));
    is_told("prepare", block_on(engine.prepare(config, Precision::F16, 3, |_| {})));
    is_told("probe", block_on(engine.probe()));
    is_told("tune", block_on(engine.tune(&model, 1, |_| {})));
    is_told("teach", block_on(Teacher::new(&engine, &file, TeachOptions::default())));
    // What only records has nothing to tell it with, and stays calm.
    output.set_style(&style);
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    session.record(&mut encoder);
    output.record(&mut encoder);
}

/// Eight threads with an image each on one session of each batch: every result is the image's own.
#[test]
fn threads_share_a_session() {
    let config = &small_configs()[0];
    let model = load(engine(), config, 1, Precision::F32);
    let mut random = Random::new(12);
    let images: Vec<_> = (0..8).map(|_| random.image(config.input)).collect();
    let alone = block_on(model.session(1)).expect("one image fits");
    let expected: Vec<_> =
        images.iter().map(|image| alone.run_blocking(std::slice::from_ref(image)).expect("runs")).collect();
    for batch in [1, 2] {
        let session = block_on(model.session(batch)).expect("fits");
        std::thread::scope(|scope| {
            for (image, expected) in images.iter().zip(&expected) {
                let session = &session;
                scope.spawn(move || {
                    for round in 0..3 {
                        let found = session.run_blocking(std::slice::from_ref(image)).expect("runs");
                        assert_eq!(found, *expected, "batch {batch}, round {round}");
                    }
                });
            }
        });
    }
    // On one thread, too, runs take turns.
    let [first, second] = [0, 1].map(|index| alone.run(std::slice::from_ref(&images[index])));
    let both = block_on(async {
        let mut both = [Box::pin(first), Box::pin(second)];
        let mut found = [None, None];
        std::future::poll_fn(|context| {
            for (run, found) in both.iter_mut().zip(&mut found).filter(|(_, found)| found.is_none()) {
                if let std::task::Poll::Ready(outcome) = run.as_mut().poll(context) {
                    *found = Some(outcome.expect("runs"));
                }
            }
            if found.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        found
    });
    assert_eq!(both, [Some(expected[0].clone()), Some(expected[1].clone())]);
}

#[test]
fn a_job_goes_on_in_its_own_session_alone() {
    let model = load(engine(), &small_configs()[0], 1, Precision::F32);
    let long = load(engine(), &small_configs()[1], 1, Precision::F32);
    let [long, short] = [&long, &model].map(|model| block_on(model.session(1)).expect("fits"));
    let mut encoder = engine().device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let mut job = pcsnet::Job::new();
    assert!(!long.advance(&mut job, &mut encoder, long.work() / 2).expect("its own job"));
    let begun = job.clone();
    let refusal = short.advance(&mut job, &mut encoder, 0).expect_err("another session's job");
    assert!(matches!(refusal, Error::Mismatch(_)), "{refusal}");
    assert_eq!(job, begun, "nothing was recorded");
    assert!(long.advance(&mut job, &mut encoder, u64::MAX).expect("its own job"));
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
