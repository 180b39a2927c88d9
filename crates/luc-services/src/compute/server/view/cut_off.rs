//! A server of a site that cannot be reached, as Nova shows one of a cell that is down (from 2.69):
//! what never changes, and a status that says that the rest is not known.

use serde::ser::{SerializeMap, Serializer};

use super::link::{Bookmarked, Links};
use super::{Frame, Occasion, flavor_of};
use crate::compute::model::server::Server;
use crate::compute::wire_time::Seconds;

/// The status that says that no more is known.
const UNKNOWN: &str = "UNKNOWN";

/// The server in a list without details.
pub(super) fn basic<S: Serializer>(
    serializer: S,
    server: &Server,
    frame: &Frame,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(3))?;
    identity(&mut map, server, frame)?;
    map.end()
}

/// The server by itself, or in a list with details.
pub(super) fn details<S: Serializer>(
    serializer: S,
    server: &Server,
    frame: &Frame,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    identity(&mut map, server, frame)?;
    map.serialize_entry("tenant_id", &server.project)?;
    map.serialize_entry("created", &Seconds(server.created_at))?;
    if frame.occasion != Occasion::List {
        map.serialize_entry("user_id", &server.user)?;
        let image = Bookmarked {
            frame,
            collection: "images",
            id: server.image.id.as_str(),
        };
        map.serialize_entry("image", &image)?;
        flavor_of(&mut map, server, frame)?;
        map.serialize_entry("OS-EXT-AZ:availability_zone", frame.zone(server))?;
        map.serialize_entry("OS-EXT-STS:power_state", &0)?;
        if frame.version.at_least(2, 71) {
            let groups: Vec<_> = frame.group(server).into_iter().collect();
            map.serialize_entry("server_groups", &groups)?;
        }
    }
    map.end()
}

fn identity<M: SerializeMap>(map: &mut M, server: &Server, frame: &Frame) -> Result<(), M::Error> {
    let id = server.id.as_str();
    map.serialize_entry("id", id)?;
    map.serialize_entry("status", UNKNOWN)?;
    map.serialize_entry("links", &Links { frame, id })
}
