//! How the identity service refuses: Keystone's words, and what a refused transaction means.

use luc_api::ApiError;
use luc_state::{Tx, TxError};

use crate::write::settled;

use crate::Services;

/// Why a transaction of this service did not commit.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// It would break a rule of the service.
    #[error("the identity service refused the change")]
    Service(#[source] ApiError),
    /// It would break a rule of the store.
    #[error("the store refused the change")]
    Store(#[from] TxError),
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Service(error)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Service(error) => error,
            Refusal::Store(TxError::Exists { kind, id }) => {
                conflict(kind.name(), &format!("Duplicate ID, {id}."))
            }
            Refusal::Store(TxError::Duplicate { kind, .. }) => {
                conflict(kind.name(), "Duplicate entry.")
            }
            Refusal::Store(TxError::Missing { kind, id }) => not_found(kind.name(), &id),
            Refusal::Store(TxError::Elsewhere { home, .. }) => Self::Elsewhere { home },
            Refusal::Store(error) => Self::internal(error.to_string()),
        }
    }
}

/// Runs a transaction and waits until it is durable.
pub(super) async fn transact<T>(
    services: &Services,
    body: impl FnMut(&mut Tx<'_>) -> Result<T, Refusal>,
) -> Result<T, ApiError> {
    settled(services.store.transact(body).await, ApiError::from)
}

/// A change may name the id of what it changes, and nothing else there.
pub(super) fn check_id_kept(wanted: Option<&Option<String>>, id: &str) -> Result<(), ApiError> {
    match wanted {
        Some(Some(wanted)) if wanted != id => Err(ApiError::bad_request("Cannot change ID")),
        _ => Ok(()),
    }
}

/// Turns "that name is taken" into a conflict that says so in Keystone's words.
pub(super) fn taken(error: TxError, kind: &str, details: &str) -> Refusal {
    match error {
        TxError::Exists { .. } | TxError::Duplicate { .. } => conflict(kind, details).into(),
        other => other.into(),
    }
}

/// Something could not be stored beside what is there.
pub(super) fn conflict(kind: &str, details: &str) -> ApiError {
    ApiError::conflict(format!(
        "Conflict occurred attempting to store {kind} - {details}"
    ))
}

/// A `what` of this id is not there.
pub(super) fn not_found(what: &str, id: &str) -> ApiError {
    ApiError::not_found(format!("Could not find {what}: {id}."))
}

/// A member or parameter is missing, or does not lead to what it should.
pub(super) fn expected(attribute: &str, place: &str) -> ApiError {
    ApiError::bad_request(format!(
        "Expecting to find {attribute} in {place}. The server could not comply with the request \
         since it is either malformed or otherwise incorrect. The client is assumed to be in error."
    ))
}

/// An action that policy or its nature forbids.
pub(super) fn forbidden_action(action: &str) -> ApiError {
    ApiError::forbidden(format!(
        "You are not authorized to perform the requested action: {action}."
    ))
}

/// Whoever asks is not who must ask. The reason is for the log.
pub(super) fn unauthorized(reason: &'static str) -> ApiError {
    ApiError::Unauthorized { reason }
}

/// A protected thing is not changed.
pub(super) fn immutable(verb: &str, kind: &str, id: &str) -> ApiError {
    // The one quotation mark is Keystone's.
    ApiError::forbidden(format!(
        "Unable to {verb} immutable {kind} resource: `{id}. Set resource option \"immutable\" to \
         false first."
    ))
}
