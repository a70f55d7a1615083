//! Devices that are lost or lack memory in the midst of things: at each point where a call awaits something, it ends
//! with an error, and on a new device, or once there is memory again, all is as it was.

use super::{Detection, Engine, Model, Precision, Session};
use crate::config::{BackboneConfig, DescriptorKind, HeadConfig, LayerConfig, ModelConfig, ResNetConfig, TrainedHead};
use crate::gpu::{EngineOptions, Fault, open_device};
use crate::image::RgbImage;
use crate::probe::harness::values;
use crate::teach::{Effort, Poses, TeachOptions, Teacher};
use crate::weights::{NamedTensor, Stored, Weights, serialize};
use crate::{Error, Result, schema};
use pollster::block_on;

/// An engine on a device of its own.
fn engine() -> Engine {
    let (device, queue) = block_on(open_device(None)).expect("an adapter");
    Engine::new(device, queue, EngineOptions::default()).expect("the adapter was checked")
}

fn config() -> ModelConfig {
    let layer = |width| LayerConfig { blocks: 1, width, channels: width };
    let backbone = BackboneConfig::Basic(ResNetConfig { stem: 8, layers: [layer(8), layer(8), layer(12)] });
    let head = TrainedHead {
        descriptor: DescriptorKind::Plain,
        prototypes: 16,
        nearest: 4,
        guide: 4,
        width: 8,
        bins: vec![6, 3],
    };
    ModelConfig { backbone, input: 64, light: None, grid: 8, head: HeadConfig::Trained(head) }
}

/// A model of small positive numbers, so that nothing it computes is infinite.
fn weights() -> Weights {
    let (config, schema) = (config(), schema::model(&config()));
    let contents = |(seed, shape): (u64, &[usize])| -> Vec<f32> {
        values(shape.iter().product(), seed).into_iter().map(|value| 0.2 + 0.1 * value).collect()
    };
    let all: Vec<_> = (1..).zip(schema.tensors()).map(|(seed, tensor)| contents((seed, &tensor.shape))).collect();
    let named: Vec<_> = schema
        .tensors()
        .iter()
        .zip(&all)
        .map(|(tensor, values)| NamedTensor { name: &tensor.name, shape: &tensor.shape, values, stored: Stored::F32 })
        .collect();
    let json = serde_json::to_string(&config).expect("sizes become JSON");
    let bytes = serialize(&named, &[("pcsnet.config".to_owned(), json)].into()).expect("values of the right number");
    Weights::from_bytes("small.safetensors", bytes).expect("a sound file")
}

fn photograph(seed: u64) -> RgbImage {
    let mut bytes = values(3 * 64 * 64, seed).into_iter().map(|value| (127.0 + 100.0 * value) as u8);
    RgbImage::from_fn(64, 64, |_, _| [(); 3].map(|()| bytes.next().unwrap_or_default()).into())
}

fn load(engine: &Engine) -> Result<Model> {
    block_on(engine.load(&weights(), Precision::F32))
}

fn detect(engine: &Engine) -> Result<Vec<Detection>> {
    block_on(async {
        let session = engine.load(&weights(), Precision::F32).await?.session(1).await?;
        session.run(&[photograph(1)]).await
    })
}

/// Has a device fail at each of some of the calls that `operation` makes to it, on what `prepare` makes ready. Every
/// `stride`-th call, and the first and the last. A device that lacked memory then does what it could not.
fn fail<T, U>(
    fault: Fault,
    stride: usize,
    prepare: impl Fn(&Engine) -> T,
    operation: impl Fn(&Engine, &T) -> Result<U>,
) {
    let healthy = engine();
    let prepared = prepare(&healthy);
    let before = healthy.gpu.calls.made();
    operation(&healthy, &prepared).expect("the device is sound");
    let calls = healthy.gpu.calls.made() - before;
    assert!(calls > 0);
    for call in (0..calls - 1).step_by(stride).chain([calls - 1]) {
        let engine = engine();
        let prepared = prepare(&engine);
        engine.gpu.calls.fail_after(call, fault);
        match (operation(&engine, &prepared), fault) {
            (Err(Error::DeviceLost(_)), Fault::Lost) => {}
            (Err(Error::OutOfMemory(_)), Fault::NoMemory) => {
                operation(&engine, &prepared).expect("there is memory again");
            }
            (Err(error), _) => panic!("call {call} of {calls}, {fault:?}: {error}"),
            // The last call waits for results, which the device may have had before. Tuning makes as many calls as take
            // a GPU some time.
            (Ok(_), _) => assert!(
                call == calls - 1 || engine.gpu.calls.is_fault_ahead(),
                "call {call} of {calls}, {fault:?}: no error"
            ),
        }
    }
}

fn fail_at(fault: Fault, stride: usize) {
    let expected = detect(&engine()).expect("the device is sound");
    let image = [photograph(1)];
    let session = |engine: &Engine| block_on(load(engine).expect("loads").session(1)).expect("fits");
    fail(fault, stride, |_| (), |engine, ()| load(engine));
    let model = |engine: &Engine| load(engine).expect("loads");
    fail(fault, stride, model, |_, model| block_on(model.session(1)));
    fail(fault, stride, session, |_, session: &Session| {
        let found = session.run_blocking(&image)?;
        assert_eq!(found, expected, "the same score, to the last bit");
        Ok(found)
    });
    fail(fault, stride, |_| (), |engine, ()| block_on(engine.prepare(&config(), Precision::F32, 1, |_| {})));
    fail(fault, stride, model, |_, model| block_on(model.trace(&vec![0.5; 3 * 64 * 64])));
    // A way of computing a layer that lacks memory is not taken, and is no error.
    if fault == Fault::Lost {
        fail(fault, 8 * stride, model, |engine, model| block_on(engine.tune(model, 1, |_| {})));
    }
    let options = TeachOptions { poses: Poses::Fixed, effort: Effort::Small, ..TeachOptions::default() };
    let teach = |engine: &Engine, (): &()| {
        block_on(async {
            let mut teacher = Teacher::new(engine, &weights(), options).await?;
            (1..4).try_for_each(|seed| teacher.add(seed.to_string(), &photograph(seed)))?;
            teacher.teach(|_| {}).await
        })
    };
    fail(fault, 40 * stride, |_| (), teach);
    assert_eq!(detect(&engine()).expect("the device is sound"), expected, "on a new device");
}

#[test]
fn a_device_lost_at_some_of_the_calls_is_an_error() {
    fail_at(Fault::Lost, 29);
}

#[test]
fn no_memory_at_some_of_the_calls_is_an_error() {
    fail_at(Fault::NoMemory, 29);
}

#[test]
#[ignore = "every call of all takes minutes"]
fn a_device_that_fails_at_any_call_is_an_error() {
    fail_at(Fault::Lost, 1);
    fail_at(Fault::NoMemory, 1);
}
