//! A suspended guest's memory on its way between QEMU and a file.
//!
//! QEMU writes and reads a migration stream through a socket, and the agent moves the bytes: that
//! works in every version, under the seccomp filter, and with a machine that may not open files of
//! the agent's. The guest is stopped before the first byte, so memory is copied exactly once; the
//! copying in several rounds that QEMU 7.2 gets wrong under TCG never happens.

use std::io;
use std::path::Path;

use luc_core::time::Duration;
use qapi::qmp;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{UnixListener, UnixStream};

use super::commands::QueryMigrate;
use super::isolation::Account;
use super::monitor::{Monitor, MonitorError};
use crate::record;

/// A guest of a few gigabytes on a slow disk.
const PATIENCE: Duration = Duration::from_secs(600);

/// Why a guest's memory could not be saved or restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MemoryError {
    #[error("cannot move the guest's memory")]
    Io(#[from] io::Error),
    #[error("QEMU cannot be told to move the guest's memory")]
    Monitor(#[from] MonitorError),
    #[error("QEMU could not move the guest's memory: {status}")]
    Failed { status: String },
    #[error("moving the guest's memory took more than {PATIENCE:?}")]
    Slow,
}

/// Writes the memory of a stopped guest to `part` and, once complete and durable, calls it `file`.
pub(crate) async fn save(
    monitor: &Monitor,
    account: Option<Account>,
    part: &Path,
    file: &Path,
) -> Result<(), MemoryError> {
    let meeting = Meeting::new(account)?;
    let listener = UnixListener::bind(meeting.socket())?;
    if let Some(account) = account {
        account.own(&meeting.socket())?;
    }
    let unlimited = qmp::MigrateSetParameters {
        max_bandwidth: Some(1 << 40),
        ..Default::default()
    };
    monitor
        .execute(qmp::migrate_set_parameters(unlimited))
        .await?;
    let uri = Some(meeting.uri());
    let migrate = qmp::migrate {
        uri,
        channels: None,
        detach: None,
        resume: None,
    };
    monitor.execute(migrate).await?;
    let receive = async {
        let (mut stream, _) = listener.accept().await?;
        let mut options = File::options();
        options.create(true).truncate(true).write(true).mode(0o600);
        let mut bytes = options.open(part).await?;
        tokio::io::copy(&mut stream, &mut bytes).await?;
        bytes.flush().await?;
        bytes.sync_all().await
    };
    let received = tokio::time::timeout(PATIENCE, receive).await;
    received.map_err(|_| MemoryError::Slow)??;
    finished(monitor).await?;
    tokio::fs::rename(part, file).await?;
    record::sync_directory(file.parent().unwrap_or(Path::new(".")))?;
    Ok(())
}

/// Reads the memory in `file` into a machine that waits for it; the guest stays stopped.
pub(crate) async fn restore(
    monitor: &Monitor,
    account: Option<Account>,
    file: &Path,
) -> Result<(), MemoryError> {
    let meeting = Meeting::new(account)?;
    let uri = Some(meeting.uri());
    let incoming = qmp::migrate_incoming {
        uri,
        channels: None,
        exit_on_error: None,
    };
    monitor.execute(incoming).await?;
    let send = async {
        let mut stream = UnixStream::connect(meeting.socket()).await?;
        let mut bytes = File::open(file).await?;
        tokio::io::copy(&mut bytes, &mut stream).await?;
        stream.shutdown().await
    };
    let moved = tokio::time::timeout(PATIENCE, send).await;
    // A broken pipe only says that QEMU gave up; what it says is better.
    let moved = moved.map_err(|_| MemoryError::Slow)?;
    finished(monitor).await?;
    Ok(moved?)
}

/// Waits for the end of a migration whose bytes have all been moved.
async fn finished(monitor: &Monitor) -> Result<(), MemoryError> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let progress = monitor.execute(QueryMigrate {}).await?;
        let status = progress.status.unwrap_or_default();
        match status.as_str() {
            "completed" => return Ok(()),
            "failed" | "cancelled" => {
                let status = progress.error_desc.unwrap_or(status);
                return Err(MemoryError::Failed { status });
            }
            _ if tokio::time::Instant::now() > deadline => {
                return Err(MemoryError::Failed {
                    status: format!("still '{status}'"),
                });
            }
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// A private directory with a short path, where QEMU and the agent meet.
struct Meeting {
    directory: tempfile::TempDir,
}

impl Meeting {
    fn new(account: Option<Account>) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("luc-memory-").tempdir()?;
        if let Some(account) = account {
            account.own(directory.path())?;
        }
        Ok(Self { directory })
    }

    fn socket(&self) -> std::path::PathBuf {
        self.directory.path().join("socket")
    }

    fn uri(&self) -> String {
        format!("unix:{}", self.socket().display())
    }
}
