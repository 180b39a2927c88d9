//! The bodies that attach interfaces and volumes to a server.
//!
//! Source: Nova 30 `schemas/attach_interfaces.py` and `schemas/volumes.py` (shapes only).

use std::net::IpAddr;

use serde::Deserialize;

use super::parameter::{check_tag, check_uuid};
use super::reference::given;
use crate::body::{InvalidField, Member, RequestBody};
use crate::value::LooseBool;
use crate::version::Microversion;

/// `POST /servers/{id}/os-interface`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachInterface {
    /// What to attach; anything that fits, if absent.
    #[serde(default, rename = "interfaceAttachment", deserialize_with = "given")]
    pub attachment: Option<InterfaceAttachment>,
}

/// The interface to attach.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InterfaceAttachment {
    /// The network to make a port on.
    #[serde(default, deserialize_with = "given")]
    pub net_id: Option<String>,
    /// The port.
    #[serde(default, deserialize_with = "given")]
    pub port_id: Option<String>,
    /// The one address of the port to make.
    #[serde(default, deserialize_with = "given")]
    pub fixed_ips: Option<Vec<FixedIp>>,
    /// The tag by which the guest finds the device (from 2.49).
    #[serde(default, deserialize_with = "given")]
    pub tag: Option<String>,
}

/// An address that is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedIp {
    /// The address.
    pub ip_address: IpAddr,
}

impl RequestBody for AttachInterface {
    const MEMBERS: &'static [Member] = &[Member::since("interfaceAttachment.tag", 2, 49)];

    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        let Some(attachment) = &self.attachment else {
            return Ok(());
        };
        for (name, id) in [
            ("net_id", &attachment.net_id),
            ("port_id", &attachment.port_id),
        ] {
            let field = format!("interfaceAttachment.{name}");
            id.as_deref().map_or(Ok(()), |id| check_uuid(&field, id))?;
        }
        if attachment
            .fixed_ips
            .as_ref()
            .is_some_and(|addresses| addresses.len() != 1)
        {
            let reason = "has to have exactly one element";
            return Err(InvalidField::new("interfaceAttachment.fixed_ips", reason));
        }
        let tag = attachment.tag.as_deref();
        tag.map_or(Ok(()), |tag| check_tag("interfaceAttachment.tag", tag))
    }
}

/// `POST /servers/{id}/os-volume_attachments`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachVolume {
    /// What to attach.
    #[serde(rename = "volumeAttachment")]
    pub attachment: VolumeAttachment,
}

/// The volume to attach.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeAttachment {
    /// The volume.
    #[serde(rename = "volumeId")]
    pub volume: String,
    /// The guest's name of the device.
    #[serde(default)]
    pub device: Option<String>,
    /// The tag by which the guest finds the device (from 2.49).
    #[serde(default, deserialize_with = "given")]
    pub tag: Option<String>,
    /// Whether the volume goes with the server (from 2.79).
    #[serde(default, deserialize_with = "given")]
    pub delete_on_termination: Option<LooseBool>,
}

impl RequestBody for AttachVolume {
    const MEMBERS: &'static [Member] = &[
        Member::since("volumeAttachment.tag", 2, 49),
        Member::since("volumeAttachment.delete_on_termination", 2, 79),
    ];

    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_uuid("volumeAttachment.volumeId", &self.attachment.volume)?;
        let tag = self.attachment.tag.as_deref();
        tag.map_or(Ok(()), |tag| check_tag("volumeAttachment.tag", tag))?;
        let Some(device) = self.attachment.device.as_deref() else {
            return Ok(());
        };
        let bare = device.strip_prefix("/dev/").unwrap_or_default();
        let named = bare.trim_end_matches(|c: char| c.is_ascii_digit());
        if !named.is_empty() && named.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Ok(());
        }
        let reason = format!("'{device}' is not the name of a device, such as '/dev/vdb'");
        Err(InvalidField::new("volumeAttachment.device", reason))
    }
}

/// `PUT /servers/{id}/os-volume_attachments/{volume}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwapVolume {
    /// What to attach instead.
    #[serde(rename = "volumeAttachment")]
    pub attachment: NewVolume,
}

/// The volume that takes another's place.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewVolume {
    /// The volume.
    #[serde(rename = "volumeId")]
    pub volume: String,
}

impl RequestBody for SwapVolume {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_uuid("volumeAttachment.volumeId", &self.attachment.volume)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse;

    const VERSION: Microversion = Microversion::new(2, 79);

    #[test]
    fn an_interface_has_one_address_at_most() {
        let body = br#"{"interfaceAttachment": {"fixed_ips": []}}"#;
        let error = parse::<AttachInterface>(body, VERSION).unwrap_err();
        assert!(
            error.to_string().contains("interfaceAttachment.fixed_ips"),
            "{error}"
        );
        assert!(parse::<AttachInterface>(b"{}", VERSION).is_ok());
    }

    #[test]
    fn a_device_is_named_as_linux_names_disks() {
        let attach = |device: &str| {
            let volume = "00000000-0000-0000-0000-000000000001";
            let body = serde_json::json!({
                "volumeAttachment": {"volumeId": volume, "device": device},
            });
            parse::<AttachVolume>(body.to_string().as_bytes(), VERSION)
        };
        assert!(attach("/dev/vdb").is_ok());
        assert!(attach("/dev/sda1").is_ok());
        for bad in ["vdb", "/dev/", "/dev/1", "/dev/VDB", "/etc/passwd"] {
            assert!(attach(bad).is_err(), "{bad} was accepted");
        }
    }
}
