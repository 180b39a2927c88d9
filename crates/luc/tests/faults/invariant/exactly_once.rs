//! What was asked for once is done once or not at all: nothing doubled, and nothing done of what
//! was refused. Rule 5 of the state contract.

use crate::deeds::{Outcome, Thing};
use crate::ending::Ending;
use crate::ledger::Violation;
use crate::speech::mark_stored;

/// The invariant.
pub(crate) const EXACTLY_ONCE: &str = "every operation is done exactly once or not at all";

/// Judges what became of a thing.
pub(crate) fn judge(thing: &Thing, ending: &Ending) -> Option<Violation> {
    let accuse = |seen: String| {
        Some(Violation {
            invariant: EXACTLY_ONCE,
            seen: format!("{thing} {seen}"),
        })
    };
    let homes = ending.homes(thing);
    if homes.len() > 1 {
        let keys: Vec<_> = homes.iter().map(|cell| &cell.key).collect();
        return accuse(format!("is there {} times: {keys:?}", homes.len()));
    }
    let refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused(..));
    if refused(&thing.made) && !homes.is_empty() {
        return accuse("was refused and made".to_owned());
    }
    let attempts = &thing.deletions;
    if thing.made == Outcome::Done && homes.is_empty() {
        let kept = !attempts.is_empty() && attempts.iter().all(refused);
        return kept
            .then(|| accuse("is gone, and nothing deleted it".to_owned()))
            .flatten();
    }
    let mark = homes.first().and_then(|cell| mark_stored(&cell.value()));
    let wrong = thing
        .marks
        .iter()
        .find(|(tried, outcome)| Some(tried) == mark.as_ref() && refused(outcome));
    if let Some((mark, _)) = wrong {
        return accuse(format!("has the mark {mark}, which was refused"));
    }
    resolved(thing, ending).and_then(accuse)
}

/// What is wrong with what `luc op show` says of the making of a thing.
fn resolved(thing: &Thing, ending: &Ending) -> Option<String> {
    let Outcome::Unknown(Some(operation), _) = &thing.made else {
        return None;
    };
    let there = !ending.homes(thing).is_empty();
    let said = ending.resolved.get(operation)?;
    match said.as_str() {
        "done" if !there => Some("is said to be done, and is not".to_owned()),
        "not done" | "no record" if there => Some("is said not to be done, and is".to_owned()),
        "done" | "not done" | "no record" | "in part" => None,
        other => Some(format!("stays {other} after everything is healed")),
    }
}
