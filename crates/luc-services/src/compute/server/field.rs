//! The fields of a server that lists are filtered and sorted by, under Nova's column names.

use std::borrow::Cow;

use super::view::Shown;
use crate::compute::model::server::Server;
use crate::compute::wire_time::Micros;

/// A field of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    AccessIpv4,
    AccessIpv6,
    AutoDiskConfig,
    Zone,
    ConfigDrive,
    CreatedAt,
    Description,
    Flavor,
    Host,
    Hostname,
    Id,
    Image,
    Kernel,
    KeyName,
    LaunchIndex,
    LaunchedAt,
    Locked,
    LockedBy,
    Name,
    Node,
    PowerState,
    Progress,
    Project,
    Ramdisk,
    Reservation,
    RootDevice,
    TaskState,
    TerminatedAt,
    UpdatedAt,
    User,
    VmState,
}

/// What a field is worth in an order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Nothing,
    Number(i64),
    Text(String),
}

/// A text that the server has.
const fn lent(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

impl Field {
    /// The field that a parameter filters by, and whether its value is a regular expression.
    pub(super) fn filtered(name: &str) -> Option<(Self, bool)> {
        Some(match name {
            "user_id" => (Self::User, false),
            "project_id" => (Self::Project, false),
            "image_ref" | "image" => (Self::Image, false),
            "host" => (Self::Host, false),
            "uuid" => (Self::Id, false),
            "flavor" => (Self::Flavor, false),
            "launch_index" => (Self::LaunchIndex, false),
            "kernel_id" => (Self::Kernel, true),
            "ramdisk_id" => (Self::Ramdisk, true),
            "hostname" => (Self::Hostname, true),
            "key_name" => (Self::KeyName, true),
            "power_state" => (Self::PowerState, true),
            "node" => (Self::Node, true),
            "reservation_id" => (Self::Reservation, true),
            "launched_at" => (Self::LaunchedAt, true),
            "terminated_at" => (Self::TerminatedAt, true),
            "created_at" => (Self::CreatedAt, true),
            "availability_zone" => (Self::Zone, true),
            "name" | "display_name" => (Self::Name, true),
            "description" | "display_description" => (Self::Description, true),
            "locked_by" => (Self::LockedBy, true),
            "root_device_name" => (Self::RootDevice, true),
            "config_drive" => (Self::ConfigDrive, true),
            "access_ip_v4" => (Self::AccessIpv4, true),
            "access_ip_v6" => (Self::AccessIpv6, true),
            "auto_disk_config" => (Self::AutoDiskConfig, true),
            "progress" => (Self::Progress, true),
            _ => return None,
        })
    }

    /// The field that a key of an order names.
    pub(super) fn sorted(name: &str) -> Option<Self> {
        Some(match name {
            "created_at" => Self::CreatedAt,
            "updated_at" => Self::UpdatedAt,
            "uuid" => Self::Id,
            "display_name" => Self::Name,
            "display_description" => Self::Description,
            "vm_state" => Self::VmState,
            "task_state" => Self::TaskState,
            "locked" => Self::Locked,
            "instance_type_id" => Self::Flavor,
            other => Self::filtered(other).map(|(field, _)| field)?,
        })
    }

    /// Its value as a text; nothing if the server has none.
    pub(super) fn text<'s>(self, server: &'s Server, zone: &'s str) -> Option<Cow<'s, str>> {
        let time = |time| Some(Cow::Owned(Micros(time).to_string()));
        match self {
            Self::AccessIpv4 => server
                .access_ipv4
                .map(|address| Cow::Owned(address.to_string())),
            Self::AccessIpv6 => server
                .access_ipv6
                .map(|address| Cow::Owned(address.to_string())),
            Self::AutoDiskConfig => Some(Cow::Borrowed(if server.auto_disk_config {
                "1"
            } else {
                "0"
            })),
            Self::Zone => Some(lent(zone)),
            Self::ConfigDrive => Some(Cow::Borrowed(if server.personal.config_drive {
                "True"
            } else {
                ""
            })),
            Self::CreatedAt => time(server.created_at),
            Self::Description => server.description.as_deref().map(lent),
            Self::Flavor => Some(lent(server.flavor.id.as_str())),
            Self::Host => server.host().map(lent),
            Self::Hostname => Some(lent(&server.personal.hostname)),
            Self::Id => Some(lent(server.id.as_str())),
            Self::Image => Some(lent(server.image.id.as_str())),
            Self::Kernel | Self::Ramdisk => Some(Cow::Borrowed("")),
            Self::KeyName => server.personal.key.as_ref().map(|key| lent(&key.name)),
            Self::LaunchIndex => Some(Cow::Owned(server.launch_index.to_string())),
            Self::LaunchedAt => server.launched_at.and_then(time),
            Self::Locked => Some(Cow::Borrowed(if server.lock.is_some() { "1" } else { "0" })),
            Self::LockedBy => {
                let lock = server.lock.as_ref()?;
                Some(Cow::Borrowed(if lock.by_admin { "admin" } else { "owner" }))
            }
            Self::Name => Some(lent(&server.name)),
            Self::Node => {
                let placement = server.placement.as_ref()?;
                Some(lent(&placement.hypervisor_hostname))
            }
            Self::PowerState => Some(Cow::Owned(server.power_state.number().to_string())),
            Self::Progress => Some(Cow::Owned(server.progress.to_string())),
            Self::Project => Some(lent(server.project.as_str())),
            Self::Reservation => Some(lent(&server.reservation)),
            Self::RootDevice => Some(Cow::Borrowed("/dev/vda")),
            Self::TaskState => server.task_state.map(|task| Cow::Borrowed(task.as_str())),
            Self::TerminatedAt => server.terminated_at.and_then(time),
            Self::UpdatedAt => time(server.updated_at),
            Self::User => Some(lent(server.user.as_str())),
            Self::VmState => Some(Cow::Borrowed(server.vm_state.as_str())),
        }
    }

    /// What it is worth in an order.
    pub(super) fn rank(self, shown: &Shown<'_>, zone: &str) -> Rank {
        let server = shown.server;
        let time = |time: Option<luc_core::time::Timestamp>| {
            time.map_or(Rank::Nothing, |time| Rank::Number(time.unix_micros()))
        };
        match self {
            Self::CreatedAt => time(Some(server.created_at)),
            Self::UpdatedAt => time(Some(server.updated_at)),
            Self::LaunchedAt => time(server.launched_at),
            Self::TerminatedAt => time(server.terminated_at),
            Self::LaunchIndex => Rank::Number(i64::from(server.launch_index)),
            Self::PowerState => Rank::Number(i64::from(server.power_state.number())),
            Self::Progress => Rank::Number(i64::from(server.progress)),
            _ => {
                let text = self.text(server, zone);
                text.map_or(Rank::Nothing, |text| Rank::Text(text.into_owned()))
            }
        }
    }
}
