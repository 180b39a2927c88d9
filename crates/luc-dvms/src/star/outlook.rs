//! Looking ahead where hosts sleep: waking takes a minute, so it begins before it is needed.
//!
//! A host that is well used asks the overlay, now and then, for the neighbours and the room they
//! advertise; nobody is reserved for it. Where all of them together leave too little room for the
//! moods of their machines, one of those that sleep is woken, and until that has settled the hosts
//! that woke somebody keep some room free themselves, so that machines spread before they starve.

use luc_core::time::{Duration, Instant};

use super::growth::FULL;
use super::protocol::Star;
use super::turn::Turn;
use crate::command::{Candidate, SearchId};
use crate::event::Event;
use crate::host::{Cpu, Host};

/// How many neighbours are looked at.
const LOOK: u16 = 64;
/// How often.
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// How long a host that woke somebody waits before it wakes another.
const WAKE_EVERY: Duration = Duration::from_secs(120);
/// How long it keeps room free after that.
const SPREADING: Duration = Duration::from_secs(300);

/// What a host knows of the near future of its neighbourhood.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Outlook {
    /// The search that is open for it.
    look: Option<SearchId>,
    next_look: Instant,
    next_wake: Instant,
    spreading_until: Instant,
    /// Whether machines are spread now, with room kept free.
    spreading: bool,
}

impl Outlook {
    /// Somebody has been woken.
    pub(super) fn woke(&mut self, now: Instant) {
        self.next_wake = now + WAKE_EVERY;
        self.spreading_until = now + SPREADING;
        self.spreading = true;
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, now: Instant) {
        self.spreading = now < self.spreading_until;
    }
}

impl Star {
    /// Asks for the neighbours' room, if this host is well used and has not asked lately.
    pub(super) fn look_ahead(&mut self, turn: &mut Turn<'_>) {
        let Some(host) = &self.host else { return };
        let used = host.demand().0 >= host.capacity.cpu.0 / 2;
        if self.config.energy.is_none() || !used || turn.now < self.outlook.next_look {
            return;
        }
        if let Some(search) = self.outlook.look.take() {
            turn.emit(Event::SearchEnd { search });
        }
        let search = SearchId(self.next_search);
        self.next_search += 1;
        self.outlook.look = Some(search);
        self.outlook.next_look = turn.now + LOOK_EVERY;
        turn.emit(Event::Search {
            search,
            outside: [self.me].into(),
            count: LOOK,
        });
    }

    /// Whether an answer of the overlay belongs to a look ahead; then it is dealt with.
    pub(super) fn looked(
        &mut self,
        turn: &mut Turn<'_>,
        search: SearchId,
        found: &[Candidate],
    ) -> bool {
        if self.outlook.look != Some(search) {
            return false;
        }
        self.outlook.look = None;
        if !found.is_empty() {
            turn.emit(Event::SearchEnd { search });
        }
        for candidate in found.iter().filter(|candidate| candidate.asleep) {
            self.slumber.note_sleeper(candidate.peer);
        }
        if let (Some(host), Some(energy)) = (&self.host, &self.config.energy) {
            let mean = mean_demand(host, found);
            if turn.now >= self.outlook.next_wake && self.is_short(mean, energy.look_deviations) {
                self.wake_somebody(turn);
            }
        }
        true
    }

    /// Whether hosts that are asked for `demand` have too little room for the moods of their
    /// machines: less than so many hundredths of a deviation.
    fn is_short(&self, demand: Cpu, deviations: u16) -> bool {
        let Some(host) = &self.host else { return false };
        let moods = self.mood.of_sum(host, demand);
        let moods = u64::from(moods.0) * u64::from(deviations) / 100;
        u64::from(demand.0) + moods > u64::from(host.capacity.cpu.0)
    }

    /// At a leader whose host was overloaded: wakes somebody if that was no accident, because all
    /// that are reserved have little room.
    pub(super) fn wake_if_short(&mut self, turn: &mut Turn<'_>, hosts: &[Host]) {
        let Some(deviations) = self
            .config
            .energy
            .as_ref()
            .map(|energy| energy.wake_deviations)
        else {
            return;
        };
        let demand: Cpu = hosts.iter().map(Host::demand).sum();
        let mean = Cpu(demand.0 / hosts.len().max(1) as u32);
        if turn.now >= self.outlook.next_wake && self.is_short(mean, deviations) {
            self.wake_somebody(turn);
        }
    }

    /// Whether the others would still have room for moods without this host, the first of `hosts`.
    pub(super) fn is_spare(&self, hosts: &[Host]) -> bool {
        let Some(energy) = &self.config.energy else {
            return false;
        };
        let usual = |host: &Host| host.vms.iter().map(|vm| vm.usual).sum::<Cpu>();
        let demand: Cpu = hosts
            .iter()
            .map(|host| host.demand().max(usual(host)))
            .sum();
        let others = hosts.len().saturating_sub(1).max(1) as u32;
        !self.is_short(Cpu(demand.0 / others), energy.sleep_deviations)
    }

    /// What this host keeps free, of the capacity of each host it plans for.
    pub(super) fn headroom(&self) -> Cpu {
        let (Some(host), Some(energy)) = (&self.host, &self.config.energy) else {
            return Cpu(0);
        };
        if !self.outlook.spreading {
            return Cpu(0);
        }
        let moods = self.mood.of_sum(host, host.demand());
        Cpu(moods.0 * u32::from(energy.spread_deviations) / 100)
    }

    /// Whether a host asks for more than it should, in this node's eyes.
    pub(super) fn exceeds(&self, host: &Host) -> bool {
        host.demand() > host.capacity.cpu.minus(self.headroom())
    }
}

/// What a host of the neighbourhood is asked for on average, by what those awake advertise.
fn mean_demand(host: &Host, found: &[Candidate]) -> Cpu {
    let capacity = u64::from(host.capacity.cpu.0);
    let awake = found
        .iter()
        .filter(|candidate| !candidate.asleep && candidate.room != 0)
        .map(|candidate| {
            capacity * (100 - i64::from(candidate.room.clamp(FULL, 100))) as u64 / 100
        });
    let count = awake.clone().count() as u64 + 1;
    Cpu(((awake.sum::<u64>() + u64::from(host.demand().0)) / count) as u32)
}
