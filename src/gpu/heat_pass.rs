//! Painting an anomaly map into a render target, `shaders/heat.wgsl`.

use super::uniforms::Uniforms;
use super::{Gpu, shaders};
use crate::Result;

/// A render pass that paints one map into one texture.
pub(crate) struct HeatPass {
    pipeline: wgpu::RenderPipeline,
    bind_group: wgpu::BindGroup,
    params: wgpu::Buffer,
    colours: wgpu::Buffer,
    target: wgpu::TextureView,
}

impl HeatPass {
    /// Prepares to paint what stands in `map` into a layer of a texture, with parameters of the type `P`.
    pub(crate) async fn new<P: Uniforms>(
        gpu: &Gpu,
        target: &wgpu::Texture,
        layer: u32,
        map: &wgpu::Buffer,
    ) -> Result<Self> {
        let device = &gpu.device;
        let create = |label, size, usage| {
            let usage = usage | wgpu::BufferUsages::COPY_DST;
            device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
        };
        gpu.guarded("painting heat", || {
            let pipeline = create_pipeline(device, target.format());
            let params = create("heat parameters", size_of::<P>() as u64, wgpu::BufferUsages::UNIFORM);
            let colours = create("heat colours", 4 * 256, wgpu::BufferUsages::STORAGE);
            let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("heat"),
                layout: &pipeline.get_bind_group_layout(0),
                entries: &[(0, &params), (1, map), (2, &colours)]
                    .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() }),
            });
            let target = target.create_view(&wgpu::TextureViewDescriptor {
                label: Some("heat"),
                dimension: Some(wgpu::TextureViewDimension::D2),
                mip_level_count: Some(1),
                base_array_layer: layer,
                array_layer_count: Some(1),
                ..Default::default()
            });
            Self { pipeline, bind_group, params, colours, target }
        })
        .await
    }

    /// Has the queue write the parameters and the colours.
    pub(crate) fn write(&self, gpu: &Gpu, params: &impl Uniforms, colours: &[u32; 256]) {
        gpu.queue.write_buffer(&self.params, 0, bytemuck::bytes_of(params));
        gpu.queue.write_buffer(&self.colours, 0, bytemuck::cast_slice(colours));
    }

    /// Records the painting of a part of the texture: x, y, width, height.
    pub(crate) fn record(&self, encoder: &mut wgpu::CommandEncoder, [x, y, width, height]: [u32; 4]) {
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("pcsnet heat"),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &self.target,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations { load: wgpu::LoadOp::Load, store: wgpu::StoreOp::Store },
            })],
            ..Default::default()
        });
        pass.set_viewport(x as f32, y as f32, width as f32, height as f32, 0.0, 1.0);
        pass.set_scissor_rect(x, y, width, height);
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        pass.draw(0..3, 0..1);
    }
}

fn create_pipeline(device: &wgpu::Device, format: wgpu::TextureFormat) -> wgpu::RenderPipeline {
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("heat"),
        source: wgpu::ShaderSource::Wgsl(shaders::source("heat", &[]).into()),
    });
    device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
        label: Some("heat"),
        layout: None,
        vertex: wgpu::VertexState {
            module: &module,
            entry_point: Some("cover"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            buffers: &[],
        },
        primitive: wgpu::PrimitiveState::default(),
        depth_stencil: None,
        multisample: wgpu::MultisampleState::default(),
        fragment: Some(wgpu::FragmentState {
            module: &module,
            entry_point: Some("paint"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            targets: &[Some(wgpu::ColorTargetState {
                format,
                blend: Some(wgpu::BlendState::ALPHA_BLENDING),
                write_mask: wgpu::ColorWrites::ALL,
            })],
        }),
        multiview_mask: None,
        cache: None,
    })
}
