//! Which baseline, and with which parameters.

use std::fmt;

use luc_core::time::Duration;
use luc_dvms::solver::{Style, Weights};

use crate::scenario::{Central, Hierarchical, Trigger};

/// What a service does beside relieving overloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Relieves overloads; empties hosts with care if energy is managed.
    Repair,
    /// Relieves with the least memory moved and packs hosts to the full (Entropy).
    Entropy,
    /// Packs all machines anew, largest first, whenever that saves hosts (first fit decreasing).
    Ffd,
}

/// The parameters of a baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What it does.
    pub policy: Policy,
    /// What makes it act.
    pub trigger: Trigger,
    /// The time between two rounds.
    pub period: Duration,
    /// The greatest number of search steps for one round.
    pub solver_steps: u64,
    /// How the solver chooses.
    pub style: Style,
    /// Whether empty hosts are powered down.
    pub energy: bool,
    /// Nodes per service; absent when one service sees all.
    pub group: Option<u16>,
}

impl Config {
    /// One service over all hosts with our solver: the honest competitor when reactive.
    pub fn centralised(central: &Central) -> Self {
        Self {
            policy: Policy::Repair,
            trigger: central.trigger,
            period: central.period,
            solver_steps: central.solver_steps,
            style: Style::Ours {
                weights: Weights::default(),
            },
            energy: central.energy,
            group: None,
        }
    }

    /// One service per group, none of which moves a machine to another group.
    pub fn hierarchical(hierarchical: &Hierarchical) -> Self {
        Self {
            policy: Policy::Repair,
            trigger: hierarchical.trigger,
            period: hierarchical.period,
            solver_steps: hierarchical.solver_steps,
            style: Style::Ours {
                weights: Weights::default(),
            },
            energy: false,
            group: Some(hierarchical.group),
        }
    }

    /// Repair with the least memory moved, hosts packed to the full.
    pub fn entropy(central: &Central) -> Self {
        Self {
            policy: Policy::Entropy,
            style: Style::Published,
            ..Self::centralised(central)
        }
    }

    /// First fit decreasing.
    pub fn ffd(central: &Central) -> Self {
        Self {
            policy: Policy::Ffd,
            style: Style::Published,
            ..Self::centralised(central)
        }
    }

    /// The same with the published solver: the least memory moved, blind to all else.
    #[must_use]
    pub fn published(self) -> Self {
        Self {
            style: Style::Published,
            ..self
        }
    }

    /// Whether it acts on each overload.
    pub fn is_reactive(&self) -> bool {
        self.trigger == Trigger::Reactive
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.policy, self.group) {
            (Policy::Repair, None) => write!(f, "centralised")?,
            (Policy::Repair, Some(group)) => write!(f, "hierarchical, groups of {group}")?,
            (Policy::Entropy, _) => write!(f, "entropy")?,
            (Policy::Ffd, _) => write!(f, "ffd")?,
        }
        match self.trigger {
            Trigger::Reactive => write!(f, ", reactive")?,
            Trigger::Periodic => write!(f, ", every {} s", self.period.as_secs_f64())?,
        }
        if self.style == Style::Published {
            write!(f, ", published solver")?;
        }
        if self.energy {
            write!(f, ", energy managed")?;
        }
        write!(f, ", at most {} steps", self.solver_steps)
    }
}
