//! How a service relieves overloads, and when it tries again what it could not relieve.
//!
//! A reactive service hears of an overload every second, as often as its host reports. What it
//! could not relieve it leaves alone for 2 s, then for twice as long each time, to 5 min, as our
//! own initiators do: unless the demand falls, or a host wakes and there is room again. A periodic
//! service has its rounds and tries everything in each.

use std::collections::{BTreeMap, BTreeSet};

use luc_core::time::{Duration, Instant};
use luc_dvms::event::Cause;
use luc_dvms::solver::{Goal, Solution};
use luc_dvms::{Cpu, Host};

use super::Ctx;
use super::message::Timer;
use super::service::Service;
use crate::index::NodeIndex;

/// How soon a reactive service looks again after something has changed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long an overload is left alone that could not be relieved once.
const BACK_OFF_MIN: Duration = Duration::from_secs(2);

/// The longest time for which one is left alone.
const BACK_OFF_MAX: Duration = Duration::from_secs(300);

/// An overload that could not be relieved.
#[derive(Clone, Copy, Debug)]
struct Retry {
    /// How often in a row.
    failures: u32,
    /// What was asked for at the last try.
    demand: Cpu,
    /// No try before this time.
    not_before: Instant,
}

/// Overloads that could not be relieved, and whether a look at them is due.
#[derive(Debug, Default)]
pub(super) struct Retries {
    /// By the place of the host.
    failed: BTreeMap<usize, Retry>,
    /// Hosts that were woken and have not reported yet.
    waking: BTreeSet<usize>,
    looking: bool,
}

impl Retries {
    /// Whether an overload of this demand may be tried now.
    fn is_due(&self, place: usize, demand: Cpu, now: Instant) -> bool {
        let retry = self.failed.get(&place);
        retry.is_none_or(|retry| now >= retry.not_before || demand < retry.demand)
    }

    /// It was tried in vain.
    fn failed(&mut self, place: usize, demand: Cpu, now: Instant) {
        let failures = self.failed.get(&place).map_or(0, |retry| retry.failures);
        let wait = BACK_OFF_MIN
            .saturating_mul(1 << failures.min(16))
            .min(BACK_OFF_MAX);
        let retry = Retry {
            failures: failures + 1,
            demand,
            not_before: now + wait,
        };
        self.failed.insert(place, retry);
    }

    /// It is over, or is being relieved.
    fn forget(&mut self, place: usize) {
        self.failed.remove(&place);
    }

    /// A host was told to wake.
    pub(super) fn wakes(&mut self, place: usize) {
        self.waking.insert(place);
    }
}

impl Service {
    /// A host has reported.
    pub(super) fn note(&mut self, place: usize) {
        if !self.view.hosts()[place].is_overloaded() {
            self.retries.forget(place);
        }
        if self.retries.waking.remove(&place) {
            // There is room again: everything may be tried.
            self.retries.failed.clear();
        }
    }

    /// Looks again, for something has changed.
    pub(super) fn on_retry(&mut self, context: &mut Ctx) {
        self.retries.looking = false;
        self.repair(context);
    }

    /// Looks again soon, once, if it is reactive.
    pub(super) fn look_again(&mut self, context: &mut Ctx) {
        if self.config.is_reactive() && !self.retries.looking {
            self.retries.looking = true;
            context.schedule(self.manager(), LOOK_AGAIN, Timer::Retry);
        }
    }

    /// Asks the solver to relieve whoever is overloaded, but for those that are left alone.
    pub(super) fn repair(&mut self, context: &mut Ctx) {
        if self.is_thinking() {
            self.again = true;
            return;
        }
        let now = context.now();
        let overloaded = self.view.overloaded();
        let over = |place: &usize| {
            let host = &self.view.hosts()[*place];
            u64::from(host.demand().minus(host.capacity.cpu).0)
        };
        let all: u64 = overloaded.iter().map(over).sum();
        let (due, left_alone): (Vec<usize>, Vec<usize>) =
            overloaded.into_iter().partition(|place| {
                let demand = self.view.hosts()[*place].demand();
                !self.config.is_reactive() || self.retries.is_due(*place, demand, now)
            });
        self.unsolved = all;
        if due.is_empty() {
            return;
        }
        let solutions = if self.view.is_one_site() {
            self.relieve_at_once(&left_alone)
        } else {
            self.relieve_each(&due, &left_alone, context)
        };
        let relieved: u64 = solutions
            .iter()
            .map(|found| u64::from(found.relieved.0))
            .sum();
        self.unsolved = all.saturating_sub(relieved);
        for place in due {
            let host = &self.view.hosts()[place];
            if is_relieved(host, &solutions) {
                self.retries.forget(place);
            } else {
                self.retries.failed(place, host.demand(), now);
            }
        }
        let asked = self.view.hosts().len();
        self.think(Cause::Overload, solutions, asked, context);
    }

    /// Within one site, all overloaded hosts in one question.
    fn relieve_at_once(&mut self, left_alone: &[usize]) -> Vec<Solution> {
        self.hide_all(left_alone, true);
        let solution = self.ask(&[], Goal::Relieve);
        self.hide_all(left_alone, false);
        vec![solution]
    }

    /// Over several sites, each overloaded host on its own: distances are counted from it.
    fn relieve_each(
        &mut self,
        over: &[usize],
        left_alone: &[usize],
        context: &Ctx,
    ) -> Vec<Solution> {
        let mut hidden: Vec<usize> = [over, left_alone].concat();
        self.hide_all(&hidden, true);
        let mut solutions = Vec::new();
        for place in over {
            self.view.hide(*place, false);
            let distance = self.view.distances(*place, context);
            let solution = self.ask(&distance, Goal::Relieve);
            self.view.hide(*place, true);
            for step in &solution.plan.steps {
                if let Some(target) = self.view.place(NodeIndex::of_peer(step.target)) {
                    self.view.hide(target, true);
                    hidden.push(target);
                }
            }
            solutions.push(solution);
        }
        self.hide_all(&hidden, false);
        solutions
    }

    fn hide_all(&mut self, places: &[usize], hidden: bool) {
        for place in places {
            self.view.hide(*place, hidden);
        }
    }
}

/// Whether the plans take all that is too much from `host`.
fn is_relieved(host: &Host, solutions: &[Solution]) -> bool {
    let steps = solutions.iter().flat_map(|found| &found.plan.steps);
    let leaving = steps.filter(|step| step.source == host.peer);
    let gone: u32 = leaving
        .filter_map(|step| host.vms.iter().find(|vm| vm.id == step.vm))
        .map(|vm| vm.demand.0)
        .sum();
    host.demand().0 <= host.capacity.cpu.0 + gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_again_and_again_is_left_alone_for_longer_each_time_up_to_five_minutes() {
        let mut retries = Retries::default();
        let mut now = Instant::ORIGIN;
        let mut waits = Vec::new();
        for _ in 0..10 {
            retries.failed(3, Cpu(800), now);
            let begin = now;
            while !retries.is_due(3, Cpu(800), now) {
                now += Duration::from_secs(1);
            }
            waits.push((now - begin).as_secs());
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert!(retries.is_due(4, Cpu(800), Instant::ORIGIN));
    }

    #[test]
    fn a_demand_that_falls_is_tried_at_once() {
        let mut retries = Retries::default();
        retries.failed(3, Cpu(800), Instant::ORIGIN);
        assert!(!retries.is_due(3, Cpu(800), Instant::ORIGIN));
        assert!(!retries.is_due(3, Cpu(810), Instant::ORIGIN));
        assert!(retries.is_due(3, Cpu(790), Instant::ORIGIN));
    }
}
