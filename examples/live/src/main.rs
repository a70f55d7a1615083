//! Anomaly maps live over a stream of pictures: pcsnet on an eframe window's own device, in its own frames.
//!
//! The network is spread over as many frames as the slider says, so the window stays fluid on any graphics card.
//! Nothing but the score comes back from the GPU, and nobody waits for it.

mod app;
mod detector;
mod source;

use anyhow::{Result, anyhow};
use clap::Parser;
use eframe::egui_wgpu::{WgpuConfiguration, WgpuSetup};
use eframe::wgpu;
use pcsnet::gpu;
use std::path::PathBuf;
use std::sync::Arc;

/// Watch a folder's pictures, or a belt that carries them past a camera, with a trained model.
#[derive(Parser)]
struct Arguments {
    /// The model: a bundle, or the backbone's and the head's safetensors
    #[arg(long, value_name = "FILE", num_args = 1..)]
    #[arg(default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../weights/default.safetensors"))]
    model: Vec<PathBuf>,

    /// The pictures, those of folders inside included
    #[arg(default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples/test"))]
    folder: PathBuf,

    /// Save a picture of the window once this many photographs were inspected, and end
    #[arg(long, value_name = "FILE.png")]
    screenshot: Option<PathBuf>,

    /// See --screenshot
    #[arg(long, value_name = "N", default_value_t = 12)]
    after: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut options = eframe::NativeOptions {
        viewport: eframe::egui::ViewportBuilder::default().with_inner_size([940.0, 640.0]),
        renderer: eframe::Renderer::Wgpu,
        wgpu_options: WgpuConfiguration::default(),
        ..Default::default()
    };
    if let WgpuSetup::CreateNew(setup) = &mut options.wgpu_options.wgpu_setup {
        // What the window needs, and what makes the network faster where the adapter has it.
        setup.device_descriptor = Arc::new(|adapter| wgpu::DeviceDescriptor {
            label: Some("live"),
            required_features: gpu::required_features() | (adapter.features() & gpu::optional_features()),
            required_limits: adapter.limits(),
            ..Default::default()
        });
    }
    let start: eframe::AppCreator<'_> =
        Box::new(move |context| Ok(Box::new(app::App::new(context, &arguments)?) as Box<dyn eframe::App>));
    eframe::run_native("pcsnet live", options, start).map_err(|error| anyhow!("{error}"))
}
