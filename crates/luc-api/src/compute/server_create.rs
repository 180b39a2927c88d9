//! The body that creates servers.
//!
//! Source: Nova 30 `schemas/servers.py`, its ladder `create` … `create_v274` (shapes only).

mod hints;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use hints::SchedulerHints;
use serde::Deserialize;
use serde_json::Value;

use super::parameter::{
    check_base64, check_description, check_fqdn, check_length, check_metadata, check_name,
    check_tag, check_tags, check_user_data, check_uuid,
};
use super::reference::{FlavorRef, given};
use crate::body::{InvalidField, Member, RequestBody};
use crate::value::{LooseBool, LooseInt, Secret};
use crate::version::Microversion;

/// `POST /servers`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateServer {
    /// What to create.
    pub server: NewServer,
    /// What the scheduler should mind.
    #[serde(default, rename = "os:scheduler_hints")]
    pub hints: Option<SchedulerHints>,
    /// The same under its older name; the newer one wins.
    #[serde(default, rename = "OS-SCH-HNT:scheduler_hints")]
    pub hints_legacy: Option<SchedulerHints>,
}

/// The server to create.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewServer {
    /// Its name; several servers get numbers behind it.
    pub name: String,
    /// The image to boot; empty counts as absent.
    #[serde(default, rename = "imageRef", deserialize_with = "given")]
    pub image: Option<String>,
    /// How big it is.
    #[serde(rename = "flavorRef")]
    pub flavor: FlavorRef,
    /// The password of its administrator; made up if absent.
    #[serde(default, rename = "adminPass", deserialize_with = "given")]
    pub admin_pass: Option<Secret>,
    /// The user's own words about it.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Where it is connected.
    #[serde(default, deserialize_with = "given")]
    pub networks: Option<Networks>,
    /// Whether the root partition grows with the disk.
    #[serde(default, rename = "OS-DCF:diskConfig", deserialize_with = "given")]
    pub disk_config: Option<DiskConfig>,
    /// An address that the user knows it by.
    #[serde(default, rename = "accessIPv4", deserialize_with = "given")]
    pub access_ipv4: Option<Ipv4Addr>,
    /// An address that the user knows it by.
    #[serde(default, rename = "accessIPv6", deserialize_with = "given")]
    pub access_ipv6: Option<Ipv6Addr>,
    /// Files to write into it (until 2.56).
    #[serde(default)]
    pub personality: Vec<InjectedFile>,
    /// Where it should run; `zone:host:node` for administrators.
    #[serde(default, deserialize_with = "given")]
    pub availability_zone: Option<String>,
    /// Disks in Nova's first syntax.
    #[serde(default)]
    pub block_device_mapping: Vec<LegacyBlockDevice>,
    /// Disks.
    #[serde(default)]
    pub block_device_mapping_v2: Vec<BlockDevice>,
    /// Whether it gets a config drive.
    #[serde(default, deserialize_with = "given")]
    pub config_drive: Option<LooseBool>,
    /// The user's key pair whose public half it gets.
    #[serde(default, deserialize_with = "given")]
    pub key_name: Option<String>,
    /// At least how many servers.
    #[serde(default, deserialize_with = "given")]
    pub min_count: Option<LooseInt>,
    /// At most how many servers.
    #[serde(default, deserialize_with = "given")]
    pub max_count: Option<LooseInt>,
    /// Whether to answer with the reservation instead of the first server.
    #[serde(default, deserialize_with = "given")]
    pub return_reservation_id: Option<LooseBool>,
    /// The security groups of its ports.
    #[serde(default, deserialize_with = "given")]
    pub security_groups: Option<Vec<SecurityGroupName>>,
    /// What cloud-init gets, in base64.
    #[serde(default, deserialize_with = "given")]
    pub user_data: Option<String>,
    /// Words for people (from 2.19).
    #[serde(default)]
    pub description: Option<String>,
    /// Tags (from 2.52).
    #[serde(default)]
    pub tags: Vec<String>,
    /// Certificates that the image's signature must go back to (from 2.63).
    #[serde(default)]
    pub trusted_image_certificates: Option<Vec<String>>,
    /// The host it must run on (from 2.74).
    #[serde(default, deserialize_with = "given")]
    pub host: Option<String>,
    /// The hypervisor it must run on (from 2.74).
    #[serde(default, deserialize_with = "given")]
    pub hypervisor_hostname: Option<String>,
}

/// Where a server is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Networks {
    /// `none` or `auto` (from 2.37).
    Word(String),
    /// These networks, ports or addresses.
    List(Vec<NetworkRequest>),
}

/// One connection that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkRequest {
    /// The network.
    #[serde(default, deserialize_with = "given")]
    pub uuid: Option<String>,
    /// The port.
    #[serde(default)]
    pub port: Option<String>,
    /// The address.
    #[serde(default, deserialize_with = "given")]
    pub fixed_ip: Option<IpAddr>,
    /// The tag by which the guest finds the device.
    #[serde(default, deserialize_with = "given")]
    pub tag: Option<String>,
}

/// Whether the root partition grows with the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DiskConfig {
    /// It does.
    Auto,
    /// It does not.
    Manual,
}

/// A file to write into a server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InjectedFile {
    /// Where it goes.
    pub path: String,
    /// What it holds, in base64.
    pub contents: String,
}

/// A security group by name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroupName {
    /// The name or the id.
    #[serde(default, deserialize_with = "given")]
    pub name: Option<String>,
}

/// A disk in Nova's first syntax: always a volume or a snapshot of one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LegacyBlockDevice {
    /// Such as `ephemeral0`.
    #[serde(default, deserialize_with = "given")]
    pub virtual_name: Option<String>,
    /// The volume.
    #[serde(default, deserialize_with = "given")]
    pub volume_id: Option<String>,
    /// The snapshot.
    #[serde(default, deserialize_with = "given")]
    pub snapshot_id: Option<String>,
    /// The size in GiB.
    #[serde(default, deserialize_with = "given")]
    pub volume_size: Option<LooseInt>,
    /// The guest's name of the device.
    #[serde(default, deserialize_with = "given")]
    pub device_name: Option<String>,
    /// Whether the volume goes with the server.
    #[serde(default, deserialize_with = "given")]
    pub delete_on_termination: Option<LooseBool>,
    /// Leaves out a device of the image.
    #[serde(default)]
    pub no_device: Option<Value>,
    /// Internal to Nova; taken and not read.
    #[serde(default, deserialize_with = "given")]
    pub connection_info: Option<String>,
}

/// A disk.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockDevice {
    /// What it is made from.
    #[serde(default, deserialize_with = "given")]
    pub source_type: Option<SourceType>,
    /// The image, volume or snapshot it is made from.
    #[serde(default, deserialize_with = "given")]
    pub uuid: Option<String>,
    /// What it becomes.
    #[serde(default, deserialize_with = "given")]
    pub destination_type: Option<DestinationType>,
    /// Its place in the boot order.
    #[serde(default)]
    pub boot_index: Option<LooseInt>,
    /// The size in GiB.
    #[serde(default, deserialize_with = "given")]
    pub volume_size: Option<LooseInt>,
    /// The type of the volume (from 2.67).
    #[serde(default)]
    pub volume_type: Option<String>,
    /// Whether it goes with the server.
    #[serde(default, deserialize_with = "given")]
    pub delete_on_termination: Option<LooseBool>,
    /// The guest's name of the device.
    #[serde(default, deserialize_with = "given")]
    pub device_name: Option<String>,
    /// Such as `disk` or `cdrom`.
    #[serde(default, deserialize_with = "given")]
    pub device_type: Option<String>,
    /// Such as `virtio`.
    #[serde(default, deserialize_with = "given")]
    pub disk_bus: Option<String>,
    /// Such as `swap` or `ext4`.
    #[serde(default, deserialize_with = "given")]
    pub guest_format: Option<String>,
    /// Leaves out a device of the image.
    #[serde(default)]
    pub no_device: Option<Value>,
    /// The tag by which the guest finds the device.
    #[serde(default, deserialize_with = "given")]
    pub tag: Option<String>,
    /// An older way to name the source.
    #[serde(default, deserialize_with = "given")]
    pub volume_id: Option<String>,
    /// An older way to name the source.
    #[serde(default, deserialize_with = "given")]
    pub snapshot_id: Option<String>,
    /// An older way to name the source.
    #[serde(default, deserialize_with = "given")]
    pub image_id: Option<String>,
    /// Such as `ephemeral0`; taken from the first syntax and not read.
    #[serde(default, deserialize_with = "given")]
    pub virtual_name: Option<String>,
    /// Internal to Nova; taken and not read.
    #[serde(default, deserialize_with = "given")]
    pub connection_info: Option<String>,
}

/// What a disk is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the variants are the words of the wire")]
pub enum SourceType {
    Volume,
    Image,
    Snapshot,
    Blank,
}

/// What a disk becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DestinationType {
    /// A file on the host, gone with the server.
    Local,
    /// A volume.
    Volume,
}

impl CreateServer {
    /// The hints that count.
    pub fn scheduler_hints(&self) -> Option<&SchedulerHints> {
        self.hints.as_ref().or(self.hints_legacy.as_ref())
    }
}

impl RequestBody for CreateServer {
    const MEMBERS: &'static [Member] = &[
        Member::since("server.description", 2, 19),
        Member::since("server.tags", 2, 52),
        Member::until("server.personality", 2, 56),
        Member::since("server.trusted_image_certificates", 2, 63),
        Member::since("server.block_device_mapping_v2.*.volume_type", 2, 67),
        Member::since("server.host", 2, 74),
        Member::since("server.hypervisor_hostname", 2, 74),
    ];

    fn validate(&self, version: Microversion) -> Result<(), InvalidField> {
        self.server.check_texts()?;
        self.server.check_counts()?;
        self.server.check_networks(version)?;
        self.server.check_devices(version)?;
        for hints in [&self.hints, &self.hints_legacy].into_iter().flatten() {
            hints.check()?;
        }
        Ok(())
    }
}

impl NewServer {
    /// The image that is named, by itself or as the first disk.
    pub fn image_id(&self) -> Option<&str> {
        let named = self.image.as_deref().filter(|image| !image.is_empty());
        let device = || self.block_device_mapping_v2.first();
        named.or_else(|| device().and_then(|device| device.uuid.as_deref()))
    }

    fn check_texts(&self) -> Result<(), InvalidField> {
        check_name("server.name", &self.name)?;
        if let Some(image) = self.image.as_deref().filter(|image| !image.is_empty()) {
            check_uuid("server.imageRef", image)?;
        }
        self.flavor.check("server.flavorRef")?;
        check_metadata("server.metadata", &self.metadata)?;
        let names = [
            ("server.key_name", &self.key_name),
            ("server.availability_zone", &self.availability_zone),
        ];
        for (field, name) in names {
            name.as_deref()
                .map_or(Ok(()), |name| check_name(field, name))?;
        }
        let hosts = [
            ("server.host", &self.host),
            ("server.hypervisor_hostname", &self.hypervisor_hostname),
        ];
        for (field, host) in hosts {
            host.as_deref()
                .map_or(Ok(()), |host| check_fqdn(field, host))?;
        }
        for (index, group) in self.security_groups.iter().flatten().enumerate() {
            let field = format!("server.security_groups.{index}.name");
            group
                .name
                .as_deref()
                .map_or(Ok(()), |name| check_name(&field, name))?;
        }
        for (index, file) in self.personality.iter().enumerate() {
            check_base64(
                &format!("server.personality.{index}.contents"),
                &file.contents,
            )?;
        }
        if let Some(user_data) = &self.user_data {
            check_user_data("server.user_data", user_data)?;
        }
        if let Some(description) = &self.description {
            check_description("server.description", description)?;
        }
        check_tags("server.tags", &self.tags)
    }

    fn check_counts(&self) -> Result<(), InvalidField> {
        for (name, count) in [("min_count", self.min_count), ("max_count", self.max_count)] {
            let field = format!("server.{name}");
            match count {
                Some(LooseInt(count)) if count < 1 => {
                    return Err(InvalidField::new(field, "is less than the minimum of 1"));
                }
                Some(LooseInt(count)) if count > i64::from(i32::MAX) => {
                    return Err(InvalidField::new(field, "is more than any cloud has"));
                }
                _ => {}
            }
        }
        match &self.trusted_image_certificates {
            Some(ids) if ids.is_empty() || ids.len() > 50 => {
                let reason = "has to have 1 to 50 elements";
                Err(InvalidField::new(
                    "server.trusted_image_certificates",
                    reason,
                ))
            }
            _ => Ok(()),
        }
    }

    fn check_networks(&self, version: Microversion) -> Result<(), InvalidField> {
        let words = version.at_least(2, 37);
        let field = "server.networks";
        match &self.networks {
            None if words => Err(InvalidField::new(
                "server",
                "'networks' is a required property",
            )),
            None => Ok(()),
            Some(Networks::Word(word)) if !words => Err(InvalidField::new(
                field,
                format!("'{word}' is not of type 'array'"),
            )),
            Some(Networks::Word(word)) if word == "none" || word == "auto" => Ok(()),
            Some(Networks::Word(word)) => {
                let reason = format!("'{word}' is not a list, and not one of 'none' and 'auto'");
                Err(InvalidField::new(field, reason))
            }
            Some(Networks::List(list)) => {
                for (index, network) in list.iter().enumerate() {
                    network.check(&format!("{field}.{index}"), version)?;
                }
                Ok(())
            }
        }
    }

    fn check_devices(&self, version: Microversion) -> Result<(), InvalidField> {
        let tagged = version == Microversion::new(2, 32) || version.at_least(2, 42);
        for (index, device) in self.block_device_mapping_v2.iter().enumerate() {
            let field = format!("server.block_device_mapping_v2.{index}");
            match &device.tag {
                Some(_) if !tagged => return Err(unexpected(&field, "tag")),
                Some(tag) => check_tag(&format!("{field}.tag"), tag)?,
                None => {}
            }
            if let Some(LooseInt(size)) = device.volume_size
                && !(1..=i64::from(i32::MAX)).contains(&size)
            {
                let reason = "has to be between 1 and 2147483647";
                return Err(InvalidField::new(format!("{field}.volume_size"), reason));
            }
            let texts = [
                ("uuid", &device.uuid),
                ("device_name", &device.device_name),
                ("device_type", &device.device_type),
                ("disk_bus", &device.disk_bus),
                ("guest_format", &device.guest_format),
            ];
            for (name, text) in texts {
                let text = text.as_deref().unwrap_or("-");
                check_length(&format!("{field}.{name}"), text, 1, 255)?;
            }
        }
        Ok(())
    }
}

impl NetworkRequest {
    fn check(&self, field: &str, version: Microversion) -> Result<(), InvalidField> {
        let tagged =
            (version.at_least(2, 32) && !version.at_least(2, 37)) || version.at_least(2, 42);
        match &self.tag {
            Some(_) if !tagged => return Err(unexpected(field, "tag")),
            Some(tag) => check_tag(&format!("{field}.tag"), tag)?,
            None => {}
        }
        for (name, id) in [("uuid", &self.uuid), ("port", &self.port)] {
            id.as_deref()
                .map_or(Ok(()), |id| check_uuid(&format!("{field}.{name}"), id))?;
        }
        Ok(())
    }
}

fn unexpected(field: &str, name: &str) -> InvalidField {
    let reason = format!("Additional properties are not allowed ('{name}' was unexpected)");
    InvalidField::new(field, reason)
}

#[cfg(test)]
mod tests;
