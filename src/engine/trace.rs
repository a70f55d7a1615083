//! Every stage of a run, for comparison with other implementations.

use super::model::Model;
use crate::gpu::{Graph, read_buffers};
use crate::{Error, Result, model, ops};

impl Model {
    /// Runs the network on one normalised image, 3 x side x side and already in the model's light, and gives every
    /// stage by name, in the order they are computed.
    ///
    /// # Errors
    /// [`Error::Input`] for an image of another size, and whatever running can meet.
    pub async fn trace(&self, input: &[f32]) -> Result<Vec<TracedStage>> {
        let side = self.config.input;
        let expected = 3 * (side * side) as usize;
        if input.len() != expected {
            return Err(Error::Input {
                what: "input".to_owned(),
                expected: format!("{expected} values (3 x {side} x {side})"),
                found: format!("{}", input.len()),
            });
        }
        let precision = self.options.precision;
        let mut graph = Graph::new(&self.gpu, true).storing(precision.activations()).multiplying(precision.factors());
        let planes = graph.external("planes", [1, 3, side, side]);
        let packed = ops::pack_nchw(&mut graph, planes, [1, side, side]);
        let features = self.backbone.network.write(&mut graph, packed, self.config.depth());
        self.head.write(&mut graph, &features);
        let schedule = graph.finish().await?;
        schedule.write(&self.gpu, planes, input).await?;
        schedule.submit(&self.gpu).await?;
        let mut stages = Vec::with_capacity(schedule.stages.len());
        for stage in &schedule.stages {
            let tensor = stage.slice.tensor;
            let bytes: Vec<u8> = read_buffers(&self.gpu, &[(&stage.buffer, tensor.bytes())]).await?.remove(0);
            let values = tensor.format.decode(&bytes);
            stages.push(TracedStage {
                name: stage.name.clone(),
                shape: [1, stage.slice.channels as usize, tensor.height as usize, tensor.width as usize],
                values: model::to_nchw(&values, &stage.slice),
            });
        }
        Ok(stages)
    }
}

/// One stage of a traced run.
#[derive(Clone, Debug)]
pub struct TracedStage {
    /// Its name, `feature1` to `blurred`.
    pub name: String,
    /// NCHW.
    pub shape: [usize; 4],
    /// Row-major values.
    pub values: Vec<f32>,
}
