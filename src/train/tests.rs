//! Steps against PyTorch's, and whole runs.

use super::memory::{State, Values};
use super::step::{Bank, Batch, Step};
use super::*;
use crate::EngineOptions;
use crate::config::{BackboneConfig, LayerConfig, ResNetConfig, TrainedHead};
use crate::reference::{self, Maps};
use ::image::Rgb;
use pollster::block_on;
use serde::Deserialize;
use std::collections::BTreeMap;
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
fn config() -> ModelConfig {
    let layer = LayerConfig { blocks: 1, width: 4, channels: 4 };
    let backbone = BackboneConfig::Basic(ResNetConfig { stem: 4, layers: [layer; 3] });
    let descriptor = DescriptorKind::Plain;
    let head = TrainedHead { descriptor, prototypes: 12, nearest: 4, guide: 8, width: 4, bins: vec![6, 3, 2] };
    ModelConfig { backbone, input: 24, grid: 6, head: HeadConfig::Trained(head) }
}

/// The fixture's values: a sine of each place.
fn wave(count: usize, seed: f64) -> Vec<f32> {
    (0..count).map(|place| (1.7 * place as f64 + seed).sin() as f32).collect()
}

/// The fixture's weights before the first step.
fn first_values() -> Values {
    let mut values = Values::default();
    let mut parameters = schema::head(&config()).tensors().to_vec();
    parameters.retain(|parameter| parameter.name != "adaptor.C");
    parameters.sort_by(|a, b| a.name.cmp(&b.name));
    for (number, parameter) in parameters.iter().enumerate() {
        let of_output = parameter.shape[1..].iter().product::<usize>();
        let scale = 1.5 / (of_output as f64).sqrt();
        let wave = wave(parameter.shape.iter().product(), number as f64);
        *values.of(&parameter.name) = wave.into_iter().map(|value| (f64::from(value) * scale) as f32).collect();
    }
    values.of(step::RADIUS).push(0.4);
    values
}

/// The fixture's batch of a step: two pictures and their copies with a rectangle each.
fn batch(number: usize) -> Batch {
    let mask = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| -> Vec<bool> {
        (0..24 * 24).map(|place| rows.contains(&(place / 24)) && columns.contains(&(place % 24))).collect()
    };
    let masks = [mask(4..14, 6..20), mask(10..22, 2..9)];
    let features = |image: usize| -> Features {
        let level = |(level, side): (usize, usize)| {
            let (pixels, all) = (side * side, wave(IMAGES * 4 * side * side, (10 * number + level) as f64));
            let last = (0..4 * pixels).map(|place| all[(4 * image + place % 4) * pixels + place / 4]).collect();
            let pooled = reference::avg_pool(&Maps { shape: [1, side, side, 4], values: last });
            with_coordinates(&pooled.values, &[1.0; 4], side)
        };
        SIDES.into_iter().enumerate().map(level).collect()
    };
    let example = |image: usize| {
        let mask = image.checked_sub(2).map(|copy| &masks[copy][..]);
        Example { features: features(image), mask, owner: image as u32 % 2, seen: true }
    };
    batch_of((0..IMAGES).map(example).collect(), [24, 6], Weighing::Balanced)
}

fn step() -> Step {
    let owners = (0..12).map(|prototype| prototype % 3).collect();
    let bank = Bank { columns: wave(12 * 12, 0.5), owners: Some(owners) };
    let recipe = Recipe { margin: 1.9, ..Recipe::HELD_OUT };
    let gpu = engine().gpu();
    block_on(Step::new(gpu, &config(), &recipe, bank, IMAGES as u32, first_values())).expect("a small network")
}

/// The largest difference over the largest magnitude.
fn relative(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    found.iter().zip(expected).fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs())) / largest
}

/// Losses, gradients and values of three steps against PyTorch's.
#[test]
fn steps_as_pytorch() {
    let fixture: Fixture = serde_json::from_str(include_str!("../../tests/fixtures/training.json")).expect("our own");
    let (gpu, step) = (engine().gpu(), step());
    for (number, expected) in fixture.losses.iter().enumerate() {
        let losses = block_on(step.run(gpu, &batch(number), number as u32 + 1, [1e-3, 1e-4])).expect("numbers");
        let found = [losses.nfc, losses.afs, losses.pdc, losses.seg];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-4 * expected, "step {number}: {found}, not {expected}");
        }
    }
    let state = block_on(step.state(gpu)).expect("a state");
    let values = step.named(&state);
    let mean_gradients = |[values, moments]: &[Vec<f32>; 2]| [moments[..values.len()].to_vec(), Vec::new()];
    let gradients = step.named(&state.iter().map(mean_gradients).collect::<State>());
    for (name, expected) in &fixture.mean_gradients {
        let error = relative(&gradients.0[name], expected);
        assert!(error <= 1e-4, "{name}: gradients differ by {error} of the largest");
        // Steps of Adam are as large whatever the gradient's size, so where it is all but 0 they may differ.
        let error = relative(&values.0[name], &fixture.values[name]);
        assert!(error <= 1e-4, "{name}: values differ by {error} of the largest");
    }
    assert_eq!(fixture.mean_gradients.len(), 24, "every parameter");
}

/// The same batch again and again: its losses fall, and a second run of the same is the same bit for bit.
#[test]
fn a_batch_is_learned_and_replayed_to_the_same_bits() {
    let (gpu, step) = (engine().gpu(), step());
    let total = |losses: Losses| losses.nfc + losses.afs + 50.0 * losses.pdc + 40.0 * losses.seg;
    let run = || {
        block_on(step.set_values(gpu, &first_values())).expect("values");
        let losses = |number| total(block_on(step.run(gpu, &batch(0), number, [1e-2, 1e-3])).expect("numbers"));
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
    let mut spoilt = batch(0);
    spoilt.features[1][1] = f32::NAN;
    let failure = block_on(step().run(engine().gpu(), &spoilt, 1, [1e-3, 1e-4])).expect_err("no numbers");
    assert!(failure.to_string().starts_with("training: step 1 gave losses that are no numbers"), "{failure}");
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

fn held_out(photographs: u64, seed: u64) -> Result<Training> {
    training(Recipe { method: Method::HeldOut { steps: 2, copies: 1 }, ..Recipe::HELD_OUT }, photographs, seed)
}

fn training(recipe: Recipe, photographs: u64, seed: u64) -> Result<Training> {
    let (grid, nearest, width) = (Some(16), Some(24), Some(32));
    let options = TrainOptions { recipe, epochs: Some(2), grid, nearest, width, seed, ..TrainOptions::default() };
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

    let model = block_on(engine().load(&model.weights().expect("sound"), Precision::F32)).expect("sound");
    let session = block_on(model.session(1)).expect("room");
    let score = |picture: RgbImage| {
        let input = preprocess(&picture, model.fit(), model.config().input).expect("a picture");
        block_on(session.run(&[input])).expect("a run")[0].score
    };
    let (good, bad) = ([20, 21].map(|seed| score(part(seed))), score(defective(22)));
    assert!(good.iter().all(|good| bad > *good + 0.1), "{bad} is not above {good:?}");
}

/// The paper's way: half of the pictures as their copies, channels left out, losses of untouched features.
#[test]
fn the_papers_recipe_trains() {
    let mut training = training(Recipe::PAPER, 4, 1).expect("enough photographs");
    assert_eq!((training.steps_of_an_epoch(), training.epochs()), (2, 2));
    let losses = [(); 2].map(|()| block_on(training.run_epoch(|_| {})).expect("an epoch"));
    // Distances of ImageNet features begin far beyond the radius.
    assert!(losses[1].nfc < losses[0].nfc, "{losses:?}");
    let model = block_on(training.model()).expect("a model");
    block_on(engine().load(&model.weights().expect("sound"), Precision::F32)).expect("a model that loads");
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
