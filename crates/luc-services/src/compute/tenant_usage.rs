//! What projects have used over a time: the hours of their servers, weighted by their sizes.
//!
//! A server counts from its launch to its end, as far as that lies in the time asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use luc_api::ApiError;
use luc_api::paging::Page;
use luc_api::policy::Attributes;
use luc_core::time::Timestamp;
use luc_state::{Snapshot, Stored, key};
use serde_json::{Value, json};
use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::model::server::{DeletedServer, Server};
use super::page::{LIMIT_MAX, check_parameters, next_links};
use super::wire_time::Micros;
use crate::Services;
use crate::reply::Reply;
use crate::request::Request;

/// Reads a time without a zone, in one of the three forms that Nova takes here.
fn parse(text: &str) -> Option<Timestamp> {
    let whole = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let parts =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:1+]");
    let spaced =
        format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:1+]");
    let read = |form: &[BorrowedFormatItem<'_>]| PrimitiveDateTime::parse(text, form).ok();
    let time = read(whole)
        .or_else(|| read(parts))
        .or_else(|| read(spaced))?;
    let micros = time.assume_utc().unix_timestamp_nanos() / 1_000;
    i64::try_from(micros).ok().map(Timestamp::from_unix_micros)
}

/// The time that is asked for.
#[derive(Clone, Copy, Debug)]
struct Period {
    start: Timestamp,
    stop: Timestamp,
}

impl Period {
    /// Reads `start` and `end`; both are now unless they are given.
    fn of(request: &Request) -> Result<Self, ApiError> {
        let read = |name: &str| match request.query.get(name).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => match parse(text) {
                Some(moment) => Ok(Some(moment)),
                None => Err(ApiError::invalid(name, "Datetime is in invalid format")),
            },
        };
        let (start, stop) = (read("start")?, read("end")?);
        let given = start.is_some() || stop.is_some();
        let start = start.unwrap_or(request.now);
        let stop = stop.unwrap_or(request.now);
        if given && start >= stop {
            let message = "Invalid start time. The start time cannot occur after the end time.";
            return Err(ApiError::bad_request(message));
        }
        Ok(Self {
            start,
            stop: stop.min(request.now),
        })
    }

    /// Whether a server that ran from `launched` to `ended` ran in it.
    fn touches(&self, launched: Timestamp, ended: Option<Timestamp>) -> bool {
        launched < self.stop && ended.is_none_or(|ended| ended > self.start)
    }

    /// How many hours of it a server ran.
    fn hours(&self, launched: Timestamp, ended: Option<Timestamp>) -> f64 {
        let stop = ended.map_or(self.stop, |ended| ended.min(self.stop));
        let micros = stop
            .unix_micros()
            .saturating_sub(launched.max(self.start).unix_micros());
        micros.max(0) as f64 / 3.6e9
    }
}

/// A server, there or gone.
enum Found {
    Here(Arc<Stored<Server>>),
    Gone(Arc<Stored<DeletedServer>>),
}

impl Found {
    fn server(&self) -> &Server {
        match self {
            Self::Here(server) => server,
            Self::Gone(gone) => &gone.server,
        }
    }
}

/// A server that ran, and when.
struct Ran {
    found: Found,
    launched: Timestamp,
    ended: Option<Timestamp>,
}

impl Ran {
    /// `found`, if it ever ran.
    fn of(found: Found) -> Option<Self> {
        let server = found.server();
        let launched = server.launched_at?;
        let ended = match &found {
            Found::Here(_) => server.terminated_at,
            Found::Gone(gone) => server.terminated_at.or(Some(gone.deleted_at)),
        };
        Some(Self {
            found,
            launched,
            ended,
        })
    }

    fn server(&self) -> &Server {
        self.found.server()
    }
}

/// The servers, of one project or of all, that ran in `period`, by project and id.
fn ran(snapshot: &Snapshot, period: &Period, project: Option<&str>) -> Vec<Ran> {
    let mut found = Vec::new();
    if let Some(project) = project {
        let project = key(&[project]);
        found.extend(
            snapshot
                .find(&Server::BY_PROJECT, &project)
                .map(Found::Here),
        );
        found.extend(
            snapshot
                .find(&DeletedServer::BY_PROJECT, &project)
                .map(Found::Gone),
        );
    } else {
        found.extend(snapshot.all::<Server>().map(Found::Here));
        found.extend(snapshot.all::<DeletedServer>().map(Found::Gone));
    }
    let mut ran: Vec<Ran> = found
        .into_iter()
        .filter_map(Ran::of)
        .filter(|ran| period.touches(ran.launched, ran.ended))
        .collect();
    ran.sort_by(|left, right| {
        let (left, right) = (left.server(), right.server());
        left.project
            .cmp(&right.project)
            .then_with(|| left.id.cmp(&right.id))
    });
    ran
}

/// What one project used.
#[derive(Default)]
struct Sum {
    hours: f64,
    vcpus: f64,
    memory: f64,
    disk: f64,
    servers: Vec<Value>,
}

/// The sums of `ran` by project, and the links to the next page.
fn summed(
    services: &Services,
    request: &Request,
    project: Option<&str>,
    detailed: bool,
) -> Result<(Vec<Value>, Option<Value>), ApiError> {
    let period = Period::of(request)?;
    let ran = ran(&services.store.snapshot(), &period, project);
    let paged = request.version.at_least(2, 40);
    let page = if paged {
        Page::of(&request.query, LIMIT_MAX)?
    } else {
        Page {
            limit: LIMIT_MAX,
            marker: None,
        }
    };
    let (ran, _) = page.cut(ran, |ran| ran.server().id.as_str())?;
    let last = ran
        .last()
        .map(|ran| ran.server().id.as_str())
        .filter(|_| paged);
    let links = next_links(request, page.limit, ran.len(), last);
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for ran in &ran {
        let flavor = &ran.server().flavor;
        let hours = period.hours(ran.launched, ran.ended);
        let sum = sums.entry(ran.server().project.as_str()).or_default();
        sum.hours += hours;
        sum.vcpus += flavor.vcpus.get() as f64 * hours;
        sum.memory += flavor.ram.get() as f64 * hours;
        sum.disk += flavor.disk.plus(flavor.ephemeral).get() as f64 * hours;
        sum.servers.push(server_view(request, ran, hours));
    }
    let shown = sums.into_iter().map(|(project, sum)| {
        let mut shown = json!({
            "tenant_id": project,
            "total_hours": sum.hours,
            "total_vcpus_usage": sum.vcpus,
            "total_memory_mb_usage": sum.memory,
            "total_local_gb_usage": sum.disk,
            "start": Micros(period.start),
            "stop": Micros(period.stop),
        });
        if detailed {
            shown["server_usages"] = json!(sum.servers);
        }
        shown
    });
    Ok((shown.collect(), links))
}

fn server_view(request: &Request, ran: &Ran, hours: f64) -> Value {
    let (server, flavor) = (ran.server(), &ran.server().flavor);
    let until = ran.ended.unwrap_or(request.now);
    let state = if ran.ended.is_some() {
        "terminated"
    } else {
        server.vm_state.as_str()
    };
    json!({
        "instance_id": server.id,
        "name": server.name,
        "tenant_id": server.project,
        "flavor": flavor.name,
        "hours": hours,
        "memory_mb": flavor.ram,
        "local_gb": flavor.disk.plus(flavor.ephemeral),
        "vcpus": flavor.vcpus,
        "started_at": Micros(ran.launched),
        "ended_at": ran.ended.map(Micros),
        "state": state,
        "uptime": until.unix_secs().saturating_sub(ran.launched.unix_secs()),
    })
}

/// Shows what every project has used.
pub(super) fn list(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    request.authorize(&request.own_target())?;
    check_parameters(request, &["start", "end", "detailed", "limit", "marker"])?;
    let detailed = request.query.get("detailed") == Some("1");
    let (sums, links) = summed(services, request, None, detailed)?;
    let mut shown = json!({"tenant_usages": sums});
    if let Some(links) = links {
        shown["tenant_usages_links"] = links;
    }
    Reply::json(&shown)
}

/// Shows what a project has used; nothing at all if it ran no server.
pub(super) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    let project = request.param("project_id");
    request.authorize(&Attributes::new().with("project_id", project))?;
    check_parameters(request, &["start", "end", "limit", "marker"])?;
    let (mut sums, links) = summed(services, request, Some(project), true)?;
    let mut shown = json!({"tenant_usage": sums.pop().unwrap_or_else(|| json!({}))});
    if let Some(links) = links {
        shown["tenant_usage_links"] = links;
    }
    Reply::json(&shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(hours: i64) -> Timestamp {
        Timestamp::from_unix_secs(hours * 3_600)
    }

    #[test]
    fn three_forms_of_time_are_read_and_no_other() {
        for good in [
            "1970-01-01T10:00:00",
            "1970-01-01T10:00:00.0",
            "1970-01-01 10:00:00.000000",
        ] {
            assert_eq!(parse(good), Some(at(10)), "{good}");
        }
        for bad in [
            "",
            "1970-01-01",
            "1970-01-01 10:00:00",
            "1970-01-01T10:00:00Z",
            "now",
        ] {
            assert_eq!(parse(bad), None, "{bad} was accepted");
        }
    }

    #[test]
    fn only_the_hours_inside_the_period_count() {
        let period = Period {
            start: at(10),
            stop: at(20),
        };
        let hours = |launched, ended: Option<i64>| {
            let ended = ended.map(at);
            let launched = at(launched);
            period
                .touches(launched, ended)
                .then(|| period.hours(launched, ended).to_string())
        };
        assert_eq!(hours(12, Some(15)).as_deref(), Some("3"));
        assert_eq!(hours(5, Some(15)).as_deref(), Some("5"));
        assert_eq!(hours(5, None).as_deref(), Some("10"));
        assert_eq!(hours(19, Some(99)).as_deref(), Some("1"));
        assert_eq!(
            hours(5, Some(10)),
            None,
            "it had ended when the period began"
        );
        assert_eq!(
            hours(20, None),
            None,
            "it was launched when the period was over"
        );
    }
}
