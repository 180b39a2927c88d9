//! Transactions of the image service, and what becomes of those that fail.

use luc_api::ApiError;
use luc_state::{Store, Tx, TxError};

use crate::write::settled;

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
    settled(store.transact(body).await, |refused| match refused {
        WriteError::Api(refused) => refused,
        WriteError::Store(refused) => of_tx(&refused),
    })
}

fn of_tx(refused: &TxError) -> ApiError {
    match refused {
        TxError::Exists { id, .. } => ApiError::conflict(format!("Image ID {id} already exists!")),
        TxError::Missing { id, .. } => super::access::not_found(id),
        TxError::Elsewhere { home, .. } => ApiError::Elsewhere { home: *home },
        TxError::Duplicate { .. } | TxError::Scope { .. } | TxError::Id { .. } => {
            ApiError::internal(refused.to_string())
        }
    }
}
