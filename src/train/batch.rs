//! What a step is given of some pictures.

use super::features::Features;
use super::step::Batch;

/// NFC and AFS are divided by this.
const NU: f32 = 1e-3;

/// A picture of a step.
pub(super) struct Example<'a> {
    pub features: Features,
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
pub(super) fn batch_of(examples: Vec<Example<'_>>, [input, grid]: [u32; 2], weighing: Weighing) -> Batch {
    let (pixels, positions) = ((input * input) as usize, (grid * grid) as usize);
    let share = |of: usize| 1.0 / of.max(1) as f32;
    let as_numbers = |mask: Vec<bool>| mask.into_iter().map(f32::from).collect::<Vec<f32>>();
    let masks: Vec<Vec<f32>> =
        examples.iter().map(|example| as_numbers(example.mask.map_or(vec![false; pixels], <[bool]>::to_vec))).collect();
    let grid_masks: Vec<Vec<f32>> = masks.iter().map(|mask| on_grid(mask, input, grid)).collect();
    let count = |of: &dyn Fn(&Example<'_>) -> bool| examples.iter().filter(|example| of(example)).count();
    // Marked places of some of the pictures.
    let marked = |masks: &[Vec<f32>], of: &dyn Fn(&Example<'_>) -> bool| {
        let masks = masks.iter().zip(&examples).filter(|(_, example)| of(example)).map(|(mask, _)| mask);
        masks.flatten().filter(|value| **value > 0.5).count()
    };
    let compactness = share(3 * positions * count(&|example| example.judged && example.mask.is_none())) / NU;
    let on_grid = marked(&grid_masks, &|example| example.judged);
    let separation = if on_grid > 0 { share(3 * on_grid) / NU } else { 0.0 };
    let (seen, defects) = (count(&|example| example.seen), marked(&masks, &|example| example.seen));
    let copies = count(&|example| example.seen && example.mask.is_some());
    let (target, weights) = match weighing {
        Weighing::Plain => (1.0, [share(pixels * seen); 2]),
        Weighing::Balanced => (share(copies), [share(pixels * seen - defects), share(defects)]),
    };
    let role = |example: &Example<'_>| {
        let (judged, seen) = (f32::from(example.judged), f32::from(example.seen));
        match example.mask {
            None => [judged * compactness, 0.0, seen, 0.0],
            Some(_) => [0.0, judged * separation, seen, seen * target],
        }
    };
    let pixel_weights = |example: &Example<'_>| if example.seen { weights } else { [0.0; 2] };
    let mut batch = Batch {
        roles: examples.iter().map(role).collect(),
        pixel_weights: examples.iter().map(pixel_weights).collect(),
        owners: examples.iter().map(|example| Some(example.owner)).collect(),
        masks: masks.concat(),
        grid_masks: grid_masks.concat(),
        features: Vec::new(),
        dropout: Vec::new(),
    };
    for example in examples {
        batch.features.resize(example.features.len(), Vec::new());
        batch.features.iter_mut().zip(example.features).for_each(|(all, of_image)| all.extend(of_image));
    }
    batch
}

/// `interpolate(mask, grid, mode="nearest-exact")`.
fn on_grid(mask: &[f32], input: u32, grid: u32) -> Vec<f32> {
    let place = |position: u32| ((2 * position + 1) * input / (2 * grid)) as usize;
    let rows = (0..grid).map(|y| place(y) * input as usize);
    rows.flat_map(|row| (0..grid).map(move |x| mask[row + place(x)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `interpolate(torch.arange(7.), 4, mode="nearest-exact")`: 0, 2, 4, 6.
    #[test]
    fn the_nearest_pixel_stands_for_a_position() {
        let mask: Vec<f32> = (0..49).map(|place| (place % 7) as f32).collect();
        assert_eq!(on_grid(&mask, 7, 4)[..4], [0.0, 2.0, 4.0, 6.0]);
    }

    #[test]
    fn each_picture_has_its_part_in_the_losses() {
        let mask: Vec<bool> = (0..16).map(|place| place < 2).collect();
        let example = |mask| Example { features: vec![vec![1.0]], mask, owner: 3, judged: true, seen: true };
        let batch = batch_of(vec![example(None), example(Some(&mask[..]))], [4, 2], Weighing::Balanced);
        assert_eq!(batch.features, [[1.0, 1.0]]);
        // No position's middle lies in the mask's row.
        assert!((batch.roles[0][0] - 1000.0 / 12.0).abs() < 1e-3);
        assert_eq!((&batch.roles[0][1..], batch.roles[1]), (&[0.0, 1.0, 0.0][..], [0.0, 0.0, 1.0, 1.0]));
        assert_eq!(batch.pixel_weights, [[1.0 / 30.0, 0.5]; 2]);
        assert_eq!((batch.masks.iter().sum::<f32>(), batch.owners), (2.0, vec![Some(3); 2]));
    }

    /// A photograph, its copy, and the copy once more for PDC and SEG alone.
    #[test]
    fn a_picture_is_judged_apart_from_where_it_is_seen() {
        let mask: Vec<bool> = (0..16).map(|place| place / 4 == 1).collect();
        let example = |mask, judged| Example { features: Vec::new(), mask, owner: 0, judged, seen: !judged };
        let examples = vec![example(None, true), example(Some(&mask[..]), true), example(Some(&mask[..]), false)];
        let batch = batch_of(examples, [4, 2], Weighing::Plain);
        // 3 distances of 4 positions, and of 2 that are masked.
        let expected = [[1000.0 / 12.0, 0.0, 0.0, 0.0], [0.0, 1000.0 / 6.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]];
        for (found, expected) in batch.roles.as_flattened().iter().zip(expected.as_flattened()) {
            assert!((found - expected).abs() < 1e-3, "{:?}", batch.roles);
        }
        assert_eq!(batch.pixel_weights, [[0.0; 2], [0.0; 2], [1.0 / 16.0; 2]]);
    }

    /// Of two photographs the second is seen as its copy.
    #[test]
    fn half_of_the_pictures_are_seen_as_copies() {
        let mask: Vec<bool> = (0..16).map(|place| place / 4 == 1).collect();
        let example = |mask, seen| Example { features: Vec::new(), mask, owner: 0, judged: true, seen };
        let copies = [Some(&mask[..]); 2];
        let examples =
            vec![example(None, true), example(None, false), example(copies[0], false), example(copies[1], true)];
        let batch = batch_of(examples, [4, 2], Weighing::Plain);
        assert_eq!(
            batch.roles.iter().map(|role| [role[2], role[3]]).collect::<Vec<_>>(),
            [[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]
        );
        let all = [1.0 / 32.0; 2];
        assert_eq!(batch.pixel_weights, [all, [0.0; 2], [0.0; 2], all]);
        // Four masked positions.
        assert!((batch.roles[2][1] - 1000.0 / 12.0).abs() < 1e-3 && batch.roles[2][1] == batch.roles[3][1]);
    }
}
