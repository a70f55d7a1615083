//! Steps against PyTorch's, and whole runs.

use super::step::{Bank, Batch, Step};
use super::*;
use crate::EngineOptions;
use crate::config::{BackboneConfig, LayerConfig, ResNetConfig, TrainedHead};
use crate::reference::{self, Maps};
use crate::weights::{Parameter, Role};
use ::image::Rgb;
use pollster::block_on;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let (device, queue) = block_on(crate::gpu::open_device(None)).expect("these tests need a graphics adapter");
        Engine::new(device, queue, EngineOptions::default()).expect("the adapter was checked")
    })
}

/// What `tests/fixtures/training.py` wrote.
#[derive(Deserialize)]
struct Fixture {
    losses: Vec<[f64; 4]>,
    values: BTreeMap<String, Vec<f32>>,
    mean_gradients: BTreeMap<String, Vec<f32>>,
}

const IMAGES: usize = 4;
const SIDES: [usize; 3] = [6, 3, 2];

/// The fixture's network.
fn config(descriptor: DescriptorKind) -> ModelConfig {
    let channels = channels(descriptor) as u32;
    let layer = LayerConfig { blocks: 1, width: channels, channels };
    let backbone = BackboneConfig::Basic(ResNetConfig { stem: 4, layers: [layer; 3] });
    let head = TrainedHead { descriptor, prototypes: 12, nearest: 4, guide: 8, width: 4, bins: vec![6, 3, 2] };
    ModelConfig { backbone, input: 24, light: None, grid: 6, head: HeadConfig::Trained(head) }
}

/// Of its features.
fn channels(descriptor: DescriptorKind) -> usize {
    match descriptor {
        DescriptorKind::Plain => 4,
        DescriptorKind::Rotation => 8,
    }
}

/// The fixture's values: a sine of each place.
fn wave(count: usize, seed: f64) -> Vec<f32> {
    (0..count).map(|place| (1.7 * place as f64 + seed).sin() as f32).collect()
}

/// A fixture's weights before the first step: what it makes of a parameter and its number among all names in order.
fn first_values(config: &ModelConfig, make: impl Fn(&Parameter, u64) -> Vec<f32>) -> Values {
    // What BatchNorms remember before they have seen anything.
    let mut values = start::as_pytorch(config, 0);
    let mut parameters = schema::head(config).tensors().to_vec();
    let is_trained = |role| !matches!(role, Role::Prototypes | Role::NormMean | Role::NormVariance);
    parameters.retain(|parameter| is_trained(parameter.role));
    parameters.sort_by(|a, b| a.name.cmp(&b.name));
    for (number, parameter) in (0..).zip(&parameters) {
        *values.of(&parameter.name) = make(parameter, number);
    }
    *values.of(step::RADIUS) = vec![0.4];
    values
}

/// Those of a small network.
fn small_values(descriptor: DescriptorKind) -> Values {
    first_values(&config(descriptor), |parameter, number| {
        let of_output = parameter.shape[1..].iter().product::<usize>();
        let scale = 1.5 / (of_output as f64).sqrt();
        let wave = wave(parameter.shape.iter().product(), number as f64);
        wave.into_iter().map(|value| (f64::from(value) * scale) as f32).collect()
    })
}

/// A mask of `side` x `side` pixels.
fn rectangle(side: usize, rows: Range<usize>, columns: Range<usize>) -> Vec<bool> {
    (0..side * side).map(|place| rows.contains(&(place / side)) && columns.contains(&(place % side))).collect()
}

/// The first means that Adam remembers of gradients.
fn mean_gradients(step: &Step, state: &State) -> Values {
    let first = |[values, moments]: &[Vec<f32>; 2]| [moments[..values.len()].to_vec(), Vec::new()];
    step.named(&state.iter().map(first).collect::<State>())
}

/// The fixture's batch of a step: two pictures and their copies with a rectangle each. Of the rotation kind, the first
/// picture and the second copy come before these, for PDC and SEG.
fn batch(descriptor: DescriptorKind, number: usize) -> Batch {
    let masks = [rectangle(24, 4..14, 6..20), rectangle(24, 10..22, 2..9)];
    let channels = channels(descriptor);
    let features = |image: usize| -> Features {
        let level = |(level, side): (usize, usize)| {
            let (pixels, all) = (side * side, wave(IMAGES * channels * side * side, (10 * number + level) as f64));
            let value = |place| all[(channels * image + place % channels) * pixels + place / channels];
            let last = Maps { shape: [1, side, side, channels], values: (0..channels * pixels).map(value).collect() };
            match descriptor {
                DescriptorKind::Plain => reference::avg_pool(&last).values,
                DescriptorKind::Rotation => last.values,
            }
        };
        let levels: Features = SIDES.into_iter().enumerate().map(level).collect();
        prepared(&config(descriptor), &levels, &vec![vec![1.0; channels]; 3])
    };
    let features: Vec<Features> = (0..IMAGES).map(features).collect();
    let is_apart = descriptor == DescriptorKind::Rotation;
    let example = |image: usize| {
        let mask = image.checked_sub(2).map(|copy| &masks[copy][..]);
        Example { features: &features[image], mask, owner: image as u32 % 2, judged: true, seen: !is_apart }
    };
    let mixture = [0, 3].map(|image| Example { judged: false, seen: true, ..example(image) });
    let mixture = mixture.into_iter().filter(|_| is_apart);
    let weighing = if is_apart { Weighing::Plain } else { Weighing::Balanced };
    let examples: Vec<_> = mixture.chain((0..IMAGES).map(example)).collect();
    batch_of(&examples, [24, 6], weighing, Separation::Masked)
}

fn step(descriptor: DescriptorKind) -> Step {
    let owners = (0..12).map(|prototype| prototype % 3).collect();
    let (owners, size) = match descriptor {
        DescriptorKind::Plain => (Some(owners), BatchSize { images: 4, groups: 1 }),
        DescriptorKind::Rotation => (None, BatchSize { images: 6, groups: 3 }),
    };
    let bank = Bank { columns: wave(12 * 12, 0.5), owners };
    let recipe = Recipe { margin: 1.9, ..Recipe::HELD_OUT };
    let (gpu, config) = (engine().gpu(), config(descriptor));
    block_on(Step::new(gpu, &config, &recipe, bank, size, small_values(descriptor))).expect("a small network")
}

/// All that a model's file has of a head, and the radius.
#[test]
fn a_step_holds_the_parameters_of_a_head() {
    for descriptor in DescriptorKind::ALL {
        let step = step(descriptor);
        let state = block_on(step.state(engine().gpu())).expect("values");
        let found: BTreeMap<_, _> =
            step.named(&state).0.into_iter().map(|(name, values)| (name, values.len())).collect();
        let schema = schema::head(&config(descriptor));
        let named = |parameter: &Parameter| (parameter.name.clone(), parameter.shape.iter().product());
        let radius = (step::RADIUS.to_owned(), 1);
        assert_eq!(found, schema.tensors().iter().map(named).chain([radius]).collect());
    }
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

/// The largest difference over the largest magnitude.
fn relative(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs())) / largest(expected)
}

/// Losses of 64 steps, and gradients and values after three of them, against PyTorch's.
#[test]
fn steps_as_pytorch() {
    const COMPARED: usize = 3;
    let fixtures: BTreeMap<String, Fixture> =
        serde_json::from_str(include_str!("../../tests/fixtures/training.json")).expect("our own");
    let gpu = engine().gpu();
    for (descriptor, name, parameters) in
        [(DescriptorKind::Plain, "plain", 24), (DescriptorKind::Rotation, "rotation", 45)]
    {
        let (fixture, step) = (&fixtures[name], step(descriptor));
        let compare = |steps: std::ops::Range<usize>, tolerance: f64| {
            for number in steps {
                let batch = batch(descriptor, number);
                let losses = block_on(step.run(gpu, &batch, number as u32 + 1, [1e-3, 1e-4])).expect("numbers");
                for (found, expected) in
                    [losses.nfc, losses.afs, losses.pdc, losses.seg].iter().zip(fixture.losses[number])
                {
                    let is_close = (found - expected).abs() <= tolerance * expected;
                    assert!(is_close, "{name}, step {number}: {found}, not {expected}");
                }
            }
        };
        compare(0..COMPARED, 1e-4);
        let state = block_on(step.state(gpu)).expect("a state");
        let values = step.named(&state);
        let gradients = mean_gradients(&step, &state);
        for (parameter, expected) in &fixture.mean_gradients {
            let error = relative(&gradients.0[parameter], expected);
            assert!(error <= 1e-4, "{name}, {parameter}: gradients differ by {error} of the largest");
        }
        for (parameter, expected) in &fixture.values {
            // Steps of Adam are as large whatever the gradient's size, so where it is all but 0 they may differ.
            let gradients = fixture.mean_gradients.get(parameter);
            let largest = gradients.map_or(0.0, |gradients| largest(gradients));
            let is_told = |place: usize| gradients.is_none_or(|gradients| gradients[place].abs() >= 1e-3 * largest);
            let told = |values: &[f32]| -> Vec<f32> {
                (0..values.len()).filter(|&place| is_told(place)).map(|place| values[place]).collect()
            };
            let error = relative(&told(&values.0[parameter]), &told(expected));
            // Running means see what the next convolution's BatchNorm takes away again: with the arithmetic of a GPU
            // (an NVIDIA H200) they differ by 1.6e-3.
            let tolerance = if gradients.is_some() { 1e-4 } else { 2e-3 };
            assert!(error <= tolerance, "{name}, {parameter}: values differ by {error} of the largest");
        }
        assert_eq!(fixture.mean_gradients.len(), parameters, "every parameter");
        assert_eq!(fixture.losses.len(), 64);
        compare(COMPARED..64, 1e-3);
    }
}

/// What `tests/fixtures/training_full.py` wrote of a parameter's gradient.
#[derive(Deserialize)]
struct Sampled {
    largest: f64,
    sum: f64,
    sampled: Vec<f32>,
}

#[derive(Deserialize)]
struct FullFixture {
    losses: [f64; 4],
    gradients: BTreeMap<String, Sampled>,
}

/// The full-size fixture's numbers, from -1 to 1.
fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut random = SplitMix(seed);
    (0..count).map(|_| random.between(-1.0, 1.0) as f32).collect()
}

/// The full-size fixture's features of two pictures and their copies, what the descriptor reads of them.
fn full_features(config: &ModelConfig) -> Vec<Features> {
    let levels = config.backbone.channels().into_iter().zip(config.level_sides());
    let levels: Vec<[usize; 2]> = levels.map(|(channels, side)| [channels as usize, side as usize]).collect();
    let all: Vec<Vec<f32>> =
        (200..).zip(&levels).map(|(seed, [channels, side])| noise(IMAGES * channels * side * side, seed)).collect();
    let scales: Vec<Vec<f32>> = levels.iter().map(|[channels, _]| vec![1.0; *channels]).collect();
    let of_image = |image: usize| {
        let level = |(all, &[channels, side]): (&Vec<f32>, &[usize; 2])| {
            let planes = &all[image * channels * side * side..][..channels * side * side];
            let value = |place: usize| 0.1 * planes[place % channels * side * side + place / channels];
            let values = (0..channels * side * side).map(value).collect();
            reference::avg_pool(&Maps { shape: [1, side, side, channels], values }).values
        };
        prepared(config, &all.iter().zip(&levels).map(level).collect(), &scales)
    };
    (0..IMAGES).map(of_image).collect()
}

/// A step at full size, within WebGPU's default limits: its losses, and every parameter's gradient against PyTorch's.
#[test]
#[ignore = "minutes on a software adapter: cargo test --lib full_size -- --ignored --nocapture"]
fn a_full_size_step_as_pytorch() {
    let fixture: FullFixture =
        serde_json::from_str(include_str!("../../tests/fixtures/training_full.json")).expect("our own");
    let config = ModelConfig::standard(BackboneConfig::wide_resnet50_2(), DescriptorKind::Plain);
    let prototypes = config.trained().expect("a trained head").prototypes as usize;
    let mut columns = noise(config.descriptor_channels() as usize * prototypes, 100);
    let length = |column: usize| (0.02 + 0.04 * column as f64 / (prototypes - 1) as f64) as f32;
    columns.iter_mut().enumerate().for_each(|(place, value)| *value *= length(place % prototypes));
    let values = first_values(&config, |parameter, number| {
        let scale = match &parameter.shape[..] {
            [_] => 0.02,
            [_, of_output @ ..] => 1.5 / (of_output.iter().product::<usize>() as f64).sqrt(),
            [] => 1.0,
        };
        noise(parameter.shape.iter().product(), number)
            .into_iter()
            .map(|value| (f64::from(value) * scale) as f32)
            .collect()
    });
    let owners = Some((0..prototypes as u32).map(|prototype| prototype % 3).collect());
    let recipe = Recipe { margin: 0.85, dropout: 0.0, ..Recipe::HELD_OUT };
    let (gpu, size) = (engine().gpu(), BatchSize { images: 4, groups: 1 });
    let step = block_on(Step::new(gpu, &config, &recipe, Bank { columns, owners }, size, values)).expect("room");

    let masks = [rectangle(224, 40..120, 60..180), rectangle(224, 100..200, 20..90)];
    let features = full_features(&config);
    let example = |image: usize| {
        let mask = image.checked_sub(2).map(|copy| &masks[copy][..]);
        Example { features: &features[image], mask, owner: image as u32 % 2, judged: true, seen: true }
    };
    let examples: Vec<_> = (0..IMAGES).map(example).collect();
    let batch = batch_of(&examples, [config.input, config.grid], Weighing::Balanced, Separation::Masked);
    let start = std::time::Instant::now();
    let losses = block_on(step.run(gpu, &batch, 1, [1e-3, 1e-3])).expect("numbers");
    println!("a step took {:.1} s", start.elapsed().as_secs_f64());
    for (found, expected) in [losses.nfc, losses.afs, losses.pdc, losses.seg].iter().zip(fixture.losses) {
        assert!((found - expected).abs() <= 1e-4 * expected, "{losses:?}, not {:?}", fixture.losses);
    }
    let state = block_on(step.state(gpu)).expect("a state");
    let gradients = mean_gradients(&step, &state);
    for (parameter, Sampled { largest, sum, sampled }) in &fixture.gradients {
        let found = &gradients.0[parameter];
        let magnitudes = || found.iter().map(|value| f64::from(value.abs()));
        let places = (0..sampled.len()).map(|place| found[place * found.len() / sampled.len()]);
        let worst = places.zip(sampled).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max) / largest;
        println!("{parameter}: {worst:.1e} of the largest, which is {largest:.1e}");
        assert!(worst <= 1e-4, "{parameter}: gradients differ by {worst} of the largest");
        assert!((magnitudes().fold(0.0, f64::max) / largest - 1.0).abs() <= 1e-4, "{parameter}: the largest");
        assert!((magnitudes().sum::<f64>() / sum - 1.0).abs() <= 1e-4, "{parameter}: the sum");
    }
}

/// The same batch again and again: its losses fall, and a second run of the same is the same bit for bit.
#[test]
fn a_batch_is_learned_and_replayed_to_the_same_bits() {
    let (gpu, step) = (engine().gpu(), step(DescriptorKind::Plain));
    let total = |losses: Losses| losses.nfc + losses.afs + 50.0 * losses.pdc + 40.0 * losses.seg;
    let run = || {
        block_on(step.set_values(gpu, &small_values(DescriptorKind::Plain))).expect("values");
        let losses = |number| {
            total(block_on(step.run(gpu, &batch(DescriptorKind::Plain, 0), number, [1e-2, 1e-3])).expect("numbers"))
        };
        let history: Vec<f64> = (1..=40).map(losses).collect();
        (history, block_on(step.state(gpu)).expect("a state"))
    };
    let (history, state) = run();
    assert!(history[39] < 0.8 * history[0], "{} is not much below {}", history[39], history[0]);
    assert!(history.windows(2).filter(|pair| pair[1] < pair[0]).count() > 30, "{history:?}");
    let (again, same) = run();
    assert!(again == history && same == state);
}

#[test]
fn a_step_without_numbers_ends_with_words() {
    let sound = batch(DescriptorKind::Plain, 0);
    let (mut features, mut weights) = (sound.clone(), sound);
    features.features[1][1] = f32::NAN;
    weights.pixel_weights[0][0] = f32::NAN;
    for (spoilt, words) in [
        (features, "step 1 was given features of level 2 that are no numbers"),
        (weights, "step 1 gave losses that are no"),
    ] {
        let failure = block_on(step(DescriptorKind::Plain).run(engine().gpu(), &spoilt, 1, [1e-3, 1e-4]));
        let failure = failure.expect_err("no numbers").to_string();
        assert!(failure.starts_with("training: ") && failure.contains(words), "{failure}");
    }
}

/// A plate with a hole, a little different each time.
fn part(seed: u64) -> RgbImage {
    let mut random = SplitMix(seed);
    let (x, y) = (random.between(48.0, 52.0), random.between(48.0, 52.0));
    RgbImage::from_fn(100, 100, |column, row| {
        let radius = (f64::from(column) - x).hypot(f64::from(row) - y);
        let base = if radius < 12.0 {
            30.0
        } else if radius < 38.0 {
            150.0
        } else {
            220.0
        };
        let value = (base + 3.0 * random.normal()).clamp(0.0, 255.0) as u8;
        Rgb([value, value, value / 2 + 60])
    })
}

fn defective(seed: u64) -> RgbImage {
    let mut picture = part(seed);
    for (x, y) in (60..72).flat_map(|y| (66..80).map(move |x| (x, y))) {
        picture.put_pixel(x, y, Rgb([200, 50, 40]));
    }
    picture
}

/// What trains in a few seconds.
fn small() -> TrainOptions {
    let (grid, nearest, width) = (Some(16), Some(24), Some(32));
    TrainOptions { epochs: Some(2), grid, nearest, width, ..TrainOptions::default() }
}

fn held_out(photographs: u64, seed: u64) -> Result<Training> {
    let recipe = Recipe { method: Method::HeldOut { steps: 2, copies: 1 }, ..Recipe::HELD_OUT };
    training(TrainOptions { recipe, seed, ..small() }, photographs)
}

fn training(options: TrainOptions, photographs: u64) -> Result<Training> {
    let mut trainer = block_on(Trainer::new(engine(), &Weights::built_in()?, options))?;
    for seed in 0..photographs {
        trainer.add(format!("{seed}.png"), None, &part(seed))?;
    }
    block_on(trainer.start())
}

#[test]
fn a_run_goes_on_from_a_checkpoint_to_the_same_bits_and_finds_the_defect() {
    let mut whole = held_out(3, 5).expect("enough photographs");
    block_on(whole.run_epoch(|_| {})).expect("an epoch");
    let checkpoint = block_on(whole.checkpoint()).expect("a state");
    block_on(whole.run_epoch(|_| {})).expect("an epoch");
    assert!(whole.is_done());
    let model = block_on(whole.model()).expect("a model");

    let mut resumed = held_out(3, 5).expect("enough photographs");
    block_on(resumed.resume("checkpoint", checkpoint.clone())).expect("of the same run");
    assert_eq!((resumed.epoch(), resumed.is_done()), (1, false));
    block_on(resumed.run_epoch(|_| {})).expect("an epoch");
    assert!(block_on(resumed.model()).expect("a model").bytes() == model.bytes());

    let mut other = held_out(3, 6).expect("enough photographs");
    let refusal = block_on(other.resume("checkpoint", checkpoint)).expect_err("of another run");
    assert!(refusal.to_string().contains("checkpoint is of a run with other photographs"), "{refusal}");

    finds_the_defect(&model);
}

/// Two good parts score below a defective one.
fn finds_the_defect(model: &TrainedModel) {
    let model = block_on(engine().load(&model.weights().expect("sound"), Precision::F32)).expect("sound");
    let session = block_on(model.session(1)).expect("room");
    let score = |picture: RgbImage| {
        let input = preprocess(&picture, model.fit(), model.config().input).expect("a picture");
        block_on(session.run(&[input])).expect("a run")[0].score
    };
    let (good, bad) = ([20, 21].map(|seed| score(part(seed))), score(defective(22)));
    assert!(good.iter().all(|good| bad > *good + 0.1), "{bad} is not above {good:?}");
}

/// The paper's way: half of the pictures as their copies, channels left out, losses of untouched features; and the
/// descriptor of parts that lie at any angle.
#[test]
fn the_papers_recipe_trains() {
    for descriptor in [DescriptorKind::Plain, DescriptorKind::Rotation] {
        let options = TrainOptions { recipe: Recipe::PAPER, descriptor, seed: 1, ..small() };
        let mut training = training(options, 4).expect("enough photographs");
        assert_eq!((training.steps_of_an_epoch(), training.epochs()), (2, 2));
        let losses = [(); 2].map(|()| block_on(training.run_epoch(|_| {})).expect("an epoch"));
        // Distances begin far beyond the radius.
        assert!(losses[1].nfc < losses[0].nfc, "{losses:?}");
        let model = block_on(training.model()).expect("a model");
        let model =
            block_on(engine().load(&model.weights().expect("sound"), Precision::F32)).expect("a model that loads");
        assert_eq!(model.config().trained().expect("a trained head").descriptor, descriptor);
    }
}

/// Parts that lie at any angle, by our recipe: what BatchNorms have seen is what inference takes.
#[test]
fn a_rotation_descriptor_finds_the_defect() {
    let recipe = Recipe { method: Method::HeldOut { steps: 6, copies: 1 }, ..Recipe::HELD_OUT };
    let options = TrainOptions { recipe, descriptor: DescriptorKind::Rotation, epochs: Some(4), ..small() };
    let mut training = training(options, 3).expect("enough photographs");
    while !training.is_done() {
        block_on(training.run_epoch(|_| {})).expect("an epoch");
    }
    finds_the_defect(&block_on(training.model()).expect("a model"));
}

/// A state that nothing could have led to ends training; the one before stands.
#[test]
fn a_spoilt_state_is_refused() {
    let (gpu, step) = (engine().gpu(), step(DescriptorKind::Rotation));
    block_on(step.run(gpu, &batch(DescriptorKind::Rotation, 0), 1, [1e-3, 1e-4])).expect("numbers");
    let sound = block_on(step.state(gpu)).expect("a state");
    step.ensure_sound(&sound).expect("a step's gradients");
    let refusal = |state: &State| step.ensure_sound(state).expect_err("spoilt").to_string();
    let mut spoilt = sound.clone();
    spoilt[0][0][3] = f32::INFINITY;
    assert!(refusal(&spoilt).contains("`adaptor.Descriptor.conv1.weight` has come to hold"), "{}", refusal(&spoilt));
    // What weight decay alone would have left.
    let [values, moments] = &mut spoilt[0];
    values.clone_from(&sound[0][0]);
    moments.iter_mut().zip(values).for_each(|(moment, value)| *moment = 1e-6 * *value);
    assert!(refusal(&spoilt).contains("has had no gradient in an epoch"), "{}", refusal(&spoilt));
}

#[test]
fn too_few_photographs_are_refused() {
    let refusal = held_out(1, 0).expect_err("a step takes two");
    assert!(refusal.to_string().contains("at least the 2 of a step"), "{refusal}");
    let options = TrainOptions { batch: 1, ..TrainOptions::default() };
    let backbone = Weights::built_in().expect("sound");
    let refusal = block_on(Trainer::new(engine(), &backbone, options)).expect_err("PDC compares");
    assert!(refusal.to_string().contains("2 or more"), "{refusal}");
}
