//! Teaching: from photographs of good parts to a model's file.

use crate::model::to_object;
use crate::{Engine, Photograph, Source, source};
use futures_util::future::{Either, select};
use pcsnet::inspect::Origin;
use pcsnet::teach::{self, Effort, HeldOutScore, Poses, TeachOptions, TeachProgress, TeachStep, TeachSummary};
use serde::{Deserialize, Serialize};
use std::pin::pin;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// Takes photographs of good parts and makes a model of them.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Teacher(teach::Teacher);

/// What may be said of teaching; what is not said is decided as in [`TeachOptions::default`].
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Options {
    poses: Option<String>,
    effort: Option<String>,
    max_bytes: Option<f64>,
    false_alarm_rate: Option<f64>,
    seed: Option<u32>,
}

impl Options {
    fn named(self) -> pcsnet::Result<TeachOptions> {
        let mut options = TeachOptions::default();
        options.poses = self.poses.map_or(Ok(options.poses), |name| Poses::by_name(&name))?;
        options.effort = self.effort.map_or(Ok(options.effort), |name| Effort::by_name(&name))?;
        options.max_bytes = self.max_bytes.map(|bytes| bytes as u64);
        options.false_alarm_rate = self.false_alarm_rate.unwrap_or(options.false_alarm_rate);
        options.seed = self.seed.map_or(options.seed, u64::from);
        Ok(options)
    }
}

/// What was decided in teaching.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    /// Of the photographs that a model was made of before it was taught these, as far as they were compared.
    former: Vec<HeldOut<'a>>,
    /// Of the different photographs, in the order they were taken.
    held_out: Vec<HeldOut<'a>>,
    /// Whether photographs differ in light, so that each is brought to one.
    light_differs: bool,
    /// Whether parts lie at any angle.
    any_pose: bool,
    /// Whether parts may be mirrored, upside down or both.
    flips: bool,
    /// The share of pairs of photographs that turning one of them brought nearer, where it was asked.
    nearer_when_turned: Option<f64>,
    /// How many prototypes each level has.
    prototypes: &'a [u32],
    /// The largest score that passes.
    threshold: Option<f32>,
    /// How many good parts the threshold will fail.
    false_alarms: Option<Share>,
    /// Made-up defects on photographs held out.
    pseudo_defects: Tried,
    warnings: Vec<String>,
}

/// A photograph's score, compared with the others alone.
#[derive(Serialize)]
struct HeldOut<'a> {
    name: &'a str,
    score: f32,
    /// Whether it is far from all others.
    disagrees: bool,
}

/// How many were tried, and how many of them the threshold finds.
#[derive(Serialize)]
struct Tried {
    tried: usize,
    found: usize,
}

/// A share that is expected, and the bounds of it with some confidence.
#[derive(Serialize)]
struct Share {
    expected: f64,
    low: f64,
    high: f64,
    confidence: f64,
}

impl<'a> Summary<'a> {
    fn of(summary: &'a TeachSummary) -> Self {
        let part =
            |HeldOutScore { name, score, disagrees }: &'a _| HeldOut { name, score: *score, disagrees: *disagrees };
        let mut former: Vec<HeldOut<'a>> = summary.held_out.iter().map(part).collect();
        let new = if summary.added == 0 { summary.photographs } else { summary.added };
        let held_out = former.split_off(former.len().saturating_sub(new));
        let false_alarms = match summary.calibrated.origin {
            Origin::Good { found, confidence, .. } => {
                let [low, high] = found.interval;
                Some(Share { expected: found.rate, low, high, confidence })
            }
            Origin::Labelled { .. } => None,
        };
        Self {
            former,
            held_out,
            light_differs: summary.light.differs,
            any_pose: summary.poses.any,
            flips: summary.poses.flips,
            nearer_when_turned: summary.poses.nearer_when_turned,
            prototypes: &summary.prototypes,
            threshold: summary.calibrated.calibration.threshold,
            false_alarms,
            pseudo_defects: Tried { tried: summary.pseudo_defects.tried, found: summary.pseudo_defects.found },
            warnings: summary.warnings(),
        }
    }
}

#[wasm_bindgen]
impl Engine {
    /// Loads the backbone of a model's file to teach with.
    ///
    /// # Errors
    /// What is wrong with the file, options of other names, or more than the device can hold.
    pub async fn teacher(&self, name: String, source: Source, options: JsValue) -> Result<Teacher, JsError> {
        let options: Options = serde_wasm_bindgen::from_value(options)?;
        let backbone = source::weights(&name, source)?;
        Ok(Teacher(teach::Teacher::new(&self.0, &backbone, options.named()?).await?))
    }

    /// Loads a model that was taught before, to teach it more photographs without the first ones; its rate of false
    /// alarms stays unless another is given.
    ///
    /// # Errors
    /// What is wrong with the file, a model that was not taught, or more than the device can hold.
    #[wasm_bindgen(js_name = teacherOfMore)]
    pub async fn teacher_of_more(&self, name: String, source: Source, rate: Option<f64>) -> Result<Teacher, JsError> {
        let model = source::weights(&name, source)?;
        Ok(Teacher(teach::Teacher::resume(&self.0, &model, rate).await?))
    }
}

#[wasm_bindgen]
impl Teacher {
    /// Takes a photograph of a good part, with the SHA-256 (in hexadecimal digits) of its file where it has one. False
    /// for a copy of one that was taken before, which adds nothing.
    ///
    /// # Errors
    /// A picture of unusable size.
    pub fn add(&mut self, name: String, sha256: Option<String>, photograph: &Photograph) -> Result<bool, JsError> {
        let before = self.0.photographs();
        self.0.add_file(name, sha256, &photograph.image)?;
        Ok(self.0.photographs() > before)
    }

    /// Makes a model: its file's bytes as `file`, and what was decided. `on_progress` is called with a step's name, how
    /// much of it is done, and how much there is. Nothing is made when `given_up` settles before.
    ///
    /// # Errors
    /// No photographs, photographs that do not differ, and whatever the device can meet.
    pub async fn teach(&self, on_progress: js_sys::Function, given_up: js_sys::Promise) -> Result<JsValue, JsError> {
        let note = |TeachProgress { step, done, total }| {
            // What the callback throws has nowhere to go.
            let _ = on_progress.call3(&JsValue::NULL, &name_of(step).into(), &done.into(), &total.into());
        };
        let taught = match select(pin!(self.0.teach(note)), JsFuture::from(given_up)).await {
            Either::Left((taught, _)) => taught?,
            Either::Right(_) => return Ok(JsValue::UNDEFINED),
        };
        let made = to_object(&Summary::of(taught.summary()))?;
        let file = js_sys::Uint8Array::from(taught.bytes());
        js_sys::Reflect::set(&made, &"file".into(), &file).map_err(|error| JsError::new(&format!("{error:?}")))?;
        Ok(made)
    }
}

fn name_of(step: TeachStep) -> &'static str {
    match step {
        TeachStep::Poses => "poses",
        TeachStep::Describing => "describing",
        TeachStep::Choosing => "choosing",
        TeachStep::HoldingOut => "holding-out",
    }
}
