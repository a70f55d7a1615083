//! The network in the window's frames: a texture in, another out, a score that arrives when it is ready.

use crate::source::SIDE;
use anyhow::Result;
use eframe::wgpu;
use pcsnet::image::{ColourMap, Scale};
use pcsnet::inspect::{Calibration, Inspector};
use pcsnet::weights::Weights;
use pcsnet::{
    Encoding, Engine, EngineOptions, HeatOutput, HeatStyle, HeatTarget, Job, Paint, PhotographInput, Precision,
    TextureSource,
};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The range of colours for a model without one.
pub const UNCALIBRATED: Scale = Scale { low: 0.0, high: 1.0 };

pub struct Detector {
    device: wgpu::Device,
    queue: wgpu::Queue,
    inspector: Inspector,
    /// The frame that is inspected, and the last one that was, with its heat.
    photograph: wgpu::Texture,
    picture: wgpu::Texture,
    input: PhotographInput,
    output: HeatOutput,
    /// The frame on its way through the network.
    job: Option<Job>,
    staging: wgpu::Buffer,
    score: Arc<Mutex<Score>>,
}

/// The score's way back.
#[derive(Default, PartialEq)]
enum Score {
    #[default]
    Idle,
    OnItsWay,
    Mapped,
}

/// What the user chooses of how heat looks.
#[derive(Clone, Copy, PartialEq)]
pub struct HeatLook {
    pub colours: ColourMap,
    pub opacity: f32,
}

impl Detector {
    pub async fn open(device: &wgpu::Device, queue: &wgpu::Queue, files: &[PathBuf], look: HeatLook) -> Result<Self> {
        let weights = Weights::open(files)?;
        let engine = Engine::new(device.clone(), queue.clone(), EngineOptions::default())?;
        let model = engine.load(&weights, Precision::F32).await?;
        let inspector = Inspector::new(&model, Calibration::from_metadata(&weights.metadata())?, 1).await?;
        let session = inspector.session();
        let photograph = create_texture(device, wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_SRC);
        let picture =
            create_texture(device, wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::RENDER_ATTACHMENT);
        let input = session.texture_input(0, &TextureSource::new(&photograph, Encoding::Srgb)).await?;
        let target = HeatTarget::new(&picture, Encoding::Srgb, *input.frame());
        let output = session.heat_output(0, 0, &target, &style(&inspector, look)).await?;
        let staging = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("score"),
            size: 4,
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        Ok(Self {
            device: device.clone(),
            queue: queue.clone(),
            inspector,
            photograph,
            picture,
            input,
            output,
            job: None,
            staging,
            score: Arc::default(),
        })
    }

    /// The model's calibration.
    pub fn calibration(&self) -> &Calibration {
        self.inspector.calibration()
    }

    /// What to show: the last inspected frame under its heat.
    pub fn view(&self) -> wgpu::TextureView {
        self.picture.create_view(&wgpu::TextureViewDescriptor::default())
    }

    pub fn set_look(&self, look: HeatLook) {
        self.output.set_style(&style(&self.inspector, look));
    }

    /// Does one window frame's share of the work, one submission; `next` gives a picture when one is needed. A score is
    /// returned when one has come back.
    pub fn advance(&mut self, frames_per_picture: u64, next: impl FnOnce() -> Vec<u8>) -> Option<f32> {
        // A map request is answered by polling, without waiting for it.
        self.device.poll(wgpu::PollType::Poll).ok();
        let mut state = self.score.lock().unwrap_or_else(PoisonError::into_inner);
        let score = (*state == Score::Mapped).then(|| {
            let score = self
                .staging
                .slice(..)
                .get_mapped_range()
                .ok()
                .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
            self.staging.unmap();
            *state = Score::Idle;
            score
        });
        // The next picture waits for the last one's score, so that the GPU never runs behind.
        if *state == Score::OnItsWay {
            return None;
        }
        drop(state);

        let descriptor = wgpu::CommandEncoderDescriptor { label: Some("a share of the network") };
        let mut encoder = self.device.create_command_encoder(&descriptor);
        let mut job = self.job.take().unwrap_or_else(|| {
            let layout = wgpu::TexelCopyBufferLayout { bytes_per_row: Some(4 * SIDE), ..Default::default() };
            self.queue.write_texture(self.photograph.as_image_copy(), &next(), layout, self.photograph.size());
            self.input.record(&mut encoder);
            Job::new()
        });
        let session = self.inspector.session();
        let part = session.work() / frames_per_picture;
        let done = session.advance(&mut job, &mut encoder, part).expect("the job was begun in this session");
        if done {
            let (from, to) = (self.photograph.as_image_copy(), self.picture.as_image_copy());
            encoder.copy_texture_to_texture(from, to, self.photograph.size());
            self.output.record(&mut encoder);
            encoder.copy_buffer_to_buffer(session.score_buffer(), 0, &self.staging, 0, 4);
        }
        self.queue.submit([encoder.finish()]);
        if done {
            *self.score.lock().unwrap_or_else(PoisonError::into_inner) = Score::OnItsWay;
            let state = Arc::clone(&self.score);
            self.staging.slice(..).map_async(wgpu::MapMode::Read, move |outcome| {
                let now = if outcome.is_ok() { Score::Mapped } else { Score::Idle };
                *state.lock().unwrap_or_else(PoisonError::into_inner) = now;
            });
        } else {
            self.job = Some(job);
        }
        score.flatten()
    }
}

fn style(inspector: &Inspector, look: HeatLook) -> HeatStyle {
    let scale = inspector.calibration().scale.unwrap_or(UNCALIBRATED);
    HeatStyle { scale, colours: look.colours, paint: Paint::Overlay { opacity: look.opacity } }
}

fn create_texture(device: &wgpu::Device, usage: wgpu::TextureUsages) -> wgpu::Texture {
    device.create_texture(&wgpu::TextureDescriptor {
        label: Some("picture"),
        size: wgpu::Extent3d { width: SIDE, height: SIDE, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        // What egui takes for a picture.
        format: wgpu::TextureFormat::Rgba8UnormSrgb,
        usage: usage | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    })
}
