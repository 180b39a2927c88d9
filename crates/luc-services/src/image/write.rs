//! Transactions of the image service, and what becomes of those that fail.

use luc_api::ApiError;
use luc_state::{Store, TransactError, Tx, TxError};

/// Why a write was not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// The request is to blame.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The store refused a record.
    #[error(transparent)]
    Store(#[from] TxError),
}

/// Runs `body` as one transaction.
pub(super) async fn transact<T>(
    store: &Store,
    body: impl FnMut(&mut Tx<'_>) -> Result<T, WriteError>,
) -> Result<T, ApiError> {
    store
        .transact(body)
        .await
        .map(|committed| committed.value)
        .map_err(|error| match error {
            TransactError::Refused(WriteError::Api(refused)) => refused,
            TransactError::Refused(WriteError::Store(refused)) => of_tx(&refused),
            TransactError::Conflict { .. } => {
                ApiError::conflict("Others changed the image at the same time. Please try again.")
            }
            TransactError::Unknown { operation } => ApiError::OutcomeUnknown {
                operation: operation.id.to_string(),
            },
            TransactError::Unavailable { reason } | TransactError::Closed { reason } => {
                tracing::warn!(%reason, "the store did not take a write");
                ApiError::Unavailable {
                    message: "The store is not available.".to_owned(),
                }
            }
            TransactError::Unwritable { .. } => ApiError::internal(error.to_string()),
        })
}

fn of_tx(refused: &TxError) -> ApiError {
    match refused {
        TxError::Exists { id, .. } => ApiError::conflict(format!("Image ID {id} already exists!")),
        TxError::Missing { id, .. } => super::access::not_found(id),
        TxError::Duplicate { .. } | TxError::Scope { .. } | TxError::Id { .. } => {
            ApiError::internal(refused.to_string())
        }
    }
}
