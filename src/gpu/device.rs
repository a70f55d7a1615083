//! A caller's device and queue, with the pipelines made on it so far.

use super::kernels::{MatmulKernel, Winograd};
use super::mapping;
use super::options::EngineOptions;
use super::requirements::check_limits;
use super::shaders::{self, Kernel};
use super::tiling::{Factors, MatrixUnits, Tiling};
use super::tuning::{Layer, Tuning};
use crate::{Error, Result};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A device, its queue, and its compute pipelines. Pipelines are made once per kernel and shared by all models.
pub(crate) struct Gpu {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub limits: wgpu::Limits,
    pub matmul: MatmulKernel,
    matrix_units: Option<MatrixUnits>,
    tuning: Mutex<Tuning>,
    /// A vec4 of zeros, which stands at bindings that a shader has no use for.
    pub unused: wgpu::Buffer,
    pipelines: Mutex<HashMap<String, wgpu::ComputePipeline>>,
    #[cfg(test)]
    pub calls: super::faults::Calls,
}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = self.device.adapter_info();
        f.debug_struct("Gpu").field("adapter", &info.name).field("backend", &info.backend).finish_non_exhaustive()
    }
}

impl Gpu {
    pub(crate) fn new(device: wgpu::Device, queue: wgpu::Queue, options: EngineOptions) -> Result<Self> {
        let limits = device.limits();
        check_limits(&device.adapter_info().name, &limits)?;
        let unused = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("unused"),
            size: 16,
            usage: wgpu::BufferUsages::STORAGE,
            mapped_at_creation: false,
        });
        let tuning = options.tuning.filter(|tuning| tuning.is_of(&device)).unwrap_or_else(|| Tuning::new(&device));
        Ok(Self {
            matmul: options.matmul.unwrap_or_else(|| MatmulKernel::for_device(&device)),
            matrix_units: options.matrix_units.filter(|units| units.fit(device.features())),
            tuning: Mutex::new(tuning),
            device,
            queue,
            limits,
            unused,
            pipelines: Mutex::default(),
            #[cfg(test)]
            calls: super::faults::Calls::default(),
        })
    }

    /// What was measured so far.
    pub(crate) fn tuning(&self) -> MutexGuard<'_, Tuning> {
        self.tuning.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tilings of matrix products that the device can run, whose factors are stored so; the first suits most
    /// layers.
    pub(crate) fn tilings(&self, factors: Factors) -> Vec<Tiling> {
        let mut tilings = self.matmul.tilings(factors, self.matrix_units);
        let features = self.device.features();
        tilings.retain(|tiling| tiling.fits(features, &self.limits));
        tilings
    }

    /// The sensible tilings of a layer's product, the depth split among several workgroups where there are few
    /// otherwise; the first is the usual one.
    pub(crate) fn tilings_of(&self, layer: &Layer, winograd: Option<Winograd>) -> Vec<Tiling> {
        let product = layer.as_product(winograd);
        let ways = |tiling: Tiling| tiling.splits_of(product).map(move |splits| tiling.split(splits));
        self.tilings(layer.factors).into_iter().flat_map(ways).collect()
    }

    /// How the product of a layer is tiled: as was measured, otherwise as suits most.
    pub(crate) fn tiling(&self, layer: &Layer, winograd: Option<Winograd>) -> Tiling {
        let tilings = self.tilings_of(layer, winograd);
        self.tuning().tiling(layer, winograd, &tilings).unwrap_or(tilings[0])
    }

    /// Runs calls that create something and turns what wgpu reports about them into an error.
    ///
    /// The scopes are closed before anything is awaited, so the caller's own error scopes see none of it.
    pub(crate) async fn guarded<T>(&self, what: &str, create: impl FnOnce() -> T) -> Result<T> {
        #[cfg(test)]
        let injected = self.calls.create(&self.device);
        let filters = [wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::Internal];
        let scopes = filters.map(|filter| self.device.push_error_scope(filter));
        let value = create();
        let reports: Vec<_> = scopes.into_iter().rev().map(|scope| scope.pop()).collect();
        // What memory was lacking for is also invalid where it is used, so the outermost report is the cause.
        let mut cause = None;
        for report in reports {
            cause = report.await.or(cause);
        }
        #[cfg(test)]
        let cause = cause.or(injected);
        match cause {
            None => Ok(value),
            Some(_) if !mapping::can_map(&self.device).await => Err(lost(what)),
            Some(wgpu::Error::OutOfMemory { .. }) => Err(Error::OutOfMemory(what.to_owned())),
            Some(error) => Err(Error::Gpu { what: what.to_owned(), reason: error.to_string() }),
        }
    }

    /// A buffer without contents.
    pub(crate) async fn buffer(&self, label: &str, size: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
        self.guarded(label, || self.device.create_buffer(&descriptor)).await
    }

    /// A texture of 8-bit RGBA that shows these pixels, row after row.
    pub(crate) async fn rgba_texture(
        &self,
        [width, height]: [u32; 2],
        usage: wgpu::TextureUsages,
        pixels: &[u8],
    ) -> Result<wgpu::Texture> {
        let size = wgpu::Extent3d { width, height, depth_or_array_layers: 1 };
        let descriptor = wgpu::TextureDescriptor {
            label: Some("photograph"),
            size,
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: usage | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        };
        let layout = wgpu::TexelCopyBufferLayout { bytes_per_row: Some(4 * width), ..Default::default() };
        self.guarded("photograph", || {
            let texture = self.device.create_texture(&descriptor);
            self.queue.write_texture(texture.as_image_copy(), pixels, layout, size);
            texture
        })
        .await
    }

    /// Has the queue write bytes from the beginning of a buffer on, before what is submitted next.
    pub(crate) async fn write(&self, what: &str, buffer: &wgpu::Buffer, bytes: &[u8]) -> Result<()> {
        self.guarded(what, || self.queue.write_buffer(buffer, 0, bytes)).await
    }

    /// Checks that the device is still there, after calls that would not have told: on a lost device wgpu makes things
    /// without any error, and tells the loss to a callback alone, which is the host's to set.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] that names `what` was made before.
    pub(crate) async fn ensure_present(&self, what: &str) -> Result<()> {
        if mapping::can_map(&self.device).await { Ok(()) } else { Err(lost(what)) }
    }

    /// Submits one command buffer.
    pub(crate) async fn submit(&self, label: &str, record: impl FnOnce(&mut wgpu::CommandEncoder)) -> Result<()> {
        self.guarded(label, || {
            self.queue.submit([self.recorded(label, record)]);
        })
        .await
    }

    /// Records a command buffer that is never submitted, to see whether the device takes it.
    pub(crate) async fn rehearse(&self, label: &str, record: impl FnOnce(&mut wgpu::CommandEncoder)) -> Result<()> {
        self.guarded(label, || drop(self.recorded(label, record))).await
    }

    fn recorded(&self, label: &str, record: impl FnOnce(&mut wgpu::CommandEncoder)) -> wgpu::CommandBuffer {
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some(label) };
        let mut encoder = self.device.create_command_encoder(&descriptor);
        record(&mut encoder);
        encoder.finish()
    }

    /// Waits until the device is done with everything submitted.
    pub(crate) fn wait(&self) -> Result<()> {
        let done = self.device.poll(wgpu::PollType::wait_indefinitely());
        done.map(|_| ()).map_err(|error| Error::DeviceLost(format!("waiting for results failed: {error}")))
    }

    /// Checks that a storage buffer of this size can be created and bound whole.
    pub(crate) fn check_buffer(&self, what: &str, bytes: u64) -> Result<()> {
        let limits = [
            ("max_storage_buffer_binding_size", self.limits.max_storage_buffer_binding_size),
            ("max_buffer_size", self.limits.max_buffer_size),
        ];
        for (limit, available) in limits {
            if bytes > available {
                return Err(Error::Limit { what: what.to_owned(), limit, required: bytes, available });
            }
        }
        Ok(())
    }

    /// Checks that a texture of this size can be created.
    pub(crate) fn check_texture(&self, what: &str, size: wgpu::Extent3d) -> Result<()> {
        let sizes = [
            ("max_texture_dimension_2d", size.width.max(size.height), self.limits.max_texture_dimension_2d),
            ("max_texture_array_layers", size.depth_or_array_layers, self.limits.max_texture_array_layers),
        ];
        for (limit, required, available) in sizes {
            if required > available {
                let (required, available) = (required.into(), available.into());
                return Err(Error::Limit { what: what.to_owned(), limit, required, available });
            }
        }
        Ok(())
    }

    /// Whether a kernel's pipeline is made.
    pub(crate) fn has_pipeline(&self, kernel: &Kernel) -> bool {
        self.pipelines.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&kernel.label())
    }

    /// The pipeline of a kernel, made at first use.
    pub(crate) async fn pipeline(&self, kernel: &Kernel) -> Result<wgpu::ComputePipeline> {
        let label = kernel.label();
        let known = || self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipeline) = known().get(&label) {
            return Ok(pipeline.clone());
        }
        let pipeline = self.guarded(&format!("kernel {label}"), || self.create_pipeline(kernel, &label)).await?;
        known().insert(label, pipeline.clone());
        Ok(pipeline)
    }

    fn create_pipeline(&self, kernel: &Kernel, label: &str) -> wgpu::ComputePipeline {
        let source = shaders::source(kernel.shader, &kernel.defines);
        self.compile(kernel, label, source)
    }

    /// Lets another program stand for a kernel, as a driver would that miscompiles it.
    #[cfg(test)]
    pub(crate) fn replace_pipeline(&self, kernel: &Kernel, source: String) {
        let pipeline = self.compile(kernel, &kernel.label(), source);
        self.pipelines.lock().unwrap_or_else(PoisonError::into_inner).insert(kernel.label(), pipeline);
    }

    fn compile(&self, kernel: &Kernel, label: &str, source: String) -> wgpu::ComputePipeline {
        let descriptor =
            wgpu::ShaderModuleDescriptor { label: Some(label), source: wgpu::ShaderSource::Wgsl(source.into()) };
        // Counters in every loop, to end those that never would, cost registers and keep drivers from unrolling.
        let checks = wgpu::ShaderRuntimeChecks { force_loop_bounding: false, ..wgpu::ShaderRuntimeChecks::checked() };
        // SAFETY: every loop of our shaders counts towards a bound or, in `nearest`, narrows a range each time.
        let module = unsafe { self.device.create_shader_module_trusted(descriptor, checks) };
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(label),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &kernel.constants,
                // Every kernel writes workgroup memory before it reads it.
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        })
    }
}

/// The loss of the device, noticed at a call.
fn lost(what: &str) -> Error {
    Error::DeviceLost(format!("noticed at {what}"))
}
