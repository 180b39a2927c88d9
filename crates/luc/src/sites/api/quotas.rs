//! Where the limits of projects are lent, and what is kept for a site.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use luc_core::SitePrefix;
use luc_services::compute::quota::{Report, project_named, report, set_reserve, share_of};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Needs, Operators, parsed};

/// `GET /luc/v1/quotas/{project}`.
pub(super) async fn show(
    State(operators): State<Operators>,
    Path(project): Path<String>,
    request: Request,
) -> Response {
    let work = async move |operators: Operators, _: Bytes| {
        let report = report(&operators.services, &project)?;
        Ok(json!({"quota": view(&report, |site| operators.name_of(site))}))
    };
    operators.answer(request, Needs::Reader, work).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reserve {
    reserve: BTreeMap<String, u64>,
}

/// `PUT /luc/v1/quotas/{project}/reserves/{site}`.
pub(super) async fn reserve(
    State(operators): State<Operators>,
    Path((project, site)): Path<(String, String)>,
    request: Request,
) -> Response {
    let work = async move |operators: Operators, body: Bytes| {
        let Reserve { reserve } = parsed(&body)?;
        let (services, site) = (&operators.services, operators.named(&site)?);
        let id = project_named(services, &project)?;
        set_reserve(services, &id, site, &share_of(reserve)?).await?;
        let report = report(services, id.as_str())?;
        Ok(json!({"quota": view(&report, |site| operators.name_of(site))}))
    };
    operators.answer(request, Needs::Admin, work).await
}

fn view(report: &Report, name: impl Fn(SitePrefix) -> Option<String>) -> Value {
    let sites = report.sites.iter().map(|share| {
        json!({
            "site": name(share.site),
            "site_id": share.site.to_string(),
            "lent": share.lent,
            "reserve": share.reserve,
        })
    });
    json!({
        "project": report.project,
        "limits": report.limits,
        "sites": sites.collect::<Vec<_>>(),
    })
}
