//! The schedulers that ours is compared with: they see more, and ask a central node for it.
//!
//! A [`Service`](service::Service) knows the hosts of its group by the reports they send, asks the
//! same solver as DVMS, and has its plan carried out by messages: the target keeps room, the source
//! migrates and tells how it ended. One service over all hosts is the *centralised* baseline; one
//! per group of 2 to 32 is the *hierarchical* one (Snooze: Feller, Rilling and Morin 2012, whose
//! group managers schedule each for itself). Both act every so often, as published, or when a
//! report shows an overload. *Entropy* (Hermenier et al. 2009) repairs with the least memory moved
//! and packs hosts to the full; *FFD* packs everything anew by first fit decreasing.
//!
//! What a service reads costs messages, what it thinks costs the solver's steps: nothing here looks
//! at the world of another node.
//!
//! ```text
//!  host ── Report ──▶ service ── Expect ──▶ target ── Begin ──▶ source
//!                        ▲  ▲                  │ Refused           │ (migrates)
//!                        │  └──────────────────┘                   │
//!                        └──────────────── Ended, Refused ─────────┘
//! ```

mod config;
mod energy;
mod host;
mod message;
mod packing;
mod plans;
mod repair;
mod service;
mod view;

use luc_core::time::Duration;
use luc_dvms::command::{MigrationEnd, MigrationId};

use crate::algorithm::Algorithm;
use crate::context::Context;
use crate::index::NodeIndex;
use service::Service;

pub use config::{Config, Policy};
pub use message::{Message, Order, Timer};

/// How often a group manager tells the leader how its group fares (Snooze: every few seconds).
const SUMMARY_EVERY: Duration = Duration::from_secs(10);

/// The simulation as baselines see it.
type Ctx = Context<Baseline>;

/// A baseline: one service per group of nodes.
pub struct Baseline {
    config: Config,
    services: Vec<Service>,
    /// Nodes per group.
    group: u32,
}

impl Baseline {
    /// The baseline that `config` describes.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            services: Vec::new(),
            group: 1,
        }
    }

    /// The service that `node` reports to.
    fn service(&mut self, node: NodeIndex) -> &mut Service {
        let last = self.services.len() - 1;
        &mut self.services[last.min((node.0 / self.group) as usize)]
    }

    /// The service that runs at `node`, if one does.
    fn managed(&mut self, node: NodeIndex) -> Option<&mut Service> {
        let service = self.service(node);
        (service.manager() == node).then_some(service)
    }
}

/// A group manager tells the leader how its group fares.
fn summarise(node: NodeIndex, context: &mut Ctx) {
    context.schedule(node, SUMMARY_EVERY, Timer::Summary);
    if node != NodeIndex(0) {
        context.send(node, NodeIndex(0), message::SUMMARY_BYTES, Message::Summary);
    }
}

impl Algorithm for Baseline {
    type Message = Message;
    type Timer = Timer;

    fn name(&self) -> String {
        self.config.to_string()
    }

    fn start(&mut self, context: &mut Ctx) {
        let nodes = context.nodes() as u32;
        self.group = self
            .config
            .group
            .map_or(nodes, u32::from)
            .clamp(1, nodes.max(1));
        // What is left over joins the last group, so that no group is smaller than asked for.
        let groups = (nodes / self.group).max(1);
        for number in 0..groups {
            let first = number * self.group;
            let end = if number + 1 == groups {
                nodes
            } else {
                first + self.group
            };
            let mut service = Service::new(self.config.clone(), first..end, context);
            service.start(context);
            if groups > 1 {
                context.schedule(service.manager(), SUMMARY_EVERY, Timer::Summary);
            }
            self.services.push(service);
        }
    }

    fn sampled(&mut self, node: NodeIndex, context: &mut Ctx) {
        let manager = self.service(node).manager();
        host::report(node, manager, context);
    }

    fn message(&mut self, node: NodeIndex, from: NodeIndex, message: Message, context: &mut Ctx) {
        let manager = self.service(node).manager();
        match message {
            Message::Report { number, host } => {
                if let Some(service) = self.managed(node) {
                    service.on_report(from, number, *host, context);
                }
            }
            Message::Ended {
                migration,
                end,
                number,
            } => {
                if let Some(service) = self.managed(node) {
                    let moved = end == MigrationEnd::Moved;
                    service.on_ended(migration, moved, number, context);
                }
            }
            Message::Refused { migration } => {
                if let Some(service) = self.managed(node) {
                    service.on_ended(migration, false, 0, context);
                }
            }
            Message::Slept => {
                if let Some(service) = self.managed(node) {
                    service.on_slept(from);
                }
            }
            Message::Expect(order) => host::on_expect(node, manager, order, context),
            Message::Begin(order) => host::on_begin(node, manager, &order, context),
            Message::Withdrawn { migration } => context.unexpect(node, migration),
            Message::Sleep => host::on_sleep(node, manager, context),
            Message::Tell => host::report(node, manager, context),
            // The leader hands out new machines by it, of which these experiments have none.
            Message::Summary => {}
        }
    }

    fn timer(&mut self, node: NodeIndex, timer: Timer, context: &mut Ctx) {
        if let Timer::Forget { migration } = timer {
            host::on_forget(node, migration, context);
            return;
        }
        if let Timer::Summary = timer {
            summarise(node, context);
            return;
        }
        let Some(service) = self.managed(node) else {
            return;
        };
        match timer {
            Timer::Round => service.on_round(context),
            Timer::Thought { number } => service.on_thought(number, context),
            Timer::Retry => service.on_retry(context),
            Timer::Expire { migration } => service.on_expire(migration, context),
            Timer::Forget { .. } | Timer::Summary => {}
        }
    }

    fn migration_ended(
        &mut self,
        node: NodeIndex,
        migration: MigrationId,
        end: MigrationEnd,
        context: &mut Ctx,
    ) {
        let manager = self.service(node).manager();
        let message = Message::Ended {
            migration,
            end,
            number: context.now().as_nanos(),
        };
        context.send(node, manager, message::ORDER_BYTES, message);
    }

    fn crashed(&mut self, node: NodeIndex, context: &mut Ctx) {
        if let Some(service) = self.managed(node) {
            service.forget(context);
        }
    }

    fn restarted(&mut self, node: NodeIndex, context: &mut Ctx) {
        if let Some(service) = self.managed(node) {
            service.start(context);
            service.ask_all(context);
        }
    }

    fn woken(&mut self, _node: NodeIndex, _context: &mut Ctx) {
        // The fresh sample that follows tells the service.
    }
}

#[cfg(test)]
mod tests;
