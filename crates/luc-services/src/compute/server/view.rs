//! Servers as JSON, one view for all microversions: a ladder of members that came with each.
//!
//! A [`ServerView`] writes straight from the record; nothing is built in between, for lists have
//! thousands of them. What depends on the request (rights, version, hosts) is worked out once, in a
//! [`Frame`]. Source: Nova 30 `views/servers.py` and its recorded answers.

mod address;
mod cut_off;
mod frame;
mod link;

use luc_core::time::Timestamp;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::state::Status;
use crate::compute::model::server::{FlavorCopy, Server};
use crate::compute::wire_time::{Micros, Seconds};

pub(super) use address::{AddressView, Addresses};
pub(super) use frame::{Frame, Occasion, host_id};
use link::{Bookmarked, Links};

/// A server, live or deleted.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) server: &'a Server,
    pub(super) deleted_at: Option<Timestamp>,
}

impl<'a> Shown<'a> {
    /// A server that is there.
    pub(super) const fn live(server: &'a Server) -> Self {
        Self {
            server,
            deleted_at: None,
        }
    }

    /// What users see of its state.
    pub(super) const fn status(&self) -> Status {
        if self.deleted_at.is_some() {
            Status::Deleted
        } else {
            self.server.status()
        }
    }
}

/// A server in a list without details.
pub(super) struct BasicView<'a> {
    pub(super) server: &'a Server,
    pub(super) frame: &'a Frame,
}

impl Serialize for BasicView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.frame.is_cut_off(self.server) {
            return cut_off::basic(serializer, self.server, self.frame);
        }
        let id = self.server.id.as_str();
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("id", id)?;
        map.serialize_entry("name", &self.server.name)?;
        map.serialize_entry(
            "links",
            &Links {
                frame: self.frame,
                id,
            },
        )?;
        map.end()
    }
}

/// What the creator of a server is told.
pub(super) struct CreatedView<'a> {
    pub(super) server: &'a Server,
    pub(super) frame: &'a Frame,
    pub(super) security_groups: &'a [String],
    pub(super) admin_pass: &'a str,
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
}

impl Serialize for CreatedView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let id = self.server.id.as_str();
        let groups: Vec<Named<'_>> = self
            .security_groups
            .iter()
            .map(|name| Named { name })
            .collect();
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("id", id)?;
        map.serialize_entry(
            "links",
            &Links {
                frame: self.frame,
                id,
            },
        )?;
        map.serialize_entry("OS-DCF:diskConfig", disk_config(self.server))?;
        map.serialize_entry("security_groups", &groups)?;
        map.serialize_entry("adminPass", self.admin_pass)?;
        map.end()
    }
}

const fn disk_config(server: &Server) -> &'static str {
    if server.auto_disk_config {
        "AUTO"
    } else {
        "MANUAL"
    }
}

/// A server with all its details.
pub(super) struct ServerView<'a> {
    pub(super) shown: Shown<'a>,
    pub(super) frame: &'a Frame,
    /// The password that was just set, in the answer to a rebuild.
    pub(super) admin_pass: Option<&'a str>,
}

impl Serialize for ServerView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.frame.is_cut_off(self.shown.server) {
            return cut_off::details(serializer, self.shown.server, self.frame);
        }
        let mut map = serializer.serialize_map(None)?;
        self.base(&mut map)?;
        self.extensions(&mut map)?;
        self.ladder(&mut map)?;
        self.rebuilt(&mut map)?;
        map.end()
    }
}

impl ServerView<'_> {
    /// The members that were there from the first version on.
    fn base<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let (server, frame) = (self.shown.server, self.frame);
        let status = self.shown.status();
        map.serialize_entry("id", &server.id)?;
        map.serialize_entry("name", &server.name)?;
        map.serialize_entry("status", status.as_str())?;
        map.serialize_entry("tenant_id", &server.project)?;
        map.serialize_entry("user_id", &server.user)?;
        map.serialize_entry("metadata", &server.metadata)?;
        map.serialize_entry("hostId", &frame.host_id(server))?;
        let image = server.image.id.as_str();
        map.serialize_entry(
            "image",
            &Bookmarked {
                frame,
                collection: "images",
                id: image,
            },
        )?;
        self.flavor(map)?;
        map.serialize_entry("created", &Seconds(server.created_at))?;
        map.serialize_entry("updated", &Seconds(server.updated_at))?;
        let extended = self.shows_all();
        map.serialize_entry(
            "addresses",
            &Addresses {
                server,
                extended,
                building: true,
            },
        )?;
        map.serialize_entry("accessIPv4", &OrEmpty(server.access_ipv4))?;
        map.serialize_entry("accessIPv6", &OrEmpty(server.access_ipv6))?;
        map.serialize_entry(
            "links",
            &Links {
                frame,
                id: server.id.as_str(),
            },
        )?;
        map.serialize_entry("OS-DCF:diskConfig", disk_config(server))?;
        if status.has_fault() {
            self.fault(map)?;
        }
        if status.has_progress() {
            map.serialize_entry("progress", &server.progress)?;
        }
        Ok(())
    }

    fn flavor<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        flavor_of(map, self.shown.server, self.frame)
    }

    fn fault<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let Some(fault) = &self.shown.server.fault else {
            return Ok(());
        };
        let details = fault.details.as_deref();
        let view = FaultView {
            code: fault.code,
            created: Seconds(fault.created_at),
            message: &fault.message,
            details: details.filter(|_| self.frame.is_admin || fault.code != 500),
        };
        map.serialize_entry("fault", &view)
    }

    /// Whether this answer has what `GET` shows: `PUT` and rebuild do from 2.75 on.
    fn shows_all(&self) -> bool {
        matches!(self.frame.occasion, Occasion::Show | Occasion::List)
            || self.frame.version.at_least(2, 75)
    }

    /// What once were extensions.
    fn extensions<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let (server, frame) = (self.shown.server, self.frame);
        let all = self.shows_all();
        if all {
            map.serialize_entry("OS-EXT-AZ:availability_zone", frame.zone(server))?;
            let drive = if server.personal.config_drive {
                "True"
            } else {
                ""
            };
            map.serialize_entry("config_drive", drive)?;
        }
        if all || (frame.occasion == Occasion::Rebuild && frame.version.at_least(2, 54)) {
            let name = server.personal.key.as_ref().map(|key| key.name.as_str());
            map.serialize_entry("key_name", &name)?;
        }
        if !all {
            return Ok(());
        }
        map.serialize_entry("OS-SRV-USG:launched_at", &server.launched_at.map(Micros))?;
        map.serialize_entry(
            "OS-SRV-USG:terminated_at",
            &server.terminated_at.map(Micros),
        )?;
        if frame.extended {
            self.extended(map)?;
        }
        map.serialize_entry("OS-EXT-STS:task_state", &server.task_state)?;
        let vm_state = if self.shown.deleted_at.is_some() {
            "deleted"
        } else {
            server.vm_state.as_str()
        };
        map.serialize_entry("OS-EXT-STS:vm_state", vm_state)?;
        map.serialize_entry("OS-EXT-STS:power_state", &server.power_state)?;
        map.serialize_entry("os-extended-volumes:volumes_attached", &[(); 0])
    }

    /// What only administrators see.
    fn extended<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let (server, frame) = (self.shown.server, self.frame);
        let placement = server.placement.as_ref();
        let hypervisor = placement.map(|placement| placement.hypervisor_hostname.as_str());
        map.serialize_entry("OS-EXT-SRV-ATTR:host", &server.host())?;
        map.serialize_entry("OS-EXT-SRV-ATTR:instance_name", &server.instance_name())?;
        map.serialize_entry("OS-EXT-SRV-ATTR:hypervisor_hostname", &hypervisor)?;
        if !frame.version.at_least(2, 3) {
            return Ok(());
        }
        map.serialize_entry("OS-EXT-SRV-ATTR:reservation_id", &server.reservation)?;
        map.serialize_entry("OS-EXT-SRV-ATTR:launch_index", &server.launch_index)?;
        map.serialize_entry("OS-EXT-SRV-ATTR:hostname", &server.personal.hostname)?;
        map.serialize_entry("OS-EXT-SRV-ATTR:kernel_id", "")?;
        map.serialize_entry("OS-EXT-SRV-ATTR:ramdisk_id", "")?;
        map.serialize_entry("OS-EXT-SRV-ATTR:root_device_name", ROOT_DEVICE)?;
        if frame.occasion != Occasion::Rebuild {
            map.serialize_entry("OS-EXT-SRV-ATTR:user_data", &server.personal.user_data)?;
        }
        Ok(())
    }

    /// What came with each microversion.
    fn ladder<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let (server, frame) = (self.shown.server, self.frame);
        let version = frame.version;
        if version.at_least(2, 16)
            && self.shows_all()
            && let Some(status) = frame.host_status(server)
        {
            map.serialize_entry("host_status", status)?;
        }
        if version.at_least(2, 9) {
            map.serialize_entry("locked", &server.lock.is_some())?;
        }
        if version.at_least(2, 73) {
            let reason = server.lock.as_ref().and_then(|lock| lock.reason.as_deref());
            map.serialize_entry("locked_reason", &reason)?;
        }
        if version.at_least(2, 19) {
            map.serialize_entry("description", &server.description)?;
        }
        if version.at_least(2, 26) {
            map.serialize_entry("tags", &server.tags)?;
        }
        if version.at_least(2, 63) {
            map.serialize_entry("trusted_image_certificates", &None::<()>)?;
        }
        if version.at_least(2, 71) && frame.occasion != Occasion::List {
            let groups: Vec<_> = frame.group(server).into_iter().collect();
            map.serialize_entry("server_groups", &groups)?;
        }
        Ok(())
    }

    /// What only the answer to a rebuild has.
    fn rebuilt<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        if let Some(password) = self.admin_pass {
            map.serialize_entry("adminPass", password)?;
        }
        if self.frame.occasion == Occasion::Rebuild && self.frame.version.at_least(2, 57) {
            map.serialize_entry("user_data", &self.shown.server.personal.user_data)?;
        }
        Ok(())
    }
}

fn flavor_of<M: SerializeMap>(map: &mut M, server: &Server, frame: &Frame) -> Result<(), M::Error> {
    if frame.version.at_least(2, 47) {
        let view = EmbeddedFlavor {
            flavor: server.shown_flavor(),
            specs: frame.extra_specs,
        };
        return map.serialize_entry("flavor", &view);
    }
    let id = server.shown_flavor().id.as_str();
    map.serialize_entry(
        "flavor",
        &Bookmarked {
            frame,
            collection: "flavors",
            id,
        },
    )
}

/// What failed last.
#[derive(Serialize)]
struct FaultView<'a> {
    code: u16,
    created: Seconds,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a str>,
}

/// The first disk, as guests see it.
const ROOT_DEVICE: &str = "/dev/vda";

/// A value, or an empty text.
struct OrEmpty<T>(Option<T>);

impl<T: std::fmt::Display> Serialize for OrEmpty<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_str(""),
        }
    }
}

/// A flavor inside a server.
struct EmbeddedFlavor<'a> {
    flavor: &'a FlavorCopy,
    specs: bool,
}

impl Serialize for EmbeddedFlavor<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("vcpus", &self.flavor.vcpus)?;
        map.serialize_entry("ram", &self.flavor.ram)?;
        map.serialize_entry("disk", &self.flavor.disk)?;
        map.serialize_entry("ephemeral", &self.flavor.ephemeral)?;
        map.serialize_entry("swap", &self.flavor.swap)?;
        map.serialize_entry("original_name", &self.flavor.name)?;
        if self.specs {
            map.serialize_entry("extra_specs", &self.flavor.extra_specs)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests;
