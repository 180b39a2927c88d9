//! As whom a machine runs: its own unprivileged user, no way to start programs, few system calls.
//!
//! When the agent is root each machine gets a user id of its own, derived from the server's id, in
//! a range that neither distributions nor systemd hand out, and QEMU is started as that user: it
//! has no privilege to drop and owns nothing but its own disks. Without root everything runs as
//! the agent's user. QEMU's seccomp filter is on in both cases where it works.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use luc_core::id::ServerId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

/// First of the user ids; systemd's "Users, Groups, UIDs and GIDs" leaves 1879048192 and above
/// unassigned up to 2147352575.
const FIRST_USER: u32 = 1_900_000_000;
/// How many there are: with 5 000 servers on a host one pair in 8 hosts shares a user, which is
/// then no worse than having none.
const USERS: u32 = 100_000_000;

/// QEMU's filter: nothing obsolete, no new privileges, no other programs, no scheduling tricks.
pub(crate) const SANDBOX: &str =
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

/// User and group of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) user: u32,
    pub(crate) group: u32,
}

impl Account {
    /// The account of `id`'s machine; `group` in place of its own one where a device needs it.
    pub(crate) fn of(id: &ServerId, group: Option<u32>) -> Self {
        let digest = Sha256::digest(id.as_str());
        let number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
        let user = FIRST_USER + number % USERS;
        Self {
            user,
            group: group.unwrap_or(user),
        }
    }

    /// Lets `command` run as this account.
    pub(crate) fn apply(self, command: &mut Command) {
        command.uid(self.user).gid(self.group);
    }

    /// Gives `path` to this account.
    pub(crate) fn own(self, path: &Path) -> std::io::Result<()> {
        std::os::unix::fs::chown(path, Some(self.user), Some(self.group))
    }
}

/// Whether the agent may hand out accounts.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The first directory on the way to `path` that other users cannot pass, if any.
pub(crate) fn obstacle(path: &Path) -> Option<&Path> {
    let passable = |directory: &Path| {
        std::fs::metadata(directory).is_ok_and(|metadata| metadata.mode() & 0o001 != 0)
    };
    path.ancestors()
        .filter(|part| !part.as_os_str().is_empty())
        .find(|part| !passable(part))
}

/// How an unprivileged account can open a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceAccess {
    /// Anybody can.
    Anybody,
    /// Members of this group can.
    Group(u32),
    /// Only root can.
    RootOnly,
    /// There is no such device.
    Absent,
}

/// How the device at `path` can be opened for reading and writing.
pub(crate) fn device_access(path: &Path) -> DeviceAccess {
    let Ok(metadata) = std::fs::metadata(path) else {
        return DeviceAccess::Absent;
    };
    match metadata.mode() {
        mode if mode & 0o006 == 0o006 => DeviceAccess::Anybody,
        mode if mode & 0o060 == 0o060 && metadata.gid() != 0 => DeviceAccess::Group(metadata.gid()),
        _ => DeviceAccess::RootOnly,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn every_server_has_its_own_stable_user_outside_assigned_ranges() {
        let account = |id: &str| Account::of(&ServerId::parse(id).unwrap(), None);
        assert_eq!(account("a"), account("a"));
        assert_ne!(account("a").user, account("b").user);
        assert!((FIRST_USER..FIRST_USER + USERS).contains(&account("a").user));
        let with_group = Account::of(&ServerId::parse("a").unwrap(), Some(104));
        assert_eq!(
            (with_group.user, with_group.group),
            (account("a").user, 104)
        );
    }

    #[test]
    fn a_closed_directory_on_the_way_is_an_obstacle() {
        let directory = tempfile::tempdir().unwrap();
        let closed = directory.path().join("closed");
        let inner = closed.join("inner");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();
        assert_eq!(obstacle(&inner), Some(closed.as_path()));
        std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o711)).unwrap();
        assert_ne!(obstacle(&inner), Some(closed.as_path()));
    }

    #[test]
    fn a_device_that_is_not_there_is_absent() {
        assert_eq!(
            device_access(Path::new("/dev/nothing")),
            DeviceAccess::Absent
        );
        assert_eq!(device_access(Path::new("/dev/null")), DeviceAccess::Anybody);
    }
}
