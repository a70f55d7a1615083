use super::*;
use crate::config::{BackboneConfig, HeadConfig, LayerConfig, ResNetConfig, TrainedHead};
use crate::schema;

/// The smallest sizes a model can have.
fn tiny() -> ModelConfig {
    let layer = LayerConfig { blocks: 1, width: 4, channels: 4 };
    ModelConfig {
        backbone: BackboneConfig::Basic(ResNetConfig { stem: 4, layers: [layer; 3] }),
        input: 8,
        light: None,
        grid: 2,
        head: HeadConfig::Trained(TrainedHead {
            descriptor: DescriptorKind::Plain,
            prototypes: 4,
            nearest: 4,
            guide: 4,
            width: 4,
            bins: vec![2, 1],
        }),
    }
}

/// A file that is built tensor by tensor; every value is 0.5.
#[derive(Clone, Default)]
struct Builder {
    entries: Vec<(String, Vec<usize>, &'static str)>,
    metadata: BTreeMap<String, String>,
}

impl Builder {
    fn of(schema: &Schema) -> Self {
        let entries = schema.tensors().iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone(), "F32"));
        Self { entries: entries.collect(), metadata: BTreeMap::new() }
    }

    fn tensor(mut self, name: &str, shape: &[usize], dtype: &'static str) -> Self {
        self.entries.push((name.into(), shape.into(), dtype));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.entries.retain(|(entry, ..)| entry != name);
        self
    }

    fn key(mut self, key: &str, value: &str) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut header = serde_json::json!({ "__metadata__": self.metadata });
        let mut data: Vec<u8> = Vec::new();
        for (name, shape, dtype) in &self.entries {
            let begin = data.len();
            for _ in 0..shape.iter().product() {
                match *dtype {
                    "F16" => data.extend([0x00, 0x38]),
                    "BF16" => data.extend([0x00, 0x3f]),
                    "I64" => data.extend([0; 8]),
                    _ => data.extend(0.5_f32.to_le_bytes()),
                }
            }
            header[name] = serde_json::json!({ "dtype": dtype, "shape": shape, "data_offsets": [begin, data.len()] });
        }
        let header = header.to_string();
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
    }

    fn try_open(&self, file: &str) -> Result<Weights> {
        Weights::from_bytes(file, self.bytes())
    }

    fn open(&self, file: &str) -> Weights {
        self.try_open(file).expect("a sound file")
    }
}

#[test]
fn a_bundle_is_complete() {
    let schema = schema::model(&tiny());
    let weights = Builder::of(&schema).open("bundle");
    weights.check(&schema).expect("every tensor is there");
    for Parameter { name, shape, .. } in schema.tensors() {
        let values = weights.read(name, shape).expect("a sound tensor");
        assert_eq!(values, vec![0.5; shape.iter().product()], "{name}");
    }
}

#[test]
fn backbone_and_heads_come_apart() {
    let config = tiny();
    let backbone = Builder::of(&schema::backbone(&config)).open("backbone");
    let head = Builder::of(&schema::head(&config)).open("head");
    backbone.check(&schema::backbone(&config)).expect("every tensor of the backbone");
    head.check(&schema::head(&config)).expect("every tensor of the head");
    let whole = backbone.clone().with(head.clone()).expect("files that fit");
    whole.check(&schema::model(&config)).expect("every tensor");
    whole.check(&schema::head(&config)).expect("a part alone");
    backbone.with(head).expect("the clone left the files open").check(&schema::model(&config)).expect("every tensor");
}

#[test]
fn a_forgotten_file_is_suggested() {
    let config = tiny();
    let error = Builder::of(&schema::head(&config)).open("head.safetensors").check(&schema::model(&config));
    let error = error.expect_err("no backbone");
    assert!(matches!(&error, Error::MissingTensor { tensor, .. } if tensor == "backbone.conv1.weight"), "{error:?}");
    assert_eq!(
        error.to_string(),
        "tensor `backbone.conv1.weight` is missing from head.safetensors, where no name starts with `backbone.`: give \
         the backbone's file as well (expected shape [4, 3, 7, 7])"
    );
    let error = Builder::of(&schema::backbone(&config)).open("backbone.safetensors").check(&schema::model(&config));
    assert!(error.expect_err("no head").to_string().contains("give the head's file as well"));
}

#[test]
fn a_missing_tensor_is_named() {
    let schema = schema::model(&tiny());
    for Parameter { name, shape, .. } in schema.tensors() {
        let error = Builder::of(&schema).without(name).open("bundle").check(&schema).expect_err("a missing tensor");
        assert!(
            matches!(&error, Error::MissingTensor { tensor, expected, .. } if tensor == name && expected == shape),
            "{error:?}"
        );
        assert!(error.to_string().contains(name) && error.to_string().contains("from bundle"), "{error}");
    }
    let error = Builder::of(&schema).without("adaptor.C").open("bundle").read("adaptor.C", &[12, 4]);
    assert!(matches!(error, Err(Error::MissingTensor { .. })));
}

#[test]
fn an_unknown_tensor_is_named() {
    let schema = schema::model(&tiny());
    for name in ["backbone.layer1.0.conv3.weight", "adaptor.Descriptor.conv1.weight", "cas.extra", "layer1.9.bn1.bias"]
    {
        let weights = Builder::of(&schema).tensor(name, &[1], "F32").open("bundle");
        let error = weights.check(&schema).expect_err("an unknown tensor");
        assert!(matches!(&error, Error::UnknownTensor { tensor, .. } if tensor == name), "{error:?}");
        assert!(error.to_string().contains(&format!("bundle: tensor `{name}`")), "{error}");
    }
    let error = Builder::default().tensor("input", &[1], "F32").try_open("trace").expect_err("no part of a model");
    assert!(
        matches!(&error, Error::UnknownTensor { tensor, file } if tensor == "input" && file == "trace"),
        "{error:?}"
    );
    // Another part's strangers do not disturb.
    let backbone = schema::backbone(&tiny());
    Builder::of(&backbone).tensor("cas.extra", &[1], "F32").open("bundle").check(&backbone).expect("the part is sound");
}

#[test]
fn duplicates_name_both_places() {
    let one = Builder::default().tensor("backbone.conv1.weight", &[1], "F32");
    let two = Builder::default().tensor("conv1.weight", &[1], "F32");
    let both = one.clone().tensor("conv1.weight", &[1], "F32");
    let across = one.open("a").with(two.open("b")).expect_err("given by both");
    for (error, words) in [
        (across, "by a and by b (as `conv1.weight`)"),
        (both.try_open("c").expect_err("given twice"), "by c and by c (as `conv1.weight`)"),
        (one.open("a").with(one.open("b")).expect_err("given by both"), "by a and by b;"),
    ] {
        assert!(
            matches!(&error, Error::DuplicateTensor { tensor, .. } if tensor == "backbone.conv1.weight"),
            "{error:?}"
        );
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn another_shape_or_type_is_found_before_reading() {
    let schema = schema::model(&tiny());
    let changed = |shape: &[usize], dtype| {
        let weights = Builder::of(&schema).without("adaptor.C").tensor("adaptor.C", shape, dtype).open("bundle");
        weights.check(&schema)
    };
    let error = changed(&[4, 12], "F32").expect_err("transposed");
    assert!(matches!(error, Error::TensorShape { .. }), "{error:?}");
    assert!(error.to_string().contains("bundle: tensor `adaptor.C` has shape [4, 12], expected [12, 4]"), "{error}");
    let error = changed(&[12, 4], "I64").expect_err("whole numbers");
    assert!(matches!(error, Error::TensorType { .. }), "{error:?}");
    assert!(error.to_string().contains("bundle: tensor `adaptor.C` has element type I64"), "{error}");
    for dtype in ["F16", "BF16"] {
        changed(&[12, 4], dtype).expect("half precisions are read");
    }
}

#[test]
fn what_the_network_never_reads_is_passed_over() {
    let schema = schema::model(&tiny());
    let weights = Builder::of(&schema)
        .tensor("bn1.num_batches_tracked", &[], "I64")
        .tensor("layer4.0.conv1.weight", &[3], "F32")
        .tensor("backbone.fc.weight", &[3], "F16")
        .tensor("fc.bias", &[3], "F32")
        .tensor("cas.inner_cls.0.0.weight", &[2], "F32")
        .tensor("adaptor.Descriptor.layer_2.weight", &[2], "F32")
        .tensor("adaptor.r", &[1], "F32")
        .open("checkpoint");
    weights.check(&schema).expect("only what is read counts");
}

#[test]
fn torchvision_names_are_a_backbone() {
    let mut config = ModelConfig::standard(BackboneConfig::resnet18(), DescriptorKind::Plain);
    config.input = 64;
    let schema = schema::backbone(&config);
    let mut file = Builder::of(&schema).tensor("fc.weight", &[2], "F32");
    for (name, ..) in &mut file.entries {
        *name = name.trim_start_matches("backbone.").into();
    }
    let weights = file.open("resnet18.safetensors");
    weights.check(&schema).expect("every tensor");
    assert_eq!(weights.read("backbone.bn1.weight", &[64]).expect("a sound tensor"), [0.5; 64]);
}

#[test]
fn metadata_of_both_files_count() {
    let backbone = Builder::default().key("format", "pt").key("pcsnet.backbone", "resnet18");
    let head = Builder::default().key("format", "np").key("pcsnet.descriptor", "rotation");
    let weights = backbone.open("backbone").with(head.open("head")).expect("files that agree");
    assert_eq!(weights.metadata()["format"], "pt", "the first file's value stands");
    let config = weights.config().expect("known names");
    assert_eq!(config, ModelConfig::standard(BackboneConfig::resnet18(), DescriptorKind::Rotation));
}

#[test]
fn contradicting_files_are_refused() {
    let with = |key: &str, value: &str, file: &str| Builder::default().key(key, value).open(file);
    let error = with("pcsnet.backbone", "resnet18", "a")
        .with(with("pcsnet.backbone", "wide_resnet50_2", "b"))
        .expect_err("two backbones");
    assert!(matches!(error, Error::Config(_)), "{error:?}");
    assert!(error.to_string().contains("`pcsnet.backbone` is `resnet18` in a but `wide_resnet50_2` in b"), "{error}");

    let json = serde_json::to_string(&tiny()).expect("sizes are plain data");
    let spaced = serde_json::to_string_pretty(&tiny()).expect("sizes are plain data");
    with("pcsnet.config", &json, "a").with(with("pcsnet.config", &spaced, "b")).expect("the same sizes");
    for (one, other) in [(json.as_str(), "{}"), ("[]", "{}")] {
        let joined = with("pcsnet.config", one, "a").with(with("pcsnet.config", other, "b"));
        assert!(matches!(joined, Err(Error::Config(_))), "{joined:?}");
    }
    let head = with("pcsnet.config", &json, "a").with(with("pcsnet.backbone", "resnet18", "b")).expect("other keys");
    let text = head.config().expect_err("two backbones").to_string();
    assert!(text.contains("`pcsnet.backbone` is `resnet18`, which contradicts `pcsnet.config`"), "{text}");
}

#[test]
fn descriptor_kind_shows_in_the_tensors() {
    let kind = |weights: Weights| {
        let config = weights.config().expect("defaults, or a known name");
        config.trained().map(|head| head.descriptor)
    };
    assert_eq!(kind(Builder::default().open("plain")), Some(DescriptorKind::Plain));
    let rotation = Builder::default().tensor("adaptor.Descriptor.conv1.weight", &[1], "F32");
    assert_eq!(kind(rotation.open("head")), Some(DescriptorKind::Rotation));
    let named = rotation.key("pcsnet.descriptor", "plain").open("head");
    assert_eq!(kind(named), Some(DescriptorKind::Plain), "the metadata have the last word");
}

#[test]
fn opening_paths() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = tiny();
    let paths = ["backbone.safetensors", "head.safetensors"].map(|name| folder.path().join(name));
    std::fs::write(&paths[0], Builder::of(&schema::backbone(&config)).bytes()).expect("a writable folder");
    std::fs::write(&paths[1], Builder::of(&schema::head(&config)).bytes()).expect("a writable folder");
    let weights = Weights::open(&paths).expect("sound files");
    weights.check(&schema::model(&config)).expect("every tensor");
    assert!(format!("{weights:?}").contains("head.safetensors"));

    let missing = folder.path().join("missing.safetensors");
    let error = Weights::open([&paths[0], &missing]).expect_err("no such file");
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("missing.safetensors"), "{error:?}");
    let error = Weights::open::<&Path>([]).expect_err("no file");
    assert!(error.to_string().contains("no weight file"), "{error}");
    let error = Weights::open([folder.path()]).expect_err("a folder");
    assert!(matches!(error, Error::Io { .. } | Error::Safetensors { .. }), "{error:?}");
}

#[test]
fn a_single_tensor_of_any_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("input.safetensors");
    std::fs::write(&path, Builder::default().tensor("input", &[1, 3, 4, 4], "F32").bytes()).expect("a writable folder");
    assert_eq!(read_tensor(&path, "input", &[1, 3, 4, 4]).expect("a sound tensor"), [0.5; 48]);
    let error = read_tensor(&path, "input", &[1, 3, 8, 8]).expect_err("another shape");
    assert!(matches!(error, Error::TensorShape { .. }) && error.to_string().contains("input.safetensors"), "{error:?}");
    let error = read_tensor(&path, "output", &[1]).expect_err("no such tensor");
    assert!(matches!(error, Error::MissingTensor { .. }) && error.to_string().contains("`output`"), "{error:?}");
}

#[test]
fn a_stream_is_read_to_its_end() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the line is dead"))
        }
    }
    let file = Builder::of(&schema::model(&tiny())).bytes();
    // A pipe gives what it has, not what is asked for.
    let pipe = std::io::Read::chain(&file[..9], &file[9..]);
    let weights = Weights::from_reader("pipe", pipe).expect("a sound stream");
    weights.check(&schema::model(&tiny())).expect("complete");
    let cut = Weights::from_reader("pipe", &file[..file.len() - 1]).expect_err("cut short").to_string();
    assert!(cut.starts_with("pipe: ") && cut.contains("cut short"), "{cut}");
    let dead = Weights::from_reader("pipe", Broken).expect_err("dead").to_string();
    assert_eq!(dead, "cannot read pipe: the line is dead");
}

#[test]
fn a_source_is_read_in_place() {
    let file = Builder::of(&schema::model(&tiny())).bytes();
    let weights = Weights::from_source("blob", std::io::Cursor::new(file.clone())).expect("a sound file");
    weights.check(&schema::model(&tiny())).expect("complete");
    assert_eq!(weights.read("cas.cls.3.bias", &[1]).expect("a sound tensor"), [0.5]);
    let cut = std::io::Cursor::new(file[..file.len() - 1].to_vec());
    let error = Weights::from_source("blob", cut).expect_err("cut short").to_string();
    assert!(error.starts_with("blob: ") && error.contains("cut short"), "{error}");
}
