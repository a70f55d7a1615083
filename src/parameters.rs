//! The network's parameters and the constants that kernels read, from the one to the other.
//!
//! A piece of the network declares its parameters once, with the constants it wants of them. That alone gives the
//! [`Schema`] of a model; [`Parameters::load`] then asks a [`Source`] for one parameter after another and fills the
//! constants.

use crate::gpu::{Constant, Format, Gpu, Layer, MatmulKernel, Uploader, Winograd};
use crate::weights::{Parameter, Schema, Source};
use crate::{Error, Result};

/// What the pieces of a network have declared so far, in reading order.
pub(crate) struct Parameters<'a> {
    storage: Storage<'a>,
    /// Bytes of transformed weights, those of the model's parts before these included.
    transformed: u64,
    declared: Vec<Declared>,
}

/// How constants are stored.
#[derive(Clone, Copy, Default)]
pub(crate) struct Storage<'a> {
    /// The device whose kernels read them; none where only names and shapes are asked for.
    pub gpu: Option<&'a Gpu>,
    /// The format of the weights of products and convolutions.
    pub format: Format,
    /// The algorithm of all 3 x 3 convolutions, where the caller wants one.
    pub winograd: Option<Winograd>,
    /// Bytes there may be of transformed weights, where the caller bounds them.
    pub winograd_bytes: Option<u64>,
}

/// Parameters that are read together, and what becomes of them.
struct Declared {
    parameters: Vec<Parameter>,
    derive: Box<Derive>,
}

/// From the values of some parameters to constants.
type Derive = dyn FnOnce(Vec<Vec<f32>>) -> Result<Parts> + Send;

/// Parts of constants, each made when the one before it is on the GPU.
pub(crate) type Parts = Box<dyn Iterator<Item = Part> + Send>;

/// Some values of a constant, from value `first` on.
pub(crate) struct Part {
    pub constant: Constant,
    pub first: usize,
    pub values: Vec<f32>,
}

impl Part {
    /// All values of a constant.
    pub(crate) fn whole(constant: Constant, values: Vec<f32>) -> Self {
        Self { constant, first: 0, values }
    }
}

impl<'a> Parameters<'a> {
    pub(crate) fn new(storage: Storage<'a>) -> Self {
        Self { storage, transformed: 0, declared: Vec::new() }
    }

    /// Parameters of which only names and shapes are asked for.
    pub(crate) fn without_device() -> Self {
        Self::new(Storage::default())
    }

    /// Parameters of a model with so many bytes of transformed weights in its other parts.
    pub(crate) fn beside(self, transformed: u64) -> Self {
        Self { transformed, ..self }
    }

    /// Bytes of the model's transformed weights so far.
    pub(crate) fn transformed_bytes(&self) -> u64 {
        self.transformed
    }

    /// The names and shapes declared so far, which make up `parts` of the model.
    pub(crate) fn schema(&self, parts: &[&'static str]) -> Schema {
        Schema::new(parts, self.declared.iter().flat_map(|declared| &declared.parameters).cloned().collect())
    }

    /// Declares parameters that are read together; `derive` makes constants of their values, which come in PyTorch's
    /// order.
    pub(crate) fn declare(
        &mut self,
        parameters: Vec<Parameter>,
        derive: impl FnOnce(Vec<Vec<f32>>) -> Result<Parts> + Send + 'static,
    ) {
        self.declared.push(Declared { parameters, derive: Box::new(derive) });
    }

    /// Declares a constant that is not trained.
    pub(crate) fn fixed(&mut self, constant: &Constant, values: Vec<f32>) {
        let part = Part::whole(constant.clone(), values);
        self.declare(Vec::new(), |_| Ok(Box::new(std::iter::once(part))));
    }

    /// A constant that stays f32: biases, norms, maps of constants.
    pub(crate) fn vector(&self, label: String, length: u32) -> Constant {
        Constant::buffer(label, [1, 1, length], Format::F32)
    }

    /// Matrices `[batch][depth][columns]` for products, where the device's kernel wants them.
    pub(crate) fn matrix(&self, label: String, shape: [u32; 3], format: Format) -> Constant {
        match self.storage.gpu {
            Some(gpu) if gpu.matmul.reads_textures() => Constant::texture(label, shape, format),
            _ => Constant::buffer(label, shape, format),
        }
    }

    /// The format of the weights of products and convolutions.
    pub(crate) fn format(&self) -> Format {
        self.storage.format
    }

    /// Which of Winograd's algorithms computes a 3 x 3 convolution.
    pub(crate) fn winograd(&self, layer: &Layer) -> Winograd {
        let gpu = self.storage.gpu;
        let measured = || gpu.and_then(|gpu| gpu.tuning().winograd(layer));
        let kernel = gpu.map_or(MatmulKernel::Tiled, |gpu| gpu.matmul);
        self.storage.winograd.or_else(measured).unwrap_or_else(|| kernel.winograd(layer.height))
    }

    /// Takes from the room for transformed weights; false where they do not fit.
    pub(crate) fn reserve_transformed(&mut self, bytes: u64) -> bool {
        let fits = self.storage.winograd_bytes.is_none_or(|most| self.transformed + bytes <= most);
        self.transformed += if fits { bytes } else { 0 };
        fits
    }

    /// Fills the constants, one parameter after another. Gives the bytes they take.
    pub(crate) async fn load(self, gpu: &Gpu, source: &impl Source) -> Result<u64> {
        let mut uploader = Uploader::new(gpu);
        for Declared { parameters, derive } in self.declared {
            let values = parameters.iter().map(|parameter| source.values(parameter)).collect::<Result<_>>()?;
            for Part { constant, first, values } in derive(values)? {
                write(&mut uploader, &constant, first, values).await?;
            }
        }
        // The last uploads.
        uploader.flush();
        Ok(uploader.total())
    }
}

async fn write(uploader: &mut Uploader<'_>, constant: &Constant, first: usize, values: Vec<f32>) -> Result<()> {
    let offset = first as u64 * constant.format().bytes_per_value();
    if constant.format().is_f16() {
        let halves = pack_f16(constant.label(), &values)?;
        // Where values are many, they are not needed twice while they travel.
        drop(values);
        uploader.fill(constant, offset, bytemuck::cast_slice(&halves)).await
    } else {
        uploader.fill(constant, offset, bytemuck::cast_slice(&values)).await
    }
}

fn pack_f16(label: &str, values: &[f32]) -> Result<Vec<half::f16>> {
    let halves: Vec<half::f16> = values.iter().map(|&value| half::f16::from_f32(value)).collect();
    match values.iter().zip(&halves).find(|(_, half)| half.is_infinite()) {
        None => Ok(halves),
        Some((value, _)) => Err(Error::Input {
            what: format!("tensor `{label}` as f16"),
            expected: "values of at most 65504; load the model with f32 weights".to_owned(),
            found: value.to_string(),
        }),
    }
}
