//! Neighbour search: the next nodes outside a set, as the chosen overlay understands *next*.
//!
//! Three overlays behind one interface, chosen by [`Kind`]: the spiral of the locality-based
//! overlay ([`spiral`]), a walk along the Chord ring ([`chord`]), uniformly drawn nodes
//! ([`random`]). With a directory (an experiment without membership traffic) all three are answered
//! at once by the [`oracle`]. Called by the overlay's protocol only, which owns membership and
//! coordinates and lends them through a [`Context`]. A search decides nothing about who is alive.
//!
//! ```text
//!            search            count certain            more
//!   (none) ─────────▶ waiting ──────────────▶ answered ──────▶ waiting
//!                        │ nobody left            │
//!                        ▼                        ▼ end (from any state)
//!                    exhausted, closed          closed
//! ```

pub mod chord;
pub mod context;
pub mod message;
pub mod oracle;
pub mod point;
pub mod random;
pub mod ring_order;
pub mod spiral;
pub mod timer;
pub mod view;

use std::collections::BTreeSet;

use luc_core::PeerId;
use luc_core::time::Duration;
use serde::{Deserialize, Serialize};

pub use context::{Context, Out};
pub use message::{Entry, Hearsay, Message};
pub use point::Assignment;
pub use timer::Timer;

use crate::members::Change;
use crate::neighbour::RequestId;
use chord::Chord;
use oracle::Oracle;
use random::Random;
use spiral::Spiral;

/// Which overlay answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Nearest first.
    #[default]
    Spiral,
    /// Along the ring.
    Chord {
        /// How identifiers are assigned.
        assignment: Assignment,
    },
    /// Drawn uniformly.
    Random,
}

impl Kind {
    /// How identifiers are assigned, should there be any.
    pub(crate) const fn assignment(self) -> Assignment {
        match self {
            Self::Chord { assignment } => assignment,
            Self::Spiral | Self::Random => Assignment::Hashed,
        }
    }
}

/// How searches work.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Config {
    /// Which overlay answers.
    pub kind: Kind,
    /// Settings of the spiral.
    pub spiral: spiral::Config,
    /// Settings of the ring.
    pub chord: chord::Config,
    /// Settings of the draw.
    pub random: random::Config,
}

/// The chosen overlay with its open requests.
#[derive(Clone, Debug)]
pub enum Finder {
    /// Answered from the directory.
    Oracle(Oracle),
    /// Nearest first.
    Spiral(Spiral),
    /// Along the ring.
    Chord(Chord),
    /// Drawn uniformly.
    Random(Random),
}

impl Finder {
    /// A finder without open requests. `directory` says whether every [`Context`] will lend one.
    pub fn new(config: &Config, me: PeerId, directory: bool) -> Self {
        if directory {
            return Self::Oracle(Oracle::new(config.kind));
        }
        match config.kind {
            Kind::Spiral => Self::Spiral(Spiral::new(config.spiral)),
            Kind::Chord { assignment } => Self::Chord(Chord::new(config.chord, me, assignment)),
            Kind::Random => Self::Random(Random::new(config.random)),
        }
    }

    /// The node takes part from now on; whom to contact stands in the members.
    pub fn start(&mut self, ctx: &mut Context<'_>) {
        match self {
            Self::Oracle(_) => {}
            Self::Spiral(spiral) => spiral.start(ctx),
            Self::Chord(chord) => chord.start(ctx),
            Self::Random(random) => random.start(ctx),
        }
    }

    /// The node leaves for good, or goes to sleep: open requests are dropped. After a sleep
    /// [`Finder::start`] is called again.
    pub fn leave(&mut self, ctx: &mut Context<'_>) {
        match self {
            Self::Oracle(oracle) => oracle.leave(),
            Self::Spiral(spiral) => spiral.leave(),
            Self::Chord(chord) => chord.leave(ctx),
            Self::Random(random) => random.leave(),
        }
    }

    /// Opens a request for `count` neighbours that are not in `outside`.
    pub fn search(
        &mut self,
        ctx: &mut Context<'_>,
        request: RequestId,
        outside: BTreeSet<PeerId>,
        count: u16,
    ) {
        match self {
            Self::Oracle(oracle) => oracle.search(ctx, request, outside, count),
            Self::Spiral(spiral) => spiral.search(ctx, request, outside, count),
            Self::Chord(chord) => chord.search(ctx, request, outside, count),
            Self::Random(random) => random.search(ctx, request, outside, count),
        }
    }

    /// Asks for `count` more neighbours of an open request.
    pub fn more(&mut self, ctx: &mut Context<'_>, request: RequestId, count: u16) {
        match self {
            Self::Oracle(oracle) => oracle.more(ctx, request, count),
            Self::Spiral(spiral) => spiral.more(ctx, request, count),
            Self::Chord(chord) => chord.more(ctx, request, count),
            Self::Random(random) => random.more(ctx, request, count),
        }
    }

    /// Closes a request and drops all that was kept for it.
    pub fn end(&mut self, _ctx: &mut Context<'_>, request: RequestId) {
        match self {
            Self::Oracle(oracle) => oracle.end(request),
            Self::Spiral(spiral) => spiral.end(request),
            Self::Chord(chord) => chord.end(request),
            Self::Random(random) => random.end(request),
        }
    }

    /// Takes in that membership changed; the table in `ctx` is the new one.
    pub fn on_member(&mut self, ctx: &mut Context<'_>, change: Change) {
        match self {
            Self::Oracle(_) => {}
            Self::Spiral(spiral) => spiral.on_member(ctx, change),
            Self::Chord(chord) => chord.on_member(ctx, change),
            Self::Random(random) => random.on_member(ctx, change),
        }
    }

    /// Takes in a peer's message.
    pub fn on_message(&mut self, ctx: &mut Context<'_>, from: PeerId, message: Message) {
        match self {
            Self::Oracle(_) => ctx.ignore("a search message where a directory answers"),
            Self::Spiral(spiral) => spiral.on_message(ctx, from, message),
            Self::Chord(chord) => chord.on_message(ctx, from, message),
            Self::Random(random) => random.on_message(ctx, from, message),
        }
    }

    /// Takes in a timer that is due.
    pub fn on_timer(&mut self, ctx: &mut Context<'_>, timer: Timer) {
        match self {
            Self::Oracle(_) => ctx.ignore("a search timer where a directory answers"),
            Self::Spiral(spiral) => spiral.on_timer(ctx, timer),
            Self::Chord(chord) => chord.on_timer(ctx, timer),
            Self::Random(random) => random.on_timer(ctx, timer),
        }
    }

    /// A few view entries to ride on a membership message to `to`; mostly none.
    pub fn piggyback(&mut self, ctx: &mut Context<'_>, to: PeerId) -> Option<Hearsay> {
        match self {
            Self::Oracle(_) | Self::Chord(_) | Self::Random(_) => None,
            Self::Spiral(spiral) => spiral.piggyback(ctx, to),
        }
    }

    /// Takes in the entries that rode on a membership message.
    pub fn on_hearsay(&mut self, ctx: &mut Context<'_>, from: PeerId, hearsay: Hearsay) {
        match self {
            Self::Oracle(_) | Self::Chord(_) | Self::Random(_) => {}
            Self::Spiral(spiral) => spiral.on_hearsay(ctx, from, hearsay),
        }
    }

    /// Takes in a round trip to a peer that was measured, whatever for.
    pub fn on_round_trip(&mut self, me: PeerId, peer: PeerId, rtt: Duration) {
        match self {
            Self::Spiral(spiral) => {
                if peer.site != me.site {
                    spiral.on_round_trip(peer, rtt);
                }
            }
            Self::Oracle(_) | Self::Chord(_) | Self::Random(_) => {}
        }
    }

    /// How many requests are open.
    pub fn open_requests(&self) -> usize {
        match self {
            Self::Oracle(oracle) => oracle.open(),
            Self::Spiral(spiral) => spiral.open(),
            Self::Chord(chord) => chord.open(),
            Self::Random(random) => random.open(),
        }
    }
}

#[cfg(test)]
mod tests;
