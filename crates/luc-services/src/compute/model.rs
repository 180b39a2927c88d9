//! What the compute service stores. Only these modules know the form of its records.

pub mod aggregate;
pub mod flavor;
pub mod instance_action;
pub mod keypair;
pub mod lease;
pub mod quota;
pub mod server;
pub mod server_group;

use luc_state::Schema;

use super::host::{Host, HostUsage};

/// The tables of the compute service.
pub fn schema() -> Schema {
    Schema::new()
        .table::<Host>()
        .table::<HostUsage>()
        .table::<server::Server>()
        .table::<server::DeletedServer>()
        .table::<instance_action::InstanceAction>()
        .table::<aggregate::Aggregate>()
        .table::<flavor::Flavor>()
        .table::<keypair::Keypair>()
        .table::<lease::LeaseHeld>()
        .table::<lease::QuotaLease>()
        .table::<quota::QuotaClass>()
        .table::<quota::QuotaSet>()
        .table::<quota::QuotaUsage>()
        .table::<server_group::ServerGroup>()
}
