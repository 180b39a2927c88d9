//! Rules that a scenario has to keep although each of its fields alone is well-formed.

use std::collections::BTreeSet;

use luc_core::time::Duration;
use luc_core::units::MemoryMib;

use super::algorithm::{Algorithm, Membership};
use super::error::Broken;
use super::load::Count;
use super::network::{Fault, FaultKind};
use super::quantity::{Percent, Rtt};
use super::topology::Distances;
use super::{Experiment, GRID5000_SITES};

/// The greatest cloud that is simulated: the mission's aim is a tenth of it.
const NODES_MAX: u32 = 1_000_000;

/// Machines per node beyond which the model is not meant.
const VMS_PER_NODE_MAX: u32 = 1000;

type Verdict = Result<(), Broken>;

/// The first rule that `experiment` breaks.
pub(super) fn check(experiment: &Experiment) -> Verdict {
    name(experiment)?;
    topology(experiment)?;
    distances(experiment)?;
    machines(experiment)?;
    load(experiment)?;
    algorithm(experiment)?;
    network(experiment)?;
    power(experiment)?;
    let mut listed = experiment.faults.iter().enumerate();
    listed.try_for_each(|(index, fault)| faults(experiment, index, fault))
}

fn broken(field: &str, reason: impl Into<String>) -> Broken {
    Broken {
        field: field.to_owned(),
        reason: reason.into(),
    }
}

fn rule(holds: bool, field: &str, reason: impl Into<String>) -> Verdict {
    if holds {
        Ok(())
    } else {
        Err(broken(field, reason))
    }
}

fn name(experiment: &Experiment) -> Verdict {
    rule(
        !experiment.name.trim().is_empty(),
        "name",
        "the scenario has no name; give it one: name = \"my-cloud\"",
    )?;
    rule(
        !experiment.duration.is_zero(),
        "duration",
        "nothing can happen in no time; write for instance \"1800 s\"",
    )?;
    rule(
        !experiment.monitor.is_zero(),
        "monitor",
        "a sample takes some time; write for instance \"1 s\"",
    )
}

fn topology(experiment: &Experiment) -> Verdict {
    let topology = &experiment.topology;
    rule(
        topology.sites > 0,
        "topology.sites",
        "there must be at least one site",
    )?;
    rule(
        topology.nodes_per_site > 0,
        "topology.nodes_per_site",
        "a site must have at least one node",
    )?;
    let nodes = u64::from(topology.sites) * u64::from(topology.nodes_per_site);
    rule(
        nodes <= u64::from(NODES_MAX),
        "topology",
        format!(
            "{nodes} nodes are more than the {NODES_MAX} that can be simulated; \
             take fewer sites or fewer nodes per site"
        ),
    )?;
    rule(
        topology.node.cpu.0 > 0,
        "topology.node.cpu",
        "a node needs some processor time, for instance \"7 cores\"",
    )?;
    rule(
        topology.node.bandwidth.0 >= 1.0,
        "topology.node.bandwidth",
        "migrations need a link of at least 1 Mbps",
    )
}

fn distances(experiment: &Experiment) -> Verdict {
    let sites = experiment.topology.sites as usize;
    let given = |count: usize| {
        format!("it is for {count} sites but topology.sites is {sites}; make them agree")
    };
    match &experiment.topology.rtt {
        Distances::Uniform(_) => Ok(()),
        Distances::Grid5000 => {
            let count = GRID5000_SITES.len();
            rule(sites == count, "topology.rtt", given(count))
        }
        Distances::Matrix(rows) => {
            rule(
                rows.len() == sites,
                "topology.rtt.matrix",
                given(rows.len()),
            )?;
            matrix(rows)
        }
        Distances::Synthetic(synthetic) => {
            rule(
                synthetic.noise.is_finite() && (0.0..=2.0).contains(&synthetic.noise),
                "topology.rtt.synthetic.noise",
                "σ of the noise must be between 0 and 2",
            )?;
            share(synthetic.detours, "topology.rtt.synthetic.detours")
        }
    }
}

fn matrix(rows: &[Vec<Rtt>]) -> Verdict {
    let field = "topology.rtt.matrix";
    for (row, entries) in rows.iter().enumerate() {
        rule(
            entries.len() == rows.len(),
            field,
            format!(
                "row {row} has {} entries but there are {} rows; the table must be square",
                entries.len(),
                rows.len()
            ),
        )?;
    }
    for (row, entries) in rows.iter().enumerate() {
        for (column, rtt) in entries.iter().enumerate().take(row) {
            rule(
                rows[column][row] == *rtt,
                field,
                format!(
                    "rows {row} and {column} disagree on their round trip; \
                     the table must be symmetric"
                ),
            )?;
        }
    }
    Ok(())
}

fn machines(experiment: &Experiment) -> Verdict {
    let topology = &experiment.topology;
    let vms = &experiment.vms;
    rule(
        !vms.dirty.is_empty(),
        "vms.dirty",
        "there must be at least one class; \"0 %\" is a machine that writes nothing",
    )?;
    for class in &vms.dirty {
        rule(
            class.0 < 100.0,
            "vms.dirty",
            "a machine that dirties pages as fast as they are sent never arrives; stay below 100 %",
        )?;
    }
    let most = most_per_node(experiment)?;
    rule(
        most <= VMS_PER_NODE_MAX,
        "vms.count",
        format!("{most} machines on one node are more than the {VMS_PER_NODE_MAX} that fit"),
    )?;
    let fits = |each: MemoryMib, has: MemoryMib, field, what| {
        let needs = MemoryMib(each.0.saturating_mul(u64::from(most)));
        let room = has.0.checked_div(each.0).unwrap_or(0);
        rule(
            needs <= has,
            field,
            format!(
                "{most} machines of {each} need {needs} of {what} but a node has {has}; \
                 at most {room} fit: take fewer or smaller machines, or greater nodes"
            ),
        )
    };
    fits(vms.memory, topology.node.memory, "vms.memory", "memory")?;
    fits(vms.disk, topology.node.disk, "vms.disk", "disk")
}

/// How many machines the fullest node starts with.
fn most_per_node(experiment: &Experiment) -> Result<u32, Broken> {
    let topology = &experiment.topology;
    match &experiment.vms.count {
        Count::PerNode(count) => Ok(*count),
        Count::Total(count) => Ok(count.div_ceil(topology.nodes())),
        Count::PerSite(counts) => {
            rule(
                counts.len() == topology.sites as usize,
                "vms.count.per_site",
                format!(
                    "it has {} numbers but there are {} sites; give one per site",
                    counts.len(),
                    topology.sites
                ),
            )?;
            let most = counts.iter().copied().max().unwrap_or(0);
            Ok(most.div_ceil(topology.nodes_per_site))
        }
    }
}

fn load(experiment: &Experiment) -> Verdict {
    let load = &experiment.load;
    rule(
        !load.period.is_zero(),
        "load.period",
        "demand cannot change all the time; write for instance \"300 s\"",
    )?;
    let Some(first) = load.phases.first() else {
        return Err(broken("load.phases", "there must be at least one phase"));
    };
    rule(
        first.from.is_zero(),
        "load.phases",
        "the first phase must begin at \"0 s\"",
    )?;
    for pair in load.phases.windows(2) {
        rule(
            pair[0].from < pair[1].from,
            "load.phases",
            "phases must stand in the order of their beginning",
        )?;
    }
    load.phases.iter().try_for_each(|phase| {
        rule(
            phase.mean.0 <= 100.0,
            "load.phases",
            "the mean demand of one machine is at most 100 % of a core",
        )
    })
}

fn algorithm(experiment: &Experiment) -> Verdict {
    let nodes = experiment.topology.nodes();
    match &experiment.algorithm {
        Algorithm::None => Ok(()),
        Algorithm::Star(star) => {
            rule(
                star.first_group >= 2,
                "algorithm.star.first_group",
                "the first group is the initiator and at least one more: 2 or more",
            )?;
            rule(
                star.next_group >= 1,
                "algorithm.star.next_group",
                "a partition must grow by at least one node",
            )?;
            rule(
                star.first_group <= star.cap && star.cap <= star.cap_max,
                "algorithm.star.cap",
                "it must hold that first_group ≤ cap ≤ cap_max",
            )?;
            rule(
                !star.energy || experiment.membership == Membership::Swim,
                "algorithm.star.energy",
                "a directory does not know who sleeps, so nobody would be woken; \
                 write membership = \"swim\"",
            )
        }
        Algorithm::Relay(relay) => rule(
            relay.first_group >= 2,
            "algorithm.relay.first_group",
            "the first group is the initiator and at least one more: 2 or more",
        ),
        Algorithm::Centralised(central) => period(central.period, "algorithm.centralised.period"),
        Algorithm::Entropy(central) => period(central.period, "algorithm.entropy.period"),
        Algorithm::Ffd(central) => period(central.period, "algorithm.ffd.period"),
        Algorithm::Hierarchical(hierarchical) => {
            period(hierarchical.period, "algorithm.hierarchical.period")?;
            rule(
                (1..=nodes).contains(&u32::from(hierarchical.group)),
                "algorithm.hierarchical.group",
                format!("a group manager has between 1 and all {nodes} nodes"),
            )
        }
    }
}

fn period(period: Duration, field: &str) -> Verdict {
    rule(
        !period.is_zero(),
        field,
        "a round takes some time; write for instance \"30 s\"",
    )
}

fn share(share: Percent, field: &str) -> Verdict {
    rule(
        share.0 <= 100.0,
        field,
        "it is a share: between 0 % and 100 %",
    )
}

fn network(experiment: &Experiment) -> Verdict {
    let network = &experiment.network;
    share(network.loss, "network.loss")?;
    share(network.duplicate, "network.duplicate")?;
    share(network.reorder, "network.reorder")
}

fn power(experiment: &Experiment) -> Verdict {
    let power = &experiment.power;
    rule(
        power.off.0 <= power.idle.0 && power.idle.0 <= power.full.0,
        "power",
        "it must hold that off ≤ idle ≤ full",
    )
}

fn faults(experiment: &Experiment, index: usize, fault: &Fault) -> Verdict {
    let topology = &experiment.topology;
    let at = format!("faults.{index}.at");
    let what = format!("faults.{index}.what");
    rule(
        fault.at < experiment.duration,
        &at,
        "a fault at or after the end of the run does nothing; begin it before `duration`",
    )?;
    let known = |list: &[u32], count: u32, noun: &str| {
        rule(!list.is_empty(), &what, format!("it names no {noun}"))?;
        let unknown = list.iter().find(|index| **index >= count);
        let last = count.saturating_sub(1);
        unknown.map_or(Ok(()), |index| {
            Err(broken(
                &what,
                format!("there is no {noun} {index}; they are counted from 0 to {last}"),
            ))
        })
    };
    match &fault.what {
        FaultKind::Crash(who) | FaultKind::Pause(who) | FaultKind::Maintenance(who) => {
            known(&who.nodes, topology.nodes(), "node")
        }
        FaultKind::Slow(slow) => known(&slow.nodes, topology.nodes(), "node"),
        FaultKind::Skew(skew) => {
            rule(
                skew.rate.is_finite() && (0.5..=2.0).contains(&skew.rate),
                &what,
                "a clock's rate must be between 0.5 and 2",
            )?;
            known(&skew.nodes, topology.nodes(), "node")
        }
        FaultKind::Split(split) => {
            known(&split.sites, topology.sites, "site")?;
            let distinct: BTreeSet<_> = split.sites.iter().collect();
            rule(
                distinct.len() < topology.sites as usize,
                &what,
                "a split needs sites on both sides; name fewer sites",
            )
        }
        FaultKind::Loss(loss) => share(*loss, &what),
        FaultKind::Delay(_) => Ok(()),
    }
}
