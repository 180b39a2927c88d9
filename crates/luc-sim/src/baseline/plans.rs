//! Plans under way: which steps may start, which wait, which are over.

use std::collections::BTreeMap;

use luc_dvms::{Plan, Step, StepId};

/// What has become of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Ordered,
    Moved,
    Dropped,
}

/// A plan and the state of its steps.
struct Active {
    plan: Plan,
    states: Vec<State>,
}

/// The plans of a service, by the counter of their ballot.
#[derive(Default)]
pub(super) struct Plans {
    active: BTreeMap<u64, Active>,
}

impl Plans {
    /// Takes a plan up.
    pub(super) fn add(&mut self, counter: u64, plan: Plan) {
        let states = vec![State::Waiting; plan.steps.len()];
        self.active.insert(counter, Active { plan, states });
    }

    /// Whether nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    /// A step.
    pub(super) fn step(&self, counter: u64, step: usize) -> Option<&Step> {
        self.active.get(&counter)?.plan.steps.get(step)
    }

    /// Whether the step was ordered and is not over.
    pub(super) fn is_ordered(&self, counter: u64, step: usize) -> bool {
        let states = self.active.get(&counter).map(|active| &active.states);
        states.and_then(|states| states.get(step)) == Some(&State::Ordered)
    }

    /// The steps that wait for nothing but a free link, in order.
    pub(super) fn ready(&self) -> Vec<(u64, usize)> {
        let mut ready = Vec::new();
        for (counter, active) in &self.active {
            for (index, step) in active.plan.steps.iter().enumerate() {
                let moved = |id: &StepId| active.states[usize::from(id.0)] == State::Moved;
                if active.states[index] == State::Waiting && step.after.iter().all(moved) {
                    ready.push((*counter, index));
                }
            }
        }
        ready
    }

    /// The step has been ordered.
    pub(super) fn ordered(&mut self, counter: u64, step: usize) {
        if let Some(active) = self.active.get_mut(&counter) {
            active.states[step] = State::Ordered;
        }
    }

    /// The step is over. A step that waited for one that failed is dropped. Returns whether the
    /// plan is over, and if so whether all of it was carried out.
    pub(super) fn over(&mut self, counter: u64, step: usize, moved: bool) -> Option<bool> {
        let active = self.active.get_mut(&counter)?;
        active.states[step] = if moved { State::Moved } else { State::Dropped };
        for index in 0..active.states.len() {
            let dropped = |id: &StepId| active.states[usize::from(id.0)] == State::Dropped;
            let waits = active.states[index] == State::Waiting;
            if waits && active.plan.steps[index].after.iter().any(dropped) {
                active.states[index] = State::Dropped;
            }
        }
        let open = |state: &State| matches!(state, State::Waiting | State::Ordered);
        if active.states.iter().any(open) {
            return None;
        }
        let all = active.states.iter().all(|state| *state == State::Moved);
        self.active.remove(&counter);
        Some(all)
    }
}
