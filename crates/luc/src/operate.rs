//! The operator's commands: they ask a node's API and print what it answers, as tables or JSON.
//!
//! Where the API is and who asks is said by `--url` with a password or token, by the variables of
//! an `openrc`, or by an entry of a `clouds.yaml` (`OS_CLOUD`, `OS_CLIENT_CONFIG_FILE`).

mod access;
mod join;
mod operation;
pub mod quota;

use anyhow::{Context as _, bail};
use reqwest::Method;
use serde_json::{Value, json};

pub use access::Operator;
pub(crate) use access::segment;
pub use join::join;
pub use operation::operation;

use crate::operate_args::{ApiArgs, NodesCommand, SiteCommand};
use crate::steps::print;

/// Carries out `luc site …`.
pub async fn site(command: SiteCommand, json_wanted: bool) -> anyhow::Result<()> {
    match command {
        SiteCommand::Ticket(args) => {
            let purpose = if args.node { "node" } else { "site" };
            let mut body = json!({"purpose": purpose, "label": args.label,
                "expires_in_secs": seconds(&args.expires)?});
            if !args.domain.is_empty() {
                body["domains"] = json!(args.domain);
            }
            let operator = Operator::login(&args.api).await?;
            let made = operator
                .ask(Method::POST, "/luc/v1/tickets", Some(body))
                .await?;
            let ticket = made["ticket"].as_str().unwrap_or_default().to_owned();
            show(&made, json_wanted, || ticket);
        }
        SiteCommand::List { api } => {
            let operator = Operator::login(&api).await?;
            let answer = operator.ask(Method::GET, "/luc/v1/sites", None).await?;
            show(&answer, json_wanted, || {
                table(&SITE_COLUMNS, &answer["sites"])
            });
        }
        SiteCommand::Show { site, api } => {
            let path = format!("/luc/v1/sites/{}", segment("the site", &site)?);
            let operator = Operator::login(&api).await?;
            let answer = operator.ask(Method::GET, &path, None).await?;
            show(&answer, json_wanted, || site_tables(&answer["site"]));
        }
        SiteCommand::Leave { api } => {
            let operator = Operator::login(&api).await?;
            let answer = operator
                .ask(Method::POST, "/luc/v1/sites/leave", None)
                .await?;
            show(&answer, json_wanted, || {
                "This site has left the cloud. Stop its nodes.".to_owned()
            });
        }
        SiteCommand::Remove {
            site,
            insist,
            fenced,
            api,
        } => {
            let named = segment("the site", &site)?;
            let path = format!("/luc/v1/sites/{named}?insist={insist}&fenced={fenced}");
            let operator = Operator::login(&api).await?;
            let answer = operator.ask(Method::DELETE, &path, None).await?;
            show(&answer, json_wanted, || {
                format!("{site} is removed for good.")
            });
        }
        SiteCommand::Allow {
            site, domain, api, ..
        } => {
            let path = format!("/luc/v1/sites/{}/domains", segment("the site", &site)?);
            let operator = Operator::login(&api).await?;
            let body = json!({ "domains": domain });
            let answer = operator.ask(Method::POST, &path, Some(body)).await?;
            show(&answer, json_wanted, || match domain.as_slice() {
                [] => format!("{site} may hold no domain."),
                domains => format!("{site} may hold {}.", domains.join(", ")),
            });
        }
    }
    Ok(())
}

/// A site, its nodes, and which of its records are not shown.
fn site_tables(site: &Value) -> String {
    let facts = table(&SITE_COLUMNS, &json!([site]));
    let nodes = table(&NODE_COLUMNS, &site["nodes"]);
    let twice = &site["conflicts"];
    let twice = match twice.as_array().map(Vec::len) {
        None | Some(0) => String::new(),
        Some(_) => format!("\n\n{}", table(&CONFLICT_COLUMNS, twice)),
    };
    format!("{facts}\n\n{nodes}{twice}")
}

/// Carries out `luc node list` and `luc node revoke`.
pub async fn nodes(command: NodesCommand, json_wanted: bool) -> anyhow::Result<()> {
    match command {
        NodesCommand::List { api } => {
            let operator = Operator::login(&api).await?;
            let answer = operator.ask(Method::GET, "/luc/v1/nodes", None).await?;
            show(&answer, json_wanted, || {
                table(&NODE_COLUMNS, &answer["nodes"])
            });
        }
        NodesCommand::Revoke { node, insist, api } => {
            let named = segment("the node", &node)?;
            let path = format!("/luc/v1/nodes/{named}?insist={insist}");
            let operator = Operator::login(&api).await?;
            let answer = operator.ask(Method::DELETE, &path, None).await?;
            show(&answer, json_wanted, || {
                format!("The key of {node} counts no longer.")
            });
        }
    }
    Ok(())
}

/// Carries out `luc identity rotate`.
pub async fn rotate(void: bool, api: &ApiArgs, json_wanted: bool) -> anyhow::Result<()> {
    let operator = Operator::login(api).await?;
    let body = json!({ "void_old": void });
    let answer = operator
        .ask(Method::POST, "/luc/v1/signing-key", Some(body))
        .await?;
    show(&answer, json_wanted, || {
        format!("Tokens are signed with {} now.", plain(&answer["key"]))
    });
    Ok(())
}

/// Prints the answer as JSON, or as `text` says it.
pub(crate) fn show(answer: &Value, json_wanted: bool, text: impl FnOnce() -> String) {
    if json_wanted {
        print(&answer.to_string());
    } else {
        print(&text());
    }
}

/// A column: its heading and the member it shows.
pub(crate) type Column = (&'static str, &'static str);

const SITE_COLUMNS: [Column; 9] = [
    ("NAME", "name"),
    ("PREFIX", "id"),
    ("LABEL", "label"),
    ("REACHABLE", "reachable"),
    ("AGE ms", "age_ms"),
    ("RTT ms", "rtt_ms"),
    ("LAG ms", "lag_ms"),
    ("API", "api_url"),
    ("NOTE", "note"),
];

/// Of copies that are not shown because two sites made the same.
const CONFLICT_COLUMNS: [Column; 4] = [
    ("NOT SHOWN", "kind"),
    ("ID", "id"),
    ("NAME", "name"),
    ("BECAUSE", "because"),
];

const NODE_COLUMNS: [Column; 11] = [
    ("NAME", "name"),
    ("SITE", "site"),
    ("ROLES", "roles"),
    ("STATE", "state"),
    ("HEALTH", "health"),
    ("SEEN s", "seen_secs_ago"),
    ("RTT ms", "rtt_ms"),
    ("EXPECTED ms", "expected"),
    ("LAG ms", "lag_ms"),
    ("ID", "id"),
    ("COORDINATES ms", "coordinates"),
];

/// Rows under headings, as wide as they must be.
pub(crate) fn table(columns: &[Column], rows: &Value) -> String {
    let rows: Vec<Vec<String>> = rows
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| columns.iter().map(|(_, name)| plain(&row[*name])).collect())
        .collect();
    let headings: Vec<String> = columns
        .iter()
        .map(|(title, _)| (*title).to_owned())
        .collect();
    let all: Vec<&Vec<String>> = std::iter::once(&headings).chain(&rows).collect();
    let width = |at: usize| all.iter().map(|row| row[at].chars().count()).max();
    let widths: Vec<usize> = (0..columns.len()).filter_map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        let cells = cells.map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A value as it stands in a cell.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) if number.is_f64() => {
            format!("{:.2}", number.as_f64().unwrap_or_default())
        }
        Value::Array(parts) => parts.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// `30m`, `1h`, `7d` or seconds.
fn seconds(text: &str) -> anyhow::Result<u64> {
    let (digits, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let each = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => bail!("{text:?} is no time: use for example 30m, 1h or 7d"),
    };
    let number: u64 = digits
        .parse()
        .with_context(|| format!("{text:?} is no time: use for example 30m, 1h or 7d"))?;
    number.checked_mul(each).context("that is too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_units() {
        for (text, expected) in [("90", 90), ("30m", 1800), ("1h", 3600), ("7d", 604_800)] {
            assert_eq!(seconds(text).unwrap(), expected);
        }
        for wrong in ["", "h", "1y", "-1h", "99999999999999999999d"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_table_is_as_wide_as_its_cells() {
        let rows = json!([{"name": "a", "id": 1.5}, {"name": "long", "id": null}]);
        let shown = table(&[("NAME", "name"), ("ID", "id")], &rows);
        assert_eq!(shown, "NAME  ID\na     1.50\nlong  -");
    }
}
