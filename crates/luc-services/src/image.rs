//! The image service: disk images, who may see them, and their data, with Glance's semantics.
//!
//! Records are in the store, data is in a [`blob::BlobStore`] under its hash, so that the same
//! bytes are kept once and a host can tell whether it has them already. Other services reach an
//! image through [`Images::find`] and its bytes on this node through [`Images::data_path`].
//!
//! **Invariant**: a record names only a blob that is whole and durable.

mod access;
pub mod blob;
mod download;
pub(crate) mod fetch;
mod filter;
mod garbage;
mod images;
mod inspect;
mod list;
mod member;
pub mod model;
mod range;
mod sort;
mod tag;
mod update;
mod upload;
mod views;
mod write;

use std::path::PathBuf;
use std::sync::Arc;

use http::StatusCode;
use luc_api::image::{ImageOp, schema};
use luc_api::policy::Attributes;
use luc_api::{ApiError, Service, discovery};
use luc_core::id::ProjectId;
use luc_state::{Schema, Snapshot, Stored};
use serde_json::json;

use crate::Services;
use crate::reply::Reply;
use crate::request::Request;

pub use fetch::fetch;

use blob::BlobStore;
use model::{Image, Member};

/// The longest data of one image in bytes: Glance's `image_size_cap`, 1 TiB.
pub const SIZE_MAX: u64 = 1 << 40;

/// The image service's own parts.
pub struct Images {
    blobs: Arc<dyn BlobStore>,
    uploads: upload::Uploads,
    /// Held while a blob gets its record and while an unwanted one is looked for, so that a blob
    /// is never taken for unwanted before its record is there.
    gate: tokio::sync::Mutex<()>,
    /// Held while data is brought here from another site.
    fetching: tokio::sync::Mutex<()>,
    size_max: u64,
}

impl Images {
    /// The image service over `blobs`.
    pub fn new(blobs: Arc<dyn BlobStore>) -> Self {
        Self {
            blobs,
            uploads: upload::Uploads::default(),
            gate: tokio::sync::Mutex::new(()),
            fetching: tokio::sync::Mutex::new(()),
            size_max: SIZE_MAX,
        }
    }

    /// The same, with another limit for the data of one image.
    #[must_use]
    pub fn size_max(mut self, bytes: u64) -> Self {
        self.size_max = bytes;
        self
    }

    /// The tables of this service.
    pub fn tables() -> Schema {
        Schema::new().table::<Image>().table::<Member>()
    }

    /// The image `id`, if `project` may see it. An administrator may see every image; ask the
    /// snapshot.
    pub fn find(snapshot: &Snapshot, id: &str, project: &ProjectId) -> Option<Arc<Stored<Image>>> {
        let image = snapshot.get::<Image>(id)?;
        access::is_visible(snapshot, &image, Some(project)).then_some(image)
    }

    /// Where the data of an image is on this node, if it is here.
    pub async fn data_path(&self, snapshot: &Snapshot, id: &str) -> Option<PathBuf> {
        let blob = snapshot.get::<Image>(id)?.blob()?;
        let here = matches!(self.blobs.size(&blob).await, Ok(Some(_)));
        here.then(|| self.blobs.path(&blob))
    }
}

/// Carries out an operation of the image service.
pub async fn handle(
    services: &Arc<Services>,
    op: ImageOp,
    request: &mut Request,
) -> Result<Reply, ApiError> {
    match op {
        ImageOp::ListVersions => {
            let status = StatusCode::from_u16(discovery::root_status(Service::Image));
            let document = discovery::root(Service::Image, &request.base_url);
            Ok(Reply::json(&document)?.status(status.unwrap_or_default()))
        }
        ImageOp::ListVersionsPlainly => {
            Reply::json(&discovery::root(Service::Image, &request.base_url))
        }
        ImageOp::ShowVersion => Reply::json(&discovery::version(Service::Image, &request.base_url)),
        ImageOp::ListImages => list::list(services, request),
        ImageOp::CreateImage => images::create(services, request).await,
        ImageOp::ShowImage => images::show(services, request),
        ImageOp::UpdateImage => update::update(services, request).await,
        ImageOp::DeleteImage => images::delete(services, request).await,
        ImageOp::UploadData => upload::upload(services, request).await,
        ImageOp::DownloadData => download::download(services, request).await,
        ImageOp::DeactivateImage => images::deactivate(services, request).await,
        ImageOp::ReactivateImage => images::reactivate(services, request).await,
        ImageOp::AddTag => tag::add(services, request).await,
        ImageOp::RemoveTag => tag::remove(services, request).await,
        ImageOp::ListMembers => member::list(services, request),
        ImageOp::AddMember => member::add(services, request).await,
        ImageOp::ShowMember => member::show(services, request),
        ImageOp::UpdateMember => member::update(services, request).await,
        ImageOp::RemoveMember => member::remove(services, request).await,
        ImageOp::ShowImageSchema => document(request, &schema::image()),
        ImageOp::ShowImagesSchema => document(request, &schema::images()),
        ImageOp::ShowMemberSchema => document(request, &schema::member()),
        ImageOp::ShowMembersSchema => document(request, &schema::members()),
        ImageOp::ShowImportMethods => document(request, &import_methods()),
    }
}

/// Answers with a document that is the same for everybody.
fn document(request: &Request, document: &serde_json::Value) -> Result<Reply, ApiError> {
    request.authorize(&Attributes::new())?;
    Reply::json(document)
}

/// Data comes in by upload alone, so the list of other ways is empty.
fn import_methods() -> serde_json::Value {
    json!({"import-methods": {
        "description": "Import methods available.",
        "type": "array",
        "value": [],
    }})
}
