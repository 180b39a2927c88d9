//! The signals that end a node gracefully.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

/// Resolves at SIGINT or SIGTERM.
pub async fn interrupted() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
