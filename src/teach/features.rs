//! Features of photographs in some views, on the grid.

use super::poses::View;
use crate::config::Light;
use crate::gpu::{Constant, Format, Gpu, Graph, Schedule, Tensor, Uploader, read_buffers};
use crate::image::{RgbImage, rgba};
use crate::model::Backbone;
use crate::{ModelConfig, Result, ops};

/// Views that run at once where there are so many.
const TOGETHER: usize = 3;

/// The backbone, written down for a photograph in some views.
pub(super) struct FeatureRun<'a> {
    /// The light that photographs are brought to.
    light: Option<Light>,
    alone: Batch<'a>,
    together: Batch<'a>,
}

/// One view's features: of each level `[grid * grid][channels]`.
pub(super) type ViewFeatures = Vec<Vec<f32>>;

impl<'a> FeatureRun<'a> {
    pub(super) async fn new(gpu: &'a Gpu, backbone: &Backbone, config: &ModelConfig) -> Result<Self> {
        let alone = Batch::new(gpu, backbone, config, 1).await?;
        let together = Batch::new(gpu, backbone, config, TOGETHER).await?;
        Ok(Self { light: config.light, alone, together })
    }

    /// The features of a photograph of the network's input size in some views, in their order.
    pub(super) async fn run(&self, photograph: &RgbImage, views: &[View]) -> Result<Vec<ViewFeatures>> {
        let pixels = rgba(photograph);
        let change = self.light.map_or([1.0, 0.0], |light| light.change_from(Light::of(photograph)));
        let mut found = Vec::with_capacity(views.len());
        let (threes, others) = views.split_at(views.len() / TOGETHER * TOGETHER);
        for three in threes.chunks(TOGETHER) {
            found.extend(self.together.run(&pixels, three, change).await?);
        }
        for other in others.chunks(1) {
            found.extend(self.alone.run(&pixels, other, change).await?);
        }
        Ok(found)
    }
}

/// The backbone, written down for so many views at once.
struct Batch<'a> {
    gpu: &'a Gpu,
    schedule: Schedule,
    ends: Ends,
}

/// What is written before a run, and read after it.
struct Ends {
    pixels: Tensor,
    poses: Tensor,
    /// Of each level of the head, in its order.
    levels: Vec<Tensor>,
}

impl Ends {
    /// Appends the backbone, up to the levels on the grid. `centers` are mean and reciprocal deviation of each level.
    fn write(
        graph: &mut Graph<'_>,
        backbone: &Backbone,
        config: &ModelConfig,
        centers: &[Constant],
        views: usize,
    ) -> Self {
        let side = config.input;
        let pixels = graph.external("photograph", [1, side, side, 1]);
        let poses = graph.external("poses", [views as u32, 1, 1, 8]);
        let input = ops::warp(graph, pixels, poses, side, config.backbone.normalization());
        let features = backbone.write(graph, input, config.depth());
        let on_grid = |(level, center): (usize, &Constant)| {
            let on_grid = ops::describe(graph, center.label(), features[level], center, config.grid);
            graph.stage(center.label(), on_grid.all());
            on_grid
        };
        let levels = config.levels().into_iter().zip(centers).map(on_grid).collect();
        Self { pixels, poses, levels }
    }
}

/// Mean and reciprocal deviation of each level's channels, [`ops::describe`], without memory yet.
fn centers(config: &ModelConfig) -> Vec<Constant> {
    let channels = config.level_channels();
    let center = |level| Constant::buffer(format!("teach.layer_{}", level + 1), [1, 2, channels[level]], Format::F32);
    config.levels().into_iter().map(center).collect()
}

impl<'a> Batch<'a> {
    async fn new(gpu: &'a Gpu, backbone: &Backbone, config: &ModelConfig, views: usize) -> Result<Self> {
        let centers = centers(config);
        for center in &centers {
            // Neither mean nor deviation is known yet.
            let [_, _, channels] = center.shape().map(|size| size as usize);
            let as_they_are = [vec![0.0_f32; channels], vec![1.0; channels]].concat();
            Uploader::new(gpu).fill(center, 0, bytemuck::cast_slice(&as_they_are)).await?;
        }
        let mut graph = Graph::new(gpu, true);
        let ends = Ends::write(&mut graph, backbone, config, &centers, views);
        Ok(Self { gpu, schedule: graph.finish().await?, ends })
    }

    /// The features of packed pixels, whose values are changed by a gain and an offset first, in as many views as the
    /// graph has.
    async fn run(
        &self,
        pixels: &[u8],
        views: &[View],
        change: [f32; 2],
    ) -> Result<impl Iterator<Item = ViewFeatures> + use<>> {
        let poses: Vec<ops::Pose> = views.iter().map(|view| view.pose.lit(change)).collect();
        self.schedule.write(self.gpu, self.ends.pixels, pixels).await?;
        self.schedule.write(self.gpu, self.ends.poses, &poses).await?;
        self.schedule.submit(self.gpu).await?;
        let source = |level: &Tensor| (self.schedule.buffer(*level), level.bytes());
        let sources: Vec<_> = self.ends.levels.iter().map(source).collect();
        let levels: Vec<Vec<f32>> = read_buffers(self.gpu, &sources).await?;
        super::give_way().await;
        let count = views.len();
        Ok((0..count).map(move |view| {
            let part = |level: &Vec<f32>| {
                let size = level.len() / count;
                level[view * size..][..size].to_vec()
            };
            levels.iter().map(part).collect()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BackboneConfig, HeadConfig, LEVELS, TaughtHead, TaughtLevel};
    use crate::parameters::{Parameters, Storage};
    use crate::teach::Effort;
    use crate::teach::comparison::tests::default_gpu;

    /// Every buffer of a run is as small as WebGPU guarantees, whatever the backbone.
    #[test]
    fn accurate_models_are_described_within_default_limits() {
        let gpu = default_gpu();
        let [input, grid, prototypes] = Effort::Accurate.sizes();
        let levels = (1..=LEVELS as u32).map(|level| TaughtLevel { level, prototypes }).collect();
        let head = HeadConfig::Taught(TaughtHead { levels });
        let known =
            [BackboneConfig::resnet18(), BackboneConfig::wide_resnet50_2(), BackboneConfig::efficientnet_lite0()];
        for backbone in known {
            let config = ModelConfig { backbone, input, light: None, grid, head: head.clone() };
            let mut parameters = Parameters::new(Storage { gpu: Some(&gpu), ..Storage::default() });
            let network = Backbone::new(&mut parameters, &config);
            let mut graph = Graph::new(&gpu, true);
            Ends::write(&mut graph, &network, &config, &centers(&config), TOGETHER);
            graph.check().expect("within the limits");
        }
    }
}
