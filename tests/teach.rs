//! Teaching as a whole: models of drawn parts, with the built-in backbone.

mod support;

use image::imageops::{flip_horizontal, flip_vertical};
use image::{Rgb, RgbImage};
use pcsnet::config::Light;
use pcsnet::image::ValueRange;
use pcsnet::inspect::{Calibration, Inspector, Verdict};
use pcsnet::teach::{Effort, OddAspect, Poses, PseudoDefects, TaughtModel, TeachOptions, Teacher};
use pcsnet::weights::Weights;
use pcsnet::wgpu::{Texture, TextureFormat};
use pcsnet::{Encoding, Error, Precision, TextureSource};
use pollster::block_on;
use support::{Random, engine, texture};

const SIDE: u32 = 160;

/// A washer on a bright ground, a little different each time, turned by some degrees (its notch shows that).
fn part(seed: u64, degrees: f64) -> RgbImage {
    let mut random = Random::new(seed);
    let wobble: Vec<f64> = (0..4).map(|_| f64::from(random.normal()) * 0.01).collect();
    let grain: Vec<f32> = random.values((SIDE * SIDE) as usize);
    let notch = degrees.to_radians();
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let (x_, y_) =
            (f64::from(x) / f64::from(SIDE) - 0.5 + wobble[0], f64::from(y) / f64::from(SIDE) - 0.5 + wobble[1]);
        let (radius, angle) = (x_.hypot(y_), y_.atan2(x_));
        let turn = (angle - notch).rem_euclid(std::f64::consts::TAU);
        let metal = radius < 0.36 + wobble[2] && radius > 0.14 && !(turn < 0.5 && radius > 0.28);
        let base = if metal { 95.0 + 25.0 * (9.0 * radius / 0.1).sin() } else { 205.0 + 100.0 * wobble[3] };
        let value = (base + 2.0 * f64::from(grain[(y * SIDE + x) as usize])).clamp(0.0, 255.0) as u8;
        Rgb([value, value, (f64::from(value) * 0.95) as u8])
    })
}

/// A part with a spot that does not belong there.
fn defective(seed: u64, degrees: f64) -> RgbImage {
    let mut picture = part(seed, degrees);
    for (x, y) in (95..113).flat_map(|y| (70..92).map(move |x| (x, y))) {
        picture.put_pixel(x, y, Rgb([200, 60, 40]));
    }
    picture
}

/// What a camera of 12 bits fills.
const RANGE: ValueRange = ValueRange { low: 0.0, high: 4095.0 };

fn teacher(poses: Poses) -> Teacher {
    let mut options = TeachOptions::default();
    (options.effort, options.poses, options.false_alarm_rate) = (Effort::Small, poses, 0.01);
    options.range = Some(RANGE);
    let backbone = Weights::built_in().expect("a sound file");
    block_on(Teacher::new(engine(), &backbone, options)).expect("a known backbone")
}

fn taught(photographs: &[RgbImage], poses: Poses) -> TaughtModel {
    let mut teacher = teacher(poses);
    for (index, photograph) in photographs.iter().enumerate() {
        teacher.add(format!("{index}.png"), photograph).expect("a photograph");
    }
    block_on(teacher.teach(|_| {})).expect("enough photographs")
}

/// Scores of photographs, and whether they pass.
fn inspected(model: &TaughtModel, photographs: &[RgbImage]) -> (Vec<f32>, Vec<Option<Verdict>>) {
    let weights = model.weights().expect("a sound model");
    let calibration = Calibration::from_metadata(&weights.metadata()).expect("our own words");
    let model = block_on(engine().load(&weights, Precision::F32)).expect("a sound model");
    let inspector = block_on(Inspector::new(&model, calibration, 1)).expect("room");
    let inspect = |photograph: &RgbImage| {
        let score = block_on(inspector.inspect(photograph)).expect("a photograph").score;
        (score, inspector.calibration().verdict(score))
    };
    photographs.iter().map(inspect).unzip()
}

fn verdicts(model: &TaughtModel, photographs: &[RgbImage]) -> Vec<Option<Verdict>> {
    inspected(model, photographs).1
}

#[test]
fn a_spot_fails_and_new_good_parts_pass() {
    let shots: Vec<RgbImage> = (0..8).map(|seed| part(seed, 30.0)).collect();
    let model = taught(&shots, Poses::Auto);
    let summary = model.summary();
    assert!(!summary.poses.any, "{:?}", summary.poses);
    assert!(summary.held_out.iter().all(|part| !part.disagrees), "{:?}", summary.held_out);
    let PseudoDefects { tried, found } = summary.pseudo_defects;
    assert!(
        tried == 8 && 2 * found >= tried && !summary.warnings().iter().any(|warning| is_hardly_told_apart(warning)),
        "{found}"
    );
    let (good, passed) = inspected(&model, &[20, 21, 22].map(|seed| part(seed, 30.0)));
    // Eight parts do not show all that good ones may be.
    assert!(passed.iter().filter(|verdict| **verdict == Some(Verdict::Pass)).count() >= 2, "{good:?}");
    let (defective, failed) = inspected(&model, &[23, 24].map(|seed| defective(seed, 30.0)));
    assert_eq!(failed, [Some(Verdict::Fail); 2]);
    let worst = good.iter().copied().fold(0.0, f32::max);
    assert!(defective.iter().all(|score| *score > 1.5 * worst), "{defective:?} are far above {good:?}");
}

fn is_hardly_told_apart(warning: &str) -> bool {
    warning.contains("would hardly be told apart")
}

/// Squares of any size, grey and place, a hundred on each photograph: whatever is pasted there looks like one of them.
#[test]
fn what_is_told_apart_badly_is_said() {
    let clutter = |seed: u64| {
        let mut random = Random::new(seed);
        let mut picture = RgbImage::new(SIDE, SIDE);
        for _ in 0..100 {
            let [left, top, side, grey] = [SIDE, SIDE, 60, 256].map(|end| (random.uniform() * f64::from(end)) as u32);
            for (x, y) in (top..top + side).flat_map(|y| (left..left + side).map(move |x| (x, y))) {
                if let Some(pixel) = picture.get_pixel_mut_checked(x, y) {
                    *pixel = Rgb([grey as u8; 3]);
                }
            }
        }
        picture
    };
    let model = taught(&(0..8).map(clutter).collect::<Vec<_>>(), Poses::Fixed);
    let PseudoDefects { tried, found } = model.summary().pseudo_defects;
    let warnings = model.summary().warnings();
    assert!(tried == 8 && 2 * found < tried, "{found} of {tried}");
    assert!(warnings.iter().any(|warning| is_hardly_told_apart(warning)), "{warnings:?}");
}

#[test]
fn parts_at_any_angle_are_known_as_such() {
    let shots: Vec<RgbImage> = (0..5).map(|seed| part(seed, 77.0 * seed as f64)).collect();
    let model = taught(&shots, Poses::Auto);
    assert!(model.summary().poses.any, "{:?}", model.summary().poses);
    assert_eq!(verdicts(&model, &[part(30, 200.0), defective(31, 130.0)]), [Some(Verdict::Pass), Some(Verdict::Fail)]);
}

#[test]
fn copies_and_a_defective_one_among_the_good_are_named() {
    let mut shots: Vec<RgbImage> = (0..5).map(|seed| part(seed, 30.0)).collect();
    // Stretched to a square it is the part again.
    shots[4] = image::imageops::resize(&shots[4], 2 * SIDE, SIDE, image::imageops::FilterType::Triangle);
    shots.extend([shots[0].clone(), defective(9, 30.0)]);
    let model = taught(&shots, Poses::Fixed);
    let summary = model.summary();
    assert_eq!((summary.photographs, summary.copies.as_slice()), (6, &["5.png".to_owned()][..]));
    let odd: Vec<&str> = summary.held_out.iter().filter(|part| part.disagrees).map(|part| part.name.as_str()).collect();
    assert_eq!(odd, ["6.png"]);
    assert_eq!(summary.odd_aspects, [OddAspect { name: "4.png".to_owned(), wider: 2.0 }]);
    assert!(summary.warnings().iter().any(|warning| warning.contains("4.png is 100 % wider")));
    assert!(summary.warnings().iter().any(|warning| warning.starts_with("6.png is far from the other photographs")));
}

/// Another part is as good mirrored, upside down and both; at 250 degrees a notch never is.
#[test]
fn parts_may_be_flipped() {
    let shots: Vec<RgbImage> = (0..5).map(|seed| part(seed, 30.0)).collect();
    let model = taught(&shots, Poses::Flips);
    assert!(model.summary().poses.flips && !model.summary().poses.any, "{:?}", model.summary().poses);
    let upright = part(70, 30.0);
    let both = flip_horizontal(&flip_vertical(&upright));
    let parts = [upright.clone(), flip_horizontal(&upright), flip_vertical(&upright), both];
    let (scores, _) = inspected(&model, &parts);
    assert!(scores.iter().all(|score| (score / scores[0] - 1.0).abs() < 0.25), "{scores:?} are alike");
    let spotted = flip_horizontal(&defective(71, 30.0));
    assert_eq!(verdicts(&model, &[part(70, 250.0), spotted]), [Some(Verdict::Fail); 2]);
    let learned = more(&model, &[part(75, 250.0)]);
    assert!(learned.summary().poses.flips, "as it was taught before");
}

fn more(model: &TaughtModel, photographs: &[RgbImage]) -> TaughtModel {
    let mut teacher =
        block_on(Teacher::resume(engine(), &model.weights().expect("a sound model"), None)).expect("taught");
    for (index, photograph) in photographs.iter().enumerate() {
        teacher.add(format!("more {index}.png"), photograph).expect("a photograph");
    }
    block_on(teacher.teach(|_| {})).expect("a new photograph")
}

/// A good part of a kind that no shot showed fails, and passes when it was added; what failed before still does.
#[test]
fn a_false_alarm_is_taught() {
    let shots: Vec<RgbImage> = (0..5).map(|seed| part(seed, 30.0)).collect();
    let model = taught(&shots, Poses::Fixed);
    let other = |seed| part(seed, 250.0);
    assert_eq!(verdicts(&model, &[other(40)]), [Some(Verdict::Fail)], "its notch is elsewhere");
    let learned = more(&model, &[other(40), shots[0].clone(), other(41)]);
    let summary = learned.summary();
    assert_eq!((summary.photographs, summary.added, summary.copies.len()), (7, 2, 1));
    let names: Vec<&str> = summary.held_out.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(names, ["0.png", "1.png", "2.png", "3.png", "4.png", "more 0.png", "more 2.png"]);
    assert_eq!(verdicts(&learned, &[other(42), part(43, 30.0)]), [Some(Verdict::Pass); 2]);
    assert_eq!(verdicts(&learned, &[defective(44, 30.0)]), [Some(Verdict::Fail)]);
}

/// Photographs one after another give what they give at once: where all prototypes fit, the same ones, and distances
/// that were measured against fewer others.
#[test]
fn taught_one_after_another_as_at_once() {
    let shots: Vec<RgbImage> = (0..4).map(|seed| part(seed, 30.0)).collect();
    let (at_once, after) = (taught(&shots, Poses::Fixed), more(&taught(&shots[..2], Poses::Fixed), &shots[2..]));
    let [at_once_scores, after_scores] = [&at_once, &after].map(|model| inspected(model, &[defective(50, 30.0)]).0[0]);
    assert!((after_scores / at_once_scores - 1.0).abs() < 0.25, "{after_scores}, not {at_once_scores}");
    let one = more(&taught(&shots[..1], Poses::Fixed), &shots[1..2]);
    assert_eq!((one.summary().photographs, one.summary().held_out.len()), (2, 1), "the first was held out of nothing");
    let three = more(&one, &shots[2..3]);
    assert_eq!(three.summary().photographs, 3);
}

#[test]
fn one_photograph_gives_a_model_with_a_warning_and_none_is_refused() {
    let model = taught(&[part(1, 0.0)], Poses::Auto);
    assert!(model.summary().warnings().iter().any(|warning| warning.contains("the threshold is a guess")));
    assert_eq!(verdicts(&model, &[defective(2, 0.0)]), [Some(Verdict::Fail)]);
    let weights = model.weights().expect("a sound model");
    assert_eq!(
        ValueRange::from_metadata(&weights.metadata()).expect("our own words"),
        Some(RANGE),
        "kept in the model"
    );
    let again = taught(&[part(1, 0.0)], Poses::Auto);
    assert!(model.bytes() == again.bytes(), "the same photographs give the same file, bit for bit");

    let backbone = Weights::built_in().expect("a sound file");
    let teacher = block_on(Teacher::new(engine(), &backbone, TeachOptions::default())).expect("a known backbone");
    let refusal = block_on(teacher.teach(|_| {})).expect_err("no photographs");
    assert!(matches!(refusal, Error::Input { .. }) && refusal.to_string().contains("at least 1"), "{refusal}");
}

/// Prototypes of three photographs in twelve poses are chosen from some 15,000 descriptors.
#[test]
fn the_same_photographs_give_the_same_file() {
    let make = |seed| {
        let mut options = TeachOptions::default();
        (options.effort, options.poses, options.seed) = (Effort::Small, Poses::Any, seed);
        // Room for some 200 prototypes of a level: as quick as it can be.
        options.max_bytes = Some(1_800_000);
        let backbone = Weights::built_in().expect("a sound file");
        let mut teacher = block_on(Teacher::new(engine(), &backbone, options)).expect("a known backbone");
        for photograph in 0..3 {
            teacher.add(format!("{photograph}.png"), &part(photograph, 77.0)).expect("a photograph");
        }
        block_on(teacher.teach(|_| {})).expect("room for some prototypes")
    };
    let model = make(1);
    assert!(model.summary().prototypes.iter().all(|chosen| *chosen < 1000), "{:?}", model.summary().prototypes);
    assert!(model.bytes() == make(1).bytes(), "bit for bit");
    assert_eq!(model.summary().pseudo_defects.tried, 3);
}

/// As large as it may be and no larger; what leaves no room for a head is refused.
#[test]
fn a_model_is_as_large_as_it_may_be() {
    let make = |max_bytes| {
        let mut options = TeachOptions::default();
        (options.effort, options.poses, options.max_bytes) = (Effort::Small, Poses::Fixed, Some(max_bytes));
        let backbone = Weights::built_in().expect("a sound file");
        let mut teacher = block_on(Teacher::new(engine(), &backbone, options)).expect("a known backbone");
        for seed in 0..3 {
            teacher.add(format!("{seed}.png"), &part(seed, 30.0)).expect("a photograph");
        }
        block_on(teacher.teach(|_| {}))
    };
    let most = 1_800_000;
    let model = make(most).expect("room for some prototypes");
    let size = model.bytes().len() as u64;
    assert!(size <= most && size > most - 64 * 1024, "{size}");
    let [first, ..] = model.summary().prototypes[..] else { panic!("levels") };
    assert!((64..2048).contains(&first), "{:?}", model.summary().prototypes);
    let later = more(&model, &[part(9, 30.0)]).bytes().len() as u64;
    assert!(later <= most, "{later}, after it was taught more");
    assert!(make(1 << 20).expect_err("hardly the backbone").to_string().contains("at least"));
}

/// The photographs of `tests/fixtures/taught.py`.
fn checks(seed: u32, with_spot: bool) -> RgbImage {
    RgbImage::from_fn(224, 224, |x, y| {
        let noise = (x.wrapping_mul(73_856_093) ^ y.wrapping_mul(19_349_663) ^ seed.wrapping_mul(83_492_791)) >> 9;
        let is_spot = with_spot && (60..90).contains(&x) && (96..120).contains(&y);
        let value = if is_spot { 20 } else { 80 + ((x + 7 * seed) / 32 + y / 32) % 2 * 70 + noise % 24 };
        Rgb([(value * (60 + 10 * seed) / 100) as u8; 3])
    })
}

/// Light, bank, coreset, what is normal, map and score as PyTorch, NumPy and SciPy compute them.
#[test]
fn as_pytorch_numpy_and_scipy() {
    let truth = safetensors::SafeTensors::deserialize(include_bytes!("fixtures/taught.safetensors")).expect("our file");
    let truth = |name: &str| -> Vec<f32> {
        bytemuck::pod_collect_to_vec(truth.tensor(name).expect("written by the script").data())
    };
    let model = taught(&[0, 1, 2, 3].map(|seed| checks(seed, false)), Poses::Fixed);
    assert!(model.summary().light.differs, "{:?}", model.summary().light);
    let weights = model.weights().expect("a sound model");
    let assert_close = |what: &str, found: &[f32], truth: &[f32]| {
        let mean = truth.iter().sum::<f32>() / truth.len() as f32;
        let spread = (truth.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / truth.len() as f32).sqrt();
        let worst = found.iter().zip(truth).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert_eq!(found.len(), truth.len(), "{what}");
        assert!(worst < 1e-3 * spread, "{what}: {worst} off where values deviate by {spread}");
    };
    let file = safetensors::SafeTensors::deserialize(model.bytes()).expect("a sound file");
    for name in ["normal", "bounds"] {
        let tensor = file.tensor(&format!("taught.{name}")).expect("a taught model");
        assert_close(name, &bytemuck::pod_collect_to_vec::<u8, f32>(tensor.data()), &truth(name));
    }
    let loaded = block_on(engine().load(&weights, Precision::F32)).expect("a sound model");
    let calibration = Calibration::from_metadata(&weights.metadata()).expect("our own words");
    let query = checks(4, true);
    let Light { level, contrast } = loaded.config().light.expect("light differs");
    assert_close("light", &[level, contrast], &truth("light"));
    // The stages of a trace begin behind the light.
    let greys: Vec<u8> = query.pixels().map(|pixel| pixel[0]).collect();
    let mut rising = greys.clone();
    rising.sort_unstable();
    let [low, median, high] =
        [0.1, 0.5, 0.9].map(|share| f32::from(rising[(share * (rising.len() - 1) as f64) as usize]));
    let gain = (255.0 * contrast / (high - low)).clamp(0.5, 2.0);
    let in_light = |grey: u8| (gain * f32::from(grey) + 255.0 * level - gain * median).clamp(0.0, 255.0);
    let planes: Vec<f32> = (0..3).flat_map(|_| greys.iter().map(|grey| (in_light(*grey) - 127.0) / 128.0)).collect();
    let stages = block_on(loaded.trace(&planes)).expect("runs");
    let joined = stages.iter().find(|stage| stage.name == "joined").expect("a taught head");
    assert_close("joined", &joined.values, &truth("joined"));
    let inspector = block_on(Inspector::new(&loaded, calibration, 1)).expect("room");
    let score = block_on(inspector.inspect(&query)).expect("a photograph").score;
    let expected = truth("score")[0];
    assert!((score / expected - 1.0).abs() < 1e-4, "{score}, not {expected}");
}

/// The device's resize gives the very pixels of the CPU's, so that scores are the same to the last bit.
#[test]
fn textures_as_photographs() {
    let shots: Vec<RgbImage> = (0..3).map(|seed| part(seed, 30.0)).collect();
    let mut teacher = teacher(Poses::Fixed);
    let texture = |photograph: &RgbImage| -> Texture {
        let texels = image::DynamicImage::from(photograph.clone()).into_rgba8();
        texture([SIDE; 2], TextureFormat::Rgba8Unorm, &texels)
    };
    // The last is a copy.
    for photograph in shots.iter().chain(&shots[..1]) {
        let texture = texture(photograph);
        let source = TextureSource::new(&texture, Encoding::Srgb);
        block_on(teacher.add_texture("camera", &source)).expect("a texture of this device");
    }
    let model = block_on(teacher.teach(|_| {})).expect("enough photographs");
    assert_eq!((model.summary().photographs, model.summary().copies.len()), (3, 1));
    let parts = [part(60, 30.0), defective(61, 30.0)];
    let expected = inspected(&taught(&shots, Poses::Fixed), &parts);
    assert_eq!(inspected(&model, &parts), expected);
    let texture = texture(&shots[0]);
    let source = TextureSource { layer: 1, ..TextureSource::new(&texture, Encoding::Srgb) };
    let refused = block_on(teacher.add_texture("camera", &source)).expect_err("there is one layer");
    assert!(refused.to_string().contains("a layer below 1"), "{refused}");
}
