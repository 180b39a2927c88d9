//! What a client was told to be done is there at the end: nothing lost, whatever crashed.

use crate::deeds::{Outcome, Thing};
use crate::ending::Ending;
use crate::ledger::Violation;
use crate::speech::mark_stored;

/// The invariant.
pub(crate) const ACKNOWLEDGED_WRITES_SURVIVE: &str = "acknowledged writes survive";

/// Judges what became of a thing.
pub(crate) fn judge(thing: &Thing, ending: &Ending) -> Option<Violation> {
    let accuse = |seen: &str| {
        Some(Violation {
            invariant: ACKNOWLEDGED_WRITES_SURVIVE,
            seen: format!("{thing} {seen}"),
        })
    };
    let homes = ending.homes(thing);
    let Some(record) = homes.first() else {
        let lost = thing.made == Outcome::Done && thing.deletions.is_empty();
        return lost.then(|| accuse("is gone")).flatten();
    };
    let mark = mark_stored(&record.value());
    let refused = |(tried, outcome): &(String, Outcome)| {
        Some(tried) == mark.as_ref() && matches!(outcome, Outcome::Refused(..))
    };
    if thing.marks.iter().any(refused) || thing.possible_marks().contains(&mark.as_deref()) {
        return None;
    }
    accuse(&format!("has the mark {mark:?} at the end"))
}
