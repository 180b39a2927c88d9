//! Whole numbers that count inside one site, told apart in the whole cloud.
//!
//! Aggregates always, hypervisors and services before microversion 2.53 are named by numbers that
//! each site counts for itself. Where those of another site are shown, the upper bits say which
//! site it is: 31 bits of its prefix above 20 bits of the number, which every JSON reader holds
//! exactly. A site shows its own numbers as they are.

use axum::body::Body;
use axum::response::Response;
use http::Uri;
use http::header::CONTENT_LENGTH;
use luc_api::Service;
use luc_core::SitePrefix;
use luc_state::Snapshot;
use serde_json::{Value, json};

use crate::Services;
use crate::compute::model::aggregate::Aggregate;

/// How many bits a site's own numbers have.
const OWN_BITS: u32 = 20;

/// The most bytes of an answer in which numbers are put right.
const ANSWER_MAX: usize = 16 << 20;

fn bits_of(site: SitePrefix) -> u64 {
    let [a, b, c, d, ..] = *site.as_bytes();
    u64::from(u32::from_be_bytes([a, b, c, d]) >> 1)
}

/// The number as the site `own` counts it, if it was marked as one of that site's.
pub(crate) fn own(own: SitePrefix, number: u64) -> u64 {
    let marked = number >> OWN_BITS == bits_of(own);
    if marked {
        number & ((1 << OWN_BITS) - 1)
    } else {
        number
    }
}

/// Whether a parameter may name something by such a number.
pub(super) fn is_number(service: Service, parameter: &str) -> bool {
    let counted = ["aggregate_id", "hypervisor_id", "service_id"];
    service == Service::Compute && counted.contains(&parameter)
}

/// The other site whose number this is, and the number there.
pub(super) fn foreign(services: &Services, text: &str) -> Option<(SitePrefix, u64)> {
    let number: u64 = text.parse().ok()?;
    let bits = number >> OWN_BITS;
    let all = services.sites.all();
    let mut others = all.iter().filter(|view| view.site != services.site);
    let site = others
        .find(|view| bits > 0 && bits_of(view.site) == bits)?
        .site;
    Some((site, number & ((1 << OWN_BITS) - 1)))
}

/// The site to which the aggregate with this number has moved, and its number there.
pub(super) fn moved(snapshot: &Snapshot, parameter: &str, text: &str) -> Option<(SitePrefix, u64)> {
    let aggregate = (parameter == "aggregate_id").then(|| snapshot.get::<Aggregate>(text))??;
    let moved = aggregate.moved.as_ref()?;
    Some((moved.site, moved.number))
}

/// Marks every number by which something of `site` is named in `value`.
pub(crate) fn lift(value: &mut Value, site: SitePrefix) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| lift(item, site)),
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_u64() {
                    Some(number) if name == "id" && number >> OWN_BITS == 0 => {
                        *member = json!((bits_of(site) << OWN_BITS) | number);
                    }
                    _ => lift(member, site),
                }
            }
        }
        _ => {}
    }
}

/// `uri` with the number as `there` in place of the segment `here`.
pub(crate) fn rewritten(uri: &Uri, here: &str, there: u64) -> Uri {
    let segments = uri.path().split('/').map(|segment| {
        if segment == here {
            there.to_string()
        } else {
            segment.to_owned()
        }
    });
    let mut whole = segments.collect::<Vec<_>>().join("/");
    if let Some(query) = uri.query() {
        whole.push('?');
        whole.push_str(query);
    }
    whole.parse().unwrap_or_else(|_| uri.clone())
}

/// The answer of `site` with its numbers marked.
pub(crate) async fn lifted(answer: Response<Body>, site: SitePrefix) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, ANSWER_MAX).await else {
        return Response::from_parts(parts, Body::empty());
    };
    let Ok(mut value) = serde_json::from_slice::<Value>(&bytes) else {
        return Response::from_parts(parts, Body::from(bytes));
    };
    lift(&mut value, site);
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_by_which_things_are_named_say_their_site() {
        let site = SitePrefix::from_bytes([0xff; 6]);
        let mut value = json!({"hypervisors": [{"id": 3, "vcpus": 4, "service": {"id": 5}}]});
        lift(&mut value, site);
        let item = &value["hypervisors"][0];
        assert_eq!(item["id"], (u64::from(u32::MAX >> 1) << 20) | 3);
        assert_eq!(item["service"]["id"], (u64::from(u32::MAX >> 1) << 20) | 5);
        assert_eq!(item["vcpus"], 4);
        assert!(
            item["id"].as_f64().is_some_and(|id| id < 9e15),
            "exact in JSON"
        );
    }

    #[test]
    fn a_number_is_replaced_where_it_is_a_segment() {
        let uri: Uri = "/compute/v2.1/os-aggregates/17/action?a=17"
            .parse()
            .unwrap();
        let there = rewritten(&uri, "17", 1);
        assert_eq!(there, "/compute/v2.1/os-aggregates/1/action?a=17");
    }
}
