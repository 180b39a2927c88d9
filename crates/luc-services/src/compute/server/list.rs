//! Lists of servers.

use std::collections::BTreeMap;

use luc_api::ApiError;
use luc_api::query::encode;
use luc_state::{Snapshot, key};
use serde::Serialize;

use super::access;
use super::filter::{Deleted, Filter, Rights};
use super::order::Order;
use super::view::{BasicView, Frame, Occasion, ServerView, Shown};
use crate::Services;
use crate::compute::model::server::{DeletedServer, Server};
use crate::reply::Reply;
use crate::request::Request;

/// The most servers in one answer: Nova's `[api] max_limit`.
const LIMIT_MAX: u64 = 1000;

/// How much of each server is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Basic,
    Detail,
}

/// `GET /servers`.
pub(in crate::compute) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    answer(services, request, Depth::Basic)
}

/// `GET /servers/detail`.
pub(in crate::compute) fn list_detail(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    answer(services, request, Depth::Detail)
}

/// What was found, kept alive while it is shown.
struct Found {
    live: Vec<std::sync::Arc<luc_state::Stored<Server>>>,
    deleted: Vec<std::sync::Arc<luc_state::Stored<DeletedServer>>>,
}

impl Found {
    /// The servers that `filter` may admit, by the best index there is.
    fn of(snapshot: &Snapshot, request: &Request, filter: &Filter) -> Self {
        let project = request.caller().ok().and_then(|caller| caller.project_id());
        let project = project
            .filter(|_| !filter.all_projects)
            .map(|id| key(&[id.as_str()]));
        let live = match (&project, filter.deleted) {
            (_, Deleted::Only) => Vec::new(),
            (Some(project), _) => snapshot.find(&Server::BY_PROJECT, project).collect(),
            (None, _) => snapshot.all::<Server>().collect(),
        };
        let deleted = match (&project, filter.deleted) {
            (_, Deleted::Without) => Vec::new(),
            (Some(project), _) => snapshot.find(&DeletedServer::BY_PROJECT, project).collect(),
            (None, _) => snapshot.all::<DeletedServer>().collect(),
        };
        Self { live, deleted }
    }

    fn shown(&self) -> impl Iterator<Item = Shown<'_>> {
        let live = self.live.iter().map(|server| Shown::live(server));
        let deleted = self.deleted.iter().map(|gone| Shown {
            server: &gone.server,
            deleted_at: Some(gone.deleted_at),
        });
        live.chain(deleted)
    }
}

fn answer(services: &Services, request: &Request, depth: Depth) -> Result<Reply, ApiError> {
    let target = request.own_target();
    request.authorize(&target)?;
    let is_admin = access::is_admin(request);
    let all_filters = request.may("os_compute_api:servers:allow_all_filters", &target);
    let rights = Rights {
        all_filters,
        is_admin,
    };
    let filter = Filter::of(&request.query, request.version, rights)?;
    if filter.all_projects {
        let rule = match depth {
            Depth::Basic => "os_compute_api:servers:index:get_all_tenants",
            Depth::Detail => "os_compute_api:servers:detail:get_all_tenants",
        };
        request.authorize_as(rule, &target)?;
    }
    let order = Order::of(&request.query, request.version, is_admin)?;
    let limit = limit(request)?;
    let snapshot = services.store.snapshot();
    let frame = Frame::of(services, &snapshot, request, Occasion::List, &target);
    let found = Found::of(&snapshot, request, &filter);
    // A caller without a project sees what its user made.
    let caller = request.caller()?;
    let user = (caller.project_id().is_none() && !filter.all_projects).then_some(&caller.user_id);
    let mut placed: Vec<_> = found
        .shown()
        .filter(|shown| user.is_none_or(|user| shown.server.user == *user))
        .filter(|shown| filter.admits(shown, frame.zone(shown.server)))
        .map(|shown| (order.place(&shown, frame.zone(shown.server)), shown))
        .collect();
    placed.sort_unstable_by(|(left, _), (right, _)| order.compare(left, right));
    if let Some(marker) = request.query.last("marker") {
        let place = marker_place(&snapshot, request, marker, &order, &frame)?;
        placed.retain(|(other, _)| order.compare(other, &place).is_gt());
    }
    placed.truncate(limit);
    let page: Vec<Shown<'_>> = placed.into_iter().map(|(_, shown)| shown).collect();
    render(request, &frame, depth, limit, &page)
}

/// `limit`, within what Nova answers at most.
fn limit(request: &Request) -> Result<usize, ApiError> {
    let asked = request.query.last("limit").map(|text| {
        text.parse::<u64>().map_err(|_| {
            ApiError::invalid("limit", format!("'{text}' is not a non-negative integer"))
        })
    });
    let limit = asked.transpose()?.unwrap_or(LIMIT_MAX).min(LIMIT_MAX);
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Where the marker stands, whether or not it is in the list.
fn marker_place(
    snapshot: &Snapshot,
    request: &Request,
    marker: &str,
    order: &Order,
    frame: &Frame,
) -> Result<super::order::Place, ApiError> {
    let missing = || ApiError::bad_request(format!("marker [{marker}] not found"));
    let mine = |server: &Server| {
        let own = request.caller().ok().and_then(|caller| caller.project_id());
        own == Some(&server.project) || access::is_admin(request)
    };
    if let Some(server) = snapshot.get::<Server>(marker).filter(|server| mine(server)) {
        return Ok(order.place(&Shown::live(&server), frame.zone(&server)));
    }
    let gone = snapshot
        .get::<DeletedServer>(marker)
        .filter(|gone| mine(&gone.server));
    let gone = gone.ok_or_else(missing)?;
    let shown = Shown {
        server: &gone.server,
        deleted_at: Some(gone.deleted_at),
    };
    Ok(order.place(&shown, frame.zone(&gone.server)))
}

#[derive(Serialize)]
struct NextLink {
    rel: &'static str,
    href: String,
}

#[derive(Serialize)]
struct ServerList<V> {
    servers: Vec<V>,
    #[serde(skip_serializing_if = "Option::is_none")]
    servers_links: Option<[NextLink; 1]>,
}

fn render(
    request: &Request,
    frame: &Frame,
    depth: Depth,
    limit: usize,
    page: &[Shown<'_>],
) -> Result<Reply, ApiError> {
    // As Nova: a full page has a next one, whether or not anything is on it.
    let last = page.last().filter(|_| page.len() == limit);
    let servers_links = last.map(|last| [next(request, last.server.id.as_str())]);
    match depth {
        Depth::Basic => {
            let views = page.iter().map(|shown| BasicView {
                server: shown.server,
                frame,
            });
            Reply::json(&ServerList::<BasicView<'_>> {
                servers: views.collect(),
                servers_links,
            })
        }
        Depth::Detail => {
            let views = page.iter().map(|shown| ServerView {
                shown: *shown,
                frame,
                admin_pass: None,
            });
            Reply::json(&ServerList::<ServerView<'_>> {
                servers: views.collect(),
                servers_links,
            })
        }
    }
}

/// The link to the page after `marker`, its parameters in the order of their names.
fn next(request: &Request, marker: &str) -> NextLink {
    let mut pairs: BTreeMap<&str, &str> = request.query.iter().collect();
    pairs.insert("marker", marker);
    let query: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    let href = format!("{}{}?{}", request.base_url, request.path, query.join("&"));
    NextLink { rel: "next", href }
}
