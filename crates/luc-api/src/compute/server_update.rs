//! The bodies that change a server: rename, rebuild, metadata, tags.
//!
//! Source: Nova 30 `schemas/servers.py` (`update`, `rebuild`), `server_metadata.py` and
//! `server_tags.py` (shapes only).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::Deserialize;

use super::parameter::{
    check_base64, check_description, check_length, check_metadata, check_name, check_tags,
    check_user_data, check_uuid,
};
use super::reference::given;
use super::server_create::{DiskConfig, InjectedFile};
use crate::body::{InvalidField, Member, RequestBody};
use crate::value::{LooseBool, Secret, nullable};
use crate::version::Microversion;

/// `PUT /servers/{id}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateServer {
    /// What changes.
    pub server: ServerChange,
}

/// What changes of a server; what is absent stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerChange {
    /// Its name.
    #[serde(default, deserialize_with = "given")]
    pub name: Option<String>,
    /// Words for people (from 2.19); null removes them.
    #[serde(default, deserialize_with = "nullable")]
    pub description: Option<Option<String>>,
    /// Whether the root partition grows with the disk.
    #[serde(default, rename = "OS-DCF:diskConfig", deserialize_with = "given")]
    pub disk_config: Option<DiskConfig>,
    /// An address that the user knows it by.
    #[serde(default, rename = "accessIPv4", deserialize_with = "given")]
    pub access_ipv4: Option<Ipv4Addr>,
    /// An address that the user knows it by.
    #[serde(default, rename = "accessIPv6", deserialize_with = "given")]
    pub access_ipv6: Option<Ipv6Addr>,
}

impl RequestBody for UpdateServer {
    const MEMBERS: &'static [Member] = &[Member::since("server.description", 2, 19)];

    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        if let Some(name) = &self.server.name {
            check_name("server.name", name)?;
        }
        match &self.server.description {
            Some(Some(text)) => check_description("server.description", text),
            _ => Ok(()),
        }
    }
}

/// `POST /servers/{id}/action` with `rebuild`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebuildServer {
    /// What it becomes.
    pub rebuild: Rebuild,
}

/// What a server becomes when it is made anew.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rebuild {
    /// The image to boot.
    #[serde(rename = "imageRef")]
    pub image: String,
    /// Its name.
    #[serde(default, deserialize_with = "given")]
    pub name: Option<String>,
    /// The password of its administrator; made up if absent.
    #[serde(default, rename = "adminPass", deserialize_with = "given")]
    pub admin_pass: Option<Secret>,
    /// All its metadata.
    #[serde(default, deserialize_with = "given")]
    pub metadata: Option<BTreeMap<String, String>>,
    /// Whether the ephemeral disk is kept.
    #[serde(default, deserialize_with = "given")]
    pub preserve_ephemeral: Option<LooseBool>,
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
    #[serde(default, deserialize_with = "given")]
    pub personality: Option<Vec<InjectedFile>>,
    /// Words for people (from 2.19); null removes them.
    #[serde(default, deserialize_with = "nullable")]
    pub description: Option<Option<String>>,
    /// The key pair (from 2.54); null removes it.
    #[serde(default, deserialize_with = "nullable")]
    pub key_name: Option<Option<String>>,
    /// What cloud-init gets, in base64 (from 2.57); null removes it.
    #[serde(default, deserialize_with = "nullable")]
    pub user_data: Option<Option<String>>,
    /// Certificates that the image's signature must go back to (from 2.63).
    #[serde(default, deserialize_with = "nullable")]
    pub trusted_image_certificates: Option<Option<Vec<String>>>,
}

impl RequestBody for RebuildServer {
    const MEMBERS: &'static [Member] = &[
        Member::since("rebuild.description", 2, 19),
        Member::since("rebuild.key_name", 2, 54),
        Member::until("rebuild.personality", 2, 56),
        Member::since("rebuild.user_data", 2, 57),
        Member::since("rebuild.trusted_image_certificates", 2, 63),
    ];

    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        let rebuild = &self.rebuild;
        check_uuid("rebuild.imageRef", &rebuild.image)?;
        if let Some(name) = &rebuild.name {
            check_name("rebuild.name", name)?;
        }
        if let Some(metadata) = &rebuild.metadata {
            check_metadata("rebuild.metadata", metadata)?;
        }
        if let Some(Some(text)) = &rebuild.description {
            check_description("rebuild.description", text)?;
        }
        if let Some(Some(name)) = &rebuild.key_name {
            check_length("rebuild.key_name", name, 1, 255)?;
        }
        for (index, file) in rebuild.personality.iter().flatten().enumerate() {
            check_base64(
                &format!("rebuild.personality.{index}.contents"),
                &file.contents,
            )?;
        }
        match &rebuild.user_data {
            Some(Some(text)) => check_user_data("rebuild.user_data", text),
            _ => Ok(()),
        }
    }
}

/// `POST` and `PUT /servers/{id}/metadata`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerMetadata {
    /// The items.
    pub metadata: BTreeMap<String, String>,
}

impl RequestBody for ServerMetadata {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_metadata("metadata", &self.metadata)
    }
}

/// `PUT /servers/{id}/metadata/{key}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerMetadataItem {
    /// The one item.
    pub meta: BTreeMap<String, String>,
}

impl RequestBody for ServerMetadataItem {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        if self.meta.len() != 1 {
            let reason = format!("has {} items; exactly one is accepted", self.meta.len());
            return Err(InvalidField::new("meta", reason));
        }
        check_metadata("meta", &self.meta)
    }
}

/// `PUT /servers/{id}/tags`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTags {
    /// All its tags.
    pub tags: Vec<String>,
}

impl RequestBody for ServerTags {
    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        check_tags("tags", &self.tags)
    }
}

#[cfg(test)]
mod tests;
