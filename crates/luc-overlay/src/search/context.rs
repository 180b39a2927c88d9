//! What a search sees of its node while it handles one input, and what it wants done.
//!
//! The overlay's protocol builds a [`Context`] for each call and carries [`Out`] over into its own
//! effects, in order. A search knows neither the protocol's messages nor its timers but its own.

use luc_core::PeerId;
use luc_core::entropy::SplitMix64;
use luc_core::time::{Duration, Instant};

use crate::coordinate::Coordinate;
use crate::directory::Directory;
use crate::event::Event;
use crate::members::Members;
use crate::neighbour::{Neighbour, RequestId, Room};
use crate::search::message::Message;
use crate::search::timer::Timer;

/// What a search wants done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Out {
    /// Send a message.
    Send {
        /// The receiver.
        to: PeerId,
        /// What to say.
        message: Message,
    },
    /// Hand `timer` back after `after`.
    Schedule {
        /// How long to wait.
        after: Duration,
        /// What to hand back.
        timer: Timer,
    },
    /// Tell the local host.
    Emit(Event),
}

/// What a search sees of its node during one call.
pub struct Context<'a> {
    /// The time.
    pub now: Instant,
    /// This node.
    pub me: PeerId,
    /// The live peers it keeps.
    pub members: &'a Members,
    /// Where it is.
    pub coordinate: &'a Coordinate,
    /// How much room it has, as it says to others.
    pub room: Room,
    /// The oracle, in experiments without membership traffic.
    pub directory: Option<&'a Directory>,
    /// Its random numbers.
    pub entropy: &'a mut SplitMix64,
    /// What the search wants done.
    pub out: &'a mut Vec<Out>,
}

impl Context<'_> {
    pub(super) fn send(&mut self, to: PeerId, message: Message) {
        self.out.push(Out::Send { to, message });
    }

    pub(super) fn schedule(&mut self, after: Duration, timer: Timer) {
        self.out.push(Out::Schedule { after, timer });
    }

    pub(super) fn emit(&mut self, event: Event) {
        self.out.push(Out::Emit(event));
    }

    pub(super) fn ignore(&mut self, reason: &'static str) {
        self.emit(Event::Ignored { reason });
    }

    /// Answers a request: what was found, or that nobody is left.
    pub(super) fn answer(&mut self, request: RequestId, found: Vec<Neighbour>) {
        self.emit(if found.is_empty() {
            Event::Exhausted { request }
        } else {
            Event::Neighbours { request, found }
        });
    }
}
