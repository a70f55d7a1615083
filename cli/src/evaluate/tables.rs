//! The figures as Markdown, CSV and JSON.

use super::measure::{Failed, HEADINGS, METRICS, Measured, Row, Value};
use crate::output;
use anyhow::Result;
use pcsnet::data::Item;
use pcsnet::metrics::CurvePoint;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// One model on one category.
#[derive(Debug)]
pub struct Evaluated {
    /// The category's name.
    pub category: String,
    /// The model's name.
    pub model: String,
    pub(crate) measured: Measured,
}

/// Writes `metrics.md`, `metrics.csv`, `metrics.json` and `images.csv`.
pub(crate) fn write(out: &Path, evaluated: &[Evaluated]) -> Result<()> {
    output::write(&out.join("metrics.md"), |file| Ok(file.write_all(markdown(evaluated).as_bytes())?))?;
    output::write(&out.join("metrics.csv"), |file| write_metrics_csv(file, evaluated))?;
    output::write(&out.join("images.csv"), |file| write_images_csv(file, evaluated))?;
    output::write(&out.join("metrics.json"), |file| Ok(file.write_all(json(evaluated)?.as_bytes())?))
}

/// All figures, as `metrics.json` has them.
///
/// # Errors
/// None that figures could cause.
pub fn json(evaluated: &[Evaluated]) -> Result<String> {
    Ok(serde_json::to_string_pretty(&Json::of(evaluated))?)
}

/// The tables to read: each category's kinds, then all categories.
pub(crate) fn markdown(evaluated: &[Evaluated]) -> String {
    let categories = by_category(evaluated);
    let mut text = String::new();
    for (category, models) in &categories {
        let names: Vec<_> = models.iter().map(|model| model.model.as_str()).collect();
        let plural = if names.len() > 1 { format!("{} models: ", names.len()) } else { String::new() };
        let _ = writeln!(text, "## {category}\n\n{plural}{}\n", names.join(", "));
        let _ = writeln!(text, "| defect | anomalous images | {} |", HEADINGS.join(" | "));
        let _ = writeln!(text, "| --- | --- |{}", " ---: |".repeat(HEADINGS.len()));
        for (index, row) in models[0].measured.rows.iter().enumerate() {
            let count = format!("{} of {}", row.anomalous, row.normal + row.anomalous);
            let cells: Vec<_> = summaries(models, index).iter().map(Summary::cell).collect();
            let _ = writeln!(text, "| {} | {count} | {} |", markdown_cell(&row.kind), cells.join(" | "));
        }
        text += "\n";
        write_undefined(&mut text, models);
        for Evaluated { model, measured, .. } in models {
            if let Some(Failed { reason, .. }) = measured.failed.first() {
                let (failed, all) = (measured.failed.len(), measured.failed.len() + measured.images.len());
                let reason = markdown_cell(reason);
                let _ = writeln!(text, "**{failed} of {all} images are in no figure of {model}**, such as {reason}.\n");
            }
        }
    }
    if categories.len() > 1 {
        write_overview(&mut text, &categories);
    }
    text += "Percent. ";
    if categories.iter().any(|(_, models)| models.len() > 1) {
        text += "Mean ± standard deviation (n - 1) over the models. ";
    }
    text += "A kind of defect is measured together with the good images.\n";
    text
}

/// A text in a cell of a Markdown table, where neither a bar nor markup means anything.
fn markdown_cell(text: &str) -> String {
    let mut cell = String::new();
    for character in text.chars() {
        match character {
            '|' | '<' | '[' | '`' | '*' | '_' | '\\' => cell.extend(['\\', character]),
            '\n' | '\r' => cell.push(' '),
            _ => cell.push(character),
        }
    }
    cell
}

/// Which metrics have no value, and why; what holds for several kinds of defects is said once.
fn write_undefined(text: &mut String, models: &[&Evaluated]) {
    let mut kinds: BTreeMap<(Vec<&str>, &str), Vec<&str>> = BTreeMap::new();
    for row in &models[0].measured.rows {
        let mut metrics: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (heading, value) in HEADINGS.into_iter().zip(&row.metrics) {
            if let Err(reason) = value {
                metrics.entry(reason).or_default().push(heading);
            }
        }
        metrics.into_iter().for_each(|(reason, metrics)| kinds.entry((metrics, reason)).or_default().push(&row.kind));
    }
    for ((metrics, reason), kinds) in kinds {
        let _ = writeln!(text, "Undefined for {}: {}, because {reason}.\n", kinds.join(", "), metrics.join("; "));
    }
}

/// The authors' table: a line for each category, and their mean.
fn write_overview(text: &mut String, categories: &[(&str, Vec<&Evaluated>)]) {
    let _ = writeln!(text, "## All categories\n\n| category | {} |", HEADINGS.join(" | "));
    let _ = writeln!(text, "| --- |{}", " ---: |".repeat(HEADINGS.len()));
    for (category, models) in categories {
        let cells: Vec<_> = summaries(models, 0).iter().map(Summary::cell).collect();
        let _ = writeln!(text, "| {category} | {} |", cells.join(" | "));
    }
    let cells: Vec<_> = (0..METRICS.len()).map(|metric| mean_over(categories, metric).cell()).collect();
    let _ = writeln!(text, "| **mean** | {} |\n", cells.join(" | "));
}

/// The mean over all categories, and its spread over the models, which are the first, second and so on of each.
fn mean_over(categories: &[(&str, Vec<&Evaluated>)], metric: usize) -> Summary {
    let models = categories.iter().map(|(_, models)| models.len()).min().unwrap_or(0);
    let value = |model: &Evaluated| model.measured.rows[0].metrics[metric].clone();
    let mean = |index: usize| -> Value {
        let values = categories.iter().map(|(_, models)| value(models[index])).collect::<Result<Vec<_>, _>>()?;
        Ok(values.iter().sum::<f64>() / values.len() as f64)
    };
    Summary::of((0..models).map(mean))
}

/// The models of each category, in the order in which they were measured.
fn by_category(evaluated: &[Evaluated]) -> Vec<(&str, Vec<&Evaluated>)> {
    let chunks = evaluated.chunk_by(|a, b| a.category == b.category);
    chunks.map(|models| (models[0].category.as_str(), models.iter().collect())).collect()
}

/// Each metric's summary over the models, in the given row.
fn summaries(models: &[&Evaluated], row: usize) -> Vec<Summary> {
    let value = |model: &&Evaluated, metric: usize| model.measured.rows[row].metrics[metric].clone();
    (0..METRICS.len()).map(|metric| Summary::of(models.iter().map(|model| value(model, metric)))).collect()
}

/// A metric over several models.
#[derive(Debug, Serialize, PartialEq)]
pub(crate) struct Summary {
    mean: Option<f64>,
    /// `None` for less than two models.
    standard_deviation: Option<f64>,
}

impl Summary {
    /// The mean and spread of values; undefined where any of them is.
    pub(crate) fn of(values: impl Iterator<Item = Value>) -> Self {
        let Ok(values) = values.collect::<Result<Vec<f64>, _>>() else {
            return Self { mean: None, standard_deviation: None };
        };
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let standard_deviation = (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
        Self { mean: (!values.is_empty()).then_some(mean), standard_deviation }
    }

    /// The summary in percent, as `94.9±0.2`.
    pub(crate) fn cell(&self) -> String {
        match (self.mean, self.standard_deviation) {
            (None, _) => "undefined".to_owned(),
            (Some(mean), None) => format!("{:.1}", 100.0 * mean),
            (Some(mean), Some(spread)) => format!("{:.1}±{:.1}", 100.0 * mean, 100.0 * spread),
        }
    }
}

fn write_metrics_csv(file: &mut dyn std::io::Write, evaluated: &[Evaluated]) -> Result<()> {
    let mut table = csv::Writer::from_writer(file);
    let before = ["category", "model", "defect", "good_images", "anomalous_images", "regions"];
    let after = ["image_threshold", "pixel_threshold", "undefined"];
    table.write_record(before.iter().chain(&METRICS).chain(&after))?;
    for Evaluated { category, model, measured } in evaluated {
        for row in &measured.rows {
            let mut record: Vec<String> =
                [category, model, &row.kind].map(|text| output::cell(text).into_owned()).into();
            record.extend([row.normal, row.anomalous].map(|count| count.to_string()));
            record.push(text(row.regions));
            record.extend(row.metrics.iter().map(|value| text(value.as_ref().ok())));
            record.extend([text(row.image_threshold), text(row.pixel_threshold)]);
            let undefined: Vec<_> = row.undefined().iter().map(|(metric, why)| format!("{metric}: {why}")).collect();
            record.push(undefined.join("; "));
            table.write_record(record)?;
        }
    }
    Ok(table.flush()?)
}

/// A value as text, empty for what is not there.
fn text<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn write_images_csv(file: &mut dyn std::io::Write, evaluated: &[Evaluated]) -> Result<()> {
    let mut table = csv::Writer::from_writer(file);
    table.write_record(["category", "model", "path", "defect", "score", "error"])?;
    for Evaluated { category, model, measured } in evaluated {
        let failed = measured.failed.iter().map(|Failed { item, reason }| (item, None, Some(output::cell(reason))));
        let done = measured.images.iter().map(|(item, score)| (item, Some(score), None));
        for (item, score, error) in done.chain(failed) {
            let path = item.path.to_string_lossy();
            let kind = item.kind.as_deref().unwrap_or("good");
            table.serialize((
                output::cell(category),
                output::cell(model),
                output::cell(&path),
                output::cell(kind),
                score,
                error,
            ))?;
        }
    }
    Ok(table.flush()?)
}

/// `metrics.json`.
#[derive(Serialize)]
struct Json<'a> {
    categories: Vec<JsonCategory<'a>>,
    /// The means over all categories.
    mean: BTreeMap<&'static str, Summary>,
}

#[derive(Serialize)]
struct JsonCategory<'a> {
    category: &'a str,
    /// Each metric's summary over the models, all kinds of defects together.
    summary: BTreeMap<&'static str, Summary>,
    models: Vec<JsonModel<'a>>,
}

#[derive(Serialize)]
struct JsonModel<'a> {
    model: &'a str,
    /// Images that are in no figure, and why.
    failed: BTreeMap<String, &'a str>,
    rows: Vec<JsonRow<'a>>,
    image_curve: &'a [CurvePoint],
    pixel_curve: &'a [CurvePoint],
}

#[derive(Serialize)]
struct JsonRow<'a> {
    defect: &'a str,
    good_images: u64,
    anomalous_images: u64,
    regions: Option<u64>,
    /// Null where undefined.
    metrics: BTreeMap<&'static str, Option<f64>>,
    image_threshold: Option<f32>,
    pixel_threshold: Option<f32>,
    undefined: BTreeMap<&'static str, &'a str>,
}

impl<'a> Json<'a> {
    fn of(evaluated: &'a [Evaluated]) -> Self {
        let categories = by_category(evaluated);
        let mean = METRICS.into_iter().enumerate().map(|(index, name)| (name, mean_over(&categories, index))).collect();
        let category = |(category, models): (&'a str, Vec<&'a Evaluated>)| JsonCategory {
            category,
            summary: METRICS.into_iter().zip(summaries(&models, 0)).collect(),
            models: models.into_iter().map(JsonModel::of).collect(),
        };
        Self { categories: categories.into_iter().map(category).collect(), mean }
    }
}

impl<'a> JsonModel<'a> {
    fn of(Evaluated { model, measured, .. }: &'a Evaluated) -> Self {
        let Measured { rows, image_curve, pixel_curve, failed, .. } = measured;
        let path = |item: &Item| item.path.to_string_lossy().into_owned();
        let failed = failed.iter().map(|Failed { item, reason }| (path(item), reason.as_str())).collect();
        Self { model, failed, rows: rows.iter().map(JsonRow::of).collect(), image_curve, pixel_curve }
    }
}

impl<'a> JsonRow<'a> {
    fn of(row: &'a Row) -> Self {
        Self {
            defect: &row.kind,
            good_images: row.normal,
            anomalous_images: row.anomalous,
            regions: row.regions,
            metrics: METRICS.into_iter().zip(row.metrics.iter().map(|value| value.as_ref().ok().copied())).collect(),
            image_threshold: row.image_threshold,
            pixel_threshold: row.pixel_threshold,
            undefined: row.undefined(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_spread_as_the_authors_print_them() {
        // numpy: mean([.947, .949, .951]) = .949, std(ddof=1) = .002
        let summary = Summary::of([0.947, 0.949, 0.951].into_iter().map(Ok));
        assert_eq!(summary.cell(), "94.9±0.2");
        assert_eq!(Summary::of([Ok(0.5)].into_iter()).cell(), "50.0");
        assert_eq!(Summary::of([Ok(0.5), Err("why".to_owned())].into_iter()).cell(), "undefined");
    }
}
