//! The nodes of other sites that a node keeps in mind: the close ones, and a few long links.
//!
//! Bounded: [`Limits::near`] entries closest to the own place, few per site (one node of a site is
//! enough to be told the others), and [`Limits::long`] long links, preferably of different sites,
//! drawn at random from all that did not stay among the close ones, so that a closed cluster does
//! not block the spiral. Nodes of the own site never stand here: membership knows them.
//!
//! Entries age: an entry says how long ago somebody had a sign of life from the node itself, and
//! repeating it does not make it younger. What is new is told on a few times (`told` counts down),
//! then no more: an idle cloud is silent about it.
//!
//! Euro-Par'14, "Locality-aware cooperation for VM scheduling in distributed clouds", section 3
//! (views, learning).

use luc_core::PeerId;
use luc_core::SitePrefix;
use luc_core::entropy::{Entropy, SplitMix64};
use luc_core::time::{Duration, Instant};

use crate::coordinate::Coordinate;
use crate::neighbour::{Room, Standing};
use crate::search::message::Entry;

/// How large a view may grow, and how long entries last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Entries closest to the own place.
    pub near: u16,
    /// Long links.
    pub long: u16,
    /// Close entries of one site.
    pub per_site: u16,
    /// How often an entry that is new, or has moved, is told on.
    pub tells: u8,
    /// An entry without a sign of life for so long is told on again when one is heard.
    pub retell_after: Duration,
    /// An entry without a sign of life for so long is dropped.
    pub stale_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            near: 48,
            long: 16,
            per_site: 3,
            tells: 5,
            retell_after: Duration::from_secs(480),
            stale_after: Duration::from_secs(1_800),
        }
    }
}

/// One entry as it is kept.
#[derive(Clone, Debug, PartialEq)]
struct Kept {
    peer: PeerId,
    place: Coordinate,
    standing: Standing,
    room: Room,
    /// How often it is still to be told on.
    tells: u8,
    /// Seconds from the own place, when it was last computed.
    distance: f32,
    /// When somebody last had a sign of life from the node itself, as far as is known.
    heard: Instant,
    /// The sign of life with which it was last put up for telling.
    told: Instant,
}

impl Kept {
    fn entry(&self, now: Instant) -> Entry {
        Entry {
            peer: self.peer,
            place: self.place,
            standing: self.standing,
            room: self.room,
            age: u16::try_from(now.since(self.heard).as_secs()).unwrap_or(u16::MAX),
            measured_micros: 0,
        }
    }
}

/// The entries, sorted by peer.
#[derive(Clone, Debug)]
pub(super) struct View {
    limits: Limits,
    kept: Vec<Kept>,
    /// How many tells are left over all entries.
    tells: u32,
    /// How far the close entries of a full view reached when it was last brought to its size.
    edge: f32,
}

/// Of the entries beyond the edge of a full view one in so many is considered as a long link.
const LONG_LINK_ODDS: u64 = 8;

impl View {
    pub(super) const fn new(limits: Limits) -> Self {
        Self {
            limits,
            kept: Vec::new(),
            tells: 0,
            edge: f32::INFINITY,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn place(&self, peer: PeerId) -> Option<&Coordinate> {
        let index = self.index(peer).ok()?;
        self.kept.get(index).map(|kept| &kept.place)
    }

    /// All entries, by peer.
    pub(super) fn entries(&self, now: Instant) -> impl Iterator<Item = Entry> + '_ {
        self.kept.iter().map(move |kept| kept.entry(now))
    }

    /// Takes in what was heard of a node of another site, `distance` seconds away by all that is
    /// known. The caller has checked that it can be.
    pub(super) fn learn(
        &mut self,
        entry: &Entry,
        distance: f32,
        now: Instant,
        entropy: &mut SplitMix64,
    ) {
        let heard = heard(entry, now);
        if now.since(heard) >= self.limits.stale_after {
            return;
        }
        if let Ok(index) = self.index(entry.peer) {
            self.refresh(index, entry, distance, heard);
            return;
        }
        let beyond = self.is_full() && distance > self.edge;
        if beyond && !entropy.next_u64().is_multiple_of(LONG_LINK_ODDS) {
            return;
        }
        if !self.make_room_in_site(entry.peer.site, heard) {
            return;
        }
        let (Ok(index) | Err(index)) = self.index(entry.peer);
        let kept = Kept {
            peer: entry.peer,
            place: entry.place,
            standing: entry.standing,
            room: entry.room,
            tells: self.limits.tells,
            distance,
            heard,
            told: heard,
        };
        self.tells += u32::from(kept.tells);
        self.kept.insert(index, kept);
        self.shrink(entropy);
    }

    fn refresh(&mut self, index: usize, entry: &Entry, distance: f32, heard: Instant) {
        let Some(kept) = self.kept.get_mut(index) else {
            return;
        };
        if heard <= kept.heard {
            return;
        }
        let moved = (distance - kept.distance).abs() > (0.1 * kept.distance).max(0.001);
        let quiet = heard.since(kept.told) >= self.limits.retell_after;
        if moved || quiet || entry.standing != kept.standing {
            self.tells += u32::from(self.limits.tells - kept.tells);
            kept.tells = self.limits.tells;
            kept.told = heard;
        }
        kept.place = entry.place;
        kept.distance = distance;
        kept.standing = entry.standing;
        kept.room = entry.room;
        kept.heard = heard;
    }

    /// Whether one more of `site` may stand here; the stalest of a full site goes if it is old.
    fn make_room_in_site(&mut self, site: SitePrefix, heard: Instant) -> bool {
        let first = self.kept.partition_point(|kept| kept.peer.site < site);
        let of_site = self.kept.iter().skip(first);
        let of_site = of_site.take_while(|kept| kept.peer.site == site);
        if of_site.clone().count() < usize::from(self.limits.per_site) {
            return true;
        }
        let stalest = of_site.min_by_key(|kept| kept.heard);
        let Some((peer, last)) = stalest.map(|kept| (kept.peer, kept.heard)) else {
            return false;
        };
        let old = heard.since(last) >= self.limits.stale_after / 2;
        if old {
            self.forget(peer);
        }
        old
    }

    fn is_full(&self) -> bool {
        self.kept.len() >= usize::from(self.limits.near) + usize::from(self.limits.long)
    }

    /// Brings the view back to its size: of the sites with several entries the farthest loses one,
    /// or else an entry goes that is not among the close ones.
    fn shrink(&mut self, entropy: &mut SplitMix64) {
        if self.kept.len() <= usize::from(self.limits.near) + usize::from(self.limits.long) {
            return;
        }
        // Sorted by peer, nodes of one site stand side by side.
        let pairs = self.kept.windows(2).zip(0..);
        let doubled = pairs.filter(|(pair, _)| pair[0].peer.site == pair[1].peer.site);
        let farthest = doubled
            .max_by(|left, right| left.0[0].distance.total_cmp(&right.0[0].distance))
            .map(|(pair, at)| at + usize::from(pair[1].heard < pair[0].heard));
        if let Some(index) = farthest {
            return self.remove(index);
        }
        let mut order: Vec<(f32, usize)> = self
            .kept
            .iter()
            .map(|kept| kept.distance)
            .zip(0..)
            .collect();
        order.sort_unstable_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
        let links = order.split_off(usize::from(self.limits.near).min(order.len()));
        self.edge = order.last().map_or(0.0, |(distance, _)| *distance);
        if let Some((_, index)) = pick(&links, entropy) {
            self.remove(index);
        }
    }

    /// Drops a node: it failed, it left, or it does not answer.
    pub(super) fn forget(&mut self, peer: PeerId) {
        if let Ok(index) = self.index(peer) {
            self.remove(index);
        }
    }

    fn remove(&mut self, index: usize) {
        if index < self.kept.len() {
            let kept = self.kept.remove(index);
            self.tells -= u32::from(kept.tells);
        }
    }

    /// The round trip to a site was measured: where its entries stand, and news to be told on.
    pub(super) fn measured(&mut self, site: SitePrefix, seconds: f32) {
        let tells = self.limits.tells;
        for kept in self.kept.iter_mut().filter(|kept| kept.peer.site == site) {
            self.tells += u32::from(tells - kept.tells);
            kept.tells = tells;
            kept.distance = seconds;
        }
    }

    /// Drops what is stale, and takes all distances anew from where the node is now.
    pub(super) fn upkeep(&mut self, distance: impl Fn(PeerId, &Coordinate) -> f32, now: Instant) {
        let stale_after = self.limits.stale_after;
        self.kept.retain(|kept| now.since(kept.heard) < stale_after);
        self.edge = f32::INFINITY;
        self.tells = 0;
        for kept in &mut self.kept {
            kept.distance = distance(kept.peer, &kept.place);
            self.tells += u32::from(kept.tells);
        }
    }

    /// Up to `count` entries that are new here, for a node of the own site: to be told on, the
    /// closest first (what is close to this node is close to its site).
    pub(super) fn news(&mut self, count: usize, now: Instant) -> Vec<Entry> {
        if self.tells == 0 {
            return Vec::new();
        }
        let mut news: Vec<usize> = (0..self.kept.len()).collect();
        news.retain(|index| self.kept.get(*index).is_some_and(|kept| kept.tells > 0));
        let distance = |index: &usize| self.kept.get(*index).map_or(0.0, |kept| kept.distance);
        news.sort_unstable_by(|left, right| {
            let by_distance = distance(left).total_cmp(&distance(right));
            by_distance.then(left.cmp(right))
        });
        news.truncate(count);
        let mut entries = Vec::with_capacity(news.len());
        for index in news {
            if let Some(kept) = self.kept.get_mut(index) {
                kept.tells -= 1;
                self.tells -= 1;
                entries.push(kept.entry(now));
            }
        }
        entries
    }

    /// Up to `count` entries for a node of another site at `around`, drawn from the closest to it.
    pub(super) fn around(
        &self,
        around: &Coordinate,
        site: SitePrefix,
        count: usize,
        ctx: (Instant, &mut SplitMix64),
    ) -> Vec<Entry> {
        let (now, entropy) = ctx;
        let others = self.kept.iter().filter(|kept| kept.peer.site != site);
        let mut order: Vec<(f32, &Kept)> = others
            .map(|kept| (around.seconds(&kept.place) as f32, kept))
            .collect();
        let closest = (2 * count).min(order.len());
        if closest < order.len() {
            order.select_nth_unstable_by(closest, |left, right| left.0.total_cmp(&right.0));
            order.truncate(closest);
        }
        shuffle(&mut order, entropy);
        let chosen = order.into_iter().take(count);
        chosen.map(|(_, kept)| kept.entry(now)).collect()
    }

    fn index(&self, peer: PeerId) -> Result<usize, usize> {
        self.kept.binary_search_by(|kept| kept.peer.cmp(&peer))
    }
}

/// When the node itself was last heard of, on this node's clock.
fn heard(entry: &Entry, now: Instant) -> Instant {
    let age = Duration::from_secs(u64::from(entry.age));
    let since_origin = now.since(Instant::ORIGIN);
    Instant::ORIGIN + since_origin.saturating_sub(age)
}

/// One of `choices`, each as likely; none of none.
pub(super) fn pick<T: Copy>(choices: &[T], entropy: &mut SplitMix64) -> Option<T> {
    let length = u64::try_from(choices.len()).ok()?;
    let index = entropy.next_u64().checked_rem(length)?;
    choices.get(usize::try_from(index).ok()?).copied()
}

/// Brings `items` into an order in which every order is as likely.
pub(super) fn shuffle<T>(items: &mut [T], entropy: &mut SplitMix64) {
    for last in (1..items.len()).rev() {
        let chosen = entropy.next_u64() % (last as u64 + 1);
        items.swap(last, chosen as usize);
    }
}
