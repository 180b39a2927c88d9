//! Who asks which node, and what a path to it may hold.

use std::path::Path;

use anyhow::{Context as _, bail};
use luc_api::value::Secret;
use reqwest::Method;
use serde_json::Value;

use crate::client::{self, Client, PATIENCE};
use crate::clouds::{Access, DomainRef, Domains, identity_url, node_url};
use crate::operate_args::ApiArgs;

/// An authenticated operator.
pub struct Operator {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Operator {
    /// Logs in as `args` and the environment say.
    pub async fn login(args: &ApiArgs) -> anyhow::Result<Self> {
        let http = client::http(PATIENCE)?;
        if let (Some(url), Some(token)) = (&args.url, &args.token) {
            let (url, token) = (node_url(url), token.clone());
            return Ok(Self { http, url, token });
        }
        let variable = |name: &str| std::env::var(name).ok();
        let access = access(args, variable)?;
        let client = Client::login(&access).await?;
        Ok(Self {
            http,
            url: node_url(&access.auth_url),
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
        let what = format!("{method} {url}");
        let mut request = self.http.request(method, &url);
        request = request.header("X-Auth-Token", &self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = client::send(request, &what).await?;
        let status = answer.status();
        let text = answer.text().await;
        let text = text.map_err(|error| client::failed(error, &what))?;
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        if status.is_success() {
            return Ok(value);
        }
        if value["error"]["message"].is_string() {
            bail!("{}", client::refusal(status, &text));
        }
        bail!("{what}: {}", client::refusal(status, &text))
    }
}

/// What `args` and the environment say; `variable` reads that.
fn access(args: &ApiArgs, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Access> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
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
    let domain = |of: &str| {
        let setting = |by: &str| variable(&format!("OS_{of}_DOMAIN_{by}"));
        DomainRef::of(setting("ID"), setting("NAME"))
    };
    Ok(Access {
        auth_url: identity_url(&url),
        user: variable("OS_USERNAME").unwrap_or_else(|| args.user.clone()),
        password: Secret::new(password),
        project: variable("OS_PROJECT_NAME").unwrap_or_else(|| args.project.clone()),
        region: String::new(),
        domains: Domains {
            user: domain("USER"),
            project: domain("PROJECT"),
        },
    })
}

fn read_password(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file);
    let text = text.with_context(|| format!("reading {}", file.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// `text`, which names `what`, as one segment of a path (RFC 3986, sections 2.1 and 3.3).
///
/// Nothing, `.` and `..` are no names: a URL with them is another one.
pub(crate) fn segment(what: &str, text: &str) -> anyhow::Result<String> {
    if text.trim().is_empty() {
        bail!("{what} has no name here: it is empty");
    }
    if text == "." || text == ".." {
        bail!("{what}: {text:?} is no name");
    }
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex::encode_upper([byte]));
        }
    }
    Ok(encoded)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        api: ApiArgs,
    }

    fn args(words: &[&str]) -> ApiArgs {
        Line::parse_from([&["luc"], words].concat()).api
    }

    #[test]
    fn what_is_named_stays_one_segment_of_the_path() {
        assert_eq!(segment("the site", "nancy-1.a").unwrap(), "nancy-1.a");
        assert_eq!(segment("the project", "../sites").unwrap(), "..%2Fsites");
        assert_eq!(segment("the project", "a b?é").unwrap(), "a%20b%3F%C3%A9");
        for none in ["", " ", ".", ".."] {
            let error = segment("the site", none).unwrap_err().to_string();
            assert!(error.contains("the site"), "{error}");
        }
    }

    #[test]
    fn the_environment_says_where_user_and_project_live() {
        let set = [
            ("OS_AUTH_URL", "http://a:1/identity/v3/"),
            ("OS_USERNAME", "ada"),
            ("OS_PASSWORD", "secret"),
            ("OS_PROJECT_NAME", "demo"),
            ("OS_USER_DOMAIN_NAME", "lyon"),
            ("OS_PROJECT_DOMAIN_ID", "0a1b"),
        ];
        let variable = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        // A cloud that this test's own environment names would be another one.
        let args = ApiArgs {
            cloud: None,
            ..args(&[])
        };
        let found = access(&args, variable).unwrap();
        assert_eq!(found.auth_url, "http://a:1/identity/v3");
        assert_eq!(found.user, "ada");
        assert_eq!(found.domains.user, DomainRef::Name("lyon".to_owned()));
        assert_eq!(found.domains.project, DomainRef::Id("0a1b".to_owned()));
        let alone = |name: &str| (name == "OS_PASSWORD").then(|| "secret".to_owned());
        let url = Some("127.0.0.1:9100".to_owned());
        let found = access(&ApiArgs { url, ..args }, alone).unwrap();
        assert_eq!(found.auth_url, "http://127.0.0.1:9100/identity/v3");
        assert_eq!(found.domains, Domains::default());
    }
}
