//! One model on one test set.

use super::gallery::{Gallery, Thumbnails};
use crate::output;
use crate::pipeline::{Inspected, Pipeline, Source};
use anyhow::{Result, ensure};
use pcsnet::data::{Dataset, Item, Mask};
use pcsnet::inspect::{Calibration, MapSummary, Placement};
use pcsnet::metrics::{CurvePoint, Metric, PixelMetrics, PixelScores, Ranking, ranking};
use std::collections::BTreeMap;

/// The metrics' names, in the order of [`Row::metrics`].
pub(crate) const METRICS: [&str; 8] = [
    "image_auroc",
    "image_average_precision",
    "image_best_f1",
    "pixel_auroc",
    "pixel_average_precision",
    "pixel_best_f1",
    "aupro",
    "aupro_200_steps",
];

/// Headings of [`METRICS`].
pub(crate) const HEADINGS: [&str; METRICS.len()] =
    ["image AUROC", "image AP", "image F1", "pixel AUROC", "pixel AP", "pixel F1", "AUPRO", "AUPRO, 200 steps"];

/// How many of [`METRICS`] are of images.
const OF_IMAGES: usize = 3;

/// What stands for all kinds of defects together.
const ALL: &str = "all";

/// A metric, or why it has no value.
pub(crate) type Value = Result<f64, String>;

/// An image that is in no figure, because it or its mask cannot be used.
#[derive(Debug)]
pub(crate) struct Failed {
    pub item: Item,
    pub reason: String,
}

/// What was measured.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Images that are missing from all that follows.
    pub failed: Vec<Failed>,
    /// All together, then each kind of defect against the good images.
    pub rows: Vec<Row>,
    /// All images with their scores, in the order of the test set.
    pub images: Vec<(Item, f32)>,
    /// The good images' maps in short.
    pub good: Vec<MapSummary>,
    /// The threshold that images are judged by; `None` where the model has none.
    pub threshold: Option<f32>,
    /// The curves over all images' scores.
    pub image_curve: Vec<CurvePoint>,
    /// The curves over all maps' pixels; empty without masks.
    pub pixel_curve: Vec<CurvePoint>,
}

/// The metrics of one kind of defect, or of all.
#[derive(Debug)]
pub(crate) struct Row {
    pub kind: String,
    /// Good images.
    pub normal: u64,
    pub anomalous: u64,
    /// True regions; `None` without masks.
    pub regions: Option<u64>,
    pub metrics: [Value; METRICS.len()],
    /// The score from which on F1 is best.
    pub image_threshold: Option<f32>,
    pub pixel_threshold: Option<f32>,
}

/// What an image adds.
struct Contribution {
    score: f32,
    map: Vec<f32>,
    width: usize,
    /// `None` for good images, and where there are no masks.
    mask: Option<Vec<bool>>,
    summary: MapSummary,
    thumbnails: Option<Thumbnails>,
}

/// Takes a test set through the network, and its pictures into the gallery, with regions where the model has a
/// threshold. An image that cannot be read is told of, because without it the figures are others; the rest is still
/// measured.
pub(crate) fn measure(
    pipeline: &Pipeline<'_>,
    set: &Dataset,
    mut gallery: Option<&mut Gallery>,
    calibration: &Calibration,
    on_image: impl Fn(usize) + Sync,
) -> Result<Measured> {
    let (mut images, mut good, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    let mut pixels = PixelScores::new();
    // Masks, and those that cover more than half of their images.
    let (mut masks, mut wide) = (0, 0);
    let items = set.test.iter().map(|item| Ok((item, Source::File(item.path.clone()))));
    let wants_pictures = gallery.is_some();
    let work =
        |item: &&Item, inspected: Inspected| contribution(item, inspected, wants_pictures.then_some(calibration));
    pipeline.run(items, work, |item, result| {
        on_image(images.len() + failed.len() + 1);
        let Contribution { score, map, width, mask, summary, thumbnails } = match result {
            Ok(contribution) => contribution,
            Err(error) => {
                let reason = crate::one_line(&error);
                output::complain(&format!("failed: {reason}"));
                failed.push(Failed { item: item.clone(), reason });
                return Ok(());
            }
        };
        if let Some(mask) = &mask {
            masks += 1;
            wide += usize::from(2 * mask.iter().filter(|&&is_defect| is_defect).count() > mask.len());
        }
        match (&item.kind, mask) {
            (None, _) if set.has_masks => pixels.add_normal(&map)?,
            (Some(kind), Some(mask)) => pixels.add_anomalous(kind, &map, &mask, width)?,
            _ => {}
        }
        if let (Some(gallery), Some(thumbnails)) = (gallery.as_deref_mut(), thumbnails) {
            gallery.add(thumbnails)?;
        }
        good.extend(item.kind.is_none().then_some(summary));
        images.push((item.clone(), score));
        Ok(())
    })?;
    ensure!(
        images.len() + failed.len() == set.test.len(),
        "stopped after {} of {} images",
        images.len() + failed.len(),
        set.test.len()
    );
    if 2 * wide > masks {
        output::complain(&format!(
            "warning: {wide} of {masks} masks call more than half of their image a defect: are they inverted?"
        ));
    }
    let (all_pixels, pixels_by_kind) = pixels.finish()?;
    let all = image_ranking(&images, None)?;
    let pixels_of = |kind: &str| set.has_masks.then(|| pixels_by_kind.get(kind)).flatten();
    let mut rows = vec![Row::new(ALL, &all, set.has_masks.then_some(&all_pixels))];
    for kind in set.kinds() {
        rows.push(Row::new(kind, &image_ranking(&images, Some(kind))?, pixels_of(kind)));
    }
    let (image_curve, pixel_curve) = (all.curve, all_pixels.ranking.curve);
    let threshold = calibration.threshold;
    Ok(Measured { failed, rows, images, good, threshold, image_curve, pixel_curve })
}

/// What an image adds; pictures of it as well, where a calibration is given for them.
fn contribution(item: &Item, inspected: Inspected, pictures: Option<&Calibration>) -> Result<Contribution> {
    let inspected = inspected.whole()?;
    let placement = &inspected.inspection.placement;
    let mask = item.mask.as_ref().map(|mask| mask_in_map(mask, placement)).transpose()?;
    let thumbnails = pictures.map(|calibration| Thumbnails::of(item, &inspected, calibration)).transpose()?;
    let (width, summary) = (placement.map_dimensions().0 as usize, inspected.inspection.summary());
    Ok(Contribution { score: summary.score, map: inspected.inspection.map, width, mask, summary, thumbnails })
}

/// A mask in the frame of the map it is compared with.
fn mask_in_map(mask: &Mask, placement: &Placement) -> Result<Vec<bool>> {
    Ok(match placement {
        Placement::Whole { frame, fit } => mask.read_fitted(frame.original(), *fit, frame.size())?,
        Placement::Tiled(tiles) => mask.read_whole(tiles.dimensions())?,
    })
}

/// The scores of the good images and those of one kind, or of all. An image is anomalous by its folder, even where a
/// crop left nothing of its defect.
fn image_ranking(images: &[(Item, f32)], kind: Option<&str>) -> Result<Ranking> {
    let chosen = |item: &Item| kind.is_none() || item.kind.is_none() || item.kind.as_deref() == kind;
    let chosen = images.iter().filter(|(item, _)| chosen(item));
    let (scores, anomalous): (Vec<f32>, Vec<bool>) = chosen.map(|(item, score)| (*score, item.kind.is_some())).unzip();
    Ok(ranking(&scores, &anomalous)?)
}

impl Row {
    fn new(kind: &str, images: &Ranking, pixels: Option<&PixelMetrics>) -> Self {
        let of = |ranking: &Ranking| -> [Metric; OF_IMAGES] {
            [ranking.auroc, ranking.average_precision, ranking.best_f1.map(|best| best.f1)]
        };
        let value = |metric: Metric| metric.map_err(|reason| reason.to_string());
        let no_masks = || Err("the set has no masks".to_owned());
        let mut metrics = of(images).into_iter().map(value).collect::<Vec<_>>();
        match pixels {
            Some(pixels) => {
                metrics.extend(of(&pixels.ranking).into_iter().map(value));
                metrics.extend([pixels.aupro, pixels.aupro_200_steps].map(value));
            }
            None => metrics.resize_with(METRICS.len(), no_masks),
        }
        let mut metrics = metrics.into_iter();
        Self {
            kind: kind.to_owned(),
            normal: images.normal,
            anomalous: images.anomalous,
            regions: pixels.map(|pixels| pixels.regions),
            metrics: std::array::from_fn(|_| metrics.next().unwrap_or_else(no_masks)),
            image_threshold: images.best_f1.ok().map(|best| best.threshold),
            pixel_threshold: pixels.and_then(|pixels| pixels.ranking.best_f1.ok()).map(|best| best.threshold),
        }
    }

    /// The metrics that have no value, and why.
    pub(crate) fn undefined(&self) -> BTreeMap<&'static str, &str> {
        let named = METRICS.into_iter().zip(&self.metrics);
        named.filter_map(|(name, value)| Some((name, value.as_ref().err()?.as_str()))).collect()
    }
}
