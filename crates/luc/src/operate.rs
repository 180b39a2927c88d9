//! The operator's commands: they ask a node's API and print what it answers, as tables or JSON.
//!
//! Where the API is and who asks is said by `--url` with a password or token, by the variables of
//! an `openrc`, or by an entry of a `clouds.yaml` (`OS_CLOUD`, `OS_CLIENT_CONFIG_FILE`).

pub mod quota;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use luc_api::value::Secret;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::clouds::Access;
use crate::operate_args::{ApiArgs, NodesCommand, SiteCommand};
use crate::steps::print;

/// An authenticated operator.
pub struct Operator {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Operator {
    /// Logs in as `args` and the environment say.
    pub async fn login(args: &ApiArgs) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(60))
            .build()
            .context("preparing a client")?;
        if let (Some(url), Some(token)) = (&args.url, &args.token) {
            let (url, token) = (base(url), token.clone());
            return Ok(Self { http, url, token });
        }
        let access = access(args)?;
        let client = Client::login(&access).await?;
        Ok(Self {
            http,
            url: base(&access.auth_url),
            token: client.token().to_owned(),
        })
    }

    /// Asks; the answer's JSON, or an error with the node's own words.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.url);
        let mut request = self.http.request(method.clone(), &url);
        request = request.header("X-Auth-Token", &self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await;
        let answer = answer.with_context(|| format!("{method} {url}"))?;
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        if !status.is_success() {
            match value["error"]["message"].as_str() {
                Some(message) => bail!("{message} ({status})"),
                None => bail!("{method} {url}: {status} {text}"),
            }
        }
        Ok(value)
    }
}

/// The URL without the path of the identity service.
fn base(url: &str) -> String {
    let prefix = luc_api::Service::Identity.facts().prefix;
    let base = url.split(prefix).next().unwrap_or(url);
    base.trim_end_matches('/').to_owned()
}

fn access(args: &ApiArgs) -> anyhow::Result<Access> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if args.url.is_none() && args.cloud.is_some() {
        let file = variable("OS_CLIENT_CONFIG_FILE").unwrap_or_else(|| "clouds.yaml".to_owned());
        let text = std::fs::read_to_string(&file).with_context(|| format!("reading {file}"))?;
        let name = args.cloud.as_deref().unwrap_or_default();
        return Access::from_clouds(&text, name).with_context(|| format!("in {file}"));
    }
    let url = args.url.clone().or_else(|| variable("OS_AUTH_URL"));
    let url = url.context(
        "which cloud? Use --url with --password-file, or OS_CLOUD and OS_CLIENT_CONFIG_FILE, or \
         `source openrc`",
    )?;
    let password = match &args.password_file {
        Some(file) => read_password(file)?,
        None => variable("OS_PASSWORD").context("a password is needed: --password-file FILE")?,
    };
    Ok(Access {
        auth_url: luc_api::Service::Identity.url(&base(&url)),
        user: variable("OS_USERNAME").unwrap_or_else(|| args.user.clone()),
        password: Secret::new(password),
        project: variable("OS_PROJECT_NAME").unwrap_or_else(|| args.project.clone()),
        region: String::new(),
    })
}

fn read_password(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file);
    let text = text.with_context(|| format!("reading {}", file.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

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
            let operator = Operator::login(&api).await?;
            let path = format!("/luc/v1/sites/{site}");
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
            let operator = Operator::login(&api).await?;
            let path = format!("/luc/v1/sites/{site}?insist={insist}&fenced={fenced}");
            let answer = operator.ask(Method::DELETE, &path, None).await?;
            show(&answer, json_wanted, || {
                format!("{site} is removed for good.")
            });
        }
        SiteCommand::Allow {
            site, domain, api, ..
        } => {
            let operator = Operator::login(&api).await?;
            let path = format!("/luc/v1/sites/{site}/domains");
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
        NodesCommand::Revoke { node, api } => {
            let operator = Operator::login(&api).await?;
            let path = format!("/luc/v1/nodes/{node}");
            let answer = operator.ask(Method::DELETE, &path, None).await?;
            show(&answer, json_wanted, || {
                format!("The key of {node} counts no longer.")
            });
        }
    }
    Ok(())
}

/// Carries out `luc op show`.
pub async fn operation(id: &str, api: &ApiArgs, json_wanted: bool) -> anyhow::Result<()> {
    let operator = Operator::login(api).await?;
    let path = format!("/luc/v1/operations/{id}");
    let answer = operator.ask(Method::GET, &path, None).await?;
    show(&answer, json_wanted, || {
        let facts = answer["operation"].as_object();
        let facts = facts.into_iter().flatten();
        let lines = facts.map(|(name, value)| format!("{name:10} {}", plain(value)));
        lines.collect::<Vec<_>>().join("\n")
    });
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

const NODE_COLUMNS: [Column; 10] = [
    ("NAME", "name"),
    ("SITE", "site"),
    ("ROLES", "roles"),
    ("STATE", "state"),
    ("HEALTH", "health"),
    ("SEEN s", "seen_secs_ago"),
    ("RTT ms", "rtt_ms"),
    ("EXPECTED ms", "expected"),
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

/// Carries out `luc join`.
pub async fn join(args: crate::operate_args::JoinArgs, json_wanted: bool) -> anyhow::Result<()> {
    use luc_services::sites::{Purpose, TicketText};

    let ticket = TicketText::decode(&args.ticket)?;
    let wanted = args.config.clone();
    let existing = wanted.as_deref().filter(|path| path.is_file());
    let mut config = match existing {
        Some(path) => crate::config::Config::read(path)?,
        None => crate::config::Config::default(),
    };
    if let Some(directory) = args.data_dir {
        config.node.data_dir = directory;
    }
    if existing.is_none() {
        config.node.roles = match ticket.purpose {
            Purpose::Node => vec![crate::config::Role::Compute],
            Purpose::Site => config.node.roles,
        };
    }
    match (ticket.purpose, args.name) {
        (Purpose::Node, Some(name)) => config.node.name = name,
        (Purpose::Site, Some(name)) => config.site.name = name,
        (Purpose::Node, None) if existing.is_none() => bail!("name the node: --name NAME"),
        (Purpose::Site, None) if existing.is_none() => bail!("name the site: --name NAME"),
        _ => {}
    }
    if ticket.purpose == Purpose::Node {
        config.site.name.clone_from(&ticket.site_name);
    }
    // Read again as a whole, so that the options are checked as the file is.
    let text = toml::to_string_pretty(&config)?;
    let config = crate::config::Config::parse(&text)?;
    let fabrics = crate::fabrics::Fabrics::Quic;
    let domain = args.as_domain.as_deref();
    let joined = crate::join::join_as(&config, &args.ticket, domain, &fabrics).await?;
    let (welcomed, left) = (joined.welcomed, joined.left);
    let file: Option<PathBuf> = match (existing, args.config) {
        (None, Some(path)) => {
            crate::clouds::write_private(&path, text.as_bytes())?;
            Some(path)
        }
        (_, path) => path,
    };
    let facts = json!({"site": welcomed.site_name, "prefix": welcomed.site.to_string(),
        "data_dir": config.node.data_dir, "config": file, "left": left,
        "sites": welcomed.members.sites.iter().map(|site| site.name.clone()).collect::<Vec<_>>()});
    show(&facts, json_wanted, || {
        let what = match ticket.purpose {
            Purpose::Node => format!(
                "Node {} is of site {}.",
                config.node.name, welcomed.site_name
            ),
            Purpose::Site => format!("Site {} is of the cloud.", welcomed.site_name),
        };
        let file = file.map_or_else(|| "…".to_owned(), |file| file.display().to_string());
        let left = left.iter().map(|left| format!("\nLeft behind: {left}"));
        let left = left.collect::<String>();
        format!("{what} Start it with `luc node --config {file}`.{left}")
    });
    Ok(())
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

    #[test]
    fn the_address_of_a_node_is_its_url_without_a_service() {
        assert_eq!(base("http://a:1/identity/v3"), "http://a:1");
        assert_eq!(base("http://a:1/"), "http://a:1");
    }
}
