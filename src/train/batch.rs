//! What a step is given of some pictures.

use super::features::{Features, together};
use super::recipe::Separation;
use super::step::Batch;

/// NFC and AFS are divided by this.
const NU: f32 = 1e-3;

/// A picture of a step.
pub(super) struct Example<'a> {
    pub features: &'a Features,
    /// Where its pseudo-anomalies are, row after row; none of a normal picture.
    pub mask: Option<&'a [bool]>,
    /// The photograph it is of.
    pub owner: u32,
    /// Whether NFC or, of its masked positions, AFS sees it.
    pub judged: bool,
    /// Whether PDC and SEG see it.
    pub seen: bool,
}

/// How what PDC and SEG see is weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weighing {
    /// The paper's way: a target of 1 for each copy, and all pixels the same.
    Plain,
    /// The copies' targets together 1, and a defect's pixels together as much as all others.
    Balanced,
}

/// The batch of some pictures: NFC of normal ones, AFS of the others' masked positions, PDC and SEG of those seen.
pub(super) fn batch_of(
    examples: &[Example<'_>],
    [input, grid]: [u32; 2],
    weighing: Weighing,
    separation: Separation,
) -> Batch {
    let (pixels, positions) = ((input * input) as usize, (grid * grid) as usize);
    let share = |of: usize| 1.0 / of.max(1) as f32;
    let as_numbers = |mask: Vec<bool>| mask.into_iter().map(f32::from).collect::<Vec<f32>>();
    let masks: Vec<Vec<f32>> =
        examples.iter().map(|example| as_numbers(example.mask.map_or(vec![false; pixels], <[bool]>::to_vec))).collect();
    let on_grid = |mask: &Vec<f32>| match separation {
        Separation::Masked => on_grid(mask, input, grid),
        Separation::AsCoded => vec![0.0; positions],
    };
    let grid_masks: Vec<Vec<f32>> = masks.iter().map(on_grid).collect();
    let count = |of: &dyn Fn(&Example<'_>) -> bool| examples.iter().filter(|example| of(example)).count();
    // Marked places of some of the pictures.
    let marked = |masks: &[Vec<f32>], of: &dyn Fn(&Example<'_>) -> bool| {
        let masks = masks.iter().zip(examples).filter(|(_, example)| of(example)).map(|(mask, _)| mask);
        masks.flatten().filter(|value| **value > 0.5).count()
    };
    let compactness = share(3 * positions * count(&|example| example.judged && example.mask.is_none())) / NU;
    let (separation, naught): (f32, Vec<f32>) = match separation {
        Separation::Masked => {
            let on_grid = marked(&grid_masks, &|example| example.judged);
            (if on_grid > 0 { share(3 * on_grid) / NU } else { 0.0 }, vec![0.0; examples.len()])
        }
        Separation::AsCoded => {
            let rows = grid as usize * count(&|example| example.judged && example.mask.is_some());
            (share(3 * rows) / NU, masks.iter().map(|mask| zeros_of_rows(mask, input, grid)).collect())
        }
    };
    let (seen, defects) = (count(&|example| example.seen), marked(&masks, &|example| example.seen));
    let copies = count(&|example| example.seen && example.mask.is_some());
    let (target, weights) = match weighing {
        Weighing::Plain => (1.0, [share(pixels * seen); 2]),
        Weighing::Balanced => (share(copies), [share(pixels * seen - defects), share(defects)]),
    };
    let role = |(example, naught): (&Example<'_>, f32)| {
        let (judged, seen) = (f32::from(example.judged), f32::from(example.seen));
        let [near, far, target] = match example.mask {
            None => [judged * compactness, 0.0, 0.0],
            Some(_) => [0.0, judged * separation, seen * target],
        };
        [near, far, seen, target, naught, 0.0, 0.0, 0.0]
    };
    let pixel_weights = |example: &Example<'_>| if example.seen { weights } else { [0.0; 2] };
    Batch {
        roles: examples.iter().zip(naught).map(role).collect(),
        pixel_weights: examples.iter().map(pixel_weights).collect(),
        owners: examples.iter().map(|example| Some(example.owner)).collect(),
        masks: masks.concat(),
        grid_masks: grid_masks.concat(),
        features: together(examples.iter().map(|example| example.features)),
        dropout: Vec::new(),
    }
}

/// `interpolate(mask, grid, mode="nearest-exact")`.
fn on_grid(mask: &[f32], input: u32, grid: u32) -> Vec<f32> {
    let place = |position: u32| ((2 * position + 1) * input / (2 * grid)) as usize;
    let rows = (0..grid).map(|y| place(y) * input as usize);
    rows.flat_map(|row| (0..grid).map(move |x| mask[row + place(x)])).collect()
}

/// Of the positions' rows, how many of the three smallest values of `interpolate(mask, grid, mode="bilinear",
/// align_corners=False)` are 0.
fn zeros_of_rows(mask: &[f32], input: u32, grid: u32) -> f32 {
    // The pixels that a position is made of: one or two along each side.
    let pixels = |position: u32| {
        let place = ((f64::from(position) + 0.5) * f64::from(input) / f64::from(grid) - 0.5).max(0.0);
        place.floor() as usize..=(place.ceil() as usize).min(input as usize - 1)
    };
    let is_zero = |y: u32, x: u32| pixels(y).all(|y| pixels(x).all(|x| mask[y * input as usize + x] == 0.0));
    let zeros = |y: u32| (0..grid).filter(|&x| is_zero(y, x)).take(3).count();
    (0..grid).map(zeros).sum::<usize>() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    static NO_FEATURES: Features = Vec::new();

    /// From `interpolate(torch.arange(7.), 4, mode="nearest-exact")`: 0, 2, 4, 6.
    #[test]
    fn the_nearest_pixel_stands_for_a_position() {
        let mask: Vec<f32> = (0..49).map(|place| (place % 7) as f32).collect();
        assert_eq!(on_grid(&mask, 7, 4)[..4], [0.0, 2.0, 4.0, 6.0]);
    }

    #[test]
    fn each_picture_has_its_part_in_the_losses() {
        let mask: Vec<bool> = (0..16).map(|place| place < 2).collect();
        let features = vec![vec![1.0]];
        let example = |mask| Example { features: &features, mask, owner: 3, judged: true, seen: true };
        let batch =
            batch_of(&[example(None), example(Some(&mask[..]))], [4, 2], Weighing::Balanced, Separation::Masked);
        assert_eq!(batch.features, [[1.0, 1.0]]);
        // No position's middle lies in the mask's row.
        assert!((batch.roles[0][0] - 1000.0 / 12.0).abs() < 1e-3);
        assert_eq!((&batch.roles[0][1..4], &batch.roles[1][..4]), (&[0.0, 1.0, 0.0][..], &[0.0, 0.0, 1.0, 1.0][..]));
        assert_eq!(batch.pixel_weights, [[1.0 / 30.0, 0.5]; 2]);
        assert_eq!((batch.masks.iter().sum::<f32>(), batch.owners), (2.0, vec![Some(3); 2]));
    }

    /// A photograph, its copy, and the copy once more for PDC and SEG alone.
    #[test]
    fn a_picture_is_judged_apart_from_where_it_is_seen() {
        let mask: Vec<bool> = (0..16).map(|place| place / 4 == 1).collect();
        let example = |mask, judged| Example { features: &NO_FEATURES, mask, owner: 0, judged, seen: !judged };
        let examples = vec![example(None, true), example(Some(&mask[..]), true), example(Some(&mask[..]), false)];
        let batch = batch_of(&examples, [4, 2], Weighing::Plain, Separation::Masked);
        // 3 distances of 4 positions, and of 2 that are masked.
        let expected = [[1000.0 / 12.0, 0.0, 0.0, 0.0], [0.0, 1000.0 / 6.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]];
        for (found, expected) in batch.roles.iter().zip(expected) {
            assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-3), "{found:?}");
        }
        assert_eq!(batch.pixel_weights, [[0.0; 2], [0.0; 2], [1.0 / 16.0; 2]]);
    }

    /// Of two photographs the second is seen as its copy.
    #[test]
    fn half_of_the_pictures_are_seen_as_copies() {
        let mask: Vec<bool> = (0..16).map(|place| place / 4 == 1).collect();
        let example = |mask, seen| Example { features: &NO_FEATURES, mask, owner: 0, judged: true, seen };
        let copies = [Some(&mask[..]); 2];
        let examples =
            vec![example(None, true), example(None, false), example(copies[0], false), example(copies[1], true)];
        let batch = batch_of(&examples, [4, 2], Weighing::Plain, Separation::Masked);
        assert_eq!(
            batch.roles.iter().map(|role| [role[2], role[3]]).collect::<Vec<_>>(),
            [[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]
        );
        let all = [1.0 / 32.0; 2];
        assert_eq!(batch.pixel_weights, [all, [0.0; 2], [0.0; 2], all]);
        // Four masked positions.
        assert!((batch.roles[2][1] - 1000.0 / 12.0).abs() < 1e-3 && batch.roles[2][1] == batch.roles[3][1]);
    }

    /// A mask of 8 x 8 pixels: columns 2 to 7 of its upper half, and the sixth row. On a grid of 8 it leaves 2 zeros in
    /// 4 rows, none in 1, and 3 or more in 3. On one of 4, as `interpolate` has it, the rows have 1, 1, 0 and 4.
    #[test]
    fn zeros_that_are_as_small_as_any() {
        let mask = |place: usize| (place / 8 < 4 && place % 8 >= 2) || place / 8 == 5;
        let mask: Vec<f32> = (0..64).map(|place| f32::from(mask(place))).collect();
        assert_eq!(zeros_of_rows(&mask, 8, 8), 4.0 * 2.0 + 3.0 * 3.0);
        assert_eq!(zeros_of_rows(&mask, 8, 4), 2.0 * 1.0 + 3.0);
    }
}
