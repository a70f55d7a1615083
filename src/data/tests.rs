use super::*;
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
        let mask = item.mask.as_ref().map(|mask| relative(&mask.path)).unwrap_or_default();
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
    assert!(Dataset::open(root.path().join("pcb1")).expect("sound").test[2].mask.as_ref().expect("a mask").any_value);

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
fn masks_are_read_by_their_layouts_rule() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("mask.png");
    RgbImage::from_fn(4, 4, |x, _| Rgb([[0, 1, 127, 200][x as usize]; 3])).save(&path).expect("writable");
    let read =
        |any_value, dimensions| MaskFile { path: path.clone(), any_value }.read_fitted(dimensions, Fit::Stretch, 4);
    assert_eq!(read(false, (4, 4)).expect("fits")[..4], [false, false, false, true]);
    assert_eq!(read(true, (4, 4)).expect("fits")[..4], [false, true, true, true]);
    let whole = MaskFile { path: path.clone(), any_value: true }.read_whole((4, 4)).expect("readable");
    assert_eq!((whole.len(), &whole[4..8]), (16, &[false, true, true, true][..]));
    let text = read(false, (5, 4)).expect_err("another size").to_string();
    assert!(text.contains("mask.png: the mask has 4 x 4 pixels, its image 5 x 4"), "{text}");
}
