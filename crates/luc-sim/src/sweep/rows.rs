//! The algorithms that several benchmarks compare, with the names of their rows.

use crate::scenario::{
    Algorithm, Central, Experiment, Hierarchical, Overlay, Relay, Star, Topology, Trigger,
};

use super::job::Role;

/// One row: its name, what it is, who decides, over which overlay.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) algorithm: Algorithm,
    pub(super) overlay: Overlay,
}

impl Row {
    /// `experiment` as this row runs it.
    pub(super) fn applied(&self, experiment: &Experiment, name: &str) -> Experiment {
        Experiment {
            name: format!("{name}: {}", self.name),
            algorithm: self.algorithm.clone(),
            overlay: self.overlay,
            ..experiment.clone()
        }
    }
}

/// The product: `star` on the spiral, default parameters.
pub(super) const OURS: &str = "star, spiral (ours)";

/// The published algorithm on the overlay it was simulated on, first group of 2.
pub(super) const REPLICA: &str = "relay, random (replica)";

/// One solver that acts on each overload.
pub(super) const REACTIVE: &str = "centralised, reactive";

pub(super) fn ours() -> Row {
    star(
        OURS,
        Star::default().first_group,
        Overlay::Spiral,
        Role::Ours,
    )
}

pub(super) fn replica() -> Row {
    relay(REPLICA, 2, Overlay::Random, Role::Replica)
}

pub(super) fn star(name: &str, first_group: u16, overlay: Overlay, role: Role) -> Row {
    Row {
        name: name.to_owned(),
        role,
        algorithm: Algorithm::Star(Star {
            first_group,
            ..Star::default()
        }),
        overlay,
    }
}

pub(super) fn relay(name: &str, first_group: u16, overlay: Overlay, role: Role) -> Row {
    Row {
        name: name.to_owned(),
        role,
        algorithm: Algorithm::Relay(Relay {
            first_group,
            ..Relay::default()
        }),
        overlay,
    }
}

pub(super) fn centralised(trigger: Trigger) -> Row {
    let name = match trigger {
        Trigger::Periodic => "centralised, 30 s",
        Trigger::Reactive => REACTIVE,
    };
    Row {
        name: name.to_owned(),
        role: Role::Baseline,
        algorithm: Algorithm::Centralised(Central {
            trigger,
            ..Central::default()
        }),
        overlay: Overlay::Random,
    }
}

pub(super) fn hierarchical(group: u16, trigger: Trigger) -> Row {
    let when = match trigger {
        Trigger::Periodic => "30 s",
        Trigger::Reactive => "reactive",
    };
    Row {
        name: format!("hierarchical, groups of {group}, {when}"),
        role: Role::Baseline,
        algorithm: Algorithm::Hierarchical(Hierarchical {
            group,
            trigger,
            ..Hierarchical::default()
        }),
        overlay: Overlay::Random,
    }
}

/// `nodes` nodes in sites of 32, or in one site if they are fewer.
pub(super) fn sites_of_32(nodes: u32) -> Topology {
    let nodes_per_site = nodes.min(32);
    Topology {
        sites: nodes / nodes_per_site.max(1),
        nodes_per_site,
        ..Topology::default()
    }
}
