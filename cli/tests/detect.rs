//! `pcsnet detect`, run as users run it, with a small random model.

mod support;

use predicates::prelude::*;
use std::fs;
use std::path::Path;
use support::*;

/// Five pictures of several sizes in nested folders, two of one name, and a corrupt one.
fn write_photographs(folder: &Path) {
    write_picture(&folder.join("photographs/bad/000.png"), &picture(90, 70, 1));
    write_picture(&folder.join("photographs/good/000.png"), &picture(64, 64, 2));
    write_picture(&folder.join("photographs/good/deep/001.bmp"), &picture(80, 200, 3));
    write_picture(&folder.join("photographs/002.PNG"), &picture(300, 100, 4));
    write_picture(&folder.join("photographs/003.tif"), &picture(65, 65, 5));
    fs::write(folder.join("photographs/good/broken.png"), b"\x89PNG\r\n\x1a\nno more").expect("writable");
    fs::write(folder.join("photographs/notes.txt"), "no image").expect("writable");
}

#[test]
fn a_folder_with_a_corrupt_image() {
    let folder = folder_with_model();
    let out = folder.path().join("pcsnet-out");
    write_photographs(folder.path());
    pcsnet(folder.path())
        .args(["detect", "--raw", "--model", "model.safetensors", "photographs"])
        .assert()
        .code(3)
        .stderr(predicate::str::contains("failed: photographs/good/broken.png: not a usable PNG image"))
        .stderr(predicate::str::contains("error").count(0))
        .stdout(predicate::str::contains("5 of 6 images done, 1 failed"))
        .stdout(predicate::str::contains("do not compare between images"))
        .stdout(predicate::str::contains("images per second"));

    let done = ["002.PNG", "003.tif", "bad/000.png", "good/000.png", "good/deep/001.bmp"];
    let mut expected: Vec<String> = ["scores.csv", "scores.jsonl"].map(str::to_owned).into();
    for name in done {
        expected.extend(["heatmap.png", "map.npy", "overlay.png"].map(|kind| format!("{name}.{kind}")));
    }
    expected.sort();
    assert_eq!(files_below(&out), expected);

    let rows = read_scores(&out);
    assert_eq!(rows.len(), 6);
    for name in done {
        let row = rows.iter().find(|row| row.path == format!("photographs/{name}")).expect("a row");
        let (description, map) = read_npy(&out.join(format!("{name}.map.npy")));
        let shape = format!("'shape': ({}, {})", row.height.expect("done"), row.width.expect("done"));
        assert!(description.contains(&shape), "{description}: a map is as large as its photograph");
        // Resampled, the map keeps about its largest value, which is the score; a crop leaves out a part.
        let peak = map.iter().copied().fold(f32::MIN, f32::max);
        let score = row.score.expect("done");
        assert!(peak <= score && score - peak < 0.05 * score.abs(), "{name}: peak {peak}, score {score}");
        assert!(map.iter().any(|value| value.is_nan()), "{name}: what was cropped away was not inspected");
        let overlay = image::open(out.join(format!("{name}.overlay.png"))).expect("a picture");
        assert_eq!(Some(overlay.width()), row.width, "an overlay is as large as its photograph");
    }
    let broken = rows.iter().find(|row| row.path == "photographs/good/broken.png").expect("a row");
    assert!(broken.score.is_none() && broken.error.contains("not a usable PNG image"), "{broken:?}");
    let scores: Vec<f32> = rows.iter().filter_map(|row| row.score).collect();
    assert!(scores.iter().any(|score| *score != scores[0]), "a network that does not look gives one score: {scores:?}");
}

#[test]
fn the_json_lines_say_the_same_and_more() {
    let folder = folder_with_model();
    write_photographs(folder.path());
    pcsnet(folder.path())
        .args(["detect", "--model", "model.safetensors", "--out", "o", "--scale", "-1,2", "photographs"])
        .assert()
        .code(3)
        .stdout(predicate::str::contains("Colours span -1 to 2 in all images"));
    let text = fs::read_to_string(folder.path().join("o/scores.jsonl")).expect("a table");
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let rows = read_scores(&folder.path().join("o"));
    assert_eq!(lines.len(), rows.len());
    for (line, row) in lines.iter().zip(&rows) {
        assert_eq!(line["path"], row.path);
        assert_eq!(line["score"].as_f64().map(|score| score as f32), row.score);
        assert_eq!(line["error"].as_str().unwrap_or_default(), row.error);
    }
    let wide = lines.iter().find(|line| line["path"] == "photographs/002.PNG").expect("a line");
    assert_eq!((&wide["width"], &wide["height"]), (&300.into(), &100.into()));
    assert_eq!(wide["colours"], serde_json::json!([-1.0, 2.0]));
    assert_eq!(wide["overlay"], "002.PNG.overlay.png");
    assert_eq!(wide["map"], serde_json::Value::Null);
    assert!(wide["inspected"]["width"].as_u64().expect("a number") < 300, "a crop leaves something out");
}

#[test]
fn a_picture_of_something_else_is_told_to_be_so() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (sample, name) in [("good/000", "good"), ("fibre/000", "defective")] {
        let copy = folder.path().join("photographs").join(name).with_extension("png");
        fs::create_dir_all(copy.parent().expect("a folder")).expect("writable");
        fs::copy(project.join("samples/test").join(sample).with_extension("png"), copy).expect("copies");
    }
    write_picture(&folder.path().join("photographs/waves.png"), &picture(300, 200, 4));
    let model = project.join("weights/default.safetensors");
    // The user's colours say nothing of what is common in good parts.
    pcsnet(folder.path())
        .args(["detect", "--out", "o", "--scale", "-9,900", "photographs", "--model"])
        .arg(model)
        .assert()
        .code(4)
        .stderr(predicate::str::contains("note: photographs/waves.png: nearly nothing in it is like the good parts"))
        .stderr(predicate::str::contains("note: ").count(1))
        .stdout(predicate::str::contains("1 image shows something else than the good parts"));
    let text = fs::read_to_string(folder.path().join("o/scores.jsonl")).expect("a table");
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let unlike: Vec<_> = lines.map(|line| (line["path"].clone(), line["unlike"].clone())).collect();
    let told = |name: &str, unlike: bool| (format!("photographs/{name}.png").into(), unlike.into());
    assert_eq!(unlike, [told("defective", false), told("good", false), told("waves", true)]);
}

#[test]
fn scores_do_not_depend_on_the_batch() {
    let folder = folder_with_model();
    write_photographs(folder.path());
    let table = |batch: &str| {
        let arguments = ["detect", "--model", "model.safetensors", "--out", batch, "--batch", batch, "photographs"];
        pcsnet(folder.path()).args(arguments).assert().code(3);
        fs::read_to_string(folder.path().join(batch).join("scores.csv")).expect("a table")
    };
    let alone = table("1");
    assert_eq!(table("3"), alone);
    assert_eq!(table("100"), alone);
    // Nor on the folder: each image by itself.
    for row in read_scores(&folder.path().join("1")).iter().filter(|row| row.error.is_empty()) {
        let arguments = ["detect", "--model", "model.safetensors", "--out", "single", &row.path];
        pcsnet(folder.path()).args(arguments).assert().success();
        assert_eq!(read_scores(&folder.path().join("single"))[0].score, row.score, "{row:?}");
    }
}

#[test]
fn tables_of_shards_make_that_of_a_single_run() {
    let folder = folder_with_model();
    write_photographs(folder.path());
    let detect = |more: &[&str]| {
        let arguments = ["detect", "--model", "model.safetensors", "--out"];
        pcsnet(folder.path()).args(arguments).args(more).arg("photographs").assert()
    };
    detect(&["whole"]).code(3);
    // More shards than images: some have none.
    let shards = ["1/7", "2/7", "3/7", "4/7", "5/7", "6/7", "7/7"];
    let done = shards.map(|shard| detect(&["shards", "--shard", shard]).get_output().status.code());
    assert_eq!(done.iter().filter(|code| **code == Some(3)).count(), 1, "one has the broken image: {done:?}");
    assert_eq!(done.iter().filter(|code| **code == Some(0)).count(), 6, "{done:?}");
    for ending in ["csv", "jsonl"] {
        let table = |number| fs::read(folder.path().join(format!("shards/scores-{number}-of-7.{ending}")));
        let joined: Vec<u8> = (1..=7).flat_map(|number| table(number).expect("a table")).collect();
        assert_eq!(joined, fs::read(folder.path().join("whole/scores").with_extension(ending)).expect("a table"));
    }
    let pictures = |out: &str| -> Vec<String> {
        files_below(&folder.path().join(out)).into_iter().filter(|file| file.ends_with(".png")).collect()
    };
    assert_eq!(pictures("shards"), pictures("whole"));
    detect(&["shards", "--shard", "8/7"]).code(2).stderr(predicate::str::contains("4/4 for the last of four"));
}

#[test]
fn fit_and_precision_matter() {
    let folder = folder_with_model();
    write_picture(&folder.path().join("wide.png"), &picture(300, 100, 4));
    let score = |out: &str, options: &[&str]| {
        let arguments = ["detect", "--model", "model.safetensors", "wide.png", "--out", out];
        pcsnet(folder.path()).args(arguments).args(options).assert().success();
        read_scores(&folder.path().join(out))[0].score.expect("a score")
    };
    let plain = score("plain", &[]);
    assert_eq!(score("crop", &["--fit", "crop"]), plain);
    assert_ne!(score("stretch", &["--fit", "stretch"]), plain);
    let half = score("f16", &["--precision", "f16"]);
    assert!(half != plain && (half - plain).abs() < 0.05 * plain.abs().max(1.0), "f16 {half}, f32 {plain}");
}

#[test]
fn a_model_in_two_files() {
    let folder = folder_with_model();
    write_photographs(folder.path());
    let run = |out: &str, arguments: &[&str]| {
        pcsnet(folder.path()).args(["detect", "--out", out]).args(arguments).assert().success();
        read_scores(&folder.path().join(out))[0].score
    };
    let whole = run("whole", &["--model", "model.safetensors", "photographs/bad"]);
    let (backbone, head) = tensors().into_iter().partition(|(tensor, _)| tensor.name.starts_with("backbone."));
    for (name, part) in [("backbone.safetensors", backbone), ("head.safetensors", head)] {
        fs::rename(write_model(folder.path(), &part), folder.path().join(name)).expect("renamed");
    }
    let parts = ["backbone.safetensors", "head.safetensors"];
    assert_eq!(run("listed", &["--model", parts[0], parts[1], "photographs/bad"]), whole);
    assert_eq!(run("repeated", &["--model", parts[0], "--model", parts[1], "photographs/bad"]), whole);
}

/// Runs `detect` on a broken model, which must end with one line that names what is wrong, and leave nothing.
fn refuses_model(folder: &Path, says: &str) {
    write_picture(&folder.join("a.png"), &picture(64, 64, 1));
    pcsnet(folder)
        .args(["detect", "--model", "model.safetensors", "a.png"])
        .assert()
        .code(1)
        .stdout("")
        .stderr(predicate::str::starts_with("error: ").and(predicate::str::contains(says)))
        .stderr(predicate::str::contains("model.safetensors"))
        .stderr(predicate::function(|text: &str| text.lines().count() == 1));
    assert_eq!(files_below(&folder.join("pcsnet-out")), Vec::<String>::new());
}

#[test]
fn a_missing_tensor() {
    let folder = folder_with_model();
    let mut tensors = tensors();
    tensors.retain(|(tensor, _)| tensor.name != "cas.res1.0.weight");
    write_model(folder.path(), &tensors);
    refuses_model(folder.path(), "cas.res1.0.weight");
}

#[test]
fn a_truncated_model() {
    let folder = folder_with_model();
    let path = folder.path().join("model.safetensors");
    let bytes = fs::read(&path).expect("the model");
    fs::write(&path, &bytes[..bytes.len() - 100]).expect("writable");
    refuses_model(folder.path(), "not a usable safetensors file");
}

#[test]
fn a_weight_that_is_no_number() {
    let folder = folder_with_model();
    let mut tensors = tensors();
    let (_, values) = tensors.iter_mut().find(|(tensor, _)| tensor.name == "adaptor.C").expect("prototypes");
    values[7] = f32::NAN;
    write_model(folder.path(), &tensors);
    refuses_model(folder.path(), "`adaptor.C` holds NaN at element 7");
}

#[test]
fn a_model_that_is_not_there() {
    let folder = folder_with_model();
    fs::remove_file(folder.path().join("model.safetensors")).expect("removed");
    refuses_model(folder.path(), "cannot read");
}

#[test]
fn an_output_folder_that_cannot_be_is_found_before_the_model_is_opened() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_picture(&folder.path().join("a.png"), &picture(64, 64, 1));
    // Not even an administrator can make a folder inside a file.
    for out in ["a.png", "a.png/out"] {
        pcsnet(folder.path())
            .args(["detect", "--model", "missing.safetensors", "--out", out, "a.png"])
            .assert()
            .code(1)
            .stderr(predicate::str::starts_with(format!("error: cannot write into the output folder {out}: ")));
    }
}

#[test]
fn an_output_that_cannot_be_written_fails_its_image_alone() {
    let folder = folder_with_model();
    for name in ["a.png", "b.png"] {
        write_picture(&folder.path().join(name), &picture(64, 64, 1));
    }
    let out = folder.path().join("pcsnet-out");
    fs::create_dir_all(out.join("a.png.heatmap.png")).expect("writable");
    pcsnet(folder.path())
        .args(["detect", "--model", "model.safetensors", "a.png", "b.png"])
        .assert()
        .code(3)
        .stderr(predicate::str::starts_with("failed: cannot write pcsnet-out/a.png.heatmap.png: "));
    assert_eq!(files_below(&out), ["b.png.heatmap.png", "b.png.overlay.png", "scores.csv", "scores.jsonl"]);
    let rows = read_scores(&out);
    assert_eq!(rows[0].score, rows[1].score, "the same picture: what cannot be written keeps its score");
    assert!(rows[0].score.is_some() && rows[0].error.contains("a.png.heatmap.png") && rows[1].error.is_empty());
}

#[cfg(unix)]
#[test]
fn names_as_factories_have_them() {
    use std::os::unix::ffi::OsStrExt;
    let folder = folder_with_model();
    let long = "x".repeat(250) + ".png";
    for name in [b"=cmd.png".as_slice(), b"a\x1b[2Jb.png", b"f\xfc.png", long.as_bytes()] {
        picture(64, 64, 1).save(folder.path().join("a.png")).expect("writable");
        let name = std::ffi::OsStr::from_bytes(name);
        fs::create_dir_all(folder.path().join("in")).expect("writable");
        fs::rename(folder.path().join("a.png"), folder.path().join("in").join(name)).expect("renamed");
    }
    std::process::Command::new("mkfifo").arg(folder.path().join("in/pipe.png")).status().expect("mkfifo");
    fs::write(folder.path().join("in/\u{1b}[31mbroken.png"), "no picture").expect("writable");
    let detect = |input: &str| pcsnet(folder.path()).args(["detect", "--model", "model.safetensors", input]).assert();
    let done = detect("in").code(3).get_output().clone();
    for text in [&done.stdout, &done.stderr] {
        assert!(!text.contains(&0x1b), "{}", String::from_utf8_lossy(text));
    }
    assert!(String::from_utf8_lossy(&done.stdout).contains("4 of 5 images done"));
    let out = folder.path().join("pcsnet-out");
    assert_eq!(files_below(&out).iter().filter(|name| name.ends_with(".overlay.png")).count(), 4);
    let table = fs::read_to_string(out.join("scores.csv")).expect("a table");
    assert!(!table.lines().any(|line| line.starts_with(['=', '+', '-', '@'])), "{table}");
    detect("in/pipe.png").code(1).stderr(predicate::str::contains("is neither a file nor a folder"));
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_its_tables() {
    let folder = folder_with_model();
    for seed in 0..200 {
        write_picture(&folder.path().join(format!("in/{seed:03}.png")), &picture(64, 64, seed));
    }
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("pcsnet"))
        .args(["detect", "--model", "model.safetensors", "--no-pictures", "--no-tuning", "in"])
        .current_dir(folder.path())
        .env("XDG_RUNTIME_DIR", folder.path())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    let record = folder.path().join("pcsnet-out/scores.jsonl");
    // As soon as anything is done it is there to read.
    while fs::read_to_string(&record).map_or(0, |text| text.lines().count()) < 2 {
        assert!(child.try_wait().expect("a child").is_none(), "it ended before it was interrupted");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let interrupted = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.expect("kill").success());
    assert_eq!(child.wait().expect("ends").code(), Some(1));
    let rows = read_scores(&folder.path().join("pcsnet-out"));
    let done = rows.iter().filter(|row| row.score.is_some()).count();
    assert!(rows.len() == 200 && (2..200).contains(&done), "{done} of {}", rows.len());
    assert!(rows.iter().filter(|row| row.score.is_none()).all(|row| row.error.contains("stopped")));
    assert_eq!(json_lines(&fs::read(&record).expect("lines")).len(), 200);
}

#[test]
fn no_images() {
    let folder = folder_with_model();
    fs::create_dir(folder.path().join("empty")).expect("writable");
    let detect =
        |input: &str| pcsnet(folder.path()).args(["detect", "--model", "model.safetensors", input]).assert().code(1);
    detect("empty").stderr(predicate::str::starts_with("error: no images found in empty"));
    detect("nowhere").stderr(predicate::str::starts_with("error: cannot read nowhere: "));
    assert!(!folder.path().join("pcsnet-out").exists());
}

#[test]
fn outputs_are_no_inputs_of_the_next_run() {
    let folder = folder_with_model();
    write_picture(&folder.path().join("a.png"), &picture(64, 64, 1));
    for _ in 0..2 {
        pcsnet(folder.path())
            .args(["detect", "--model", "model.safetensors", "."])
            .assert()
            .success()
            .stdout(predicate::str::contains("1 of 1 images done, 0 failed"));
    }
    pcsnet(folder.path())
        .args(["detect", "--model", "model.safetensors", "--out", ".", "."])
        .assert()
        .code(1)
        .stderr(predicate::str::contains("choose another --out"));
}

#[test]
fn arguments_that_make_no_sense() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let wrong: [&[&str]; 5] = [
        &["detect", "a.png"],
        &["detect", "--model", "m"],
        &["detect", "--model", "m", "--batch", "0", "a.png"],
        &["detect", "--model", "m", "--scale", "2,1", "a.png"],
        &["detect", "--model", "m", "--fit", "pad", "a.png"],
    ];
    for arguments in wrong {
        pcsnet(folder.path()).args(arguments).assert().code(2).stderr(predicate::str::starts_with("error: "));
    }
}

#[test]
fn an_adapter_that_is_not_there() {
    let folder = folder_with_model();
    write_picture(&folder.path().join("a.png"), &picture(64, 64, 1));
    pcsnet(folder.path())
        .args(["detect", "--model", "model.safetensors", "--adapter", "Voodoo", "a.png"])
        .assert()
        .code(1)
        .stderr(predicate::str::starts_with("error: no usable graphics adapter: none is called `Voodoo`; there are: "));
}

/// Only where drivers are found through these variables.
#[cfg(target_os = "linux")]
#[test]
fn a_machine_without_adapters() {
    let folder = folder_with_model();
    write_picture(&folder.path().join("a.png"), &picture(64, 64, 1));
    pcsnet_without_adapters(folder.path())
        .args(["detect", "--model", "model.safetensors", "a.png"])
        .assert()
        .code(1)
        .stderr(predicate::str::starts_with("error: no usable graphics adapter: "))
        .stderr(predicate::str::contains("apt-get install mesa-vulkan-drivers"));
    assert_eq!(files_below(&folder.path().join("pcsnet-out")), Vec::<String>::new());
}

#[test]
fn a_model_with_a_threshold_gives_verdicts() {
    let folder = folder_with_model();
    write_photographs(folder.path());
    let detect = || {
        let mut command = pcsnet(folder.path());
        command.args(["detect", "--model", "model.safetensors", "photographs"]);
        command
    };
    detect().assert().code(3);
    let out = folder.path().join("pcsnet-out");
    let rows = read_scores(&out);
    assert!(rows.iter().all(|row| row.verdict.is_empty()));
    let mut scores: Vec<f32> = rows.iter().filter_map(|row| row.score).collect();
    scores.sort_by(f32::total_cmp);
    // The best half passes, a score equal to the threshold included.
    let threshold = scores[scores.len() / 2];
    let metadata = [("pcsnet.threshold", &*threshold.to_string()), ("pcsnet.scale", "0,100")];
    write_model_with(folder.path(), &tensors(), &metadata);
    detect().assert().code(3).stdout(predicate::str::contains("Colours span 0 to 100 in all images"));
    for row in read_scores(&out) {
        let expected = row.score.map_or("", |score| if score > threshold { "fail" } else { "pass" });
        assert_eq!(row.verdict, expected, "{row:?}");
    }
    detect_whole(folder.path(), threshold);
    write_model_with(folder.path(), &tensors(), &[("pcsnet.threshold", "high")]);
    detect().assert().code(1).stderr(predicate::str::contains("`pcsnet.threshold` is `high`"));
}

/// Where all images can be read, the exit code tells whether all parts pass, and the JSON lines where they do not.
fn detect_whole(folder: &Path, threshold: f32) {
    let detect = |input: &str| {
        pcsnet(folder)
            .args(["detect", "--raw", "--model", "model.safetensors", input])
            .assert()
            .get_output()
            .status
            .code()
    };
    for row in read_scores(&folder.join("pcsnet-out")).iter().filter(|row| row.error.is_empty()) {
        assert_eq!(detect(&row.path), Some(if row.verdict == "fail" { 4 } else { 0 }), "{row:?}");
        let out = folder.join("pcsnet-out");
        let line: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(out.join("scores.jsonl")).expect("a table")).expect("one line");
        let regions = line["regions"].as_array().expect("a threshold gives regions");
        let (_, map) = read_npy(&out.join(line["map"].as_str().expect("--raw")));
        let above = map.iter().filter(|value| **value > threshold).count() as u64;
        assert_eq!(regions.iter().map(|region| region["area"].as_u64().expect("pixels")).sum::<u64>(), above);
    }
}

/// The JSON lines of a text.
fn json_lines(text: &[u8]) -> Vec<serde_json::Value> {
    let text = std::str::from_utf8(text).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn paths_and_images_from_the_standard_input() {
    let folder = folder_with_model();
    write_photographs(folder.path());
    let names = ["photographs/bad/000.png", "photographs/good/broken.png", "photographs/003.tif"];
    let detect = |kind: &str, input: Vec<u8>| {
        let arguments = ["detect", "--no-pictures", "--batch", "2", "--model", "model.safetensors", "--stdin", kind];
        let assert = pcsnet(folder.path()).args(arguments).write_stdin(input).assert().code(3);
        json_lines(&assert.get_output().stdout)
    };
    let by_path = detect("paths", names.join("\n").into_bytes());
    assert_eq!(by_path.iter().map(|line| line["path"].as_str().expect("a path")).collect::<Vec<_>>(), names);
    let framed = |name: &str| {
        let bytes = fs::read(folder.path().join(name)).expect("a file");
        [&(bytes.len() as u32).to_le_bytes()[..], &bytes].concat()
    };
    let by_bytes = detect("images", names.iter().flat_map(|name| framed(name)).collect());
    assert_eq!(
        by_bytes.iter().map(|line| line["path"].as_str().expect("a name")).collect::<Vec<_>>(),
        ["000001", "000002", "000003"]
    );
    for (path, bytes) in by_path.iter().zip(&by_bytes) {
        assert_eq!(path["score"], bytes["score"]);
    }
    assert!(by_path[1]["error"].as_str().expect("a reason").contains("not a usable PNG"));
    assert_eq!(files_below(&folder.path().join("pcsnet-out")), Vec::<String>::new());
}

#[test]
fn a_watched_folder_resumes_after_a_kill() {
    let folder = folder_with_model();
    write_photographs(folder.path());
    let out = folder.path().join("pcsnet-out");
    let watch = ["detect", "--model", "model.safetensors", "--no-pictures", "--watch", "photographs"];
    // Killed behind its first line, which is then as good as cut short.
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("pcsnet"))
        .args(watch)
        .current_dir(folder.path())
        .env("XDG_RUNTIME_DIR", folder.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("starts");
    let mut first = String::new();
    let mut reader = std::io::BufReader::new(child.stdout.take().expect("piped"));
    std::io::BufRead::read_line(&mut reader, &mut first).expect("a line");
    child.kill().expect("killed");
    child.wait().expect("gone");
    let record = out.join("scores.jsonl");
    let mut text = fs::read_to_string(&record).expect("a record");
    text.truncate(text.trim_end().rfind('\n').map_or(0, |end| end + 1).max(first.len()));
    let done = json_lines(text.as_bytes()).len();
    fs::write(&record, text + "{\"path\":\"photogr").expect("writable");

    let resumed = pcsnet(folder.path()).args(watch).args(["--until-idle", "0.5"]).assert().code(3);
    assert_eq!(json_lines(&resumed.get_output().stdout).len() + done, 6, "five pictures and a broken one");
    let mut names: Vec<_> = json_lines(&fs::read(&record).expect("a record"))
        .iter()
        .map(|line| line["path"].as_str().expect("a path").to_owned())
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 6, "each once: {names:?}");
    let again = pcsnet(folder.path()).args(watch).args(["--until-idle", "0"]).assert().success();
    assert_eq!(json_lines(&again.get_output().stdout).len(), 0);
}

/// Half of a picture is no part to judge as long as the other half may come; where it does not, that is said.
#[test]
fn a_watched_file_that_is_being_copied_waits_for_its_end() {
    let folder = folder_with_model();
    write_picture(&folder.path().join("camera/first.png"), &picture(100, 80, 1));
    let [copied, cut] = [2, 3].map(|seed| {
        let path = folder.path().join("whole.png");
        write_picture(&path, &picture(300, 200, seed));
        fs::read(&path).expect("a picture")
    });
    let place = |name: &str| folder.path().join("camera").join(name);
    let half = |name: &str, bytes: &[u8]| fs::write(place(name), &bytes[..bytes.len() / 2]).expect("writable");
    half("copied.png", &copied);
    half("cut.png", &cut);
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("pcsnet"))
        .args(["detect", "--model", "model.safetensors", "--no-pictures", "--watch", "camera"])
        .args(["--settle", "0.4", "--until-idle", "0.5"])
        .current_dir(folder.path())
        .env("XDG_RUNTIME_DIR", folder.path())
        .env("PCSNET_NO_TUNING", "true")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    let mut reader = std::io::BufReader::new(child.stdout.take().expect("piped"));
    let mut text = String::new();
    std::io::BufRead::read_line(&mut reader, &mut text).expect("a line");
    // Long enough to be taken for whole, if only its rest were looked at.
    std::thread::sleep(std::time::Duration::from_millis(800));
    fs::write(place("copied.png"), &copied).expect("writable");
    std::io::Read::read_to_string(&mut reader, &mut text).expect("lines");
    assert!(child.wait().expect("ends").success());
    let lines = json_lines(text.as_bytes());
    let of = |name: &str| {
        let all: Vec<_> =
            lines.iter().filter(|line| line["path"].as_str().is_some_and(|path| path.ends_with(name))).collect();
        assert_eq!(all.len(), 1, "{name}: one answer");
        assert!(all[0]["score"].is_f64(), "{name}: {}", all[0]);
        all[0]["remarks"].as_array().expect("a list").clone()
    };
    assert_eq!((of("first.png").len(), of("copied.png").len()), (0, 0));
    assert!(of("cut.png")[0].as_str().expect("words").contains("are missing"));
}

#[test]
fn tiles_see_a_large_image_in_detail() {
    let folder = folder_with_model();
    write_picture(&folder.path().join("a.png"), &picture(300, 200, 1));
    write_picture(&folder.path().join("small.png"), &picture(64, 64, 1));
    let detect = |input: &str, options: &[&str]| {
        let arguments = ["detect", "--raw", "--model", "model.safetensors", input];
        pcsnet(folder.path()).args(arguments).args(options).assert().success();
        let row = read_scores(&folder.path().join("pcsnet-out")).remove(0);
        let (_, map) = read_npy(&folder.path().join(format!("pcsnet-out/{input}.map.npy")));
        (row.score.expect("a score"), map)
    };
    let (score, map) = detect("a.png", &["--tiles", "64"]);
    assert_eq!(map.len(), 300 * 200);
    assert_eq!(map.iter().copied().fold(f32::MIN, f32::max), score, "every pixel was inspected");
    assert_eq!(detect("a.png", &["--tiles", "64", "--batch", "7"]), (score, map), "whatever the batch");
    // One tile of the network's size is what the network sees anyway.
    let (tile, _) = detect("small.png", &["--tiles", "64"]);
    let (whole, _) = detect("small.png", &["--fit", "stretch"]);
    assert!((tile - whole).abs() < 1e-5 * whole.abs(), "{tile}, {whole}");
}
