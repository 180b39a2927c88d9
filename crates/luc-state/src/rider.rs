//! Riders: what goes into every commit of a handle of a store.
//!
//! A [`Store::riding`](crate::Store::riding) handle is the same store; each of its transactions
//! that wrote something ends with a call of the rider, in the same run, so that what the rider
//! writes is committed with it or not at all. Used to note the outcome of a forwarded write in the
//! commit that makes it (rule 5 of the state contract). A rider is no hook of the store as a whole:
//! transactions of other handles do not call it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::kinds::Kind;
use crate::tx::{Tx, TxError};

/// A record that a transaction wrote or removed.
pub type Touched = (Kind, Arc<str>);

/// Something that is done at the end of each writing transaction.
///
/// Like the closure of a transaction it runs under a lock, at once, and again if another
/// controller was faster: it must have no effect but on `tx`.
pub trait Rider: Send + Sync + 'static {
    /// Adds to a transaction that wrote or removed `written`: each record once, ordered by kind
    /// and id. An error refuses the transaction as a whole.
    fn ride(&self, tx: &mut Tx<'_>, written: &[Touched]) -> Result<(), TxError>;
}

/// Lets `rider` add to `tx`, if that wrote something.
pub(crate) fn mount(rider: &dyn Rider, tx: &mut Tx<'_>) -> Result<(), TxError> {
    let written: BTreeSet<Touched> = tx.written().collect();
    if written.is_empty() {
        return Ok(());
    }
    let written: Vec<_> = written.into_iter().collect();
    rider.ride(tx, &written)
}
