//! Painting an anomaly map into a render target, `shaders/heat.wgsl`.

use crate::Result;
use crate::gpu::{Gpu, shaders};
use crate::image::{Frame, Rect, Scale};

/// The shader's uniform block.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::NoUninit)]
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
    pub padding: u32,
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
            padding: 0,
        }
    }
}

/// A render pass that paints one map into one texture.
pub(crate) struct HeatPass {
    pipeline: wgpu::RenderPipeline,
    bind_group: wgpu::BindGroup,
    params: wgpu::Buffer,
    colours: wgpu::Buffer,
    target: wgpu::TextureView,
}

impl HeatPass {
    pub(crate) async fn new(gpu: &Gpu, target: &wgpu::Texture, layer: u32, map: &wgpu::Buffer) -> Result<Self> {
        let device = &gpu.device;
        let create = |label, size, usage| {
            let usage = usage | wgpu::BufferUsages::COPY_DST;
            device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
        };
        gpu.guarded("painting heat", || {
            let pipeline = create_pipeline(device, target.format());
            let params = create("heat parameters", size_of::<HeatParams>() as u64, wgpu::BufferUsages::UNIFORM);
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
    pub(crate) fn write(&self, gpu: &Gpu, params: &HeatParams, colours: &[u32; 256]) {
        gpu.queue.write_buffer(&self.params, 0, bytemuck::bytes_of(params));
        gpu.queue.write_buffer(&self.colours, 0, bytemuck::cast_slice(colours));
    }

    pub(crate) fn record(&self, encoder: &mut wgpu::CommandEncoder, region: Rect) {
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
        let Rect { x, y, width, height } = region;
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
