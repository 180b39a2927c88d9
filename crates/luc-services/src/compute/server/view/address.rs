//! The addresses of a server.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::compute::model::server::{Address, Server};
use crate::compute::server::state::VmState;

/// The addresses of a server by network; none while it is being built, if `building` says so.
pub(in crate::compute::server) struct Addresses<'a> {
    pub(in crate::compute::server) server: &'a Server,
    /// With the members that an extension added.
    pub(in crate::compute::server) extended: bool,
    /// Whether a server that is being built has none.
    pub(in crate::compute::server) building: bool,
}

impl Serialize for Addresses<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let hidden = self.building && self.server.vm_state == VmState::Building;
        let list = if hidden {
            &[][..]
        } else {
            &self.server.addresses[..]
        };
        let mut map = serializer.serialize_map(None)?;
        let mut rest = list;
        while let Some(first) = rest.first() {
            let count = rest
                .iter()
                .take_while(|other| other.network == first.network)
                .count();
            let (same, others) = rest.split_at(count);
            let views: Vec<AddressView<'_>> = same
                .iter()
                .map(|address| AddressView {
                    address,
                    extended: self.extended,
                })
                .collect();
            map.serialize_entry(&first.network, &views)?;
            rest = others;
        }
        map.end()
    }
}

/// One address.
pub(in crate::compute::server) struct AddressView<'a> {
    pub(in crate::compute::server) address: &'a Address,
    pub(in crate::compute::server) extended: bool,
}

impl Serialize for AddressView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Address { address, mac, .. } = self.address;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("version", if address.is_ipv4() { &4 } else { &6 })?;
        map.serialize_entry("addr", address)?;
        if self.extended {
            map.serialize_entry("OS-EXT-IPS:type", "fixed")?;
            map.serialize_entry("OS-EXT-IPS-MAC:mac_addr", mac)?;
        }
        map.end()
    }
}
