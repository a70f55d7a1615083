//! From features to descriptors, with weights that are trained.

use super::features::coordinates;
use super::memory::{Conv, Group, Layout, Memory, Norm, Values};
use crate::config::DescriptorKind;
use crate::gpu::{Gpu, Graph, Schedule, Tensor, read_buffers};
use crate::model::{Descriptors, coord_conv, squeeze};
use crate::ops::{Epilogue, Gradient, Normed, avg_pool, resize, resize_gradient};
use crate::{ModelConfig, Result};

/// How many images are described at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchSize {
    pub images: u32,
    /// In how many equal parts, one behind the other, BatchNorms see them.
    pub groups: u32,
}

/// The descriptor of one or the other kind.
pub(super) struct Descriptor {
    levels: Vec<Level>,
    grid: u32,
}

/// The way of one level's features to descriptors.
struct Level {
    /// The rotation kind's convolutions; the plain kind has none.
    squeeze: Option<Squeeze>,
    /// What the CoordConv reads: `[batch][side][side][channels + 4]`, with row, column, a one and a zero behind the
    /// channels.
    joined: Tensor,
    coord_conv: Conv,
}

/// conv1, bn1, relu, conv2, bn2, relu, conv3: each 1 x 1, and the first halves the channels.
struct Squeeze {
    features: Tensor,
    normed: Vec<(Conv, Norm)>,
    last: Conv,
    groups: u32,
}

/// What a squeeze made on its way.
struct Squeezed {
    normed: Vec<Normed>,
    pooled: Tensor,
}

/// Descriptors, and what their gradients need.
pub(super) struct Described {
    pub made: Descriptors,
    squeezed: Vec<Option<Squeezed>>,
}

impl Descriptor {
    pub(super) fn new(memory: &mut Memory, graph: &mut Graph<'_>, config: &ModelConfig, size: BatchSize) -> Self {
        let levels = config.levels().into_iter().map(|level| Level::new(memory, graph, config, size, level)).collect();
        Self { levels, grid: config.grid }
    }

    /// Where the features go, level after level.
    pub(super) fn features(&self) -> Vec<Tensor> {
        let features = |level: &Level| level.squeeze.as_ref().map_or(level.joined, |squeeze| squeeze.features);
        self.levels.iter().map(features).collect()
    }

    /// Writes the coordinates that are not part of the features.
    pub(super) async fn write_coordinates(&self, gpu: &Gpu, schedule: &Schedule) -> Result<()> {
        for level in self.levels.iter().filter(|level| level.squeeze.is_some()) {
            let Tensor { batch, width, channels, .. } = level.joined;
            let of_image = coordinates(width as usize, channels as usize - 4);
            schedule.write(gpu, level.joined, &of_image.repeat(batch as usize)).await?;
        }
        Ok(())
    }

    pub(super) fn write(&self, graph: &mut Graph<'_>) -> Described {
        let mut squeezed = Vec::with_capacity(self.levels.len());
        let mut levels = Vec::with_capacity(self.levels.len());
        for (number, level) in (1..).zip(&self.levels) {
            let (label, x) = (format!("descriptor.layer_{number}"), level.joined);
            squeezed.push(level.squeeze.as_ref().map(|squeeze| squeeze.write(graph, &label, x)));
            let out = graph.tensor(&label, [x.batch, x.height, x.width, x.channels - 4]);
            level.coord_conv.write(graph, &label, x, out.all(), Epilogue::NONE);
            levels.push(out);
        }
        let channels = levels.iter().map(|level| level.channels).sum();
        let whole = graph.external("descriptor", [levels[0].batch, self.grid, self.grid, channels]);
        let mut first = 0;
        for (number, level) in (1..).zip(&levels) {
            let part = whole.channel_range(first, level.channels);
            resize(graph, &format!("descriptor.layer_{number}.resize"), *level, part, false);
            first += level.channels;
        }
        Described { made: Descriptors { levels, whole }, squeezed }
    }

    pub(super) fn write_back(
        &self,
        memory: &mut Memory,
        graph: &mut Graph<'_>,
        described: &Described,
        d_whole: Tensor,
    ) {
        let mut first = 0;
        let passed = described.made.levels.iter().zip(&described.squeezed);
        for (number, (level, (out, squeezed))) in (1..).zip(self.levels.iter().zip(passed)) {
            let label = format!("descriptor.layer_{number}");
            let d_out = graph.tensor(&format!("{label}.gradient"), out.shape());
            let part = d_whole.channel_range(first, out.channels);
            resize_gradient(graph, &format!("{label}.resize.gradient"), part, d_out, false, Gradient::New);
            level.coord_conv.learn(memory, graph, &label, level.joined, d_out);
            if let (Some(squeeze), Some(squeezed)) = (&level.squeeze, squeezed) {
                // The coordinates have no gradient that anything asks for.
                let features = level.coord_conv.of_leading_inputs(graph, out.channels);
                let d_squeezed = features.input_gradient(graph, &label, d_out, Epilogue::NONE);
                squeeze.write_back(memory, graph, &label, squeezed, d_squeezed);
            }
            first += out.channels;
        }
    }
}

impl Level {
    fn new(memory: &mut Memory, graph: &mut Graph<'_>, config: &ModelConfig, size: BatchSize, level: usize) -> Self {
        let (channels, side) = (config.level_channels()[level], config.level_sides()[level]);
        let is_rotation = config.trained().is_some_and(|head| head.descriptor == DescriptorKind::Rotation);
        let squeeze = is_rotation.then(|| Squeeze::new(memory, graph, config, size, level));
        let coord_conv = memory.conv(graph, Layout::CoordConv(coord_conv(config, level)), Group::Adaptor);
        let joined = graph.external("features", [size.images, side, side, channels + 4]);
        Self { squeeze, joined, coord_conv }
    }
}

impl Squeeze {
    fn new(memory: &mut Memory, graph: &mut Graph<'_>, config: &ModelConfig, size: BatchSize, level: usize) -> Self {
        let (side, parts) = (config.level_sides()[level], squeeze(config, level));
        let [first, second, last] =
            parts.each_ref().map(|part| memory.conv(graph, Layout::whole(part), Group::Adaptor));
        let norms = parts.iter().filter_map(|part| memory.norm(graph, part));
        Self {
            normed: [first, second].into_iter().zip(norms).collect(),
            last,
            features: graph.external("features", [size.images, side, side, parts[0].inputs]),
            groups: size.groups,
        }
    }

    /// Squeezed features, averaged over 3 x 3 pixels, into the leading channels of `joined`. The last convolution has
    /// no bias, so it may as well come after the mean.
    fn write(&self, graph: &mut Graph<'_>, label: &str, joined: Tensor) -> Squeezed {
        let mut x = self.features;
        let mut normed = Vec::with_capacity(self.normed.len());
        for (number, (conv, norm)) in (1..).zip(&self.normed) {
            let label = format!("{label}.squeeze{number}");
            let channels = joined.channels - 4;
            let out = graph.tensor(&label, [x.batch, x.height, x.width, channels]);
            conv.write(graph, &label, x, out.all(), Epilogue::NONE);
            let passed = norm.write(graph, &format!("{label}.norm"), out, self.groups);
            x = passed.output;
            normed.push(passed);
        }
        let pooled = avg_pool(graph, &format!("{label}.pool"), x);
        let out = joined.channel_range(0, joined.channels - 4);
        self.last.write(graph, &format!("{label}.squeeze3"), pooled, out, Epilogue::NONE);
        Squeezed { normed, pooled }
    }

    fn write_back(
        &self,
        memory: &mut Memory,
        graph: &mut Graph<'_>,
        label: &str,
        squeezed: &Squeezed,
        d_squeezed: Tensor,
    ) {
        let name = format!("{label}.squeeze3");
        self.last.learn(memory, graph, &name, squeezed.pooled, d_squeezed);
        let d_pooled = self.last.input_gradient(graph, &name, d_squeezed, Epilogue::NONE);
        // The mean is its own transpose.
        let mut d_output = avg_pool(graph, &format!("{label}.pool.gradient"), d_pooled);
        for (index, (conv, norm)) in self.normed.iter().enumerate().rev() {
            let name = format!("{label}.squeeze{}", index + 1);
            let d_norm = norm.learn(memory, graph, &format!("{name}.norm"), squeezed.normed[index], d_output);
            let x = index.checked_sub(1).map_or(self.features, |before| squeezed.normed[before].output);
            conv.learn(memory, graph, &name, x, d_norm);
            if index > 0 {
                d_output = conv.input_gradient(graph, &name, d_norm, Epilogue::NONE);
            }
        }
    }
}

/// Descriptors alone, for prototypes to be chosen among.
pub(super) struct Describing {
    schedule: Schedule,
    memory: Memory,
    features: Vec<Tensor>,
    whole: Tensor,
}

impl Describing {
    /// With these values, for `images` at once, whose statistics BatchNorms take.
    pub(super) async fn new(gpu: &Gpu, config: &ModelConfig, values: &Values, images: u32) -> Result<Self> {
        let mut graph = Graph::new(gpu, false);
        let mut memory = Memory::default();
        let descriptor = Descriptor::new(&mut memory, &mut graph, config, BatchSize { images, groups: 1 });
        let whole = descriptor.write(&mut graph).made.whole;
        let schedule = graph.finish().await?;
        memory.write(gpu, &schedule, values).await?;
        descriptor.write_coordinates(gpu, &schedule).await?;
        Ok(Self { schedule, memory, features: descriptor.features(), whole })
    }

    /// The descriptors `[images][grid * grid][D]` of the images' features.
    pub(super) async fn run(&self, gpu: &Gpu, features: &[Vec<f32>]) -> Result<Vec<f32>> {
        self.schedule.write_each(gpu, &self.features, features).await?;
        self.schedule.submit(gpu).await?;
        Ok(read_buffers(gpu, &[(self.schedule.buffer(self.whole), self.whole.bytes())]).await?.remove(0))
    }

    /// The descriptor's values as they are now: BatchNorms remember what they have seen.
    pub(super) async fn values(&self, gpu: &Gpu) -> Result<Values> {
        let state = self.memory.state(gpu, &self.schedule).await?;
        Ok(self.memory.named(&state))
    }
}
