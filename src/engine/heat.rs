//! Anomaly maps as pictures in the host's textures.

use super::input::{Encoding, check_plane};
use super::session::Session;
use crate::gpu::{Gpu, HeatPass, uniforms};
use crate::image::{ColourMap, Frame, Rect, Scale};
use crate::{Error, Result};
use std::fmt;
use std::sync::Arc;

/// Where a map is painted: a texture of the host's, such as a window's surface, with the usage `RENDER_ATTACHMENT` and
/// a format that can be blended: `rgba8unorm(-srgb)`, `bgra8unorm(-srgb)`, `rgba16float` and others.
#[derive(Clone, Copy, Debug)]
pub struct HeatTarget<'a> {
    /// The texture; its first mip level is painted.
    pub texture: &'a wgpu::Texture,
    /// What its numbers mean.
    pub encoding: Encoding,
    /// The part that is painted; the whole texture if `None`.
    pub region: Option<Rect>,
    /// The array layer.
    pub layer: u32,
    /// Where the map lies in the photograph, which fills the region whatever its size;
    /// [`PhotographInput::frame`](crate::PhotographInput::frame) tells. For the map by itself, as the network sees it:
    /// `Frame::new(Fit::Stretch, (side, side), side)`.
    pub frame: Frame,
}

impl<'a> HeatTarget<'a> {
    /// The whole of a texture's first layer.
    pub fn new(texture: &'a wgpu::Texture, encoding: Encoding, frame: Frame) -> Self {
        Self { texture, encoding, region: None, layer: 0, frame }
    }
}

/// What a painted map looks like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeatStyle {
    /// The range of anomaly values that the colours span.
    pub scale: Scale,
    /// The colours.
    pub colours: ColourMap,
    /// What is painted.
    pub paint: Paint,
}

/// What of a map is painted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Paint {
    /// The map alone: the picture that [`image::heatmap`](crate::image::heatmap()) makes of [`Frame::to_original`].
    /// What the frame leaves out is grey.
    Map,
    /// The map as heat over the photograph that the region already shows, as
    /// [`image::overlay`](crate::image::overlay()) does: a value at the top of the scale covers it with `opacity` (0 to
    /// 1), lower ones in proportion less, and what the frame leaves out gets half its brightness. Targets of `-srgb`
    /// formats are blended in linear light, which looks a little different.
    Overlay {
        /// The share of the photograph that the top of the scale hides, from 0 to 1.
        opacity: f32,
    },
}

/// The way of a map into the host's texture, prepared.
pub struct HeatOutput {
    gpu: Arc<Gpu>,
    pass: HeatPass,
    region: Rect,
    frame: Frame,
    /// Whether shaders write linear light to the target.
    linear: bool,
    side: u32,
    map_offset: u32,
}

impl fmt::Debug for HeatOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut output = f.debug_struct("HeatOutput");
        output.field("region", &self.region).field("frame", &self.frame).finish_non_exhaustive()
    }
}

impl HeatOutput {
    /// Records the painting into the host's encoder, after [`Session::record`] or a job's end. Nothing is allocated or
    /// submitted.
    pub fn record(&self, encoder: &mut wgpu::CommandEncoder) {
        let Rect { x, y, width, height } = self.region;
        self.pass.record(encoder, [x, y, width, height]);
    }

    /// Changes the look. The queue writes it before the next submission, so it holds for all that is recorded in it.
    pub fn set_style(&self, style: &HeatStyle) {
        self.pass.write(&self.gpu, &self.params(style), &style.colours.table());
    }

    fn params(&self, style: &HeatStyle) -> HeatParams {
        let opacity = match style.paint {
            Paint::Map => None,
            Paint::Overlay { opacity } => Some(opacity),
        };
        let params = HeatParams::new(&self.frame, self.region, self.side, style.scale, opacity);
        HeatParams { linear: self.linear.into(), map_offset: self.map_offset, ..params }
    }
}

uniforms! {
    pub(crate) struct HeatParams {
        pub step: [f32; 2],
        pub start: [f32; 2],
        pub covered_from: [f32; 2],
        pub covered_to: [f32; 2],
        pub low: f32,
        pub high: f32,
        pub opacity: f32,
        pub overlay: u32,
        pub linear: u32,
        pub size: u32,
        pub map_offset: u32,
        // WGSL rounds a struct's size up to its largest alignment.
        pub _padding: u32,
    }
}

impl HeatParams {
    /// A map of `side` x `side` values at its frame's place in the photograph that fills a region of the target: over
    /// the photograph with an opacity, else by itself.
    pub(crate) fn new(frame: &Frame, region: Rect, side: u32, scale: Scale, opacity: Option<f32>) -> Self {
        let (original, inspected) = (frame.original(), frame.inspected());
        // Pixels of the photograph for each of the region.
        let shown = [f64::from(original.0) / f64::from(region.width), f64::from(original.1) / f64::from(region.height)];
        let ends = [[inspected.x, inspected.x + inspected.width], [inspected.y, inspected.y + inspected.height]];
        let corner = [region.x, region.y].map(f64::from);
        let covered = [0, 1].map(|axis: usize| ends[axis].map(|edge| f64::from(edge) / shown[axis] + corner[axis]));
        // The frame may have been made for another input size than the map's.
        let scaled = f64::from(side) / f64::from(frame.size());
        let placement = frame.placement();
        // Pixels of the map for each of the target.
        let step = [0, 1].map(|axis: usize| placement[axis][0] * shown[axis] * scaled);
        Self {
            step: step.map(|step| step as f32),
            // The centre of the map's first pixel is 0.
            start: [0, 1].map(|axis: usize| (placement[axis][1] * scaled - corner[axis] * step[axis] - 0.5) as f32),
            covered_from: covered.map(|[from, _]| from as f32),
            covered_to: covered.map(|[_, to]| to as f32),
            low: scale.low,
            high: scale.high,
            opacity: opacity.map_or(1.0, |opacity| opacity.clamp(0.0, 1.0)),
            overlay: opacity.is_some().into(),
            linear: 0,
            size: side,
            map_offset: 0,
            _padding: 0,
        }
    }
}

impl Session {
    /// Prepares to paint the map of image `index` of the batch, as head `head` sees it (0 where there is one), into a
    /// texture. All memory, the pipeline and the bindings are made here.
    ///
    /// # Errors
    /// [`Error::Input`] for an index or head outside the session, or a texture of another kind than [`HeatTarget`]
    /// names; [`Error::Gpu`] for a texture of another device; [`Error::OutOfMemory`] and [`Error::DeviceLost`].
    pub async fn heat_output(
        &self,
        head: u32,
        index: u32,
        target: &HeatTarget<'_>,
        style: &HeatStyle,
    ) -> Result<HeatOutput> {
        self.check_index(index)?;
        if head >= self.heads() {
            let expected = format!("less than the session's {}", self.heads());
            return Err(Error::Input { what: "index of a head".to_owned(), expected, found: head.to_string() });
        }
        let region = check_target(target, self.gpu.device.features())?;
        let pass = HeatPass::new::<HeatParams>(&self.gpu, target.texture, target.layer, &self.buffers.map).await?;
        let output = HeatOutput {
            gpu: Arc::clone(&self.gpu),
            pass,
            region,
            frame: target.frame,
            linear: target.texture.format().is_srgb() || target.encoding == Encoding::Linear,
            side: self.side,
            map_offset: (head * self.batch + index) * self.side * self.side,
        };
        let rehearsal = |encoder: &mut wgpu::CommandEncoder| {
            output.set_style(style);
            // A texture of another device shows where commands that use it are finished.
            output.record(encoder);
        };
        self.gpu.rehearse("the heat's texture", rehearsal).await?;
        self.gpu.ensure_present("the way of a map").await?;
        Ok(output)
    }
}

/// Checks all of a texture but its device, and gives the region that is painted.
fn check_target(target: &HeatTarget<'_>, features: wgpu::Features) -> Result<Rect> {
    let format = target.texture.format();
    let needs = |expected: &str, found: String| {
        Err(Error::Input { what: "the heat's texture".to_owned(), expected: expected.to_owned(), found })
    };
    let blendable =
        format.guaranteed_format_features(features).flags.contains(wgpu::TextureFormatFeatureFlags::BLENDABLE);
    if !blendable || format.components() < 3 {
        return needs("a format of 3 or 4 channels that can be blended", format!("{format:?}"));
    }
    if format.is_srgb() && target.encoding == Encoding::Linear {
        return needs("Encoding::Srgb, what -srgb formats hold", "Encoding::Linear".to_owned());
    }
    check_plane(target.texture, target.layer, target.region, wgpu::TextureUsages::RENDER_ATTACHMENT, needs)
}

#[test]
fn parameters_are_laid_out_as_the_shader_reads_them() {
    use crate::gpu::{Kernel, Uniforms, reflection};
    reflection::check_layout(&Kernel::new("heat"), HeatParams::FIELDS, size_of::<HeatParams>());
}
