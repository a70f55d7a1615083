//! From a handful of photographs of good parts to a model that inspects others: no gradients, no defects, no Python.
//!
//! A taught model keeps, for each level of a frozen backbone, prototypes of what good parts look like and how far good
//! parts are from those of the others. [`Teacher`] finds all of it in closed form, everything heavy on the host's
//! device:
//!
//! 1. **Light and poses.** Where photographs differ much in brightness, each is brought to the light of all. Where
//!    turning the other photographs brings one nearer to them, parts lie at any angle, and each photograph stands for
//!    itself in twelve orientations.
//! 2. **Prototypes.** Of each level's features, every channel of unit deviation and, where levels are linear
//!    projections, made to vary alike in all directions, a coreset by the greedy k-centre rule.
//! 3. **What is normal.** Each photograph is held out: compared with the prototypes of the others. Its distances, by
//!    level and where parts do not turn by position, are the unit in which later ones are measured, which also brings
//!    the levels to one scale.
//! 4. **Threshold.** From the scores of the photographs held out, see
//!    [`inspect::calibrate`](crate::inspect::calibrate()). Copies of them with pseudo-defects, scored alike, tell
//!    whether defects would be found at it.
//!
//! ```no_run
//! use pcsnet::teach::{TeachOptions, Teacher};
//! use pcsnet::{Engine, EngineOptions, gpu, image, weights::Weights};
//!
//! # async fn example() -> pcsnet::Result<()> {
//! let (device, queue) = gpu::open_device(None).await?;
//! let engine = Engine::new(device, queue, EngineOptions::default())?;
//! let backbone = Weights::open(["resnet18.safetensors"])?;
//! let mut teacher = Teacher::new(&engine, &backbone, TeachOptions::default()).await?;
//! for name in ["good1.png", "good2.png", "good3.png"] {
//!     teacher.add(name, &image::open(name)?)?;
//! }
//! let taught = teacher.teach(|progress| println!("{progress}")).await?;
//! taught.save("part.safetensors")?;
//! # Ok(())
//! # }
//! ```

mod aspects;
mod bank;
mod baseline;
mod comparison;
mod coreset;
mod features;
mod held_out;
mod light;
mod memory;
mod poses;
mod rows;
mod spread;
mod taught;
mod turned;
mod whitening;

pub use aspects::OddAspect;
pub use baseline::Baseline;
pub(crate) use comparison::{Comparison, LEFT_OUT, square_norms};
pub(crate) use coreset::coreset;
pub use light::LightDecision;
pub use poses::{PoseDecision, Poses};
pub(crate) use rows::transposed;
pub(crate) use taught::config_metadata;
pub use taught::{HeldOutScore, PseudoDefects, TaughtModel, TeachSummary};

use crate::anomalies;
use crate::config::{BackboneConfig, HeadConfig, LEVELS, TaughtHead, TaughtLevel};
use crate::engine::{SharedBackbone, TextureSource, read_texture};
use crate::gpu::Gpu;
use crate::image::{Fit, RgbImage, ValueRange, preprocess};
use crate::inspect::{Fingerprint, Framing, MapSummary, Setting, calibrate_held_out};
use crate::model::schema;
use crate::random::SplitMix;
use crate::weights::{NamedTensor, Parameter, Role, Stored, Weights, serialize};
use crate::{Engine, Error, ModelConfig, Precision, Result};
use bank::Bank;
use features::FeatureRun;
use held_out::HeldOut;
use memory::Former;
use poses::View;
use std::fmt;
use std::future::poll_fn;
use std::task::Poll;

/// How much a taught model may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// Images of 224 pixels, a grid of 28, 2,048 prototypes a level.
    Small,
    /// Images of 320 pixels, a grid of 40, 8,192 prototypes a level.
    #[default]
    Standard,
    /// Images of 448 pixels, a grid of 56, 16,384 prototypes a level: small defects, about four times the time.
    Accurate,
}

impl Effort {
    /// The choices there are.
    pub const ALL: [Self; 3] = [Self::Small, Self::Standard, Self::Accurate];

    /// Its name in files and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Standard => "standard",
            Self::Accurate => "accurate",
        }
    }

    /// The choice of this name.
    ///
    /// # Errors
    /// [`Error::Input`] with the known names.
    pub fn by_name(name: &str) -> Result<Self> {
        let unknown = || Error::unknown("effort", name, &Self::ALL.map(Self::name));
        Self::ALL.into_iter().find(|effort| effort.name() == name).ok_or_else(unknown)
    }

    /// Side of the input in pixels, side of the grid, prototypes of a level.
    fn sizes(self) -> [u32; 3] {
        match self {
            Self::Small => [224, 28, 2048],
            Self::Standard => [320, 40, 8192],
            Self::Accurate => [448, 56, 16384],
        }
    }
}

/// What [`Teacher::new`] can be told.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TeachOptions {
    /// Which orientations good parts may have.
    pub poses: Poses,
    /// How much the model may cost.
    pub effort: Effort,
    /// The largest file that the model may be, in bytes: where the effort's prototypes would take more, it has as many
    /// as fit. On a device a model takes about twice its file, and its time falls with its prototypes.
    pub max_bytes: Option<u64>,
    /// The share of good parts that may fail.
    pub false_alarm_rate: f64,
    /// Seed of what is drawn at random: positions, where there are too many to compare all.
    pub seed: u64,
    /// The range that photographs of more than 8 bits a sample were read in, for the model to keep: others are then
    /// read alike. See [`ValueRange::of_set`].
    pub range: Option<ValueRange>,
}

impl Default for TeachOptions {
    fn default() -> Self {
        let (poses, effort) = (Poses::default(), Effort::default());
        Self { poses, effort, max_bytes: None, false_alarm_rate: 0.05, seed: 0, range: None }
    }
}

/// How far teaching is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TeachProgress {
    /// What is being done.
    pub step: TeachStep,
    /// How much of it is done.
    pub done: u32,
    /// How much of it there is.
    pub total: u32,
}

/// What a teacher does, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TeachStep {
    /// Photographs are compared with one another turned.
    Poses,
    /// Photographs are described in all their poses.
    Describing,
    /// Prototypes are chosen.
    Choosing,
    /// Photographs are compared with the prototypes of the others.
    HoldingOut,
}

impl fmt::Display for TeachStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Poses => "looking at the parts' orientations",
            Self::Describing => "describing photographs",
            Self::Choosing => "choosing prototypes",
            Self::HoldingOut => "holding photographs out",
        })
    }
}

impl fmt::Display for TeachProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} of {}", self.step, self.done, self.total)
    }
}

/// `count` of the items, drawn at random without replacement; the same for the same items and seed.
pub fn draw<T>(items: Vec<T>, count: usize, seed: u64) -> Vec<T> {
    SplitMix(seed).draw(items, count)
}

/// Lets whoever polls a future have a turn: where the device is waited for without giving way, natively, work of
/// minutes could not be given up otherwise.
pub(crate) async fn give_way() {
    let mut is_first = true;
    poll_fn(|context| {
        if !std::mem::take(&mut is_first) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// What a photograph of a good part is known by.
struct Identity {
    name: String,
    /// SHA-256 of the file, in hexadecimal digits, where there was one.
    sha256: Option<String>,
    fingerprint: Fingerprint,
}

/// A photograph of a good part, as the network sees it.
struct Photograph {
    identity: Identity,
    /// Width over height as it was taken.
    aspect: f64,
    pixels: RgbImage,
}

/// Takes photographs of good parts and makes a model of them.
pub struct Teacher {
    engine: Engine,
    backbone: SharedBackbone,
    tensors: Vec<Tensor>,
    config: ModelConfig,
    options: TeachOptions,
    /// The model that more is taught.
    former: Option<Former>,
    photographs: Vec<Photograph>,
    /// Names of photographs that are copies of others.
    copies: Vec<String>,
}

/// Photographs that are altered to see whether defects would be found: more would not tell more.
const PSEUDO_DEFECTS: u32 = 32;

/// Bytes of a file's header in which a tensor is named, at most.
const HEADER_BYTES: u64 = 160;

/// A tensor of the model that is being made.
#[derive(Clone)]
struct Tensor {
    name: String,
    shape: Vec<usize>,
    values: Vec<f32>,
    stored: Stored,
}

impl Tensor {
    /// The values as they come back from the file: rounded, where they are stored so.
    fn new(name: String, shape: &[u32], mut values: Vec<f32>, stored: Stored) -> Self {
        if stored == Stored::F16 {
            values.iter_mut().for_each(|value| *value = half::f16::from_f32(*value).to_f32());
        }
        Self { name, shape: shape.iter().map(|size| *size as usize).collect(), values, stored }
    }

    /// A parameter of the backbone. Kernels can be halves where they fit; what BatchNorm divides by should keep its
    /// digits.
    fn of_backbone(weights: &Weights, parameter: &Parameter) -> Result<Self> {
        let values = weights.read(&parameter.name, &parameter.shape)?;
        let fits = values.iter().all(|value| value.abs() <= half::f16::MAX.to_f32());
        let stored = if parameter.role == Role::Weight && fits { Stored::F16 } else { Stored::F32 };
        let shape: Vec<u32> = parameter.shape.iter().map(|size| *size as u32).collect();
        Ok(Self::new(parameter.name.clone(), &shape, values, stored))
    }

    /// Its size in a file, with what says so.
    fn bytes(&self) -> u64 {
        HEADER_BYTES + self.named().bytes() as u64
    }

    fn named(&self) -> NamedTensor<'_> {
        let Self { name, shape, values, stored } = self;
        NamedTensor { name, shape, values, stored: *stored }
    }
}

impl fmt::Debug for Teacher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, photographs, .. } = self;
        f.debug_struct("Teacher")
            .field("options", options)
            .field("photographs", &photographs.len())
            .finish_non_exhaustive()
    }
}

impl Teacher {
    /// Loads a backbone, as torchvision, timm or this crate store it; any head that stands beside it is not read. What
    /// the metadata do not name is told by the tensors.
    ///
    /// # Errors
    /// Those of [`Engine::load_backbone`].
    pub async fn new(engine: &Engine, backbone: &Weights, options: TeachOptions) -> Result<Self> {
        let [input, grid, prototypes] = options.effort.sizes();
        let level = |level| TaughtLevel { level, prototypes };
        let levels = (1..=LEVELS as u32).map(level).collect();
        let head = HeadConfig::Taught(TaughtHead { levels });
        let config = ModelConfig { backbone: backbone_of(backbone)?, input, light: None, grid, head };
        Self::with_backbone(engine, backbone, config, options).await
    }

    /// Loads a model that was taught before, to teach it more photographs. The first ones are not needed: their
    /// prototypes stay candidates, and their distances to those of the others stand as they were measured, to which
    /// more prototypes can only bring them nearer. Poses, light, effort and largest size stay as they are, and so does
    /// the rate of false alarms unless another is given.
    ///
    /// # Errors
    /// Those of [`Engine::load_backbone`], and [`Error::Config`] for a model that was not taught.
    pub async fn resume(engine: &Engine, model: &Weights, false_alarm_rate: Option<f64>) -> Result<Self> {
        let config = model.config()?;
        let former = Former::read(model, &config)?;
        let options = TeachOptions {
            poses: Poses::by_name(&former.record.poses_asked)?,
            effort: Effort::by_name(&former.record.effort)?,
            max_bytes: former.record.max_bytes,
            false_alarm_rate: false_alarm_rate.unwrap_or(former.record.false_alarm_rate),
            seed: former.record.seed,
            range: ValueRange::from_metadata(&model.metadata())?,
        };
        let teacher = Self::with_backbone(engine, model, config, options).await?;
        Ok(Self { former: Some(former), ..teacher })
    }

    async fn with_backbone(
        engine: &Engine,
        backbone: &Weights,
        config: ModelConfig,
        options: TeachOptions,
    ) -> Result<Self> {
        let schema = schema::backbone(&config);
        backbone.check(&schema)?;
        let read = |parameter| Tensor::of_backbone(backbone, parameter);
        let tensors: Vec<Tensor> = schema.tensors().iter().map(read).collect::<Result<_>>()?;
        // Taught on the very numbers that the model will have.
        let named: Vec<_> = tensors.iter().map(Tensor::named).collect();
        let metadata = [taught::config_metadata(&config)].into();
        let rounded = Weights::from_bytes("the backbone", serialize(&named, &metadata)?)?;
        let backbone = engine.load_backbone(&rounded, Precision::F32).await?;
        let (photographs, copies) = (Vec::new(), Vec::new());
        let engine = engine.clone();
        Ok(Self { engine, backbone, tensors, config, options, former: None, photographs, copies })
    }

    /// Takes a photograph of a good part. A copy of one that was taken before adds nothing and is only noted.
    ///
    /// # Errors
    /// Those of [`preprocess`].
    pub fn add(&mut self, name: impl Into<String>, photograph: &RgbImage) -> Result<()> {
        self.add_file(name, None, photograph)
    }

    /// Adds the photograph that a file shows, by whose SHA-256 (in hexadecimal digits) a later calibration knows that
    /// the model has seen it.
    ///
    /// # Errors
    /// As [`Teacher::add`].
    pub fn add_file(&mut self, name: impl Into<String>, sha256: Option<String>, photograph: &RgbImage) -> Result<()> {
        let pixels = preprocess(photograph, Fit::Stretch, self.config.input)?;
        let identity = Identity { name: name.into(), sha256, fingerprint: Fingerprint::of(photograph) };
        self.keep(Photograph { identity, aspect: aspect(photograph.dimensions()), pixels });
        Ok(())
    }

    /// Takes the photograph that a texture of the engine's device shows when this is called: it is resized there.
    ///
    /// # Errors
    /// Those of [`Session::texture_input`](crate::Session::texture_input).
    pub async fn add_texture(&mut self, name: impl Into<String>, source: &TextureSource<'_>) -> Result<()> {
        let pixels = read_texture(self.engine.gpu(), source, Fit::Stretch, self.config.input).await?;
        let identity = Identity { name: name.into(), sha256: None, fingerprint: Fingerprint::of(&pixels) };
        let whole = (source.texture.width(), source.texture.height());
        let size = source.region.map_or(whole, |region| (region.width, region.height));
        self.keep(Photograph { identity, aspect: aspect(size), pixels });
        Ok(())
    }

    fn keep(&mut self, photograph: Photograph) {
        if self.identities().any(|known| known.fingerprint.is_same(&photograph.identity.fingerprint)) {
            self.copies.push(photograph.identity.name);
        } else {
            self.photographs.push(photograph);
        }
    }

    /// How many different photographs were taken, those of a former model not counted.
    pub fn photographs(&self) -> usize {
        self.photographs.len()
    }

    /// Makes sure that there is something to make a model of.
    fn ensure_photographs(&self) -> Result<()> {
        if !self.photographs.is_empty() {
            return Ok(());
        }
        Err(Error::Input {
            what: "photographs of good parts".to_owned(),
            expected: "at least 1 that is new, better 8".to_owned(),
            found: match self.copies.len() {
                0 => "none".to_owned(),
                copies => format!("{copies} that the model was made of already"),
            },
        })
    }

    /// All different photographs, those of a former model first.
    fn identities(&self) -> impl Iterator<Item = &Identity> {
        let former = self.former.iter().flat_map(|former| &former.photographs);
        former.chain(self.photographs.iter().map(|photograph| &photograph.identity))
    }

    /// The number of the first photograph that no former model has.
    fn first_owner(&self) -> u32 {
        self.former.as_ref().map_or(0, |former| former.photographs.len() as u32)
    }

    /// Makes a model of the photographs. Photographs may be added afterwards, and another model made of all.
    ///
    /// The same photographs, options and seed give the same model on the same adapter, bit for bit. Teaching ends with
    /// its future: it gives way after each small piece of work (a photograph in three poses, some rounds of choosing,
    /// a comparison of a photograph with a level's prototypes), so whoever drops it need not wait, and whoever polls
    /// it once a frame goes on drawing. Natively a poll waits for the device to be done with the piece; on the web it
    /// waits for nothing.
    ///
    /// # Errors
    /// [`Error::Input`] without a photograph that the model does not have yet, and [`Error::OutOfMemory`],
    /// [`Error::DeviceLost`] or [`Error::Gpu`] from the device.
    pub async fn teach(&self, mut on_progress: impl FnMut(TeachProgress)) -> Result<TaughtModel> {
        self.ensure_photographs()?;
        let wanted = self.prototypes()?;
        let gpu = self.engine.gpu();
        let (light, config) = self.decide_light();
        let run = FeatureRun::new(gpu, self.backbone.network(), &config).await?;
        let decision = self.decide_poses(gpu, &run, &mut on_progress).await?;
        let banks = self.banks(gpu, &run, decision, wanted, &mut on_progress).await?;
        let held_out = self.hold_out(gpu, &run, &banks, &mut on_progress).await?;
        let head = held_out.head(&banks, &config, decision);
        let scores = held_out.scores(gpu, &config, decision).await?;
        let framing = Framing { fit: Fit::Stretch, tiles: None, side: self.config.input };
        let setting = Setting { framing, precision: Precision::F32 };
        let calibrated = calibrate_held_out(&separate(&scores.parts), self.options.false_alarm_rate, setting)?;
        let config = taught::config_of(&config, &banks);
        TaughtModel::new(self, taught::Found { config, light, decision, banks, head, held_out, scores, calibrated })
    }

    /// Most prototypes of a level: the effort's, or as many as the file has room for.
    fn prototypes(&self) -> Result<u32> {
        const LEAST: u64 = 64;
        let [_, _, wanted] = self.options.effort.sizes();
        let Some(most) = self.options.max_bytes else { return Ok(wanted) };
        let backbone: u64 = self.tensors.iter().map(Tensor::bytes).sum();
        let room = memory::Room::of(&self.config, self.identities().count() as u64);
        let (fixed, each) = (backbone + room.fixed, room.each_prototype);
        let prototypes = most.saturating_sub(fixed) / each;
        if prototypes < LEAST {
            return Err(Error::Input {
                what: "the largest file that the model may be".to_owned(),
                expected: format!("at least {} bytes for {LEAST} prototypes a level", fixed + LEAST * each),
                found: format!("{most} bytes"),
            });
        }
        Ok(wanted.min(u32::try_from(prototypes / 4 * 4).unwrap_or(u32::MAX)))
    }

    /// Whether light differs, and the model's sizes with the light that photographs are then brought to.
    fn decide_light(&self) -> (LightDecision, ModelConfig) {
        if let Some(former) = &self.former {
            return (former.record.light, self.config.clone());
        }
        let (decision, light) = LightDecision::of(self.photographs.iter().map(|photograph| &photograph.pixels));
        (decision, ModelConfig { light, ..self.config.clone() })
    }

    /// Whether parts lie at any angle.
    async fn decide_poses(
        &self,
        gpu: &Gpu,
        run: &FeatureRun<'_>,
        on_progress: &mut impl FnMut(TeachProgress),
    ) -> Result<PoseDecision> {
        if let Some(former) = &self.former {
            return Ok(former.record.poses);
        }
        if let Some(decision) = PoseDecision::without_looking(self.options.poses, self.photographs.len()) {
            return Ok(decision);
        }
        let pictures: Vec<&RgbImage> = self.photographs.iter().map(|photograph| &photograph.pixels).collect();
        let on_described = |done, total| {
            on_progress(TeachProgress { step: TeachStep::Poses, done: done as u32, total: total as u32 });
        };
        turned::decide_poses(gpu, run, &pictures, &self.config, on_described).await
    }

    /// The prototypes of each level.
    async fn banks(
        &self,
        gpu: &Gpu,
        run: &FeatureRun<'_>,
        decision: PoseDecision,
        wanted: u32,
        on_progress: &mut impl FnMut(TeachProgress),
    ) -> Result<Vec<Bank>> {
        let views = View::of_good_parts(decision, self.config.input, self.config.grid);
        let levels = self.config.levels();
        let total = self.photographs.len() as u32;
        let kept = self.former.as_ref().map_or(0, |_| wanted as usize);
        let mut pool = bank::Pool::new(levels.len(), self.photographs.len() * views.len(), kept, self.options.seed);
        for (done, photograph) in (0..).zip(&self.photographs) {
            on_progress(TeachProgress { step: TeachStep::Describing, done, total });
            for (view, features) in views.iter().zip(run.run(&photograph.pixels, &views).await?) {
                pool.add(self.first_owner() + done, view, features);
            }
        }
        let total = wanted * levels.len() as u32;
        let whitened = self.config.backbone.has_linear_levels();
        let mut banks = Vec::with_capacity(levels.len());
        for (index, rows) in (0..).zip(pool.levels()) {
            let choosing =
                |done| on_progress(TeachProgress { step: TeachStep::Choosing, done: index * wanted + done, total });
            let former = self.former.as_ref().map(|former| &former.banks[index as usize]);
            banks.push(Bank::choose(gpu, former, rows, bank::Wanted { prototypes: wanted, whitened }, choosing).await?);
        }
        Ok(banks)
    }

    /// A copy of a photograph with a pseudo-defect that shows, where there is one.
    fn pseudo_defect(&self, owner: u32, photograph: &Photograph) -> Option<RgbImage> {
        anomalies::visible(&photograph.pixels, &mut SplitMix::stream(self.options.seed, owner.into()))
    }

    /// Compares each photograph, and a copy with a pseudo-defect, with the prototypes of the others.
    async fn hold_out(
        &self,
        gpu: &Gpu,
        run: &FeatureRun<'_>,
        banks: &[Bank],
        on_progress: &mut impl FnMut(TeachProgress),
    ) -> Result<HeldOut> {
        let (input, grid) = (self.config.input, self.config.grid);
        let mut held_out = match &self.former {
            Some(former) => former.held_out.clone(),
            None => HeldOut::new(grid, banks.len()),
        };
        // A single score is no distribution: one photograph's altered views stand for several photographs.
        let stands_for_several = held_out.photographs() + self.photographs.len() == 1;
        let views = if stands_for_several { View::slightly_altered(input, grid) } else { View::turns(1, input, grid) };
        let upright = View::turns(1, input, grid);
        let alone = self.identities().count() == 1;
        let mut comparisons = Vec::with_capacity(banks.len());
        for bank in banks {
            comparisons.push(Comparison::new(gpu, [grid * grid, bank.count(), bank.channels() as u32]).await?);
        }
        let total = self.photographs.len() as u32;
        for (done, photograph) in (0..).zip(&self.photographs) {
            on_progress(TeachProgress { step: TeachStep::HoldingOut, done, total });
            let owner = self.first_owner() + done;
            let mut features = run.run(&photograph.pixels, &views).await?;
            let altered = (done < PSEUDO_DEFECTS).then(|| self.pseudo_defect(owner, photograph)).flatten();
            if let Some(altered) = &altered {
                features.extend(run.run(altered, &upright).await?);
            }
            let mut part = vec![Vec::with_capacity(banks.len()); features.len()];
            for (level, (bank, comparison)) in banks.iter().zip(&comparisons).enumerate() {
                // A single photograph has no others to be compared with.
                let others = bank.without(gpu, (!alone).then_some(owner)).await?;
                comparison.set_prototypes(&others.rows).await?;
                for (levels, features) in part.iter_mut().zip(&features) {
                    let queries = others.whitening.apply(gpu, &bank.standardised(&features[level])).await?;
                    levels.push(comparison.distances(&queries, &others.norms).await?);
                }
            }
            let altered = part.split_off(views.len());
            held_out.add(part);
            altered.into_iter().for_each(|distances| held_out.add_pseudo_defect(distances));
        }
        on_progress(TeachProgress { step: TeachStep::HoldingOut, done: total, total });
        Ok(held_out)
    }
}

/// Width over height.
fn aspect((width, height): (u32, u32)) -> f64 {
    f64::from(width) / f64::from(height)
}

/// The altered views of a single photograph have to stand for as many parts.
fn separate(parts: &[Vec<MapSummary>]) -> Vec<&[MapSummary]> {
    match parts {
        [alone] => alone.iter().map(std::slice::from_ref).collect(),
        several => several.iter().map(Vec::as_slice).collect(),
    }
}

/// The backbone that a file holds: by its metadata where they name one, else the known one whose tensors are there.
pub(crate) fn backbone_of(weights: &Weights) -> Result<BackboneConfig> {
    let metadata = weights.metadata();
    if ["pcsnet.config", "pcsnet.backbone"].iter().any(|key| metadata.contains_key(key)) {
        return Ok(weights.config()?.backbone);
    }
    let known = [BackboneConfig::resnet18(), BackboneConfig::wide_resnet50_2(), BackboneConfig::efficientnet_lite0()];
    let holds = |backbone: &BackboneConfig| {
        let config = ModelConfig::standard(backbone.clone(), crate::config::DescriptorKind::Plain);
        weights.check(&schema::backbone(&config)).is_ok()
    };
    match known.into_iter().find(holds) {
        Some(backbone) => Ok(backbone),
        // Its error names what a WideResNet-50-2 lacks.
        None => Ok(weights.config()?.backbone),
    }
}
