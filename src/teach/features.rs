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
    pixels: Tensor,
    poses: Tensor,
    /// Of each level of the head, in its order.
    levels: Vec<Tensor>,
}

impl<'a> Batch<'a> {
    async fn new(gpu: &'a Gpu, backbone: &Backbone, config: &ModelConfig, views: usize) -> Result<Self> {
        let mut graph = Graph::new(gpu, true);
        let side = config.input;
        let pixels = graph.external("photograph", [1, side, side, 1]);
        let poses = graph.external("poses", [views as u32, 1, 1, 8]);
        let input = ops::warp(&mut graph, pixels, poses, side, config.backbone.normalization());
        let features = backbone.write(&mut graph, input, config.depth());
        let mut levels = Vec::new();
        for level in config.levels() {
            let name = format!("teach.layer_{}", level + 1);
            // Neither mean nor deviation is known yet.
            let channels = features[level].channels as usize;
            let as_they_are = [vec![0.0_f32; channels], vec![1.0; channels]].concat();
            let center = Constant::buffer(name.clone(), [1, 2, channels as u32], Format::F32);
            Uploader::new(gpu).fill(&center, 0, bytemuck::cast_slice(&as_they_are)).await?;
            let on_grid = ops::describe(&mut graph, &name, features[level], &center, config.grid);
            graph.stage(&name, on_grid.all());
            levels.push(on_grid);
        }
        Ok(Self { gpu, schedule: graph.finish().await?, pixels, poses, levels })
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
        self.schedule.write(self.gpu, self.pixels, pixels).await?;
        self.schedule.write(self.gpu, self.poses, &poses).await?;
        self.schedule.submit(self.gpu).await?;
        let sources: Vec<_> = self.levels.iter().map(|level| (self.schedule.buffer(*level), level.bytes())).collect();
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
