//! The port towards the hypervisor: one small step at a time, each of which may be repeated.
//!
//! A driver keeps what it needs to find a server again after a crash at any point;
//! [`Driver::inspect`] says what is there now, whatever happened before. The agent calls the
//! changing steps of one server one at a time; `inspect`, `console` and `stats` may come at any
//! moment. A step that finds its work done already succeeds.
//!
//! Waiting for a guest to obey (shutdown on request) is no step: the agent asks, waits for an
//! event, and cuts the power when patience ends.
//!
//! Two drivers exist, [`crate::fake`] and [`crate::qemu`]; both pass [`crate::conformance`].

use std::fmt;
use std::net::IpAddr;

use async_trait::async_trait;
use luc_core::id::ServerId;
use luc_core::time::{Duration, Timestamp};
use luc_core::units::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::controller::Images;
use crate::desired::{Build, DesiredServer, Generation, RebootNonce, Shape};
use crate::host::HostFacts;
use crate::observed::{Forward, PowerState};

/// One thing a driver can be told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Bring the image to this host, then make the disks anew; also a rebuild.
    Build,
    /// Start the guest from its disks.
    Start,
    /// Ask the guest to shut down.
    AskShutdown,
    /// Cut the power; discards a suspended guest's memory.
    PowerOff,
    /// Freeze the guest.
    Pause,
    /// Let a frozen guest go on.
    Unpause,
    /// Write the guest's memory to disk and free it.
    Suspend,
    /// Bring a suspended guest back.
    Resume,
    /// Give the stopped server another shape.
    Resize,
    /// Give the stopped server back the shape and disk it had before the resize.
    RevertResize,
    /// Drop what was kept for reverting.
    ConfirmResize,
    /// Remove the server and all it has on this host.
    Destroy,
    /// Write down which wish is fulfilled.
    Mark,
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 13] = [
        Self::Build,
        Self::Start,
        Self::AskShutdown,
        Self::PowerOff,
        Self::Pause,
        Self::Unpause,
        Self::Suspend,
        Self::Resume,
        Self::Resize,
        Self::RevertResize,
        Self::ConfirmResize,
        Self::Destroy,
        Self::Mark,
    ];

    /// The step's name in logs, metrics and settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Start => "start",
            Self::AskShutdown => "ask_shutdown",
            Self::PowerOff => "power_off",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Resize => "resize",
            Self::RevertResize => "revert_resize",
            Self::ConfirmResize => "confirm_resize",
            Self::Destroy => "destroy",
            Self::Mark => "mark",
        }
    }

    /// The step with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which wish is fulfilled; survives restarts of the agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// The last wish that was fulfilled.
    pub settled: Generation,
    /// The last reboot that was carried out.
    pub rebooted: Option<RebootNonce>,
}

/// A server whose disks are complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// Which build its disks are.
    pub build: Build,
    /// Its shape.
    pub shape: Shape,
    /// The shape before a resize that can still be reverted.
    pub previous: Option<Shape>,
    /// Its power state, never [`PowerState::NoState`].
    pub power: PowerState,
    /// Which wish is fulfilled. None (zero) if the host itself went down under a guest that was on:
    /// starting that again is a repair, not a surprise.
    pub marks: Marks,
    /// When it was first started from its present disks.
    pub launched_at: Option<Timestamp>,
    /// The guest's addresses.
    pub addresses: Vec<IpAddr>,
    /// The guest's hardware address.
    pub mac: Option<String>,
    /// Ports of the host that lead into the guest.
    pub forwards: Vec<Forward>,
}

/// What is on the host of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actual {
    /// Nothing.
    Absent,
    /// Something that was being built or removed when the agent stopped; of no value.
    Incomplete,
    /// A server with complete disks.
    Built(Box<Built>),
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The same step may succeed later: a busy port, a full queue, a process that died.
    #[error("{message}")]
    Transient {
        /// What failed.
        message: String,
        /// The cause below.
        #[source]
        source: Option<BoxedCause>,
    },
    /// Something outside this host is away; the agent waits for as long as it takes.
    #[error("{message}")]
    Unavailable {
        /// What is away.
        message: String,
        /// The cause below.
        #[source]
        source: Option<BoxedCause>,
    },
    /// Trying again without a change is pointless.
    #[error("{message}")]
    Permanent {
        /// What failed.
        message: String,
        /// The cause below.
        #[source]
        source: Option<BoxedCause>,
    },
}

/// The cause below a driver's error.
pub type BoxedCause = Box<dyn std::error::Error + Send + Sync>;

impl DriverError {
    /// A failure that may pass.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::Transient {
            message: message.into(),
            source: None,
        }
    }

    /// A failure that stays.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::Permanent {
            message: message.into(),
            source: None,
        }
    }

    /// The same failure with the cause below it.
    #[must_use]
    pub fn because(mut self, cause: impl Into<BoxedCause>) -> Self {
        match &mut self {
            Self::Transient { source, .. }
            | Self::Unavailable { source, .. }
            | Self::Permanent { source, .. } => *source = Some(cause.into()),
        }
        self
    }

    /// The causes below, outermost first, in one line.
    pub fn details(&self) -> String {
        let mut details = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(below) = cause {
            details.push_str(": ");
            details.push_str(&below.to_string());
            cause = below.source();
        }
        details
    }
}

/// What a running server uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Processor time since it was started.
    pub cpu_time: Duration,
    /// Time in which it would have run, had the host had a processor for it. With
    /// [`Self::cpu_time`] it makes up what the guest asked for.
    pub cpu_waited: Duration,
    /// The same as [`Self::cpu_time`] for each virtual processor, where the driver can tell.
    pub vcpu_times: Vec<Duration>,
    /// Memory of the host that it occupies.
    pub memory_resident: Bytes,
    /// Bytes of memory it writes each second, where the driver can tell.
    pub dirty_rate: Option<Bytes>,
}

/// How many guests may boot at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartLimit {
    /// At most so many.
    pub parallel: usize,
    /// A start counts as booting for so long after the driver reported it done.
    pub hold: Duration,
}

/// A hypervisor.
#[async_trait]
pub trait Driver: Send + Sync + 'static {
    /// What the hypervisor record shows as its type (`QEMU`, `fake`).
    fn hypervisor_type(&self) -> &'static str;

    /// What the hypervisor record shows as its version, major × 1 000 000 + minor × 1 000 + micro.
    fn hypervisor_version(&self) -> u64;

    /// What the host has, as far as this driver may use it.
    fn host_facts(&self) -> HostFacts;

    /// Facts for the operator: accelerator and why, isolation and why.
    fn facts(&self) -> Vec<(&'static str, String)>;

    /// How many guests may boot at once; none means as many as are asked for.
    fn start_limit(&self) -> Option<StartLimit>;

    /// From now on tells `changed` the id of every server that changed by itself.
    fn subscribe(&self, changed: mpsc::UnboundedSender<ServerId>);

    /// Every server with a trace on this host.
    async fn list(&self) -> Result<Vec<ServerId>, DriverError>;

    /// What is there of this server now; takes a surviving machine over.
    async fn inspect(&self, id: &ServerId) -> Result<Actual, DriverError>;

    /// Brings to this host what [`Driver::build`] needs. May be dropped at any await.
    async fn prepare(&self, server: &DesiredServer, images: &dyn Images)
    -> Result<(), DriverError>;

    /// Makes the disks anew, whatever was there; the server must be off.
    async fn build(&self, server: &DesiredServer) -> Result<(), DriverError>;

    /// Starts the guest; with that the wish's reboot counts as carried out.
    async fn start(&self, server: &DesiredServer) -> Result<(), DriverError>;

    /// Asks the guest to shut down and returns at once.
    async fn ask_shutdown(&self, id: &ServerId) -> Result<(), DriverError>;

    /// Cuts the power; discards a suspended guest's memory.
    async fn power_off(&self, id: &ServerId) -> Result<(), DriverError>;

    /// Freezes the guest.
    async fn pause(&self, id: &ServerId) -> Result<(), DriverError>;

    /// Lets a frozen guest go on.
    async fn unpause(&self, id: &ServerId) -> Result<(), DriverError>;

    /// Writes the guest's memory to disk and frees it.
    async fn suspend(&self, id: &ServerId) -> Result<(), DriverError>;

    /// Brings a suspended guest back, running.
    async fn resume(&self, server: &DesiredServer) -> Result<(), DriverError>;

    /// Gives the stopped server the wish's shape; keeps what is needed to revert if the wish says
    /// so.
    async fn resize(&self, server: &DesiredServer) -> Result<(), DriverError>;

    /// Gives the stopped server back the shape and the disk it had before the resize.
    async fn revert_resize(&self, id: &ServerId) -> Result<(), DriverError>;

    /// Drops what was kept for reverting.
    async fn confirm_resize(&self, id: &ServerId) -> Result<(), DriverError>;

    /// Removes the server and all it has on this host.
    async fn destroy(&self, id: &ServerId) -> Result<(), DriverError>;

    /// Writes down which wish is fulfilled.
    async fn mark(&self, id: &ServerId, marks: Marks) -> Result<(), DriverError>;

    /// The last `lines` lines of the serial console, or all that is kept.
    async fn console(&self, id: &ServerId, lines: Option<usize>) -> Result<String, DriverError>;

    /// What a running server uses.
    async fn stats(&self, id: &ServerId) -> Result<Stats, DriverError>;
}
