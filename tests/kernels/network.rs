//! The networks whose kernels are judged.

use anyhow::Result;
use pcsnet::config::{BackboneConfig, DescriptorKind};
use pcsnet::gpu::{self, MatmulKernel};
use pcsnet::weights::Weights;
use pcsnet::{Engine, EngineOptions, ModelConfig, Precision, schema};
use pollster::block_on;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a network asks of a GPU: its pipelines and how often they run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Network {
    pub name: String,
    pub programs: Vec<Program>,
    pub steps: Vec<Step>,
}

/// A compute pipeline before any compiler has seen it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Program {
    pub kernel: String,
    pub wgsl: String,
    pub constants: Vec<(String, f64)>,
}

impl From<gpu::Program> for Program {
    fn from(gpu::Program { kernel, wgsl, constants }: gpu::Program) -> Self {
        Self { kernel, wgsl, constants }
    }
}

/// A dispatch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step {
    pub kernel: String,
    pub workgroups: [u32; 3],
}

/// The authors' network at full size and the default model, each at batch 1 with the kernels that a GPU is given
/// without measuring, and the former once more with products of f16; those on matrix units, which no device here has.
pub fn networks() -> Result<Vec<Network>> {
    let engine = engine()?;
    let config = ModelConfig::standard(BackboneConfig::wide_resnet50_2(), DescriptorKind::Plain);
    let weights = zeros(&config)?;
    let full_size = network(&engine, "full size", &weights, Precision::F32)?;
    let halves = network(&engine, "full size, f16 products", &weights, Precision::F16Products)?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights/default.safetensors");
    let default = network(&engine, "default model", &Weights::open([file])?, Precision::F32)?;
    let units = Network {
        name: "products on matrix units".to_owned(),
        programs: gpu::matrix_unit_programs().into_iter().map(Program::from).collect(),
        steps: Vec::new(),
    };
    Ok(vec![full_size, halves, default, units])
}

/// Of whatever device there is, with the kernels that GPUs get: nothing is run on it.
fn engine() -> Result<Engine> {
    let (device, queue) = block_on(gpu::open_device(None))?;
    let mut options = EngineOptions::default();
    options.matmul = Some(MatmulKernel::Tiled);
    Ok(Engine::new(device, queue, options)?)
}

fn network(engine: &Engine, name: &str, weights: &Weights, precision: Precision) -> Result<Network> {
    let model = block_on(engine.load(weights, precision))?;
    let session = block_on(model.session(1))?;
    let programs = session.programs().into_iter().map(Program::from);
    let steps = session.steps().into_iter().map(|step| Step { kernel: step.kernel, workgroups: step.workgroups });
    Ok(Network { name: name.to_owned(), programs: programs.collect(), steps: steps.collect() })
}

/// Weights of a model that nobody will run.
fn zeros(config: &ModelConfig) -> Result<Weights> {
    let schema = schema::model(config);
    let bytes = |shape: &[usize]| 4 * shape.iter().product::<usize>();
    let largest = schema.tensors().iter().map(|tensor| bytes(&tensor.shape)).max().unwrap_or(0);
    let zeros = vec![0; largest];
    let mut views = Vec::new();
    for tensor in schema.tensors() {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), &zeros[..bytes(&tensor.shape)])?;
        views.push((tensor.name.clone(), view));
    }
    let metadata = [("pcsnet.config".to_owned(), serde_json::to_string(config)?)].into();
    Ok(Weights::from_bytes("zeros", safetensors::serialize(views, Some(metadata))?)?)
}
