//! What the compute service asks of the identity service's records: projects and users by id.

use std::sync::Arc;

use luc_api::ApiError;
use luc_core::id::DomainId;
use luc_state::{Snapshot, Stored};

use crate::identity::model::{Project, User};

/// The project `id`; one that does not exist is a 400, as where Nova asks Keystone.
pub(super) fn find(snapshot: &Snapshot, id: &str) -> Result<Arc<Stored<Project>>, ApiError> {
    snapshot
        .get::<Project>(id)
        .ok_or_else(|| ApiError::bad_request(format!("Project ID {id} is not a valid project.")))
}

/// The domain of the user `id`.
pub(super) fn domain_of_user(snapshot: &Snapshot, id: &str) -> Option<DomainId> {
    snapshot.get::<User>(id).map(|user| user.domain_id.clone())
}
