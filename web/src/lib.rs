//! PCSNet for JavaScript: the objects that `package/index.js` is made of.
//!
//! [`Engine`] (a WebGPU device) loads a [`Model`], which finds anomalies in a [`Photograph`]. Everything here runs
//! on the thread it was made on: a worker, where the page should stay smooth.

mod handles;
mod model;
mod photograph;
mod source;
mod teacher;
mod texture;

pub use model::Model;
pub use photograph::Photograph;
pub use teacher::Teacher;

use pcsnet::image::{self, Fit};
use pcsnet::inspect::{Framing, Inspection, InspectionTimes};
use pcsnet::{EngineOptions, LoadOptions, Precision, gpu, wgpu};
use serde::Deserialize;
use source::Source;
use std::future::Future;
use texture::Texture;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(start)]
fn start() {
    console_error_panic_hook::set_once();
}

#[wasm_bindgen]
extern "C" {
    /// Milliseconds since the page or worker began.
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;
}

/// A WebGPU device, and the pipelines made on it.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Engine(pcsnet::Engine);

#[wasm_bindgen]
impl Engine {
    /// Opens the adapter that `navigator.gpu` offers; it is asked before this returns, so that a caller may put a
    /// device of its own there for as long as the call takes.
    ///
    /// # Errors
    /// Where there is no adapter, or it cannot run the kernels.
    pub fn open() -> js_sys::Promise {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        promise(async move {
            let options = wgpu::RequestAdapterOptions {
                power_preference: wgpu::PowerPreference::HighPerformance,
                ..Default::default()
            };
            let adapter = instance.request_adapter(&options).await?;
            let (device, queue) = gpu::open_adapter(&adapter).await?;
            Ok(Self(pcsnet::Engine::new(device, queue, EngineOptions::default())?))
        })
    }

    /// The `GPUDevice`.
    #[wasm_bindgen(getter)]
    pub fn device(&self) -> JsValue {
        handles::device(self.0.device())
    }

    /// Calls back with the reason when the device is lost.
    #[wasm_bindgen(js_name = onLost)]
    pub fn on_lost(&self, callback: js_sys::Function) {
        self.0.device().set_device_lost_callback(move |_, reason| {
            // What the callback throws has nowhere to go.
            let _ = callback.call1(&JsValue::NULL, &reason.into());
        });
    }

    /// Loads a model's file tensor by tensor; `precision` is one of [`Precision`]'s names, `small_tiles` computes 3 x 3
    /// convolutions as Winograd's F(2x2, 3x3), whose weights take less memory. `on_kernel` is called with how many
    /// kernels are compiled, and how many there will be.
    ///
    /// # Errors
    /// What is wrong with the file, an unknown precision, or more than the device can hold.
    pub async fn load(
        &self,
        name: String,
        source: Source,
        precision: String,
        small_tiles: bool,
        on_kernel: js_sys::Function,
    ) -> Result<Model, JsError> {
        let weights = source::weights(&name, source)?;
        weights.check(&pcsnet::schema::model(&weights.config()?))?;
        let mut options = LoadOptions::from(Precision::by_name(&precision)?);
        options.winograd = small_tiles.then_some(gpu::Winograd::F2x2);
        let backbone = self.0.load_backbone(&weights, options).await?;
        Model::load(self.0.clone(), backbone, &weights, options, &on_kernel).await
    }
}

/// How a detection's picture was shown to the network: columns and rows of the picture, how it became a square, of how
/// many columns the map is, and the side of the tiles in which it was inspected, if it was.
#[derive(Deserialize)]
struct Shown {
    width: u32,
    height: u32,
    fit: String,
    side: u32,
    tiles: Option<u32>,
}

/// Where the map of a detection is above a threshold, in the pixels of its picture, the highest peak first. `shown` is
/// the detection, or what tells the map's place in the picture: `width`, `height`, `fit`, `side` and `tiles` of it.
///
/// # Errors
/// An unknown fit, a size that no picture has, or a map of another size.
#[wasm_bindgen]
pub fn regions(map: Vec<f32>, shown: JsValue, threshold: f32) -> Result<JsValue, JsError> {
    let Shown { width, height, fit, side, tiles } = serde_wasm_bindgen::from_value(shown)?;
    let framing = Framing { fit: Fit::by_name(&fit)?, tiles: tiles.filter(|&side| side > 0), side };
    let placement = framing.place((width, height))?;
    let score = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let inspection = Inspection { placement, score, map, times: InspectionTimes::default() };
    model::to_object(&inspection.regions(threshold)?)
}

/// The 256 colours of heatmaps, from normal to anomalous: RGB, a byte each.
#[wasm_bindgen(js_name = heatColours)]
pub fn heat_colours() -> Result<Vec<u8>, JsError> {
    let ramp: Vec<f32> = (0..256).map(|at| at as f32 / 255.0).collect();
    Ok(image::heatmap(&ramp, 256, 1, image::Scale { low: 0.0, high: 1.0 })?.into_raw())
}

/// A JavaScript promise of a value.
fn promise<T: Into<JsValue>>(future: impl Future<Output = Result<T, JsError>> + 'static) -> js_sys::Promise {
    wasm_bindgen_futures::future_to_promise(async { Ok(future.await?.into()) })
}
