//! Whether a photograph shows the part at all.

use super::Calibration;

/// The share of a map that is most like good parts, by which a photograph is judged: a defect leaves at least so much
/// of the part as it was.
const LEAST_ABNORMAL: f64 = 0.1;

/// How far above what is common in good parts that share may lie, as a share of the way to the threshold. Measured with
/// four taught models (flanges, magnetic tiles, screws, and two flanges photographed four times each): of 605
/// photographs of other parts 73 % lie above it, up to 43; of 578 of a model's own parts, whatever their defects, one
/// does: a fibre over a third of a flange, at 0.55 by the model of two. At a quarter it were 90 % and three.
const FARTHEST: f32 = 0.4;

/// Whether a map shows something else than the parts of a calibration: another part, another view, or none. Even the
/// tenth of it that is most like good parts is then less like them than they themselves commonly are, by two fifths of
/// the way from there (the low end of the calibration's colours, the median of good maps) to the threshold. NaN in the
/// map is what was not inspected.
///
/// `None` without a threshold and a range of colours below it: then it is not known what is common in good parts.
pub(super) fn is_unlike(map: &[f32], calibration: &Calibration) -> Option<bool> {
    let (threshold, common) = (calibration.threshold?, calibration.scale?.low);
    let mut values: Vec<f32> = map.iter().copied().filter(|value| !value.is_nan()).collect();
    if common >= threshold || values.is_empty() {
        return None;
    }
    let rank = (LEAST_ABNORMAL * (values.len() - 1) as f64) as usize;
    let (_, value, _) = values.select_nth_unstable_by(rank, f32::total_cmp);
    Some(*value > common + FARTHEST * (threshold - common))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Scale;

    const CALIBRATION: Calibration = Calibration {
        threshold: Some(2.0),
        scale: Some(Scale { low: 1.0, high: 3.0 }),
        tiles: None,
        good_scores: None,
    };

    #[test]
    fn a_defect_leaves_some_of_the_part_as_it_was() {
        // As much as 85 % of the part far above the threshold is a defect, 95 % another part.
        let map = |defective: usize| (0..100).map(|at| if at < defective { 9.0 } else { 0.9 }).collect::<Vec<_>>();
        assert_eq!(
            [0, 85, 95].map(|defective| is_unlike(&map(defective), &CALIBRATION)),
            [false, false, true].map(Some)
        );
    }

    #[test]
    fn two_fifths_of_the_way_to_the_threshold() {
        assert_eq!([1.39, 1.41].map(|value| is_unlike(&[value; 7], &CALIBRATION)), [false, true].map(Some));
        // What was not inspected tells nothing.
        assert_eq!(is_unlike(&[f32::NAN, f32::NAN, 1.1], &CALIBRATION), Some(false));
        assert_eq!(is_unlike(&[f32::NAN; 3], &CALIBRATION), None);
    }

    #[test]
    fn nothing_is_known_without_a_threshold_and_what_is_below() {
        let without = [
            Calibration { threshold: None, ..CALIBRATION },
            Calibration { scale: None, ..CALIBRATION },
            Calibration { scale: Some(Scale { low: 2.0, high: 3.0 }), ..CALIBRATION },
        ];
        assert_eq!(without.map(|calibration| is_unlike(&[9.0; 4], &calibration)), [None; 3]);
    }
}
