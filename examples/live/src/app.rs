//! The window.

use crate::Arguments;
use crate::detector::{Detector, HeatLook, UNCALIBRATED};
use crate::source::{Kind, Source};
use anyhow::{Context, Result};
use eframe::egui::{self, Color32, RichText};
use eframe::wgpu;
use egui_plot::{HLine, Line, Plot, PlotPoints};
use pcsnet::image::{ColourMap, Scale};
use pcsnet::inspect::{Calibration, Verdict};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Scores and frame times that are shown.
const SHOWN: usize = 120;
const CURVE: Color32 = Color32::from_rgb(110, 170, 240);
const PASS: Color32 = Color32::from_rgb(120, 200, 130);
const FAIL: Color32 = Color32::from_rgb(240, 110, 100);

pub struct App {
    source: Source,
    detector: Detector,
    picture: egui::TextureId,
    look: HeatLook,
    scale: Scale,
    threshold: f32,
    /// Window frames that share one run of the network.
    frames: u64,
    scores: VecDeque<f32>,
    inspected: usize,
    /// Milliseconds from one window frame to the next.
    frame_times: VecDeque<f32>,
    last_frame: Instant,
    last_score: Instant,
    per_picture: Duration,
    screenshot: Option<(PathBuf, usize)>,
}

impl App {
    pub fn new(context: &eframe::CreationContext<'_>, arguments: &Arguments) -> Result<Self> {
        let state = context.wgpu_render_state.as_ref().context("eframe draws without wgpu")?;
        let look = HeatLook { colours: ColourMap::Turbo, opacity: 0.6 };
        let source = Source::open(&arguments.folder)?;
        let open = Detector::open(&state.device, &state.queue, &arguments.model, look);
        let detector = pollster::block_on(open)?;
        let calibration = *detector.calibration();
        let scale = calibration.scale.unwrap_or(UNCALIBRATED);
        let view = detector.view();
        let picture = state.renderer.write().register_native_texture(&state.device, &view, wgpu::FilterMode::Linear);
        Ok(Self {
            source,
            threshold: calibration.threshold.unwrap_or((scale.low + scale.high) / 2.0),
            scale,
            detector,
            picture,
            look,
            frames: 8,
            scores: VecDeque::new(),
            inspected: 0,
            frame_times: VecDeque::new(),
            last_frame: Instant::now(),
            last_score: Instant::now(),
            per_picture: Duration::ZERO,
            screenshot: arguments.screenshot.clone().map(|path| (path, arguments.after)),
        })
    }

    fn advance(&mut self) {
        let elapsed = self.last_frame.elapsed();
        self.last_frame = Instant::now();
        remember(&mut self.frame_times, elapsed.as_secs_f32() * 1e3);
        let source = &mut self.source;
        if let Some(score) = self.detector.advance(self.frames, || source.next()) {
            remember(&mut self.scores, score);
            self.inspected += 1;
            self.per_picture = self.last_score.elapsed();
            self.last_score = Instant::now();
        }
    }

    fn controls(&mut self, ui: &mut egui::Ui) {
        ui.heading("pcsnet live");
        ui.add_space(6.0);
        ui.horizontal(|ui| {
            ui.label("Pictures");
            ui.selectable_value(&mut self.source.kind, Kind::Folder, "one by one");
            ui.selectable_value(&mut self.source.kind, Kind::Belt, "on a belt");
        });
        let range = self.scale.low..=self.scale.high;
        ui.add(egui::Slider::new(&mut self.threshold, range).text("threshold").fixed_decimals(4));
        let before = self.look;
        ui.add(egui::Slider::new(&mut self.look.opacity, 0.0..=1.0).text("heat").fixed_decimals(2));
        ui.horizontal(|ui| {
            ui.label("Colours");
            let maps = [(ColourMap::Turbo, "Turbo"), (ColourMap::Viridis, "Viridis"), (ColourMap::Inferno, "Inferno")];
            for (map, name) in maps {
                ui.selectable_value(&mut self.look.colours, map, name);
            }
        });
        if self.look != before {
            self.detector.set_look(self.look);
        }
        ui.add(egui::Slider::new(&mut self.frames, 1..=60).text("window frames a picture"));
        ui.add_space(6.0);
        self.verdict(ui);
        ui.add_space(6.0);
        ui.label("Scores, newest right; the line is the threshold");
        plot(ui, "scores", &self.scores, Some(self.threshold));
        ui.label(format!(
            "Window frames: {:.0} ms (median); a picture: {} ms",
            median(&self.frame_times),
            self.per_picture.as_millis()
        ));
        plot(ui, "times", &self.frame_times, None);
    }

    fn verdict(&self, ui: &mut egui::Ui) {
        let Some(&score) = self.scores.back() else {
            ui.label("Waiting for the first score");
            return;
        };
        let chosen = Calibration { threshold: Some(self.threshold), ..Calibration::default() };
        let (word, colour) = match chosen.verdict(score) {
            Some(Verdict::Fail) => ("FAIL", FAIL),
            _ => ("PASS", PASS),
        };
        ui.horizontal(|ui| {
            ui.label(RichText::new(word).size(28.0).strong().color(colour));
            ui.label(RichText::new(format!("score {score:.4}")).size(18.0));
        });
    }

    fn save_screenshot(&mut self, context: &egui::Context) {
        let due = |(_, after): &mut (PathBuf, usize)| self.inspected >= *after;
        if let Some((path, _)) = self.screenshot.take_if(due) {
            let to_close = context.clone();
            context.request_screenshot(move |picture| {
                match save(&path, &picture) {
                    Ok(()) => println!("saved {}", path.display()),
                    Err(error) => eprintln!("error: {}: {error}", path.display()),
                }
                to_close.send_viewport_cmd(egui::ViewportCommand::Close);
                to_close.request_repaint();
            });
        }
    }
}

impl eframe::App for App {
    fn ui(&mut self, ui: &mut egui::Ui, _: &mut eframe::Frame) {
        self.advance();
        egui::Panel::right("controls").exact_size(380.0).show(ui, |ui| self.controls(ui));
        egui::CentralPanel::default().show(ui, |ui| {
            let side = ui.available_width().min(ui.available_height());
            ui.centered_and_justified(|ui| {
                ui.image(egui::load::SizedTexture::new(self.picture, [side, side]));
            });
        });
        self.save_screenshot(ui.ctx());
        // The stream goes on whether or not anybody moves the mouse.
        ui.ctx().request_repaint();
    }
}

fn remember(values: &mut VecDeque<f32>, value: f32) {
    values.push_back(value);
    if values.len() > SHOWN {
        values.pop_front();
    }
}

fn median(values: &VecDeque<f32>) -> f32 {
    let mut sorted: Vec<f32> = values.iter().copied().collect();
    sorted.sort_by(f32::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn plot(ui: &mut egui::Ui, name: &str, values: &VecDeque<f32>, line: Option<f32>) {
    let points: PlotPoints<'_> = (0..).zip(values).map(|(at, &value)| [f64::from(at), f64::from(value)]).collect();
    Plot::new(name)
        .height(120.0)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .show_x(false)
        .y_axis_min_width(36.0)
        .include_y(0.0)
        .show(ui, |plot| {
            plot.line(Line::new(name, points).color(CURVE).width(1.5));
            if let Some(line) = line {
                plot.hline(HLine::new("threshold", line).color(FAIL));
            }
        });
}

fn save(path: &Path, picture: &egui::ColorImage) -> Result<()> {
    let [width, height] = picture.size.map(|size| size as u32);
    let rgb = picture.pixels.iter().flat_map(|pixel| [pixel.r(), pixel.g(), pixel.b()]).collect();
    let image = image::RgbImage::from_raw(width, height, rgb).context("a picture of as many pixels")?;
    Ok(image.save(path)?)
}
