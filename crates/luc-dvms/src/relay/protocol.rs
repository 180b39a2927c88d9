//! The scheduler of one node under the published protocol: inputs in, effects out.
//!
//! This file holds the state, the dispatchers and what begins and ends a reservation. Tokens are
//! in `token`, a leader's work in `leading`, plans in `applying`, Blocked partitions in `merging`,
//! crashes in `crash`.

use std::collections::VecDeque;

use luc_core::entropy::SplitMix64;
use luc_core::time::{Duration, Instant};
use luc_core::{Effects, Entropy as _, Input, PeerId, Protocol};
use serde::Serialize;

use super::config::Config;
use super::durable::Durable;
use super::message::{Message, Order};
use super::partition::{Partition, Token};
use super::role::{Coming, Role, Seat};
use super::timer::Timer;
use crate::ballot::Ballot;
use crate::command::{Command, MigrationEnd, MigrationId, SearchId};
use crate::event::{Cause, Event, PartitionEnd};
use crate::host::Host;

/// How many ended migrations a node remembers, to know late orders when it sees them.
const REMEMBERED: usize = 8;

/// The scheduler of one node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Relay {
    pub(super) me: PeerId,
    pub(super) config: Config,
    /// The last sample.
    pub(super) host: Option<Host>,
    /// The last number given to a partition or a plan.
    pub(super) counter: u64,
    /// The last number given to a question, a piece of work or a search.
    pub(super) epoch: u64,
    /// The partition this node is in; at most one.
    pub(super) seat: Option<Box<Seat>>,
    /// Tokens that wait for the overlay's answer.
    pub(super) passing: Vec<(SearchId, Token)>,
    /// The last tokens seen here: partition, version and hops.
    pub(super) seen: VecDeque<(Ballot, u64, u32)>,
    /// Migrations under way from here.
    pub(super) leaving: Vec<Order>,
    /// Machines that will come.
    pub(super) coming: Vec<Coming>,
    /// The last migrations that ended or were refused here, at either end.
    pub(super) over: VecDeque<(MigrationId, MigrationEnd)>,
    /// A monitor timer is under way.
    pub(super) watching: bool,
    /// At which fraction of the monitor's period it looks.
    phase: Duration,
}

/// The time of an input and where its effects go.
pub(super) struct Turn<'a> {
    pub(super) now: Instant,
    pub(super) effects: &'a mut Effects<Relay>,
}

impl Turn<'_> {
    /// Says that an input was not acted upon.
    pub(super) fn ignore(&mut self, input: &'static str, reason: &'static str) {
        self.effects.emit(Event::Ignored { input, reason });
    }
}

impl Relay {
    /// A scheduler that has never run before.
    pub fn new(me: PeerId, seed: u64, config: Config) -> Self {
        let period = u64::try_from(config.monitor.as_nanos()).unwrap_or(u64::MAX);
        let random = SplitMix64::new(seed ^ me.node.rotate_left(32)).next_u64();
        Self {
            me,
            config,
            host: None,
            counter: 0,
            epoch: 0,
            seat: None,
            passing: Vec::new(),
            seen: VecDeque::new(),
            leaving: Vec::new(),
            coming: Vec::new(),
            over: VecDeque::new(),
            watching: false,
            phase: Duration::from_nanos(random % period.max(1)),
        }
    }

    /// The same scheduler with what it kept over a crash.
    #[must_use]
    pub fn restored(mut self, durable: &Durable) -> Self {
        self.counter = durable.counter;
        self
    }

    /// Whether it takes part in no partition and has no migration under way.
    pub fn is_free(&self) -> bool {
        self.seat.is_none() && self.leaving.is_empty() && self.coming.is_empty()
    }

    /// The partition it is in, if any.
    pub fn partition(&self) -> Option<&Partition> {
        self.seat.as_ref().map(|seat| &seat.partition)
    }

    /// Whether its host is in no state to be reserved: unknown, or a machine is on the move.
    pub(super) fn is_unable(&self) -> bool {
        let moving = |host: &Host| host.migrations > 0;
        !self.leaving.is_empty() || !self.coming.is_empty() || self.host.as_ref().is_none_or(moving)
    }

    pub(super) fn is_overloaded(&self) -> bool {
        self.host.as_ref().is_some_and(Host::is_overloaded)
    }

    /// The seat, if it is one in this partition.
    pub(super) fn seat_in(&mut self, partition: Ballot) -> Option<&mut Seat> {
        let seat = self.seat.as_deref_mut();
        seat.filter(|seat| seat.partition.id == partition)
    }

    pub(super) fn next_epoch(&mut self) -> u64 {
        self.epoch += 1;
        self.epoch
    }

    /// A name for a partition or a plan that was never used and never will be again.
    pub(super) fn next_name(&mut self, turn: &mut Turn<'_>) -> Ballot {
        self.counter += 1;
        turn.effects.persist(Durable {
            counter: self.counter,
        });
        Ballot {
            counter: self.counter,
            leader: self.me,
        }
    }

    /// Says something to a peer, or does at once what it would say to itself.
    pub(super) fn tell(&mut self, turn: &mut Turn<'_>, to: PeerId, message: Message) {
        if to == self.me {
            self.on_message(turn, to, message);
        } else {
            turn.effects.send(to, message);
        }
    }

    /// Says the same to every other member.
    pub(super) fn tell_members(&self, turn: &mut Turn<'_>, of: &[PeerId], message: &Message) {
        for member in of.iter().filter(|member| **member != self.me) {
            turn.effects.send(*member, message.clone());
        }
    }

    /// Step 1: an overload was seen. A free node becomes initiator and sends its token off.
    fn begin(&mut self, turn: &mut Turn<'_>) {
        if self.seat.is_some() || !self.is_overloaded() {
            return;
        }
        if self.is_unable() {
            self.watch(turn);
            return;
        }
        let id = self.next_name(turn);
        let partition = Partition::new(id);
        turn.effects.emit(Event::Began {
            ballot: id,
            cause: Cause::Overload,
        });
        self.take_seat(turn, partition.clone(), Role::Idle);
        self.send_off(turn, partition);
    }

    /// Reserves this node.
    pub(super) fn take_seat(&mut self, turn: &mut Turn<'_>, partition: Partition, role: Role) {
        let id = partition.id;
        let stale = self.config.stale;
        turn.effects.emit(Event::Reserved {
            ballot: id,
            lease: stale,
        });
        turn.effects.schedule(stale, Timer::Stale { partition: id });
        self.seat = Some(Box::new(Seat {
            partition,
            role,
            heard: turn.now,
            locked: Instant::ORIGIN,
        }));
    }

    /// Frees this node. A leader tells the end of its partition.
    pub(super) fn leave_seat(&mut self, turn: &mut Turn<'_>, end: PartitionEnd) {
        let Some(seat) = self.seat.take() else {
            return;
        };
        let ballot = seat.partition.id;
        if seat.partition.leader == self.me {
            turn.effects.emit(Event::Ended {
                ballot,
                end,
                members: seat.partition.members.iter().copied().collect(),
            });
        }
        turn.effects.emit(Event::Freed { ballot });
        if let Role::Merging { token, .. } = seat.role {
            self.on_isp(turn, token);
        }
        self.watch(turn);
    }

    /// Frees all members and this node.
    pub(super) fn dissolve(&mut self, turn: &mut Turn<'_>, end: PartitionEnd) {
        let Some(seat) = &self.seat else {
            return;
        };
        let message = Message::Dissolve {
            partition: seat.partition.id,
            version: seat.partition.version,
            end,
        };
        self.tell_members(turn, &seat.partition.members, &message);
        self.leave_seat(turn, end);
    }

    /// Looks again later if the host is overloaded now.
    fn watch(&mut self, turn: &mut Turn<'_>) {
        if self.is_overloaded() && !self.watching {
            self.watching = true;
            turn.effects
                .schedule(self.until_next_look(turn.now), Timer::Monitor);
        }
    }

    /// The monitor looks at fixed times of its own, other than those of other nodes: overloads
    /// that were given up together are not tried again together.
    fn until_next_look(&self, now: Instant) -> Duration {
        let period = self.config.monitor.as_nanos().max(1);
        let since = u128::from(now.as_nanos()) + period - self.phase.as_nanos() % period;
        let left = period - since % period;
        Duration::from_nanos(u64::try_from(left).unwrap_or(u64::MAX))
    }

    /// Remembers how a migration ended here.
    pub(super) fn remember(&mut self, migration: MigrationId, end: MigrationEnd) {
        if self.over.len() == REMEMBERED {
            self.over.pop_front();
        }
        self.over.push_back((migration, end));
    }

    /// How a migration ended here, if it is remembered.
    pub(super) fn remembered(&self, migration: MigrationId) -> Option<MigrationEnd> {
        let mut over = self.over.iter().rev();
        over.find(|(known, _)| *known == migration)
            .map(|(_, end)| *end)
    }

    pub(super) fn on_message(&mut self, turn: &mut Turn<'_>, from: PeerId, message: Message) {
        match message {
            Message::Isp(token) => self.on_token(turn, token),
            Message::IsValid { partition, version } => {
                self.on_is_valid(turn, from, partition, version);
            }
            Message::Valid {
                partition,
                version,
                valid,
            } => self.on_valid(turn, partition, version, valid),
            Message::Announce { partition, report } => {
                self.on_announce(turn, from, partition, report);
            }
            Message::Report {
                partition,
                version,
                host,
            } => self.on_report(turn, from, (partition, version), host),
            Message::Snooze { partition, version } => self.on_snoozed(turn, partition, version),
            Message::Dissolve {
                partition,
                version,
                end,
            } => self.on_dissolve(turn, partition, version, end),
            Message::MayMerge {
                taken,
                version,
                taker: _,
            } => self.on_may_merge(turn, from, taken, version),
            Message::MergeAnswer { taken, answer } => self.on_merge_answer(turn, taken, answer),
            Message::Prepare(order) => self.on_prepare(turn, order),
            Message::Start(order) => self.on_start(turn, order),
            Message::Over { migration, end } => self.on_over(turn, migration, end),
            Message::Watch { migration } => self.on_watch(turn, from, migration),
            Message::Running { migration } => self.on_running(turn, migration),
            Message::Finished { migration, end } => self.on_finished(turn, migration, end),
        }
    }

    fn on_timer(&mut self, turn: &mut Turn<'_>, timer: Timer) {
        match timer {
            Timer::Monitor => {
                self.watching = false;
                self.begin(turn);
            }
            Timer::Stale { partition } => self.on_stale(turn, partition),
            Timer::Answer { epoch } => self.on_no_answer(turn, epoch),
            Timer::Snooze { epoch } => self.on_snooze(turn, epoch),
            Timer::Expecting { migration } => self.on_expecting(turn, migration),
        }
    }

    fn on_command(&mut self, turn: &mut Turn<'_>, command: Command) {
        match command {
            Command::Sample(host) => {
                self.host = Some(host);
                self.begin(turn);
            }
            Command::Neighbours { search, found } => {
                let next = found.first().map(|candidate| candidate.peer);
                turn.effects.emit(Event::SearchEnd { search });
                self.on_first_out(turn, search, next);
            }
            Command::Exhausted { search } => self.on_first_out(turn, search, None),
            Command::PeerFailed(dead) => self.on_failed(turn, dead),
            Command::MigrationEnded { migration, end } => {
                self.on_migration_ended(turn, migration, end);
            }
            Command::PeerJoined(_) | Command::Woken => {}
        }
    }

    /// A question or a piece of work took too long.
    fn on_no_answer(&mut self, turn: &mut Turn<'_>, epoch: u64) {
        match self.seat.as_ref().map(|seat| &seat.role) {
            Some(Role::Asking { epoch: asked }) if *asked == epoch => {
                // Published: an initiator that does not answer is dead.
                self.dissolve(turn, PartitionEnd::Expired);
            }
            Some(Role::Gathering { epoch: asked, .. }) if *asked == epoch => {
                self.on_members_silent(turn);
            }
            Some(Role::Merging { epoch: asked, .. }) if *asked == epoch => {
                self.give_up_merge(turn, true);
            }
            _ => {}
        }
    }
}

impl Protocol for Relay {
    type Peer = PeerId;
    type Message = Message;
    type Timer = Timer;
    type Command = Command;
    type Event = Event;
    type Durable = Durable;

    fn handle(&mut self, now: Instant, input: Input<Self>, effects: &mut Effects<Self>) {
        let mut turn = Turn { now, effects };
        match input {
            Input::Message { from, message } => self.on_message(&mut turn, from, message),
            Input::Timer(timer) => self.on_timer(&mut turn, timer),
            Input::Command(command) => self.on_command(&mut turn, command),
        }
        if cfg!(debug_assertions) {
            self.assert_invariants();
        }
    }
}
