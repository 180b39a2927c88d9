//! The upkeep of the ring: joining, stabilizing, healing.
//!
//! Called by the dispatcher in [`chord`](super). A question that is not answered is put once more;
//! a successor that is silent twice gives way to the next ones of the list, which are asked at
//! once, some at a time.

use luc_core::PeerId;
use luc_core::entropy::Entropy;
use luc_core::time::Instant;

use super::{Ask, Chord, HOPS_MAX, PARALLEL, Purpose, SILENT_FOR, SILENT_MAX, UNSETTLED};
use crate::members::Change;
use crate::neighbour::Standing;
use crate::search::context::Context;
use crate::search::message::Message;
use crate::search::point::Point;
use crate::search::timer::Timer;
use crate::search::view::pick;

impl Chord {
    pub(in crate::search) fn on_member(&mut self, ctx: &mut Context<'_>, change: Change) {
        match change {
            Change::Joined(peer) => {
                self.silent.retain(|(silent, _)| *silent != peer);
                self.consider(ctx, peer);
            }
            Change::Contact(peer) => {
                if !self.contacts.contains(&peer) {
                    self.contacts.insert(0, peer);
                    self.contacts.truncate(SILENT_MAX);
                }
                self.consider(ctx, peer);
            }
            // A node that sleeps has left the ring; it tells its neighbours itself.
            Change::Left(peer) | Change::Failed(peer) | Change::Stood(peer, Standing::Asleep) => {
                self.lose(ctx, peer);
            }
            Change::Dropped(_) | Change::Stood(_, Standing::Awake) => {}
        }
    }

    /// Asks a node that may be a closer successor than the present one.
    pub(super) fn consider(&mut self, ctx: &mut Context<'_>, peer: PeerId) {
        let silent = self.silent.iter().any(|(silent, _)| *silent == peer);
        if !silent && self.links.is_closer(peer) {
            self.stabilize(ctx, peer);
        }
    }

    fn stabilize(&mut self, ctx: &mut Context<'_>, peer: PeerId) {
        let stabilizing = |ask: &Ask| matches!(ask.purpose, Purpose::Stabilize { .. });
        let under_way = |ask: &Ask| ask.peer == peer && stabilizing(ask);
        if !self.asks.iter().any(under_way) {
            self.ask_successors(ctx, peer, false);
        }
    }

    fn ask_successors(&mut self, ctx: &mut Context<'_>, peer: PeerId, again: bool) {
        let ask = self.put(ctx, peer, Purpose::Stabilize { again });
        let request = None;
        ctx.send(peer, Message::SuccessorsWanted { request, ask });
    }

    /// Asks the first `count` of the list at once.
    fn stabilize_first(&mut self, ctx: &mut Context<'_>, count: usize) {
        let first: Vec<PeerId> = self
            .links
            .successors()
            .iter()
            .take(count)
            .copied()
            .collect();
        for peer in first {
            self.stabilize(ctx, peer);
        }
    }

    /// A node is gone: it is nobody's neighbour any more, nor on anybody's walk.
    fn lose(&mut self, ctx: &mut Context<'_>, peer: PeerId) {
        self.contacts.retain(|contact| *contact != peer);
        for walk in self.open.values_mut() {
            walk.lose(peer);
        }
        if self.links.remove(peer) {
            self.stabilize_first(ctx, PARALLEL);
        }
    }

    fn put(&mut self, ctx: &mut Context<'_>, peer: PeerId, purpose: Purpose) -> u32 {
        let number = self.number();
        self.asks.push(Ask {
            number,
            peer,
            purpose,
        });
        let timer = Timer::Asked {
            request: None,
            ask: number,
        };
        ctx.schedule(self.config.ask_wait, timer);
        number
    }

    const fn number(&mut self) -> u32 {
        let number = self.next_ask;
        self.next_ask = self.next_ask.wrapping_add(1);
        number
    }

    /// Starts being led to the own place, from anybody known.
    pub(super) fn look_up(&mut self, ctx: &mut Context<'_>) {
        let lookup = |ask: &Ask| matches!(ask.purpose, Purpose::Lookup { .. });
        let drawn = ctx.entropy.next_u64();
        let member = drawn.checked_rem(ctx.members.len() as u64);
        let member = member.and_then(|at| ctx.members.at(at as usize));
        let member = member
            .map(|known| known.peer)
            .filter(|peer| *peer != ctx.me);
        let contact = pick(&self.contacts, ctx.entropy);
        // A contact stands in another part of a ring that fell apart, or never was one.
        let from = if drawn >> 63 == 0 {
            contact.or(member)
        } else {
            member.or(contact)
        };
        if let Some(from) = from.filter(|_| !self.asks.iter().any(lookup)) {
            self.ask_closest(ctx, from, 0);
        }
    }

    fn ask_closest(&mut self, ctx: &mut Context<'_>, peer: PeerId, hops: u8) {
        let ask = self.put(ctx, peer, Purpose::Lookup { hops });
        let point = self.links.point();
        ctx.send(peer, Message::ClosestWanted { ask, point });
    }

    /// Takes the upkeep question out that this answers.
    fn answered(&mut self, from: PeerId, number: u32) -> Option<Purpose> {
        let asked = |ask: &Ask| ask.number == number && ask.peer == from;
        let index = self.asks.iter().position(asked)?;
        Some(self.asks.swap_remove(index).purpose)
    }

    pub(super) fn on_successors(
        &mut self,
        ctx: &mut Context<'_>,
        (from, ask): (PeerId, u32),
        predecessor: Option<PeerId>,
        theirs: &[PeerId],
    ) {
        let Some(Purpose::Stabilize { .. }) = self.answered(from, ask) else {
            return ctx.ignore("an answer to no question under way");
        };
        let before = self.links.successor();
        if !self.links.adopt(from, theirs) {
            return;
        }
        if before != Some(from) {
            self.unsettled = UNSETTLED;
        }
        match predecessor {
            Some(predecessor) if predecessor == ctx.me => {}
            Some(predecessor) if self.links.is_closer(predecessor) => {
                self.consider(ctx, predecessor);
                // It may be gone; then the successor has to hear of this node all the same.
                ctx.send(from, Message::Notify);
            }
            Some(_) | None => ctx.send(from, Message::Notify),
        }
    }

    pub(super) fn on_unlink(
        &mut self,
        ctx: &mut Context<'_>,
        from: PeerId,
        predecessor: Option<PeerId>,
        successors: &[PeerId],
    ) {
        self.links.inherit_predecessor(from, predecessor, ctx.now);
        let was_successor = self.links.remove(from);
        if was_successor {
            let next = successors.first().filter(|next| **next != ctx.me);
            if let Some(next) = next {
                self.consider(ctx, *next);
            }
            self.stabilize_first(ctx, 1);
        }
    }

    pub(super) fn on_closest_wanted(
        &mut self,
        ctx: &mut Context<'_>,
        from: PeerId,
        ask: u32,
        point: Point,
    ) {
        let known = ctx.members.iter();
        let awake = known.filter(|known| known.standing == Standing::Awake);
        let named = awake
            .map(|known| known.peer)
            .chain(self.contacts.iter().copied());
        let silent = |peer: &PeerId| self.silent.iter().any(|(silent, _)| silent == peer);
        let before = self
            .links
            .closest_before(point, named.filter(|peer| !silent(peer)));
        let answer = Message::Closest {
            ask,
            before,
            successors: self.links.successors().to_vec(),
        };
        ctx.send(from, answer);
        self.consider(ctx, from);
    }

    /// Somebody names who is closer to the own place; leads on, or to the end.
    pub(super) fn on_closest(
        &mut self,
        ctx: &mut Context<'_>,
        (from, ask): (PeerId, u32),
        before: Option<PeerId>,
        successors: &[PeerId],
    ) {
        let Some(Purpose::Lookup { hops }) = self.answered(from, ask) else {
            return ctx.ignore("an answer to no question under way");
        };
        let mut closest: Option<PeerId> = None;
        for peer in successors.iter().chain(&before).chain([&from]) {
            let point = self.links.point_of(*peer);
            let first = closest
                .is_none_or(|held| point.is_between(self.links.point(), self.links.point_of(held)));
            if first && self.links.is_closer(*peer) {
                closest = Some(*peer);
            }
        }
        if let Some(closest) = closest {
            self.consider(ctx, closest);
        }
        let on = before.filter(|peer| {
            let point = self.links.point_of(*peer);
            let nearer = point.is_between(self.links.point_of(from), self.links.point());
            *peer != ctx.me && nearer && hops < HOPS_MAX
        });
        if let Some(on) = on {
            self.ask_closest(ctx, on, hops + 1);
        }
    }

    pub(super) fn on_upkeep(&mut self, ctx: &mut Context<'_>) {
        let now = ctx.now;
        self.silent
            .retain(|(_, since)| now.since(*since) < SILENT_FOR);
        // The predecessor asks once per period; one question and one answer may be lost.
        let quiet = self.config.period * 4;
        let since = now.since(Instant::ORIGIN).saturating_sub(quiet);
        self.links.expire_predecessor(Instant::ORIGIN + since);
        self.periods = self.periods.wrapping_add(1);
        let due =
            self.periods.is_multiple_of(self.config.lookup_every.max(1)) || self.unsettled > 0;
        self.unsettled = self.unsettled.saturating_sub(1);
        if self.links.successor().is_none() {
            self.consider_members(ctx);
        }
        if due || self.lookup_due || self.links.successor().is_none() {
            self.lookup_due = false;
            self.look_up(ctx);
        }
        self.stabilize_first(ctx, 1);
        let epoch = self.epoch;
        ctx.schedule(self.config.period, Timer::Upkeep { epoch });
    }

    /// Nobody follows: asks the member that would follow most closely.
    fn consider_members(&mut self, ctx: &mut Context<'_>) {
        let mut closest: Option<(Point, PeerId)> = None;
        for known in ctx.members.iter() {
            let silent = self.silent.iter().any(|(silent, _)| *silent == known.peer);
            if silent || known.standing == Standing::Asleep || known.peer == ctx.me {
                continue;
            }
            let point = self.links.point_of(known.peer);
            if closest.is_none_or(|(held, _)| point.is_between(self.links.point(), held)) {
                closest = Some((point, known.peer));
            }
        }
        if let Some((_, peer)) = closest {
            self.consider(ctx, peer);
        }
    }

    /// An upkeep question should have been answered by now; if it was, the timer is stale.
    pub(super) fn on_asked(&mut self, ctx: &mut Context<'_>, number: u32) {
        let late = self.asks.iter().position(|ask| ask.number == number);
        let Some(index) = late else {
            return;
        };
        let Ask { peer, purpose, .. } = self.asks.swap_remove(index);
        if purpose == (Purpose::Stabilize { again: false }) {
            return self.ask_successors(ctx, peer, true);
        }
        self.silent.insert(0, (peer, ctx.now));
        self.silent.truncate(SILENT_MAX);
        match purpose {
            Purpose::Stabilize { .. } => self.lose(ctx, peer),
            Purpose::Lookup { .. } => self.lookup_due = true,
        }
    }
}
