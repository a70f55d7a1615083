//! What the paper's authors report: Jiang, Cao, Shen, "Prototypical Learning Guided Context-Aware Segmentation Network
//! for Few-Shot Anomaly Detection", 2024. WideResNet-50-2, the epoch that is best on the test images, percent.

/// The numbers of shots the authors have figures for.
const SHOTS: [u32; 3] = [2, 4, 8];

/// MVTec AD's categories, with their image AUROC by [`SHOTS`].
const MVTEC: [(&str, [f64; SHOTS.len()]); 15] = [
    ("bottle", [99.8, 99.9, 100.0]),
    ("cable", [89.7, 91.0, 93.9]),
    ("capsule", [72.3, 76.5, 88.6]),
    ("carpet", [99.3, 98.9, 98.5]),
    ("grid", [93.7, 92.8, 97.9]),
    ("hazelnut", [95.1, 98.6, 99.9]),
    ("leather", [100.0, 100.0, 100.0]),
    ("metal_nut", [88.7, 93.7, 96.5]),
    ("pill", [87.3, 90.6, 87.9]),
    ("screw", [48.2, 56.2, 65.3]),
    ("tile", [98.5, 99.0, 99.3]),
    ("toothbrush", [87.8, 90.6, 98.3]),
    ("transistor", [99.3, 95.9, 99.7]),
    ("wood", [98.7, 99.1, 99.0]),
    ("zipper", [98.3, 99.0, 98.8]),
];
/// Image and pixel AUROC, mean over MVTec AD's categories, with their deviations over draws.
const MVTEC_MEAN: [[&str; 2]; SHOTS.len()] =
    [["90.4±0.6", "95.7±0.3"], ["92.1±0.9", "96.5±0.2"], ["94.9±0.2", "97.1±0.2"]];

/// MPDD's categories.
const MPDD: [&str; 6] = ["bracket_black", "bracket_brown", "bracket_white", "connector", "metal_plate", "tubes"];
/// The same of MPDD's.
const MPDD_MEAN: [[&str; 2]; SHOTS.len()] =
    [["67.7±1.0", "92.7±0.4"], ["70.8±1.0", "95.1±0.2"], ["80.2±1.2", "96.2±0.1"]];

/// The image AUROC of a category, where the authors have it.
pub(crate) fn image_auroc(category: &str, shots: u32) -> Option<f64> {
    let (_, figures) = MVTEC.iter().find(|(name, _)| *name == category)?;
    Some(figures[SHOTS.iter().position(|known| *known == shots)?])
}

/// Image and pixel AUROC, mean over categories, where these are all of one of the authors' sets.
pub(crate) fn mean(categories: &[&str], shots: u32) -> Option<[&'static str; 2]> {
    let place = SHOTS.iter().position(|known| *known == shots)?;
    let are = |names: &[&str]| names.len() == categories.len() && names.iter().all(|name| categories.contains(name));
    match () {
        () if are(&MVTEC.map(|(name, _)| name)) => Some(MVTEC_MEAN[place]),
        () if are(&MPDD) => Some(MPDD_MEAN[place]),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean of the categories' figures is the mean the authors report, to its last digit.
    #[test]
    fn the_table_is_the_authors() {
        for (place, [image, _]) in MVTEC_MEAN.iter().enumerate() {
            let mean = MVTEC.iter().map(|(_, figures)| figures[place]).sum::<f64>() / MVTEC.len() as f64;
            let reported: f64 = image.split('±').next().and_then(|text| text.parse().ok()).expect("a number");
            assert!((mean - reported).abs() < 0.06, "{mean}, not {reported}");
        }
        assert_eq!(image_auroc("screw", 8), Some(65.3));
        assert_eq!((image_auroc("screw", 3), image_auroc("flange", 8)), (None, None));
        assert_eq!(mean(&MPDD, 2), Some(["67.7±1.0", "92.7±0.4"]));
        assert_eq!(mean(&MPDD[1..], 2), None);
    }
}
