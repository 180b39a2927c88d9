//! Powering hosts down and up, for the energy experiment.
//!
//! With [`Policy::Repair`] hosts are woken before they are needed and emptied only while enough
//! remain; with [`Policy::Entropy`] hosts are packed to the full, and woken when something does not
//! fit. In either case the emptiest host is emptied completely, by the solver, or not at all.

use std::collections::BTreeMap;

use luc_core::time::{Duration, Instant};
use luc_dvms::event::Cause;
use luc_dvms::solver::Goal;

use super::Ctx;
use super::config::Policy;
use super::message::{Message, ORDER_BYTES};
use super::service::Service;
use super::view;

/// More than this share of the serving capacity in use wakes a host, in thousandths.
const WAKE_PERMILLE: u64 = 780;

/// Less than this share, of what would serve without it, lets a host be emptied.
const SAVE_PERMILLE: u64 = 650;

/// After a host was woken, none is emptied for so long.
const CALM: Duration = Duration::from_secs(600);

/// So many of the emptiest hosts are tried each round.
const TRIES: usize = 4;

/// What the energy manager remembers.
#[derive(Default)]
pub(super) struct Energy {
    woke: Option<Instant>,
    /// When each host was last woken, by its place.
    woken: BTreeMap<usize, Instant>,
}

impl Service {
    /// The energy part of a round.
    pub(super) fn save(&mut self, context: &mut Ctx) {
        let serving: Vec<usize> = self.view.serving().collect();
        for place in &serving {
            self.offer_sleep(*place, context);
        }
        let hosts = serving.iter().map(|place| &self.view.hosts()[*place]);
        let (capacity, demand) = view::totals(hosts);
        let each = capacity / (serving.len() as u64).max(1);
        let careful = self.config.policy == Policy::Repair;
        let short = if careful && demand * 1000 > capacity * WAKE_PERMILLE {
            (demand * 1000 / WAKE_PERMILLE).saturating_sub(capacity)
        } else {
            0
        };
        let short = short.max(self.unsolved);
        if short > 0 {
            self.wake(short.div_ceil(each.max(1)) as usize, context);
            return;
        }
        let left = capacity.saturating_sub(each);
        let share = if careful { SAVE_PERMILLE } else { 1000 };
        let calm = self
            .energy
            .woke
            .is_none_or(|woke| context.now() - woke >= CALM);
        let idle = self.plans.is_empty() && !self.is_thinking();
        if idle && (calm || !careful) && demand * 1000 <= left * share {
            self.empty_one(serving, context);
        }
    }

    /// Wakes up to `count` hosts.
    pub(super) fn wake(&mut self, count: usize, context: &mut Ctx) {
        let hosts = self.view.hosts().iter().enumerate();
        let asleep = hosts
            .filter(|(_, host)| host.asleep)
            .map(|(place, _)| place);
        let chosen: Vec<usize> = asleep.take(count).collect();
        for place in chosen {
            // Closed until it reports; it must not be woken twice meanwhile.
            self.view.set_asleep(place, false);
            self.view.hide(place, true);
            context.wake(self.view.node(place));
            self.retries.wakes(place);
            self.energy.woke = Some(context.now());
            self.energy.woken.insert(place, context.now());
        }
    }

    /// Asks the solver to empty one of the emptiest hosts.
    fn empty_one(&mut self, mut serving: Vec<usize>, context: &mut Ctx) {
        let manager = self.view.place(self.manager());
        serving.retain(|place| {
            let host = &self.view.hosts()[*place];
            let bound = host.vigil || host.migrations > 0 || host.vms.is_empty();
            !bound && Some(*place) != manager
        });
        serving.sort_by_key(|place| {
            let host = &self.view.hosts()[*place];
            (host.vms.len(), host.demand())
        });
        let mut solutions = Vec::new();
        for place in serving.into_iter().take(TRIES) {
            let host = self.view.hosts()[place].peer;
            let distance = if self.view.is_one_site() {
                Vec::new()
            } else {
                self.view.distances(place, context)
            };
            let solution = self.ask(&distance, Goal::Consolidate { host });
            let solved = solution.solved;
            solutions.push(solution);
            if solved {
                break;
            }
        }
        if !solutions.is_empty() {
            let hosts = self.view.hosts().len();
            self.think(Cause::Underload, solutions, hosts, context);
        }
    }

    /// Lets a host sleep that is empty and not needed. It is asked again in each round.
    pub(super) fn offer_sleep(&self, place: usize, context: &mut Ctx) {
        let host = &self.view.hosts()[place];
        let empty = host.vms.is_empty() && host.incoming.memory.get() == 0;
        let free = host.migrations == 0 && !host.vigil && !host.asleep && !host.maintenance;
        if !self.config.energy || !empty || !free {
            return;
        }
        let node = self.view.node(place);
        let woken = self.energy.woken.get(&place);
        let fresh = woken.is_some_and(|woken| context.now() - *woken < CALM);
        if node != self.manager() && !fresh && !self.is_packed_to(node) && self.can_spare() {
            context.send(self.manager(), node, ORDER_BYTES, Message::Sleep);
        }
    }

    /// Whether one host less would still not wake another.
    fn can_spare(&self) -> bool {
        let hosts = || self.view.serving().map(|place| &self.view.hosts()[place]);
        let (capacity, demand) = view::totals(hosts());
        let left = capacity - capacity / (hosts().count() as u64).max(1);
        self.config.policy != Policy::Repair || demand * 1000 <= left * WAKE_PERMILLE
    }
}
