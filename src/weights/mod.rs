//! Trained weights: from safetensors files to checked `f32` tensors, one tensor in memory at a time.
//!
//! [`Weights`] joins the tensors of one or several files under one set of names, and [`schema`](crate::schema) lists
//! the names and shapes a model needs:
//!
//! ```no_run
//! use pcsnet::{schema, weights::Weights};
//!
//! let weights = Weights::open(["wide_resnet50_2.safetensors", "bottle.safetensors"])?;
//! let config = weights.config()?;
//! weights.check(&schema::model(&config))?;
//! let stem = weights.read("backbone.conv1.weight", &[64, 3, 7, 7])?;
//! # Ok::<(), pcsnet::Error>(())
//! ```
//!
//! A backbone serves many heads: open it once, [check](Weights::check) it with
//! [`schema::backbone`](crate::schema::backbone), and check each head's file with
//! [`schema::head`](crate::schema::head). The two need not meet in one [`Weights`]; where they do, [`Weights::with`]
//! makes sure that they were made for each other.

mod metadata;
pub(crate) mod names;
mod parameter;
mod safetensors;
mod serialize;
#[cfg(not(target_arch = "wasm32"))]
mod write;

pub(crate) use parameter::Source;
pub use parameter::{Parameter, Role, Schema};
pub use serialize::{NamedTensor, Stored, serialize};
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use write::write_bytes;
#[cfg(not(target_arch = "wasm32"))]
pub use write::{update_metadata, write};

use crate::config::DescriptorKind;
use crate::{Error, ModelConfig, Result};
use names::Name;
use safetensors::TensorFile;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{Read, Seek};
use std::path::Path;
use std::sync::Arc;

/// The tensors of one or several safetensors files, under the names of [`schema`](crate::schema).
///
/// Opening reads and checks the headers alone; a tensor's values are read when [`Weights::read`] asks for them, so the
/// largest tensor is the most that is ever held. Clones share the open files.
///
/// A backbone may carry torchvision's and timm's bare names (`conv1.weight`, `layer1.0.bn1.bias`): they are put behind
/// `backbone.`. What the network never reads (`backbone.layer4`, `backbone.fc`, `cas.inner_cls`, `adaptor.r`, the
/// descriptor's unused base class, counters of training batches) may be present and is passed over.
#[derive(Clone)]
pub struct Weights {
    files: Vec<Arc<TensorFile>>,
    tensors: BTreeMap<String, Place>,
}

/// Where a tensor lies.
#[derive(Clone)]
struct Place {
    file: Arc<TensorFile>,
    /// Position in the file's list of tensors.
    index: usize,
}

impl Weights {
    /// Opens the files of one model: a bundle, or the backbone's file and the head's.
    ///
    /// # Errors
    /// [`Error::Io`] where a file cannot be read, [`Error::Safetensors`] where it is malformed or cut short,
    /// [`Error::UnknownTensor`] for a name outside `backbone.`, `adaptor.` and `cas.`, [`Error::DuplicateTensor`] for a
    /// tensor given twice, [`Error::Config`] where the files' metadata contradict one another, [`Error::Input`] where
    /// no file is given.
    pub fn open<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Result<Self> {
        let mut joined: Option<Self> = None;
        for path in paths {
            let next = Self::from_file(TensorFile::open(path.as_ref())?)?;
            joined = Some(match joined {
                Some(weights) => weights.with(next)?,
                None => next,
            });
        }
        joined.ok_or_else(|| Error::Input {
            what: "weight files".into(),
            expected: "at least one".into(),
            found: "no weight file".into(),
        })
    }

    /// The model that is part of this crate: an EfficientNet-Lite0 (Apache-2.0, see `weights/README.md`), with a head
    /// for the sample photographs. Its backbone is what teaching uses where there is no other.
    ///
    /// # Errors
    /// None, for the file is sound; the type is that of the other ways to open a model.
    pub fn built_in() -> Result<Self> {
        Self::from_bytes("the built-in model", include_bytes!("../../weights/default.safetensors").as_slice())
    }

    /// Takes a safetensors file from memory: embedded in the program, or fetched by a browser.
    ///
    /// `name` stands for the file in errors.
    ///
    /// # Errors
    /// The same as of [`Weights::open`], without [`Error::Io`].
    pub fn from_bytes(name: impl Into<String>, bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self> {
        Self::from_file(TensorFile::from_bytes(name.into(), bytes.into())?)
    }

    /// Reads a safetensors file from a stream to its end: a pipe, an archive's entry, a network connection. The whole
    /// file stays in memory, because a stream gives its bytes only once; [`Weights::open`] reads tensor by tensor.
    ///
    /// `name` stands for the file in errors.
    ///
    /// # Errors
    /// The same as of [`Weights::open`]; [`Error::Io`] names the stream by `name`.
    pub fn from_reader(name: impl Into<String>, mut stream: impl Read) -> Result<Self> {
        let name = name.into();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).map_err(Error::io("read", &name))?;
        Self::from_bytes(name, bytes)
    }

    /// Reads a safetensors file, tensor by tensor, from anything that can be read at any place: a part of a larger
    /// file, or a browser's `Blob`.
    ///
    /// `name` stands for the file in errors.
    ///
    /// # Errors
    /// The same as of [`Weights::open`].
    pub fn from_source(name: impl AsRef<Path>, source: impl Read + Seek + wgpu::WasmNotSend + 'static) -> Result<Self> {
        Self::from_file(TensorFile::from_source(name.as_ref(), Box::new(source))?)
    }

    fn from_file(file: TensorFile) -> Result<Self> {
        let file = Arc::new(file);
        let mut tensors = BTreeMap::new();
        for (index, tensor) in file.tensors.iter().enumerate() {
            match Name::of(&tensor.name) {
                Name::Unread => {}
                Name::Unknown => {
                    return Err(Error::UnknownTensor { tensor: tensor.name.clone(), file: file.name.clone() });
                }
                Name::Canonical(name) => insert_once(&mut tensors, name, Place { file: Arc::clone(&file), index })?,
            }
        }
        Ok(Self { files: vec![file], tensors })
    }

    /// Joins the tensors of both.
    ///
    /// # Errors
    /// [`Error::DuplicateTensor`] where both hold a tensor, [`Error::Config`] where a `pcsnet.` key of their metadata
    /// has different values.
    pub fn with(mut self, other: Self) -> Result<Self> {
        for (ours, theirs) in self.files.iter().flat_map(|ours| other.files.iter().map(move |theirs| (ours, theirs))) {
            metadata::ensure_agree(ours, theirs)?;
        }
        for (name, place) in other.tensors {
            insert_once(&mut self.tensors, name, place)?;
        }
        self.files.extend(other.files);
        Ok(self)
    }

    /// Whether a tensor of this name is there.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The files' metadata, joined. Keys of other programs may differ between files; there the first file's value
    /// stands.
    pub fn metadata(&self) -> BTreeMap<&str, &str> {
        let entries = self.files.iter().rev().flat_map(|file| &file.metadata);
        entries.map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }

    /// The names of all tensors, as [`schema`](crate::schema) has them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The sizes of the model, from the metadata.
    ///
    /// `pcsnet.config` holds a whole [`ModelConfig`] as JSON. Without it, [`ModelConfig::standard`] gives the sizes for
    /// `pcsnet.backbone` (by default `wide_resnet50_2`) and `pcsnet.descriptor` (by default `rotation` where the file
    /// holds the rotation descriptor's convolutions, else `plain`), and `pcsnet.bins` (as `60,30,15,8`), `pcsnet.grid`
    /// (with one prototype per position), `pcsnet.nearest` and `pcsnet.input` replace single sizes.
    ///
    /// # Errors
    /// [`Error::Config`] where a value cannot be understood, the keys contradict one another, or the sizes do not
    /// [fit](ModelConfig::validate).
    pub fn config(&self) -> Result<ModelConfig> {
        let descriptor = if self.tensors.contains_key("adaptor.Descriptor.conv1.weight") {
            DescriptorKind::Rotation
        } else {
            DescriptorKind::Plain
        };
        metadata::config(&self.metadata(), descriptor)
    }

    /// Checks that the parts of the model that `schema` describes are complete, of the right shapes and of readable
    /// types, and hold nothing else. No values are read; parts that `schema` leaves out may be there or not.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::TensorShape`], [`Error::TensorType`] or [`Error::UnknownTensor`].
    pub fn check(&self, schema: &Schema) -> Result<()> {
        for Parameter { name, shape, .. } in schema.tensors() {
            let place = self.place(name, shape)?;
            place.file.check(place.index, name, shape)?;
        }
        let expected: BTreeSet<&str> = schema.tensors().iter().map(|tensor| tensor.name.as_str()).collect();
        let stranger = self.tensors.iter().find(|(name, _)| schema.covers(name) && !expected.contains(name.as_str()));
        match stranger {
            Some((_, place)) => {
                Err(Error::UnknownTensor { tensor: place.written_name().into(), file: place.file.name.clone() })
            }
            None => Ok(()),
        }
    }

    /// Reads a tensor's values as `f32`, row-major.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::TensorShape`], [`Error::TensorType`], [`Error::NonFinite`] for a NaN or an
    /// infinity, [`Error::Io`] where the file cannot be read any more.
    pub fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let place = self.place(name, shape)?;
        place.file.read(place.index, name, shape)
    }

    fn place(&self, name: &str, shape: &[usize]) -> Result<&Place> {
        self.tensors.get(name).ok_or_else(|| self.missing(name, shape))
    }

    /// The error for an absent tensor; where its whole part of the model is absent, a file was probably forgotten.
    fn missing(&self, name: &str, shape: &[usize]) -> Error {
        let mut files = self.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", ");
        let absent = |part: &&str| !self.tensors.keys().any(|name| name.starts_with(part));
        if let Some(part) = names::part(name).filter(absent) {
            let owner = if part == names::BACKBONE { "backbone" } else { "head" };
            files += &format!(", where no name starts with `{part}`: give the {owner}'s file as well");
        }
        Error::MissingTensor { tensor: name.into(), files, expected: shape.into() }
    }
}

impl Source for Weights {
    fn values(&self, parameter: &Parameter) -> Result<Vec<f32>> {
        self.read(&parameter.name, &parameter.shape)
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: Vec<&str> = self.files.iter().map(|file| file.name.as_str()).collect();
        f.debug_struct("Weights").field("files", &files).field("tensors", &self.tensors.len()).finish()
    }
}

impl Place {
    fn written_name(&self) -> &str {
        &self.file.tensors[self.index].name
    }

    /// The file, and the name written there where it is a bare one.
    fn describe(&self, name: &str) -> String {
        match self.written_name() {
            written if written == name => self.file.name.clone(),
            written => format!("{} (as `{written}`)", self.file.name),
        }
    }
}

/// Tensors by their names, each in a row.
pub(crate) type NamedValues = BTreeMap<String, Vec<f32>>;

/// The tensors of a safetensors file that is no model, each in a row, and its metadata; `name` stands for it in errors.
///
/// # Errors
/// [`Error::Safetensors`] for a malformed file, and as [`Weights::read`].
pub(crate) fn read_tensors(name: &str, bytes: Vec<u8>) -> Result<(NamedValues, BTreeMap<String, String>)> {
    let file = TensorFile::from_bytes(name.to_owned(), bytes.into())?;
    let read = |(index, tensor): (usize, &safetensors::StoredTensor)| {
        Ok((tensor.name.clone(), file.read(index, &tensor.name, &tensor.shape)?))
    };
    let tensors = file.tensors.iter().enumerate().map(read).collect::<Result<_>>()?;
    Ok((tensors, file.metadata.clone()))
}

fn insert_once(tensors: &mut BTreeMap<String, Place>, name: String, place: Place) -> Result<()> {
    if let Some(first) = tensors.get(&name) {
        let (first, second) = (first.describe(&name), place.describe(&name));
        return Err(Error::DuplicateTensor { tensor: name, first, second });
    }
    tensors.insert(name, place);
    Ok(())
}

/// Reads one `f32`, `f16` or `bf16` tensor of any safetensors file, such as a traced `input` of 1 x 3 x 224 x 224.
///
/// # Errors
/// [`Error::Io`] and [`Error::Safetensors`] for the file, [`Error::MissingTensor`], [`Error::TensorShape`],
/// [`Error::TensorType`] and [`Error::NonFinite`] for the tensor.
pub fn read_tensor(path: impl AsRef<Path>, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
    let file = TensorFile::open(path.as_ref())?;
    let index = file.tensors.iter().position(|tensor| tensor.name == name).ok_or_else(|| Error::MissingTensor {
        tensor: name.into(),
        files: file.name.clone(),
        expected: shape.into(),
    })?;
    file.read(index, name, shape)
}

#[cfg(test)]
mod tests;
