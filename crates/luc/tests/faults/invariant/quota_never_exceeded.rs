//! The sites together never have more of a project than its limit, split or not. Rule 7 of the
//! state contract (escrow; O'Neil, TODS 1986).
//!
//! What the home uses and what it has lent is *taken*. It grows only as far as the limit, and no
//! site uses more than it was lent; so the sum over the sites is within the limit, or, after it was
//! lowered, within what was taken at that moment. What is kept for a site is taken, too.
//!
//! As long as there is no limit nothing is said of what is used. When one comes (decision 0030,
//! "Limits after none"), what a site used before it heard is written down for it, and taken grows
//! by that and by nothing else beyond the limit; what the home lends and uses itself stays within
//! the limit with what copies show of sites that may not have heard. Who has heard uses no more
//! than it was lent from then on, whatever its home was told.
//!
//! A user inside a project may have a limit apart. A site that has not heard of it yet cannot keep
//! to it; one that has lets the user have no more than it was lent of that limit, and the home no
//! more than it has not lent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use luc_core::SitePrefix;
use luc_state::{Kind, Scope};

use crate::ledger::{Book, Cell, Step, Violation};
use crate::shares::{Counted, Shares, View, home_of, of_kind};

/// The invariant.
pub(crate) const QUOTA_NEVER_EXCEEDED: &str = "the leases of a quota never exceed its limit";

/// The same of the limits of users.
pub(crate) const USERS_KEEP_TO_THEIRS: &str =
    "a user has no more than his limit wherever that is known";

/// For how long what a site has said of itself may be under way to the home: longer than any
/// request waits, with an answer that is late.
const UNDER_WAY: Duration = Duration::from_secs(20);

/// How a limit was shared when it was looked at last.
#[derive(Default)]
struct Before {
    taken: u64,
    used: u64,
    lent: BTreeMap<SitePrefix, u64>,
    seen: BTreeMap<SitePrefix, u64>,
    /// What each site used, and since when.
    history: BTreeMap<SitePrefix, Vec<(Duration, u64)>>,
}

/// What is known of the limits by project and resource.
#[derive(Default)]
pub(crate) struct Taken {
    before: BTreeMap<(String, Counted), Before>,
    /// Where there was no limit at some time: of a project, or of all.
    none: BTreeSet<(Option<String>, Counted)>,
}

/// The projects and resources that a commit concerns.
fn concerned(steps: &[Step], known: &Taken) -> BTreeSet<(String, Counted)> {
    let mut found = BTreeSet::new();
    for step in steps {
        let Some(cell) = step.after.as_ref().or(step.before.as_ref()) else {
            continue;
        };
        let of_one = |counted: Counted| match &cell.scope {
            Scope::Project(project) => Some((project.to_string(), counted)),
            _ => None,
        };
        match cell.kind {
            Kind::ServerGroup => found.extend(of_one(Counted::Groups)),
            Kind::Server => found.extend(of_one(Counted::Servers)),
            Kind::Quota | Kind::QuotaLease => {
                let project = cell.value()["project"].as_str().unwrap_or("").to_owned();
                found.extend(Counted::ALL.map(|counted| (project.clone(), counted)));
            }
            Kind::QuotaClass => found.extend(known.before.keys().cloned()),
            _ => {}
        }
    }
    found
}

/// Looks at what a site has written for users who have limits of their own.
pub(crate) fn look_at_users(books: &[Book], site: usize, steps: &[Step]) -> Vec<Violation> {
    let book = &books[site];
    let made = steps.iter().filter(|step| step.before.is_none());
    let made = made.filter_map(|step| step.after.as_ref());
    let own = made.filter(|cell| cell.home == book.site);
    own.filter_map(|cell| of_user(books, book, cell, steps))
        .collect()
}

/// What is wrong with what the user who made `cell` has at this site.
fn of_user(books: &[Book], book: &Book, cell: &Cell, steps: &[Step]) -> Option<Violation> {
    let counted = Counted::ALL.into_iter().find(|it| it.kind() == cell.kind)?;
    let Scope::Project(project) = &cell.scope else {
        return None;
    };
    // In one commit that changes both, which came first is not known.
    let limits = |step: &Step| {
        let cell = step.after.as_ref().or(step.before.as_ref());
        cell.is_some_and(|it| matches!(it.kind, Kind::Quota | Kind::QuotaLease))
    };
    if steps.iter().any(limits) {
        return None;
    }
    let who = cell.value()["user"].as_str()?.to_owned();
    let set = book.now.get(format!("r/quota/{project}").as_str())?.value();
    let limit = set["users"][&who][counted.resource()].as_u64()?;
    let used = of_kind(book, cell.kind).filter(|it| it.home == book.site && it.scope == cell.scope);
    let used = used.filter(|it| it.value()["user"] == who.as_str()).count() as u64;
    let home = home_of(books, project.as_str())?;
    let there = books.iter().find(|book| book.site == home)?;
    let item = format!("{}@{who}", counted.resource());
    let lent = |of_site: &dyn Fn(&str) -> bool| -> u64 {
        let leases = of_kind(there, Kind::QuotaLease).map(|cell| cell.value());
        let leases = leases.filter(|lease| lease["project"] == project.as_str());
        let leases = leases.filter(|lease| lease["site"].as_str().is_some_and(of_site));
        leases
            .map(|lease| lease["granted"]["share"][&item].as_u64().unwrap_or(0))
            .sum()
    };
    let own = book.site.to_string();
    let (most, why) = if home == book.site {
        let lent = lent(&|site| site != own);
        (
            limit.saturating_sub(lent),
            format!("of {limit} {lent} are lent"),
        )
    } else {
        let lent = lent(&|site| site == own);
        (lent, format!("{lent} of {limit} were lent"))
    };
    (used > most).then(|| Violation {
        invariant: USERS_KEEP_TO_THEIRS,
        seen: format!("{counted:?} of {who} in {project} at {own}: {used} are used, {why}"),
    })
}

/// Looks at what the site number `site` has written at `now`.
pub(crate) fn look(
    books: &[Book],
    known: &mut Taken,
    (site, now): (usize, Duration),
    steps: &[Step],
) -> Vec<Violation> {
    known.note(steps);
    let mut found = Vec::new();
    for (project, counted) in concerned(steps, known) {
        let Some(shares) = Shares::of(books, &project, counted) else {
            continue;
        };
        let all = (None, counted);
        let own = (Some(project.clone()), counted);
        let after_none = known.none.contains(&all) || known.none.contains(&own);
        let before = known.before.entry((project.clone(), counted)).or_default();
        before.remember(&shares, now);
        let look = Look {
            before,
            shares: &shares,
            moved: parts(books[site].site, &project, counted, steps),
            after_none,
            now,
        };
        let mut why: Vec<_> = look.grown().into_iter().collect();
        why.extend(look.unlent(books, &project, counted));
        found.extend(why.into_iter().map(|why| Violation {
            invariant: QUOTA_NEVER_EXCEEDED,
            seen: format!("{counted:?} of {project}: {why}: {shares:?}"),
        }));
        before.take_over(shares);
    }
    found
}

impl Taken {
    /// Notes where limits are taken away.
    fn note(&mut self, steps: &[Step]) {
        for cell in steps.iter().filter_map(|step| step.after.as_ref()) {
            let value = match cell.kind {
                Kind::Quota | Kind::QuotaClass => cell.value(),
                _ => continue,
            };
            let project = value["project"].as_str().map(str::to_owned);
            let none = |it: &Counted| value["limits"][it.resource()].as_i64() == Some(-1);
            let none = Counted::ALL.into_iter().filter(none);
            self.none.extend(none.map(|it| (project.clone(), it)));
        }
    }
}

impl Before {
    /// Notes what the sites use now.
    fn remember(&mut self, shares: &Shares, now: Duration) {
        for (site, used) in &shares.used {
            let history = self.history.entry(*site).or_default();
            if history.last().map_or(0, |(_, last)| *last) != *used {
                history.push((now, *used));
            }
        }
    }

    fn take_over(&mut self, shares: Shares) {
        self.taken = shares.taken();
        self.used = shares.used(shares.home);
        (self.lent, self.seen) = (shares.lent, shares.seen);
    }
}

/// What a limit depends on, of which a commit changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Things of the site itself.
    Own,
    /// Copies of others' things.
    Copies,
    Leases,
    Limits,
}

/// What `steps` at `site` change of it.
fn parts(site: SitePrefix, project: &str, counted: Counted, steps: &[Step]) -> BTreeSet<Part> {
    let part = |step: &Step| {
        let cell = step.after.as_ref().or(step.before.as_ref())?;
        let of_it = matches!(&cell.scope, Scope::Project(of) if of.as_str() == project);
        match cell.kind {
            Kind::QuotaLease => Some(Part::Leases),
            Kind::Quota | Kind::QuotaClass => Some(Part::Limits),
            kind if kind != counted.kind() || !of_it => None,
            _ if cell.home == site => Some(Part::Own),
            _ => Some(Part::Copies),
        }
    };
    steps.iter().filter_map(part).collect()
}

/// One look at a limit.
struct Look<'l> {
    before: &'l Before,
    shares: &'l Shares,
    moved: BTreeSet<Part>,
    /// Whether there was none at some time.
    after_none: bool,
    now: Duration,
}

impl Look<'_> {
    /// What is wrong with what has grown since the last look.
    fn grown(&self) -> Option<String> {
        let limit = self.shares.view.limit?;
        let (taken, before) = (self.shares.taken(), self.before.taken);
        let (told, given) = self.growth();
        // In one commit that changes both, which came first is not known.
        if self.after_none && self.moved.contains(&Part::Limits) {
            return None;
        }
        if taken > limit.max(before) + told {
            return Some(format!(
                "{taken} are taken, {before} were, {told} were told"
            ));
        }
        let made = self.shares.used(self.shares.home) > self.before.used;
        let only = |part: Part| self.moved.iter().all(|moved| *moved == part);
        let alone = match (made, given.is_empty()) {
            (true, true) => only(Part::Own),
            (false, false) => only(Part::Leases) && told == 0,
            _ => false,
        };
        // Of who asks itself what it says counts, and not what copies show.
        let shown = given.iter().map(|site| {
            let seen = self.shares.seen.get(site).copied().unwrap_or_default();
            let lent = self.shares.lent(*site);
            if self.shares.unheard.contains(site) {
                seen.saturating_sub(lent)
            } else {
                0
            }
        });
        let counted = self.shares.counted().saturating_sub(shown.sum());
        (alone && self.after_none && counted > limit).then(|| {
            format!(
                "{counted} count, and more was made or lent: {:?}",
                self.moved
            )
        })
    }

    /// By how much more was written down for sites because they use it, and to whom more was lent
    /// beside.
    fn growth(&self) -> (u64, Vec<SitePrefix>) {
        let (mut told, mut given) = (0, Vec::new());
        for (site, lent) in &self.shares.lent {
            let before = self.before.lent.get(site).copied().unwrap_or_default();
            if *lent > before && self.after_none && *lent <= self.known_of(*site) {
                told += lent - before;
            } else if *lent > before {
                given.push(*site);
            }
        }
        (told, given)
    }

    /// The most that the home may have heard that `site` uses.
    fn known_of(&self, site: SitePrefix) -> u64 {
        let since = self.now.saturating_sub(UNDER_WAY);
        let history = self
            .before
            .history
            .get(&site)
            .map_or(&[][..], Vec::as_slice);
        let begun = history.partition_point(|(at, _)| *at <= since);
        let history = &history[begun.saturating_sub(1)..];
        let of = |seen: &BTreeMap<_, u64>| seen.get(&site).copied().unwrap_or_default();
        let most = history.iter().map(|(_, used)| *used).max();
        let seen = of(&self.shares.seen).max(of(&self.before.seen));
        most.unwrap_or_default().max(seen)
    }

    /// Which sites use more than they were lent, of those that know of the limit as it is, and of
    /// which the home knows that.
    fn unlent(&self, books: &[Book], project: &str, counted: Counted) -> Vec<String> {
        let (shares, view) = (self.shares, self.shares.view);
        let others = books.iter().filter(|book| book.site != shares.home);
        let over = others.filter(|book| shares.used(book.site) > shares.lent(book.site));
        let over = over.filter(|book| view.limit.is_some() && !shares.unheard.contains(&book.site));
        let over = over.filter(|book| {
            let own = View::of(book, project, counted);
            own.limit.is_some() && own.closings == view.closings
        });
        let said = over.map(|book| {
            let (site, used) = (book.site, shares.used(book.site));
            format!("{site} uses {used} and was lent {}", shares.lent(site))
        });
        said.collect()
    }
}

#[cfg(test)]
mod tests;
