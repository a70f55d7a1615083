//! From logits to the anomaly map and the image score (NETWORK: anomaly map and score).

use super::Outputs;
use crate::ModelConfig;
use crate::gpu::{Graph, Tensor};
use crate::ops::{Gaussian, blur, max_score, upsample_map};
use crate::parameters::Parameters;

pub(crate) struct AnomalyMap {
    gaussian: Gaussian,
    size: u32,
    /// Whether the first and last positions of the grid lie in the corners of the map.
    align_corners: bool,
}

/// Standard deviation of the blur in pixels of the map, and how many of them it reaches.
const SIGMA: f64 = 4.0;
const TRUNCATE: f64 = 4.0;
/// Side of the authors' images in pixels.
const AUTHORS_SIDE: f64 = 224.0;

impl AnomalyMap {
    /// The map of the CAS decoder's logits.
    pub(crate) fn of_logits(parameters: &mut Parameters<'_>, config: &ModelConfig) -> Self {
        Self { gaussian: Gaussian::new(parameters, SIGMA, TRUNCATE), size: config.input, align_corners: true }
    }

    /// The map of values that each stand for a cell of the grid. It is blurred as much as an image of the authors'
    /// size.
    pub(crate) fn of_cells(parameters: &mut Parameters<'_>, config: &ModelConfig) -> Self {
        let sigma = SIGMA * f64::from(config.input) / AUTHORS_SIDE;
        Self { gaussian: Gaussian::new(parameters, sigma, TRUNCATE), size: config.input, align_corners: false }
    }

    /// Appends map, blurred map and score of `values`, `[batch][grid][grid]`.
    pub(crate) fn write(&self, graph: &mut Graph<'_>, values: Tensor) -> Outputs {
        let shape = [values.batch, self.size, self.size, 1];
        let map = graph.external("map", shape);
        let blurred = graph.external("blurred", shape);
        let score = graph.external("image_score", [values.batch, 1, 1, 1]);
        upsample_map(graph, "anomaly_map.upsample", values, map, self.align_corners);
        blur(graph, "anomaly_map.blur", map, &self.gaussian, blurred);
        max_score(graph, "anomaly_map.score", blurred, score);
        graph.stage("map", map.all());
        graph.stage("blurred", blurred.all());
        Outputs { blurred, score }
    }
}
