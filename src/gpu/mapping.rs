//! Mapping a buffer into host memory.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

/// Whether the device maps a buffer, which a lost one never does.
pub(super) async fn can_map(device: &wgpu::Device) -> bool {
    let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let validity = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("sign of life"),
        size: 4,
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mapping = Mapping::begin(&buffer);
    let (validity, memory) = (validity.pop(), memory.pop());
    let (invalid, is_full) = (validity.await.is_some(), memory.await.is_some());
    // A device without memory is still there.
    is_full || !invalid && device.poll(wgpu::PollType::wait_indefinitely()).is_ok() && mapping.finished().await.is_ok()
}

/// How a mapping ended.
type Outcome = Result<(), wgpu::BufferAsyncError>;

/// A buffer being mapped, as something to await.
pub(super) struct Mapping(Arc<Mutex<(Option<Outcome>, Option<Waker>)>>);

impl Mapping {
    pub(super) fn begin(buffer: &wgpu::Buffer) -> Self {
        let shared = Arc::new(Mutex::new((None, None)));
        let writer = Arc::clone(&shared);
        buffer.slice(..).map_async(wgpu::MapMode::Read, move |outcome| {
            let mut state: std::sync::MutexGuard<'_, (Option<Outcome>, Option<Waker>)> =
                writer.lock().unwrap_or_else(PoisonError::into_inner);
            state.0 = Some(outcome);
            if let Some(waker) = state.1.take() {
                waker.wake();
            }
        });
        Self(shared)
    }

    pub(super) async fn finished(self) -> Outcome {
        poll_fn(|context| {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match state.0.take() {
                Some(outcome) => Poll::Ready(outcome),
                None => {
                    state.1 = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}
