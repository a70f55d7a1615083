//! Ctrl-C.

use anyhow::{Context, Result};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

/// Lets Ctrl-C set `stop`, so that what is under way can come to a good end; a second one ends the program at once.
pub(crate) fn sets(stop: &Arc<AtomicBool>) -> Result<()> {
    let stop = Arc::clone(stop);
    ctrlc::set_handler(move || {
        if stop.swap(true, Ordering::Relaxed) {
            std::process::exit(crate::FATAL.into());
        }
    })
    .context("cannot listen for Ctrl-C")
}

/// What a future that gives way now and then comes to; `None` where it is given up because `stop` was set.
pub(crate) async fn unless<T>(stop: &AtomicBool, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| match stop.load(Ordering::Relaxed) {
        true => Poll::Ready(None),
        false => future.as_mut().poll(context).map(Some),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use pollster::block_on;

    #[test]
    fn a_future_is_given_up_where_it_gives_way() {
        let stop = AtomicBool::new(false);
        assert_eq!(block_on(unless(&stop, async { 3 })), Some(3));
        let mut turns = 0;
        let endless = poll_fn(|context| {
            turns += 1;
            stop.store(turns == 5, Ordering::Relaxed);
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert_eq!(block_on(unless(&stop, endless)), None);
        assert_eq!(turns, 5);
    }
}
