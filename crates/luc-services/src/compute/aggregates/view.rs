//! Aggregates as JSON, by microversion. 2.41 adds the UUID.

use serde_json::{Value, json};

use super::ZONE;
use crate::compute::model::aggregate::Aggregate;
use crate::compute::wire_time::Micros;
use crate::request::Request;

/// All of it. The zone is an item of the metadata, too.
pub(super) fn whole(request: &Request, aggregate: &Aggregate) -> Value {
    let mut shown = made(request, aggregate);
    let mut metadata = json!(aggregate.metadata);
    if let Some(zone) = &aggregate.zone {
        metadata[ZONE] = json!(zone);
    }
    shown["hosts"] = json!(aggregate.hosts);
    shown["metadata"] = metadata;
    shown
}

/// What is shown of a new one: neither hosts nor metadata.
pub(super) fn made(request: &Request, aggregate: &Aggregate) -> Value {
    let mut shown = json!({
        "id": aggregate.number(),
        "name": aggregate.name,
        "availability_zone": aggregate.zone,
        "created_at": Micros(aggregate.created_at),
        "updated_at": aggregate.updated_at.map(Micros),
        "deleted": false,
        "deleted_at": null,
    });
    if request.version.at_least(2, 41) {
        shown["uuid"] = json!(aggregate.uuid);
    }
    shown
}
