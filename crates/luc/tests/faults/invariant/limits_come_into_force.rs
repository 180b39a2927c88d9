//! A limit that comes after there was none binds whoever has heard of it. A site that has not goes
//! on; what it has shows as pending, until it is back and its home has asked, which nobody has to
//! do by hand. From then on nobody makes anything beyond the limit, wherever it is asked for.
//! Rule 7 of the state contract; decision 0030, "Limits after none".

use http::StatusCode;

use crate::shares::Shares;

/// The invariant.
pub(crate) const LIMITS_COME_INTO_FORCE: &str =
    "a limit after none is in force when every site has heard, and that comes by itself";

/// What is wrong with the answer of a site that knows of no limit.
pub(crate) fn without(status: Option<StatusCode>, shares: &Shares) -> Option<String> {
    let made = status.is_some_and(|status| status.is_success());
    (!made).then(|| format!("without a limit, answered {status:?}: {shares:?}"))
}

/// What is wrong with what the home says is pending right after the limit came.
pub(crate) fn pending(shares: &Shares, told: u64) -> Option<String> {
    let pending = shares.pending();
    (told != pending).then(|| format!("{told} are said to be pending, not {pending}: {shares:?}"))
}

/// What is wrong some time after everything was healed: who has not heard, or what is not said.
pub(crate) fn settled(shares: &Shares, told: u64) -> Option<String> {
    let unheard = &shares.unheard;
    let told_of = (!unheard.is_empty()).then(|| format!("{unheard:?} have not heard: {shares:?}"));
    told_of.or_else(|| pending(shares, told))
}

/// What is wrong with an answer after every site has heard; `before` was used in all until then.
pub(crate) fn kept(status: Option<StatusCode>, before: u64, shares: &Shares) -> Option<String> {
    let made = status.is_some_and(|status| status.is_success());
    let used = shares.used_in_all();
    let most = shares.view.limit.unwrap_or(u64::MAX).max(before);
    let over = used > most || (made && shares.view.limit.is_some_and(|limit| used > limit));
    over.then(|| format!("{used} are used, {before} were, answered {status:?}: {shares:?}"))
}
