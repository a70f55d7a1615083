//! From logits to the anomaly map and the image score (NETWORK: anomaly map and score).

use super::{Loader, Outputs};
use crate::gpu::{Graph, Tensor};
use crate::ops::{blur, gaussian_weights, max_score, upsample_map};
use crate::{ModelConfig, Result};

pub(crate) struct AnomalyMap {
    weights: wgpu::Buffer,
    taps: u32,
    size: u32,
}

/// Standard deviation of the blur in pixels of the map, and how many of them it reaches.
const SIGMA: f64 = 4.0;
const TRUNCATE: f64 = 4.0;

impl AnomalyMap {
    pub(crate) async fn load(loader: &mut Loader<'_>, config: &ModelConfig) -> Result<Self> {
        let weights = gaussian_weights(SIGMA, TRUNCATE);
        let taps = weights.len() as u32;
        Ok(Self { weights: loader.vector("anomaly_map.gaussian", &weights).await?, taps, size: config.input })
    }

    pub(crate) fn write(&self, graph: &mut Graph<'_>, logits: Tensor) -> Outputs {
        let shape = [logits.batch, self.size, self.size, 1];
        let map = graph.external("map", shape);
        let blurred = graph.external("blurred", shape);
        let score = graph.external("image_score", [logits.batch, 1, 1, 1]);
        upsample_map(graph, "anomaly_map.upsample", logits, map);
        blur(graph, "anomaly_map.blur", map, &self.weights, self.taps, blurred);
        max_score(graph, "anomaly_map.score", blurred, score);
        Outputs { map, blurred, score }
    }
}
