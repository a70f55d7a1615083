//! One step of training, written down once: descriptors, distances, decoder and losses, their gradients in reverse
//! reading order, and the optimiser.

use super::decoder::Decoder;
use super::descriptor::{BatchSize, Descriptor};
use super::memory::{Group, Layout, Memory, State, Values};
use super::recipe::Recipe;
use crate::gpu::{Format, Gpu, Graph, Schedule, Tensor, read_buffers};
use crate::model::{Prototypes, centered_norms};
use crate::ops::{
    Distances, Gradient, Margins, Matrix, Segmented, adaptive_pool_gradient, distance_losses, nearest_gradient,
    resize_gradient, squared_error, upsample_map,
};
use crate::parameters::{Parameters, Storage};
use crate::teach::{LEFT_OUT, transposed};
use crate::{Error, ModelConfig, Result};

/// The weights of PDC and SEG in the sum of losses; NFC and AFS have 1.
const DISPARITY: f32 = 50.0;
const SEGMENTATION: f32 = 40.0;
/// How many of an image's largest distances stand for it in PDC.
const HARDEST: u32 = 50;

/// What a step is given, image after image.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    /// Of each level, image after image, as [`super::features::prepared`] makes them.
    pub features: Vec<Vec<f32>>,
    /// `[images][input][input]`, 1 in pseudo-anomalies.
    pub masks: Vec<f32>,
    /// The same on the grid.
    pub grid_masks: Vec<f32>,
    /// Weights of NFC and AFS, whether the image takes part in PDC, its target there; how many distances of 0 AFS sees
    /// beside those of the masks, and three zeros.
    pub roles: Vec<[f32; 8]>,
    /// Weights of normal pixels and of defects' in SEG.
    pub pixel_weights: Vec<[f32; 2]>,
    /// The photograph whose prototypes the image is not compared with.
    pub owners: Vec<Option<u32>>,
    /// Factors of the decoder's last hidden channels, `[images][width]`; none where the recipe drops none.
    pub dropout: Vec<f32>,
}

/// The four losses of a step, before their weights.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Losses {
    /// Normal features lie near prototypes.
    pub nfc: f64,
    /// Pseudo-anomalous ones do not.
    pub afs: f64,
    /// Images with pseudo-anomalies have the largest distances of the batch.
    pub pdc: f64,
    /// The map is the mask.
    pub seg: f64,
}

/// The prototypes and whose they are.
pub(super) struct Bank {
    /// `[D][P]`, as `adaptor.C`.
    pub columns: Vec<f32>,
    /// The photograph each is of; none where they are means of all.
    pub owners: Option<Vec<u32>>,
}

pub(super) struct Step {
    schedule: Schedule,
    /// Steps of the schedule up to the distances.
    forwards: usize,
    memory: Memory,
    features: Vec<Tensor>,
    masks: Tensor,
    grid_masks: Tensor,
    roles: Tensor,
    pixel_weights: Tensor,
    dropout: Option<Tensor>,
    norms: Vec<Tensor>,
    rates: Tensor,
    score: Tensor,
    terms: Tensor,
    squared_error: Tensor,
    bank: Bank,
    prototype_norms: Vec<f32>,
}

impl Step {
    /// Writes a step down for a batch and makes everything ready, with these values to begin with.
    pub(super) async fn new(
        gpu: &Gpu,
        config: &ModelConfig,
        recipe: &Recipe,
        bank: Bank,
        size: BatchSize,
        mut values: Values,
    ) -> Result<Self> {
        let batch = size.images;
        let head = config.trained().ok_or_else(|| Error::Config("only PCSNet's own head is trained".to_owned()))?;
        let prototype_norms = centered_norms(bank.columns.clone(), head.prototypes as usize);
        values.of("adaptor.C").clone_from(&bank.columns);
        let mut parameters = Parameters::new(Storage { gpu: Some(gpu), ..Storage::default() });
        let prototypes = Prototypes::new(&mut parameters, config, head);
        let shape = [1, head.prototypes, config.descriptor_channels()];
        let rows = parameters.matrix("prototypes.rows".to_owned(), shape, Format::F32);
        parameters.fixed(&rows, transposed(&bank.columns, head.prototypes as usize));
        parameters.load(gpu, &values).await?;

        let mut graph = Graph::new(gpu, false);
        let mut memory = Memory::default();
        let grid = config.grid;
        let descriptor = Descriptor::new(&mut memory, &mut graph, config, size);
        let radius = memory.declare(&mut graph, Layout::Scalar { name: RADIUS.to_owned() }, Group::Adaptor);
        let decoder = Decoder::new(&mut memory, &mut graph, head, grid);
        let mut external = |label: &str, shape| graph.external(label, shape);
        let masks = external("masks", [batch, config.input, config.input, 1]);
        let grid_masks = external("grid_masks", [batch, grid, grid, 1]);
        let roles = external("roles", [batch, 1, 1, 8]);
        let pixel_weights = external("pixel_weights", [batch, 1, 1, 4]);
        let rates = external("rates", [Group::COUNT, 1, 1, 4]);
        let dropout = (recipe.dropout > 0.0).then(|| external("dropout", [batch, 1, 1, head.width]));
        let norms: Vec<Tensor> = (0..batch).map(|_| external("norms", [1, 1, 1, head.prototypes])).collect();

        let descriptors = descriptor.write(&mut graph);
        let nearest = prototypes.write_ranked(&mut graph, &descriptors.made, &norms);
        let forwards = graph.kernels().count();
        let passed = decoder.write(&mut graph, descriptors.made.whole, nearest.distances, dropout);
        let maps = graph.tensor("maps", [batch, config.input, config.input, 1]);
        upsample_map(&mut graph, "maps", passed.logits, maps, true);

        let segmented = Segmented { maps, masks, weights: pixel_weights };
        let (squared_error, d_maps) = squared_error(&mut graph, "losses.seg", segmented, SEGMENTATION);
        let judged = Distances { nearest: nearest.distances, masks: grid_masks, roles, radius: radius.values };
        let margins = Margins { margin: recipe.margin, hardest: HARDEST, disparity: DISPARITY };
        let losses = distance_losses(&mut graph, "losses.distances", judged, margins);
        memory.set_gradient(radius, losses.radius_gradient);

        let d_logits = graph.tensor("maps.gradient", [batch, grid, grid, 1]);
        resize_gradient(&mut graph, "maps.gradient", d_maps.all(), d_logits, true, Gradient::New);
        let d_pooled = decoder.write_back(&mut memory, &mut graph, &passed, d_logits);
        for (number, pooled) in d_pooled.iter().enumerate() {
            let part = pooled.channel_range(head.guide, head.nearest);
            let label = format!("decoder.score{number}.gradient");
            resize_gradient(&mut graph, &label, part, losses.gradient, true, Gradient::Added);
        }
        let (whole, rows) = (descriptors.made.whole, Matrix::of(rows));
        let d_whole = nearest_gradient(&mut graph, "prototypes.gradient", whole, &rows, nearest, losses.gradient);
        for (number, pooled) in d_pooled.iter().enumerate() {
            let part = pooled.channel_range(0, head.guide);
            adaptive_pool_gradient(&mut graph, &format!("decoder.guide{number}.gradient"), part, d_whole);
        }
        descriptor.write_back(&mut memory, &mut graph, &descriptors, d_whole);
        memory.optimise(&mut graph, rates);

        let schedule = graph.finish().await?;
        memory.write(gpu, &schedule, &values).await?;
        descriptor.write_coordinates(gpu, &schedule).await?;
        Ok(Self {
            schedule,
            forwards,
            memory,
            features: descriptor.features(),
            masks,
            grid_masks,
            roles,
            pixel_weights,
            dropout,
            norms,
            rates,
            score: nearest.distances,
            terms: losses.terms,
            squared_error,
            bank,
            prototype_norms,
        })
    }

    /// Takes the features of a batch, and compares each image with all prototypes but its owner's.
    async fn take_features(&self, gpu: &Gpu, batch: &Batch) -> Result<()> {
        self.schedule.write_each(gpu, &self.features, &batch.features).await?;
        for (tensor, owner) in self.norms.iter().zip(&batch.owners) {
            let mut norms = self.prototype_norms.clone();
            if let (Some(owner), Some(owners)) = (owner, &self.bank.owners) {
                let own = norms.iter_mut().zip(owners).filter(|(_, of)| *of == owner);
                own.for_each(|(norm, _)| *norm = LEFT_OUT);
            }
            self.schedule.write(gpu, *tensor, &norms).await?;
        }
        Ok(())
    }

    /// The distance of each position of a batch to the nearest prototype, `[images][grid * grid]`.
    pub(super) async fn nearest(&self, gpu: &Gpu, batch: &Batch) -> Result<Vec<f32>> {
        self.take_features(gpu, batch).await?;
        gpu.submit("pcsnet distances", |encoder| self.schedule.record(encoder, 0..self.forwards)).await?;
        let score: Vec<f32> =
            read_buffers(gpu, &[(self.schedule.buffer(self.score), self.score.bytes())]).await?.remove(0);
        Ok(score.into_iter().step_by(self.score.channels as usize).collect())
    }

    /// Trains on a batch. `number` counts steps from 1 on; `rates` are those of descriptor and decoder.
    ///
    /// # Errors
    /// [`Error::Training`] for features that are no numbers, which a relu on the way may hide, and where a loss is no
    /// number; the values are then spoilt.
    pub(super) async fn run(&self, gpu: &Gpu, batch: &Batch, number: u32, rates: [f64; 2]) -> Result<Losses> {
        if let Some(level) = batch.features.iter().position(|level| level.iter().any(|value| !value.is_finite())) {
            let level = level + 1;
            return Err(Error::Training(format!(
                "step {number} was given features of level {level} that are no numbers"
            )));
        }
        self.take_features(gpu, batch).await?;
        let corrections = [0.9_f64, 0.999].map(|beta| (1.0 - beta.powf(f64::from(number))) as f32);
        let of_groups = rates.map(|rate| [rate as f32, corrections[0], corrections[1], 0.0]);
        let weights: Vec<f32> =
            batch.pixel_weights.iter().flat_map(|&[normal, defect]| [normal, defect, 0.0, 0.0]).collect();
        for (tensor, values) in [
            (self.masks, &batch.masks[..]),
            (self.grid_masks, &batch.grid_masks[..]),
            (self.roles, batch.roles.as_flattened()),
            (self.pixel_weights, &weights[..]),
            (self.rates, of_groups.as_flattened()),
        ] {
            self.schedule.write(gpu, tensor, values).await?;
        }
        if let Some(dropout) = self.dropout {
            self.schedule.write(gpu, dropout, &batch.dropout).await?;
        }
        self.schedule.submit(gpu).await?;
        let sources = [self.terms, self.squared_error].map(|tensor| (self.schedule.buffer(tensor), tensor.bytes()));
        let read: Vec<Vec<f32>> = read_buffers(gpu, &sources).await?;
        let [nfc, afs, pdc] = [0, 1, 2].map(|term| f64::from(read[0][term]));
        let seg = read[1].iter().map(|&value| f64::from(value)).sum();
        let losses = Losses { nfc, afs, pdc, seg };
        if [nfc, afs, pdc, seg].iter().all(|loss| loss.is_finite()) {
            Ok(losses)
        } else {
            Err(Error::Training(format!("step {number} gave losses that are no numbers: {losses:?}")))
        }
    }

    /// `[D][P]`.
    pub(super) fn prototypes(&self) -> &[f32] {
        &self.bank.columns
    }

    pub(super) async fn state(&self, gpu: &Gpu) -> Result<State> {
        self.memory.state(gpu, &self.schedule).await
    }

    /// Whether a state after an epoch is one that training can go on from, see [`Memory::ensure_sound`].
    pub(super) fn ensure_sound(&self, state: &State) -> Result<()> {
        self.memory.ensure_sound(state)
    }

    pub(super) async fn set_state(&self, gpu: &Gpu, state: &State) -> Result<()> {
        self.memory.set_state(gpu, &self.schedule, state).await
    }

    /// Takes other values, with an optimiser that remembers nothing.
    pub(super) async fn set_values(&self, gpu: &Gpu, values: &Values) -> Result<()> {
        self.memory.write(gpu, &self.schedule, values).await
    }

    /// The trained values and the prototypes by their names.
    pub(super) fn named(&self, state: &State) -> Values {
        let mut values = self.memory.named(state);
        values.of("adaptor.C").clone_from(&self.bank.columns);
        values
    }
}

/// The name of the learned radius.
pub(super) const RADIUS: &str = "adaptor.r";
