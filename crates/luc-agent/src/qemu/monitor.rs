//! One connection to one QEMU over QMP.
//!
//! Commands have a time-out; one that ran out of it, or whose caller was dropped half-way, makes
//! the connection unusable, and the next user opens a new one. Events are not interpreted: those
//! that change what the guest is cause a look at it, so one that was missed while no agent ran does
//! no harm. The crate `qapi` knows the wire.

use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt as _;
use luc_core::time::Duration;
use qapi::futures::{QapiEvents, QapiService, QmpStreamTokio};
use qapi::qmp::{Event, QmpCommand};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::UnixStream;

/// QEMU answers within milliseconds unless its main loop is busy with a snapshot.
const ANSWER: Duration = Duration::from_secs(10);

/// Why QEMU could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MonitorError {
    #[error("cannot connect to QEMU")]
    Connect(#[source] io::Error),
    #[error("the process behind QEMU's socket is {found:?}, expected {expected}")]
    Stranger { found: Option<i32>, expected: i32 },
    #[error("QEMU did not answer '{command}' within {ANSWER:?}")]
    Silent { command: &'static str },
    #[error("QEMU refused '{command}'")]
    Refused {
        command: &'static str,
        source: qapi::ExecuteError,
    },
    #[error("the connection to QEMU broke in '{command}'")]
    Broken {
        command: &'static str,
        source: qapi::ExecuteError,
    },
}

type Service = QapiService<QmpStreamTokio<WriteHalf<UnixStream>>>;
type Events = QapiEvents<QmpStreamTokio<ReadHalf<UnixStream>>>;

/// A connection; dropping it closes it.
pub(crate) struct Monitor {
    service: Service,
    events: tokio::task::JoinHandle<()>,
    /// A command is under way, was given up, or the other side is gone.
    unusable: Arc<AtomicBool>,
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.events.abort();
    }
}

impl Monitor {
    /// Connects to the QEMU with this process id whose socket lies in `directory`, and calls
    /// `changed` after each event that says that the guest may have changed, and at the end.
    pub(crate) async fn connect(
        directory: &Path,
        pid: i32,
        changed: impl Fn() + Send + 'static,
    ) -> Result<Self, MonitorError> {
        let open = async {
            // A path through an open directory is short, however long the directory's own is: the
            // address of a socket has room for 107 characters.
            let handle = std::fs::File::open(directory)?;
            let path = format!("/proc/self/fd/{}/qmp.sock", handle.as_raw_fd());
            let socket = UnixStream::connect(path).await?;
            let peer = socket.peer_cred()?.pid();
            let stream = QmpStreamTokio::open(socket).await?;
            Ok((peer, stream.negotiate().await?))
        };
        let opened = tokio::time::timeout(ANSWER, open).await;
        let opened = opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let (peer, stream) = opened.map_err(MonitorError::Connect)?;
        if peer != Some(pid) {
            return Err(MonitorError::Stranger {
                found: peer,
                expected: pid,
            });
        }
        let (service, events) = stream.into_parts();
        let unusable = Arc::new(AtomicBool::new(false));
        let events = tokio::spawn(watch(events, Arc::clone(&unusable), changed));
        Ok(Self {
            service,
            events,
            unusable,
        })
    }

    /// Whether another command can be sent.
    pub(crate) fn is_usable(&self) -> bool {
        !self.unusable.load(Ordering::Acquire)
    }

    /// Carries out one command.
    pub(crate) async fn execute<C: QmpCommand + serde::Serialize>(
        &self,
        command: C,
    ) -> Result<C::Ok, MonitorError> {
        self.unusable.store(true, Ordering::Release);
        let answer = tokio::time::timeout(ANSWER, self.service.execute(command)).await;
        let command = C::NAME;
        match answer {
            Err(_) => Err(MonitorError::Silent { command }),
            Ok(Err(source @ qapi::ExecuteError::Io(_))) => {
                Err(MonitorError::Broken { command, source })
            }
            Ok(Err(source @ qapi::ExecuteError::Qapi(_))) => {
                self.finished();
                Err(MonitorError::Refused { command, source })
            }
            Ok(Ok(answer)) => {
                self.finished();
                Ok(answer)
            }
        }
    }

    fn finished(&self) {
        // If the events have ended meanwhile, that stays.
        if !self.events.is_finished() {
            self.unusable.store(false, Ordering::Release);
        }
    }
}

/// Reads events, and with them the answers, until the connection ends.
async fn watch(mut events: Events, unusable: Arc<AtomicBool>, changed: impl Fn()) {
    // Kept alive without being asked for: the stream refuses to run without it.
    while let Some(event) = events.next().await {
        match event {
            Ok(
                Event::SHUTDOWN { .. }
                | Event::GUEST_PANICKED { .. }
                | Event::GUEST_CRASHLOADED { .. }
                | Event::BLOCK_IO_ERROR { .. }
                | Event::WATCHDOG { .. },
            ) => changed(),
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "QMP connection ended");
                break;
            }
        }
    }
    unusable.store(true, Ordering::Release);
    changed();
}
