//! PCSNet trained on the host's device: from a handful of photographs of good parts to descriptor and decoder, by
//! gradients, as section III of the paper has it (Jiang, Cao, Shen, IEEE TNNLS 2024).
//!
//! The backbone stays frozen. A step is one recorded sequence of kernels: forwards, the four losses, backwards in
//! reverse reading order, and Adam. Every gradient is gathered, none scattered, so the same photographs, options and
//! seed give the same model on the same adapter, bit for bit, and so does a run that went on from a checkpoint.
//!
//! ```no_run
//! use pcsnet::train::{TrainOptions, Trainer};
//! use pcsnet::{Engine, EngineOptions, gpu, image, weights::Weights};
//!
//! # async fn example() -> pcsnet::Result<()> {
//! let (device, queue) = gpu::open_device(None).await?;
//! let engine = Engine::new(device, queue, EngineOptions::default())?;
//! let mut trainer = Trainer::new(&engine, &Weights::built_in()?, TrainOptions::default()).await?;
//! for name in ["good1.png", "good2.png", "good3.png"] {
//!     trainer.add(name, None, &image::open(name)?)?;
//! }
//! let mut training = trainer.start().await?;
//! while !training.is_done() {
//!     let losses = training.run_epoch(|_| {}).await?;
//!     println!("{losses:?}");
//! }
//! training.model().await?.save("part.safetensors")?;
//! # Ok(())
//! # }
//! ```

mod batch;
mod category;
mod checkpoint;
mod decoder;
mod descriptor;
mod features;
mod memory;
mod recipe;
mod start;
mod step;
mod trained;

#[cfg(test)]
mod tests;

pub use category::Category;
pub use recipe::{Method, Recipe, Schedule, Separation};
pub use step::Losses;
pub use trained::TrainedModel;

use crate::anomalies;
use crate::config::{DescriptorKind, HeadConfig};
use crate::engine::SharedBackbone;
use crate::gpu::Gpu;
use crate::image::{Fit, RgbImage, ValueRange, preprocess};
use crate::model::schema;
use crate::random::SplitMix;
use crate::teach::{Comparison, LEFT_OUT, backbone_of, config_metadata, coreset, give_way, square_norms, transposed};
use crate::weights::{NamedTensor, Parameter, Stored, Weights, serialize};
use crate::{Engine, Error, ModelConfig, Precision, Result};
use batch::{Example, Weighing, batch_of};
use descriptor::{BatchSize, Describing};
use features::{FeatureRun, Features, prepared, unit_scales};
use memory::{State, Values};
use std::fmt;
use step::{Bank, Batch, Step};

/// What [`Trainer::new`] can be told.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct TrainOptions {
    /// How the network is trained.
    pub recipe: Recipe,
    /// What the recipes `paper` and `authors` paste where.
    pub category: Category,
    /// What stands between features and prototypes.
    pub descriptor: DescriptorKind,
    /// Epochs, where they are not the recipe's.
    pub epochs: Option<u32>,
    /// Photographs of a step, at least 2; as many pseudo-anomalous copies are added.
    pub batch: u32,
    /// How photographs are brought to the network's input size.
    pub fit: Fit,
    /// Side of the grid of positions, where it is not 64. There are as many prototypes as positions.
    pub grid: Option<u32>,
    /// Prototype distances kept for each position, where they are not 200: a multiple of 4.
    pub nearest: Option<u32>,
    /// Channels of the decoder, where they are not half of the features': a multiple of 4.
    pub width: Option<u32>,
    /// Seed of everything that is drawn at random.
    pub seed: u64,
    /// The range that photographs of more than 8 bits a sample were read in, for the model to keep: others are then
    /// read alike. See [`ValueRange::of_set`].
    pub range: Option<ValueRange>,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            recipe: Recipe::HELD_OUT,
            category: Category::OTHER,
            descriptor: DescriptorKind::Plain,
            epochs: None,
            batch: 2,
            fit: Fit::Crop,
            grid: None,
            nearest: None,
            width: None,
            seed: 0,
            range: None,
        }
    }
}

impl TrainOptions {
    /// How many epochs there will be.
    fn epochs(&self) -> u32 {
        self.epochs.unwrap_or(self.recipe.epochs)
    }

    /// The standard sizes for a backbone, changed as the options say.
    fn sizes(&self, mut config: ModelConfig) -> Result<ModelConfig> {
        if let HeadConfig::Trained(head) = &mut config.head {
            if let Some(grid) = self.grid.filter(|grid| *grid != config.grid) {
                // The finest bin is the grid itself, which costs the decoder no sharpness.
                head.bins = (0..head.bins.len()).map(|bin| (grid >> bin).max(1)).collect();
                head.prototypes = grid.saturating_mul(grid);
                config.grid = grid;
            }
            head.nearest = self.nearest.unwrap_or(head.nearest);
            head.width = self.width.unwrap_or(head.width);
        }
        config.validate()?;
        let refuse = |what: &str, expected: &str, found: u32| {
            Err(Error::Input { what: what.to_owned(), expected: expected.to_owned(), found: found.to_string() })
        };
        match (self.batch, self.epochs()) {
            (batch @ ..2, _) => refuse("photographs of a step", "2 or more, for PDC compares a step's images", batch),
            (_, epochs @ 0) => refuse("epochs", "1 or more", epochs),
            _ => Ok(config),
        }
    }
}

/// A photograph of a good part, as the network sees it.
struct Photograph {
    name: String,
    /// SHA-256 of the file, in hexadecimal digits, where there was one.
    sha256: Option<String>,
    pixels: RgbImage,
}

/// Factors of each level's channels.
type Scales = Vec<Vec<f32>>;

/// Takes photographs of good parts, and makes everything ready for training.
pub struct Trainer {
    engine: Engine,
    backbone: SharedBackbone,
    /// The backbone's own tensors, for the model's file.
    tensors: Vec<(Parameter, Vec<f32>)>,
    config: ModelConfig,
    options: TrainOptions,
    photographs: Vec<Photograph>,
}

impl fmt::Debug for Trainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, photographs, .. } = self;
        f.debug_struct("Trainer")
            .field("options", options)
            .field("photographs", &photographs.len())
            .finish_non_exhaustive()
    }
}

impl Trainer {
    /// Loads a backbone, as torchvision, timm or this crate store it; any head beside it is not read.
    ///
    /// # Errors
    /// [`Error::Config`] for sizes that do not fit one another, [`Error::Input`] for a batch below 2 or no epochs,
    /// and those of [`Engine::load_backbone`].
    pub async fn new(engine: &Engine, backbone: &Weights, options: TrainOptions) -> Result<Self> {
        let config = options.sizes(ModelConfig::standard(backbone_of(backbone)?, options.descriptor))?;
        let schema = schema::backbone(&config);
        backbone.check(&schema)?;
        let read = |parameter: &Parameter| Ok((parameter.clone(), backbone.read(&parameter.name, &parameter.shape)?));
        let tensors: Vec<_> = schema.tensors().iter().map(read).collect::<Result<_>>()?;
        let named: Vec<_> = tensors.iter().map(named).collect();
        let whole = Weights::from_bytes("the backbone", serialize(&named, &[config_metadata(&config)].into())?)?;
        let backbone = engine.load_backbone(&whole, Precision::F32).await?;
        Ok(Self { engine: engine.clone(), backbone, tensors, config, options, photographs: Vec::new() })
    }

    /// Takes a photograph of a good part; `sha256` is that of its file in hexadecimal digits, by which a later
    /// calibration knows that the model has seen it.
    ///
    /// # Errors
    /// Those of [`preprocess`].
    pub fn add(&mut self, name: impl Into<String>, sha256: Option<String>, photograph: &RgbImage) -> Result<()> {
        let pixels = preprocess(photograph, self.options.fit, self.config.input)?;
        self.photographs.push(Photograph { name: name.into(), sha256, pixels });
        Ok(())
    }

    /// Chooses the prototypes, fits the first map, and writes the step down.
    ///
    /// # Errors
    /// [`Error::Input`] for fewer photographs than a step takes or too few to leave each enough prototypes of the
    /// others, and [`Error::OutOfMemory`], [`Error::Limit`], [`Error::DeviceLost`] or [`Error::Gpu`] from the device.
    pub async fn start(self) -> Result<Training> {
        let gpu = self.engine.gpu();
        if self.photographs.len() < self.options.batch as usize {
            return Err(Error::Input {
                what: "photographs of good parts".to_owned(),
                expected: format!("at least the {} of a step", self.options.batch),
                found: self.photographs.len().to_string(),
            });
        }
        let run = FeatureRun::new(gpu, self.backbone.network(), &self.config).await?;
        let mut values = start::as_pytorch(&self.config, self.options.seed);
        let (bank, scales) = match self.options.recipe.method {
            Method::Mixed => self.mean_prototypes(gpu, &run, &mut values).await?,
            Method::HeldOut { .. } => {
                start::start_as_identity(&mut values, &self.config);
                self.single_prototypes(gpu, &run, &mut values).await?
            }
        };
        let step = Step::new(gpu, &self.config, &self.options.recipe, bank, self.batch_size(), values).await?;
        let mut training = Training { trainer: self, run, scales, step, epoch: 0, steps: 0 };
        if let Method::HeldOut { copies, .. } = training.trainer.options.recipe.method {
            training.fit_first_map(copies as usize).await?;
        }
        Ok(training)
    }

    /// Whether photographs, copies, and the mixture of both that PDC and SEG see are three batches, as in the paper.
    /// Only BatchNorms can tell that from two.
    fn has_mixture(&self) -> bool {
        self.options.recipe.method == Method::Mixed && self.options.descriptor == DescriptorKind::Rotation
    }

    fn batch_size(&self) -> BatchSize {
        let batch = self.options.batch;
        match self.has_mixture() {
            true => BatchSize { images: 3 * batch, groups: 3 },
            false => BatchSize { images: 2 * batch, groups: 1 },
        }
    }

    fn pictures(&self) -> Vec<&RgbImage> {
        self.photographs.iter().map(|photograph| &photograph.pixels).collect()
    }

    /// The descriptors `[grid * grid][D]` of each photograph. BatchNorms remember them in `values`.
    async fn describe(
        &self,
        gpu: &Gpu,
        run: &FeatureRun,
        values: &mut Values,
        scales: &[Vec<f32>],
    ) -> Result<Vec<Vec<f32>>> {
        /// As many as default limits allow for the largest descriptors that BatchNorms come before.
        const MOST_TOGETHER: usize = 8;
        // BatchNorms take the statistics of photographs that are described together.
        let together = match self.options.descriptor {
            DescriptorKind::Plain => 1,
            DescriptorKind::Rotation => MOST_TOGETHER,
        };
        let size = (self.config.grid * self.config.grid * self.config.descriptor_channels()) as usize;
        let mut phi = Vec::new();
        for pictures in self.pictures().chunks(together).collect::<Vec<_>>().chunk_by(|a, b| a.len() == b.len()) {
            let describing = Describing::new(gpu, &self.config, values, pictures[0].len() as u32).await?;
            for pictures in pictures {
                let features = run.run(gpu, pictures).await?;
                let features: Vec<_> = features.iter().map(|of_one| prepared(&self.config, of_one, scales)).collect();
                let described = describing.run(gpu, &features::together(features.iter())).await?;
                phi.extend(described.chunks_exact(size).map(<[f32]>::to_vec));
            }
            values.0.extend(describing.values(gpu).await?.0);
        }
        Ok(phi)
    }

    /// The mean of the photographs' descriptors at each position; features are as they are.
    async fn mean_prototypes(&self, gpu: &Gpu, run: &FeatureRun, values: &mut Values) -> Result<(Bank, Scales)> {
        let channels = self.config.backbone.channels();
        let levels = self.config.levels().into_iter();
        let scales: Scales = levels.map(|level| vec![1.0; channels[level] as usize]).collect();
        let phi = self.describe(gpu, run, values, &scales).await?;
        let mean = |place: usize| phi.iter().map(|phi| f64::from(phi[place])).sum::<f64>() / phi.len() as f64;
        let rows: Vec<f32> = (0..phi[0].len()).map(|place| mean(place) as f32).collect();
        let columns = transposed(&rows, self.config.descriptor_channels() as usize);
        Ok((Bank { columns, owners: None }, scales))
    }

    /// Single descriptors of the photographs; features are scaled so that each channel's deviation is the same, and the
    /// mean distance to the nearest prototype of another photograph is 1.
    async fn single_prototypes(&self, gpu: &Gpu, run: &FeatureRun, values: &mut Values) -> Result<(Bank, Scales)> {
        let raw = run.run_raw(gpu, &self.pictures()).await?;
        let channels = self.config.backbone.channels();
        let scale_of = |(index, level): (usize, usize)| {
            unit_scales(raw.iter().map(move |features| &features[index]), channels[level] as usize)
        };
        let mut scales: Scales = self.config.levels().into_iter().enumerate().map(scale_of).collect();
        drop(raw);
        let phi = self.describe(gpu, run, values, &scales).await?;
        let (mut bank, distance) = self.choose(gpu, &phi).await?;
        for value in bank.columns.iter_mut().chain(scales.iter_mut().flatten()) {
            *value /= distance;
        }
        Ok((bank, scales))
    }

    /// The prototypes: as many of the photographs' descriptors, chosen to cover all; and the mean distance of the
    /// photographs' positions to the nearest prototypes of others.
    async fn choose(&self, gpu: &Gpu, phi: &[Vec<f32>]) -> Result<(Bank, f32)> {
        // Greedy selection looks at all of them in every round.
        const CANDIDATES: usize = 30_000;
        let head = self.config.trained().expect("a trained head is what the options make");
        let (channels, positions) =
            (self.config.descriptor_channels() as usize, (self.config.grid * self.config.grid) as usize);
        let bytes_of_a_row = 4 * channels as u64;
        let most = (gpu.limits.max_storage_buffer_binding_size / bytes_of_a_row) as usize;
        let all: Vec<usize> = (0..phi.len() * positions).collect();
        let pool = SplitMix::stream(self.options.seed, 1).draw(all, most.min(CANDIDATES).max(head.prototypes as usize));
        let row = |number: &usize| &phi[number / positions][number % positions * channels..][..channels];
        let rows: Vec<f32> = pool.iter().flat_map(row).copied().collect();
        let chosen = coreset(gpu, &rows, channels, head.prototypes, |_| {}).await?;
        let chosen: Vec<usize> = chosen.into_iter().map(|index| pool[index as usize]).collect();
        let owners: Vec<u32> = chosen.iter().map(|number| (number / positions) as u32).collect();
        let fewest = (0..phi.len() as u32).map(|own| owners.iter().filter(|owner| **owner != own).count()).min();
        let required = head.nearest as usize;
        if chosen.len() < head.prototypes as usize || fewest.unwrap_or(0) < required {
            return Err(Error::Input {
                what: "prototypes from the photographs".to_owned(),
                expected: format!("{}, and {required} beside those of any one photograph", head.prototypes),
                found: format!(
                    "{} that differ, {} beside; give more photographs, a coarser grid, or keep fewer distances",
                    chosen.len(),
                    fewest.unwrap_or(0)
                ),
            });
        }
        let rows: Vec<f32> = chosen.iter().flat_map(row).copied().collect();
        let sizes = [positions, chosen.len(), channels].map(|size| size as u32);
        let comparison = Comparison::new(gpu, sizes).await?;
        comparison.set_prototypes(&rows).await?;
        let norms = square_norms(&rows, channels);
        let mut sum = 0.0;
        for (own, queries) in (0..).zip(phi) {
            let others = norms.iter().zip(&owners).map(|(norm, owner)| if *owner == own { LEFT_OUT } else { *norm });
            let distances = comparison.distances(queries, &others.collect::<Vec<_>>()).await?;
            sum += distances.iter().map(|distance| f64::from(*distance)).sum::<f64>();
        }
        let distance = (sum / (positions * phi.len()) as f64) as f32;
        let columns = transposed(&rows, channels);
        Ok((Bank { columns, owners: Some(owners) }, distance.max(f32::MIN_POSITIVE)))
    }
}

/// A training run, an epoch after another. A step that cannot be told from noise (a loss that is no number) ends it
/// with an error; what [`Training::checkpoint`] gave before stands.
pub struct Training {
    trainer: Trainer,
    run: FeatureRun,
    /// Factors of each level's features.
    scales: Scales,
    step: Step,
    epoch: u32,
    steps: u32,
}

impl fmt::Debug for Training {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trainer, epoch, steps, .. } = self;
        f.debug_struct("Training")
            .field("trainer", trainer)
            .field("epoch", epoch)
            .field("steps", steps)
            .finish_non_exhaustive()
    }
}

impl Training {
    /// Epochs that are done.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Epochs there will be.
    pub fn epochs(&self) -> u32 {
        self.trainer.options.epochs()
    }

    /// Steps of an epoch.
    pub fn steps_of_an_epoch(&self) -> u32 {
        match self.trainer.options.recipe.method {
            Method::Mixed => self.trainer.photographs.len() as u32 / self.trainer.options.batch,
            Method::HeldOut { steps, .. } => steps,
        }
    }

    /// Whether all epochs are done.
    pub fn is_done(&self) -> bool {
        self.epoch >= self.epochs()
    }

    /// Trains for an epoch; gives the mean of each loss. `on_step` is told how many of its steps are done. A step is
    /// several command buffers, and the future gives way between steps, where it can be dropped: what
    /// [`Training::checkpoint`] gave before stands.
    ///
    /// # Errors
    /// [`Error::Training`] where a loss is no number, and [`Error::DeviceLost`] or [`Error::Gpu`] from the device.
    pub async fn run_epoch(&mut self, mut on_step: impl FnMut(u32)) -> Result<Losses> {
        let TrainOptions { recipe, batch, seed, .. } = self.trainer.options;
        // Every epoch has a stream of its own, so that one that goes on from a checkpoint draws the same.
        let mut random = SplitMix::stream(seed, 2 + u64::from(self.epoch));
        let rates = recipe.rates(self.epoch, self.epochs());
        let steps = self.steps_of_an_epoch();
        let all: Vec<usize> = (0..self.trainer.photographs.len()).collect();
        let batches: Vec<Vec<usize>> = match recipe.method {
            Method::Mixed => {
                let count = all.len();
                random.draw(all, count).chunks_exact(batch as usize).map(<[usize]>::to_vec).collect()
            }
            Method::HeldOut { .. } => (0..steps).map(|_| random.draw(all.clone(), batch as usize)).collect(),
        };
        let mut sum = Losses::default();
        for (done, chosen) in (1..).zip(batches) {
            let batch = self.draw_batch(&chosen, &mut random).await?;
            self.steps += 1;
            let losses = self.step.run(self.gpu(), &batch, self.steps, rates).await?;
            sum = sum.plus(losses, 1.0 / f64::from(steps));
            on_step(done);
            give_way().await;
        }
        self.epoch += 1;
        Ok(sum)
    }

    /// The model as it is now.
    ///
    /// # Errors
    /// As [`Training::checkpoint`].
    pub async fn model(&self) -> Result<TrainedModel> {
        let state = self.sound_state().await?;
        TrainedModel::new(&self.trainer, self.step.named(&state), &self.scales)
    }

    /// What is trained and what the optimiser remembers, where training has not gone astray.
    async fn sound_state(&self) -> Result<State> {
        let state = self.step.state(self.gpu()).await?;
        if self.epoch > 0 {
            self.step.ensure_sound(&state)?;
        }
        Ok(state)
    }

    fn gpu(&self) -> &Gpu {
        self.trainer.engine.gpu()
    }

    /// Some photographs and as many copies with pseudo-anomalies.
    async fn draw_batch(&self, chosen: &[usize], random: &mut SplitMix) -> Result<Batch> {
        let TrainOptions { recipe, category, .. } = self.trainer.options;
        let photographs = chosen.iter().map(|&index| &self.trainer.photographs[index].pixels);
        let normal: Vec<RgbImage> = match recipe.method {
            Method::Mixed => photographs.cloned().collect(),
            Method::HeldOut { .. } => photographs.map(|picture| anomalies::augmented(picture, random)).collect(),
        };
        let mut copy = |picture: &RgbImage| match recipe.method {
            Method::Mixed => anomalies::pasted(picture, &category.pasting, random),
            Method::HeldOut { .. } => anomalies::varied(picture, random),
        };
        let copies: Vec<_> = normal.iter().map(&mut copy).collect();
        let weighing = match recipe.method {
            Method::Mixed => Weighing::Plain,
            Method::HeldOut { .. } => Weighing::Balanced,
        };
        let half = random.draw((0..chosen.len()).collect(), chosen.len().div_ceil(2));
        let pictures: Vec<&RgbImage> = normal.iter().chain(copies.iter().map(|copy| &copy.picture)).collect();
        let features = self.features(&pictures).await?;
        let example = |index: usize, is_copy: bool| Example {
            features: &features[index + if is_copy { chosen.len() } else { 0 }],
            mask: is_copy.then(|| &copies[index].mask[..]),
            owner: chosen[index] as u32,
            judged: true,
            seen: weighing == Weighing::Balanced || half.contains(&index) == is_copy,
        };
        let all = || 0..chosen.len();
        let photographs = all().map(|index| example(index, false)).chain(all().map(|index| example(index, true)));
        let examples: Vec<Example<'_>> = if self.trainer.has_mixture() {
            let mixture = all().map(|index| Example { judged: false, ..example(index, half.contains(&index)) });
            mixture.chain(photographs.map(|example| Example { seen: false, ..example })).collect()
        } else {
            photographs.collect()
        };
        let count = examples.len() as u32;
        let sizes = [self.trainer.config.input, self.trainer.config.grid];
        let mut batch = batch_of(&examples, sizes, weighing, recipe.separation);
        if recipe.dropout > 0.0 {
            let width = self.trainer.config.trained().map_or(0, |head| head.width);
            let kept = (1.0 / (1.0 - recipe.dropout)) as f32;
            let factor = |_| if random.uniform() < recipe.dropout { 0.0 } else { kept };
            batch.dropout = (0..count * width).map(factor).collect();
        }
        Ok(batch)
    }

    async fn features(&self, pictures: &[&RgbImage]) -> Result<Vec<Features>> {
        let features = self.run.run(self.gpu(), pictures).await?;
        Ok(features.iter().map(|features| prepared(&self.trainer.config, features, &self.scales)).collect())
    }

    /// Makes the first map what distances alone tell of pseudo-anomalies.
    async fn fit_first_map(&mut self, copies: usize) -> Result<()> {
        let TrainOptions { batch, seed, .. } = self.trainer.options;
        let mut random = SplitMix::stream(seed, 0);
        let mut shots = (0..self.trainer.photographs.len() * copies).map(|number| number / copies).peekable();
        let (mut distances, mut masks) = (Vec::new(), Vec::new());
        while shots.peek().is_some() {
            // The step takes a fixed number of pictures; those that are missing repeat the last.
            let mut chosen: Vec<usize> = shots.by_ref().take(batch as usize).collect();
            let real = chosen.len();
            chosen.resize(batch as usize, chosen[real - 1]);
            let drawn = self.draw_batch(&chosen, &mut random).await?;
            let found = self.step.nearest(self.gpu(), &drawn).await?;
            let positions = found.len() / (2 * batch as usize);
            let copies = batch as usize * positions..(batch as usize + real) * positions;
            distances.extend_from_slice(&found[copies.clone()]);
            masks.extend_from_slice(&drawn.grid_masks[copies]);
        }
        let line = start::first_fit(&distances, &masks);
        let head = self.trainer.config.trained().expect("a trained head is what the options make");
        let mut values = self.step.named(&self.step.state(self.gpu()).await?);
        start::start_from_distance(&mut values, head, line);
        self.step.set_values(self.gpu(), &values).await
    }
}

impl Losses {
    /// The sum with a share of others.
    fn plus(self, other: Self, share: f64) -> Self {
        Self {
            nfc: self.nfc + share * other.nfc,
            afs: self.afs + share * other.afs,
            pdc: self.pdc + share * other.pdc,
            seg: self.seg + share * other.seg,
        }
    }
}

fn named((parameter, values): &(Parameter, Vec<f32>)) -> NamedTensor<'_> {
    NamedTensor { name: &parameter.name, shape: &parameter.shape, values, stored: Stored::F32 }
}
