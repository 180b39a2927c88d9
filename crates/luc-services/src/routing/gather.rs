//! Answers put together from all sites: what no site tells another by itself.
//!
//! Hosts, services and aggregates are known to their site alone. A request that lists them is asked
//! of every site at once, each for its own, and the answers become one: lists one after the other,
//! in the order of the sites' names, numbers added up. Who does not answer in time is named in the
//! header of [`super::stale`]. Pages are cut from the whole. Lists of the servers of all projects
//! are put together, too, for a site holds copies of some projects only.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::Uri;
use luc_api::compute::ComputeOp;
use luc_api::query::{Query, encode};
use luc_api::{ApiError, Operation};
use luc_core::SitePrefix;
use luc_core::id::ProjectId;
use serde_json::{Value, json};

use super::belief::narrow;
use super::forward::{Head, ask_each};
use super::{Arrival, numbers, stale};
use crate::Services;
use crate::compute::availability_zones;
use crate::identity::admits_project;
use crate::ports::sites::SiteView;
use crate::reply::Reply;
use crate::request::Request;

/// How long the other sites are waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// The most bytes of one site's part.
const PART_MAX: usize = 64 << 20;

/// The most items of a page: Nova's `[api] max_limit`.
const LIMIT_MAX: u64 = 1_000;

/// The requests whose answers are put together.
const GATHERED: [ComputeOp; 10] = [
    ComputeOp::ListServers,
    ComputeOp::ListServersDetail,
    ComputeOp::ListHypervisors,
    ComputeOp::ListHypervisorsDetail,
    ComputeOp::ShowHypervisorStatistics,
    ComputeOp::SearchHypervisors,
    ComputeOp::ListHypervisorServers,
    ComputeOp::ListServices,
    ComputeOp::ListAggregates,
    ComputeOp::ListZonesDetail,
];

/// Which part of the whole the caller wants.
struct Page {
    limit: usize,
    marker: Option<String>,
    asked: Query,
}

/// An answer that other sites have a part in.
pub(crate) struct Gather {
    others: Vec<SiteView>,
    page: Option<Page>,
}

impl Gather {
    /// The answer to `request`, if other sites have a part in it. The handler here is then asked
    /// for everything, for the page is cut from the whole.
    pub(crate) fn of(
        services: &Services,
        request: &mut Request,
        arrival: &Arrival,
    ) -> Result<Option<Self>, ApiError> {
        let Operation::Compute(op) = request.endpoint.operation else {
            return Ok(None);
        };
        if arrival.alone || !GATHERED.contains(&op) {
            return Ok(None);
        }
        let servers = matches!(op, ComputeOp::ListServers | ComputeOp::ListServersDetail);
        if servers && !of_all_projects(&request.query) {
            return Ok(None);
        }
        let mut others = services.sites.all();
        others.retain(|view| view.site != services.site);
        if others.is_empty() {
            return Ok(None);
        }
        let paged = matches!(
            op,
            ComputeOp::ListHypervisors | ComputeOp::ListHypervisorsDetail
        ) && !request.query.has("hypervisor_hostname_pattern")
            && request.version.at_least(2, 33);
        let page = paged.then(|| Page::of(request)).transpose()?;
        Ok(Some(Self { others, page }))
    }

    /// Puts the parts together: `own` is that of this site.
    pub(crate) async fn complete(
        self,
        services: &Services,
        request: &Request,
        mut head: Head,
        own: Result<Reply, ApiError>,
    ) -> Result<Reply, ApiError> {
        let own = match own {
            Ok(reply) => Some(read(Response::new(reply.body)).await?),
            // Where the thing is not here it may be elsewhere.
            Err(ApiError::NotFound { .. }) => None,
            Err(other) => return Err(other),
        };
        if self.page.is_some() {
            head.uri = without_page(&head.uri, &request.query);
        }
        let (reachable, mut silent): (Vec<_>, Vec<_>) =
            self.others.into_iter().partition(|view| view.reachable);
        let mut parts: Vec<(String, Value)> = Vec::new();
        for (view, answer) in ask_each(services, reachable, &head, PATIENCE).await {
            match answer {
                None => silent.push(view),
                Some(answer) if answer.status().is_success() => match read(answer).await {
                    Ok(mut part) => {
                        numbers::lift(&mut part, view.site);
                        if !view.trusted {
                            let lives = |id: &ProjectId| admits_project(services, view.site, id);
                            narrow(&mut part, &view, lives);
                        }
                        parts.push((view.name, part));
                    }
                    // The others' parts are no worse for it.
                    Err(error) => {
                        tracing::debug!(site = view.name, %error, "a part cannot be read");
                        silent.push(view);
                    }
                },
                Some(answer) => {
                    let (site, status) = (view.name, answer.status().as_u16());
                    tracing::debug!(site, status, "a site had no part in an answer");
                }
            }
        }
        let name = super::forward::name_of(services, services.site);
        parts.extend(own.map(|own| (name, own)));
        parts.sort_by(|(left, _), (right, _)| left.cmp(right));
        let mut parts = parts.into_iter().map(|(_, part)| part);
        let Some(mut whole) = parts.next() else {
            return Err(ApiError::not_found("No site has what was asked for."));
        };
        parts.for_each(|part| merge(&mut whole, part));
        if let Some(page) = &self.page {
            page.cut(request, &mut whole)?;
        }
        if let Some(zones) = whole
            .get_mut("availabilityZoneInfo")
            .and_then(Value::as_array_mut)
        {
            zones.extend(
                silent
                    .iter()
                    .map(|view| availability_zones::silent(&view.name)),
            );
        }
        Ok(stale::mark_for(Reply::json(&whole)?, &silent))
    }
}

/// Whether a list of servers is asked for whole: of all projects, which no site holds all of, and
/// not by pages, which are cut from what is held here.
fn of_all_projects(query: &Query) -> bool {
    let all = ["all_tenants", "all_projects"];
    let named = all.iter().filter_map(|name| query.last(name));
    let paged = query.has("limit") || query.has("marker");
    !paged
        && named
            .into_iter()
            .any(|value| !matches!(value, "0" | "false" | "False"))
}

impl Page {
    fn of(request: &mut Request) -> Result<Self, ApiError> {
        let limit = request.query.number("limit")?.unwrap_or(LIMIT_MAX);
        let limit = usize::try_from(limit.min(LIMIT_MAX)).unwrap_or(usize::MAX);
        let marker = request.query.last("marker").map(str::to_owned);
        let rest = Query::parse(&rest(&request.query))?;
        let asked = std::mem::replace(&mut request.query, rest);
        Ok(Self {
            limit,
            marker,
            asked,
        })
    }

    /// Leaves the items of this page in `whole`, with a link to the next if this one is full.
    fn cut(&self, request: &Request, whole: &mut Value) -> Result<(), ApiError> {
        let Some(list) = whole.get_mut("hypervisors").and_then(Value::as_array_mut) else {
            return Ok(());
        };
        if let Some(marker) = &self.marker {
            let at = list.iter().position(|item| text(&item["id"]) == *marker);
            let at = at.ok_or_else(|| {
                ApiError::bad_request(format!("Marker {marker} could not be found."))
            })?;
            list.drain(..=at);
        }
        list.truncate(self.limit);
        let end = list.last().map(|item| text(&item["id"]));
        let full = self.limit > 0 && list.len() >= self.limit;
        if let Some(end) = end.filter(|_| full) {
            let query = self.asked.with("marker", &end);
            let href = format!("{}{}?{query}", request.base_url, request.path);
            whole["hypervisors_links"] = json!([{"rel": "next", "href": href}]);
        }
        Ok(())
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// The query without what cuts pages.
fn rest(query: &Query) -> String {
    let kept = query
        .iter()
        .filter(|(name, _)| !matches!(*name, "limit" | "marker"));
    let kept = kept.map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    kept.collect::<Vec<_>>().join("&")
}

fn without_page(uri: &Uri, query: &Query) -> Uri {
    let query = rest(query);
    let whole = if query.is_empty() {
        uri.path().to_owned()
    } else {
        format!("{}?{query}", uri.path())
    };
    whole.parse().unwrap_or_else(|_| uri.clone())
}

async fn read(answer: Response<Body>) -> Result<Value, ApiError> {
    let broken = |error: &dyn std::fmt::Display| {
        ApiError::internal(format!("reading a part of an answer: {error}"))
    };
    let bytes = axum::body::to_bytes(answer.into_body(), PART_MAX).await;
    let bytes = bytes.map_err(|error| broken(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| broken(&error))
}

/// Adds `part` to `whole`: lists grow, numbers add up, of anything else the first stands.
fn merge(whole: &mut Value, part: Value) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (name, value) in part {
                match whole.get_mut(&name) {
                    Some(own) => merge(own, value),
                    None => {
                        whole.insert(name, value);
                    }
                }
            }
        }
        (Value::Array(whole), Value::Array(part)) => {
            // What several sites hold is listed once.
            let id = |item: &Value| item["id"].as_str().map(str::to_owned);
            let known: BTreeSet<String> = whole.iter().filter_map(id).collect();
            let news = part
                .into_iter()
                .filter(|item| id(item).is_none_or(|id| !known.contains(&id)));
            whole.extend(news);
        }
        (whole @ Value::Number(_), Value::Number(part)) => {
            if let (Some(own), Some(part)) = (whole.as_i64(), part.as_i64()) {
                *whole = json!(own.saturating_add(part));
            }
        }
        _ => {}
    }
}

/// The answer of any trusted site but `except` that has what `head` asks for: of something that was
/// born elsewhere no other site's word is taken.
pub(crate) async fn search(
    services: &Services,
    except: SitePrefix,
    head: &Head,
) -> Option<Response<Body>> {
    let mut others = services.sites.all();
    others.retain(|view| view.reachable && view.trusted);
    others.retain(|view| view.site != services.site && view.site != except);
    let answers = ask_each(services, others, head, PATIENCE).await;
    let mut answers = answers.into_iter().filter_map(|(_, answer)| answer);
    answers.find(|answer| answer.status().is_success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_grow_and_numbers_add_up() {
        let mut whole = json!({"l": [1], "n": {"count": 2, "name": "a"}});
        merge(
            &mut whole,
            json!({"l": [2, 3], "n": {"count": 5, "name": "b"}, "m": []}),
        );
        let expected = json!({"l": [1, 2, 3], "n": {"count": 7, "name": "a"}, "m": []});
        assert_eq!(whole, expected);
    }
}
