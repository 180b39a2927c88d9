//! Waiting, handed in: pure code has no clock.

use std::time::Duration;

use futures::future::BoxFuture;

/// How a store waits before it asks an engine again.
pub trait Pause: Send + Sync + 'static {
    /// Resolves after about `time`.
    fn pause(&self, time: Duration) -> BoxFuture<'static, ()>;
}

/// Does not wait but lets others run once: for engines in memory and simulation, where asking
/// again at once is cheap.
#[derive(Clone, Copy, Debug, Default)]
pub struct Yielding;

impl Pause for Yielding {
    fn pause(&self, _time: Duration) -> BoxFuture<'static, ()> {
        let mut asked = false;
        Box::pin(futures::future::poll_fn(move |cx| {
            if std::mem::replace(&mut asked, true) {
                return std::task::Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        }))
    }
}

/// Waiting times that double from 10 ms to 1 s.
pub(crate) fn back_off(attempt: u32) -> Duration {
    Duration::from_millis((10u64 << attempt.min(7)).min(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_grows_up_to_a_second() {
        assert_eq!(back_off(0), Duration::from_millis(10));
        assert_eq!(back_off(3), Duration::from_millis(80));
        assert_eq!(back_off(60), Duration::from_secs(1));
    }
}
