//! Charts as inline SVG, which the page's style sheet colours.

use pcsnet::metrics::CurvePoint;
use std::fmt::Write;

const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 38.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 34.0;
/// Bars of a histogram.
const BINS: usize = 40;
/// How high the highest bar is; the threshold's label stands above it.
const HIGHEST: f64 = 0.88;

fn x(share: f64) -> f64 {
    LEFT + share * (WIDTH - LEFT - RIGHT)
}

fn y(share: f64) -> f64 {
    HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
}

/// True-positive against false-positive rate, of images and of pixels.
pub(crate) fn roc(images: &[CurvePoint], pixels: &[CurvePoint]) -> String {
    let place = |point: &CurvePoint| (point.false_positive_rate, point.true_positive_rate);
    let mut svg = rates_frame("false-positive rate", "true-positive rate");
    let _ = write!(svg, r#"<path class="chance" d="M{} {}L{} {}"/>"#, x(0.0), y(0.0), x(1.0), y(1.0));
    write_curves(&mut svg, images, pixels, place);
    svg + "</svg>"
}

/// Precision against recall, of images and of pixels.
pub(crate) fn precision_recall(images: &[CurvePoint], pixels: &[CurvePoint]) -> String {
    let place = |point: &CurvePoint| (point.true_positive_rate, point.precision);
    let mut svg = rates_frame("recall", "precision");
    write_curves(&mut svg, images, pixels, place);
    svg + "</svg>"
}

/// How often each score occurs among good and among anomalous images, with the threshold.
pub(crate) fn histogram(good: &[f32], anomalous: &[f32], threshold: Option<f32>) -> String {
    let all = || good.iter().chain(anomalous).chain(&threshold).map(|&score| f64::from(score));
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let span = if high > low { high - low } else { 1.0 };
    let place = |score: f64| (score - low) / span;
    let counts = |scores: &[f32]| {
        let mut counts = [0_usize; BINS];
        for &score in scores {
            counts[((place(score.into()) * BINS as f64) as usize).min(BINS - 1)] += 1;
        }
        counts
    };
    let series = [("bar-good", counts(good)), ("bar-bad", counts(anomalous))];
    let most = series.iter().flat_map(|(_, counts)| counts).copied().max().unwrap_or(0).max(1);
    let mut svg = frame(
        "score",
        "images",
        [0.0, 0.5, 1.0].map(|share| (share, number(low + share * span))),
        [(0.0, "0".to_owned()), (1.0, most.to_string())],
    );
    for (class, counts) in series {
        for (bin, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            let (left, right) = (x(bin as f64 / BINS as f64), x((bin + 1) as f64 / BINS as f64));
            let top = y(HIGHEST * count as f64 / most as f64);
            let (width, height) = (right - left - 0.5, y(0.0) - top);
            let _ = write!(
                svg,
                r#"<rect class="{class}" x="{left:.1}" y="{top:.1}" width="{width:.1}" height="{height:.1}"/>"#
            );
        }
    }
    if let Some(threshold) = threshold.map(f64::from) {
        let at = x(place(threshold));
        // The label stays inside the chart.
        let (anchor, beside) = if place(threshold) > 0.6 { ("end", at - 4.0) } else { ("start", at + 4.0) };
        let (below, text) = (TOP + 9.0, number(threshold));
        let _ = write!(svg, r#"<path class="limit" d="M{at:.1} {}V{}"/>"#, y(1.0), y(0.0));
        let _ = write!(svg, r#"<text class="strong" x="{beside:.1}" y="{below}" text-anchor="{anchor}">"#);
        let _ = write!(svg, "threshold {text}</text>");
    }
    svg + "</svg>"
}

/// A number with as many digits as a reader needs.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 0.01 => {
            let digits = (2.0 - size.log10().floor()).clamp(0.0, 4.0) as usize;
            format!("{value:.digits$}")
        }
        _ => format!("{value:.2e}"),
    }
}

fn rates_frame(horizontal: &str, vertical: &str) -> String {
    let ticks = || [0.0, 0.5, 1.0].map(|share| (share, share.to_string()));
    frame(horizontal, vertical, ticks(), ticks())
}

fn frame<const N: usize, const M: usize>(
    horizontal: &str,
    vertical: &str,
    columns: [(f64, String); N],
    rows: [(f64, String); M],
) -> String {
    let mut svg =
        format!(r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{vertical} against {horizontal}">"#);
    let (left, right, top, bottom) = (x(0.0), x(1.0), y(1.0), y(0.0));
    let _ = write!(svg, r#"<path class="axis" d="M{left} {top}V{bottom}H{right}"/>"#);
    for (share, label) in columns {
        let anchor = if share == 1.0 { "end" } else { "middle" };
        let _ = write!(svg, r#"<text x="{}" y="{}" text-anchor="{anchor}">{label}</text>"#, x(share), bottom + 14.0);
    }
    for (share, label) in rows {
        let _ = write!(svg, r#"<text x="{}" y="{}" text-anchor="end">{label}</text>"#, left - 5.0, y(share) + 4.0);
    }
    let (middle, below) = (x(0.5), HEIGHT - 4.0);
    let _ = write!(svg, r#"<text x="{middle}" y="{below}" text-anchor="middle">{horizontal}</text>"#);
    let (aside, height) = (10.0, y(0.5));
    let turn = format!("rotate(-90 {aside} {height})");
    let _ = write!(svg, r#"<text x="{aside}" y="{height}" text-anchor="middle" transform="{turn}">{vertical}</text>"#);
    svg
}

fn write_curves(
    svg: &mut String,
    images: &[CurvePoint],
    pixels: &[CurvePoint],
    place: impl Fn(&CurvePoint) -> (f64, f64),
) {
    for (class, points) in [("pixels", pixels), ("images", images)] {
        let mut path = String::new();
        for (across, up) in points.iter().map(&place) {
            let _ = write!(path, "{}{:.1} {:.1}", if path.is_empty() { 'M' } else { 'L' }, x(across), y(up));
        }
        if !path.is_empty() {
            let _ = write!(svg, r#"<path class="curve {class}" d="{path}"/>"#);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_score_has_its_bar() {
        let svg = histogram(&[0.0, 0.0, 1.0], &[2.0], Some(1.5));
        let heights: Vec<f64> = svg
            .split("height=\"")
            .skip(1)
            .map(|text| text.split('"').next().expect("a value").parse().expect("a number"))
            .collect();
        // Two of a kind are as high as any bar, one is half as high.
        let whole = y(0.0) - y(HIGHEST);
        assert_eq!(heights.iter().map(|height| (2.0 * height / whole).round()).collect::<Vec<_>>(), [2.0, 1.0, 1.0]);
        assert!(svg.contains("threshold 1.50"));
        assert!(!histogram(&[], &[], None).contains("NaN"));
        assert!(!histogram(&[3.0], &[], Some(3.0)).contains("NaN"));
    }

    #[test]
    fn numbers_are_short() {
        let short = [0.0, 1234.5, 12.345, 0.5, 0.03049, 0.0001].map(number);
        assert_eq!(short, ["0", "1234", "12.3", "0.500", "0.0305", "1.00e-4"]);
    }
}
