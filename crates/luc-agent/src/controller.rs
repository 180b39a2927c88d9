//! The port towards the controller: wishes come in, reports go out.
//!
//! It is small on purpose, so that it works by a function call (`luc up` runs many agents in one
//! process) as well as over a network: everything that crosses it is a whole state with a number,
//! so anything may be lost, doubled or repeated.
//! This crate only calls it; `luc` plugs the adapter. [`crate::testing`] has one in memory.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use luc_core::id::{ImageId, ServerId};

use crate::desired::{DesiredServer, HostPlace};
use crate::host::Heartbeat;
use crate::observed::Observed;

/// Why the controller gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// It cannot be reached now; asking again later is right.
    #[error("the controller cannot be reached: {reason}")]
    Unavailable {
        /// What was tried.
        reason: String,
    },
    /// It was reached and refused; asking again is pointless.
    #[error("the controller refused: {reason}")]
    Refused {
        /// Its words.
        reason: String,
    },
}

/// A change of what is wanted on this host.
#[derive(Clone, Debug)]
pub enum Change {
    /// This is wanted now.
    Want(Arc<DesiredServer>),
    /// The controller has no record of this server on this host any more.
    Forget(ServerId),
    /// Changes may be missing; ask for everything again.
    Reload,
}

/// Everything that is wanted on this host, and what changes after that.
pub struct Wishes {
    /// All wishes at one moment.
    pub snapshot: Vec<Arc<DesiredServer>>,
    /// What changes after that moment; its end means the same as [`Change::Reload`].
    pub changes: BoxStream<'static, Change>,
}

/// The bytes of an image.
pub enum ImageData {
    /// A file of this host that holds exactly the image.
    File(PathBuf),
    /// The bytes in order.
    Stream(BoxStream<'static, std::io::Result<Bytes>>),
}

/// Where image bytes come from.
#[async_trait]
pub trait Images: Send + Sync {
    /// Opens the image's bytes. The caller verifies size and hash.
    async fn image(&self, id: &ImageId) -> Result<ImageData, ControllerError>;
}

/// The agent's controller.
#[async_trait]
pub trait Controller: Images + 'static {
    /// Everything that is wanted on this host, and the changes from then on.
    async fn wishes(&self) -> Result<Wishes, ControllerError>;

    /// Takes reports, at most one per server, each newer than all before. Reporting again after an
    /// error is safe.
    async fn report(&self, reports: Vec<Observed>) -> Result<(), ControllerError>;

    /// Says that the host lives and what it has; answered with what the controller says of it.
    async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<HostPlace, ControllerError>;
}
