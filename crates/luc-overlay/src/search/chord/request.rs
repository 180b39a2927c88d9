//! The open requests of the ring.
//!
//! Called by the dispatcher in [`chord`](super). The walk goes along the own successors, and then
//! along those of the last node passed.

use std::collections::BTreeSet;

use luc_core::PeerId;

use super::walk::Walk;
use super::{Chord, neighbour};
use crate::neighbour::{Neighbour, RequestId};
use crate::search::context::Context;
use crate::search::message::Message;
use crate::search::timer::Timer;

impl Chord {
    pub(in crate::search) fn search(
        &mut self,
        ctx: &mut Context<'_>,
        request: RequestId,
        outside: BTreeSet<PeerId>,
        count: u16,
    ) {
        if self.open.contains_key(&request) {
            return ctx.ignore("a search of this name is open");
        }
        self.open.insert(request, Walk::new(outside, &self.links));
        self.more(ctx, request, count);
    }

    pub(in crate::search) fn more(
        &mut self,
        ctx: &mut Context<'_>,
        request: RequestId,
        count: u16,
    ) {
        let Some(walk) = self.open.get_mut(&request) else {
            return ctx.ignore("no search of this name is open");
        };
        // A second call before the answer is answered together with the first.
        walk.wanted = walk.wanted.max(count.max(1));
        self.advance(ctx, request);
    }

    pub(in crate::search) fn end(&mut self, request: RequestId) {
        self.open.remove(&request);
    }

    /// Answers what can be answered, or asks for the way on.
    fn advance(&mut self, ctx: &mut Context<'_>, request: RequestId) {
        let Some(walk) = self.open.get_mut(&request) else {
            return;
        };
        walk.step();
        if walk.found.len() < usize::from(walk.wanted) && walk.ask.is_none() {
            if let Some(guide) = walk.guide() {
                let ask = self.next_ask;
                self.next_ask = self.next_ask.wrapping_add(1);
                walk.ask = Some((ask, guide));
                let request = Some(request);
                ctx.send(guide, Message::SuccessorsWanted { request, ask });
                ctx.schedule(self.config.ask_wait, Timer::Asked { request, ask });
                return;
            }
        } else if walk.ask.is_some() {
            return;
        }
        self.answer(ctx, request);
    }

    fn answer(&mut self, ctx: &mut Context<'_>, request: RequestId) {
        let Some(walk) = self.open.get_mut(&request).filter(|walk| walk.wanted > 0) else {
            return;
        };
        walk.wanted = 0;
        let found: Vec<Neighbour> = walk
            .found
            .drain(..)
            .map(|peer| neighbour(ctx, peer))
            .collect();
        if found.is_empty() {
            self.open.remove(&request);
        }
        ctx.answer(request, found);
    }

    pub(super) fn on_guide(
        &mut self,
        ctx: &mut Context<'_>,
        from: PeerId,
        (request, ask): (RequestId, u32),
        successors: &[PeerId],
    ) {
        let Some(walk) = self.open.get_mut(&request) else {
            return ctx.ignore("an answer to no open search");
        };
        if walk.ask != Some((ask, from)) {
            return ctx.ignore("an answer to no question under way");
        }
        walk.ask = None;
        walk.extend(from, successors, &self.links);
        self.advance(ctx, request);
    }

    pub(super) fn on_guide_asked(
        &mut self,
        ctx: &mut Context<'_>,
        request: RequestId,
        number: u32,
    ) {
        let Some(walk) = self.open.get_mut(&request) else {
            return;
        };
        let Some((_, guide)) = walk.ask.filter(|(ask, _)| *ask == number) else {
            return;
        };
        walk.ask = None;
        walk.lose(guide);
        if walk.found.is_empty() {
            self.advance(ctx, request);
        } else {
            self.answer(ctx, request);
        }
    }
}
