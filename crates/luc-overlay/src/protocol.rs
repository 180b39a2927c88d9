//! One node's overlay: takes inputs, keeps membership, coordinate and searches together.
//!
//! ```text
//!            Start                 Advertise(Asleep)
//!   idle ────────────▶ serving ───────────────────────▶ asleep
//!                       │   ▲        Advertise(Awake)     │
//!                 Leave │   └─────────────────────────────┤
//!                       ▼                                 │ Leave
//!                      gone ◀─────────────────────────────┘
//! ```
//!
//! The dispatcher is here; what an input does is in the modules named after it:
//! [`crate::lifecycle`] (start, sleep, leave), [`crate::membership`] (packets of the pools),
//! [`crate::delegate`] (who stands for the site) and [`crate::measure`] (round trips). Called by
//! the node's brain, which the simulator and the daemon run.

use std::mem;
use std::sync::Arc;

use luc_core::PeerId;
use luc_core::entropy::{Entropy, SplitMix64};
use luc_core::protocol::{Effects, Input, Protocol};
use luc_core::time::Instant;

use crate::command::Command;
use crate::config::{Config, Membership, SwimConfig};
use crate::contacts::Contacts;
use crate::coordinate::Coordinate;
use crate::directory::Directory;
use crate::durable::{Durable, Kept};
use crate::event::Event;
use crate::farewells::Farewells;
use crate::measure::Echo;
use crate::members::{Change, Members};
use crate::message::{Message, Scope};
use crate::neighbour::Room;
use crate::pool::{Outbox, Pool};
use crate::search::{Context, Finder, Out};
use crate::timer::Timer;
use crate::vivaldi::Vivaldi;

/// Whether a node takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not started.
    Idle,
    /// It takes part.
    Serving,
    /// It sleeps, or is about to.
    Asleep,
    /// It left for good.
    Gone,
}

/// One node's overlay.
#[derive(Debug)]
pub struct Overlay {
    pub(crate) me: PeerId,
    pub(crate) swim: SwimConfig,
    pub(crate) directory: Option<Arc<Directory>>,
    pub(crate) phase: Phase,
    /// Which life of the node its timers belong to.
    pub(crate) epoch: u16,
    /// How many lives of the node and of its pools there were; numbers them.
    pub(crate) lives: u16,
    /// The highest incarnation used in any pool.
    pub(crate) incarnation: u32,
    pub(crate) room: Room,
    /// Which of the own coordinates is the current one, counted from 1.
    pub(crate) edition: u16,
    pub(crate) vivaldi: Vivaldi,
    pub(crate) members: Members,
    pub(crate) site: Option<Box<Pool>>,
    /// Only delegates have one.
    pub(crate) cloud: Option<Box<Pool>>,
    /// Nodes of the own site to announce ourselves to; used until one answers.
    pub(crate) mates: Vec<PeerId>,
    pub(crate) contacts: Contacts,
    pub(crate) farewells: Farewells,
    pub(crate) echo: Option<Echo>,
    /// How many echoes were asked for; numbers them.
    pub(crate) echoes: u32,
    /// Whether a look at the own role is scheduled.
    pub(crate) role_due: bool,
    /// Whether members kept over a sleep have to be checked against the pool.
    pub(crate) stale: bool,
    pub(crate) entropy: SplitMix64,
    pub(crate) finder: Finder,
    found: Vec<Out>,
    outbox: Outbox,
}

impl Overlay {
    /// An overlay that does not take part yet. `kept` is what an earlier life of the node left.
    pub fn new(config: Config, kept: Kept) -> Self {
        let (swim, directory) = match config.membership {
            Membership::Swim(swim) => (swim, None),
            Membership::Directory(directory) => (SwimConfig::default(), Some(directory)),
        };
        let mut entropy = SplitMix64::new(config.seed);
        let mut vivaldi = Vivaldi::new(config.vivaldi, entropy.next_u64());
        let known = directory.as_ref().and_then(|all| all.coordinate(config.me));
        if let Some(coordinate) = known.copied().or(kept.coordinate) {
            // A damaged one is refused; the node then learns from nothing.
            let _ = vivaldi.restore(coordinate);
        }
        Self {
            me: config.me,
            swim,
            phase: Phase::Idle,
            epoch: 0,
            lives: 0,
            incarnation: kept.incarnation,
            room: Room::default(),
            edition: 1,
            vivaldi,
            members: Members::new(),
            site: None,
            cloud: None,
            mates: Vec::new(),
            contacts: Contacts::default(),
            farewells: Farewells::default(),
            echo: None,
            echoes: 0,
            role_due: false,
            stale: false,
            entropy,
            finder: Finder::new(&config.search, config.me, directory.is_some()),
            found: Vec::new(),
            outbox: Outbox::default(),
            directory,
        }
    }

    /// The own name.
    pub const fn me(&self) -> PeerId {
        self.me
    }

    /// The live peers that this node keeps.
    pub const fn members(&self) -> &Members {
        &self.members
    }

    /// Where this node is.
    pub const fn coordinate(&self) -> &Coordinate {
        self.vivaldi.coordinate()
    }

    /// How many round trips it has learnt its place from.
    pub const fn samples(&self) -> u64 {
        self.vivaldi.samples()
    }

    /// The few nodes of other sites that it remembers.
    pub fn contacts(&self) -> &[PeerId] {
        self.contacts.as_slice()
    }

    /// Whether it stands for its site in the cloud pool.
    pub const fn is_delegate(&self) -> bool {
        self.cloud.is_some()
    }

    /// Whether it takes part.
    pub fn is_serving(&self) -> bool {
        self.phase == Phase::Serving
    }

    /// How many searches are open.
    pub fn open_requests(&self) -> usize {
        self.finder.open_requests()
    }

    /// Lends the searches what they need and carries out what they want.
    pub(crate) fn find(
        &mut self,
        now: Instant,
        effects: &mut Effects<Self>,
        act: impl FnOnce(&mut Finder, &mut Context<'_>),
    ) {
        let mut out = mem::take(&mut self.found);
        let mut context = Context {
            now,
            me: self.me,
            members: &self.members,
            coordinate: self.vivaldi.coordinate(),
            room: self.room,
            directory: self.directory.as_deref(),
            entropy: &mut self.entropy,
            out: &mut out,
        };
        act(&mut self.finder, &mut context);
        for one in out.drain(..) {
            match one {
                Out::Send { to, message } => effects.send(to, Message::Search(message)),
                Out::Schedule { after, timer } => effects.schedule(after, Timer::Search(timer)),
                Out::Emit(event) => effects.emit(event),
            }
        }
        self.found = out;
    }

    /// Tells the searches that membership changed.
    pub(crate) fn changed(&mut self, now: Instant, change: Change, effects: &mut Effects<Self>) {
        self.find(now, effects, |finder, context| {
            finder.on_member(context, change);
        });
    }

    /// The pool of a scope and an empty outbox, if the node is in it.
    pub(crate) fn pool(&mut self, scope: Scope) -> Option<(&mut Pool, Outbox)> {
        let pool = match scope {
            Scope::Site => self.site.as_deref_mut(),
            Scope::Cloud => self.cloud.as_deref_mut(),
        };
        Some((pool?, mem::take(&mut self.outbox)))
    }

    /// Keeps the room of an emptied outbox for the next one.
    pub(crate) fn put_back(&mut self, outbox: Outbox) {
        self.outbox = outbox;
    }

    fn on_command(&mut self, now: Instant, command: Command, effects: &mut Effects<Self>) {
        match command {
            Command::Start { contacts } => self.on_start(now, contacts, effects),
            Command::Leave => self.on_leave(now, effects),
            Command::Search {
                request,
                outside,
                count,
            } => {
                if self.phase == Phase::Serving {
                    self.find(now, effects, |finder, context| {
                        finder.search(context, request, outside, count);
                    });
                } else {
                    effects.emit(Event::Exhausted { request });
                }
            }
            Command::More { request, count } => self.find(now, effects, |finder, context| {
                finder.more(context, request, count);
            }),
            Command::End { request } => self.find(now, effects, |finder, context| {
                finder.end(context, request);
            }),
            Command::RoundTrip { peer, rtt } => self.on_round_trip(peer, rtt, effects),
            Command::Advertise { standing, room } => {
                self.on_advertise(now, standing, room, effects);
            }
        }
    }

    fn on_message(
        &mut self,
        now: Instant,
        from: PeerId,
        message: Message,
        effects: &mut Effects<Self>,
    ) {
        if let Some(reason) = self.ignore_message(from) {
            return effects.emit(Event::Ignored { reason });
        }
        match message {
            Message::Swim(swim) => self.on_swim(now, from, swim, effects),
            Message::RosterWanted => self.on_roster_wanted(from, effects),
            Message::Roster { delegates } => self.on_roster(now, from, delegates, effects),
            Message::Referral { delegates } => self.on_referral(now, delegates, effects),
            Message::Echo { ask } => self.on_echo(from, ask, effects),
            Message::Echoed { ask, place } => self.on_echoed(now, from, ask, &place, effects),
            Message::Search(message) => self.find(now, effects, |finder, context| {
                finder.on_message(context, from, message);
            }),
        }
    }

    fn ignore_message(&self, from: PeerId) -> Option<&'static str> {
        if from == self.me {
            return Some("a message claims to come from this node");
        }
        match self.phase {
            Phase::Serving => None,
            Phase::Idle => Some("a message before the overlay was started"),
            Phase::Asleep => Some("a message while this node sleeps"),
            Phase::Gone => Some("a message after this node left"),
        }
    }

    fn on_timer(&mut self, now: Instant, timer: Timer, effects: &mut Effects<Self>) {
        match timer {
            Timer::Swim { scope, epoch, due } => self.on_swim_due(now, scope, epoch, due, effects),
            Timer::Gossip { scope, epoch } => self.on_gossip_due(now, scope, epoch, effects),
            Timer::Join {
                scope,
                epoch,
                attempt,
            } => self.on_join_due(now, scope, epoch, attempt, effects),
            Timer::Role { epoch } => self.on_role_due(now, epoch, effects),
            Timer::Farewell { epoch, left } => self.on_farewell_due(now, epoch, left, effects),
            Timer::Echo { epoch } => self.on_echo_due(now, epoch, effects),
            Timer::Search(timer) => {
                if self.phase == Phase::Serving {
                    self.find(now, effects, |finder, context| {
                        finder.on_timer(context, timer);
                    });
                }
            }
        }
    }
}

impl Protocol for Overlay {
    type Peer = PeerId;
    type Message = Message;
    type Timer = Timer;
    type Command = Command;
    type Event = Event;
    type Durable = Durable;

    fn handle(&mut self, now: Instant, input: Input<Self>, effects: &mut Effects<Self>) {
        match input {
            Input::Message { from, message } => self.on_message(now, from, message, effects),
            Input::Timer(timer) => self.on_timer(now, timer, effects),
            Input::Command(command) => self.on_command(now, command, effects),
        }
        #[cfg(debug_assertions)]
        crate::invariants::assert_invariants(self);
    }
}
