//! Waiting on tokio's clock, for stores in a running node.

use std::time::Duration;

use futures::future::BoxFuture;
use luc_state::Pause;

/// Waits on the clock of the tokio runtime that polls the store's driver.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioPause;

impl Pause for TokioPause {
    fn pause(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(time))
    }
}
