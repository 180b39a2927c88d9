//! What Nova's lists have in common: which parameters they take, and the link to the next page.

use luc_api::{ApiError, Service};
use serde_json::{Value, json};

use crate::request::Request;

/// How many items a page has at most: Nova's `[api] max_limit`.
pub(super) const LIMIT_MAX: usize = 1_000;

/// Refuses parameters other than `known`, from microversion 2.75 on. Until then they are ignored.
pub(super) fn check_parameters(request: &Request, known: &[&str]) -> Result<(), ApiError> {
    if request.version.at_least(2, 75) {
        check_all_parameters(request, known)
    } else {
        Ok(())
    }
}

/// Refuses parameters other than `known`.
pub(super) fn check_all_parameters(request: &Request, known: &[&str]) -> Result<(), ApiError> {
    match request.query.iter().find(|(name, _)| !known.contains(name)) {
        Some((name, _)) => {
            let reason = format!("Additional properties are not allowed ('{name}' was unexpected)");
            Err(ApiError::invalid(name, reason))
        }
        None => Ok(()),
    }
}

/// The number of `name` in the path; what is no number is a 400 that names it.
pub(super) fn whole_number(name: &str, text: &str) -> Result<u64, ApiError> {
    text.parse()
        .map_err(|_| ApiError::invalid(name, format!("'{text}' is not an integer")))
}

/// The links after a page of `count` items that ends with `last`: one to the next page if this one
/// is full, as in Nova, which does not look whether more follow.
pub(super) fn next_links(
    request: &Request,
    limit: usize,
    count: usize,
    last: Option<&str>,
) -> Option<Value> {
    let last = last.filter(|_| limit > 0 && count >= limit)?;
    let query = request.query.with("marker", last);
    let href = format!("{}{}?{query}", request.base_url, request.path);
    Some(json!([{"rel": "next", "href": href}]))
}

/// The links of one thing: with the API's version in the address, and without.
pub(super) fn links(base_url: &str, collection: &str, id: &str) -> Value {
    let facts = Service::Compute.facts();
    let (prefix, version) = (facts.prefix, facts.version_segment);
    json!([
        {"rel": "self", "href": format!("{base_url}{prefix}{version}/{collection}/{id}")},
        {"rel": "bookmark", "href": format!("{base_url}{prefix}/{collection}/{id}")},
    ])
}
