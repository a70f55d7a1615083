//! The table of an experiment.

use super::paper;
use super::runs::{Draw, Run, Runs};
use crate::evaluate::Summary;
use std::fmt::Write;

/// What the table has of each model, in percent.
const COLUMNS: [(&str, &str); 4] = [
    ("image_auroc", "image AUROC"),
    ("pixel_auroc", "pixel AUROC"),
    ("aupro", "AUPRO"),
    ("aupro_200_steps", "AUPRO, 200 steps"),
];

/// The models of a line of the table, which differ in their seeds.
struct Line<'a> {
    category: &'a str,
    method: &'a str,
    settings: &'a str,
    shots: u32,
    /// Of each seed, what was measured in the end; those that are missing are not done.
    last: Vec<&'a Run>,
    /// Of each seed the best image AUROC of all epochs, where they were measured.
    best: Vec<f64>,
}

/// The table, of as many of the models as are done: sets by set, then the means over all sets.
pub(crate) fn markdown<'a>(draws: impl Iterator<Item = &'a Draw>, runs: &'a Runs) -> String {
    let lines = lines(draws, runs);
    let mut text = String::new();
    let headings: Vec<&str> = COLUMNS.iter().map(|(_, heading)| *heading).collect();
    let _ = writeln!(
        text,
        "| set | shots | method | seeds | {} | good that fail | defective found | best epoch, image AUROC | paper, \
         image AUROC |\n| --- | ---: | --- | ---: |{} ---: | ---: | ---: | ---: |",
        headings.join(" | "),
        " ---: |".repeat(COLUMNS.len())
    );
    for line in &lines {
        let _ = writeln!(text, "{}", line.row());
    }
    text += &means(&lines);
    let mut settings: Vec<String> =
        lines.iter().map(|line| format!("* {}: {}\n", line.method, line.settings)).collect();
    settings.sort();
    settings.dedup();
    let _ = writeln!(
        text,
        "\nPercent, mean ± standard deviation (n - 1) over the seeds; the last epoch of networks that are trained. \
         The best epoch, which is chosen by the test images, is what the paper's authors report.\n\n{}",
        settings.concat()
    );
    text
}

fn lines<'a>(draws: impl Iterator<Item = &'a Draw>, runs: &'a Runs) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'a>> = Vec::new();
    for draw in draws {
        let Draw { category, method, settings, shots, .. } = draw;
        let is_new = lines.last().is_none_or(|line| {
            (line.category, line.method, line.settings, line.shots) != (category, method, settings, *shots)
        });
        if is_new {
            lines.push(Line { category, method, settings, shots: *shots, last: Vec::new(), best: Vec::new() });
        }
        let Some(line) = lines.last_mut() else { continue };
        line.last.extend(runs.of(draw).find(|run| run.epoch.is_none()));
        if runs.of(draw).any(|run| run.epoch.is_some()) {
            line.best.extend(runs.of(draw).filter_map(|run| run.metrics.get("image_auroc").copied()?).reduce(f64::max));
        }
    }
    lines
}

/// Mean and spread of what there is; a dash for nothing.
fn cell(values: impl Iterator<Item = Option<f64>>) -> String {
    let values: Vec<_> = values.map(|value| value.ok_or_else(String::new)).collect();
    if values.is_empty() { "-".to_owned() } else { Summary::of(values.into_iter()).cell() }
}

impl Line<'_> {
    fn metric(&self, name: &str) -> impl Iterator<Item = Option<f64>> {
        self.last.iter().map(move |run| run.metrics.get(name).copied().flatten())
    }

    fn row(&self) -> String {
        let Self { category, method, shots, last, best, .. } = self;
        let metrics: Vec<String> = COLUMNS.iter().map(|(name, _)| cell(self.metric(name))).collect();
        let share = |part: Option<usize>, of: usize| Some(part? as f64 / of.max(1) as f64);
        let judged = || last.iter().filter(|run| run.good_that_fail.is_some());
        let failing = cell(judged().map(|run| share(run.good_that_fail, run.good)));
        let found = cell(judged().map(|run| share(run.defective_that_fail, run.defective)));
        let paper = paper::image_auroc(category, *shots).map_or("-".to_owned(), |figure| format!("{figure:.1}"));
        format!(
            "| {category} | {shots} | {method} | {} | {} | {failing} | {found} | {} | {paper} |",
            last.len(),
            metrics.join(" | "),
            cell(best.iter().copied().map(Some)),
        )
    }
}

/// The means over all sets for each method and number of shots, where there are several sets and all are done.
fn means(lines: &[Line<'_>]) -> String {
    let mut text = String::new();
    let mut kinds: Vec<(&str, &str, u32)> = lines.iter().map(|line| (line.method, line.settings, line.shots)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for (method, settings, shots) in kinds {
        let alike: Vec<&Line<'_>> =
            lines.iter().filter(|line| (line.method, line.settings, line.shots) == (method, settings, shots)).collect();
        let seeds = alike[0].last.len();
        if alike.len() < 2 || alike.iter().any(|line| line.last.len() != seeds) {
            continue;
        }
        let categories: Vec<&str> = alike.iter().map(|line| line.category).collect();
        let paper = paper::mean(&categories, shots);
        let mean_of = |name: &'static str, seed: usize| -> Option<f64> {
            let values =
                alike.iter().map(|line| line.metric(name).nth(seed).flatten()).collect::<Option<Vec<f64>>>()?;
            Some(values.iter().sum::<f64>() / values.len() as f64)
        };
        let mut metrics: Vec<String> =
            COLUMNS.iter().map(|(name, _)| cell((0..seeds).map(|seed| mean_of(name, seed)))).collect();
        if let Some([_, pixels]) = paper {
            metrics[1] += &format!(" (paper {pixels})");
        }
        let image = paper.map_or("-", |[image, _]| image);
        let _ = writeln!(
            text,
            "| **mean** | {shots} | {method} | {seeds} | {} | - | - | - | {image} |",
            metrics.join(" | ")
        );
    }
    text
}
