//! Makes a failing case smaller, as long as the same invariant breaks.

use std::sync::Arc;

use luc_dvms::star::Broken as Switch;

use super::{Case, run};
use crate::invariant::Broken;

/// At most so many runs are spent on it.
const RUNS_MAX: u32 = 200;

/// The smallest case found that breaks the same invariant as `case` does, and how it breaks. A
/// case that does not fail comes back as it is.
pub fn shrink(case: &Case, switch: Option<Switch>) -> (Case, Option<Broken>) {
    let fails = |case: &Case| run(case, switch).ok().and_then(|verdict| verdict.broken);
    let Some(mut broken) = fails(case) else {
        return (case.clone(), None);
    };
    let mut small = case.clone();
    let mut runs = 0;
    let mut changed = true;
    while changed && runs < RUNS_MAX {
        changed = false;
        for attempt in smaller(&small, &broken) {
            runs += 1;
            if let Some(again) = fails(&attempt).filter(|again| again.name == broken.name) {
                small = attempt;
                broken = again;
                changed = true;
                break;
            }
        }
    }
    (small, Some(broken))
}

/// Cases that are smaller by one thing each, the largest reductions first.
fn smaller(case: &Case, broken: &Broken) -> Vec<Case> {
    let mut cases = Vec::new();
    let end_ms = broken.at.as_nanos() / 1_000_000 + 1_000;
    if end_ms + 1_000 < case.trace.header.duration_ms {
        let mut shorter = case.clone();
        let trace = Arc::make_mut(&mut shorter.trace);
        trace.header.duration_ms = end_ms;
        trace.loads.retain(|load| load.at_us <= end_ms * 1_000);
        shorter.troubles.retain(|trouble| trouble.at <= broken.at);
        cases.push(shorter);
    }
    for place in 0..case.troubles.len() {
        let mut without = case.clone();
        without.troubles.remove(place);
        cases.push(without);
    }
    let loads = case.trace.loads.len();
    for part in 0..8 {
        let (from, to) = (loads * part / 8, loads * (part + 1) / 8);
        if from < to {
            let mut fewer = case.clone();
            Arc::make_mut(&mut fewer.trace).loads.drain(from..to);
            cases.push(fewer);
        }
    }
    cases
}
