//! `pcsnet evaluate`, run as users run it, with a small random model.

mod support;

use predicates::prelude::*;
use std::fs;
use std::path::Path;
use support::*;

/// Two good images, two kinds of defects with masks, an MVTec AD tree.
fn write_set(root: &Path, category: &str) {
    let folder = root.join("set").join(category);
    let mask =
        image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([if x / 10 == 2 && y / 10 == 3 { 255 } else { 0 }; 3]));
    for (kind, seeds) in [("good", 1..4), ("hole", 4..6), ("scratch", 6..7)] {
        for seed in seeds {
            write_picture(&folder.join(format!("test/{kind}/{seed:03}.png")), &picture(64, 64, seed));
            if kind != "good" {
                write_picture(&folder.join(format!("ground_truth/{kind}/{seed:03}_mask.png")), &mask);
            }
        }
    }
}

fn read_csv(path: &Path) -> Vec<std::collections::HashMap<String, String>> {
    let mut table = csv::Reader::from_path(path).expect("a table");
    table.deserialize().map(|row| row.expect("a row")).collect()
}

#[test]
fn one_category() {
    let folder = folder_with_model();
    write_set(folder.path(), "part");
    pcsnet(folder.path())
        .args(["evaluate", "set/part", "--model", "model.safetensors", "--fit", "stretch"])
        .assert()
        .success()
        .stdout(predicate::str::contains("## part"))
        .stdout(predicate::str::contains("| hole | 2 of 5 |"));
    let out = folder.path().join("pcsnet-evaluation");
    let images = read_csv(&out.join("images.csv"));
    let scores: Vec<f64> = images.iter().map(|row| row["score"].parse().expect("a number")).collect();
    let (good, bad): (Vec<_>, Vec<_>) = images.iter().zip(&scores).partition(|(row, _)| row["defect"] == "good");
    // AUROC by its definition.
    let pairs = good.iter().flat_map(|(_, good)| bad.iter().map(move |(_, bad)| f64::from(u8::from(bad > good))));
    let auroc = pairs.sum::<f64>() / (good.len() * bad.len()) as f64;
    let rows = read_csv(&out.join("metrics.csv"));
    assert_eq!(rows.iter().map(|row| row["defect"].as_str()).collect::<Vec<_>>(), ["all", "hole", "scratch"]);
    assert!((rows[0]["image_auroc"].parse::<f64>().expect("a number") - auroc).abs() < 1e-12);
    assert_eq!((rows[0]["regions"].as_str(), rows[0]["undefined"].as_str()), ("3", ""));
    let json: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(out.join("metrics.json")).expect("figures")).expect("JSON");
    let all = &json["categories"][0]["models"][0]["rows"][0];
    assert_eq!(all["metrics"]["aupro"].as_f64().expect("a number").to_string(), rows[0]["aupro"]);
    let report = fs::read_to_string(out.join("part-model.html")).expect("a report");
    assert_eq!(report.matches("<article").count(), 6, "a card for each image");
    let ordered: Vec<f64> = report
        .split("data-score=\"")
        .skip(1)
        .map(|text| text.split('"').next().expect("a value").parse().expect("a number"))
        .collect();
    assert!(ordered.is_sorted_by(|a, b| a >= b), "worst first: {ordered:?}");
    assert!(!report.contains("http:") && !report.contains("https:"), "nothing is fetched from anywhere");
    assert!(report.trim_end().ends_with("</html>"));
    // The scores are those of detect.
    pcsnet(folder.path())
        .args(["detect", "set/part/test", "--model", "model.safetensors", "--fit", "stretch"])
        .assert()
        .success();
    for row in read_scores(&folder.path().join("pcsnet-out")) {
        let image = images.iter().find(|image| image["path"] == row.path).expect("the same images");
        assert_eq!(image["score"].parse().ok(), row.score);
    }
}

#[test]
fn several_models_and_categories() {
    let folder = folder_with_model();
    for category in ["a", "b", "without"] {
        write_set(folder.path(), category);
    }
    for name in ["a-0", "b-0"] {
        fs::copy(folder.path().join("model.safetensors"), folder.path().join(format!("{name}.safetensors")))
            .expect("copied");
    }
    let mut other = tensors();
    other.iter_mut().filter(|(tensor, _)| tensor.name == "adaptor.C").for_each(|(_, values)| values.reverse());
    for name in ["a-1", "b-1"] {
        fs::rename(write_model(folder.path(), &other), folder.path().join(format!("{name}.safetensors")))
            .expect("renamed");
    }
    pcsnet(folder.path())
        .args(["evaluate", "set", "--category", "all", "--out", "o", "--tiles", "64"])
        .args(["--model", "{category}-0.safetensors", "--model", "{category}-1.safetensors"])
        .assert()
        .success()
        .stderr(predicate::str::contains("without has no model and is passed over"))
        .stdout(predicate::str::contains("## All categories"))
        .stdout(predicate::str::is_match("\\| \\*\\*mean\\*\\* \\| \\d+\\.\\d±\\d+\\.\\d \\|").expect("a pattern"));
    let rows = read_csv(&folder.path().join("o/metrics.csv"));
    assert_eq!(rows.len(), 2 * 2 * 3);
}

#[test]
fn undefined_is_said() {
    let folder = folder_with_model();
    for seed in 0..2 {
        write_picture(&folder.path().join(format!("set/dent/{seed}.png")), &picture(64, 64, seed));
    }
    pcsnet(folder.path())
        .args(["evaluate", "set", "--model", "model.safetensors"])
        .assert()
        .success()
        .stdout(predicate::str::contains("Undefined for all, dent: image AUROC, because there are no normal samples"))
        .stdout(predicate::str::contains("AUPRO; AUPRO, 200 steps, because the set has no masks"));
    let rows = read_csv(&folder.path().join("pcsnet-evaluation/metrics.csv"));
    assert_eq!((rows[0]["image_auroc"].as_str(), rows[0]["aupro"].as_str()), ("", ""));
    assert!(rows[0]["undefined"].contains("aupro: the set has no masks"));
}

#[test]
fn an_image_or_mask_that_cannot_be_used_is_named() {
    let folder = folder_with_model();
    write_set(folder.path(), "part");
    let evaluate = || {
        let mut command = pcsnet(folder.path());
        command.args(["evaluate", "set/part", "--model", "model.safetensors"]);
        command
    };
    let mask = folder.path().join("set/part/ground_truth/hole/004_mask.png");
    write_picture(&mask, &picture(30, 64, 1));
    evaluate().assert().code(3).stderr(predicate::str::contains("004_mask.png: the mask has 30 x 64 pixels"));
    fs::remove_file(mask).expect("removed");
    evaluate().assert().code(1).stderr(predicate::str::contains("test/hole/004.png has no mask"));
    write_set(folder.path(), "part");
    fs::write(folder.path().join("set/part/test/good/001.png"), "no picture").expect("writable");
    evaluate()
        .assert()
        .code(3)
        .stderr(predicate::str::contains("good/001.png: not an image of a known format"))
        .stdout(predicate::str::contains("**1 of 6 images are in no figure of model**"));
    // The others are measured.
    let out = folder.path().join("pcsnet-evaluation");
    let images = read_csv(&out.join("images.csv"));
    assert_eq!(images.iter().filter(|row| row["score"].is_empty() && !row["error"].is_empty()).count(), 1);
    assert_eq!(images.iter().filter(|row| !row["score"].is_empty()).count(), 5);
    assert_eq!(read_csv(&out.join("metrics.csv"))[0]["good_images"], "2");
}

#[cfg(unix)]
#[test]
fn names_are_text_wherever_they_are_shown() {
    let folder = folder_with_model();
    let set = folder.path().join("set");
    for (kind, seed) in [("good", 0), ("good", 1), ("=<img src=x onerror=alert(1)>|a", 2)] {
        write_picture(&set.join(format!("{kind}/{seed}\"><script>.png")), &picture(64, 64, seed));
    }
    let card = [("pcsnet.note", "</td><script>alert(2)</script>")];
    write_model_with(folder.path(), &tensors(), &card);
    pcsnet(folder.path()).args(["evaluate", "set", "--model", "model.safetensors"]).assert().success();
    let out = folder.path().join("pcsnet-evaluation");
    let report = fs::read_to_string(out.join("set-model.html")).expect("a report");
    assert!(!report.contains("<img src=x") && !report.contains("<script>.png") && !report.contains("<script>alert"));
    assert!(report.contains("&lt;img src=x"));
    let rows = read_csv(&out.join("metrics.csv"));
    assert!(rows[1]["defect"].starts_with("'=<img"), "{rows:?}");
    let markdown = fs::read_to_string(out.join("metrics.md")).expect("tables");
    assert!(markdown.contains("| =\\<img src=x onerror=alert(1)>\\|a | 1 of 3 |"), "{markdown}");
}
