//! Who has written something and asks the same site with the same token sees it. Rule 4 of the
//! state contract.
//!
//! Nothing is said where the site waited its whole second in vain, or where the read itself was
//! not answered.

use http::StatusCode;

use crate::deeds::{Outcome, Thing};
use crate::speech::{Answer, mark_shown};

/// The invariant.
pub(crate) const READ_YOUR_WRITES: &str = "who has written sees it at the same site";

/// What is wrong with `answer`, which is how `thing` is shown to its client after a write of it.
pub(crate) fn look(thing: &Thing, answer: &Answer) -> Option<String> {
    let doubted = |outcome: &Outcome| matches!(outcome, Outcome::Unknown(..));
    let (gone, shown) = (thing.is_gone(), answer.status);
    let may_be_gone = gone || thing.deletions.iter().any(doubted);
    if shown == StatusCode::NOT_FOUND {
        return (!may_be_gone).then(|| format!("{thing} is not found: {}", answer.message()));
    }
    if !shown.is_success() {
        return None;
    }
    if gone {
        return Some(format!("{thing} is still shown: {}", answer.body));
    }
    if !thing.what.changes() {
        return None;
    }
    let mark = mark_shown(thing.what, &answer.body);
    let possible = thing.possible_marks();
    (!possible.contains(&mark.as_deref()))
        .then(|| format!("{thing} is shown with the mark {mark:?}"))
}
