use super::*;
use crate::image::{Fit, RgbImage};
use ::image::Rgb;
use std::fs;

fn tree(files: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a temporary folder");
    for file in files {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        fs::write(path, "").expect("writable");
    }
    root
}

/// Kind, image and mask of each test image, relative to the root.
fn listed(root: &Path, folder: &str) -> Vec<(String, String, String)> {
    let set = Dataset::open(root.join(folder)).expect("a sound set");
    let relative = |path: &Path| path.strip_prefix(root).expect("below").to_string_lossy().replace('\\', "/");
    let row = |item: &Item| {
        let mask = item
            .mask
            .as_ref()
            .map(|mask| mask.files.iter().map(|file| relative(file)).collect::<Vec<_>>().join(" "))
            .unwrap_or_default();
        (item.kind.clone().unwrap_or_default(), relative(&item.path), mask)
    };
    set.test.iter().map(row).collect()
}

fn rows(expected: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    expected.iter().map(|(kind, path, mask)| (kind.to_string(), path.to_string(), mask.to_string())).collect()
}

fn refusal(folder: &Path) -> String {
    Dataset::open(folder).expect_err("unusable").to_string()
}

#[test]
fn mvtec() {
    let root = tree(&[
        "bottle/train/good/000.png",
        "bottle/test/good/001.png",
        "bottle/test/hole/000.png",
        "bottle/test/hole/notes.txt",
        "bottle/test/crack/000.jpg",
        "bottle/ground_truth/hole/000_mask.png",
        "bottle/ground_truth/crack/000.png",
    ]);
    let expected = [
        ("", "bottle/test/good/001.png", ""),
        ("crack", "bottle/test/crack/000.jpg", "bottle/ground_truth/crack/000.png"),
        ("hole", "bottle/test/hole/000.png", "bottle/ground_truth/hole/000_mask.png"),
    ];
    assert_eq!(listed(root.path(), "bottle"), rows(&expected));
    let set = Dataset::open(root.path().join("bottle")).expect("a sound set");
    assert_eq!((set.name.as_str(), set.train.len(), set.has_masks), ("bottle", 1, true));
    assert_eq!(set.kinds(), ["crack", "hole"]);
    assert_eq!(categories(root.path()).expect("one"), [root.path().join("bottle")]);
}

#[test]
fn visa() {
    let mut files = vec![
        "pcb1/Data/Images/Normal/0000.JPG",
        "pcb1/Data/Images/Normal/0001.JPG",
        "pcb1/Data/Images/Anomaly/000.JPG",
        "pcb1/Data/Masks/Anomaly/000.png",
    ];
    let anomaly = ("anomaly", "pcb1/Data/Images/Anomaly/000.JPG", "pcb1/Data/Masks/Anomaly/000.png");
    let [first, second] = ["0000", "0001"].map(|name| format!("pcb1/Data/Images/Normal/{name}.JPG"));
    let root = tree(&files);
    assert_eq!(listed(root.path(), "pcb1"), rows(&[("", &first, ""), ("", &second, ""), anomaly]));

    files.push("split_csv/1cls.csv");
    let root = tree(&files);
    let table = "object,split,label,image,mask\n\
                 pcb1,train,normal,pcb1/Data/Images/Normal/0000.JPG,\n\
                 pcb1,test,normal,pcb1/Data/Images/Normal/0001.JPG,\n\
                 pcb1,test,anomaly,pcb1/Data/Images/Anomaly/000.JPG,pcb1/Data/Masks/Anomaly/000.png\n";
    fs::write(root.path().join("split_csv/1cls.csv"), table).expect("writable");
    assert_eq!(listed(root.path(), "pcb1"), rows(&[("", &second, ""), anomaly]));
    assert_eq!(Dataset::open(root.path().join("pcb1")).expect("sound").train, [root.path().join(&first)]);

    fs::write(root.path().join("split_csv/1cls.csv"), "object\npcb1\n").expect("writable");
    let text = refusal(&root.path().join("pcb1"));
    assert!(text.contains("1cls.csv: `pcb1` is no line of"), "{text}");
}

#[test]
fn plain() {
    let root = tree(&["a.png", "b.png", "b_mask.bmp", "c.jpg", "masks/c.png"]);
    let expected = [("", "a.png", ""), ("anomaly", "b.png", "b_mask.bmp"), ("anomaly", "c.jpg", "masks/c.png")];
    assert_eq!(listed(root.path(), "."), rows(&expected));
    let root = tree(&["Good/a.png", "dent/a.png", "dent/b.png", "masks/dent/a_mask.png", "dent/b_mask.png"]);
    let expected = [
        ("", "Good/a.png", ""),
        ("dent", "dent/a.png", "masks/dent/a_mask.png"),
        ("dent", "dent/b.png", "dent/b_mask.png"),
    ];
    assert_eq!(listed(root.path(), "."), rows(&expected));
    let without = tree(&["good/a.png", "dent/a.png"]);
    assert!(!Dataset::open(without.path()).expect("sound").has_masks, "classes alone will do for scores");
}

#[test]
fn what_is_missing_is_named() {
    let root = tree(&["b/test/hole/0.png", "b/test/hole/1.png", "b/ground_truth/hole/0_mask.png", "empty/test/x.txt"]);
    let text = refusal(&root.path().join("b"));
    assert!(text.contains("test/hole/1.png has no mask") && text.contains("`1_mask.png`"), "{text}");
    assert!(refusal(&root.path().join("empty")).contains("no test images"));
    assert!(refusal(root.path()).contains("name one of them"));
    assert!(refusal(&root.path().join("nowhere")).contains("cannot list"));
    assert!(categories(root.path().join("b")).expect_err("no categories").to_string().contains("is a category"));
}

#[test]
fn masks_are_read_into_their_images_frame() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = ["a.png", "b.png"].map(|name| folder.path().join(name));
    for (file, values) in files.iter().zip([[0, 1, 0, 200], [0, 0, 255, 0]]) {
        RgbImage::from_fn(4, 4, |x, _| Rgb([values[x as usize]; 3])).save(file).expect("writable");
    }
    let mask = Mask { files: files.to_vec() };
    assert_eq!(mask.read_fitted((4, 4), Fit::Stretch, 4).expect("fits")[..4], [false, true, true, true]);
    let whole = mask.read_whole((4, 4)).expect("readable");
    assert_eq!((whole.len(), &whole[4..8]), (16, &[false, true, true, true][..]));
    let text = mask.read_whole((5, 4)).expect_err("another size").to_string();
    assert!(text.contains("a.png: the mask has 4 x 4 pixels, its image 5 x 4"), "{text}");
}

/// Pictures of one grey: photographs of many colours, masks of none or some foreground.
fn pictures(root: &Path, files: &[(&str, &str)]) {
    for (file, what) in files {
        let path = root.join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        let picture = RgbImage::from_fn(16, 16, |x, y| match *what {
            "photograph" => Rgb([(x * 16) as u8, (y * 16) as u8, 7]),
            "defect" => Rgb([if x < 4 { 255 } else { 0 }; 3]),
            _ => Rgb([0; 3]),
        });
        picture.save(path).expect("writable");
    }
}

#[test]
fn layouts_that_differ_a_little() {
    let loco = tree(&[
        "test/good/0.png",
        "test/logical_anomalies/1.png",
        "ground_truth/logical_anomalies/1/000.png",
        "ground_truth/logical_anomalies/1/001.png",
    ]);
    let masks = "ground_truth/logical_anomalies/1/000.png ground_truth/logical_anomalies/1/001.png";
    let expected = [("", "test/good/0.png", ""), ("logical_anomalies", "test/logical_anomalies/1.png", masks)];
    assert_eq!(listed(loco.path(), "."), rows(&expected));

    let ad2 = tree(&[
        "test_public/good/0.png",
        "test_public/bad/1.png",
        "test_public/ground_truth/bad/1_mask.png",
        "train/good/2.png",
    ]);
    let expected = [
        ("", "test_public/good/0.png", ""),
        ("bad", "test_public/bad/1.png", "test_public/ground_truth/bad/1_mask.png"),
    ];
    assert_eq!(listed(ad2.path(), "."), rows(&expected));
    assert_eq!(Dataset::open(ad2.path()).expect("sound").train.len(), 1);

    let btad = tree(&["test/ok/0.bmp", "test/ko/1.bmp", "ground_truth/ko/1.png", "train/ok/2.bmp"]);
    let expected = [("", "test/ok/0.bmp", ""), ("ko", "test/ko/1.bmp", "ground_truth/ko/1.png")];
    assert_eq!(listed(btad.path(), "."), rows(&expected));

    let flat = tree(&["test/good/0.png", "test/dent/1.png", "test/chip/2.png", "Masks/1_mask.png", "Masks/chip_2.png"]);
    let expected = [
        ("", "test/good/0.png", ""),
        ("chip", "test/chip/2.png", "Masks/chip_2.png"),
        ("dent", "test/dent/1.png", "Masks/1_mask.png"),
    ];
    assert_eq!(listed(flat.path(), "."), rows(&expected));
}

#[test]
fn masks_beside_their_images() {
    let root = tempfile::tempdir().expect("a temporary folder");
    pictures(
        root.path(),
        &[
            ("kos01/Part0.png", "photograph"),
            ("kos01/Part0_label.bmp", "defect"),
            ("kos02/Part0.png", "photograph"),
            ("kos02/Part0_label.bmp", "empty"),
        ],
    );
    let expected = [("", "kos02/Part0.png", ""), ("anomaly", "kos01/Part0.png", "kos01/Part0_label.bmp")];
    assert_eq!(listed(root.path(), "."), rows(&expected));
    let found = good_photographs(&[root.path()]).expect("one");
    assert_eq!(found.good, [root.path().join("kos02/Part0.png")]);
    let summary = PassedOverSummary(&found.passed_over).to_string();
    assert!(summary.contains("2 masks") && summary.contains("1 photograph of a defective part"), "{summary}");

    let pairs = tempfile::tempdir().expect("a temporary folder");
    pictures(
        pairs.path(),
        &[
            ("OK/S1/0.jpg", "photograph"),
            ("NG/AK/S2/1.jpg", "photograph"),
            ("NG/AK/S2/1.png", "defect"),
            ("OK/S1/0.png", "photograph"),
        ],
    );
    let expected = [("", "OK/S1/0.jpg", ""), ("", "OK/S1/0.png", ""), ("AK", "NG/AK/S2/1.jpg", "NG/AK/S2/1.png")];
    assert_eq!(listed(pairs.path(), "."), rows(&expected));
}

#[test]
fn a_table_of_real_iad() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let row = |class: &str, image: &str, mask: &str| {
        format!(
            "{{\"category\": \"cap\", \"anomaly_class\": \"{class}\", \"image_path\": \"{image}\", \
             \"mask_path\": {mask}}}"
        )
    };
    let json = format!(
        "{{\"meta\": {{\"prefix\": \"cap\", \"normal_class\": \"OK\"}}, \"train\": [{}], \"test\": [{}, {}]}}",
        row("OK", "OK/0.jpg", "null"),
        row("OK", "OK/1.jpg", "null"),
        row("AK", "NG/AK/2.jpg", "\"NG/AK/2.png\"")
    );
    fs::create_dir_all(root.path().join("cap")).expect("writable");
    fs::write(root.path().join("cap.json"), json).expect("writable");
    assert_eq!(
        listed(root.path(), "cap"),
        rows(&[("", "cap/OK/1.jpg", ""), ("AK", "cap/NG/AK/2.jpg", "cap/NG/AK/2.png")])
    );
    let good = good_photographs(&[root.path().join("cap")]).expect("one").good;
    assert_eq!(good, [root.path().join("cap/OK/0.jpg")]);
}

#[test]
fn what_was_taken_for_what_is_told() {
    let root = tree(&[
        "bottle/test/good/0.png",
        "bottle/test/hole/1.png",
        "bottle/test/hole/1.heic",
        "bottle/ground_truth/hole/1_mask.png",
        "bottle/ground_truth/hole/7_mask.png",
    ]);
    let told = Dataset::open(root.path().join("bottle")).expect("sound").to_string();
    assert!(
        told.starts_with("bottle: 2 test images, 1 good and 1 defective (1 hole); each defective one with its mask"),
        "{told}"
    );
    assert!(
        told.contains("1 mask that fits no image") && told.contains("1 photograph in a format that is not read"),
        "{told}"
    );
}

#[test]
fn good_parts_alone_teach() {
    let root = tree(&["good/a.png", "good/b.jpg", "crack/c.png", "mask/c.png", "d.png", "notes.txt"]);
    let found = good_photographs(&[root.path()]).expect("two");
    assert_eq!(found.good, [root.path().join("good/a.png"), root.path().join("good/b.jpg")]);
    let summary = PassedOverSummary(&found.passed_over).to_string();
    assert!(summary.contains("2 photographs of defective parts") && summary.contains("1 mask"), "{summary}");

    let files: Vec<_> = found.good.iter().chain(&found.good[..1]).cloned().collect();
    let named = good_photographs(&files).expect("two");
    assert_eq!((named.good.len(), named.passed_over[0].why), (2, Why::Repeated));

    let set = tree(&["train/good/a.png", "test/good/b.png", "test/crack/c.png"]);
    assert_eq!(good_photographs(&[set.path()]).expect("one").good, [set.path().join("train/good/a.png")]);
    let nothing = tree(&["a.heic"]);
    let text = good_photographs(&[nothing.path()]).expect_err("none").to_string();
    assert!(text.contains("no photographs of good parts") && text.contains("a.heic"), "{text}");
    let no_training = tree(&["test/good/b.png", "test/crack/c.png"]);
    assert!(good_photographs(&[no_training.path()]).is_err());
}

/// Folders that lead back to themselves, as backups have them, are not followed round and round.
#[cfg(unix)]
#[test]
fn links_that_lead_back_end() {
    use std::os::unix::fs::symlink;
    let root = tree(&["set/good/0.png", "set/crack/1.png", "elsewhere/2.png"]);
    let (set, good) = (root.path().join("set"), root.path().join("set/good"));
    for (target, link) in [(&good, "a"), (&good, "b"), (&set, "c"), (&set, "d")] {
        symlink(target, good.join(link)).expect("a file system with links");
    }
    // A folder of another place is followed once, and the way back from it is not.
    symlink(root.path().join("elsewhere"), set.join("dent")).expect("a file system with links");
    symlink(&set, root.path().join("elsewhere/back")).expect("a file system with links");
    let expected = [("", "set/good/0.png", ""), ("crack", "set/crack/1.png", ""), ("dent", "set/dent/2.png", "")];
    assert_eq!(listed(root.path(), "set"), rows(&expected));
    assert_eq!(good_photographs(&[&set]).expect("one").good, [good.join("0.png")]);
}
