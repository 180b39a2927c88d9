//! What a node says of where it is reached: the URL of its API and the address of its host.
//!
//! A node that listens on every address does not know which of them others use. Then the addresses
//! count that its end of the fabric advertises, which the operator gives.

use std::net::{IpAddr, SocketAddr};

use crate::config::ApiConfig;

/// The URL of the API that listens on `bound`, at a node that the fabric reaches at `ways`; `None`
/// if the node cannot know it.
pub fn api_url(config: &ApiConfig, bound: SocketAddr, ways: &[String]) -> Option<String> {
    if let Some(url) = &config.advertise {
        return Some(url.trim_end_matches('/').to_owned());
    }
    if !bound.ip().is_unspecified() {
        return Some(format!("http://{bound}"));
    }
    let (name, _) = ways.first()?.rsplit_once(':')?;
    Some(format!("http://{name}:{}", bound.port()))
}

/// The address of the host whose API listens on `bound`; `None` if the node cannot know it.
pub fn host_ip(bound: SocketAddr, ways: &[String]) -> Option<IpAddr> {
    if !bound.ip().is_unspecified() {
        return Some(bound.ip());
    }
    let ways = ways.iter().filter_map(|way| way.parse::<SocketAddr>().ok());
    ways.map(|way| way.ip()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYWHERE: &str = "0.0.0.0:9000";

    fn url(advertise: Option<&str>, bound: &str, ways: &[&str]) -> Option<String> {
        let config = ApiConfig {
            advertise: advertise.map(str::to_owned),
            ..ApiConfig::default()
        };
        let ways: Vec<String> = ways.iter().map(|way| (*way).to_owned()).collect();
        api_url(&config, bound.parse().unwrap(), &ways)
    }

    fn ip(bound: &str, ways: &[&str]) -> Option<String> {
        let ways: Vec<String> = ways.iter().map(|way| (*way).to_owned()).collect();
        host_ip(bound.parse().unwrap(), &ways).map(|ip| ip.to_string())
    }

    #[test]
    fn what_the_operator_says_counts() {
        let said = url(Some("https://cloud.example/"), EVERYWHERE, &[]);
        assert_eq!(said.as_deref(), Some("https://cloud.example"));
    }

    #[test]
    fn a_node_that_listens_on_one_address_is_reached_there() {
        let ways = ["192.0.2.7:7000"];
        let said = url(None, "192.0.2.1:9000", &ways);
        assert_eq!(said.as_deref(), Some("http://192.0.2.1:9000"));
        assert_eq!(ip("192.0.2.1:9000", &ways).as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn a_node_that_listens_everywhere_is_reached_where_its_fabric_is() {
        for (way, expected) in [
            ("192.0.2.7:7000", "http://192.0.2.7:9000"),
            ("a.example:7000", "http://a.example:9000"),
            ("[2001:db8::1]:7000", "http://[2001:db8::1]:9000"),
        ] {
            assert_eq!(url(None, EVERYWHERE, &[way]).as_deref(), Some(expected));
        }
        let ways = ["a.example:7000", "192.0.2.7:7000"];
        assert_eq!(ip(EVERYWHERE, &ways).as_deref(), Some("192.0.2.7"));
        assert_eq!(url(None, EVERYWHERE, &[]), None);
        assert_eq!(ip(EVERYWHERE, &[]), None);
    }
}
