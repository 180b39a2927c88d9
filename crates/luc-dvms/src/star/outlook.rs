//! Looking ahead where hosts sleep: waking takes a minute, so it begins before it is needed.
//!
//! Every host asks the overlay, now and then, for the neighbours and the room they advertise;
//! nobody is reserved for it. From one look to the next it sees where the demand of all goes, and
//! takes the tide to go on as long as machines take to change. Where those awake are too few for
//! what is to come, each wakes its share of those that sleep, and until that has settled hosts keep
//! room free for it, so that machines spread before they starve.

use luc_core::PeerId;
use luc_core::time::{Duration, Instant};

use super::Energy;

use super::growth::FULL;
use super::mood::{Mood, PERIOD};
use super::protocol::Star;
use super::turn::Turn;
use crate::command::{Candidate, SearchId};
use crate::event::Event;
use crate::host::{Cpu, Host};

/// How many neighbours are looked at.
const LOOK: u16 = 64;
/// How often.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How far back looks are compared to tell where demand goes.
const TREND: Duration = Duration::from_secs(55);
/// Thousandths of the present demand that will be asked for soon, from which a tide rises, and
/// below which it falls.
const RISING: u32 = 1350;
const LEAST: i64 = 400;
const FALLING: u32 = 800;
const TREND_MIN: Duration = Duration::from_secs(28);
/// How long a host that woke somebody waits before it wakes another.
const WAKE_EVERY: Duration = Duration::from_secs(120);
/// How long it keeps room free after that.
const SPREADING: Duration = Duration::from_secs(300);

/// What a host knows of the near future of its neighbourhood.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Outlook {
    /// The search that is open for it.
    look: Option<(SearchId, bool)>,
    /// What was asked of all hosts at the last looks, in thousandths.
    seen: Vec<(Instant, u32)>,
    next_look: Instant,
    next_wake: Instant,
    spreading_until: Instant,
    /// Whether machines are spread now, with room kept free.
    spreading: bool,
    /// What all machines will ask for soon, in thousandths of what they ask for now.
    rise: u32,
}

impl Outlook {
    /// Somebody has been woken.
    pub(super) fn woke(&mut self, now: Instant) {
        self.next_wake = now + WAKE_EVERY;
    }

    /// Remembers what is asked of all hosts.
    fn note(&mut self, now: Instant, permille: u32) {
        self.seen.retain(|(at, _)| now.since(*at) < TREND);
        self.seen.push((now, permille));
    }

    /// What will be asked of all hosts when each machine has changed once, compared with now, in
    /// thousandths: the tide goes on as long as machines take to change.
    fn soon(&self, period: Duration) -> u32 {
        let (Some(first), Some(last)) = (self.seen.first(), self.seen.last()) else {
            return 1000;
        };
        let passed = last.0.since(first.0);
        if passed < TREND_MIN {
            return 1000;
        }
        let (passed, period) = (passed.as_millis() as i64, period.as_millis() as i64);
        let (first, last) = (i64::from(first.1), i64::from(last.1).max(1));
        let more = (last - first) * period / passed;
        let soon = (last + more) * 1000 / last;
        soon.clamp(LEAST, 5000) as u32
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, now: Instant) {
        self.spreading = now < self.spreading_until;
    }
}

/// What the neighbours advertise.
pub(super) struct View {
    /// All neighbours, those that sleep too.
    pub(super) found: Vec<Candidate>,
    /// What this host is asked for and what all who are awake are, in per cent of a host.
    own: u32,
    pub(super) sum: u32,
    /// How many are awake, this host counted.
    awake: u32,
}

impl View {
    fn new(host: &Host, found: &[Candidate]) -> Self {
        let own = 100 * host.vms.iter().map(|vm| vm.demand.0).sum::<u32>();
        let own = own / host.capacity.cpu.0.max(1);
        let awake = found.iter().filter(|one| !one.asleep && one.room != 0);
        Self {
            own,
            sum: own + awake.clone().map(used).sum::<u32>(),
            awake: awake.count() as u32 + 1,
            found: found.to_vec(),
        }
    }

    /// Whether a neighbour is asked for more than this host, `me`.
    pub(super) fn is_fuller(&self, one: &Candidate, me: PeerId) -> bool {
        (used(one), one.peer) > (self.own, me)
    }

    /// Whether somebody who is awake is asked for less than half of what is usual among them.
    fn has_idle(&self) -> bool {
        let mut awake = self.found.iter().filter(|one| !one.asleep && one.room != 0);
        awake.any(|one| used(one) * 2 * self.awake < self.sum)
    }

    /// How many hosts there are, this one and those that sleep counted.
    pub(super) fn all(&self) -> u32 {
        self.found.len() as u32 + 1
    }

    /// What all machines ask for, in thousandths of all hosts, asleep or not.
    fn permille(&self) -> u32 {
        self.sum * 10 / (self.found.len() as u32 + 1)
    }
}

/// What a neighbour is asked for, in per cent of what it has.
fn used(one: &Candidate) -> u32 {
    (100 - i32::from(one.room.clamp(FULL, 100))) as u32
}

impl Star {
    /// Asks for the neighbours' room, if this host has not asked lately.
    pub(super) fn look_ahead(&mut self, turn: &mut Turn<'_>) {
        if self.config.energy.is_some() && turn.now >= self.outlook.next_look {
            self.look(turn, false);
        }
    }

    /// Asks for the neighbours' room; `to_sleep` if they may allow this host to sleep.
    pub(super) fn look(&mut self, turn: &mut Turn<'_>, to_sleep: bool) {
        if let Some((search, _)) = self.outlook.look.take() {
            turn.emit(Event::SearchEnd { search });
        }
        let search = SearchId(self.next_search);
        self.next_search += 1;
        self.outlook.look = Some((search, to_sleep));
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
        let Some((_, to_sleep)) = self.outlook.look.take_if(|look| look.0 == search) else {
            return false;
        };
        if !found.is_empty() {
            turn.emit(Event::SearchEnd { search });
        }
        for candidate in found.iter().filter(|candidate| candidate.asleep) {
            self.slumber.note_sleeper(candidate.peer);
        }
        let (Some(host), Some(energy)) = (&self.host, self.config.energy.clone()) else {
            return true;
        };
        let view = View::new(host, found);
        self.outlook.note(turn.now, view.permille());
        self.outlook.rise = self.outlook.soon(PERIOD);
        if (FALLING..RISING).contains(&self.outlook.rise) {
            self.outlook.rise = 1000;
        } else if self.outlook.rise >= RISING && view.has_idle() {
            self.outlook.spreading_until = turn.now + SPREADING;
        }
        if self.mood.is_known() {
            self.wake_ahead(turn, &view, &energy);
        }
        if to_sleep {
            self.sleep_beside(turn, &view);
        }
        true
    }

    /// Wakes this host's share of those that will be needed soon.
    fn wake_ahead(&mut self, turn: &mut Turn<'_>, view: &View, energy: &Energy) {
        let needed = self.needed((view.sum, view.all()), &self.mood, energy.look_deviations) as u32;
        let missing = needed.saturating_sub(view.awake);
        let sleepers = view.found.iter().filter(|one| one.asleep);
        let mut sleepers: Vec<PeerId> = sleepers.map(|one| one.peer).collect();
        sleepers.retain(|peer| peer.site == self.me.site);
        sleepers.sort();
        sleepers.truncate(missing as usize);
        let before = |one: &&Candidate| !one.asleep && one.peer < self.me;
        let rank = view.found.iter().filter(before).count();
        let share: Vec<PeerId> = sleepers
            .into_iter()
            .skip(rank)
            .step_by(view.awake as usize)
            .filter(|peer| !self.slumber.is_waking(*peer))
            .collect();
        self.wake(turn, &share);
    }

    /// How many hosts will be needed for what the awake ones are asked for, with room for so many
    /// hundredths of a deviation of it.
    pub(super) fn needed(&self, (sum, all): (u32, u32), mood: &Mood, deviations: u16) -> usize {
        let Some(host) = &self.host else {
            return usize::MAX;
        };
        let capacity = u64::from(host.capacity.cpu.0);
        let now = u64::from(sum) * capacity / 100;
        let ahead = now * u64::from(self.outlook.rise) / 1000;
        let all = u64::from(all);
        let fits = |hosts: &u64| {
            let moods = mood.of_sum(Cpu((ahead / hosts) as u32));
            ahead / hosts + u64::from(moods.0) * u64::from(deviations) / 100 <= capacity
        };
        (1..all).find(fits).unwrap_or(all) as usize
    }

    /// The moods of the machines of these hosts when the tide has passed, if it falls.
    pub(super) fn moods_soon(&self, hosts: &[Host]) -> Mood {
        Mood::of_hosts(hosts).scaled(self.outlook.rise.min(1000))
    }

    /// Whether hosts that are asked for `demand` have too little room for the moods of their
    /// machines: less than so many hundredths of a deviation.
    fn is_short(&self, demand: Cpu, deviations: u16) -> bool {
        let Some(host) = &self.host else { return false };
        let moods = self.mood.of_sum(demand);
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

    /// What this host keeps free, of the capacity of each host it plans for: while others wake,
    /// what the tide will bring and room for moods.
    pub(super) fn headroom(&self) -> Cpu {
        let (Some(host), Some(energy)) = (&self.host, &self.config.energy) else {
            return Cpu(0);
        };
        if !self.outlook.spreading {
            return Cpu(0);
        }
        let rise = self.outlook.rise.max(1000);
        let capacity = u64::from(host.capacity.cpu.0);
        let fits = |used: &u64| {
            let ahead = used * u64::from(rise) / 1000;
            let moods = u64::from(self.mood.of_sum(Cpu(ahead as u32)).0);
            ahead + moods * u64::from(energy.spread_deviations) / 100 <= capacity
        };
        let used = (0..=capacity).rev().step_by(10).find(fits);
        Cpu((capacity - used.unwrap_or(capacity)) as u32)
    }

    /// Whether a host asks for more than it should, in this node's eyes.
    pub(super) fn exceeds(&self, host: &Host) -> bool {
        host.demand() > host.capacity.cpu.minus(self.headroom())
    }
}
