//! One open request of the spiral: what is known of other sites around the root, and who was asked.
//!
//! Nodes of one site are as good as equally far, so the spiral runs over sites. A site that has
//! answered is *told*: its members are known. The members of the closest site may be offered when
//! it and the next few ([`lookahead`](super::Config::lookahead)) are told: then a closer site that
//! they know of would have been named. The distance of a site is predicted from the middle of
//! the nodes known of it, until the answer of one of them has measured it.
//!
//! ```text
//!             ask               answer
//!   unasked ───────▶ asked ─────────────▶ told
//!      ▲               │ no answer
//!      └── others left ┴──▶ given up (too many silent, or nobody left to ask)
//! ```

use std::collections::BTreeSet;

use luc_core::entropy::SplitMix64;
use luc_core::time::Instant;
use luc_core::{PeerId, SitePrefix};

use crate::coordinate::Coordinate;
use crate::neighbour::Standing;
use crate::search::message::Entry;
use crate::search::spiral::centre::Centre;
use crate::search::spiral::config::Config;
use crate::search::spiral::measured::Away;
use crate::search::view::pick;

/// More sites than this are not kept in mind by one request.
const SITES_MAX: usize = 96;

/// More nodes of one site than this are not kept in mind by one request.
const MEMBERS_MAX: usize = 64;

/// Entries younger than this, in seconds, are equally good to be asked.
const YOUNG: u16 = 120;

/// What came of asking a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unasked,
    Asked,
    Told,
    GivenUp,
}

/// A site other than the own.
#[derive(Clone, Debug)]
struct Site {
    prefix: SitePrefix,
    state: State,
    /// How many of its nodes did not answer.
    silent: u8,
    /// From the root, in seconds.
    distance: f32,
    /// What is known of the way there from measurements.
    away: Away,
    centre: Centre,
    known: Vec<Entry>,
}

/// A question under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) number: u32,
    pub(super) peer: PeerId,
    pub(super) sent: Instant,
}

/// Nodes of one site that are offered together.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The measured round trip to the site in seconds, if there is one.
    pub(super) measured: Option<f32>,
    pub(super) entries: Vec<Entry>,
}

/// How far to look ahead of what is offered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    sites: usize,
    reach: f32,
}

impl Ahead {
    /// The sites that matter for whether the first of these is the closest. These are in order of
    /// distance; sites that are not placed yet matter as far as the look goes.
    fn front<'a, 'b>(&self, active: &'b [&'a Site]) -> impl Iterator<Item = &'b &'a Site> {
        let closest = active.first().map_or(0.0, |site| site.distance);
        // A thousandth of a second more, because of what coordinates miss inside a town.
        let farthest = closest * self.reach + 0.001;
        let near = active.partition_point(|site| site.distance <= farthest);
        let mut unplaced = 0;
        active.iter().take(near).filter(move |site| {
            unplaced += usize::from(!site.is_placed());
            site.is_placed() || unplaced <= self.sites
        })
    }

    /// At least one site.
    pub(super) fn or_one(self) -> Self {
        let sites = self.sites.max(1);
        Self { sites, ..self }
    }
}

/// One open request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Never to be offered (again).
    pub(super) taken: BTreeSet<PeerId>,
    /// How many are wanted in the pending answer; zero when none is pending.
    pub(super) wanted: u16,
    /// Counts answers, so that a late call for patience finds its answer given.
    pub(super) round: u32,
    /// The pending answer has been waited for long enough.
    pub(super) impatient: bool,
    /// Questions under way.
    pub(super) asks: Vec<Ask>,
    /// Questions since the last answer.
    pub(super) asked: u16,
    /// Questions of the whole request.
    pub(super) asked_ever: u32,
    /// Nodes offered by the whole request.
    pub(super) offered: u32,
    /// Whether the node's own view has been taken in.
    pub(super) opened: bool,
    /// Nodes asked for a way out when no site was left to ask.
    pub(super) sources: Vec<PeerId>,
    /// How far out the last offered node of another site was, in seconds.
    pub(super) beyond: f32,
    /// Where the spiral starts: the middle of the own site.
    pub(super) root: Coordinate,
    sites: Vec<Site>,
}

impl Request {
    pub(super) const fn new(taken: BTreeSet<PeerId>, root: Coordinate) -> Self {
        Self {
            taken,
            wanted: 0,
            round: 0,
            impatient: false,
            asks: Vec::new(),
            asked: 0,
            asked_ever: 0,
            offered: 0,
            opened: false,
            sources: Vec::new(),
            beyond: 0.0,
            root,
            sites: Vec::new(),
        }
    }

    /// How many more questions the nodes offered pay for: one each, which is two messages.
    pub(super) fn earned(&self) -> usize {
        let earned = self.offered + u32::from(self.wanted);
        earned.saturating_sub(self.asked_ever) as usize
    }

    /// How far to look ahead: as far as configured, and as the nodes offered pay for.
    pub(super) fn ahead(&self, config: &Config) -> Ahead {
        let left = self.earned() + self.asks.len();
        Ahead {
            sites: usize::from(config.lookahead).min(left),
            reach: config.reach + config.reach_per_error * self.root.error.clamp(0.0, 2.0),
        }
    }

    /// Takes in a node of another site.
    pub(super) fn merge(&mut self, entry: &Entry, away: Away) {
        let prefix = entry.peer.site;
        let found = self.sites.binary_search_by(|site| site.prefix.cmp(&prefix));
        let index = found.unwrap_or_else(|index| {
            self.sites.insert(index, Site::new(prefix));
            index
        });
        if let Some(site) = self.sites.get_mut(index) {
            site.away = away;
            site.merge(entry, &self.root);
        }
        self.shrink();
    }

    /// Takes in what is known of the way to a site.
    pub(super) fn measured(&mut self, prefix: SitePrefix, away: Away) {
        if let Some(site) = self.site_mut(prefix) {
            site.away = away;
            site.distance = away.seconds(site.distance);
        }
    }

    fn shrink(&mut self) {
        if self.sites.len() <= SITES_MAX {
            return;
        }
        let unasked = self.sites.iter().zip(0..);
        let unasked = unasked.filter(|(site, _)| site.state == State::Unasked);
        let farthest = unasked.max_by(|left, right| left.0.distance.total_cmp(&right.0.distance));
        if let Some(index) = farthest.map(|(_, index)| index) {
            self.sites.remove(index);
        }
    }

    /// The sites that still matter, closest first.
    fn active(&self) -> Vec<&Site> {
        let mut active: Vec<&Site> = self
            .sites
            .iter()
            .filter(|site| match site.state {
                State::Unasked | State::Asked => true,
                State::Told => site.left(&self.taken).next().is_some(),
                State::GivenUp => false,
            })
            .collect();
        active.sort_by(|left, right| {
            let by_distance = left.distance.total_cmp(&right.distance);
            by_distance.then(left.prefix.cmp(&right.prefix))
        });
        active
    }

    /// Up to `count` nodes of other sites, in groups of one site each, closest site first: those
    /// that are certain, or (without a look ahead) all that are known.
    pub(super) fn offer(&self, count: usize, ahead: Option<Ahead>) -> Vec<Group> {
        let active = self.active();
        let mut groups = Vec::new();
        let mut offered = 0;
        for (index, site) in active.iter().enumerate() {
            let rest = active.get(index..).unwrap_or_default();
            let certain = ahead.is_none_or(|ahead| {
                let told = ahead.sites == 0 || site.state == State::Told;
                told && ahead.front(rest).all(|other| other.is_placed())
            });
            if offered >= count || !certain {
                break;
            }
            let entries: Vec<Entry> = site.left(&self.taken).copied().collect();
            offered += entries.len();
            groups.push(Group {
                measured: site.away.measured.then_some(site.distance),
                entries,
            });
        }
        groups
    }

    /// The nodes to ask next so that `count` nodes become certain, at most `limit`.
    pub(super) fn frontier(
        &mut self,
        count: usize,
        ahead: Ahead,
        limit: usize,
        entropy: &mut SplitMix64,
    ) -> Vec<Entry> {
        let active = self.active();
        let mut offered = 0;
        let mut chosen: Vec<SitePrefix> = Vec::new();
        for (index, site) in active.iter().enumerate() {
            if offered >= count || chosen.len() >= limit {
                break;
            }
            offered += site.left(&self.taken).count();
            let rest = active.get(index..).unwrap_or_default();
            let unplaced = ahead.front(rest).filter(|other| !other.is_placed());
            // The site itself has to be told; those it is compared with, only placed.
            for other in [*site].into_iter().chain(unplaced.copied()) {
                let new = other.state == State::Unasked && !chosen.contains(&other.prefix);
                if new && chosen.len() < limit {
                    chosen.push(other.prefix);
                }
            }
        }
        let mut asked = Vec::new();
        for prefix in chosen {
            let Some(site) = self.site_mut(prefix) else {
                continue;
            };
            match site.spokesman(entropy) {
                Some(entry) => {
                    site.state = State::Asked;
                    asked.push(entry);
                }
                // Only sleepers are known of it: nobody there can be asked.
                None => site.state = State::Told,
            }
        }
        asked
    }

    /// The site of `peer` has answered.
    pub(super) fn told(&mut self, peer: PeerId) {
        if let Some(site) = self.site_mut(peer.site) {
            site.state = State::Told;
        }
    }

    /// `peer` did not answer: it is not offered, and its site is asked through another or given up.
    pub(super) fn silent(&mut self, peer: PeerId, silent_max: u8) {
        self.drop_peer(peer);
        let Some(site) = self.site_mut(peer.site) else {
            return;
        };
        site.silent = site.silent.saturating_add(1);
        let left = site.known.iter().any(Entry::is_awake);
        site.state = if left && site.silent < silent_max {
            State::Unasked
        } else {
            State::GivenUp
        };
    }

    /// Never offers `peer`.
    pub(super) fn drop_peer(&mut self, peer: PeerId) {
        self.taken.insert(peer);
        if let Some(site) = self.site_mut(peer.site) {
            site.known.retain(|entry| entry.peer != peer);
        }
    }

    fn site_mut(&mut self, prefix: SitePrefix) -> Option<&mut Site> {
        let found = self.sites.binary_search_by(|site| site.prefix.cmp(&prefix));
        self.sites.get_mut(found.ok()?)
    }
}

impl Site {
    const fn new(prefix: SitePrefix) -> Self {
        Self {
            prefix,
            state: State::Unasked,
            silent: 0,
            distance: f32::MAX,
            away: Away::ANYWHERE,
            centre: Centre::new(),
            known: Vec::new(),
        }
    }

    fn merge(&mut self, entry: &Entry, root: &Coordinate) {
        let length = self.known.len();
        match self.known.iter_mut().find(|known| known.peer == entry.peer) {
            Some(known) if known.age <= entry.age => {}
            Some(known) => *known = *entry,
            None if length < MEMBERS_MAX => {
                self.known.push(*entry);
                self.centre.add(&entry.place);
                if let Some(place) = self.centre.place() {
                    self.distance = self.away.seconds(root.seconds(&place) as f32);
                }
            }
            None => {}
        }
    }

    /// Whether its distance is more than a prediction.
    fn is_placed(&self) -> bool {
        self.state == State::Told || self.away.measured
    }

    /// Its known nodes that may be offered.
    fn left<'a>(&'a self, taken: &'a BTreeSet<PeerId>) -> impl Iterator<Item = &'a Entry> {
        self.known
            .iter()
            .filter(|entry| !taken.contains(&entry.peer))
    }

    /// Whom to ask: one of those last heard of not long ago, or else the last heard of.
    fn spokesman(&self, entropy: &mut SplitMix64) -> Option<Entry> {
        let awake = self.known.iter().filter(|entry| entry.is_awake());
        let youngest = awake.clone().map(|entry| entry.age).min()?;
        let young: Vec<Entry> = awake
            .filter(|entry| entry.age <= youngest.max(YOUNG))
            .copied()
            .collect();
        pick(&young, entropy)
    }
}

impl Entry {
    fn is_awake(&self) -> bool {
        self.standing == Standing::Awake
    }
}
