//! The weights: which of the hosts that may have the server should.
//!
//! Each weight is spread over 0 to 1 among the hosts that are left, as Nova does, then summed. Free
//! memory, processors and disk and few servers count equally; what a soft group asks for counts
//! more than all of them together.

use super::{Ask, Candidate};
use crate::compute::model::server_group::GroupPolicy;

/// More than the sum of the other weights, so that a soft group gives way to room only.
const SOFT_GROUP_WEIGHT: f64 = 5.0;

/// The heaviest of `candidates`, which are in the order of their names; the first among equals.
pub(super) fn heaviest<'c, 'a>(
    candidates: &[&'c Candidate<'a>],
    ask: &Ask<'_>,
) -> Option<&'c Candidate<'a>> {
    let mut sums = vec![0.0; candidates.len()];
    let mut add = |weight: f64, values: &mut dyn Iterator<Item = f64>| {
        let values: Vec<f64> = values.collect();
        for (sum, share) in sums.iter_mut().zip(spread(&values)) {
            *sum += weight * share;
        }
    };
    add(
        1.0,
        &mut candidates.iter().map(|c| c.free().memory.get() as f64),
    );
    add(
        1.0,
        &mut candidates.iter().map(|c| c.free().vcpus.get() as f64),
    );
    add(
        1.0,
        &mut candidates.iter().map(|c| c.free().disk.get() as f64),
    );
    add(1.0, &mut candidates.iter().map(|c| -(c.instances as f64)));
    if let Some(group) = &ask.group {
        let sign = match group.policy {
            GroupPolicy::SoftAffinity => 1.0,
            GroupPolicy::SoftAntiAffinity => -1.0,
            GroupPolicy::Affinity | GroupPolicy::AntiAffinity => 0.0,
        };
        let members = |c: &&Candidate<'_>| sign * f64::from(group.members_on(&c.host.name));
        add(SOFT_GROUP_WEIGHT, &mut candidates.iter().map(members));
    }
    let mut best: Option<(f64, &'c Candidate<'a>)> = None;
    for (sum, candidate) in sums.into_iter().zip(candidates) {
        if best.is_none_or(|(heaviest, _)| sum.total_cmp(&heaviest).is_gt()) {
            best = Some((sum, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The values moved and scaled so that the least is 0 and the greatest 1; all 0 if they are equal.
fn spread(values: &[f64]) -> impl Iterator<Item = f64> {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let width = greatest - least;
    values.iter().map(move |value| {
        if width > 0.0 {
            (value - least) / width
        } else {
            0.0
        }
    })
}
