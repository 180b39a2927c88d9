//! The end of a server: what it held is given back, and a record of it stays for a while.

use luc_core::time::Timestamp;
use luc_state::{Tx, TxError};

use super::state::PowerState;
use crate::compute::claim;
use crate::compute::model::server::{DeletedServer, Server};
use crate::compute::model::server_group::ServerGroup;
use crate::compute::quota::{self, Delta};

/// What `server` holds of the quota of its project.
pub(in crate::compute) fn charge(server: &Server) -> Delta {
    let held = server.charge();
    Delta {
        instances: 1,
        cores: held.vcpus,
        ram: held.memory,
    }
}

/// Turns `server` into a deleted one. `leftover`: its host could not be told, so what it claims
/// there stays claimed until the host has cleaned up.
pub(in crate::compute) fn bury(
    tx: &mut Tx<'_>,
    mut server: Server,
    leftover: bool,
    now: Timestamp,
) -> Result<(), TxError> {
    quota::release(tx, &server.project, &server.user, charge(&server))?;
    if let Some(placement) = server.placement.as_ref().filter(|_| !leftover) {
        claim::give_back(tx, placement)?;
    }
    if let Some(id) = &server.wish.group
        && let Some(group) = tx.get::<ServerGroup>(id)
    {
        let mut group = group.value().clone();
        group.members.retain(|member| *member != server.id);
        tx.update(group)?;
    }
    tx.delete::<Server>(&server.id)?;
    server.task_state = None;
    server.power_state = PowerState::NoState;
    server.terminated_at = Some(now);
    server.updated_at = now;
    server.personal.admin_pass = None;
    tx.put(DeletedServer {
        server,
        deleted_at: now,
        leftover,
    })
    .map(drop)
}
