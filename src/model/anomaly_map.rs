//! From logits to the anomaly map and the image score (NETWORK: anomaly map and score).

use super::Outputs;
use crate::ModelConfig;
use crate::gpu::{Graph, Tensor};
use crate::ops::{Gaussian, blur, max_score, upsample_map};
use crate::parameters::Parameters;

pub(crate) struct AnomalyMap {
    gaussian: Gaussian,
    size: u32,
}

/// Standard deviation of the blur in pixels of the map, and how many of them it reaches.
const SIGMA: f64 = 4.0;
const TRUNCATE: f64 = 4.0;

impl AnomalyMap {
    pub(crate) fn new(parameters: &mut Parameters<'_>, config: &ModelConfig) -> Self {
        Self { gaussian: Gaussian::new(parameters, SIGMA, TRUNCATE), size: config.input }
    }

    /// Appends map, blurred map and score of logits, `[batch][grid][grid]`.
    pub(crate) fn write(&self, graph: &mut Graph<'_>, logits: Tensor) -> Outputs {
        let shape = [logits.batch, self.size, self.size, 1];
        let map = graph.external("map", shape);
        let blurred = graph.external("blurred", shape);
        let score = graph.external("image_score", [logits.batch, 1, 1, 1]);
        upsample_map(graph, "anomaly_map.upsample", logits, map);
        blur(graph, "anomaly_map.blur", map, &self.gaussian, blurred);
        max_score(graph, "anomaly_map.score", blurred, score);
        Outputs { map, blurred, score }
    }
}
