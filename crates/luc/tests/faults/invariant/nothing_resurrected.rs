//! What a client was told to be deleted is nowhere at the end, neither at its home nor as a copy.

use crate::deeds::Thing;
use crate::ending::Ending;
use crate::ledger::Violation;

/// The invariant.
pub(crate) const NOTHING_RESURRECTED: &str = "nothing that was deleted comes back";

/// Judges what became of a thing.
pub(crate) fn judge(thing: &Thing, ending: &Ending) -> Option<Violation> {
    let sites = ending.holders(thing);
    (thing.is_gone() && !sites.is_empty()).then(|| Violation {
        invariant: NOTHING_RESURRECTED,
        seen: format!("{thing} is held by {sites:?}"),
    })
}
