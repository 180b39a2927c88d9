//! Free TCP ports of the host's loopback for what is forwarded into guests.
//!
//! A port is found by binding it and letting it go, so another process may take it before QEMU
//! does; QEMU then refuses to start, and the agent tries again with another.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::observed::Forward;

/// A host port for each of the guest's; those of `before` that are still free stay.
pub(crate) fn choose(guest_ports: &[u16], before: &[Forward]) -> std::io::Result<Vec<Forward>> {
    // All stay bound until the last is chosen, so that none is chosen twice.
    let mut bound = Vec::new();
    for &guest_port in guest_ports {
        let known = before
            .iter()
            .find(|forward| forward.guest_port == guest_port);
        let listener = known
            .and_then(|forward| TcpListener::bind(forward.host).ok())
            .map_or_else(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)), Ok)?;
        bound.push((guest_port, listener));
    }
    bound
        .iter()
        .map(|(guest_port, listener)| {
            let host: SocketAddr = listener.local_addr()?;
            Ok(Forward {
                guest_port: *guest_port,
                host,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_stay_over_a_restart_unless_taken() {
        let first = choose(&[22, 80, 22], &[]).unwrap();
        assert_eq!(
            first
                .iter()
                .map(|forward| forward.guest_port)
                .collect::<Vec<_>>(),
            [22, 80, 22]
        );
        assert_ne!(first[0].host, first[1].host);
        assert_ne!(first[0].host, first[2].host);
        let again = choose(&[80], &first).unwrap();
        assert_eq!(again, [first[1]]);
        let _taken = TcpListener::bind(first[1].host).unwrap();
        let other = choose(&[80], &first).unwrap();
        assert_ne!(other, [first[1]]);
        assert!(other[0].host.ip().is_loopback());
    }
}
