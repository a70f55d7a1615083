//! Models that teaching is compared with: distances to the nearest of few prototypes, with nothing decided, weighed or
//! held out.

use super::bank::{Bank, statistics};
use super::features::{FeatureRun, ViewFeatures};
use super::held_out::{bank_tensors, unit_tensors};
use super::poses::View;
use super::taught::{config_metadata, config_of};
use super::whitening::Whitening;
use super::{Teacher, Tensor};
use crate::Result;
use crate::image::Fit;
use crate::random::SplitMix;
use crate::weights::{NamedTensor, Weights, serialize};

/// The prototypes of a model that teaching is compared with: as many as there are positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// The photographs' mean features at each position.
    Means,
    /// Single features of the photographs, drawn at random.
    Patches,
}

impl Teacher {
    /// Makes the model that teaching is compared with, from the photographs as they are. Features have unit deviation
    /// and levels weigh the same; there is no threshold.
    ///
    /// # Errors
    /// As [`Teacher::teach`].
    pub async fn baseline(&self, baseline: Baseline) -> Result<Weights> {
        self.ensure_photographs()?;
        let gpu = self.engine.gpu();
        let run = FeatureRun::new(gpu, self.backbone.network(), &self.config).await?;
        let upright = View::turns(1, self.config.input, self.config.grid);
        let mut photographs = Vec::with_capacity(self.photographs.len());
        for photograph in &self.photographs {
            photographs.extend(run.run(&photograph.pixels, &upright).await?);
        }
        let positions = (self.config.grid * self.config.grid) as usize;
        let drawn = SplitMix(self.options.seed).draw((0..positions * photographs.len()).collect(), positions);
        let levels = self.config.levels().len();
        let banks: Vec<Bank> = (0..levels).map(|level| bank(baseline, &photographs, level, &drawn)).collect();
        let config = config_of(&self.config, &banks);
        let weigh = |bank: &Bank| vec![1.0 / (bank.channels() as f32).sqrt(); positions];
        let normal = banks.iter().flat_map(weigh).collect();
        // Bounds that are equal leave nothing of the image's own quantile.
        let bounds = [1.0, 1.0, 1.0, 0.0].repeat(levels);
        let head = [bank_tensors(&banks, &config), unit_tensors(&config, [normal, bounds])].concat();
        let tensors: Vec<NamedTensor<'_>> = self.tensors.iter().chain(&head).map(Tensor::named).collect();
        let fit = ("pcsnet.fit".to_owned(), Fit::Stretch.name().to_owned());
        Weights::from_bytes("a baseline", serialize(&tensors, &[config_metadata(&config), fit].into())?)
    }
}

/// The prototypes of one level; `drawn` numbers positions of all photographs, one photograph's after the other's.
fn bank(baseline: Baseline, photographs: &[ViewFeatures], level: usize, drawn: &[usize]) -> Bank {
    let maps: Vec<&[f32]> = photographs.iter().map(|levels| levels[level].as_slice()).collect();
    let (values, positions) = (maps[0].len(), drawn.len());
    let channels = values / positions;
    let (mean, deviation) = statistics(&maps.concat(), channels);
    let rows: Vec<f32> = match baseline {
        Baseline::Means => {
            (0..values).map(|index| maps.iter().map(|map| map[index]).sum::<f32>() / maps.len() as f32).collect()
        }
        Baseline::Patches => {
            let row = |number: &usize| &maps[number / positions][number % positions * channels..][..channels];
            drawn.iter().flat_map(row).copied().collect()
        }
    };
    let unit = Bank::new([mean, deviation], Whitening::none(channels), Vec::new(), Vec::new());
    let rows = unit.standardised(&rows).iter().map(|value| half::f16::from_f32(*value).to_f32()).collect();
    Bank::new([unit.mean, unit.deviation], unit.whitening, rows, vec![0; positions])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

    /// By hand: 1, 3 and 3, 5 have mean 3 and deviation sqrt(2), and means 2 and 4 by position.
    #[test]
    fn means_and_patches() {
        let photographs = [vec![vec![1.0, 3.0]], vec![vec![3.0, 5.0]]];
        let rows = |baseline, drawn: &[usize]| bank(baseline, &photographs, 0, drawn).columns();
        let near = |found: Vec<f32>, truth: [f32; 2]| found.iter().zip(truth).all(|(a, b)| (a - b).abs() < 1e-3);
        assert!(near(rows(Baseline::Means, &[0, 0]), [-FRAC_1_SQRT_2, FRAC_1_SQRT_2]));
        assert!(near(rows(Baseline::Patches, &[3, 0]), [SQRT_2, -SQRT_2]));
        assert!(near(rows(Baseline::Patches, &[1, 2]), [0.0, 0.0]));
    }
}
