//! What became of a transaction, in the words of the API; the same for every service.
//!
//! A service brings its own enum of refusals and says what each means ([`settled`]'s last
//! argument); what the store itself may answer is put into words here once.

use luc_api::ApiError;
use luc_state::{Committed, TransactError};

/// The value of a committed transaction, or why there is none.
pub(crate) fn settled<T, E>(
    outcome: Result<Committed<T>, TransactError<E>>,
    refused: impl FnOnce(E) -> ApiError,
) -> Result<T, ApiError> {
    outcome
        .map(|committed| committed.value)
        .map_err(|error| match error {
            TransactError::Refused(refusal) => refused(refusal),
            TransactError::Rider(refusal) => {
                ApiError::internal(format!("noting what was written: {refusal}"))
            }
            TransactError::Conflict { .. } => {
                ApiError::conflict("Others changed the same things at the same time; try again.")
            }
            TransactError::Unknown { operation } => ApiError::OutcomeUnknown {
                operation: operation.id.to_string(),
            },
            TransactError::Unavailable { reason } | TransactError::Closed { reason } => {
                tracing::warn!(%reason, "the store did not take a write");
                ApiError::Unavailable {
                    message: "The store is not available; nothing was changed.".to_owned(),
                }
            }
            TransactError::Unwritable { kind, id, reason } => {
                ApiError::internal(format!("writing the {kind} '{id}': {reason}"))
            }
        })
}
