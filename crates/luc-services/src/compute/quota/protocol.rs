//! How a lease moves between the home of a limit and a site: the four steps, as plain functions.
//!
//! ```text
//! site: bound (epoch e)  ── ask: bound, want ──▶  home: granted (epoch e' ≤ e)
//!                        ◀── granted, epoch e ──  heard, then grown by what is free
//! accepted if the epoch is still e
//!
//! site: shrunk, epoch e+1, committed  ── bound ──▶  home: heard, what was given back is free
//! ```
//!
//! Every message holds a whole state, so it may be lost, repeated or overtaken: inside an epoch a
//! grant only grows and is joined by the greater; an epoch ends only at the site, and what was
//! granted in an older one is void there. So what a site may use never exceeds what the home has
//! written down for it. Pure; escrow after O'Neil, TODS 11(4), 1986.

use super::super::model::lease::{Claim, Item, Share};

/// The home hears what a site holds. `true` if that changed what is written down.
pub(crate) fn heard(granted: &mut Claim, said: &Claim) -> bool {
    if said.epoch < granted.epoch {
        return false;
    }
    let now = if said.epoch > granted.epoch {
        said.clone()
    } else {
        // Only where the site used something before there was a limit.
        Claim {
            epoch: granted.epoch,
            share: granted.share.clone().joined(&said.share),
        }
    };
    let changed = now != *granted;
    *granted = now;
    changed
}

/// The home grants up to `want` and `extra` beyond it, as far as `free` goes. `true` if all of
/// `want` is granted; if it is not and `whole` is set, nothing is.
pub(crate) fn grow(
    granted: &mut Claim,
    want: &Share,
    extra: impl Fn(&Item) -> u64,
    free: impl Fn(&Item) -> u64,
    whole: bool,
) -> bool {
    let lacks = |item: &Item, count: u64| count.saturating_sub(granted.share.of(item)) > free(item);
    let complete = !want.0.iter().any(|(item, count)| lacks(item, *count));
    if !complete && whole {
        return false;
    }
    let mut share = granted.share.clone();
    for (item, count) in &want.0 {
        let had = share.of(item);
        if *count > had {
            let most = had.saturating_add(free(item));
            let given = count.saturating_add(extra(item)).min(most);
            share.0.insert(item.clone(), given);
        }
    }
    granted.share = share;
    complete
}

/// The site takes over what it was granted, unless it has given something back since it asked.
/// `true` if that changed what it holds.
pub(crate) fn accept(bound: &mut Claim, granted: &Claim) -> bool {
    if granted.epoch != bound.epoch {
        return false;
    }
    let share = bound.share.clone().joined(&granted.share);
    let changed = share != bound.share;
    bound.share = share;
    changed
}

/// The site gives back up to `need` of each item, but nothing of `keep`. `true` if that was
/// anything; it must be committed before the home hears of it.
pub(crate) fn shrink(bound: &mut Claim, keep: &Share, need: impl Fn(&Item) -> u64) -> bool {
    let mut share = bound.share.clone();
    for (item, count) in &mut share.0 {
        *count = count
            .saturating_sub(need(item))
            .max(keep.of(item).min(*count));
    }
    share.0.retain(|_, count| *count > 0);
    let mut before = bound.share.clone();
    before.0.retain(|_, count| *count > 0);
    if share == before {
        return false;
    }
    bound.share = share;
    bound.epoch += 1;
    true
}

#[cfg(test)]
mod tests;
