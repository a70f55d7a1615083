//! How a network is trained, as data.

use super::category::Category;
use crate::config::DescriptorKind;
use crate::{Error, Result};

/// A recipe: what is trained on, for how long, and how fast.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Recipe {
    /// Its name, as in a model's metadata.
    pub name: &'static str,
    /// Where training begins, and what a step is.
    pub method: Method,
    /// How many epochs there are, unless told otherwise.
    pub epochs: u32,
    /// The descriptor's learning rate at the beginning.
    pub adaptor_rate: f64,
    /// The decoder's learning rate at the beginning.
    pub cas_rate: f64,
    /// How rates go on.
    pub schedule: Schedule,
    /// How much farther than the learned radius pseudo-anomalies should be from all prototypes (alpha).
    pub margin: f32,
    /// Which distances AFS sees.
    pub separation: Separation,
    /// The share of the decoder's last hidden channels that a step leaves out, image by image.
    pub dropout: f64,
}

/// Where training begins, and what a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The paper's way. Prototypes are the photographs' mean descriptors before the first step, position by position.
    /// An epoch is each photograph once, in random order, a last odd one left out; a step has each and its copy with a
    /// pasted rectangle. PDC and SEG see half of the photographs, rounded up, as their copies.
    Mixed,
    /// Prototypes are single descriptors of the photographs, chosen to cover all, and none is compared with its own.
    /// Distances are about 1; descriptor and decoder begin as identities, so that the first map is the distance to
    /// the nearest prototype. A step has photographs shifted and relit, and their copies with anomalies of many
    /// kinds; all losses see all of them.
    HeldOut {
        /// Steps of an epoch, however many photographs there are.
        steps: u32,
        /// Copies of each photograph that the decoder's first map is fitted to.
        copies: u32,
    },
}

/// Which distances AFS pushes beyond the radius and its margin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separation {
    /// The three nearest of each position under a mask, as the paper has it.
    Masked,
    /// What the authors' code takes: the three smallest, along a row of positions, of the distances to a prototype
    /// times the mask. Those are zeros from outside the mask, so that AFS changes nothing but the radius. Where a mask
    /// leaves fewer than three positions of a row, the rest is taken to lie beyond the margin, which is far less than
    /// distances of ImageNet features are.
    AsCoded,
}

/// How learning rates go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Rates stay as they began.
    Constant,
    /// Rates fall to 0 along a cosine, an epoch after another.
    Cosine,
}

impl Recipe {
    /// The default, which keeps few-shot training above plain distances.
    pub const HELD_OUT: Self = Self {
        name: "held-out",
        method: Method::HeldOut { steps: 8, copies: 3 },
        epochs: 8,
        adaptor_rate: 1e-3,
        cas_rate: 1e-4,
        schedule: Schedule::Cosine,
        margin: 1.6,
        separation: Separation::Masked,
        dropout: 0.0,
    };

    /// The paper's (section IV-A), with AFS as the paper means it.
    pub const PAPER: Self = Self {
        name: "paper",
        method: Method::Mixed,
        epochs: 50,
        adaptor_rate: 1e-3,
        cas_rate: 1e-4,
        schedule: Schedule::Constant,
        margin: 0.2,
        separation: Separation::Masked,
        dropout: 0.1,
    };

    /// The paper's, with AFS as the authors' code computes it.
    pub const AUTHORS: Self = Self { name: "authors", separation: Separation::AsCoded, ..Self::PAPER };

    /// All recipes.
    pub const ALL: [Self; 3] = [Self::HELD_OUT, Self::PAPER, Self::AUTHORS];

    /// The recipe of a name.
    ///
    /// # Errors
    /// [`Error::Input`] names the known ones.
    pub fn by_name(name: &str) -> Result<Self> {
        let unknown = || Error::unknown("recipe", name, &Self::ALL.map(|recipe| recipe.name));
        Self::ALL.into_iter().find(|recipe| recipe.name == name).ok_or_else(unknown)
    }

    /// The descriptor for a category: ours was measured to do better with plain ones, whatever the category.
    pub fn descriptor(&self, category: &Category) -> DescriptorKind {
        match self.method {
            Method::Mixed => category.descriptor(),
            Method::HeldOut { .. } => DescriptorKind::Plain,
        }
    }

    /// The rates of descriptor and decoder in an epoch, counted from 0.
    pub(super) fn rates(&self, epoch: u32, epochs: u32) -> [f64; 2] {
        let progress = f64::from(epoch) / f64::from(epochs);
        let factor = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
        };
        [self.adaptor_rate * factor, self.cas_rate * factor]
    }
}
