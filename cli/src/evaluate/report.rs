//! One model on one category as a page that needs nothing beside itself.

mod charts;

use super::gallery::{Gallery, Shown};
use super::measure::{HEADINGS, Measured, Row};
use crate::output;
use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use charts::number;
use minijinja::{Environment, context};
use pcsnet::data::Item;
use pcsnet::image::{ColourMap, Scale};
use pcsnet::inspect::{Calibration, Region, Verdict, scale_around, threshold_below};
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// What the page is about.
pub(crate) struct Subject<'a> {
    pub category: &'a str,
    pub model: &'a str,
    pub calibration: Calibration,
    /// What was chosen for this run: names and values.
    pub settings: Vec<(String, String)>,
    /// The model's own metadata.
    pub card: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Tile {
    label: String,
    value: String,
}

#[derive(Serialize)]
struct TableRow<'a> {
    kind: &'a str,
    images: u64,
    called: String,
    cells: Vec<Cell<'a>>,
}

#[derive(Serialize)]
struct Cell<'a> {
    text: String,
    why: Option<&'a str>,
}

#[derive(Serialize)]
struct ShownRegion {
    #[serde(flatten)]
    region: Region,
    peak_text: String,
    mean_text: String,
}

/// How the verdicts of this page come about.
struct Judgement {
    calibration: Calibration,
    /// Words on where the threshold comes from.
    note: String,
    scale: Scale,
}

impl Judgement {
    /// Judges by the model's own threshold, or else the one that is best for these images.
    fn of(subject: &Subject<'_>, measured: &Measured) -> Self {
        let Calibration { threshold, scale, .. } = subject.calibration;
        let scores: Vec<f32> = measured.images.iter().map(|(_, score)| *score).collect();
        let best = measured.rows[0].image_threshold.map(|best| threshold_below(best, &scores));
        let note = match (threshold, best) {
            (Some(threshold), _) => {
                format!("Verdicts by the model's own threshold, {threshold}: scores above it fail.")
            }
            (None, Some(best)) => format!(
                "The model holds no threshold. Verdicts are by {best}, which is F1-best for these very images and so \
                 flatters them; the command pcsnet calibrate gives the model one of its own. Boxes of regions are \
                 approximate."
            ),
            (None, None) => {
                "The model holds no threshold, and these images give none: there are no verdicts.".to_owned()
            }
        };
        let threshold = threshold.or(best);
        let scale = scale.unwrap_or_else(|| scale_around(threshold.unwrap_or_else(|| middle(&scores)), &measured.good));
        Self { calibration: Calibration { threshold, scale: Some(scale), ..subject.calibration }, note, scale }
    }

    fn fails(&self, score: f32) -> Option<bool> {
        self.calibration.verdict(score).map(|verdict| verdict == Verdict::Fail)
    }
}

fn middle(scores: &[f32]) -> f32 {
    let mut sorted = scores.to_vec();
    sorted.sort_by(f32::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// Writes the page. Pictures are read back one at a time.
pub(crate) fn write(path: &Path, subject: &Subject<'_>, measured: &Measured, gallery: &mut Gallery) -> Result<()> {
    let mut templates = Environment::new();
    for (name, text) in [
        ("page.html", include_str!("report/page.html")),
        ("card.html", include_str!("report/card.html")),
        ("end.html", include_str!("report/end.html")),
    ] {
        templates.add_template(name, text)?;
    }
    let judgement = Judgement::of(subject, measured);
    output::write(path, |file| {
        write_head(file, &templates, subject, measured, &judgement)?;
        let card = templates.get_template("card.html")?;
        let mut order: Vec<usize> = (0..measured.images.len()).collect();
        order.sort_by(|&a, &b| measured.images[b].1.total_cmp(&measured.images[a].1));
        for index in order {
            let (item, score) = &measured.images[index];
            let shown = gallery.show(index, judgement.scale, judgement.calibration.threshold)?;
            file.write_all(card.render(card_context(item, *score, shown, &judgement))?.as_bytes())?;
        }
        let end = context! { settings => subject.settings, card => subject.card };
        file.write_all(templates.get_template("end.html")?.render(end)?.as_bytes())?;
        Ok(())
    })
}

fn write_head(
    file: &mut dyn Write,
    templates: &Environment<'_>,
    subject: &Subject<'_>,
    measured: &Measured,
    judgement: &Judgement,
) -> Result<()> {
    let all = measured.rows.first().context("a set without images")?;
    let scores_of = |anomalous: bool| -> Vec<f32> {
        let chosen = measured.images.iter().filter(|(item, _)| item.kind.is_some() == anomalous);
        chosen.map(|(_, score)| *score).collect()
    };
    let (good, anomalous) = (scores_of(false), scores_of(true));
    let called = |scores: &[f32]| scores.iter().filter(|score| judgement.fails(**score) == Some(true)).count();
    let mut tiles = vec![
        Tile {
            label: "anomalous parts that fail".to_owned(),
            value: format!("{} of {}", called(&anomalous), anomalous.len()),
        },
        Tile { label: "good parts that fail".to_owned(), value: format!("{} of {}", called(&good), good.len()) },
    ];
    let figures = HEADINGS.iter().zip(&all.metrics).take(HEADINGS.len() - 1);
    tiles.extend(
        figures.map(|(heading, value)| Tile { label: (*heading).to_owned(), value: percent(value) + unit(value) }),
    );
    let rows: Vec<_> = measured.rows.iter().map(|row| table_row(row, measured, judgement)).collect();
    let mut undefined: Vec<String> =
        all.undefined().into_iter().map(|(metric, why)| format!("{metric}, because {why}")).collect();
    undefined.dedup();
    if let Some(failed) = measured.failed.first() {
        undefined.push(format!(
            "{} images, which could not be inspected, such as {}",
            measured.failed.len(),
            failed.reason
        ));
    }
    let kinds: Vec<&str> = ["good"].into_iter().chain(measured.rows[1..].iter().map(|row| row.kind.as_str())).collect();
    let page = context! {
        category => subject.category,
        model => subject.model,
        good => good.len(),
        anomalous => anomalous.len(),
        tiles,
        threshold_note => judgement.note,
        histogram => charts::histogram(&good, &anomalous, judgement.calibration.threshold),
        roc => charts::roc(&measured.image_curve, &measured.pixel_curve),
        pr => charts::precision_recall(&measured.image_curve, &measured.pixel_curve),
        headings => HEADINGS,
        rows,
        undefined,
        kinds,
        gradient => gradient(),
        low => number(judgement.scale.low.into()),
        high => number(judgement.scale.high.into()),
    };
    file.write_all(templates.get_template("page.html")?.render(page)?.as_bytes())?;
    Ok(())
}

fn table_row<'a>(row: &'a Row, measured: &Measured, judgement: &Judgement) -> TableRow<'a> {
    let all = row.kind == measured.rows[0].kind;
    let of_kind = |item: &Item| item.kind.is_some() && (all || item.kind.as_deref() == Some(&row.kind));
    let scores = measured.images.iter().filter(|(item, _)| of_kind(item)).map(|(_, score)| *score);
    let called = scores.filter(|score| judgement.fails(*score) == Some(true)).count();
    let cell =
        |value: &'a Result<f64, String>| Cell { text: percent(value), why: value.as_ref().err().map(String::as_str) };
    TableRow {
        kind: &row.kind,
        images: row.anomalous,
        called: format!("{called} of {}", row.anomalous),
        cells: row.metrics.iter().map(cell).collect(),
    }
}

fn card_context(item: &Item, score: f32, shown: Shown, judgement: &Judgement) -> minijinja::Value {
    let fails = judgement.fails(score);
    let wrong = match (fails, &item.kind) {
        (Some(false), Some(_)) => Some("missed"),
        (Some(true), None) => Some("false alarm"),
        _ => None,
    };
    let shown_region = |region: Region| ShownRegion {
        region,
        peak_text: number(region.peak.into()),
        mean_text: number(region.mean.into()),
    };
    context! {
        kind => item.kind.as_deref().unwrap_or("good"),
        name => item.path.file_name().unwrap_or_default().to_string_lossy(),
        score => score.to_string(),
        score_text => number(score.into()),
        verdict => fails.map_or("", |fails| if fails { "fail" } else { "pass" }),
        wrong,
        photograph => minijinja::Value::from_safe_string(data_uri("image/jpeg", &shown.photograph)),
        truth => shown.truth.map(|truth| minijinja::Value::from_safe_string(data_uri("image/png", &truth))),
        map => minijinja::Value::from_safe_string(data_uri("image/png", &shown.map)),
        width => shown.dimensions.0,
        height => shown.dimensions.1,
        regions => shown.regions.into_iter().map(shown_region).collect::<Vec<_>>(),
    }
}

fn data_uri(kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};base64,{}", STANDARD.encode(bytes))
}

fn percent(value: &Result<f64, String>) -> String {
    value.as_ref().map_or_else(|_| "undefined".to_owned(), |value| format!("{:.1}", 100.0 * value))
}

fn unit(value: &Result<f64, String>) -> &'static str {
    if value.is_ok() { " %" } else { "" }
}

/// The maps' colours as they look over the dark ground behind them.
fn gradient() -> String {
    const STOPS: u8 = 12;
    const GROUND: [f32; 3] = [20.0, 23.0, 27.0];
    let stop = |index: u8| {
        let position = f32::from(index) / f32::from(STOPS);
        let colour = ColourMap::Turbo.colour(position);
        let [r, g, b] = [0, 1, 2]
            .map(|channel| (GROUND[channel] + (f32::from(colour[channel]) - GROUND[channel]) * position).round() as u8);
        format!("rgb({r} {g} {b})")
    };
    (0..=STOPS).map(stop).collect::<Vec<_>>().join(", ")
}
