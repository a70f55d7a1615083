/// The gain and offset that give each photograph's luminances (Pillow's `convert("L")`) the median and the range from
/// the lower to the upper tenth that are wanted, both from 0 to 1: `[gain, offset]` for values from 0 to 1, the gain
/// from a half to 2, and 1 where the range is empty. `pixels` are `[batch]` photographs of 8-bit RGBA, red in the
/// lowest byte; a quantile is the value with its share of the others, rounded down, before it in rising order.
pub fn light(pixels: &[u32], batch: usize, level: f32, contrast: f32) -> Vec<[f64; 2]> {
    let photographs = pixels.chunks_exact(pixels.len() / batch);
    let change = |photograph: &[u32]| {
        let luminance = |pixel: &u32| {
            let [red, green, blue, _] = pixel.to_le_bytes().map(u64::from);
            (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
        };
        let mut rising: Vec<u64> = photograph.iter().map(luminance).collect();
        rising.sort_unstable();
        let quantile = |share: f64| rising[(share * (rising.len() - 1) as f64) as usize] as f64 / 255.0;
        let range = quantile(0.9) - quantile(0.1);
        let gain = if range > 0.0 { (f64::from(contrast) / range).clamp(0.5, 2.0) } else { 1.0 };
        [gain, f64::from(level) - gain * quantile(0.5)]
    };
    photographs.map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: greys 0, 10, .. 100 have the median 50 and the range 10 to 90.
    #[test]
    fn median_and_range_become_those_wanted() {
        let greys: Vec<u32> = (0..11).rev().map(|grey| 0x0a_0a0a * grey).collect();
        let [gain, offset] = light(&greys, 1, 0.4, 120.0 / 255.0)[0];
        assert!((gain - 1.5).abs() < 1e-6 && (offset - (0.4 - 75.0 / 255.0)).abs() < 1e-6);
        assert_eq!(light(&[0x7f_7f7f; 6], 2, 0.5, 0.9).len(), 2);
    }
}
