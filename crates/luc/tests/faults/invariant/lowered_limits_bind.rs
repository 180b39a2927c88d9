//! A limit that is lowered binds at once at its home and wherever that reaches; what a site that is
//! cut off was lent shows as pending and may be used there, and the limit is kept when the blocks
//! are back. Then all that is free can be used anywhere. Rule 7 of the state contract.

use http::StatusCode;
use luc_core::SitePrefix;

use crate::shares::Shares;

/// The invariant.
pub(crate) const LOWERED_LIMITS_BIND: &str =
    "a lowered limit binds at once where it reaches, and everywhere when the blocks are back";

/// What is wrong right after a limit was lowered, `reachable` being the sites that its home
/// reaches.
pub(crate) fn at_once(shares: &Shares, reachable: &[SitePrefix]) -> Option<String> {
    let idle: u64 = reachable.iter().map(|site| shares.idle(*site)).sum();
    let over = shares.beyond();
    (over > 0 && idle > 0).then(|| format!("{idle} are idle at sites within reach: {shares:?}"))
}

/// What is wrong with what the home says is pending.
pub(crate) fn pending(shares: &Shares, told: u64) -> Option<String> {
    let beyond = shares.pending();
    (told != beyond).then(|| format!("{told} are said to be pending, not {beyond}: {shares:?}"))
}

/// What is wrong with the answer of a site that is cut off, which was lent enough or not.
pub(crate) fn away(lent: bool, status: Option<StatusCode>, shares: &Shares) -> Option<String> {
    let right = status.is_some_and(|status| {
        status.is_success() == lent && (lent || status == StatusCode::FORBIDDEN)
    });
    (!right).then(|| format!("cut off, lent enough {lent}, answered {status:?}: {shares:?}"))
}

/// What is wrong after everything was healed and looked after.
pub(crate) fn complete(shares: &Shares) -> Option<String> {
    let idle: u64 = shares.lent.keys().map(|site| shares.idle(*site)).sum();
    let over = shares.beyond();
    (over > 0 && idle > 0).then(|| format!("{idle} of {over} did not come back: {shares:?}"))
}

/// What is wrong where something is free and cannot be used.
pub(crate) fn usable(status: Option<StatusCode>, shares: &Shares) -> Option<String> {
    let made = status.is_some_and(|status| status.is_success());
    (!made).then(|| format!("room is left, and was answered {status:?}: {shares:?}"))
}
