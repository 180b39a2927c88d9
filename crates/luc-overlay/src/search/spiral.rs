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
mod measured;
mod request;
mod serve;

use std::collections::{BTreeMap, BTreeSet};

use luc_core::PeerId;
use luc_core::entropy::Entropy;
use luc_core::time::{Duration, Instant};

pub use config::Config;

use crate::coordinate::Coordinate;
use crate::members::Change;
use crate::neighbour::{RequestId, Standing};
use crate::search::context::Context;
use crate::search::message::{Entry, Hearsay, Message};
use crate::search::timer::Timer;
use crate::search::view::View;
use measured::{Away, Measured};
use request::{Ask, Request};
use serve::root;

/// How many ways out of the own site are kept, beside the view.
const CONTACTS_MAX: usize = 8;

/// How many nodes are asked for a way out, per request.
const SOURCES_MAX: usize = 16;

/// How many nodes that did not answer are remembered, so that hearsay does not bring them back.
const SILENT_MAX: usize = 8;

/// For how long they are remembered.
const SILENT_FOR: Duration = Duration::from_secs(60);

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
    measured: Measured,
    open: BTreeMap<RequestId, Request>,
    next_ask: u32,
    /// Which start the upkeep timer belongs to.
    epoch: u16,
}

impl Spiral {
    pub(super) const fn new(config: Config) -> Self {
        Self {
            view: View::new(config.view),
            config,
            contacts: Vec::new(),
            silent: Vec::new(),
            measured: Measured::new(),
            open: BTreeMap::new(),
            next_ask: 0,
            epoch: 0,
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
        self.epoch = self.epoch.wrapping_add(1);
        let epoch = self.epoch;
        ctx.schedule(Duration::from_nanos(phase), Timer::Upkeep { epoch });
        self.learn_members(ctx);
    }

    /// The node sleeps, or leaves: what was open is closed, what is known is kept for a return.
    pub(super) fn leave(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.open.clear();
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
            self.keep(ctx, &entry);
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
                    measured_micros: 0,
                };
                if !root.is_believable() || !beyond.is_finite() {
                    return ctx.ignore("a question around no place");
                }
                let wanted = answer::Wanted { root, beyond };
                let entries =
                    answer::compose(ctx, (&self.view, &self.measured), &self.config, &wanted);
                let view = Message::View {
                    request,
                    ask,
                    entries,
                };
                ctx.send(from, view);
                self.learn(ctx, &root);
                self.on_hearsay(ctx, from, hearsay);
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
        let theirs = from.site != ctx.me.site;
        if theirs {
            self.on_round_trip(from, rtt);
        }
        let Some(open) = self.open.get_mut(&request) else {
            return;
        };
        for entry in entries.iter().take(ENTRIES_MAX) {
            let site = entry.peer.site;
            let silent = self.silent.iter().any(|(peer, _)| *peer == entry.peer);
            if site == ctx.me.site || silent || !entry.is_believable() {
                continue;
            }
            if theirs && site != from.site && entry.measured_micros > 0 {
                let beyond = entry.measured_micros as f32 / 1e6;
                self.measured
                    .bound(site, Away::around(rtt.as_secs_f32(), beyond));
            }
            let away = self.measured.away(site);
            let distance = away.seconds(ctx.coordinate.seconds(&entry.place) as f32);
            self.view.learn(entry, distance, ctx.now, ctx.entropy);
            open.merge(entry, away);
        }
        open.told(from);
        open.measured(from.site, self.measured.away(from.site));
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
            Timer::Upkeep { epoch } if epoch == self.epoch => self.on_upkeep(ctx),
            Timer::Upkeep { .. } => {}
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
        let own = ctx.coordinate;
        let distance = |peer: PeerId, place: &Coordinate| {
            let away = self.measured.away(peer.site);
            away.seconds(own.seconds(place) as f32)
        };
        self.view.upkeep(distance, now);
        self.learn_members(ctx);
        let epoch = self.epoch;
        ctx.schedule(self.config.upkeep, Timer::Upkeep { epoch });
    }

    /// Takes in the delegates of other sites that this node, a delegate, keeps.
    fn learn_members(&mut self, ctx: &mut Context<'_>) {
        let own = ctx.me.site;
        let others = ctx.members.iter().filter(|one| one.peer.site != own);
        for entry in others.filter_map(answer::entry_of) {
            self.keep(ctx, &entry);
        }
    }

    /// Takes an entry into the view, as far away as is known.
    fn keep(&mut self, ctx: &mut Context<'_>, entry: &Entry) {
        let away = self.measured.away(entry.peer.site);
        let distance = away.seconds(ctx.coordinate.seconds(&entry.place) as f32);
        self.view.learn(entry, distance, ctx.now, ctx.entropy);
    }

    /// A round trip to a node of another site was measured, whatever for.
    pub(super) fn on_round_trip(&mut self, peer: PeerId, rtt: Duration) {
        if self.measured.note(peer.site, rtt)
            && let Some(seconds) = self.measured.get(peer.site)
        {
            self.view.measured(peer.site, seconds);
        }
    }

    pub(super) fn piggyback(&mut self, ctx: &mut Context<'_>, to: PeerId) -> Option<Hearsay> {
        let count = usize::from(self.config.hearsay);
        let entries = if to.site == ctx.me.site {
            let mut news = self.view.news(count, ctx.now);
            for entry in &mut news {
                entry.measured_micros = self.measured.micros(entry.peer.site);
            }
            news
        } else {
            let known = ctx.members.get(to).and_then(|known| known.coordinate);
            let place = known.or_else(|| self.view.place(to).copied())?;
            self.view
                .around(&place, to.site, count, (ctx.now, ctx.entropy))
        };
        (!entries.is_empty()).then_some(Hearsay(entries))
    }

    pub(super) fn on_hearsay(&mut self, ctx: &mut Context<'_>, from: PeerId, hearsay: Hearsay) {
        for entry in hearsay.0.into_iter().take(usize::from(self.config.hearsay)) {
            let site = entry.peer.site;
            let ours = from.site == ctx.me.site && site != ctx.me.site;
            if ours && self.measured.hear(site, entry.measured_micros) {
                self.view.measured(site, entry.measured_micros as f32 / 1e6);
            }
            self.learn(ctx, &entry);
        }
    }

    fn learn(&mut self, ctx: &mut Context<'_>, entry: &Entry) {
        let new = entry.peer.site != ctx.me.site && entry.is_believable();
        if new && !self.silent.iter().any(|(peer, _)| *peer == entry.peer) {
            self.keep(ctx, entry);
        }
    }
}
