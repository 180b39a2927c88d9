//! What a fuzzer does with bytes: hands them to every parser that reads what strangers send.
//!
//! Shared by the bounded test beside this file and by the coverage-guided targets in `fuzz/`.

use luc_api::endpoint::{self, Body};
use luc_api::policy::Policy;
use luc_api::query::{self, Query};
use luc_api::{Microversion, Service, version};

/// Hands `data` to every parser. They may refuse it; they must not panic, and what one of them
/// names as a member must be printable.
#[allow(
    unreachable_pub,
    dead_code,
    reason = "each fuzz target needs one of the two"
)]
pub fn attack(data: &[u8]) {
    let minor = u16::from(data.first().copied().unwrap_or_default()) % 105;
    for row in endpoint::all() {
        if let Body::Json(parse) = row.body
            && let Err(error) = parse(data, Microversion::new(2, minor))
        {
            assert!(
                error.status().is_client_error(),
                "{:?}: {error}",
                row.operation
            );
        }
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _ = Query::parse(text);
    let _ = query::decode_segment(text);
    let _ = version::negotiate(Service::Compute, std::iter::once(text), Some(text));
    let _ = luc_api::policy::parse(text);
}

/// Hands `data` to the reader of policy files, which loads the defaults each time: a hundred times
/// slower than the other parsers, so the coverage-guided targets keep it apart.
#[allow(
    unreachable_pub,
    dead_code,
    reason = "each fuzz target needs one of the two"
)]
pub fn attack_policy(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Policy::with_overrides(text);
    }
}
