//! The locality-based overlay: nodes in order of distance, with local knowledge only.
//!
//! Nodes of the own site come first and cost no message: membership knows them all. Beyond, the
//! spiral is iterative from its root, the asker: it asks the closest site it knows and has not
//! asked for the nodes *that one* knows around the root, merges, and goes on; so every answer can
//! bring closer sites to light, and the root never leaves the lead. Views keep a few long links,
//! so that a closed cluster does not block the way.
//!
//! Learning is lazy: who is asked learns the asker, and what the asker knows close to it; who asks
//! learns the answer; news rides on membership messages ([`Spiral::piggyback`]). There is no
//! message of its own in the background.
//!
//! Silent peers are skipped after a time-out; lying ones can make a request ask in vain, but at
//! most [`Config::asks_max`] times per answer. Within one site the order is drawn by the asker, so
//! that two neighbours do not ask the same third one at once.
//!
//! Euro-Par'14, "Locality-aware cooperation for VM scheduling in distributed clouds", section 3.
//! Other than there, the view of a node that is asked names its whole site, so one question yields
//! many nodes.

mod answer;
mod centre;
pub mod config;
mod request;

use std::collections::{BTreeMap, BTreeSet};

use luc_core::entropy::Entropy;
use luc_core::time::{Duration, Instant};
use luc_core::{PeerId, SitePrefix};

pub use config::Config;

use crate::coordinate::Coordinate;
use crate::members::Change;
use crate::neighbour::{Neighbour, RequestId, Standing};
use crate::search::context::Context;
use crate::search::message::{Entry, Hearsay, Message};
use crate::search::timer::Timer;
use crate::search::view::{View, pick, shuffle};
use centre::Centre;
use request::{Ask, Request};

/// How many ways out of the own site are kept, beside the view.
const CONTACTS_MAX: usize = 8;

/// How many nodes are asked for a way out, per request.
const SOURCES_MAX: usize = 6;

/// How many nodes that did not answer are remembered, so that hearsay does not bring them back.
const SILENT_MAX: usize = 8;

/// For how long they are remembered.
const SILENT_FOR: Duration = Duration::from_secs(60);

/// How many measured round trips to sites are remembered.
const MEASURED_MAX: usize = 32;

/// Entries of one message beyond this number are not read.
const ENTRIES_MAX: usize = 96;

/// The spiral of one node.
#[derive(Clone, Debug)]
pub struct Spiral {
    config: Config,
    view: View,
    /// Delegates of other sites, of which only the name is known.
    contacts: Vec<PeerId>,
    /// Who did not answer, and when.
    silent: Vec<(PeerId, Instant)>,
    /// Round trips to sites that answered, in seconds, the latest first.
    measured: Vec<(SitePrefix, f32)>,
    open: BTreeMap<RequestId, Request>,
    next_ask: u32,
}

impl Spiral {
    pub(super) const fn new(config: Config) -> Self {
        Self {
            view: View::new(config.view),
            config,
            contacts: Vec::new(),
            silent: Vec::new(),
            measured: Vec::new(),
            open: BTreeMap::new(),
            next_ask: 0,
        }
    }

    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// How many nodes of other sites it keeps in mind.
    pub fn view_len(&self) -> usize {
        self.view.len()
    }

    pub(super) fn start(&mut self, ctx: &mut Context<'_>) {
        let upkeep = self.config.upkeep;
        let phase = ctx.entropy.next_u64() % (upkeep.as_nanos() as u64).max(1);
        ctx.schedule(Duration::from_nanos(phase), Timer::Upkeep);
    }

    pub(super) fn search(
        &mut self,
        ctx: &mut Context<'_>,
        request: RequestId,
        outside: BTreeSet<PeerId>,
        count: u16,
    ) {
        if self.open.contains_key(&request) {
            return ctx.ignore("a search of this name is open");
        }
        let open = Request::new(outside, root(ctx));
        self.open.insert(request, open);
        self.more(ctx, request, count);
    }

    pub(super) fn more(&mut self, ctx: &mut Context<'_>, request: RequestId, count: u16) {
        let Some(open) = self.open.get_mut(&request) else {
            return ctx.ignore("no search of this name is open");
        };
        // A second call before the answer is answered together with the first.
        open.wanted = open.wanted.max(count.max(1));
        let round = open.round;
        self.advance(ctx, request);
        let waits = |open: &Request| open.wanted > 0 && open.round == round;
        if self.open.get(&request).is_some_and(waits) {
            let timer = Timer::Patience { request, round };
            ctx.schedule(self.config.patience, timer);
        }
    }

    pub(super) fn end(&mut self, request: RequestId) {
        self.open.remove(&request);
    }

    pub(super) fn on_member(&mut self, ctx: &mut Context<'_>, change: Change) {
        match change {
            Change::Joined(peer) => {
                self.silent.retain(|(silent, _)| *silent != peer);
                if peer.site != ctx.me.site {
                    self.learn_member(ctx, peer);
                }
            }
            Change::Left(peer) | Change::Failed(peer) => {
                self.view.forget(peer);
                self.contacts.retain(|contact| *contact != peer);
                for open in self.open.values_mut() {
                    open.drop_peer(peer);
                }
            }
            Change::Contact(peer) => {
                if peer.site != ctx.me.site && !self.contacts.contains(&peer) {
                    self.contacts.insert(0, peer);
                    self.contacts.truncate(CONTACTS_MAX);
                }
            }
            // The view has rules of its own for whom to keep; standings are read when offered.
            Change::Dropped(_) | Change::Stood(..) => {}
        }
    }

    fn learn_member(&mut self, ctx: &mut Context<'_>, peer: PeerId) {
        if let Some(entry) = ctx.members.get(peer).and_then(answer::entry_of) {
            self.view
                .learn(&entry, ctx.coordinate, ctx.now, ctx.entropy);
        }
    }

    pub(super) fn on_message(&mut self, ctx: &mut Context<'_>, from: PeerId, message: Message) {
        match message {
            Message::ViewWanted {
                request,
                ask,
                around,
                room,
                beyond,
                hearsay,
            } => {
                let root = Entry {
                    peer: from,
                    place: around,
                    standing: Standing::Awake,
                    room,
                    age: 0,
                };
                if !root.is_believable() || !beyond.is_finite() {
                    return ctx.ignore("a question around no place");
                }
                let wanted = answer::Wanted { root, beyond };
                let entries = answer::compose(ctx, &self.view, &self.config, &wanted);
                let view = Message::View {
                    request,
                    ask,
                    entries,
                };
                ctx.send(from, view);
                self.learn(ctx, &root);
                self.on_hearsay(ctx, hearsay);
            }
            Message::View {
                request,
                ask,
                entries,
            } => self.on_view(ctx, from, (request, ask), &entries),
            Message::SuccessorsWanted { .. }
            | Message::Successors { .. }
            | Message::Notify
            | Message::Unlink { .. }
            | Message::ClosestWanted { .. }
            | Message::Closest { .. }
            | Message::SampleWanted { .. }
            | Message::Sample { .. } => ctx.ignore("a message of another overlay"),
        }
    }

    fn on_view(
        &mut self,
        ctx: &mut Context<'_>,
        from: PeerId,
        (request, number): (RequestId, u32),
        entries: &[Entry],
    ) {
        let Some(open) = self.open.get_mut(&request) else {
            return ctx.ignore("an answer to no open search");
        };
        let asked = |ask: &Ask| ask.number == number && ask.peer == from;
        let Some(index) = open.asks.iter().position(asked) else {
            return ctx.ignore("an answer to no question under way");
        };
        let rtt = ctx.now.since(open.asks.swap_remove(index).sent);
        for entry in entries.iter().take(ENTRIES_MAX) {
            let new = entry.peer.site != ctx.me.site && entry.is_believable();
            if new && !self.silent.iter().any(|(peer, _)| *peer == entry.peer) {
                open.merge(entry);
                self.view.learn(entry, ctx.coordinate, ctx.now, ctx.entropy);
            }
        }
        open.told(from);
        open.measured(from.site, rtt.as_secs_f32());
        self.measured.insert(0, (from.site, rtt.as_secs_f32()));
        self.measured.truncate(MEASURED_MAX);
        self.advance(ctx, request);
    }

    pub(super) fn on_timer(&mut self, ctx: &mut Context<'_>, timer: Timer) {
        match timer {
            Timer::Asked {
                request: Some(request),
                ask,
            } => self.on_asked(ctx, request, ask),
            Timer::Patience { request, round } => {
                let waiting = |open: &&mut Request| open.round == round && open.wanted > 0;
                if let Some(open) = self.open.get_mut(&request).filter(waiting) {
                    open.impatient = true;
                    self.advance(ctx, request);
                }
            }
            Timer::Upkeep => self.on_upkeep(ctx),
            Timer::Asked { request: None, .. } => ctx.ignore("a timer of another overlay"),
        }
    }

    /// A question should have been answered by now; if it was, the timer is stale.
    fn on_asked(&mut self, ctx: &mut Context<'_>, request: RequestId, number: u32) {
        let Some(open) = self.open.get_mut(&request) else {
            return;
        };
        let late = open.asks.iter().position(|ask| ask.number == number);
        let Some(index) = late else {
            return;
        };
        let peer = open.asks.swap_remove(index).peer;
        // A silent node of the own site is for membership to judge.
        if peer.site != ctx.me.site {
            open.silent(peer, self.config.silent_max);
            self.view.forget(peer);
            self.contacts.retain(|contact| *contact != peer);
            self.silent.insert(0, (peer, ctx.now));
            self.silent.truncate(SILENT_MAX);
        }
        self.advance(ctx, request);
    }

    fn on_upkeep(&mut self, ctx: &mut Context<'_>) {
        let now = ctx.now;
        self.silent
            .retain(|(_, since)| now.since(*since) < SILENT_FOR);
        self.view.upkeep(ctx.coordinate, now);
        let others = ctx
            .members
            .iter()
            .filter(|one| one.peer.site != ctx.me.site);
        for entry in others.filter_map(answer::entry_of) {
            self.view.learn(&entry, ctx.coordinate, now, ctx.entropy);
        }
        ctx.schedule(self.config.upkeep, Timer::Upkeep);
    }

    pub(super) fn piggyback(&mut self, ctx: &mut Context<'_>, to: PeerId) -> Option<Hearsay> {
        let count = usize::from(self.config.hearsay);
        let entries = if to.site == ctx.me.site {
            self.view.news(count, ctx.now)
        } else {
            let known = ctx.members.get(to).and_then(|known| known.coordinate);
            let place = known.or_else(|| self.view.place(to).copied())?;
            self.view
                .around(&place, to.site, count, (ctx.now, ctx.entropy))
        };
        (!entries.is_empty()).then_some(Hearsay(entries))
    }

    pub(super) fn on_hearsay(&mut self, ctx: &mut Context<'_>, hearsay: Hearsay) {
        for entry in hearsay.0.iter().take(usize::from(self.config.hearsay)) {
            self.learn(ctx, entry);
        }
    }

    fn learn(&mut self, ctx: &mut Context<'_>, entry: &Entry) {
        let new = entry.peer.site != ctx.me.site && entry.is_believable();
        if new && !self.silent.iter().any(|(peer, _)| *peer == entry.peer) {
            self.view.learn(entry, ctx.coordinate, ctx.now, ctx.entropy);
        }
    }

    /// Answers what can be answered, and asks what has to be asked.
    fn advance(&mut self, ctx: &mut Context<'_>, request: RequestId) {
        let Some(open) = self.open.get_mut(&request) else {
            return;
        };
        let wanted = usize::from(open.wanted);
        if wanted > 0 {
            let mut found = own_site(ctx, open);
            if found.len() < wanted {
                self.open_view(ctx, request);
                self.offer_others(ctx, request, &mut found, true);
            }
            if found.len() < wanted {
                self.ask(ctx, request, wanted - found.len());
                let stuck = self.open.get(&request).is_some_and(|open| {
                    let spent = open.asked >= self.config.asks_max;
                    open.asks.is_empty() || spent || open.impatient
                });
                if !stuck {
                    return;
                }
                self.offer_others(ctx, request, &mut found, false);
                if found.is_empty() && self.is_asking(request) {
                    return;
                }
            }
            self.answer(ctx, request, found);
        }
        self.ask_ahead(ctx, request);
    }

    fn is_asking(&self, request: RequestId) -> bool {
        let asking = |open: &Request| !open.asks.is_empty();
        self.open.get(&request).is_some_and(asking)
    }

    fn answer(&mut self, ctx: &mut Context<'_>, request: RequestId, mut found: Vec<Neighbour>) {
        if found.is_empty() {
            self.open.remove(&request);
        } else if let Some(open) = self.open.get_mut(&request) {
            found.truncate(usize::from(open.wanted));
            open.taken.extend(found.iter().map(|one| one.peer));
            let others = found.iter().filter(|one| one.peer.site != ctx.me.site);
            let farthest = others.map(|one| one.distance.as_secs_f32());
            open.beyond = farthest.fold(open.beyond, f32::max);
            open.wanted = 0;
            open.asked = 0;
            open.impatient = false;
            open.round += 1;
        }
        ctx.answer(request, found);
    }

    /// Takes the node's own view into a request that goes beyond the own site.
    fn open_view(&mut self, ctx: &mut Context<'_>, request: RequestId) {
        if let Some(open) = self.open.get_mut(&request).filter(|open| !open.opened) {
            open.opened = true;
            for entry in self.view.entries(ctx.now) {
                open.merge(&entry);
            }
            for (site, seconds) in self.measured.iter().rev() {
                open.measured(*site, *seconds);
            }
        }
    }

    /// Fills `found` up with nodes of other sites: certain ones, or whoever is known.
    fn offer_others(
        &mut self,
        ctx: &mut Context<'_>,
        request: RequestId,
        found: &mut Vec<Neighbour>,
        certain: bool,
    ) {
        let Some(open) = self.open.get_mut(&request) else {
            return;
        };
        let count = usize::from(open.wanted);
        found.retain(|one| one.peer.site == ctx.me.site);
        let left = count.saturating_sub(found.len());
        let lookahead = usize::from(self.config.lookahead);
        for mut group in open.offer(left, lookahead, certain) {
            shuffle(&mut group.entries, ctx.entropy);
            let measured = group.measured.map(Duration::from_secs_f32);
            found.extend(group.entries.into_iter().map(|entry| Neighbour {
                peer: entry.peer,
                distance: measured.unwrap_or_else(|| ctx.coordinate.distance(&entry.place)),
                standing: entry.standing,
                room: entry.room,
            }));
        }
        found.truncate(count);
    }

    /// Asks whoever has to be asked so that `count` more nodes become certain.
    fn ask(&mut self, ctx: &mut Context<'_>, request: RequestId, count: usize) {
        let config = self.config;
        let Some(open) = self.open.get_mut(&request) else {
            return;
        };
        let free = usize::from(config.parallel).saturating_sub(open.asks.len());
        let budget = usize::from(config.asks_max.saturating_sub(open.asked));
        let limit = free.min(budget);
        let lookahead = usize::from(config.lookahead);
        let asked = open.frontier(count, lookahead, limit, ctx.entropy);
        let nobody = asked.is_empty() && open.asks.is_empty();
        for entry in asked {
            self.send_view_wanted(ctx, request, entry.peer, Some(&entry));
        }
        if nobody && limit > 0 {
            for peer in self.sources(ctx, request) {
                self.send_view_wanted(ctx, request, peer, None);
            }
        }
    }

    /// Nobody is left to ask by distance: a contact, and a node of the own site, may know more.
    fn sources(&mut self, ctx: &mut Context<'_>, request: RequestId) -> Vec<PeerId> {
        let Some(open) = self.open.get_mut(&request) else {
            return Vec::new();
        };
        if open.sources.len() >= SOURCES_MAX {
            return Vec::new();
        }
        let fresh = |peer: &PeerId| *peer != ctx.me && !open.sources.contains(peer);
        let contacts: Vec<PeerId> = self.contacts.iter().copied().filter(fresh).collect();
        let mates: Vec<PeerId> = ctx
            .members
            .iter_site(ctx.me.site)
            .filter(|known| known.standing == Standing::Awake)
            .map(|known| known.peer)
            .filter(fresh)
            .collect();
        let chosen = [pick(&contacts, ctx.entropy), pick(&mates, ctx.entropy)];
        let chosen: Vec<PeerId> = chosen.into_iter().flatten().collect();
        open.sources.extend(&chosen);
        chosen
    }

    fn send_view_wanted(
        &mut self,
        ctx: &mut Context<'_>,
        request: RequestId,
        peer: PeerId,
        entry: Option<&Entry>,
    ) {
        let Some(open) = self.open.get_mut(&request) else {
            return;
        };
        let number = self.next_ask;
        self.next_ask = self.next_ask.wrapping_add(1);
        let sent = ctx.now;
        open.asks.push(Ask { number, peer, sent });
        open.asked += 1;
        let hearsay = entry.map_or_else(Vec::new, |entry| {
            let count = usize::from(self.config.hearsay);
            self.view
                .around(&entry.place, peer.site, count, (ctx.now, ctx.entropy))
        });
        let message = Message::ViewWanted {
            request,
            ask: number,
            around: open.root,
            room: ctx.room,
            beyond: open.beyond,
            hearsay: Hearsay(hearsay),
        };
        ctx.send(peer, message);
        let predicted = entry.map_or(Duration::ZERO, |entry| {
            ctx.coordinate.distance(&entry.place)
        });
        let wait = self
            .config
            .ask_wait
            .saturating_add(predicted.saturating_mul(3));
        let timer = Timer::Asked {
            request: Some(request),
            ask: number,
        };
        ctx.schedule(wait.min(self.config.ask_wait_max), timer);
    }

    /// Asks the next site before its nodes are needed, when few certain ones are left.
    fn ask_ahead(&mut self, ctx: &mut Context<'_>, request: RequestId) {
        let ahead = usize::from(self.config.ahead);
        let Some(open) = self.open.get(&request) else {
            return;
        };
        if open.wanted > 0 || ahead == 0 || !open.asks.is_empty() {
            return;
        }
        let left = own_site(ctx, open).len();
        if left >= ahead {
            return;
        }
        self.open_view(ctx, request);
        let lookahead = usize::from(self.config.lookahead);
        let Some(open) = self.open.get(&request) else {
            return;
        };
        let certain: usize = open
            .offer(ahead - left, lookahead, true)
            .iter()
            .map(|group| group.entries.len())
            .sum();
        if left + certain < ahead {
            self.ask(ctx, request, ahead - left - certain);
        }
    }
}

/// Where spirals of this node start: the middle of its site.
fn root(ctx: &Context<'_>) -> Coordinate {
    let mut centre = Centre::new();
    centre.add(ctx.coordinate);
    for known in ctx.members.iter_site(ctx.me.site) {
        if let Some(place) = &known.coordinate {
            centre.add(place);
        }
    }
    centre.place().unwrap_or(*ctx.coordinate)
}

/// The nodes of the own site that may be offered, in an order of this node's own.
fn own_site(ctx: &mut Context<'_>, open: &Request) -> Vec<Neighbour> {
    let mut found: Vec<Neighbour> = ctx
        .members
        .iter_site(ctx.me.site)
        .filter(|known| known.peer != ctx.me && !open.taken.contains(&known.peer))
        .map(|known| Neighbour {
            peer: known.peer,
            distance: known
                .coordinate
                .map_or(Duration::ZERO, |place| ctx.coordinate.distance(&place)),
            standing: known.standing,
            room: known.room,
        })
        .collect();
    shuffle(&mut found, ctx.entropy);
    found
}
