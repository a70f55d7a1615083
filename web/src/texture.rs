//! Pictures in the page's textures.

use crate::handles;
use pcsnet::wgpu;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// A texture of the engine's device.
    #[wasm_bindgen(js_name = GPUTexture)]
    #[derive(Clone, Debug, PartialEq)]
    pub type Texture;

    #[wasm_bindgen(method, getter)]
    fn width(this: &Texture) -> u32;

    #[wasm_bindgen(method, getter)]
    fn height(this: &Texture) -> u32;

    #[wasm_bindgen(method, getter, js_name = depthOrArrayLayers)]
    fn layers(this: &Texture) -> u32;

    #[wasm_bindgen(method, getter, js_name = mipLevelCount)]
    fn mip_levels(this: &Texture) -> u32;

    #[wasm_bindgen(method, getter, js_name = sampleCount)]
    fn samples(this: &Texture) -> u32;

    #[wasm_bindgen(method, getter)]
    fn dimension(this: &Texture) -> String;

    #[wasm_bindgen(method, getter)]
    fn format(this: &Texture) -> String;

    #[wasm_bindgen(method, getter)]
    fn usage(this: &Texture) -> u32;
}

impl Texture {
    /// The same texture for wgpu, without a copy.
    ///
    /// # Errors
    /// Names a format that is not read.
    pub(crate) fn on(&self, device: &wgpu::Device) -> Result<wgpu::Texture, JsError> {
        use wgpu::TextureFormat::{Bgra8Unorm, Bgra8UnormSrgb, Rgba8Unorm, Rgba8UnormSrgb};
        let format = match self.format().as_str() {
            "rgba8unorm" => Rgba8Unorm,
            "rgba8unorm-srgb" => Rgba8UnormSrgb,
            "bgra8unorm" => Bgra8Unorm,
            "bgra8unorm-srgb" => Bgra8UnormSrgb,
            other => {
                let reason = format!("textures of format {other} are not read; 8-bit RGBA and BGRA are");
                return Err(JsError::new(&reason));
            }
        };
        let dimension = match self.dimension().as_str() {
            "1d" => wgpu::TextureDimension::D1,
            "3d" => wgpu::TextureDimension::D3,
            _ => wgpu::TextureDimension::D2,
        };
        let size = wgpu::Extent3d { width: self.width(), height: self.height(), depth_or_array_layers: self.layers() };
        let descriptor = wgpu::TextureDescriptor {
            label: None,
            size,
            mip_level_count: self.mip_levels(),
            sample_count: self.samples(),
            dimension,
            format,
            // WebGPU's own bits.
            usage: wgpu::TextureUsages::from_bits_truncate(self.usage()),
            view_formats: &[],
        };
        Ok(handles::texture(device, self.into(), &descriptor))
    }
}
