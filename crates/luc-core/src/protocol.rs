//! The contract of pure code: a deterministic participant and the effects it asks for.
//!
//! A [`Protocol`] is driven by inputs and answers with an ordered buffer of [`Effect`]s. It is
//! called by the simulator and by the daemon's runtime, which carry the effects out in order:
//! what must be durable stands before the send that depends on it.

use crate::time::{Duration, Instant};

/// A deterministic participant: the same inputs give the same effects.
pub trait Protocol {
    /// The name of another participant.
    type Peer;
    /// What peers exchange; one doc line per variant.
    type Message;
    /// What it asks to be woken for; carries the epoch that makes a late one stale.
    type Timer;
    /// What the local host asks of it.
    type Command;
    /// What it tells the local host.
    type Event;
    /// What has to survive a crash before later effects are carried out.
    type Durable;

    /// Takes one input at the time `now` and appends what has to happen to `effects`.
    fn handle(&mut self, now: Instant, input: Input<Self>, effects: &mut Effects<Self>);
}

/// What can happen to a participant.
pub enum Input<P: Protocol + ?Sized> {
    /// A peer's message arrived.
    Message {
        /// Who sent it, as authenticated by the transport.
        from: P::Peer,
        /// What it says.
        message: P::Message,
    },
    /// A timer asked for by [`Effect::Schedule`] is due.
    Timer(P::Timer),
    /// The local host asks for something.
    Command(P::Command),
}

/// What a participant wants done, in this order.
pub enum Effect<P: Protocol + ?Sized> {
    /// Make this durable before carrying out any later effect.
    Persist(P::Durable),
    /// Send a message; it may be lost, doubled or reordered.
    Send {
        /// The receiver.
        to: P::Peer,
        /// What to say.
        message: P::Message,
    },
    /// Hand `timer` back after `after`; timers are never cancelled, they go stale by their epoch.
    Schedule {
        /// How long to wait.
        after: Duration,
        /// What to hand back.
        timer: P::Timer,
    },
    /// Tell the local host.
    Emit(P::Event),
}

/// An ordered buffer of effects.
pub struct Effects<P: Protocol + ?Sized> {
    effects: Vec<Effect<P>>,
}

impl<P: Protocol + ?Sized> Effects<P> {
    /// An empty buffer.
    pub const fn new() -> Self {
        Self {
            effects: Vec::new(),
        }
    }

    /// Asks for durability of `record` before all later effects.
    pub fn persist(&mut self, record: P::Durable) {
        self.effects.push(Effect::Persist(record));
    }

    /// Sends `message` to `to`.
    pub fn send(&mut self, to: P::Peer, message: P::Message) {
        self.effects.push(Effect::Send { to, message });
    }

    /// Asks to be handed `timer` after `after`.
    pub fn schedule(&mut self, after: Duration, timer: P::Timer) {
        self.effects.push(Effect::Schedule { after, timer });
    }

    /// Tells the local host about `event`.
    pub fn emit(&mut self, event: P::Event) {
        self.effects.push(Effect::Emit(event));
    }

    /// Takes all effects out, in order, and leaves the buffer empty for reuse.
    pub fn drain(&mut self) -> impl Iterator<Item = Effect<P>> + '_ {
        self.effects.drain(..)
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.effects.is_empty()
    }

    /// How many effects are asked for.
    pub fn len(&self) -> usize {
        self.effects.len()
    }
}

impl<P: Protocol + ?Sized> Default for Effects<P> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
