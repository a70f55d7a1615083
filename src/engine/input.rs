//! Photographs of any size from the host's textures and buffers.

use super::session::Session;
use crate::gpu::{Gpu, Graph, Schedule, read_buffers};
use crate::image::resize::Taps;
use crate::image::{Fit, Frame, Rect, RgbImage};
use crate::ops::{self, Axis, Photograph};
use crate::{Error, Result};
use std::fmt;

/// How the numbers in a texture stand for colours. Networks are trained on sRGB, the numbers in image files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The stored numbers are sRGB-encoded, as image files and cameras give them. `-srgb` formats hold nothing else.
    Srgb,
    /// The stored numbers are linear light, as a renderer's intermediate textures hold them; white is 1.
    Linear,
}

/// A photograph in a texture of the host's.
///
/// Any two-dimensional, single-sampled texture whose format a shader loads as one (grey), three or four numbers and
/// that has the usage `TEXTURE_BINDING`: `r8unorm`, `rgba8unorm(-srgb)`, `bgra8unorm(-srgb)`, `rgb10a2unorm`,
/// `rgba16float`, `rgba32float`, compressed formats. Numbers outside 0 to 1 are clamped, then rounded to the 8 bits of
/// an image file. Alpha is not looked at.
#[derive(Clone, Copy, Debug)]
pub struct TextureSource<'a> {
    /// The texture; its first mip level is read.
    pub texture: &'a wgpu::Texture,
    /// What its numbers mean.
    pub encoding: Encoding,
    /// The part that is the photograph; the whole texture if `None`.
    pub region: Option<Rect>,
    /// The array layer.
    pub layer: u32,
}

impl<'a> TextureSource<'a> {
    /// The whole of a texture's first layer.
    pub fn new(texture: &'a wgpu::Texture, encoding: Encoding) -> Self {
        Self { texture, encoding, region: None, layer: 0 }
    }
}

/// A photograph in a buffer of the host's with the usage `STORAGE`: sRGB pixels of 8-bit RGBA, red first, alpha not
/// looked at.
#[derive(Clone, Copy, Debug)]
pub struct BufferSource<'a> {
    /// The buffer.
    pub buffer: &'a wgpu::Buffer,
    /// Byte at which the first row begins; a multiple of 4.
    pub offset: u64,
    /// Bytes from row to row; a multiple of 4.
    pub bytes_per_row: u32,
    /// Pixels of a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// The way of a photograph into a [`Session`]'s input, prepared: resized and cropped on the GPU as the model was
/// trained.
///
/// The resize is Pillow's antialiased Lanczos in two passes with its own fixed-point weights and its rounding to 8 bits
/// between them, so that the network sees the pixels [`Frame::input`] makes on the CPU. From 8-bit formats they are
/// equal; linear and `-srgb` textures pass through the sRGB curve of the device's arithmetic, where a level may round
/// otherwise.
pub struct PhotographInput {
    schedule: Schedule,
    frame: Frame,
}

impl fmt::Debug for PhotographInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PhotographInput").field("frame", &self.frame).finish_non_exhaustive()
    }
}

impl PhotographInput {
    /// Where the network's input lies in the photograph.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Records the resize into the host's encoder, before [`Session::record`] or a job's first
    /// [`advance`](Session::advance). Nothing is allocated or submitted.
    pub fn record(&self, encoder: &mut wgpu::CommandEncoder) {
        self.schedule.record(encoder, 0..self.schedule.len());
    }

    async fn of_texture(gpu: &Gpu, source: &TextureSource<'_>, target: Target<'_>) -> Result<Self> {
        let region = check_texture(source)?;
        let (texture, format) = (source.texture, source.texture.format());
        let view = gpu
            .guarded("the photograph's texture", || {
                texture.create_view(&wgpu::TextureViewDescriptor {
                    label: Some("photograph"),
                    dimension: Some(wgpu::TextureViewDimension::D2),
                    mip_level_count: Some(1),
                    base_array_layer: source.layer,
                    array_layer_count: Some(1),
                    ..Default::default()
                })
            })
            .await?;
        let photograph = Photograph::Texture {
            view: (&view).into(),
            origin: [region.x, region.y],
            // A shader loads -srgb formats as linear light.
            linear: format.is_srgb() || source.encoding == Encoding::Linear,
            grey: format.components() == 1,
        };
        Self::new(gpu, (region.width, region.height), photograph, target).await
    }

    async fn new(gpu: &Gpu, dimensions: (u32, u32), photograph: Photograph, target: Target<'_>) -> Result<Self> {
        let Target { fit, side, pixels, first } = target;
        let frame = Frame::new(fit, dimensions, side)?;
        let [columns, rows] = frame.taps();
        let windows = |taps: &[Taps]| taps.iter().map(|pixel| (pixel.first, pixel.weights.clone())).collect::<Vec<_>>();
        let axes = [&Axis::new(gpu, &windows(&columns)).await?, &Axis::new(gpu, &windows(&rows)).await?];
        let mut graph = Graph::new(gpu, false);
        ops::lanczos(&mut graph, "photograph", photograph, axes, pixels.into(), first);
        let schedule = graph.finish().await?;
        gpu.ensure_present("the way of a photograph").await?;
        Ok(Self { schedule, frame })
    }
}

/// Where a photograph is to stand, and how: `side * side` packed pixels of a buffer, from the pixel `first` on.
struct Target<'a> {
    fit: Fit,
    side: u32,
    pixels: &'a wgpu::Buffer,
    first: u32,
}

impl Session {
    /// Prepares a texture to be the photograph of image `index` of the batch. All memory and bindings are made here;
    /// the texture may get new contents from frame to frame, and must live as long as it is recorded.
    ///
    /// # Errors
    /// [`Error::Input`] for an index outside the batch, or a texture of another kind than [`TextureSource`] names;
    /// [`Error::Gpu`] for a texture of another device; [`Error::Limit`], [`Error::OutOfMemory`] and
    /// [`Error::DeviceLost`].
    pub async fn texture_input(&self, index: u32, source: &TextureSource<'_>) -> Result<PhotographInput> {
        PhotographInput::of_texture(&self.gpu, source, self.target(index)?).await
    }

    /// Prepares a buffer to be the photograph of image `index` of the batch; otherwise as [`Session::texture_input`].
    ///
    /// # Errors
    /// [`Error::Input`] for an index outside the batch, or a buffer that is too small or without the usage `STORAGE`;
    /// [`Error::Gpu`] for a buffer of another device; [`Error::Limit`], [`Error::OutOfMemory`] and
    /// [`Error::DeviceLost`].
    pub async fn buffer_input(&self, index: u32, source: &BufferSource<'_>) -> Result<PhotographInput> {
        check_buffer(source)?;
        let target = self.target(index)?;
        self.gpu.check_buffer("the photograph's buffer", source.buffer.size())?;
        let first = (source.offset / 4) as u32;
        let photograph = Photograph::Buffer { buffer: source.buffer.into(), first, stride: source.bytes_per_row / 4 };
        PhotographInput::new(&self.gpu, (source.width, source.height), photograph, target).await
    }

    fn target(&self, index: u32) -> Result<Target<'_>> {
        self.check_index(index)?;
        let first = index * self.side * self.side;
        Ok(Target { fit: self.fit, side: self.side, pixels: &self.buffers.pixels, first })
    }

    pub(super) fn check_index(&self, index: u32) -> Result<()> {
        if index < self.batch {
            return Ok(());
        }
        let expected = format!("less than the session's batch of {}", self.batch);
        Err(Error::Input { what: "index of an image".to_owned(), expected, found: index.to_string() })
    }
}

/// What a texture shows now, as a network with `side` pixels wants it.
///
/// # Errors
/// Those of [`Session::texture_input`].
pub(crate) async fn read_texture(gpu: &Gpu, source: &TextureSource<'_>, fit: Fit, side: u32) -> Result<RgbImage> {
    let size = 4 * u64::from(side).pow(2);
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
    let pixels = gpu.buffer("a photograph's pixels", size, usage).await?;
    let input = PhotographInput::of_texture(gpu, source, Target { fit, side, pixels: &pixels, first: 0 }).await?;
    gpu.submit("pcsnet photograph", |encoder| input.record(encoder)).await?;
    let rgba: Vec<u8> = read_buffers(gpu, &[(&pixels, size)]).await?.remove(0);
    let pixel = |x: u32, y: u32| [0, 1, 2].map(|channel| rgba[4 * (y * side + x) as usize + channel]);
    Ok(RgbImage::from_fn(side, side, |x, y| ::image::Rgb(pixel(x, y))))
}

/// Checks all of a texture but its device, and gives the photograph's region.
fn check_texture(source: &TextureSource<'_>) -> Result<Rect> {
    let texture = source.texture;
    let format = texture.format();
    let needs = |expected: &str, found: String| {
        Err(Error::Input { what: "the photograph's texture".to_owned(), expected: expected.to_owned(), found })
    };
    let floats = matches!(format.sample_type(None, None), Some(wgpu::TextureSampleType::Float { .. }));
    if !floats || ![1, 3, 4].contains(&format.components()) {
        return needs("a format of 1, 3 or 4 normalised or floating-point channels", format!("{format:?}"));
    }
    if format.is_srgb() && source.encoding == Encoding::Linear {
        return needs("Encoding::Srgb, what -srgb formats hold", "Encoding::Linear".to_owned());
    }
    check_plane(texture, source.layer, source.region, wgpu::TextureUsages::TEXTURE_BINDING, needs)
}

/// Checks what textures that are read and painted into have in common, and gives the region that is meant.
pub(super) fn check_plane(
    texture: &wgpu::Texture,
    layer: u32,
    region: Option<Rect>,
    usage: wgpu::TextureUsages,
    needs: impl Fn(&str, String) -> Result<Rect>,
) -> Result<Rect> {
    let (width, height) = (texture.width(), texture.height());
    if texture.dimension() != wgpu::TextureDimension::D2 {
        return needs("two dimensions", format!("{:?}", texture.dimension()));
    }
    if texture.sample_count() != 1 {
        return needs("one sample a pixel", texture.sample_count().to_string());
    }
    if !texture.usage().contains(usage) {
        return needs(&format!("usage {usage:?}"), format!("{:?}", texture.usage()));
    }
    if layer >= texture.depth_or_array_layers() {
        return needs(&format!("a layer below {}", texture.depth_or_array_layers()), format!("layer {layer}"));
    }
    let region = region.unwrap_or(Rect { x: 0, y: 0, width, height });
    let ends = |from: u32, length: u32, end: u32| length > 0 && from.checked_add(length).is_some_and(|to| to <= end);
    if !ends(region.x, region.width, width) || !ends(region.y, region.height, height) {
        return needs(&format!("a region inside its {width} x {height} pixels"), format!("{region:?}"));
    }
    Ok(region)
}

fn check_buffer(source: &BufferSource<'_>) -> Result<()> {
    let BufferSource { buffer, offset, bytes_per_row, width, height } = *source;
    let needs = |expected: String, found: String| {
        Err(Error::Input { what: "the photograph's buffer".to_owned(), expected, found })
    };
    if !buffer.usage().contains(wgpu::BufferUsages::STORAGE) {
        return needs("usage STORAGE".to_owned(), format!("{:?}", buffer.usage()));
    }
    if !offset.is_multiple_of(4) || !bytes_per_row.is_multiple_of(4) {
        let found = format!("{offset} and {bytes_per_row}");
        return needs("an offset and bytes per row that are multiples of 4".to_owned(), found);
    }
    if u64::from(bytes_per_row) < 4 * u64::from(width) {
        return needs(
            format!("at least {} bytes per row of {width} pixels", 4 * u64::from(width)),
            bytes_per_row.to_string(),
        );
    }
    let rows = u64::from(bytes_per_row) * u64::from(height.saturating_sub(1));
    let end = rows.checked_add(4 * u64::from(width)).and_then(|bytes| bytes.checked_add(offset));
    match end {
        Some(end) if end <= buffer.size() && end / 4 <= u64::from(u32::MAX) => Ok(()),
        _ => needs(
            format!("{height} rows of {bytes_per_row} bytes from byte {offset} on"),
            format!("{} bytes in all", buffer.size()),
        ),
    }
}
