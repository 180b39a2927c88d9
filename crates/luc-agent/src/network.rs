//! What both drivers say about user-mode networking.
//!
//! QEMU's user-mode network is the same for every guest: the guest is 10.0.2.15, the gateway
//! 10.0.2.2, the name server 10.0.2.3. Tenant networks come with their own module.

use std::net::{IpAddr, Ipv4Addr};

use luc_core::id::ServerId;
use sha2::{Digest as _, Sha256};

use crate::desired::Nic;

/// The guest's address in user-mode networking (QEMU's default).
pub const USER_MODE_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 15));

/// The guest's addresses with this NIC.
pub fn addresses(nic: &Nic) -> Vec<IpAddr> {
    match nic {
        Nic::None => Vec::new(),
        Nic::UserMode { .. } => vec![USER_MODE_ADDRESS],
    }
}

/// The guest's hardware address: the wish's, or one derived from the server's id under the prefix
/// that OpenStack uses (`fa:16:3e`).
pub fn mac_address(nic: &Nic, id: &ServerId) -> Option<String> {
    match nic {
        Nic::None => None,
        Nic::UserMode { mac: Some(mac), .. } => Some(mac.clone()),
        Nic::UserMode { mac: None, .. } => {
            let digest = Sha256::digest(id.as_str());
            Some(format!(
                "fa:16:3e:{:02x}:{:02x}:{:02x}",
                digest[0], digest[1], digest[2]
            ))
        }
    }
}

/// Whether `mac` is six pairs of hexadecimal digits with colons, and no group address.
pub fn is_mac_address(mac: &str) -> bool {
    let bytes: Vec<&str> = mac.split(':').collect();
    let hex = |byte: &&str| byte.len() == 2 && byte.bytes().all(|c| c.is_ascii_hexdigit());
    bytes.len() == 6
        && bytes.iter().all(hex)
        && u8::from_str_radix(bytes[0], 16).is_ok_and(|first| first & 1 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_hardware_address_is_stable_valid_and_differs_by_server() {
        let nic = Nic::UserMode {
            mac: None,
            forward: Vec::new(),
        };
        let mac = |id: &str| mac_address(&nic, &ServerId::parse(id).unwrap()).unwrap();
        assert_eq!(mac("a"), mac("a"));
        assert_ne!(mac("a"), mac("b"));
        assert!(is_mac_address(&mac("a")));
    }

    #[test]
    fn what_could_smuggle_an_option_into_a_command_is_no_hardware_address() {
        for bad in [
            "",
            "fa:16:3e:00:00",
            "fa:16:3e:00:00:00,x=y",
            "fa:16:3e:00:00:0g",
            "01:00:5e:00:00:01",
        ] {
            assert!(!is_mac_address(bad), "{bad} was accepted");
        }
    }
}
