//! The Chord ring, as far as a scheduler needs one: successors, and a walk along them.
//!
//! Each node has a point on a ring ([`Point`]) and keeps the nodes that follow it. Once per period
//! it asks its successor who precedes and follows it, moves to a closer one if there is, and tells
//! the successor that it precedes it. A successor that does not answer gives way to the next of
//! the list, so any list length − 1 consecutive nodes may crash at once. A node that leaves links
//! its neighbours to each other. Fingers served nobody and are left out; a node that joins is led
//! to its place by nodes that each name the closest they know.
//!
//! Stoica et al., "Chord: A Scalable Peer-to-peer Lookup Service for Internet Applications",
//! SIGCOMM 2001, sections 4.4 and 5.2; used by DISCOVERY as the overlay of DVMS.

mod links;
mod request;
mod upkeep;
mod walk;

use std::collections::BTreeMap;

use luc_core::PeerId;
use luc_core::entropy::Entropy;
use luc_core::time::{Duration, Instant};

use crate::neighbour::{Neighbour, RequestId, Room, Standing};
use crate::search::context::Context;
use crate::search::message::Message;
use crate::search::point::Assignment;
use crate::search::timer::Timer;
use links::Links;
use walk::Walk;

/// Names of one message beyond this number are not read.
const NAMES_MAX: usize = 32;

/// How many successors are asked at once when the first is gone.
const PARALLEL: usize = 3;

/// For so many periods after it has got another successor a node looks its place up in each.
const UNSETTLED: u8 = 4;

/// A joining node is led on at most so many times.
const HOPS_MAX: u8 = 64;

/// How many nodes that did not answer are remembered, so that hints do not bring them back.
const SILENT_MAX: usize = 8;

/// For how long they are remembered.
const SILENT_FOR: Duration = Duration::from_secs(3);

/// Settings of the ring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// How many successors a node keeps.
    pub successors: u8,
    /// How often it asks the first of them.
    pub period: Duration,
    /// How long an answer may take.
    pub ask_wait: Duration,
    /// Each so many periods a node looks its own place up, through anybody: this mends a ring that
    /// fell into two.
    pub lookup_every: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            successors: 8,
            period: Duration::from_secs(1),
            ask_wait: Duration::from_millis(700),
            lookup_every: 30,
        }
    }
}

/// What an upkeep question is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// To learn who follows and precedes the one asked.
    Stabilize {
        /// Whether it was asked before and did not answer.
        again: bool,
    },
    /// To be led to the own place.
    Lookup {
        /// How often it was led on.
        hops: u8,
    },
}

/// An upkeep question under way.
#[derive(Clone, Copy, Debug)]
struct Ask {
    number: u32,
    peer: PeerId,
    purpose: Purpose,
}

/// The ring links of one node.
#[derive(Clone, Debug)]
pub struct Chord {
    config: Config,
    links: Links,
    asks: Vec<Ask>,
    silent: Vec<(PeerId, Instant)>,
    /// Delegates of other sites of which membership named only the name.
    contacts: Vec<PeerId>,
    open: BTreeMap<RequestId, Walk>,
    next_ask: u32,
    periods: u16,
    /// Periods in which the place is looked up, because the successor has changed.
    unsettled: u8,
    /// A lookup failed and is due again.
    lookup_due: bool,
    /// Which start the upkeep timer belongs to.
    epoch: u16,
}

impl Chord {
    pub(super) fn new(config: Config, me: PeerId, assignment: Assignment) -> Self {
        Self {
            links: Links::new(me, assignment, usize::from(config.successors)),
            config,
            asks: Vec::new(),
            silent: Vec::new(),
            contacts: Vec::new(),
            open: BTreeMap::new(),
            next_ask: 0,
            periods: 0,
            unsettled: 0,
            lookup_due: false,
            epoch: 0,
        }
    }

    /// Those who follow this node, in ring order.
    pub fn successors(&self) -> &[PeerId] {
        self.links.successors()
    }

    /// Who precedes this node.
    pub const fn predecessor(&self) -> Option<PeerId> {
        self.links.predecessor()
    }

    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    pub(super) fn start(&mut self, ctx: &mut Context<'_>) {
        self.epoch = self.epoch.wrapping_add(1);
        self.links.clear();
        self.asks.clear();
        // Nodes started together do not all ask in the same instant.
        let period = (self.config.period.as_nanos() as u64).max(1);
        let phase = Duration::from_nanos(ctx.entropy.next_u64() % period);
        let epoch = self.epoch;
        ctx.schedule(phase, Timer::Upkeep { epoch });
        self.periods = (ctx.entropy.next_u64() % 1024) as u16;
        self.look_up(ctx);
    }

    pub(super) fn leave(&mut self, ctx: &mut Context<'_>) {
        let ends = [self.links.predecessor(), self.links.successor()];
        for to in ends.into_iter().flatten() {
            let unlink = Message::Unlink {
                predecessor: self.links.predecessor(),
                successors: self.links.successors().to_vec(),
            };
            ctx.send(to, unlink);
        }
        self.epoch = self.epoch.wrapping_add(1);
        self.links.clear();
        self.asks.clear();
        self.open.clear();
    }

    pub(super) fn on_message(&mut self, ctx: &mut Context<'_>, from: PeerId, message: Message) {
        match message {
            Message::SuccessorsWanted { request, ask } => {
                self.links.heard_of(from, ctx.now);
                let answer = Message::Successors {
                    request,
                    ask,
                    predecessor: self.links.predecessor(),
                    successors: self.links.successors().to_vec(),
                };
                ctx.send(from, answer);
                if self.links.successor().is_none() {
                    self.consider(ctx, from);
                }
            }
            Message::Successors {
                request: Some(request),
                ask,
                mut successors,
                ..
            } => {
                successors.truncate(NAMES_MAX);
                self.on_guide(ctx, from, (request, ask), &successors);
            }
            Message::Successors {
                request: None,
                ask,
                predecessor,
                mut successors,
            } => {
                successors.truncate(NAMES_MAX);
                self.on_successors(ctx, (from, ask), predecessor, &successors);
            }
            Message::Notify => {
                self.links.notified(from, ctx.now);
                self.consider(ctx, from);
            }
            Message::Unlink {
                predecessor,
                successors,
            } => self.on_unlink(ctx, from, predecessor, &successors),
            Message::ClosestWanted { ask, point } => self.on_closest_wanted(ctx, from, ask, point),
            Message::Closest {
                ask,
                before,
                mut successors,
            } => {
                successors.truncate(NAMES_MAX);
                self.on_closest(ctx, (from, ask), before, &successors);
            }
            Message::ViewWanted { .. }
            | Message::View { .. }
            | Message::SampleWanted { .. }
            | Message::Sample { .. } => ctx.ignore("a message of another overlay"),
        }
    }

    pub(super) fn on_timer(&mut self, ctx: &mut Context<'_>, timer: Timer) {
        match timer {
            Timer::Upkeep { epoch } => {
                if epoch == self.epoch {
                    self.on_upkeep(ctx);
                }
            }
            Timer::Asked { request: None, ask } => self.on_asked(ctx, ask),
            Timer::Asked {
                request: Some(request),
                ask,
            } => self.on_guide_asked(ctx, request, ask),
            Timer::Patience { .. } => ctx.ignore("a timer of another overlay"),
        }
    }
}

/// A node as it is offered: the ring knows no distances.
fn neighbour(ctx: &Context<'_>, peer: PeerId) -> Neighbour {
    let known = ctx.members.get(peer);
    Neighbour {
        peer,
        distance: Duration::ZERO,
        standing: known.map_or(Standing::default(), |known| known.standing),
        room: known.map_or(Room::default(), |known| known.room),
    }
}
