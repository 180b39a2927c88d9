//! Uniformly drawn nodes: the overlay on which VMPlaceS ran DVMS.
//!
//! Each node keeps a small sample of the cloud and renews it by asking one of the sample for some
//! of its own (a peer sampling service; Jelasity et al., ACM TOCS 25(3), 2007). A request is served
//! from the sample, and asks for more of it when that runs out; nodes of the own site, which are
//! known anyway, come last, so that they are not preferred.

use std::collections::{BTreeMap, BTreeSet};

use luc_core::PeerId;
use luc_core::entropy::Entropy;
use luc_core::time::Duration;

use crate::members::Change;
use crate::neighbour::{Neighbour, RequestId, Room, Standing};
use crate::search::context::Context;
use crate::search::message::Message;
use crate::search::timer::Timer;
use crate::search::view::{pick, shuffle};

/// Names of one message beyond this number are not read.
const NAMES_MAX: usize = 16;

/// Settings of the draw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// How many nodes of the cloud are kept.
    pub sample: u8,
    /// How many a node names when it is asked.
    pub named: u8,
    /// How often the sample is renewed.
    pub period: Duration,
    /// How long an answer may take.
    pub ask_wait: Duration,
    /// How many questions one answer may cost.
    pub asks_max: u8,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sample: 32,
            named: 8,
            period: Duration::from_secs(10),
            ask_wait: Duration::from_millis(700),
            asks_max: 6,
        }
    }
}

/// One open request.
#[derive(Clone, Debug)]
struct Request {
    /// Never to be offered (again).
    taken: BTreeSet<PeerId>,
    /// How many are wanted in the pending answer; zero when none is pending.
    wanted: u16,
    /// Questions for the pending answer.
    asked: u8,
    /// The question under way.
    ask: Option<(u32, PeerId)>,
}

/// The draw of one node.
#[derive(Clone, Debug)]
pub struct Random {
    config: Config,
    sample: Vec<PeerId>,
    /// The renewal under way.
    renewal: Option<(u32, PeerId)>,
    open: BTreeMap<RequestId, Request>,
    next_ask: u32,
    epoch: u16,
}

impl Random {
    pub(super) const fn new(config: Config) -> Self {
        Self {
            config,
            sample: Vec::new(),
            renewal: None,
            open: BTreeMap::new(),
            next_ask: 0,
            epoch: 0,
        }
    }

    /// The nodes of the cloud that it keeps.
    pub fn sample(&self) -> &[PeerId] {
        &self.sample
    }

    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    pub(super) fn start(&mut self, ctx: &mut Context<'_>) {
        self.epoch = self.epoch.wrapping_add(1);
        self.renewal = None;
        let period = (self.config.period.as_nanos() as u64).max(1);
        let phase = Duration::from_nanos(ctx.entropy.next_u64() % period);
        let epoch = self.epoch;
        ctx.schedule(phase, Timer::Upkeep { epoch });
    }

    pub(super) fn leave(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.open.clear();
    }

    pub(super) fn on_member(&mut self, ctx: &mut Context<'_>, change: Change) {
        match change {
            Change::Joined(peer) | Change::Contact(peer) => {
                if peer.site != ctx.me.site {
                    self.keep(ctx, peer);
                }
            }
            Change::Left(peer) | Change::Failed(peer) => self.lose(peer),
            Change::Dropped(_) | Change::Stood(..) => {}
        }
    }

    /// Takes a node into the sample, in the place of any other if it is full.
    fn keep(&mut self, ctx: &mut Context<'_>, peer: PeerId) {
        if peer == ctx.me || self.sample.contains(&peer) {
            return;
        }
        if self.sample.len() < usize::from(self.config.sample) {
            self.sample.push(peer);
            return;
        }
        let drawn = ctx.entropy.next_u64().checked_rem(self.sample.len() as u64);
        let slot = drawn.and_then(|at| self.sample.get_mut(at as usize));
        if let Some(slot) = slot {
            *slot = peer;
        }
    }

    fn lose(&mut self, peer: PeerId) {
        self.sample.retain(|one| *one != peer);
        for open in self.open.values_mut() {
            open.taken.insert(peer);
        }
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
        let open = Request {
            taken: outside,
            wanted: 0,
            asked: 0,
            ask: None,
        };
        self.open.insert(request, open);
        self.more(ctx, request, count);
    }

    pub(super) fn more(&mut self, ctx: &mut Context<'_>, request: RequestId, count: u16) {
        let Some(open) = self.open.get_mut(&request) else {
            return ctx.ignore("no search of this name is open");
        };
        // A second call before the answer is answered together with the first.
        open.wanted = open.wanted.max(count.max(1));
        self.advance(ctx, request);
    }

    pub(super) fn end(&mut self, request: RequestId) {
        self.open.remove(&request);
    }

    pub(super) fn on_message(&mut self, ctx: &mut Context<'_>, from: PeerId, message: Message) {
        match message {
            Message::SampleWanted { request, ask } => {
                let peers = self.named(ctx, from);
                let answer = Message::Sample {
                    request,
                    ask,
                    peers,
                };
                ctx.send(from, answer);
                if from.site != ctx.me.site {
                    self.keep(ctx, from);
                }
            }
            Message::Sample {
                request,
                ask,
                peers,
            } => self.on_sample(ctx, from, (request, ask), &peers),
            Message::ViewWanted { .. }
            | Message::View { .. }
            | Message::SuccessorsWanted { .. }
            | Message::Successors { .. }
            | Message::Notify
            | Message::Unlink { .. }
            | Message::ClosestWanted { .. }
            | Message::Closest { .. } => ctx.ignore("a message of another overlay"),
        }
    }

    /// Some of the sample, and one of the own site.
    fn named(&self, ctx: &mut Context<'_>, asker: PeerId) -> Vec<PeerId> {
        let mut peers: Vec<PeerId> = self.sample.clone();
        peers.retain(|peer| *peer != asker);
        shuffle(&mut peers, ctx.entropy);
        peers.truncate(usize::from(self.config.named).saturating_sub(1));
        peers.extend(mates(ctx, &BTreeSet::from([asker])).pop());
        peers
    }

    fn on_sample(
        &mut self,
        ctx: &mut Context<'_>,
        from: PeerId,
        (request, ask): (RequestId, u32),
        peers: &[PeerId],
    ) {
        let answered = Some((ask, from));
        let open = self
            .open
            .get_mut(&request)
            .filter(|open| open.ask == answered);
        let serves = open.is_some();
        if let Some(open) = open {
            open.ask = None;
        } else if self.renewal == answered {
            self.renewal = None;
        } else {
            return ctx.ignore("an answer to no question under way");
        }
        for peer in peers.iter().take(NAMES_MAX) {
            if peer.site != ctx.me.site {
                self.keep(ctx, *peer);
            }
        }
        if serves {
            self.advance(ctx, request);
        }
    }

    pub(super) fn on_timer(&mut self, ctx: &mut Context<'_>, timer: Timer) {
        match timer {
            Timer::Upkeep { epoch } => {
                if epoch == self.epoch {
                    self.on_upkeep(ctx);
                }
            }
            Timer::Asked { request, ask } => self.on_asked(ctx, request, ask),
            Timer::Patience { .. } => ctx.ignore("a timer of another overlay"),
        }
    }

    fn on_upkeep(&mut self, ctx: &mut Context<'_>) {
        for known in ctx
            .members
            .iter()
            .filter(|one| one.peer.site != ctx.me.site)
        {
            if self.sample.len() < usize::from(self.config.sample)
                && !self.sample.contains(&known.peer)
            {
                self.sample.push(known.peer);
            }
        }
        if let Some(peer) = self.whom(ctx) {
            let ask = self.ask(ctx, peer, None);
            self.renewal = Some((ask, peer));
        }
        let epoch = self.epoch;
        ctx.schedule(self.config.period, Timer::Upkeep { epoch });
    }

    /// Whom to ask for names: one of the sample, or of the own site if there is none.
    fn whom(&self, ctx: &mut Context<'_>) -> Option<PeerId> {
        let mate = mates(ctx, &BTreeSet::new()).pop();
        pick(&self.sample, ctx.entropy).or(mate)
    }

    fn ask(&mut self, ctx: &mut Context<'_>, peer: PeerId, request: Option<RequestId>) -> u32 {
        let ask = self.next_ask;
        self.next_ask = self.next_ask.wrapping_add(1);
        let wanted = Message::SampleWanted {
            request: request.unwrap_or(RequestId(0)),
            ask,
        };
        ctx.send(peer, wanted);
        ctx.schedule(self.config.ask_wait, Timer::Asked { request, ask });
        ask
    }

    /// A question should have been answered by now; if it was, the timer is stale.
    fn on_asked(&mut self, ctx: &mut Context<'_>, request: Option<RequestId>, number: u32) {
        let silent = match request {
            None => self.renewal.take_if(|(ask, _)| *ask == number),
            Some(request) => self
                .open
                .get_mut(&request)
                .and_then(|open| open.ask.take_if(|(ask, _)| *ask == number)),
        };
        let Some((_, peer)) = silent else {
            return;
        };
        // A silent node of the own site is for membership to judge.
        if peer.site != ctx.me.site {
            self.lose(peer);
        }
        if let Some(request) = request {
            self.advance(ctx, request);
        }
    }

    /// Answers what can be answered, or asks for more names.
    fn advance(&mut self, ctx: &mut Context<'_>, request: RequestId) {
        let Some(open) = self.open.get(&request).filter(|open| open.wanted > 0) else {
            return;
        };
        let wanted = usize::from(open.wanted);
        let mut found: Vec<PeerId> = self.sample.clone();
        found.retain(|peer| !open.taken.contains(peer));
        shuffle(&mut found, ctx.entropy);
        if found.len() < wanted {
            if open.ask.is_some() {
                return;
            }
            let asker = self.whom(ctx).filter(|_| open.asked < self.config.asks_max);
            if let Some(peer) = asker {
                let ask = self.ask(ctx, peer, Some(request));
                if let Some(open) = self.open.get_mut(&request) {
                    open.asked += 1;
                    open.ask = Some((ask, peer));
                }
                return;
            }
            found.extend(mates(ctx, &open.taken));
        }
        found.truncate(wanted);
        self.answer(ctx, request, &found);
    }

    fn answer(&mut self, ctx: &mut Context<'_>, request: RequestId, found: &[PeerId]) {
        if found.is_empty() {
            self.open.remove(&request);
        } else if let Some(open) = self.open.get_mut(&request) {
            open.taken.extend(found);
            open.wanted = 0;
            open.asked = 0;
        }
        let found = found.iter().map(|peer| {
            let known = ctx.members.get(*peer);
            Neighbour {
                peer: *peer,
                distance: Duration::ZERO,
                standing: known.map_or(Standing::default(), |known| known.standing),
                room: known.map_or(Room::default(), |known| known.room),
            }
        });
        let found = found.collect();
        ctx.answer(request, found);
    }
}

/// The nodes of the own site but for those taken, in an order of this node's own.
fn mates(ctx: &mut Context<'_>, taken: &BTreeSet<PeerId>) -> Vec<PeerId> {
    let mut mates: Vec<PeerId> = ctx
        .members
        .iter_site(ctx.me.site)
        .map(|known| known.peer)
        .filter(|peer| *peer != ctx.me && !taken.contains(peer))
        .collect();
    shuffle(&mut mates, ctx.entropy);
    mates
}
