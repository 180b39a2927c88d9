//! What the controller wants of one server: the whole wish, never a command.
//!
//! A [`DesiredServer`] is a state to reach, numbered by its [`Generation`]. Losing one, reading it
//! twice or reading a newer one half-way is harmless. Actions that are no state (reboot, rebuild)
//! are numbers that the agent brings level with what it has on disk.
//! Who calls it: the controller builds these from its records; [`crate::reconcile`] compares them
//! with what is.

mod rules;

use std::collections::BTreeMap;
use std::fmt;

use luc_core::id::{ImageId, ProjectId, ServerId};
use luc_core::units::{Bytes, DiskGib, MemoryMib, Vcpus};
use serde::{Deserialize, Serialize};

pub use rules::{GroupPolicy, GroupRule, HostName, HostPlace, PlacementRules};

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize,
            Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter!(
    /// The number of a wish; the controller raises it with every change that the agent must act
    /// on. Zero is older than any wish.
    Generation
);
counter!(
    /// How many times the server's disks were to be made from its image: 0 when it is created, one
    /// more for each rebuild.
    Build
);
counter!(
    /// Which reboot request this is; a number the agent has not carried out yet is carried out.
    RebootNonce
);

/// Whether the server is to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It is to exist.
    Present,
    /// It and its disks are to be removed.
    Deleted,
}

/// The power state to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DesiredPower {
    /// The guest runs.
    Running,
    /// The guest is shut down; the disks stay.
    Stopped,
    /// The guest is frozen in memory.
    Paused,
    /// The guest's memory is on disk and takes none of the host's.
    Suspended,
}

/// What the server takes of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Virtual processors.
    pub vcpus: Vcpus,
    /// Memory.
    pub memory: MemoryMib,
    /// Root disk; zero means as large as the image.
    pub root_disk: DiskGib,
    /// A second, empty disk; zero means none.
    pub ephemeral: DiskGib,
    /// A third, empty disk meant for swap; zero means none.
    pub swap: MemoryMib,
}

/// How the image's bytes are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskFormat {
    /// QEMU's own format.
    Qcow2,
    /// The disk byte by byte.
    Raw,
}

/// Where the root disk comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSource {
    /// The image's id.
    pub id: ImageId,
    /// SHA-512 of its bytes, 128 lower-case hexadecimal digits (Glance's `os_hash_value`).
    pub sha512: String,
    /// The layout of its bytes.
    pub disk_format: DiskFormat,
    /// How many bytes it has.
    pub size: Bytes,
}

/// A text that logs never show.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A public key for the guest's first user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// The keypair's name.
    pub name: String,
    /// One line as in `authorized_keys`.
    pub key: String,
}

/// What the guest reads about itself, from the config drive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootData {
    /// Host name, as the guest is to set it.
    pub hostname: String,
    /// The user's key/value pairs.
    pub metadata: BTreeMap<String, String>,
    /// What the user handed in for cloud-init, decoded.
    pub user_data: Option<Vec<u8>>,
    /// Public keys for the first user.
    pub keys: Vec<PublicKey>,
    /// Password for the first user, if the API made one.
    pub admin_password: Option<Secret>,
    /// The availability zone the user sees.
    pub availability_zone: String,
    /// Place in a request for several servers.
    pub launch_index: u64,
}

/// How the server reaches the network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nic {
    /// Not at all.
    #[default]
    None,
    /// User-mode networking: outbound access by the host's own sockets, inbound only through
    /// ports of the host's loopback.
    UserMode {
        /// Hardware address; the agent derives one from the server's id if there is none.
        mac: Option<String>,
        /// TCP ports of the guest that get a free port of 127.0.0.1.
        forward: Vec<u16>,
    },
}

/// How to reboot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RebootKind {
    /// Ask the guest to shut down, then start it; as `Hard` if it does not within the time-out.
    Soft,
    /// Cut the power, then start it.
    Hard,
}

/// A reboot that is to have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebootRequest {
    /// How.
    pub kind: RebootKind,
    /// Which one.
    pub nonce: RebootNonce,
}

/// Everything a host must know to make one server so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredServer {
    /// The server.
    pub id: ServerId,
    /// The number of this wish.
    pub generation: Generation,
    /// Its name, as the user sees it.
    pub name: String,
    /// Whose it is.
    pub project: ProjectId,
    /// Whether it is to exist.
    pub presence: Presence,
    /// The power state to reach.
    pub power: DesiredPower,
    /// The controller shows the server in ERROR: observe it, but touch nothing.
    pub hold: bool,
    /// What it takes of the host.
    pub shape: Shape,
    /// After a change of shape, keep what is needed to revert it. The controller sets it while a
    /// resize waits for confirmation, and clears it to confirm. To revert it asks for the old
    /// shape again.
    pub keep_previous: bool,
    /// How many times the disks were to be made.
    pub build: Build,
    /// The build that the controller has seen completed. If that very build is missing on the
    /// host its data are lost, which is a fault and never silently a fresh disk.
    pub seen_build: Option<Build>,
    /// Where the root disk comes from; none means an empty disk.
    pub image: Option<ImageSource>,
    /// A reboot that is to have happened.
    pub reboot: Option<RebootRequest>,
    /// What the guest reads about itself.
    pub boot: BootData,
    /// How it reaches the network.
    pub nic: Nic,
    /// Where it may run; nothing if the controller, being of an older release, does not say.
    #[serde(default)]
    pub rules: Option<PlacementRules>,
}
