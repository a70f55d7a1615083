use super::*;

/// Numbers in 0 to 1 in steps of 1 / 97.
fn values(count: usize, seed: u32) -> Vec<f32> {
    (0..count as u32).map(|at| ((at * 37 + seed * 11) % 97) as f32 / 97.0).collect()
}

#[test]
fn files_change_nothing() {
    let metrics = |capacity: usize| {
        let mut scores = PixelScores::with_capacity(capacity);
        for seed in 0..6 {
            let map = values(120, seed);
            let mask: Vec<bool> = values(120, seed + 50).iter().map(|value| *value > 0.8).collect();
            match seed % 3 {
                0 => scores.add_normal(&map),
                1 => scores.add_anomalous("a", &map, &mask, 12),
                _ => scores.add_anomalous("b", &map, &mask, 12),
            }
            .expect("a temporary folder");
        }
        scores.finish().expect("readable")
    };
    let in_memory = metrics(1 << 20);
    assert_eq!(metrics(100), in_memory);
    assert_eq!(metrics(719), in_memory);
}

#[test]
fn nothing_is_undefined() {
    let (all, kinds) = PixelScores::new().finish().expect("nothing to read");
    assert_eq!(all.aupro, Err(crate::metrics::Undefined::NoSamples));
    assert!(kinds.is_empty());
}
