//! What a server is, does and shows: its VM, task and power state, in Nova's words.
//!
//! ```text
//!            build              stop                 pause
//! building ───────▶ active ◀──────────▶ stopped     active ◀───▶ paused
//!     │                │  ▲    start                active ◀───▶ suspended
//!     │ no host,       │  │ confirm, revert                suspend, resume
//!     ▼ retries used   ▼  │
//!   error ◀── fault  resized ◀── resize ── active, stopped
//!
//! any ── delete ──▶ (deleting) ──▶ gone: a record of deleted servers
//! ```
//!
//! The status that users see is a function of VM and task state ([`Status::of`]). Source: Nova 30
//! `compute/vm_states.py`, `compute/task_states.py`, `api/openstack/common.py` (`_STATE_MAP`).

use serde::{Deserialize, Serialize};

/// Declares an enum whose variants have one written form, on the wire and in the store.
macro_rules! words {
    (
        $(#[$doc:meta])*
        $name:ident {
            $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The written form.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// What a server is.
    VmState {
        /// It does not run for the first time yet.
        Building = "building",
        /// It runs.
        Active = "active",
        /// It is switched off.
        Stopped = "stopped",
        /// It is frozen in memory.
        Paused = "paused",
        /// Its memory is on disk.
        Suspended = "suspended",
        /// It has a new size, which its owner confirms or reverts.
        Resized = "resized",
        /// Something failed; the fault says what.
        Error = "error",
    }
}

words! {
    /// What is being done to a server.
    TaskState {
        /// A host has it and has not begun.
        Scheduling = "scheduling",
        /// Its disks are being made.
        BlockDeviceMapping = "block_device_mapping",
        /// Its connections are being made.
        Networking = "networking",
        /// The hypervisor starts it.
        Spawning = "spawning",
        /// The guest is asked to reboot.
        Rebooting = "rebooting",
        /// The guest reboots.
        RebootStarted = "reboot_started",
        /// Its power is to be cut and given again.
        RebootingHard = "rebooting_hard",
        /// Its power is being cut and given again.
        RebootStartedHard = "reboot_started_hard",
        /// It is being frozen.
        Pausing = "pausing",
        /// It is let go on.
        Unpausing = "unpausing",
        /// Its memory is being written.
        Suspending = "suspending",
        /// Its memory is being read.
        Resuming = "resuming",
        /// It is being switched off.
        PoweringOff = "powering-off",
        /// It is being switched on.
        PoweringOn = "powering-on",
        /// A new size is prepared.
        ResizePrep = "resize_prep",
        /// Its disk is taken along.
        ResizeMigrating = "resize_migrating",
        /// Its disk has been taken along.
        ResizeMigrated = "resize_migrated",
        /// It starts with its new size.
        ResizeFinish = "resize_finish",
        /// It goes back to its old size.
        ResizeReverting = "resize_reverting",
        /// It is to be made anew.
        Rebuilding = "rebuilding",
        /// Its disks are being made anew.
        RebuildBlockDeviceMapping = "rebuild_block_device_mapping",
        /// The hypervisor starts it anew.
        RebuildSpawning = "rebuild_spawning",
        /// It is being deleted.
        Deleting = "deleting",
    }
}

words! {
    /// What users see of VM and task state together.
    Status {
        /// It runs.
        Active = "ACTIVE",
        /// It is being made.
        Build = "BUILD",
        /// It is gone.
        Deleted = "DELETED",
        /// Something failed.
        Error = "ERROR",
        /// Its power is being cut and given again.
        HardReboot = "HARD_REBOOT",
        /// It is frozen.
        Paused = "PAUSED",
        /// The guest reboots.
        Reboot = "REBOOT",
        /// It is being made anew.
        Rebuild = "REBUILD",
        /// It gets a new size.
        Resize = "RESIZE",
        /// It goes back to its old size.
        RevertResize = "REVERT_RESIZE",
        /// It is switched off.
        Shutoff = "SHUTOFF",
        /// Its memory is on disk.
        Suspended = "SUSPENDED",
        /// Its owner confirms or reverts its new size.
        VerifyResize = "VERIFY_RESIZE",
    }
}

impl Status {
    /// The status of a server that is there.
    pub const fn of(vm: VmState, task: Option<TaskState>) -> Self {
        match (vm, task) {
            (
                VmState::Active | VmState::Stopped | VmState::Error,
                Some(
                    TaskState::Rebuilding
                    | TaskState::RebuildBlockDeviceMapping
                    | TaskState::RebuildSpawning,
                ),
            ) => Self::Rebuild,
            (
                VmState::Active | VmState::Stopped,
                Some(
                    TaskState::ResizePrep
                    | TaskState::ResizeMigrating
                    | TaskState::ResizeMigrated
                    | TaskState::ResizeFinish,
                ),
            ) => Self::Resize,
            (VmState::Active, Some(TaskState::Rebooting | TaskState::RebootStarted)) => {
                Self::Reboot
            }
            (VmState::Active, Some(TaskState::RebootingHard | TaskState::RebootStartedHard)) => {
                Self::HardReboot
            }
            (VmState::Resized, Some(TaskState::ResizeReverting)) => Self::RevertResize,
            (VmState::Building, _) => Self::Build,
            (VmState::Active, _) => Self::Active,
            (VmState::Stopped, _) => Self::Shutoff,
            (VmState::Paused, _) => Self::Paused,
            (VmState::Suspended, _) => Self::Suspended,
            (VmState::Resized, _) => Self::VerifyResize,
            (VmState::Error, _) => Self::Error,
        }
    }

    /// Whether this status comes with a `progress` in answers.
    pub const fn has_progress(self) -> bool {
        matches!(
            self,
            Self::Active | Self::Build | Self::Rebuild | Self::Resize | Self::VerifyResize
        )
    }

    /// Whether this status comes with a `fault` in answers, if there was one.
    pub const fn has_fault(self) -> bool {
        matches!(self, Self::Error | Self::Deleted)
    }

    /// The status with this written form, in any case.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|status| status.as_str().eq_ignore_ascii_case(word))
    }
}

/// What a hypervisor says of a VM. The numbers stand on the wire and in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PowerState {
    /// There is nothing to say.
    #[default]
    NoState,
    /// It runs.
    Running,
    /// It is frozen.
    Paused,
    /// It is off.
    Shutdown,
    /// It died.
    Crashed,
    /// Its memory is on disk.
    Suspended,
}

impl PowerState {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::NoState,
        Self::Running,
        Self::Paused,
        Self::Shutdown,
        Self::Crashed,
        Self::Suspended,
    ];

    /// Nova's number for it.
    pub const fn number(self) -> u8 {
        match self {
            Self::NoState => 0,
            Self::Running => 1,
            Self::Paused => 3,
            Self::Shutdown => 4,
            Self::Crashed => 6,
            Self::Suspended => 7,
        }
    }
}

impl Serialize for PowerState {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.number())
    }
}

impl<'de> Deserialize<'de> for PowerState {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u8::deserialize(deserializer)?;
        let known = Self::ALL.into_iter().find(|state| state.number() == number);
        known.ok_or_else(|| serde::de::Error::custom(format!("{number} is no power state")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_follows_from_vm_and_task_state() {
        use {TaskState as T, VmState as V};
        let cases = [
            (V::Building, Some(T::Spawning), "BUILD"),
            (V::Active, None, "ACTIVE"),
            (V::Active, Some(T::PoweringOff), "ACTIVE"),
            (V::Active, Some(T::Rebooting), "REBOOT"),
            (V::Active, Some(T::RebootingHard), "HARD_REBOOT"),
            (V::Stopped, Some(T::RebootingHard), "SHUTOFF"),
            (V::Stopped, Some(T::PoweringOn), "SHUTOFF"),
            (V::Stopped, Some(T::ResizePrep), "RESIZE"),
            (V::Error, Some(T::Rebuilding), "REBUILD"),
            (V::Error, Some(T::Deleting), "ERROR"),
            (V::Resized, None, "VERIFY_RESIZE"),
            (V::Resized, Some(T::ResizeReverting), "REVERT_RESIZE"),
            (V::Paused, Some(T::Deleting), "PAUSED"),
            (V::Suspended, Some(T::Resuming), "SUSPENDED"),
        ];
        for (vm, task, status) in cases {
            assert_eq!(Status::of(vm, task).as_str(), status, "{vm} {task:?}");
        }
    }

    #[test]
    fn power_states_are_stored_by_their_numbers() {
        for state in PowerState::ALL {
            let text = serde_json::to_string(&state).unwrap();
            assert_eq!(text, state.number().to_string());
            assert_eq!(serde_json::from_str::<PowerState>(&text).unwrap(), state);
        }
        assert!(serde_json::from_str::<PowerState>("2").is_err());
    }

    #[test]
    fn a_status_is_found_in_any_case() {
        assert_eq!(Status::named("active"), Some(Status::Active));
        assert_eq!(Status::named("Verify_Resize"), Some(Status::VerifyResize));
        assert_eq!(Status::named("running"), None);
    }
}
