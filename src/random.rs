//! Numbers that look random and are the same everywhere.

/// The SplitMix64 generator (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
pub(crate) struct SplitMix(pub u64);

impl SplitMix {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number between 0 and 1, neither included.
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// One of several streams of the same seed, none of which tells of another.
    pub(crate) fn stream(seed: u64, number: u64) -> Self {
        let first = Self(seed).bits();
        Self(Self(number).bits() ^ first)
    }

    /// From `low` to `high`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// A whole number below `end`, which is at least 1.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        (self.uniform() * f64::from(end)) as u32
    }

    /// Of the standard normal distribution (Box and Muller, 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// `count` of the items, drawn without replacement, or all where there are no more.
    pub(crate) fn draw<T>(&mut self, mut items: Vec<T>, count: usize) -> Vec<T> {
        let count = count.min(items.len());
        for index in 0..count {
            let other = index + (self.uniform() * (items.len() - index) as f64) as usize;
            items.swap(index, other);
        }
        items.truncate(count);
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs for the seed 1234567 of the authors' C code.
    #[test]
    fn as_published() {
        let mut random = SplitMix(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([random.bits(), random.bits(), random.bits()], expected);
    }

    #[test]
    fn normal_values_have_the_moments_of_the_normal_distribution() {
        let mut random = SplitMix::stream(3, 4);
        let values: Vec<f64> = (0..20_000).map(|_| random.normal()).collect();
        let moment = |power| values.iter().map(|value| value.powi(power)).sum::<f64>() / values.len() as f64;
        let found = [1, 2, 3, 4].map(moment);
        assert!(found.iter().zip([0.0, 1.0, 0.0, 3.0]).all(|(a, b)| (a - b).abs() < 0.15), "{found:?}");
        assert!((0..99).all(|_| random.below(3) < 3));
    }

    #[test]
    fn each_item_at_most_once() {
        let mut drawn = SplitMix(1).draw((0..100).collect::<Vec<_>>(), 30);
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), 30);
        assert_eq!(SplitMix(1).draw(vec![1, 2], 9).len(), 2);
    }
}
