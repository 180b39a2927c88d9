//! From a scenario to what all brains of its cloud have in common.

use luc_dvms::Choice;
use luc_dvms::star::config::Broken;
use luc_dvms::{relay, star};
use luc_overlay::search::{self, Assignment, Kind};
use luc_overlay::{SwimConfig, vivaldi};

use super::{Algorithm, BrokenRule, Experiment, Membership, Overlay, Relay, Star};
use crate::brains::{Blueprint, Knowledge};

impl BrokenRule {
    /// The switch of the protocol that turns the rule off.
    pub const fn switch(self) -> Broken {
        match self {
            Self::Ballot => Broken::BallotCheckOff,
            Self::Lease => Broken::LeaseCheckOff,
            Self::Absorb => Broken::AbsorbRuleOff,
        }
    }
}

impl Experiment {
    /// What its brains have in common; none if the algorithm is not one of nodes.
    pub fn blueprint(&self) -> Option<Blueprint> {
        let scheduler = match &self.algorithm {
            Algorithm::Star(star) => Choice::Star(self.star(star)),
            Algorithm::Relay(relay) => Choice::Relay(self.relay(relay)),
            Algorithm::None
            | Algorithm::Centralised(_)
            | Algorithm::Hierarchical(_)
            | Algorithm::Entropy(_)
            | Algorithm::Ffd(_) => return None,
        };
        let kind = match self.overlay {
            Overlay::Spiral => Kind::Spiral,
            Overlay::ChordHashed => Kind::Chord {
                assignment: Assignment::Hashed,
            },
            Overlay::ChordSiteOrdered => Kind::Chord {
                assignment: Assignment::SiteOrdered,
            },
            Overlay::Random => Kind::Random,
        };
        Some(Blueprint {
            scheduler,
            search: search::Config {
                kind,
                ..search::Config::default()
            },
            vivaldi: vivaldi::Config::default(),
            knowledge: match self.membership {
                Membership::Swim => Knowledge::Swim(SwimConfig::default()),
                Membership::Directory => Knowledge::Directory,
            },
            seed: self.seed,
        })
    }

    fn star(&self, star: &Star) -> star::Config {
        let usual = star::Config::default();
        star::Config {
            first_group: star.first_group,
            next_group: star.next_group,
            cap: star.cap,
            second_cap: star.cap_max,
            cool_down: self.cool_down,
            solver_budget: star.solver_steps,
            energy: star.energy.then(star::config::Energy::default),
            broken: star.broken.map(BrokenRule::switch),
            ..usual
        }
    }

    fn relay(&self, relay: &Relay) -> relay::Config {
        relay::Config {
            first_group: relay.first_group,
            monitor: self.monitor,
            solver_budget: relay.solver_steps,
            ..relay::Config::default()
        }
    }
}
