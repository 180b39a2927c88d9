//! What a server's host is to do, and what it has tried.

use serde::{Deserialize, Serialize};

use super::spec::FlavorCopy;
use crate::compute::host::Resources;
use crate::compute::server::state::VmState;

/// A host that could not build the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The host.
    pub host: String,
    /// What it said.
    pub reason: String,
}

/// What a host is to do with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Make its disks and start it.
    Build,
    /// Switch it on.
    Start,
    /// Ask it to switch off; after a time switch it off.
    Stop,
    /// Ask it to reboot; after a time cut its power.
    RebootSoft,
    /// Cut its power and give it again.
    RebootHard,
    /// Freeze it.
    Pause,
    /// Let it go on.
    Unpause,
    /// Write its memory to disk and stop it.
    Suspend,
    /// Read its memory and let it go on.
    Resume,
    /// Make its root disk anew from its image and start it, unless it was off.
    Rebuild,
    /// Give it the size of its flavor; keep what is needed to go back.
    Resize,
    /// Drop what was kept to go back.
    ConfirmResize,
    /// Go back to the old size.
    RevertResize,
    /// Remove everything of it: another host will build it, or none.
    Abandon,
    /// Remove everything of it: its owner deletes it.
    Delete,
}

/// How to reboot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RebootKind {
    /// The guest is asked; after a time its power is cut.
    Soft,
    /// Its power is cut.
    Hard,
}

/// The last reboot that was ordered. A host carries out each number once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reboot {
    /// How.
    pub kind: RebootKind,
    /// Which one: the generation of its order.
    pub number: u64,
}

/// The host's orders. A host carries out `task` once per generation; reports name the generation
/// they answer, so one that comes late or twice changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Raised with every order.
    pub generation: u64,
    /// What is to be done; nothing, if it has been done.
    pub task: Option<Task>,
    /// The id of the action that shows how it went.
    #[serde(default)]
    pub action: Option<String>,
}

/// What a VM is to be when nothing is left to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// It runs.
    Running,
    /// It is off.
    Stopped,
    /// It is frozen.
    Paused,
    /// Its memory is on disk.
    Suspended,
    /// There is nothing of it.
    Absent,
    /// Whatever it is: something failed, and its owner decides. Hosts only look.
    AsIs,
}

/// A change of size that waits for its owner's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resizing {
    /// The flavor before.
    pub old_flavor: FlavorCopy,
    /// What it claimed before.
    pub old_claim: Resources,
    /// What it was before.
    pub was: VmState,
}
