//! Transactions of the compute service, and what becomes of those that fail.

use luc_api::ApiError;
use luc_state::{Store, Tx, TxError};

use crate::write::settled;

use super::quota::{ReserveError, Shortage};

/// Why a write was not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// The request is to blame.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The site must be lent more of a quota first; see `quota::exchange::transact`.
    #[error("the lease of this site is used up")]
    Lease(Box<Shortage>),
    /// The store refused a record.
    #[error(transparent)]
    Store(#[from] TxError),
}

impl From<ReserveError> for WriteError {
    fn from(error: ReserveError) -> Self {
        match error {
            ReserveError::Exceeded(exceeded) => Self::Api(exceeded.into()),
            ReserveError::Refused { message } => Self::Api(ApiError::QuotaExceeded { message }),
            ReserveError::Lease(shortage) => Self::Lease(shortage),
            ReserveError::Store(refused) => Self::Store(refused),
        }
    }
}

/// Runs `body` as one transaction.
pub(super) async fn transact<T>(
    store: &Store,
    body: impl FnMut(&mut Tx<'_>) -> Result<T, WriteError>,
) -> Result<T, ApiError> {
    settled(store.transact(body).await, of_write)
}

/// What a write that was not made means to the caller.
pub(super) fn of_write(refused: WriteError) -> ApiError {
    match refused {
        WriteError::Api(refused) => refused,
        WriteError::Lease(shortage) => ApiError::internal(format!("nobody asked for {shortage:?}")),
        WriteError::Store(refused) => of_tx(&refused),
    }
}

/// What a refusal of the store means where the handler did not expect it.
fn of_tx(refused: &TxError) -> ApiError {
    match refused {
        TxError::Exists { .. } | TxError::Duplicate { .. } => {
            ApiError::conflict(refused.to_string())
        }
        TxError::Missing { .. } => ApiError::not_found(refused.to_string()),
        TxError::Elsewhere { home, .. } => ApiError::Elsewhere { home: *home },
        TxError::Scope { .. } | TxError::Id { .. } => ApiError::internal(refused.to_string()),
    }
}
