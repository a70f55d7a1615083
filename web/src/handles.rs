//! Between wgpu's objects and JavaScript's, which wgpu has in the browser alone. Elsewhere this crate is compiled to be
//! checked, and never run.

use pcsnet::wgpu;
use wasm_bindgen::prelude::*;

/// The `GPUDevice` that a device is.
#[cfg(target_arch = "wasm32")]
pub(crate) fn device(device: &wgpu::Device) -> JsValue {
    device.as_webgpu().into()
}

/// A `GPUTexture` of the device, as it is described.
#[cfg(target_arch = "wasm32")]
pub(crate) fn texture(
    device: &wgpu::Device,
    texture: JsValue,
    descriptor: &wgpu::TextureDescriptor<'_>,
) -> wgpu::Texture {
    device.create_texture_from_webgpu_handle(texture.unchecked_into(), descriptor, None)
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn device(_: &wgpu::Device) -> JsValue {
    unreachable!("runs in a browser alone")
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn texture(_: &wgpu::Device, _: JsValue, _: &wgpu::TextureDescriptor<'_>) -> wgpu::Texture {
    unreachable!("runs in a browser alone")
}
