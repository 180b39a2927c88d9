//! Where a compute-only node is reached: it says so itself once it runs, for at the join its port
//! may not have been known yet. Controllers write their own (`introduce`).

use super::admit::check_addresses;
use super::members::transact;
use super::model::{NodeInfo, node_id};
use super::refusal::Refusal;
use crate::Services;

/// Writes down that the node of this site with the key `key` is reached at `addresses`; nothing if
/// that is known.
pub async fn locate(services: &Services, key: &str, addresses: &[String]) -> Result<(), Refusal> {
    check_addresses(addresses)?;
    let id = node_id(services.site, key);
    transact(services, |tx| {
        let node = tx.get::<NodeInfo>(id.as_str());
        let node = node.ok_or_else(|| Refusal::Unknown {
            what: "node",
            id: id.as_str().to_owned(),
        })?;
        if node.revoked_at.is_some() {
            return Err(Refusal::Revoked);
        }
        if node.addresses != addresses {
            tx.put(NodeInfo {
                addresses: addresses.to_vec(),
                ..node.value().clone()
            })?;
        }
        Ok(())
    })
    .await
}
