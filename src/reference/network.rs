//! The whole network as the paper and its authors' code describe it: every convolution direct, distances at the common
//! grid, `res1` on the concatenation. The engine computes the same by other routes.

use super::*;
use crate::config::{
    BackboneConfig, DescriptorKind, EfficientNetConfig, HeadConfig, LEVELS, PYTORCH_EPSILON, ResNetConfig, StageConfig,
    TENSORFLOW_EPSILON, TaughtHead, TaughtLevel, TrainedHead,
};
use crate::weights::Weights;
use crate::{ModelConfig, Result};

/// Runs the network on normalised images, `[batch][side][side][3]`, and gives every stage by the name it has in
/// [`Model::trace`](crate::Model::trace).
///
/// # Errors
/// Whatever reading `weights` meets.
pub fn network(weights: &Weights, config: &ModelConfig, input: &Maps) -> Result<Vec<(String, Maps)>> {
    let layers = Layers { weights, depth: config.depth() };
    let features = match &config.backbone {
        BackboneConfig::Basic(resnet) => layers.resnet(resnet, input, Layers::basic_block)?,
        BackboneConfig::Bottleneck(resnet) => layers.resnet(resnet, input, Layers::bottleneck_block)?,
        BackboneConfig::Inverted(network) => layers.efficientnet(network, input)?,
    };
    let names = ["feature1", "feature2", "feature3"].map(str::to_owned);
    let mut stages: Vec<_> = names.into_iter().zip(features.clone()).collect();
    match &config.head {
        HeadConfig::Trained(head) => {
            let descriptor = layers.descriptor(config, head.descriptor, &features)?;
            let prototypes = [config.descriptor_channels() as usize, head.prototypes as usize];
            let squared = distances(&descriptor, &weights.read("adaptor.C", &prototypes)?);
            let score = nearest(&squared, head.nearest as usize);
            stages.extend([("descriptor".to_owned(), descriptor.clone()), ("score".to_owned(), score.clone())]);
            layers.decoder(config, head, [&descriptor, &score], &mut stages)?;
        }
        HeadConfig::Taught(head) => layers.taught(config, head, &features, &mut stages)?,
    }
    Ok(stages)
}

/// Layers by name, their weights read as they are needed.
struct Layers<'a> {
    weights: &'a Weights,
    /// How many of the backbone's levels are computed.
    depth: usize,
}

impl Layers<'_> {
    /// A convolution without bias.
    fn conv(&self, name: &str, x: &Maps, outputs: u32, window: Window) -> Result<Maps> {
        let shape = [outputs as usize, x.shape[3], window.kernel, window.kernel];
        Ok(conv2d(x, &self.weights.read(&format!("{name}.weight"), &shape)?, None, window))
    }

    fn pointwise(&self, name: &str, x: &Maps, outputs: u32) -> Result<Maps> {
        self.conv(name, x, outputs, Window::even(1, 1, 0, [x.shape[1], x.shape[2]]))
    }

    fn conv3x3(&self, name: &str, x: &Maps, outputs: u32) -> Result<Maps> {
        self.conv(name, x, outputs, Window::even(3, 1, 1, [x.shape[1], x.shape[2]]))
    }

    /// BatchNorm in inference mode.
    fn norm(&self, name: &str, x: &Maps, epsilon: f64) -> Result<Maps> {
        let read = |field: &str| self.weights.read(&format!("{name}.{field}"), &[x.shape[3]]);
        let (weight, bias) = (read("weight")?, read("bias")?);
        let (mean, variance) = (read("running_mean")?, read("running_var")?);
        Ok(Maps::from_fn(x.shape, |index| {
            let channel = index[3];
            let scale = f64::from(weight[channel]) / (f64::from(variance[channel]) + epsilon).sqrt();
            (x.at(index) - f64::from(mean[channel])) * scale + f64::from(bias[channel])
        }))
    }

    fn resnet(
        &self,
        config: &ResNetConfig,
        input: &Maps,
        block: impl Fn(&Self, &str, &Maps, [u32; 2], usize) -> Result<Maps>,
    ) -> Result<Vec<Maps>> {
        let stem =
            self.conv("backbone.conv1", input, config.stem, Window::even(7, 2, 3, [input.shape[1], input.shape[2]]))?;
        let mut x = max_pool(&self.norm("backbone.bn1", &stem, PYTORCH_EPSILON)?.relu());
        let mut features = Vec::with_capacity(LEVELS);
        for (level, layer) in (1..).zip(&config.layers).take(self.depth) {
            for index in 0..layer.blocks {
                let name = format!("backbone.layer{level}.{index}");
                let stride = if level > 1 && index == 0 { 2 } else { 1 };
                let relu = x.relu();
                let y = block(self, &name, &relu, [layer.width, layer.channels], stride)?;
                x = y.plus(&self.shortcut(&name, relu, layer.channels, stride)?);
            }
            features.push(x.map(|value| if value < 0.0 { 0.01 * value } else { value }));
        }
        Ok(features)
    }

    fn shortcut(&self, name: &str, x: Maps, channels: u32, stride: usize) -> Result<Maps> {
        if stride == 1 && x.shape[3] == channels as usize {
            return Ok(x);
        }
        let window = Window::even(1, stride, 0, [x.shape[1], x.shape[2]]);
        let y = self.conv(&format!("{name}.downsample.0"), &x, channels, window)?;
        self.norm(&format!("{name}.downsample.1"), &y, PYTORCH_EPSILON)
    }

    fn basic_block(&self, name: &str, x: &Maps, [_, channels]: [u32; 2], stride: usize) -> Result<Maps> {
        let window = Window::even(3, stride, 1, [x.shape[1], x.shape[2]]);
        let y = self.conv(&format!("{name}.conv1"), x, channels, window)?;
        let y = self.norm(&format!("{name}.bn1"), &y, PYTORCH_EPSILON)?.relu();
        self.norm(&format!("{name}.bn2"), &self.conv3x3(&format!("{name}.conv2"), &y, channels)?, PYTORCH_EPSILON)
    }

    fn bottleneck_block(&self, name: &str, x: &Maps, [width, channels]: [u32; 2], stride: usize) -> Result<Maps> {
        let y = self.pointwise(&format!("{name}.conv1"), x, width)?;
        let y = self.norm(&format!("{name}.bn1"), &y, PYTORCH_EPSILON)?.relu();
        let window = Window::even(3, stride, 1, [y.shape[1], y.shape[2]]);
        let y = self.conv(&format!("{name}.conv2"), &y, width, window)?;
        let y = self.norm(&format!("{name}.bn2"), &y, PYTORCH_EPSILON)?.relu();
        self.norm(&format!("{name}.bn3"), &self.pointwise(&format!("{name}.conv3"), &y, channels)?, PYTORCH_EPSILON)
    }

    fn efficientnet(&self, config: &EfficientNetConfig, input: &Maps) -> Result<Vec<Maps>> {
        let stem = self.conv("backbone.conv_stem", input, config.stem, Window::same(3, 2, input.shape[1]))?;
        let mut x = relu6(&self.norm("backbone.bn1", &stem, TENSORFLOW_EPSILON)?);
        let mut features = Vec::with_capacity(LEVELS);
        let mut number = 0;
        for stages in config.layers.iter().take(self.depth) {
            for stage in stages {
                for index in 0..stage.blocks {
                    let stride = if index == 0 { stage.stride } else { 1 };
                    x = self.inverted_residual(&format!("backbone.blocks.{number}.{index}"), &x, stage, stride)?;
                }
                number += 1;
            }
            features.push(x.clone());
        }
        Ok(features)
    }

    fn inverted_residual(&self, name: &str, x: &Maps, stage: &StageConfig, stride: u32) -> Result<Maps> {
        let normed = |conv: &Maps, norm: &str| self.norm(&format!("{name}.{norm}"), conv, TENSORFLOW_EPSILON);
        let (wide, norms, narrow) = match stage.expand {
            1 => (x.clone(), ["bn1", "bn2"], "conv_pw"),
            expand => {
                let wide = self.pointwise(&format!("{name}.conv_pw"), x, x.shape[3] as u32 * expand)?;
                (relu6(&normed(&wide, "bn1")?), ["bn2", "bn3"], "conv_pwl")
            }
        };
        let kernel = stage.kernel as usize;
        let channels = wide.shape[3];
        let weight = self.weights.read(&format!("{name}.conv_dw.weight"), &[channels, 1, kernel, kernel])?;
        let window = Window::same(kernel, stride as usize, wide.shape[1]);
        let filtered = depthwise(&wide, &weight, &vec![0.0; channels], window);
        let filtered = relu6(&normed(&filtered, norms[0])?);
        let out = normed(&self.pointwise(&format!("{name}.{narrow}"), &filtered, stage.channels)?, norms[1])?;
        Ok(if out.shape == x.shape { out.plus(x) } else { out })
    }

    fn descriptor(&self, config: &ModelConfig, kind: DescriptorKind, features: &[Maps]) -> Result<Maps> {
        let suffixes = ["", "_1", "_2"];
        let grid = config.grid as usize;
        let mut levels = Vec::with_capacity(LEVELS);
        for (level, feature) in features.iter().enumerate() {
            let channels = config.level_channels()[level];
            let x = match kind {
                DescriptorKind::Plain => feature.clone(),
                DescriptorKind::Rotation => self.squeeze(suffixes[level], feature, channels)?,
            };
            let pooled = avg_pool(&x);
            let [batch, height, width, _] = pooled.shape;
            let coordinate = |index: usize, size: usize| 2.0 * index as f64 / (size - 1).max(1) as f64 - 1.0;
            let coordinates = Maps::from_fn([batch, height, width, 2], |[_, y, x, channel]| match channel {
                0 => coordinate(y, height),
                _ => coordinate(x, width),
            });
            let name = format!("adaptor.Descriptor.layer_{}.conv", level + 1);
            let y = self.pointwise(&name, &Maps::concat(&[pooled, coordinates]), channels)?;
            let bias = self.weights.read(&format!("{name}.bias"), &[channels as usize])?;
            let y = Maps::from_fn(y.shape, |index| y.at(index) + f64::from(bias[index[3]]));
            levels.push(resize(&y, [grid; 2], Corners::Edges));
        }
        Ok(Maps::concat(&levels))
    }

    /// The rotation kind's convolutions.
    fn squeeze(&self, suffix: &str, feature: &Maps, channels: u32) -> Result<Maps> {
        let name = |part: &str| format!("adaptor.Descriptor.{part}{suffix}");
        let x = self.norm(&name("bn1"), &self.pointwise(&name("conv1"), feature, channels)?, PYTORCH_EPSILON)?.relu();
        let x = self.norm(&name("bn2"), &self.pointwise(&name("conv2"), &x, channels)?, PYTORCH_EPSILON)?.relu();
        self.pointwise(&name("conv3"), &x, channels)
    }

    fn decoder(
        &self,
        config: &ModelConfig,
        head: &TrainedHead,
        [descriptor, score]: [&Maps; 2],
        stages: &mut Vec<(String, Maps)>,
    ) -> Result<()> {
        let (grid, width) = (config.grid as usize, head.width);
        let guide = descriptor.leading(head.guide as usize);
        let mut outputs: Vec<Maps> = Vec::with_capacity(head.bins.len());
        for (index, &bin) in head.bins.iter().enumerate() {
            let side = bin as usize;
            let pooled = [adaptive_pool(&guide, side), resize(score, [side; 2], Corners::Centers)];
            let mut m = self.pointwise(&format!("cas.corr_conv.{index}.0"), &Maps::concat(&pooled), width)?.relu();
            if let Some(previous) = outputs.last() {
                let joined = Maps::concat(&[m.clone(), resize(previous, [side; 2], Corners::Centers)]);
                m = self.pointwise(&format!("cas.alpha_conv.{}.0", index - 1), &joined, width)?.relu().plus(&m);
            }
            m = self.residual_pair(&format!("cas.beta_conv.{index}"), &m, width)?;
            outputs.push(resize(&m, [grid; 2], Corners::Centers));
            stages.push((format!("cas_bin{index}"), m));
        }
        let res1 = self.pointwise("cas.res1.0", &Maps::concat(&outputs), width)?.relu();
        let fused = self.residual_pair("cas.res2", &res1, width)?;
        let cls = self.conv3x3("cas.cls.0", &fused, width)?.relu();
        let bias = self.weights.read("cas.cls.3.bias", &[1])?[0];
        let logits = project(&cls, &self.weights.read("cas.cls.3.weight", &[1, width as usize, 1, 1])?, bias);
        let map = upsample_map(&logits, config.input as usize, Corners::Centers);
        let blurred = blur(&map, 4.0, 4.0);
        let last =
            [("cas_res1", res1), ("cas_final", fused), ("cas_logits64", logits), ("map", map), ("blurred", blurred)];
        stages.extend(last.map(|(name, maps)| (name.to_owned(), maps)));
        Ok(())
    }

    /// Distances to the prototypes of each level, joined.
    fn taught(
        &self,
        config: &ModelConfig,
        head: &TaughtHead,
        features: &[Maps],
        stages: &mut Vec<(String, Maps)>,
    ) -> Result<()> {
        let grid = config.grid as usize;
        let mut levels = Vec::with_capacity(head.levels.len());
        for TaughtLevel { level, prototypes } in &head.levels {
            let resized = resize(&avg_pool(&features[*level as usize - 1]), [grid; 2], Corners::Edges);
            let channels = resized.shape[3];
            let read = |part: &str, shape: &[usize]| self.weights.read(&format!("taught.layer_{level}.{part}"), shape);
            let (mean, deviation) = (read("mean", &[channels])?, read("deviation", &[channels])?);
            let mut descriptors = Maps::from_fn(resized.shape, |index| {
                (resized.at(index) - f64::from(mean[index[3]])) / f64::from(deviation[index[3]])
            });
            if config.backbone.has_linear_levels() {
                let whitening = read("whitening", &[channels; 2])?;
                descriptors = Maps::from_fn(resized.shape, |[image, row, column, output]| {
                    let product = |input: usize| {
                        descriptors.at([image, row, column, input]) * f64::from(whitening[input * channels + output])
                    };
                    (0..channels).map(product).sum()
                });
            }
            let found = nearest(&distances(&descriptors, &read("C", &[channels, *prototypes as usize])?), 1);
            stages.push((format!("descriptors{level}"), descriptors));
            stages.push((format!("distances{level}"), found.clone()));
            levels.push(found);
        }
        let normal = self.weights.read("taught.normal", &[levels.len(), grid, grid])?;
        let bounds = self.weights.read("taught.bounds", &[levels.len(), 4])?;
        let rank = (grid * grid - 1) / 4;
        let joined = join_levels(&levels, &normal, bytemuck::cast_slice(&bounds), rank);
        let map = upsample_map(&joined, config.input as usize, Corners::Edges);
        let blurred = blur(&map, 4.0 * f64::from(config.input) / 224.0, 4.0);
        let last = [("joined", joined), ("map", map), ("blurred", blurred)];
        stages.extend(last.map(|(name, maps)| (name.to_owned(), maps)));
        Ok(())
    }

    /// `relu(conv2(relu(conv0(x)))) + x`.
    fn residual_pair(&self, name: &str, x: &Maps, width: u32) -> Result<Maps> {
        let y = self.conv3x3(&format!("{name}.0"), x, width)?.relu();
        Ok(self.conv3x3(&format!("{name}.2"), &y, width)?.relu().plus(x))
    }
}

fn relu6(x: &Maps) -> Maps {
    x.map(|value| value.clamp(0.0, 6.0))
}
