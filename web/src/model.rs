//! A model on the GPU, and what it finds.

use crate::{Photograph, Source, Texture, now, source};
use pcsnet::image::{Frame, Rect};
use pcsnet::inspect::{Calibration, Region, Verdict, regions};
use pcsnet::weights::Weights;
use pcsnet::{Encoding, Engine, LoadOptions, PhotographInput, Session, SharedBackbone, TextureSource, wgpu};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::BTreeMap;
use wasm_bindgen::prelude::*;

/// A backbone and a head, ready to run on one picture at a time.
#[wasm_bindgen]
pub struct Model {
    engine: Engine,
    backbone: SharedBackbone,
    options: LoadOptions,
    model: pcsnet::Model,
    session: Session,
    calibration: Calibration,
    metadata: BTreeMap<String, String>,
    /// The way in from the last texture, for its next picture.
    texture_input: RefCell<Option<(Texture, PhotographInput)>>,
}

/// What the network found in a picture, but for the map.
#[derive(Serialize)]
struct Detection {
    /// The largest value of the map.
    score: f32,
    /// By the model's own threshold, where it has one.
    verdict: Option<Verdict>,
    /// Where the map is above the model's threshold, in the picture's pixels.
    regions: Vec<Region>,
    /// The picture's size.
    width: u32,
    height: u32,
    /// The part of the picture that the network saw.
    inspected: Rect,
    /// Side of the map.
    side: u32,
    times: Times,
}

/// Milliseconds.
#[derive(Serialize)]
struct Times {
    decode: f64,
    preprocess: f64,
    network: f64,
    regions: f64,
}

/// What a model says of itself.
#[derive(Serialize)]
struct Card<'a> {
    threshold: Option<f32>,
    /// The values of the first and the last colour.
    scale: Option<[f32; 2]>,
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
    ) -> Result<Self, JsError> {
        let metadata = weights.metadata();
        let calibration = Calibration::from_metadata(&metadata)?;
        let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let model = engine.load_head(&backbone, weights, options).await?;
        let session = model.session(1).await?;
        let texture_input = RefCell::default();
        Ok(Self { engine, backbone, options, model, session, calibration, metadata, texture_input })
    }

    fn frame(&self, width: u32, height: u32) -> pcsnet::Result<Frame> {
        Frame::new(self.model.fit(), (width, height), self.model.config().input)
    }

    /// What JavaScript gets of what was found.
    fn detection(&self, found: pcsnet::Detection, frame: &Frame, times: Times) -> Result<JsValue, JsError> {
        let start = now();
        let regions = self.regions_in(&found.map, frame, self.calibration.threshold)?;
        let detection = to_object(&Detection {
            score: found.score,
            verdict: self.calibration.verdict(found.score),
            regions,
            width: frame.original().0,
            height: frame.original().1,
            inspected: frame.inspected(),
            side: frame.size(),
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
                let input = self.session.texture_input(0, &TextureSource::new(&source, Encoding::Srgb)).await?;
                Ok((texture, input))
            }
        }
    }

    /// Records and submits a photograph's way to the session's input.
    async fn submit(&self, input: &PhotographInput) -> Result<(), JsError> {
        let (device, queue) = (self.engine.device(), self.engine.queue());
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("photograph") });
        input.record(&mut encoder);
        queue.submit([encoder.finish()]);
        match scope.pop().await {
            Some(error) => Err(JsError::new(&format!("the texture cannot be read: {error}"))),
            None => Ok(()),
        }
    }

    fn regions_in(&self, map: &[f32], frame: &Frame, threshold: Option<f32>) -> pcsnet::Result<Vec<Region>> {
        match threshold {
            // Nothing is above it, so the map need not be brought to the picture's size.
            Some(threshold) if map.iter().any(|&value| value > threshold) => {
                regions(&frame.to_original(map)?, frame.original().0 as usize, threshold)
            }
            _ => Ok(Vec::new()),
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
    pub async fn with_head(&self, name: String, source: Source) -> Result<Self, JsError> {
        let weights = source::weights(&name, source)?;
        Self::load(self.engine.clone(), self.backbone.clone(), &weights, self.options).await
    }

    /// The model's threshold, colours, sizes and metadata.
    ///
    /// # Errors
    /// Where JavaScript has no memory for it.
    pub fn card(&self) -> Result<JsValue, JsError> {
        let card = Card {
            threshold: self.calibration.threshold,
            scale: self.calibration.scale.map(|scale| [scale.low, scale.high]),
            input: self.model.config().input,
            adapter: self.model.device().adapter_info().name,
            gpu_bytes: self.session.memory().total(),
            metadata: &self.metadata,
        };
        to_object(&card)
    }

    /// Finds anomalies in a picture.
    ///
    /// # Errors
    /// A picture of unusable size, and whatever the device can meet.
    pub async fn detect(&self, photograph: &Photograph) -> Result<JsValue, JsError> {
        let (width, height) = photograph.image.dimensions();
        let start = now();
        let frame = self.frame(width, height)?;
        let input = frame.input(&photograph.image)?;
        let preprocessed = now();
        let found = self.session.run(&[input]).await?.remove(0);
        let decode = photograph.decode_ms;
        let times = Times { decode, preprocess: preprocessed - start, network: now() - preprocessed, regions: 0.0 };
        self.detection(found, &frame, times)
    }

    /// Finds anomalies in a picture that a texture holds; it never leaves the GPU.
    ///
    /// # Errors
    /// A texture of another kind than is read, or of another device, and whatever the device can meet.
    #[wasm_bindgen(js_name = detectTexture)]
    pub async fn detect_texture(&self, texture: Texture) -> Result<JsValue, JsError> {
        let start = now();
        let (texture, input) = self.input_from(texture).await?;
        self.submit(&input).await?;
        let preprocessed = now();
        let found = self.session.run_input(1).await?.remove(0);
        let times =
            Times { decode: 0.0, preprocess: preprocessed - start, network: now() - preprocessed, regions: 0.0 };
        let frame = *input.frame();
        self.texture_input.replace(Some((texture, input)));
        self.detection(found, &frame, times)
    }

    /// Where a detection's map is above a threshold, in the pixels of a picture of this size.
    ///
    /// # Errors
    /// A map of another size than this model's.
    pub fn regions(&self, map: &[f32], width: u32, height: u32, threshold: f32) -> Result<JsValue, JsError> {
        to_object(&self.regions_in(map, &self.frame(width, height)?, Some(threshold))?)
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
        for (label, time) in self.session.profile().await? {
            let part = label.split('.').next().unwrap_or_default().to_owned();
            *parts.entry(part).or_default() += 1e3 * time.as_secs_f64();
        }
        to_object(&parts)
    }
}

fn to_object(value: &impl Serialize) -> Result<JsValue, JsError> {
    // Plain objects, which travel between threads, where serde-wasm-bindgen would make maps of maps.
    Ok(value.serialize(&serde_wasm_bindgen::Serializer::json_compatible())?)
}
