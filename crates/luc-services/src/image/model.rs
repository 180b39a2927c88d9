//! The stored image: what is known of it, who may see it, and which blob holds its data.
//!
//! ```text
//! queued ──(upload)──▶ active ◀──▶ deactivated
//! ```
//!
//! While an upload runs the record stays `queued`; that an upload runs is known to the node that
//! takes it ([`super::upload`]), so an upload that dies with its node leaves the image as it was.

use std::collections::{BTreeMap, BTreeSet};

use luc_core::id::{ImageId, ProjectId};
use luc_core::time::Timestamp;
use luc_core::units::{DiskGib, MemoryMib};
use luc_state::{Index, IndexKey, Kind, Record, Scope, key};
use serde::{Deserialize, Serialize};

use super::blob::BlobId;

/// Whether an image has data that may be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It waits for its data.
    Queued,
    /// Its data may be had.
    Active,
    /// Its data is withheld from all but administrators.
    Deactivated,
}

impl Status {
    /// As it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Active => "active",
            Self::Deactivated => "deactivated",
        }
    }
}

/// Who may see an image beside its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Everybody, and it is listed for them.
    Public,
    /// Everybody who asks for it.
    Community,
    /// Its members.
    Shared,
    /// Nobody.
    Private,
}

impl Visibility {
    /// Reads the wire's word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Public, Self::Community, Self::Shared, Self::Private]
            .into_iter()
            .find(|visibility| visibility.as_str() == word)
    }

    /// As it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Community => "community",
            Self::Shared => "shared",
            Self::Private => "private",
        }
    }
}

/// What a member says of an image that is shared with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberStatus {
    /// Nothing yet.
    Pending,
    /// It wants to see the image in its lists.
    Accepted,
    /// It does not.
    Rejected,
}

impl MemberStatus {
    /// Reads the wire's word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pending, Self::Accepted, Self::Rejected]
            .into_iter()
            .find(|status| status.as_str() == word)
    }

    /// As it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
    }
}

/// How a project stands to an image that is shared with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// See [`Member::record_id`].
    pub id: String,
    /// The image.
    pub image: ImageId,
    /// The project that may see it.
    pub project: ProjectId,
    /// What the project says of it.
    pub status: MemberStatus,
    /// Since when the image is shared with it.
    pub created_at: Timestamp,
    /// When it last said something else.
    pub updated_at: Timestamp,
}

impl Member {
    /// Finds the members of an image.
    pub const BY_IMAGE: Index<Self> =
        Index::plain("image", |member| vec![key(&[member.image.as_str()])]);

    /// Finds the images that are shared with a project.
    pub const BY_PROJECT: Index<Self> =
        Index::plain("project", |member| vec![key(&[member.project.as_str()])]);

    /// The id of the record of `project`'s membership of `image`.
    pub fn record_id(image: &str, project: &str) -> String {
        key(&[image, project]).as_str().to_owned()
    }
}

impl Record for Member {
    const KIND: Kind = Kind::ImageMember;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_IMAGE, Self::BY_PROJECT];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Project(self.project.clone())
    }
}

/// The data of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    /// SHA-512 of it; also the name of the blob that holds it.
    pub sha512: String,
    /// MD5 of it.
    pub md5: String,
    /// How many bytes it has.
    pub size: u64,
    /// How many bytes the disk in it has, where the format says so.
    pub virtual_size: Option<u64>,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its id, which the client may have chosen.
    pub id: ImageId,
    /// Its name; several images may share one.
    pub name: Option<String>,
    /// The project it belongs to; one that belongs to nobody is seen by everybody.
    pub owner: Option<ProjectId>,
    /// Whether its data may be had.
    pub status: Status,
    /// Who may see it.
    pub visibility: Visibility,
    /// Its data, once it was uploaded.
    pub data: Option<Data>,
    /// The format of the disk in it.
    pub disk_format: Option<String>,
    /// The format of what holds the disk.
    pub container_format: Option<String>,
    /// The smallest disk it boots from.
    pub min_disk: DiskGib,
    /// The least memory it boots with.
    pub min_ram: MemoryMib,
    /// Whether it cannot be deleted.
    pub protected: bool,
    /// Whether it is left out of lists.
    #[serde(rename = "os_hidden")]
    pub hidden: bool,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// Properties of the user's own.
    #[serde(default)]
    pub properties: BTreeMap<String, Option<String>>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed.
    pub updated_at: Timestamp,
}

impl Image {
    /// Finds the images of a project.
    pub const BY_OWNER: Index<Self> = Index::plain("owner", |image| {
        image
            .owner
            .iter()
            .map(|owner| key(&[owner.as_str()]))
            .collect()
    });

    /// Finds images by who may see them.
    pub const BY_VISIBILITY: Index<Self> = Index::plain("visibility", |image| {
        vec![key(&[image.visibility.as_str()])]
    });

    /// Finds the images with the same data.
    pub const BY_BLOB: Index<Self> = Index::plain("blob", |image| {
        image
            .data
            .iter()
            .map(|data| key(&[data.sha512.as_str()]))
            .collect()
    });

    /// The blob that holds its data.
    pub fn blob(&self) -> Option<BlobId> {
        self.data
            .as_ref()
            .and_then(|data| BlobId::parse(&data.sha512))
    }

    /// The key of [`Self::BY_BLOB`] for a blob.
    pub fn blob_key(blob: &BlobId) -> IndexKey {
        key(&[blob.as_str()])
    }
}

impl Record for Image {
    const KIND: Kind = Kind::Image;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_OWNER, Self::BY_VISIBILITY, Self::BY_BLOB];

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn scope(&self) -> Scope {
        match (self.visibility, &self.owner) {
            (Visibility::Private | Visibility::Shared, Some(owner)) => {
                Scope::Project(owner.clone())
            }
            // What belongs to nobody is seen by everybody.
            _ => Scope::Cloud,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
