//! The scheduler of one node: one dispatcher, and what concerns no partition.
//!
//! Every input first ends what has run out; then it is handled; then what the node said to itself
//! is handled. What peers do is never an error: what does not fit is an `Ignored` event.

use std::sync::Arc;

use luc_core::entropy::SplitMix64;
use luc_core::time::{Duration, Instant};
use luc_core::{Effects, Entropy, Input, PeerId, Protocol};

use super::flight::Flight;
use super::mood::Mood;
use super::outlook::Outlook;
use super::partition::Partition;
use super::reservation::{Request, Reservation};
use super::retry::Retry;
use super::turn::Turn;
use super::underload::Slumber;
use super::{Config, Durable, Message, Timer};
use crate::ballot::Ballot;
use crate::command::Command;
use crate::event::{Cause, Event};
use crate::host::{Cpu, Host, VmId};

/// Which part a node has in a partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    /// None.
    Free,
    /// It is lent to a leader.
    Reserved(Reservation),
    /// It leads.
    Leading(Box<Partition>),
}

/// A reservation that ran out without the leader's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lost {
    pub(super) ballot: Ballot,
    pub(super) at: Instant,
}

/// A machine that arrived lately and stays for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Arrival {
    pub(super) vm: VmId,
    pub(super) until: Instant,
}

/// The scheduler of one node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Star {
    pub(super) me: PeerId,
    pub(super) seed: u64,
    pub(super) config: Arc<Config>,
    /// The highest ballot accepted; kept over crashes.
    pub(super) promised: Ballot,
    /// The highest counter seen anywhere.
    pub(super) seen: u64,
    pub(super) host: Option<Arc<Host>>,
    /// When `host` was sampled.
    sampled: Instant,
    pub(super) role: Role,
    /// Steps that this node is an end of.
    pub(super) flights: Vec<Flight>,
    pub(super) arrivals: Vec<Arrival>,
    /// When the present event of this host was seen first.
    pub(super) event_since: Option<Instant>,
    pub(super) retry: Retry,
    pub(super) lost: Option<Lost>,
    pub(super) next_search: u64,
    /// A node that began again joins nobody before this time.
    pub(super) unready_until: Instant,
    pub(super) slumber: Slumber,
    pub(super) mood: Mood,
    pub(super) outlook: Outlook,
    advertised: Option<(i8, bool)>,
}

impl Star {
    /// A scheduler that has never run before.
    pub fn new(me: PeerId, seed: u64, config: Config) -> Self {
        let promised = Ballot {
            counter: 0,
            leader: me,
        };
        Self {
            me,
            seed: own_seed(me, seed),
            config: Arc::new(config),
            promised,
            seen: 0,
            host: None,
            sampled: Instant::ORIGIN,
            role: Role::Free,
            flights: Vec::new(),
            arrivals: Vec::new(),
            event_since: None,
            retry: Retry::default(),
            lost: None,
            next_search: 0,
            unready_until: Instant::ORIGIN,
            slumber: Slumber::default(),
            mood: Mood::default(),
            outlook: Outlook::default(),
            advertised: None,
        }
    }

    /// The same scheduler with what it kept over a crash, begun again at `now`. It does not know
    /// whom it was lent to, so it waits until any such lease is over.
    #[must_use]
    pub fn restored(mut self, durable: &Durable, now: Instant) -> Self {
        self.promised = durable.promised;
        self.seen = durable.promised.counter;
        self.unready_until = now + self.config.lease;
        self
    }

    /// Whether it takes part in no partition and has no migration under way.
    pub fn is_free(&self) -> bool {
        matches!(self.role, Role::Free) && !self.is_migrating()
    }

    /// The ballot of the partition that this node leads, if any: its name in facts.
    pub fn leads(&self) -> Option<Ballot> {
        match &self.role {
            Role::Leading(partition) => Some(partition.id),
            Role::Reserved(_) | Role::Free => None,
        }
    }

    /// The ballot that this node is reserved under, if any, as a member or as the leader.
    pub fn reserved_under(&self) -> Option<Ballot> {
        self.reservation().map(|(ballot, _)| ballot)
    }

    fn on_message(&mut self, turn: &mut Turn<'_>, from: PeerId, message: Message) {
        match message {
            Message::Reserve {
                ballot,
                claim,
                lease,
                taken,
            } => {
                let request = Request {
                    ballot,
                    claim,
                    lease,
                    taken,
                };
                self.on_reserve(turn, from, &request);
            }
            Message::Reserved { ballot, host } => self.on_reserved(turn, from, ballot, &host),
            Message::Refused { ballot, refusal } => self.on_refused(turn, from, ballot, refusal),
            Message::Renew {
                ballot,
                lease,
                round,
            } => self.on_renew(turn, from, (ballot, round), lease),
            Message::Renewed {
                ballot,
                round,
                steps,
            } => self.on_renewed(turn, from, (ballot, round), &steps),
            Message::Parted { ballot } => self.on_parted(turn, from, ballot),
            Message::Release { ballot } => self.on_release(turn, ballot),
            Message::Start { order } => self.on_start(turn, from, order),
            Message::Prepare { order } => self.on_prepare(turn, from, order),
            Message::Prepared { migration } => self.on_prepared(turn, from, migration),
            Message::Declined { migration, cancel } => {
                self.on_declined(turn, from, migration, cancel);
            }
            Message::Progressed {
                migration,
                progress,
            } => self.on_progressed(turn, from, migration, progress),
            Message::Absorb {
                ballot,
                claim,
                taken,
            } => self.on_absorb(turn, from, ballot, (claim, taken)),
            Message::Yielded {
                ballot,
                taken,
                members,
            } => self.on_yielded(turn, from, (ballot, taken), &members),
        }
    }

    fn on_timer(&mut self, turn: &mut Turn<'_>, timer: Timer) {
        match timer {
            Timer::Answers { partition, round } => self.on_answers_timer(turn, partition, round),
            Timer::Phase { partition, phase } => self.on_phase_timer(turn, partition, phase),
            Timer::Renew { partition } => self.on_renew_timer(turn, partition),
            Timer::Lease { ballot } => self.on_lease_timer(turn, ballot),
            Timer::Prepare { migration } => self.on_prepare_timer(turn, migration),
            Timer::Expected { migration } => self.on_expected_timer(turn, migration),
            Timer::Retry { epoch } => self.on_retry_timer(turn, epoch),
            Timer::Idle { epoch } => self.on_idle_timer(turn, epoch),
        }
    }

    fn on_command(&mut self, turn: &mut Turn<'_>, command: Command) {
        match command {
            Command::Sample(host) => self.on_sample(turn, host),
            Command::Neighbours { search, found } => self.on_neighbours(turn, search, &found),
            Command::Exhausted { search } => self.on_exhausted(turn, search),
            Command::PeerFailed(peer) => self.on_peer_failed(turn, peer),
            Command::PeerJoined(peer) => self.on_peer_joined(turn, peer),
            Command::MigrationEnded { migration, end } => {
                self.on_migration_ended(turn, migration, end);
            }
            Command::Woken => self.on_woken(turn),
        }
    }

    fn on_sample(&mut self, turn: &mut Turn<'_>, host: Host) {
        if host.peer != self.me {
            return turn.ignore("sample", "of another host");
        }
        self.retry.note_demand(host.demand());
        if let (Some(_), Some(before)) = (&self.config.energy, &self.host) {
            self.mood.observe(before, &host);
        }
        self.advertise(turn, &host);
        self.host = Some(Arc::new(host));
        self.sampled = turn.now;
        self.note_arrivals(turn.now);
        self.note_need(turn);
        self.watch_idleness(turn);
        self.look_ahead(turn);
        self.evaluate(turn);
    }

    /// Tells others how much room there is, when it changed enough to matter.
    fn advertise(&mut self, turn: &mut Turn<'_>, host: &Host) {
        let hint = (
            room_of(host, self.config.energy.is_some()),
            self.slumber.is_leaving(),
        );
        let matters = self.advertised.is_none_or(|(room, asleep)| {
            let changed = room.abs_diff(hint.0) >= 5 || (room < 0) != (hint.0 < 0);
            changed || asleep != hint.1
        });
        if matters {
            self.advertised = Some(hint);
            let (room, asleep) = hint;
            turn.emit(Event::Advertise { room, asleep });
        }
    }

    /// The next sample is advertised whatever it says.
    pub(super) fn forget_advertised(&mut self) {
        self.advertised = None;
    }

    /// Looks whether this host needs help, and begins a partition if it may.
    pub(super) fn evaluate(&mut self, turn: &mut Turn<'_>) {
        let Some(cause) = self.need() else {
            self.event_since = None;
            self.retry.succeeded();
            return;
        };
        self.event_since.get_or_insert(turn.now);
        let free = matches!(self.role, Role::Free) && !self.is_migrating();
        let waits = turn.now < self.retry.not_before || turn.now < self.unready_until;
        if free && !waits && !self.slumber.is_leaving() {
            self.begin(turn, cause);
        }
    }

    /// What this host needs help for.
    pub(super) fn need(&self) -> Option<Cause> {
        let host = self.host.as_ref()?;
        if self.exceeds(host) {
            Some(Cause::Overload)
        } else if host.maintenance && !host.vms.is_empty() {
            Some(Cause::Maintenance)
        } else {
            None
        }
    }

    /// The host as last sampled, with the cool-downs as they are now.
    pub(super) fn host_now(&self, now: Instant) -> Option<Arc<Host>> {
        let host = self.host.as_ref()?;
        let arrived = self.arrivals.iter().any(|arrival| arrival.until > now);
        if !arrived && host.vms.iter().all(|vm| vm.cool_down.is_zero()) {
            return Some(host.clone());
        }
        let mut host = host.as_ref().clone();
        let passed = now.since(self.sampled);
        for vm in &mut host.vms {
            let own = self.arrivals.iter().find(|arrival| arrival.vm == vm.id);
            let own = own.map_or(Duration::ZERO, |arrival| arrival.until.since(now));
            vm.cool_down = vm.cool_down.saturating_sub(passed).max(own);
        }
        Some(Arc::new(host))
    }

    /// The machine is gone; the next sample will say so too.
    pub(super) fn forget_vm(&mut self, vm: VmId) {
        if let Some(host) = &mut self.host {
            Arc::make_mut(host).vms.retain(|other| other.id != vm);
        }
    }

    fn on_peer_failed(&mut self, turn: &mut Turn<'_>, peer: PeerId) {
        let Role::Leading(partition) = &mut self.role else {
            return turn.ignore("peer failed", "leads nothing");
        };
        if partition.answered(peer).is_some() {
            return self.decide_when_answered(turn);
        }
        if partition.is_member(peer) {
            return self.lose_member(turn, peer);
        }
        turn.ignore("peer failed", "not a member");
    }

    fn on_peer_joined(&mut self, turn: &mut Turn<'_>, peer: PeerId) {
        self.note_awake(peer);
        if self.need().is_some() && turn.now < self.retry.not_before {
            self.retry.succeeded();
            self.evaluate(turn);
        } else {
            turn.ignore("peer joined", "no event waits for room");
        }
    }

    fn on_retry_timer(&mut self, turn: &mut Turn<'_>, epoch: u32) {
        if epoch != self.retry.epoch {
            return turn.ignore("retry timer", "of an earlier wait");
        }
        self.evaluate(turn);
    }

    /// No solution: waits longer each time.
    pub(super) fn back_off(&mut self, turn: &mut Turn<'_>, capped: bool) {
        let demand = self.host.as_ref().map(|host| host.demand());
        let tried = (demand.unwrap_or_default(), capped);
        let mut wait = self
            .retry
            .failed(&self.config, tried, (turn.now, self.seed));
        if let Some(sooner) = self.wake_retry() {
            wait = self.retry.wait(sooner.min(wait), turn.now, self.seed);
        }
        let epoch = self.retry.epoch;
        turn.schedule(wait, Timer::Retry { epoch });
    }

    /// Others are in the way: tries again soon, if it has not done so often. Whether it does.
    pub(super) fn retry_soon(&mut self, turn: &mut Turn<'_>) -> bool {
        let Some(wait) = self.retry.soon(turn.now, self.seed) else {
            return false;
        };
        let epoch = self.retry.epoch;
        turn.schedule(wait, Timer::Retry { epoch });
        true
    }

    /// The plan failed on the way: tries again soon, with fresh samples.
    pub(super) fn try_soon(&mut self, turn: &mut Turn<'_>) {
        let wait = self.config.prepare_max / 2;
        let wait = self.retry.wait(wait, turn.now, self.seed);
        let epoch = self.retry.epoch;
        turn.schedule(wait, Timer::Retry { epoch });
    }
}

impl Protocol for Star {
    type Peer = PeerId;
    type Message = Message;
    type Timer = Timer;
    type Command = Command;
    type Event = Event;
    type Durable = Durable;

    fn handle(&mut self, now: Instant, input: Input<Self>, effects: &mut Effects<Self>) {
        let mut turn = Turn::new(now, self.me, effects);
        self.expire(&mut turn);
        match input {
            Input::Message { from, message } => self.on_message(&mut turn, from, message),
            Input::Timer(timer) => self.on_timer(&mut turn, timer),
            Input::Command(command) => self.on_command(&mut turn, command),
        }
        while let Some(message) = turn.next_own() {
            self.on_message(&mut turn, self.me, message);
        }
        if cfg!(debug_assertions) {
            self.assert_invariants(now);
        }
    }
}

/// A seed of this node alone: nodes that were given the same one must not act in step.
fn own_seed(me: PeerId, seed: u64) -> u64 {
    let site = me.site.as_bytes().iter();
    let site = site.fold(0, |bits: u64, byte| bits << 8 | u64::from(*byte));
    let site = SplitMix64::new(seed ^ site).next_u64();
    SplitMix64::new(site ^ me.node).next_u64()
}

/// Room in whole per cent of the processor capacity. A full host says less than nothing: zero
/// means that nothing is known.
fn room_of(host: &Host, energy: bool) -> i8 {
    let capacity = i64::from(host.capacity.cpu.0).max(1);
    // Where hosts sleep, a machine on its way must not count twice: that looks like a tide.
    let coming = if energy { host.incoming.cpu } else { Cpu(0) };
    let free = i64::from(host.capacity.cpu.0) - i64::from(host.demand().minus(coming).0);
    let room = (free * 100 / capacity).clamp(-100, 100) as i8;
    if room == 0 || host.maintenance {
        super::growth::FULL
    } else {
        room
    }
}
