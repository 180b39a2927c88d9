//! One call of the handler: the time it has, the effects it asks for, and what it tells itself.
//!
//! A leader is a member of its own partition and may be the source or the target of a step. What
//! it says to itself takes the same way through the handlers as what it says to others, only
//! without the network: such messages are queued here and handled before the call ends.

use std::collections::VecDeque;

use luc_core::time::{Duration, Instant};
use luc_core::{Effects, PeerId};

use super::{Durable, Message, Star, Timer};
use crate::event::Event;

/// One call of the handler.
pub(super) struct Turn<'a> {
    /// The time of the call.
    pub(super) now: Instant,
    me: PeerId,
    effects: &'a mut Effects<Star>,
    inbox: VecDeque<Message>,
}

impl<'a> Turn<'a> {
    /// A call at `now` for the node `me`.
    pub(super) fn new(now: Instant, me: PeerId, effects: &'a mut Effects<Star>) -> Self {
        Self {
            now,
            me,
            effects,
            inbox: VecDeque::new(),
        }
    }

    /// Says `message` to `to`, who may be this node.
    pub(super) fn post(&mut self, to: PeerId, message: Message) {
        if to == self.me {
            self.inbox.push_back(message);
        } else {
            self.effects.send(to, message);
        }
    }

    /// The next message from this node to itself.
    pub(super) fn next_own(&mut self) -> Option<Message> {
        self.inbox.pop_front()
    }

    /// Tells the host.
    pub(super) fn emit(&mut self, event: Event) {
        self.effects.emit(event);
    }

    /// Asks to be woken.
    pub(super) fn schedule(&mut self, after: Duration, timer: Timer) {
        self.effects.schedule(after, timer);
    }

    /// Asks for durability before anything that follows.
    pub(super) fn persist(&mut self, record: Durable) {
        self.effects.persist(record);
    }

    /// Says that an input of the kind `input` was not acted upon.
    pub(super) fn ignore(&mut self, input: &'static str, reason: &'static str) {
        self.effects.emit(Event::Ignored { input, reason });
    }
}
