//! A model on the GPU, and what it finds.

use crate::{Photograph, Source, Texture, now, source};
use pcsnet::image::{Fit, Rect};
use pcsnet::inspect::{
    Calibration, Drift, Framing, Gathered, GoodPart, Inspection, InspectionTimes, Inspector, Origin, Placement, Region,
    Setting, Verdict, alterations, calibrate,
};
use pcsnet::weights::Weights;
use pcsnet::{Encoding, Engine, LoadOptions, PhotographInput, PipelineProgress, SharedBackbone, TextureSource, wgpu};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::BTreeMap;
use wasm_bindgen::prelude::*;

/// A backbone and a head, ready to run on one picture at a time.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Model {
    engine: Engine,
    backbone: SharedBackbone,
    options: LoadOptions,
    model: pcsnet::Model,
    /// The model in the framing and with the calibration of the model's file, or of the last calibration since.
    inspector: RefCell<Inspector>,
    /// How the latest parts compare with those of that calibration, where it remembers them.
    drift: RefCell<Option<Drift>>,
    metadata: RefCell<BTreeMap<String, String>>,
    /// The way in from the last texture, for its next picture.
    texture_input: RefCell<Option<(Texture, PhotographInput)>>,
}

/// What the network found in a picture, but for the map.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Detection {
    /// The largest value of the map.
    score: f32,
    /// What the model's own threshold says, where it has one that holds for this framing.
    verdict: Option<Verdict>,
    /// Whether the picture shows something else than the model's parts, where the model can tell.
    unlike: Option<bool>,
    /// Where the map is above that threshold, in the picture's pixels.
    regions: Vec<Region>,
    /// Columns of the picture.
    width: u32,
    /// Rows of the picture.
    height: u32,
    /// The part of the picture that the network saw.
    inspected: Rect,
    /// How a whole picture became a square.
    fit: Fit,
    /// Columns of the map.
    side: u32,
    /// The map's size: square, or of a picture inspected in tiles the picture's own.
    map_width: u32,
    map_height: u32,
    /// The side of the tiles in which the picture was inspected, if it was.
    tiles: Option<u32>,
    times: Times,
}

/// How long the parts of a detection took, in milliseconds.
#[derive(Default, Serialize)]
struct Times {
    decode: f64,
    preprocess: f64,
    network: f64,
    regions: f64,
}

/// What a calibration found.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Calibrated {
    threshold: Option<f32>,
    /// The values of the first and the last colour.
    scale: Option<[f32; 2]>,
    #[serde(flatten)]
    origin: Origin,
    /// The numbers of parts that were not counted, because they show the photograph of an earlier one, and the earlier
    /// one's.
    repeated: Vec<(usize, usize)>,
    /// The numbers of parts whose scores are far above the others': they may not be good.
    outliers: Vec<usize>,
    /// The changes to the metadata of the model's file that store it; null takes a key out.
    changes: BTreeMap<String, Option<String>>,
}

/// What a model says of itself.
#[derive(Serialize)]
struct Card<'a> {
    threshold: Option<f32>,
    /// The values of the first and the last colour.
    scale: Option<[f32; 2]>,
    /// The side of the tiles in which the threshold was found; null for whole pictures.
    tiles: Option<u32>,
    /// Side of the network's input.
    input: u32,
    adapter: String,
    #[serde(rename = "gpuBytes")]
    gpu_bytes: u64,
    metadata: &'a BTreeMap<String, String>,
}

impl Model {
    /// Loads a head onto a backbone.
    pub(crate) async fn load(
        engine: Engine,
        backbone: SharedBackbone,
        weights: &Weights,
        options: LoadOptions,
        on_kernel: &js_sys::Function,
    ) -> Result<Self, JsError> {
        let metadata = weights.metadata();
        let calibration = Calibration::from_metadata(&metadata)?;
        let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let model = engine.load_head(&backbone, weights, options).await?;
        let note = |progress: PipelineProgress<'_>| {
            let [done, total] = [progress.done, progress.total].map(|count| JsValue::from(count as u32));
            // What the callback throws has nowhere to go.
            let _ = on_kernel.call2(&JsValue::NULL, &done, &total);
        };
        engine.prepare(&weights.config()?, options, 1, note).await?;
        let inspector = RefCell::new(Inspector::new(&model, calibration, 1).await?);
        let drift = RefCell::new(calibration.good_scores.map(Drift::new));
        let metadata = RefCell::new(metadata);
        Ok(Self { engine, backbone, options, model, inspector, drift, metadata, texture_input: RefCell::default() })
    }

    /// The model in its own framing, or else in tiles of this side; 0 is for whole pictures.
    fn inspector(&self, tiles: Option<u32>) -> Inspector {
        let inspector = self.inspector.borrow().clone();
        match tiles {
            Some(side) => {
                let tiles = Some(side).filter(|&side| side > 0);
                inspector.with_framing(Framing { tiles, ..inspector.framing() })
            }
            None => inspector,
        }
    }

    /// What JavaScript gets of what was found.
    fn detection(&self, inspector: &Inspector, found: &Inspection, times: Times) -> Result<JsValue, JsError> {
        let start = now();
        let (calibration, placement) = (inspector.calibration(), &found.placement);
        let regions = calibration.threshold.map(|threshold| found.regions(threshold)).transpose()?;
        let (width, height) = placement.dimensions();
        let (map_width, map_height) = placement.map_dimensions();
        let detection = to_object(&Detection {
            score: found.score,
            verdict: calibration.verdict(found.score),
            unlike: found.is_unlike(calibration),
            regions: regions.unwrap_or_default(),
            width,
            height,
            inspected: placement.inspected(),
            fit: inspector.framing().fit,
            side: map_width,
            map_width,
            map_height,
            tiles: inspector.framing().tiles,
            times: Times { regions: now() - start, ..times },
        })?;
        let map = js_sys::Float32Array::from(found.map.as_slice());
        js_sys::Reflect::set(&detection, &"map".into(), &map).map_err(|error| JsError::new(&format!("{error:?}")))?;
        Ok(detection)
    }

    /// Prepares a texture to be the session's input; the last one's preparation is kept.
    async fn input_from(&self, texture: Texture) -> Result<(Texture, PhotographInput), JsError> {
        match self.texture_input.take() {
            Some(kept) if kept.0 == texture => Ok(kept),
            _ => {
                let source = texture.on(self.engine.device())?;
                // Canvases and pictures of files are sRGB.
                let session = self.inspector(None);
                let input = session.session().texture_input(0, &TextureSource::new(&source, Encoding::Srgb)).await?;
                Ok((texture, input))
            }
        }
    }
}

#[wasm_bindgen]
impl Model {
    /// Loads another head onto this model's backbone.
    ///
    /// # Errors
    /// What is wrong with the file, or that it was made for another backbone.
    #[wasm_bindgen(js_name = withHead)]
    pub async fn with_head(&self, name: String, source: Source, on_kernel: js_sys::Function) -> Result<Self, JsError> {
        let weights = source::weights(&name, source)?;
        Self::load(self.engine.clone(), self.backbone.clone(), &weights, self.options, &on_kernel).await
    }

    /// The model's threshold, colours, sizes and metadata.
    ///
    /// # Errors
    /// Where JavaScript has no memory for it.
    pub fn card(&self) -> Result<JsValue, JsError> {
        let inspector = self.inspector(None);
        let calibration = inspector.calibration();
        let card = Card {
            threshold: calibration.threshold,
            scale: calibration.scale.map(|scale| [scale.low, scale.high]),
            tiles: calibration.tiles,
            input: self.model.config().input,
            adapter: self.model.device().adapter_info().name,
            gpu_bytes: inspector.session().memory().total(),
            metadata: &self.metadata.borrow(),
        };
        to_object(&card)
    }

    /// Finds anomalies in a picture, in tiles of a side in the picture's pixels, or with 0 as a whole; by default as
    /// the model was calibrated.
    ///
    /// # Errors
    /// A picture or tiles of unusable size, and whatever the device can meet.
    pub async fn detect(&self, photograph: &Photograph, tiles: Option<u32>) -> Result<JsValue, JsError> {
        let inspector = self.inspector(tiles);
        let found = inspector.inspect(&photograph.image).await?;
        let InspectionTimes { preprocess, network } = found.times;
        let [preprocess, network] = [preprocess, network].map(|time| 1e3 * time.as_secs_f64());
        let times = Times { decode: photograph.decode_ms, preprocess, network, regions: 0.0 };
        self.detection(&inspector, &found, times)
    }

    /// Finds anomalies in a picture that a texture holds, as a whole; it never leaves the GPU.
    ///
    /// # Errors
    /// A texture of another kind than is read, or of another device, and whatever the device can meet.
    #[wasm_bindgen(js_name = detectTexture)]
    pub async fn detect_texture(&self, texture: Texture) -> Result<JsValue, JsError> {
        let inspector = self.inspector(Some(0));
        let start = now();
        let (texture, input) = self.input_from(texture).await?;
        let preprocessed = now();
        let found = inspector.session().run_input(1, |encoder| input.record(encoder)).await?.remove(0);
        let times = Times { preprocess: preprocessed - start, network: now() - preprocessed, ..Times::default() };
        let mut gathered = Gathered::new(Placement::Whole { frame: *input.frame(), fit: self.model.fit() });
        gathered.add(found)?;
        self.texture_input.replace(Some((texture, input)));
        self.detection(&inspector, &gathered.finish()?, times)
    }

    /// Inspects a picture of a good part for [`Model::calibrate`]: as it is and, where there are few `photographs` of
    /// such parts, slightly altered, which takes 10 times as long, or with `flips` 32 times.
    ///
    /// # Errors
    /// Those of [`Model::detect`].
    pub async fn survey(
        &self,
        photograph: &Photograph,
        photographs: usize,
        flips: bool,
        tiles: Option<u32>,
    ) -> Result<JsValue, JsError> {
        to_object(&self.inspector(tiles).survey(&photograph.image, &alterations(photographs, flips)).await?)
    }

    /// Finds the threshold that a share `rate` of good parts is expected to exceed, and the colours that go with it,
    /// from what [`Model::survey`] gave for each of several parts with the same tiles. From then on the model goes by
    /// it.
    ///
    /// # Errors
    /// Less than two parts, parts that do not differ, or a rate that is not between 0 and 1/2.
    pub fn calibrate(&self, parts: JsValue, rate: f64, tiles: Option<u32>) -> Result<JsValue, JsError> {
        let parts: Vec<GoodPart> = serde_wasm_bindgen::from_value(parts)?;
        let inspector = self.inspector(tiles);
        let setting = Setting { framing: inspector.framing(), precision: self.options.precision };
        let found = calibrate(&parts, rate, setting)?;
        let changes = found.to_metadata();
        let mut metadata = self.metadata.borrow_mut();
        for (key, value) in &changes {
            match value {
                Some(value) => metadata.insert(key.clone(), value.clone()),
                None => metadata.remove(key),
            };
        }
        self.inspector.replace(inspector.with_calibration(found.calibration));
        self.drift.replace(found.calibration.good_scores.map(Drift::new));
        to_object(&Calibrated {
            threshold: found.calibration.threshold,
            scale: found.calibration.scale.map(|scale| [scale.low, scale.high]),
            origin: found.origin,
            repeated: found.repeated,
            outliers: found.outliers,
            changes,
        })
    }

    /// Counts a score as that of a line's next part, and tells how the latest that passed compare with the good parts
    /// of the calibration; null where the model remembers none, or none has passed.
    ///
    /// # Errors
    /// Where JavaScript has no memory for it.
    pub fn drift(&self, score: f32) -> Result<JsValue, JsError> {
        let verdict = self.inspector.borrow().calibration().verdict(score);
        let report =
            self.drift.borrow_mut().as_mut().zip(verdict).and_then(|(drift, verdict)| drift.add(score, verdict));
        to_object(&report)
    }

    /// Runs the network once more on the last picture and gives each part's milliseconds on the GPU; nothing where the
    /// device has no timestamps.
    ///
    /// # Errors
    /// Whatever the device can meet.
    pub async fn profile(&self) -> Result<JsValue, JsError> {
        if !self.model.device().features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Ok(JsValue::NULL);
        }
        let mut parts: BTreeMap<String, f64> = BTreeMap::new();
        for (label, time) in self.inspector(None).session().profile().await? {
            let part = label.split('.').next().unwrap_or_default().to_owned();
            *parts.entry(part).or_default() += 1e3 * time.as_secs_f64();
        }
        to_object(&parts)
    }
}

pub(crate) fn to_object(value: &impl Serialize) -> Result<JsValue, JsError> {
    // Plain objects, which travel between threads, where serde-wasm-bindgen would make maps of maps.
    Ok(value.serialize(&serde_wasm_bindgen::Serializer::json_compatible())?)
}
