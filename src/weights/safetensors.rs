//! One safetensors file: a header checked once, and tensors read from their places one at a time.
//!
//! The format (<https://github.com/huggingface/safetensors>) is a little-endian `u64` N, N bytes of JSON that give each
//! tensor's element type, shape and byte range, then the tensors' bytes, without gaps. Files come from anywhere, so no
//! number in them is believed before it was held against the file's length; a file cut short is found at once.
//!
//! The `safetensors` crate reads from one slice that holds the whole file, lets the last of two equal names win and
//! does not name the tensor it refuses. Hence this reader; its tests hold it against the crate.

use crate::{Error, Result};
use half::{bf16, f16};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::marker::PhantomData;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The longest header the format allows, in bytes.
const LONGEST_HEADER: u64 = 100_000_000;
/// Bytes of the header's length, before the header.
const PREAMBLE: u64 = 8;
/// The key under which a header holds strings of the writer's own.
pub(super) const METADATA: &str = "__metadata__";
/// More dimensions than any tensor of any network has.
const MOST_DIMENSIONS: usize = 8;
/// Bytes read at once: enough to make the call cheap, in a browser too, and too few to matter beside a large tensor. A
/// multiple of every element's size.
const CHUNK: usize = 1 << 20;

/// An open file whose header is sound.
pub(super) struct TensorFile {
    /// The file's path, or the name its bytes were given.
    pub(super) name: String,
    pub(super) metadata: BTreeMap<String, String>,
    /// The tensors in the order of their bytes.
    pub(super) tensors: Vec<StoredTensor>,
    storage: Storage,
}

/// A tensor in a file.
#[derive(Debug)]
pub(super) struct StoredTensor {
    /// Its name as written there.
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    element: String,
    /// Its bytes, counted from the start of the file.
    bytes: Range<u64>,
    /// What else its description says, which other programs may want.
    #[cfg_attr(target_arch = "wasm32", expect(dead_code, reason = "files are rewritten on native targets alone"))]
    other: serde_json::Map<String, serde_json::Value>,
}

/// The element types that are read.
#[derive(Clone, Copy)]
enum Float {
    F32,
    F16,
    Bf16,
}

impl TensorFile {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("read", path))?;
        Self::from_source(path, Box::new(file))
    }

    /// `path` stands for the source in errors.
    pub(super) fn from_source(path: &Path, mut source: Box<dyn Source>) -> Result<Self> {
        let length = source.seek(SeekFrom::End(0)).map_err(Error::io("read", path))?;
        let storage = Storage::Source { path: path.to_owned(), source: Mutex::new(source) };
        Self::new(path.display().to_string(), storage, length)
    }

    pub(super) fn from_bytes(name: String, bytes: Cow<'static, [u8]>) -> Result<Self> {
        let length = bytes.len() as u64;
        Self::new(name, Storage::Memory(bytes), length)
    }

    fn new(name: String, storage: Storage, length: u64) -> Result<Self> {
        let malformed = |reason| Error::Safetensors { file: name.clone(), reason };
        if length < PREAMBLE {
            return Err(malformed(format!(
                "it is {length} bytes long, shorter than the {PREAMBLE} a header's length takes"
            )));
        }
        let preamble = storage.collect(0..PREAMBLE)?;
        // The bytes come least significant first.
        let header_length = preamble.iter().rev().fold(0, |length, &byte| length << 8 | u64::from(byte));
        if header_length > LONGEST_HEADER {
            return Err(malformed(format!(
                "its first 8 bytes announce a header of {header_length} bytes, the format allows {LONGEST_HEADER}; is \
                 it of another format?"
            )));
        }
        let data = PREAMBLE + header_length..length;
        if data.start > data.end {
            return Err(malformed(format!(
                "its header should be {header_length} bytes long, but the whole file is only {length} bytes long; is \
                 it cut short?"
            )));
        }
        let header = storage.collect(PREAMBLE..data.start)?;
        let (metadata, tensors) = parse_header(&header, data).map_err(malformed)?;
        Ok(Self { name, metadata, tensors, storage })
    }

    /// Checks a tensor's shape and element type; `name` is the one it has in the model.
    pub(super) fn check(&self, index: usize, name: &str, shape: &[usize]) -> Result<()> {
        self.float(index, name, shape).map(|_| ())
    }

    /// Reads a tensor of known shape; `name` is the one it has in the model.
    pub(super) fn read(&self, index: usize, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let float = self.float(index, name, shape)?;
        let bytes = self.tensors[index].bytes.clone();
        let count = (bytes.end - bytes.start) / float.size() as u64;
        let too_large = || Error::Safetensors {
            file: self.name.clone(),
            reason: format!("tensor `{name}` has {count} elements, more than there is memory for"),
        };
        let mut values = Vec::new();
        values.try_reserve_exact(usize::try_from(count).map_err(|_| too_large())?).map_err(|_| too_large())?;
        self.storage.for_each_chunk(bytes, |chunk| float.decode(chunk, &mut values))?;
        match values.iter().position(|value| !value.is_finite()) {
            Some(index) => {
                let value = values[index];
                Err(Error::NonFinite { tensor: name.into(), file: self.name.clone(), index, value })
            }
            None => Ok(values),
        }
    }

    /// Writes the file anew with other metadata; the tensors' bytes stay as they are.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn write_with(&self, metadata: &BTreeMap<String, String>, to: &mut dyn io::Write) -> io::Result<()> {
        let data = self.tensors.first().map_or(0, |tensor| tensor.bytes.start);
        let entries = self.tensors.iter().map(|StoredTensor { name, shape, element, bytes, other }| {
            let offsets = [bytes.start - data, bytes.end - data];
            let mut entry = serde_json::json!({ "dtype": element, "shape": shape, "data_offsets": offsets });
            entry.as_object_mut().into_iter().for_each(|entry| entry.extend(other.clone()));
            (name.as_str(), entry)
        });
        write_header(to, metadata, entries)?;
        let end = self.tensors.last().map_or(data, |tensor| tensor.bytes.end);
        let mut outcome = Ok(());
        let copied = self.storage.for_each_chunk(data..end, |chunk| {
            if outcome.is_ok() {
                outcome = to.write_all(chunk);
            }
        });
        copied.map_err(io::Error::other)?;
        outcome
    }

    fn float(&self, index: usize, name: &str, shape: &[usize]) -> Result<Float> {
        let tensor = &self.tensors[index];
        if tensor.shape != shape {
            return Err(Error::TensorShape {
                tensor: name.into(),
                file: self.name.clone(),
                expected: shape.into(),
                found: tensor.shape.clone(),
            });
        }
        Float::by_name(&tensor.element).ok_or_else(|| Error::TensorType {
            tensor: name.into(),
            file: self.name.clone(),
            found: tensor.element.clone(),
        })
    }
}

/// Something a file's bytes can be read from at any place: a file on a disk, or a browser's `Blob`, which like
/// everything there belongs to one thread.
pub(super) trait Source: Read + Seek + wgpu::WasmNotSend {}

impl<T: Read + Seek + wgpu::WasmNotSend> Source for T {}

/// Where a file's bytes are.
enum Storage {
    /// Outside of memory. The lock keeps two readers from moving the source's one cursor.
    Source {
        path: PathBuf,
        source: Mutex<Box<dyn Source>>,
    },
    Memory(Cow<'static, [u8]>),
}

impl Storage {
    /// Hands a range of bytes, which must lie inside the file, to `take` in pieces.
    fn for_each_chunk(&self, range: Range<u64>, mut take: impl FnMut(&[u8])) -> Result<()> {
        match self {
            Self::Source { path, source } => {
                // Every read seeks first, so a cursor left behind by a panic does no harm.
                let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
                read_chunks(source.as_mut(), range, take).map_err(Error::io("read", path))
            }
            Self::Memory(bytes) => {
                take(&bytes[range.start as usize..range.end as usize]);
                Ok(())
            }
        }
    }

    fn collect(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
        self.for_each_chunk(range, |chunk| bytes.extend_from_slice(chunk))?;
        Ok(bytes)
    }
}

/// Writes a header; `tensors` are names and descriptions in the order of their bytes.
pub(super) fn write_header<'a>(
    file: &mut dyn io::Write,
    metadata: &BTreeMap<String, String>,
    tensors: impl Iterator<Item = (&'a str, Value)>,
) -> io::Result<()> {
    let mut header = Vec::new();
    // A map written entry by entry keeps the tensors' order for whoever reads the header.
    let mut json = serde_json::Serializer::new(&mut header);
    let mut map = json.serialize_map(None)?;
    if !metadata.is_empty() {
        map.serialize_entry(METADATA, metadata)?;
    }
    for (name, description) in tensors {
        map.serialize_entry(name, &description)?;
    }
    map.end()?;
    // Readers that map the file into memory want its data aligned.
    header.resize(header.len().next_multiple_of(8), b' ');
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)
}

fn read_chunks(source: &mut dyn Source, range: Range<u64>, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    source.seek(SeekFrom::Start(range.start))?;
    let mut left = range.end - range.start;
    let mut buffer = vec![0; left.min(CHUNK as u64) as usize];
    while left > 0 {
        let chunk = &mut buffer[..left.min(CHUNK as u64) as usize];
        source.read_exact(chunk)?;
        take(chunk);
        left -= chunk.len() as u64;
    }
    Ok(())
}

impl Float {
    fn by_name(name: &str) -> Option<Self> {
        match name {
            "F32" => Some(Self::F32),
            "F16" => Some(Self::F16),
            "BF16" => Some(Self::Bf16),
            _ => None,
        }
    }

    /// Bytes of an element.
    fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// Appends the values of little-endian `bytes`.
    fn decode(self, bytes: &[u8], values: &mut Vec<f32>) {
        let elements = bytes.chunks_exact(self.size());
        match self {
            Self::F32 => values.extend(elements.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
            Self::F16 => values.extend(elements.map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32())),
            Self::Bf16 => values.extend(elements.map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32())),
        }
    }
}

/// A tensor as the header describes it.
#[derive(serde::Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
    #[serde(flatten)]
    other: serde_json::Map<String, serde_json::Value>,
}

/// A JSON object that has no key twice; serde's own maps would let the last one win.
struct Unique<V>(BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Unique<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
            type Value = Unique<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, V>()? {
                    if entries.contains_key(&key) {
                        return Err(A::Error::custom(format!("the name `{key}` stands there twice")));
                    }
                    entries.insert(key, value);
                }
                Ok(Unique(entries))
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

/// Metadata and tensors of a header, or what is wrong with it. `data` is the range of the tensors' bytes in the file.
fn parse_header(header: &[u8], data: Range<u64>) -> Result<(BTreeMap<String, String>, Vec<StoredTensor>), String> {
    let text = str::from_utf8(header).map_err(|error| format!("its header is no text: {error}"))?;
    let Unique(mut entries): Unique<&RawValue> =
        serde_json::from_str(text).map_err(|error| format!("its header is not the JSON it should be: {error}"))?;
    let metadata = match entries.remove(METADATA) {
        Some(raw) => parse_metadata(raw)?,
        None => BTreeMap::new(),
    };
    let mut tensors = Vec::with_capacity(entries.len());
    for (name, raw) in entries {
        let tensor = parse_tensor(&name, raw, data.start).map_err(|reason| format!("tensor `{name}`: {reason}"))?;
        tensors.push(tensor);
    }
    tensors.sort_by_key(|tensor| (tensor.bytes.start, tensor.bytes.end));
    check_ranges(&tensors, data)?;
    Ok((metadata, tensors))
}

fn parse_metadata(raw: &RawValue) -> Result<BTreeMap<String, String>, String> {
    serde_json::from_str(raw.get())
        .map(|Unique(metadata)| metadata)
        .map_err(|error| format!("`{METADATA}` is not a map from names to strings: {error}"))
}

fn parse_tensor(name: &str, raw: &RawValue, data_start: u64) -> Result<StoredTensor, String> {
    let Entry { dtype, shape, data_offsets: (begin, end), other } =
        serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
    if shape.len() > MOST_DIMENSIONS {
        return Err(format!("it has {} dimensions, at most {MOST_DIMENSIONS} are read", shape.len()));
    }
    if begin > end {
        return Err(format!("its bytes end at {end}, before their start at {begin}"));
    }
    // The size of an element type unknown here cannot be checked; such a tensor is refused when the model needs it.
    if let Some(bits) = element_bits(&dtype) {
        let size = size_in_bytes(&shape, bits)
            .ok_or_else(|| format!("shape {shape:?} of {dtype} is no whole number of bytes that fits 64 bits"))?;
        if size != end - begin {
            return Err(format!(
                "shape {shape:?} of {dtype} takes {size} bytes, but bytes {begin} to {end} are {}",
                end - begin
            ));
        }
    }
    let place = |offset: u64| {
        data_start.checked_add(offset).ok_or_else(|| format!("its bytes {begin} to {end} lie beyond any file"))
    };
    let sizes = shape.iter().map(|&size| usize::try_from(size));
    Ok(StoredTensor {
        name: name.into(),
        shape: sizes.collect::<Result<_, _>>().map_err(|_| format!("shape {shape:?} is too large for this machine"))?,
        element: dtype,
        bytes: place(begin)?..place(end)?,
        other,
    })
}

/// Bits of an element of each type the format knows.
fn element_bits(dtype: &str) -> Option<u64> {
    match dtype {
        "F4" => Some(4),
        "F6_E2M3" | "F6_E3M2" => Some(6),
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" => Some(8),
        "I16" | "U16" | "F16" | "BF16" => Some(16),
        "I32" | "U32" | "F32" => Some(32),
        "I64" | "U64" | "F64" | "C64" => Some(64),
        _ => None,
    }
}

fn size_in_bytes(shape: &[u64], element_bits: u64) -> Option<u64> {
    let bits = shape.iter().try_fold(element_bits, |bits, &size| bits.checked_mul(size))?;
    bits.is_multiple_of(8).then_some(bits / 8)
}

/// Checks that the tensors, in the order of their bytes, fill the file's data without overlap or gap.
fn check_ranges(tensors: &[StoredTensor], data: Range<u64>) -> Result<(), String> {
    let offset = |place: u64| place - data.start;
    if let Some(beyond) = tensors.iter().find(|tensor| tensor.bytes.end > data.end) {
        return Err(format!(
            "tensor `{}` ends at byte {}, but the file at byte {}; is it cut short?",
            beyond.name, beyond.bytes.end, data.end
        ));
    }
    let mut before = "the header".to_owned();
    let mut end = data.start;
    for StoredTensor { name, bytes, .. } in tensors {
        let (start, expected) = (offset(bytes.start), offset(end));
        if start < expected {
            return Err(format!("tensor `{name}` starts at offset {start}, inside {before}, which ends at {expected}"));
        }
        if start > expected {
            return Err(format!(
                "nothing describes offsets {expected} to {start}, between {before} and tensor `{name}`"
            ));
        }
        before = format!("tensor `{name}`");
        end = bytes.end;
    }
    if end < data.end {
        return Err(format!("nothing describes its last {} bytes, after {before}", data.end - end));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
