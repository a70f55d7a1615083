//! Photographs through the inspector, against the same by hand: frames, a session, and the maps put back.

mod support;

use pcsnet::Precision;
use pcsnet::image::{Fit, Frame, JoinedMap, RgbImage, Scale, Tiles};
use pcsnet::inspect::{Calibration, Framing, Inspector, Method, Setting, Verdict, alterations, calibrate, regions};
use pollster::block_on;
use support::{Random, engine, load, small_configs};

/// A photograph with structure: blurred noise of another size than the network's input.
fn photograph(seed: u64) -> RgbImage {
    let noise = Random::new(seed).image(24);
    image::imageops::resize(&noise, 150, 110, image::imageops::FilterType::Triangle)
}

fn calibrated(threshold: f32) -> Calibration {
    Calibration { threshold: Some(threshold), scale: Some(Scale { low: 0.0, high: 2.0 }), ..Calibration::default() }
}

#[test]
fn a_whole_photograph() {
    let config = &small_configs()[0];
    let model = load(engine(), config, 1, Precision::F32);
    let photograph = photograph(3);
    let frame = Frame::new(model.fit(), photograph.dimensions(), config.input).expect("usable sizes");
    let session = block_on(model.session(1)).expect("one image fits");
    let truth = session.run_blocking(&[frame.input(&photograph).expect("its size")]).expect("runs").remove(0);
    let map = frame.to_original(&truth.map).expect("a map of the input's size");
    let mut ascending: Vec<f32> = map.iter().copied().filter(|value| !value.is_nan()).collect();
    ascending.sort_by(f32::total_cmp);
    let threshold = ascending[ascending.len() * 9 / 10];

    let inspector = block_on(Inspector::new(&model, calibrated(threshold), 1)).expect("one image fits");
    let inspection = block_on(inspector.inspect(&photograph)).expect("runs");
    assert_eq!((inspection.score, &inspection.map), (truth.score, &truth.map));
    let findings = inspection.findings(inspector.calibration()).expect("its own map");
    assert_eq!(findings.verdict, Some(Verdict::Fail));
    assert_eq!(findings.map.len(), map.len());
    assert!(findings.map.iter().zip(&map).all(|(found, truth)| found.to_bits() == truth.to_bits()));
    let expected = regions(&map, 150, threshold).expect("whole rows");
    assert!(!expected.is_empty());
    assert_eq!(findings.regions.as_ref(), Some(&expected));
    assert_eq!(inspection.regions(threshold).expect("its own map"), expected);
    assert_eq!(inspection.regions(truth.score).expect("its own map"), []);
    assert_eq!(findings.colours, Scale { low: 0.0, high: 2.0 });
    assert_eq!(findings.inspected, frame.inspected());
    let overlay = findings.overlay(&photograph).expect("its own photograph");
    assert_eq!(overlay.get_pixel(0, 0).0, photograph.get_pixel(0, 0).0.map(|value| value / 2), "left out by the crop");
    let summary = inspection.summary();
    let mut values = truth.map;
    values.sort_by(f32::total_cmp);
    assert_eq!((summary.score, summary.lowest, summary.median), (truth.score, values[0], values[values.len() / 2]));
}

#[test]
fn tiles_in_any_batch() {
    let config = &small_configs()[0];
    let model = load(engine(), config, 1, Precision::F32);
    let photograph = photograph(4);
    let tiles = Tiles::new(photograph.dimensions(), 64, config.input).expect("usable sizes");
    let session = block_on(model.session(1)).expect("one image fits");
    let mut truth = JoinedMap::new(tiles.clone());
    for input in tiles.inputs(&photograph).expect("its size") {
        truth.add(&session.run_blocking(&[input]).expect("runs")[0].map).expect("a map each");
    }
    let truth = truth.finish().expect("all tiles");
    for batch in [1, 4] {
        let whole = block_on(Inspector::new(&model, calibrated(0.5), batch)).expect("a few images fit");
        let inspector = whole.with_framing(Framing { tiles: Some(64), ..whole.framing() });
        assert_eq!(inspector.calibration().threshold, None, "a threshold of whole photographs says nothing of tiles");
        let inspection = block_on(inspector.inspect(&photograph)).expect("runs");
        assert_eq!(inspection.map, truth, "batch {batch}");
        assert_eq!(inspection.score, truth.iter().copied().fold(f32::MIN, f32::max));
        let findings = inspection.findings(inspector.calibration()).expect("its own map");
        assert_eq!((findings.verdict, findings.regions), (None, None));
    }
}

#[test]
fn a_calibration_is_of_its_framing() {
    let config = &small_configs()[0];
    let model = load(engine(), config, 1, Precision::F32);
    let whole = block_on(Inspector::new(&model, Calibration::default(), 1)).expect("one image fits");
    let stretched = whole.with_framing(Framing { fit: Fit::Stretch, ..whole.framing() });
    let survey = |inspector: &Inspector, count: u64| -> Vec<_> {
        let alterations = alterations(count as usize, false);
        let of = |seed| block_on(inspector.survey(&photograph(seed), &alterations)).expect("runs");
        (0..count).map(of).collect()
    };
    let setting = Setting { framing: stretched.framing(), precision: Precision::F32 };
    let parts = survey(&stretched, 9);
    let mut scores: Vec<f32> = parts.iter().map(|part| part.summaries[0].score).collect();
    scores.sort_by(f32::total_cmp);
    let found = calibrate(&parts, 0.1, setting).expect("nine parts");
    // One in ten is expected beyond the largest of nine.
    assert_eq!(found.calibration.threshold, Some(scores[8]));
    let changes = found.to_metadata();
    let value = |key: &str| changes[key].as_deref();
    assert_eq!(
        (value("pcsnet.fit"), value("pcsnet.tiles"), value("pcsnet.threshold_rule")),
        (Some("stretch"), None, None)
    );
    let stored = changes.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_deref()?))).collect();
    assert_eq!(Calibration::from_metadata(&stored).expect("our own words"), found.calibration);
    let record: serde_json::Value = serde_json::from_str(value("pcsnet.calibration").expect("a record")).expect("JSON");
    let told = |key: &str| record[key].clone();
    assert_eq!((told("method"), told("images"), told("copies")), ("rank".into(), 9.into(), 1.into()));
    assert_eq!((told("wanted"), told("precision")), (0.1.into(), "f32".into()));

    let few = calibrate(&survey(&stretched, 2), 0.1, setting).expect("two parts, slightly altered");
    let record: serde_json::Value =
        serde_json::from_str(few.to_metadata()["pcsnet.calibration"].as_deref().expect("a record")).expect("JSON");
    assert_eq!((&record["method"], &record["copies"]), (&"extreme_value".into(), &11.into()));
    assert!(matches!(few.origin, pcsnet::inspect::Origin::Good { found, .. } if found.method == Method::ExtremeValue));
}
