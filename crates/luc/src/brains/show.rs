//! `luc dvms`: asks a node and prints what brains know and think.

use anyhow::Context as _;
use luc_runtime::brain::{Size, Status};
use reqwest::Method;
use serde_json::{Value, json};

use super::api::View;
use super::args::DvmsCommand;
use super::explain::{ago, told};
use super::port::Report;
use crate::operate::{Column, Operator, show, table};
use crate::operate_args::ApiArgs;

/// The columns of `luc dvms status`.
const COLUMNS: [Column; 9] = [
    ("SITE", "site"),
    ("NODE", "node"),
    ("LOAD %", "load"),
    ("CORES", "cores"),
    ("ROOM %", "room"),
    ("PARTITION", "partition"),
    ("SEES", "sees"),
    ("PLACE ERROR %", "place_error"),
    ("LAST PLAN", "last_plan"),
];

/// Carries out `luc dvms …`.
pub async fn run(command: DvmsCommand, json_wanted: bool) -> anyhow::Result<()> {
    match command {
        DvmsCommand::Status { all, api } => {
            let (answer, view) = ask(&api, all).await?;
            show(&answer, json_wanted, || status(&view));
        }
        DvmsCommand::Explain { about, all, api } => {
            let (_, view) = ask(&api, all).await?;
            let stories = told(&view, about.as_deref())?;
            let silent = silent(&view);
            let answer = json!({"partitions": stories, "silent": silent});
            show(&answer, json_wanted, || {
                if stories.is_empty() {
                    let nodes = view.nodes.iter().filter(|one| one.status.is_some());
                    return format!(
                        "None of {} nodes has led a partition since it started: no host was asked \
                         for more than it has.{}",
                        nodes.count(),
                        silence(&silent)
                    );
                }
                let texts: Vec<String> = stories.iter().map(super::explain::Told::text).collect();
                format!("{}{}", texts.join("\n").trim_end(), silence(&silent))
            });
        }
    }
    Ok(())
}

async fn ask(api: &ApiArgs, all: bool) -> anyhow::Result<(Value, View)> {
    let operator = Operator::login(api).await?;
    let path = format!("/luc/v1/dvms?all={all}");
    let answer = operator.ask(Method::GET, &path, None).await?;
    let view = serde_json::from_value(answer.clone());
    let view = view.context("this node speaks of its brains in another way than this program")?;
    Ok((answer, view))
}

/// Those that did not answer, each with the reason.
fn silent(view: &View) -> Vec<String> {
    let reports = view.nodes.iter();
    reports
        .filter_map(|report| {
            let error = report.error.as_ref()?;
            Some(match report.node.as_str() {
                "" => format!("site {}: {error}", report.site),
                node => format!("{}/{node}: {error}", report.site),
            })
        })
        .collect()
}

fn silence(silent: &[String]) -> String {
    if silent.is_empty() {
        return String::new();
    }
    format!("\n\nDid not answer:\n  {}", silent.join("\n  "))
}

fn status(view: &View) -> String {
    let rows: Vec<Value> = view
        .nodes
        .iter()
        .filter_map(|report| Some(row(report, report.status.as_ref()?)))
        .collect();
    let rows = table(&COLUMNS, &Value::Array(rows));
    let words = "dry run: plans are made and explained (`luc dvms explain`), nothing is moved";
    format!("{rows}{}\n\n{words}", silence(&silent(view)))
}

fn row(report: &Report, status: &Status) -> Value {
    let load = status.load.filter(|size| size.capacity > 0);
    let share = |size: &Size| f64::from(size.demand) * 100.0 / f64::from(size.capacity);
    let cores = |size: &Size| {
        let of = |hundredths: u32| f64::from(hundredths) / 100.0;
        format!("{:.1} of {:.1}", of(size.demand), of(size.capacity))
    };
    let mut members: Vec<_> = status.members.iter().map(|one| one.peer.site).collect();
    let others = members
        .iter()
        .filter(|site| **site != status.me.site)
        .count();
    members.retain(|site| *site == status.me.site);
    let last = status
        .stories
        .iter()
        .rev()
        .find(|story| !story.moves.is_empty());
    json!({
        "site": report.site,
        "node": report.node,
        "load": load.as_ref().map(|size| format!("{:.0}", share(size))),
        "cores": load.as_ref().map(cores),
        "room": load.as_ref().map(|size| format!("{:.0}", 100.0 - share(size))),
        "partition": if status.is_free { "free" } else { "in one" },
        "sees": match others {
            0 => format!("{}", members.len()),
            others => format!("{} + {others} afar", members.len()),
        },
        "place_error": format!("{:.0}", status.coordinate.error * 100.0),
        "last_plan": last.map(|story| {
            format!("{} ago: {} moves", ago(status.now - story.began), story.moves.len())
        }),
    })
}
