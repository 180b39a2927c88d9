//! Putting hosts to sleep, and waking them.
//!
//! ```text
//! Awake ──idle for a while──▶ (partition: empty me) ──emptied──▶ Leaving ──▶ asleep
//!   ▲                                                                          │
//!   └──────────────────────────────── woken ───────────────────────────────────┘
//! ```
//!
//! A host looks how many hosts are needed for what all are asked for: if so many are fuller than
//! itself, it empties itself into those, which stay awake, with room for the moods of their
//! machines (the solver's risk). So no machine moves to a host that is emptied next. To leave, a
//! host needs a neighbour of its site that is awake and lent to it at that moment: so no two leave
//! into each other's care, and the last awake host of a site never sleeps.
//!
//! Energy was never measured for DVMS; this is ours (compare Entropy and FFD, IC2E'17).

use luc_core::entropy::SplitMix64;
use luc_core::time::{Duration, Instant};
use luc_core::{Entropy as _, PeerId};

use super::flight::Flight;
use super::mood::Mood;
use super::outlook::{Outlook, View};
use super::protocol::{Role, Star};
use super::turn::Turn;
use super::{Energy, Message, Timer};
use crate::command::Candidate;
use crate::event::{Cause, Event, PartitionEnd};
use crate::host::Host;

/// How many sleeping neighbours are remembered.
const SLEEPERS: usize = 16;
/// How long a node that was woken is asked first.
const WAKING: Duration = Duration::from_secs(180);
/// How often an unsolved event is tried while somebody wakes.
const WAKE_RETRY: Duration = Duration::from_secs(5);
/// How long others may take to learn that a node is about to sleep.
const FAREWELL: Duration = Duration::from_secs(3);

/// What the neighbours advertised when this host wanted to sleep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Chance {
    /// Those awake that are asked for more than this host, the fullest first.
    fuller: Vec<Candidate>,
    /// What all are asked for, in per cent of a host.
    sum: u32,
    /// How many there are, those that sleep counted.
    all: u32,
}

/// Whether the host stays awake, and what it knows of those who do not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Slumber {
    /// It is empty and about to be powered down, or is down already.
    leaving: bool,
    /// Awake since then; it stays so for a while.
    awake_since: Instant,
    /// Makes earlier timers stale.
    epoch: u32,
    /// Whether a timer is on its way.
    watching: bool,
    /// How often in a row nobody could take this host's machines in.
    failures: u32,
    /// Neighbours known to sleep.
    sleepers: Vec<PeerId>,
    /// Neighbours that were woken by this node, and when.
    waking: Vec<(PeerId, Instant)>,
    /// Why it may sleep.
    chance: Chance,
}

impl Slumber {
    /// Whether it is about to sleep or sleeps.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// Remembers a neighbour that sleeps.
    pub(super) fn note_sleeper(&mut self, peer: PeerId) {
        let known = self.sleepers.contains(&peer);
        if !known && self.sleepers.len() < SLEEPERS {
            self.sleepers.push(peer);
        }
    }

    /// Whether this node has woken a neighbour lately.
    pub(super) fn is_waking(&self, peer: PeerId) -> bool {
        self.waking.iter().any(|(waking, _)| *waking == peer)
    }

    pub(super) fn forget(&mut self, peer: PeerId) {
        self.sleepers.retain(|sleeper| *sleeper != peer);
        self.waking.retain(|(waking, _)| *waking != peer);
    }
}

impl Star {
    /// The plan to empty this host is over, or there was nothing to move.
    pub(super) fn emptied(&mut self, turn: &mut Turn<'_>) {
        let empty = self.host.as_ref().is_some_and(|host| host.vms.is_empty());
        let busy = self.flights.iter().any(Flight::is_open);
        if !empty || busy {
            self.stay_awake(turn);
            return self.end(turn, PartitionEnd::Unsolved);
        }
        self.slumber.leaving = true;
        self.slumber.failures = 0;
        turn.emit(Event::Advertise {
            room: 0,
            asleep: true,
        });
        self.end(turn, PartitionEnd::Solved);
        self.watch(turn, FAREWELL);
    }

    /// Nobody could take this host's machines in: wait longer before the next try.
    pub(super) fn stay_awake(&mut self, turn: &mut Turn<'_>) {
        self.slumber.failures = self.slumber.failures.saturating_add(1);
        let wait = self.patience();
        self.watch(turn, wait);
    }

    fn watch(&mut self, turn: &mut Turn<'_>, wait: Duration) {
        self.slumber.epoch = self.slumber.epoch.wrapping_add(1);
        self.slumber.watching = true;
        let epoch = self.slumber.epoch;
        turn.schedule(wait, Timer::Idle { epoch });
    }

    /// How long to wait before looking for a chance to sleep: the more there is to move, and the
    /// more often it failed, the longer; with jitter, so that neighbours do not try at once.
    fn patience(&self) -> Duration {
        let period = self
            .config
            .energy
            .as_ref()
            .map_or(Duration::MAX, |energy| energy.period);
        let load = self.host.as_deref().map_or(0, usual_permille);
        let drawn = SplitMix64::new(self.seed ^ u64::from(self.slumber.epoch) << 32).next_u64();
        // Half a period to one and a half, four times that for a full host.
        let weight = (512 + drawn % 1024) * (1000 + 4 * u64::from(load.min(1000))) / 1024;
        let doubled = period.saturating_mul(1 << self.slumber.failures.min(2));
        doubled.saturating_mul(weight as u32) / 1000
    }

    /// Begins to look for chances to sleep, once.
    pub(super) fn watch_idleness(&mut self, turn: &mut Turn<'_>) {
        if self.config.energy.is_some() && !self.slumber.watching {
            let wait = self.patience();
            self.watch(turn, wait);
        }
    }

    pub(super) fn on_idle_timer(&mut self, turn: &mut Turn<'_>, epoch: u32) {
        if epoch != self.slumber.epoch {
            return turn.ignore("idle timer", "of an earlier wait");
        }
        let Some(energy) = self.config.energy.clone() else {
            return turn.ignore("idle timer", "no host sleeps here");
        };
        if self.slumber.leaving {
            return self.leave(turn);
        }
        let wait = self.patience();
        self.watch(turn, wait);
        if self.may_sleep(turn.now, &energy) {
            self.look(turn, true);
        }
    }

    /// Whether a host that wants to sleep may, by what its neighbours advertise: those who stay
    /// must be enough for all, and be fuller. Then its machines go to them.
    pub(super) fn sleep_beside(&mut self, turn: &mut Turn<'_>, view: &View) {
        let Some(energy) = self.config.energy.clone() else {
            return;
        };
        if !self.may_sleep(turn.now, &energy) {
            return;
        }
        let stays = |one: &&Candidate| !one.asleep && one.peer.site == self.me.site;
        let mut fuller: Vec<Candidate> = view.found.iter().filter(stays).copied().collect();
        fuller.retain(|one| view.is_fuller(one, self.me));
        fuller.sort_by_key(|one| (one.room, one.peer));
        self.slumber.chance = Chance {
            fuller,
            sum: view.sum,
            all: view.all(),
        };
        self.begin(turn, Cause::Underload);
    }

    /// Those who may take in the machines of this host, for the partition that begins.
    pub(super) fn hosts_to_ask(&self) -> Vec<Candidate> {
        let fuller = self.slumber.chance.fuller.iter();
        fuller.filter(|one| one.room > 0).copied().collect()
    }

    /// Leaves this host and those that stay awake if it sleeps, the fullest; none if it has to
    /// stay too.
    pub(super) fn keep_staying(
        &self,
        hosts: &mut Vec<Host>,
        distance: &mut Vec<Duration>,
    ) -> Option<()> {
        let deviations = self.config.energy.as_ref()?.sleep_deviations;
        let chance = &self.slumber.chance;
        let moods = self.moods_soon(hosts);
        let needed = self.needed((chance.sum, chance.all), &moods, deviations);
        let staying = chance.fuller.get(..needed)?;
        let stays =
            |host: &Host| host.peer == self.me || staying.iter().any(|one| one.peer == host.peer);
        let mut kept = hosts.iter().map(stays);
        distance.retain(|_| kept.next().unwrap_or(false));
        hosts.retain(stays);
        Some(())
    }

    fn may_sleep(&self, now: Instant, energy: &Energy) -> bool {
        let rested = now.since(self.slumber.awake_since) >= energy.awake_min;
        let free = matches!(self.role, Role::Free) && !self.is_migrating();
        let Some(host) = &self.host else {
            return false;
        };
        let settled = self.host_now(now).is_some_and(|host| {
            let mut vms = host.vms.iter();
            vms.all(|vm| vm.cool_down.is_zero())
        });
        let idle = usual_permille(host) <= energy.busy_permille;
        // Each machine to move must buy enough sleep; a host sleeps an hour or more as a rule.
        let pays = energy.sleep_per_move.saturating_mul(host.vms.len() as u32) <= energy.sleep;
        let kept = host.vigil || host.maintenance || self.need().is_some();
        rested && free && settled && idle && pays && !kept && now >= self.unready_until
    }

    /// Everybody has been told: power down, unless something came in between.
    fn leave(&mut self, turn: &mut Turn<'_>) {
        let empty = self.host.as_ref().is_some_and(|host| host.vms.is_empty());
        if empty && self.is_free() {
            turn.emit(Event::Sleep);
        } else {
            self.slumber.leaving = false;
            self.forget_advertised();
            self.stay_awake(turn);
        }
    }

    pub(super) fn on_woken(&mut self, turn: &mut Turn<'_>) {
        self.slumber.leaving = false;
        self.mood = Mood::default();
        self.outlook = Outlook::default();
        self.slumber.awake_since = turn.now;
        self.slumber.failures = 0;
        self.slumber.watching = false;
        self.forget_advertised();
        self.watch_idleness(turn);
    }

    pub(super) fn note_awake(&mut self, peer: PeerId) {
        self.slumber.forget(peer);
    }

    /// A member whose own host needs help parts from a partition that only wants to save energy.
    pub(super) fn note_need(&mut self, turn: &mut Turn<'_>) {
        if self.need() != Some(Cause::Overload) {
            return;
        }
        if let Role::Reserved(reservation) = &self.role
            && reservation.cause() == Cause::Underload
        {
            let ballot = reservation.ballot;
            turn.post(ballot.leader, Message::Parted { ballot });
            self.free(turn);
        }
    }

    /// Asks those who were woken lately, before anybody else.
    pub(super) fn ask_waking(&mut self, turn: &mut Turn<'_>) {
        self.slumber
            .waking
            .retain(|(_, at)| turn.now.since(*at) < WAKING);
        for (peer, _) in self.slumber.waking.clone() {
            self.ask(turn, peer, Duration::ZERO, None);
        }
    }

    /// Whether an event without solution may hope for somebody who wakes, and how soon to retry.
    pub(super) fn wake_retry(&self) -> Option<Duration> {
        (!self.slumber.waking.is_empty()).then_some(WAKE_RETRY)
    }

    /// Wakes these neighbours.
    pub(super) fn wake(&mut self, turn: &mut Turn<'_>, peers: &[PeerId]) {
        for peer in peers {
            self.slumber.forget(*peer);
            self.slumber.waking.push((*peer, turn.now));
            self.outlook.woke(turn.now);
            turn.emit(Event::Wake(*peer));
        }
    }

    /// A sleeping neighbour may help where those awake could not.
    pub(super) fn wake_somebody(&mut self, turn: &mut Turn<'_>) {
        let site = self.me.site;
        let mut near = self
            .slumber
            .sleepers
            .iter()
            .filter(|peer| peer.site == site);
        let count = near.clone().count() as u64;
        if self.config.energy.is_none() || count == 0 || self.slumber.waking.len() >= 2 {
            return;
        }
        // Leaders that wake at the same time should not all wake the same one.
        let drawn = SplitMix64::new(self.seed ^ turn.now.as_nanos()).next_u64() % count;
        if let Some(peer) = near.nth(drawn as usize).copied() {
            self.wake(turn, &[peer]);
        }
    }
}

/// What a host's machines ask for, in thousandths of what it has; if that rises, what it rises to.
fn usual_permille(host: &Host) -> u16 {
    let usual: u64 = host.vms.iter().map(|vm| u64::from(vm.usual.0)).sum();
    let demand = u64::from(host.demand().0);
    let ahead = demand.max((2 * demand).saturating_sub(usual));
    (ahead * 1000 / u64::from(host.capacity.cpu.0).max(1)).min(1000) as u16
}

#[cfg(test)]
impl Star {
    /// The latest wait, for tests that let it pass.
    pub(super) fn slumber_epoch(&self) -> u32 {
        self.slumber.epoch
    }
}
