use super::*;
use proptest::prelude::*;
use std::io::Write;

/// A file with the given header and data.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn open(bytes: Vec<u8>) -> Result<TensorFile> {
    TensorFile::from_bytes("model.safetensors".into(), bytes.into())
}

fn opened(header: &str, data: &[u8]) -> TensorFile {
    match open(file(header, data)) {
        Ok(file) => file,
        Err(error) => panic!("a sound file: {error}"),
    }
}

/// Checks that a file is refused, for a reason that holds all of `words`.
#[track_caller]
fn assert_refused(bytes: Vec<u8>, words: &[&str]) {
    let Err(error) = open(bytes) else { panic!("a file that says {words:?} was taken") };
    let text = error.to_string();
    assert!(matches!(&error, Error::Safetensors { file, .. } if file == "model.safetensors"), "{error:?}");
    for word in [&["model.safetensors"], words].concat() {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

const TWO: &str = r#"{"__metadata__":{"format":"pt"},
    "a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},
    "b":{"dtype":"F16","shape":[3],"data_offsets":[8,14]}}"#;

#[test]
fn reads_what_is_there() {
    let data = [&1.5_f32.to_le_bytes()[..], &(-2.0_f32).to_le_bytes(), &[0x00, 0x3c, 0x00, 0xc0, 0xff, 0x7b]].concat();
    let file = opened(TWO, &data);
    assert_eq!(file.metadata["format"], "pt");
    assert_eq!(file.read(0, "a", &[2, 1]).expect("a sound tensor"), [1.5, -2.0]);
    assert_eq!(file.read(1, "b", &[3]).expect("a sound tensor"), [1.0, -2.0, 65504.0]);
}

#[test]
fn a_file_without_tensors_is_sound() {
    assert!(opened("{}", &[]).tensors.is_empty());
    assert!(opened("{}       ", &[]).metadata.is_empty());
}

#[test]
fn every_truncation_is_refused() {
    let whole = file(TWO, &[0; 14]);
    for length in 0..whole.len() {
        assert_refused(whole[..length].to_vec(), &[]);
    }
    assert_refused(whole[..7].to_vec(), &["7 bytes long", "shorter than the 8"]);
    assert_refused(whole[..20].to_vec(), &["whole file is only 20 bytes", "cut short"]);
    assert_refused(whole[..whole.len() - 1].to_vec(), &["tensor `b` ends at", "cut short"]);
}

#[test]
fn header_length_is_not_believed() {
    assert_refused([0xff; 64].to_vec(), &["18446744073709551615 bytes"]);
    assert_refused([&100_000_001_u64.to_le_bytes()[..], &[b' '; 64]].concat(), &["100000001", "another format"]);
    assert_refused([&100_000_000_u64.to_le_bytes()[..], &[b' '; 64]].concat(), &["100000000 bytes", "cut short"]);
    assert_refused(b"PK\x03\x04\x00\x00\x08\x08archive/data.pkl".to_vec(), &["another format"]);
}

#[test]
fn headers_must_be_json() {
    assert_refused(file("", &[]), &["not the JSON", "EOF"]);
    assert_refused(file("{", &[]), &["not the JSON"]);
    assert_refused(file("[]", &[]), &["not the JSON", "expected an object"]);
    assert_refused(file("{} x", &[]), &["not the JSON", "trailing characters"]);
    assert_refused(file(&"[".repeat(100_000), &[]), &["not the JSON"]);
    assert_refused(file(&format!("{{\"a\":{}", "[".repeat(100_000)), &[]), &["not the JSON"]);
    assert_refused([&2_u64.to_le_bytes()[..], &[0xc3, 0x28]].concat(), &["no text", "utf-8"]);
}

#[test]
fn names_must_differ() {
    let entry = r#""a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    assert_refused(file(&format!("{{{entry},{entry}}}"), &[0; 4]), &["`a`", "twice"]);
    assert_refused(file(r#"{"__metadata__":{"k":"1","k":"2"}}"#, &[]), &["`k`", "twice"]);
    assert_refused(file(r#"{"__metadata__":{},"__metadata__":{}}"#, &[]), &["`__metadata__`", "twice"]);
    let twice = r#"{"a":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}"#;
    assert_refused(file(twice, &[0; 4]), &["tensor `a`", "duplicate field `dtype`"]);
}

#[test]
fn metadata_must_be_strings() {
    for metadata in ["[]", "3", r#"{"k":1}"#, r#"{"k":null}"#] {
        assert_refused(file(&format!(r#"{{"__metadata__":{metadata}}}"#), &[]), &["`__metadata__` is not a map"]);
    }
}

#[test]
fn entries_must_be_complete() {
    for (entry, reason) in [
        ("3", "invalid type"),
        ("{}", "missing field"),
        (r#"{"dtype":"F32","shape":[1]}"#, "missing field `data_offsets`"),
        (r#"{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}"#, "invalid value"),
        (r#"{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}"#, "invalid type"),
        (r#"{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}"#, "invalid type"),
        (r#"{"dtype":"F32","shape":[1],"data_offsets":[0]}"#, "invalid length"),
        (r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}"#, ""),
        (r#"{"dtype":7,"shape":[1],"data_offsets":[0,4]}"#, "expected a string"),
    ] {
        assert_refused(file(&format!(r#"{{"odd":{entry}}}"#), &[0; 4]), &["tensor `odd`: ", reason]);
    }
}

/// One tensor `odd` of the given element type, shape and offsets, and four bytes of data.
fn odd(dtype: &str, shape: &str, begin: u64, end: u64) -> Vec<u8> {
    file(&format!(r#"{{"odd":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}}}"#), &[0; 4])
}

#[test]
fn shapes_must_fit_their_bytes() {
    assert_refused(odd("F32", "[2]", 0, 4), &["tensor `odd`", "[2] of F32 takes 8 bytes", "0 to 4 are 4"]);
    assert_refused(odd("F16", "[1]", 0, 4), &["tensor `odd`", "takes 2 bytes"]);
    assert_refused(odd("F32", "[0]", 0, 4), &["tensor `odd`", "takes 0 bytes"]);
    assert_refused(odd("F32", "[4294967296,4294967296]", 0, 4), &["tensor `odd`", "fits 64 bits"]);
    assert_refused(odd("F32", "[18446744073709551615]", 0, 4), &["tensor `odd`", "fits 64 bits"]);
    assert_refused(odd("F4", "[1]", 0, 1), &["tensor `odd`", "no whole number of bytes"]);
    assert_refused(odd("F32", "[1,1,1,1,1,1,1,1,1]", 0, 4), &["tensor `odd`", "9 dimensions"]);
}

#[test]
fn offsets_must_lie_in_the_file() {
    assert_refused(odd("F32", "[1]", 4, 0), &["tensor `odd`", "end at 0, before their start at 4"]);
    assert_refused(odd("F32", "[2]", 0, 8), &["tensor `odd` ends at", "cut short"]);
    let last = u64::MAX;
    assert_refused(odd("F32", "[1]", last - 4, last), &["tensor `odd`", "beyond any file"]);
    assert_refused(odd("Q7", "[1]", 0, last), &["tensor `odd`", "beyond any file"]);
    assert_refused(odd("Q7", "[1]", 0, last / 2), &["tensor `odd` ends at"]);
}

#[test]
fn offsets_must_fill_the_file() {
    let two = |a: [u64; 2], b: [u64; 2], data: usize| {
        let entry = |[begin, end]: [u64; 2]| {
            format!(r#"{{"dtype":"U8","shape":[{}],"data_offsets":[{begin},{end}]}}"#, end - begin)
        };
        file(&format!(r#"{{"a":{},"b":{}}}"#, entry(a), entry(b)), &vec![0; data])
    };
    assert!(open(two([4, 8], [0, 4], 8)).is_ok(), "the header's order is free");
    assert!(open(two([4, 4], [0, 4], 4)).is_ok(), "empty tensors take no room");
    assert_refused(two([0, 4], [3, 8], 8), &["tensor `b` starts at offset 3", "inside tensor `a`"]);
    assert_refused(two([0, 4], [0, 4], 4), &["tensor `b` starts at offset 0", "inside tensor `a`"]);
    assert_refused(two([0, 8], [2, 4], 8), &["tensor `b` starts at offset 2", "inside tensor `a`"]);
    assert_refused(two([0, 4], [5, 8], 8), &["offsets 4 to 5", "between tensor `a` and tensor `b`"]);
    assert_refused(two([1, 4], [4, 8], 8), &["offsets 0 to 1", "between the header and tensor `a`"]);
    assert_refused(two([0, 4], [4, 8], 9), &["last 1 bytes", "after tensor `b`"]);
    assert_refused(file("{}", &[0; 3]), &["last 3 bytes", "after the header"]);
}

#[test]
fn element_types_that_are_not_read() {
    for (dtype, shape) in [("I32", "[1]"), ("F64", "[0]"), ("BOOL", "[4]"), ("Q7", "[3]")] {
        let end = if dtype == "F64" { 0 } else { 4 };
        let data = vec![0; end];
        let header = format!(r#"{{"odd":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{end}]}}}}"#);
        let file = opened(&header, &data);
        let shape = file.tensors[0].shape.clone();
        for error in [file.check(0, "bn1.weight", &shape).err(), file.read(0, "bn1.weight", &shape).err()] {
            let error = error.expect("an element type that is not read");
            assert!(matches!(&error, Error::TensorType { found, .. } if found == dtype), "{error:?}");
            let text = error.to_string();
            assert!(text.contains("model.safetensors") && text.contains("`bn1.weight`"), "{text}");
        }
    }
}

#[test]
fn other_shapes_are_refused() {
    let file = opened(TWO, &[0; 14]);
    for shape in [&[1, 2][..], &[2], &[2, 1, 1], &[]] {
        let error = file.read(0, "a", shape).expect_err("another shape");
        assert!(matches!(&error, Error::TensorShape { expected, .. } if expected == shape), "{error:?}");
        assert!(error.to_string().contains("model.safetensors: tensor `a` has shape [2, 1]"), "{error}");
    }
}

#[test]
fn non_finite_values_are_refused() {
    let f32_header = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let f16_header = r#"{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}"#;
    let bf16_header = r#"{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}"#;
    for (header, data, shown) in [
        (f32_header, vec![0, 0, 0, 0, 0, 0, 0xc0, 0x7f], "NaN"),
        (f32_header, vec![0, 0, 0, 0, 0, 0, 0x80, 0xff], "-inf"),
        (f16_header, vec![0, 0, 0, 0x7c], "inf"),
        (bf16_header, vec![0, 0, 0x80, 0x7f], "inf"),
    ] {
        let error = opened(header, &data).read(0, "cas.res1.0.weight", &[2]).expect_err("a value that is not finite");
        assert!(matches!(error, Error::NonFinite { index: 1, .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("model.safetensors: tensor `cas.res1.0.weight` holds") && text.contains(shown), "{text}");
    }
}

/// Every finite 16-bit value against a conversion written out by hand.
#[test]
fn half_precisions_convert_exactly() {
    let patterns: Vec<u16> = (0..=u16::MAX).collect();
    let data: Vec<u8> = patterns.iter().flat_map(|bits| bits.to_le_bytes()).collect();
    let by_hand = |bits: u16, exponent_bits: i32, fraction_bits: i32| {
        let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
        let exponent = i32::from(bits >> fraction_bits) & ((1 << exponent_bits) - 1);
        let fraction = f64::from(bits & ((1 << fraction_bits) - 1)) / f64::from(1 << fraction_bits);
        let bias = (1 << (exponent_bits - 1)) - 1;
        match exponent {
            0 => Some(sign * fraction * 2_f64.powi(1 - bias)),
            all if all == (1 << exponent_bits) - 1 => None,
            _ => Some(sign * (1.0 + fraction) * 2_f64.powi(exponent - bias)),
        }
    };
    for (float, exponent_bits, fraction_bits) in [(Float::F16, 5, 10), (Float::Bf16, 8, 7)] {
        let mut values = Vec::new();
        float.decode(&data, &mut values);
        for (&bits, value) in patterns.iter().zip(values) {
            match by_hand(bits, exponent_bits, fraction_bits) {
                Some(expected) => assert_eq!(f64::from(value), expected, "{bits:#06x}"),
                None => assert!(!value.is_finite(), "{bits:#06x}"),
            }
        }
    }
}

#[test]
fn tensors_of_many_chunks_come_from_disk_in_any_order() {
    let mut disk = tempfile::NamedTempFile::new().expect("a temporary file");
    let long: Vec<f32> = (0..CHUNK).map(|i| i as f32).collect();
    let short = [7.0_f32, 8.0];
    let size = 4 * CHUNK;
    let header = format!(
        r#"{{"long":{{"dtype":"F32","shape":[{CHUNK}],"data_offsets":[0,{size}]}},
            "short":{{"dtype":"F32","shape":[2],"data_offsets":[{size},{}]}}}}"#,
        size + 8
    );
    let data: Vec<u8> = long.iter().chain(&short).flat_map(|value| value.to_le_bytes()).collect();
    disk.write_all(&file(&header, &data)).expect("a writable file");
    let opened = match TensorFile::open(disk.path()) {
        Ok(file) => file,
        Err(error) => panic!("a sound file: {error}"),
    };
    assert_eq!(opened.read(1, "short", &[2]).expect("a sound tensor"), short);
    assert_eq!(opened.read(0, "long", &[CHUNK]).expect("a sound tensor"), long);

    disk.as_file().set_len(1000).expect("a writable file");
    let error = opened.read(0, "long", &[CHUNK]).expect_err("the file shrank after it was opened");
    assert!(matches!(error, Error::Io { action: "read", .. }), "{error:?}");
    assert!(matches!(TensorFile::open(disk.path()), Err(Error::Safetensors { .. })));
    assert!(matches!(TensorFile::open(Path::new("/no/such/file")), Err(Error::Io { .. })));
}

/// Opens a file and reads all it can; returns whether the file was taken.
fn exercise(bytes: Vec<u8>) -> bool {
    let Ok(file) = open(bytes) else { return false };
    for (index, tensor) in file.tensors.iter().enumerate() {
        // Only the absence of a panic counts.
        let _ = file.read(index, &tensor.name, &tensor.shape);
    }
    true
}

/// A sound file, as bytes, that the properties below damage.
fn sound_file() -> Vec<u8> {
    file(TWO, &[1; 14])
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        exercise(bytes);
    }

    #[test]
    fn random_headers_never_panic(header in r#"[\{\}\[\]":, 0-9aEF.\-]{0,80}"#, data in 0..16_usize) {
        exercise(file(&header, &vec![0; data]));
    }

    /// What the format's own crate refuses is refused here too. (Not the other way round: it takes equal names.)
    #[test]
    fn damaged_files_never_panic(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5)) {
        let mut bytes = sound_file();
        for (place, byte) in edits {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let taken_by_crate = safetensors::SafeTensors::deserialize(&bytes).is_ok();
        let unknown_type = bytes.clone();
        let taken = exercise(bytes);
        let knows_types = open(unknown_type)
            .is_ok_and(|file| file.tensors.iter().all(|tensor| element_bits(&tensor.element).is_some()));
        prop_assert!(!(taken && knows_types) || taken_by_crate);
    }

    #[test]
    fn random_entries_never_panic(
        shape in prop::collection::vec(prop_oneof![0..5_u64, any::<u64>()], 0..5),
        begin in prop_oneof![0..5_u64, any::<u64>()],
        end in prop_oneof![0..9_u64, any::<u64>()],
        dtype in prop::sample::select(vec!["F32", "F16", "BF16", "F4", "I64", "Q7"]),
    ) {
        exercise(odd(dtype, &format!("{shape:?}"), begin, end));
    }
}

#[test]
fn reads_what_the_formats_own_crate_writes() {
    use safetensors::{Dtype, serialize, tensor::TensorView};
    let data: Vec<u8> = (0..24).collect();
    let view = |dtype, shape: &[usize], data| TensorView::new(dtype, shape.to_vec(), data).expect("a fitting shape");
    let tensors = [
        ("counter", view(Dtype::I64, &[], &data[..8])),
        ("x", view(Dtype::F32, &[2, 3], &data)),
        ("y", view(Dtype::BF16, &[1], &data[..2])),
    ];
    let metadata = [("k".to_owned(), "v".to_owned())].into();
    let file = match open(serialize(tensors, Some(metadata)).expect("sound tensors")) {
        Ok(file) => file,
        Err(error) => panic!("a sound file: {error}"),
    };
    assert_eq!(file.metadata["k"], "v");
    let index = file.tensors.iter().position(|tensor| tensor.name == "x").expect("what was written");
    let expected: Vec<f32> = data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    assert_eq!(file.read(index, "x", &[2, 3]).expect("a sound tensor"), expected);
    assert_eq!(file.tensors.len(), 3);
}
