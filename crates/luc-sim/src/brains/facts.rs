//! What schedulers tell as facts, in the words of the log.

use std::collections::BTreeSet;

use luc_core::PeerId;
use luc_dvms::event::Event as Told;

use super::Brains;
use crate::context::Context;
use crate::index::NodeIndex;
use crate::log::Entry;

/// Logs a fact told by `node`. Wishes are not facts and are not logged here.
pub(super) fn record(node: NodeIndex, told: Told, context: &mut Context<Brains>) {
    let entry = match told {
        Told::Reserved { ballot, lease } => Some(Entry::Reserved {
            node,
            partition: ballot.into(),
            lease_ns: context.true_wait(node, lease).as_nanos() as u64,
        }),
        Told::Freed { ballot } => Some(Entry::Freed {
            node,
            partition: ballot.into(),
        }),
        Told::LeaseExpired { ballot } => Some(Entry::LeaseExpired {
            node,
            partition: ballot.into(),
        }),
        Told::Ignored { input, reason } => Some(Entry::Ignored {
            node,
            input,
            reason,
        }),
        of_partition => of_partition_told(of_partition),
    };
    if let Some(entry) = entry {
        context.record(entry);
    }
}

/// What is told of a whole partition by its leader.
fn of_partition_told(told: Told) -> Option<Entry> {
    Some(match told {
        Told::Began { ballot, cause } => Entry::Began {
            partition: ballot.into(),
            cause,
        },
        Told::Grew { ballot, members } => Entry::Grew {
            partition: ballot.into(),
            members: nodes(&members),
        },
        Told::Absorbed { ballot, taken } => Entry::Absorbed {
            partition: ballot.into(),
            taken: taken.into(),
        },
        Told::TookOver { ballot, from } => Entry::TookOver {
            partition: ballot.into(),
            from: from.into(),
        },
        Told::CapReached { ballot } => Entry::CapReached {
            partition: ballot.into(),
        },
        Told::Computed {
            ballot,
            hosts,
            steps,
            solved,
        } => Entry::Computed {
            partition: ballot.into(),
            hosts: u32::from(hosts),
            steps,
            solved,
        },
        Told::Planned {
            ballot,
            plan,
            memory,
        } => Entry::Planned {
            partition: ballot.into(),
            steps: plan.steps.len() as u32,
            memory_mib: memory.0,
        },
        Told::Ended {
            ballot,
            end,
            members,
        } => Entry::Ended {
            partition: ballot.into(),
            end,
            members: nodes(&members),
        },
        // Machines of the simulator have no rules.
        Told::Barred { .. }
        | Told::Reserved { .. }
        | Told::Freed { .. }
        | Told::LeaseExpired { .. }
        | Told::Ignored { .. }
        | Told::Search { .. }
        | Told::SearchMore { .. }
        | Told::SearchEnd { .. }
        | Told::Migrate { .. }
        | Told::Expect { .. }
        | Told::Unexpect { .. }
        | Told::Sleep
        | Told::Wake(_)
        | Told::Advertise { .. } => return None,
    })
}

fn nodes(peers: &BTreeSet<PeerId>) -> Vec<NodeIndex> {
    peers.iter().map(|peer| NodeIndex::of_peer(*peer)).collect()
}
