//! A fresh cloud for each story: memory engine, fixed clock, seeded randomness, three hosts that do
//! what is asked of them when they are told to (`settle`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Request, Response, StatusCode};
use luc_api::version::negotiate;
use luc_api::{Endpoint, Microversion, Operation, Service};
use luc_core::Entropy as _;
use luc_core::entropy::SplitMix64;
use luc_services::Services;
use luc_services::ports::{Observer, Randomness};
use luc_services::testing::StoppedClock;
use serde_json::{Value, json};

use crate::mask::Mask;
use crate::script::Step;

struct Seeded(Mutex<SplitMix64>);

impl Randomness for Seeded {
    fn next_u64(&self) -> u64 {
        self.0.lock().expect("no panic while drawing").next_u64()
    }
}

#[derive(Default)]
struct Answers(Mutex<BTreeSet<Operation>>);

impl Observer for Answers {
    fn answered(&self, operation: Option<Operation>, status: u16, _took: Duration) {
        if let Some(operation) = operation.filter(|_| (200..=300).contains(&status)) {
            self.0
                .lock()
                .expect("no panic while counting")
                .insert(operation);
        }
    }
}

/// A request, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// The method.
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// Headers but for the token.
    pub(crate) headers: Vec<(String, String)>,
    /// The token.
    pub(crate) token: Option<String>,
    /// The body.
    pub(crate) body: Option<Vec<u8>>,
}

/// A cloud and what a story has captured in it.
pub(crate) struct World {
    services: Arc<Services>,
    hosts: crate::hosts::Hosts,
    clock: Arc<StoppedClock>,
    answers: Arc<Answers>,
    who: String,
    tokens: BTreeMap<String, String>,
    ended_token: String,
    captured: BTreeMap<String, String>,
    mask: Mask,
    _blobs: tempfile::TempDir,
}

/// Who stories know, with project and role. `admin` is the founder's own.
const PEOPLE: [(&str, &str, &str); 4] = [
    ("manager", "demo", "manager"),
    ("member", "demo", "member"),
    ("reader", "demo", "reader"),
    ("stranger", "other", "member"),
];

/// Everybody's password, the admin's too.
const PASSWORD: &str = "open sesame";

impl World {
    /// A fresh cloud.
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(StoppedClock::default());
        let answers = Arc::new(Answers::default());
        let random: Arc<dyn Randomness> = Arc::new(Seeded(Mutex::new(SplitMix64::new(7))));
        let blobs = tempfile::tempdir().expect("room for blobs");
        let (services, hosts) = crate::hosts::found(
            blobs.path(),
            PASSWORD,
            clock.clone(),
            random,
            answers.clone(),
        )
        .await;
        let mut world = Self {
            services,
            hosts,
            clock,
            answers,
            who: "admin".to_owned(),
            tokens: BTreeMap::new(),
            ended_token: String::new(),
            captured: BTreeMap::new(),
            mask: Mask::default(),
            _blobs: blobs,
        };
        world.people().await;
        world.clock.pass(-100_000);
        world.ended_token = world.login("admin", "admin").await;
        world.clock.pass(100_000);
        world.tokens.clear();
        world
    }

    /// Creates the people of the stories, by the API.
    async fn people(&mut self) {
        let admin = self.login("admin", "admin").await;
        let roles = self.ask(&admin, "GET", "/identity/v3/roles", None).await;
        for (name, project, role) in PEOPLE {
            let listed = format!("/identity/v3/projects?name={project}");
            let listed = self.ask(&admin, "GET", &listed, None).await;
            let project_id = if let Some(id) = listed["projects"][0]["id"].as_str() {
                id.to_owned()
            } else {
                let body = json!({"project": {"name": project}});
                let made = self
                    .ask(&admin, "POST", "/identity/v3/projects", Some(body))
                    .await;
                text(&made["project"]["id"])
            };
            let body = json!({"user": {"name": name, "password": PASSWORD}});
            let user = self
                .ask(&admin, "POST", "/identity/v3/users", Some(body))
                .await;
            let all = roles["roles"].as_array().cloned().unwrap_or_default();
            let role = all
                .iter()
                .find(|r| r["name"] == role)
                .expect("the role is there");
            let grant = format!(
                "/identity/v3/projects/{project_id}/users/{}/roles/{}",
                text(&user["user"]["id"]),
                text(&role["id"])
            );
            self.ask(&admin, "PUT", &grant, None).await;
        }
        self.answers
            .0
            .lock()
            .expect("no panic while counting")
            .clear();
    }

    async fn ask(&self, token: &str, method: &str, path: &str, body: Option<Value>) -> Value {
        let sent = Sent {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
            token: Some(token.to_owned()),
            body: body.map(|body| body.to_string().into_bytes()),
        };
        let (status, _, body) = self.send(sent).await;
        assert!(status.is_success(), "{method} {path}: {status} {body}");
        serde_json::from_str(&body).unwrap_or_default()
    }

    async fn login(&self, user: &str, project: &str) -> String {
        let domain = json!({"id": "default"});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": user, "domain": domain, "password": PASSWORD,
            }}},
            "scope": {"project": {"name": project, "domain": domain}},
        }});
        let sent = Sent {
            method: "POST".to_owned(),
            path: "/identity/v3/auth/tokens".to_owned(),
            headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
            token: None,
            body: Some(body.to_string().into_bytes()),
        };
        let response = self.raw(sent).await;
        assert_eq!(
            response.status(),
            StatusCode::CREATED,
            "{user} cannot log in"
        );
        let token = response
            .headers()
            .get("x-subject-token")
            .expect("there is a token");
        token.to_str().expect("a token is text").to_owned()
    }

    /// The operations that have succeeded so far.
    pub(crate) fn succeeded(&self) -> BTreeSet<Operation> {
        self.answers
            .0
            .lock()
            .expect("no panic while counting")
            .clone()
    }

    /// The revision of the store.
    pub(crate) fn revision(&self) -> u64 {
        self.services.store.snapshot().revision().number()
    }

    /// A token that was good once.
    pub(crate) fn ended_token(&self) -> String {
        self.ended_token.clone()
    }

    /// The row of the endpoint table that a request leads to, if it is one only.
    pub(crate) fn row_of(&self, sent: &Sent) -> Option<&'static Endpoint> {
        let path = sent.path.split('?').next().unwrap_or_default();
        let found = self.services.routes.find(path).ok()??;
        let version = Self::version_of(sent);
        let rows: Vec<&'static Endpoint> = found
            .rows
            .iter()
            .copied()
            .filter(|row| row.verb.as_str() == sent.method && row.versions.contains(version))
            .collect();
        let body: Value =
            serde_json::from_slice(sent.body.as_deref().unwrap_or_default()).unwrap_or_default();
        rows.iter()
            .find(|row| row.action.is_some_and(|action| body.get(action).is_some()))
            .or_else(|| rows.iter().find(|row| row.action.is_none()))
            .copied()
    }

    /// The microversion that a request asks for.
    pub(crate) fn version_of(sent: &Sent) -> Microversion {
        let service = Service::of_path(&sent.path).unwrap_or(Service::Identity);
        let asked = sent
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("openstack-api-version"))
            .map(|(_, value)| value.as_str());
        negotiate(service, asked, None).unwrap_or(service.facts().microversions.min)
    }

    /// Tells a whole step and renders the answer.
    pub(crate) async fn tell(&mut self, step: &Step) -> String {
        self.prepare(step).await;
        self.tell_prepared(step).await
    }

    /// Carries out the directives before a request.
    pub(crate) async fn prepare(&mut self, step: &Step) {
        let directives: Vec<String> = step.directives().map(str::to_owned).collect();
        for directive in directives {
            let directive = self.filled(&directive);
            let (verb, rest) = directive.split_once(' ').unwrap_or((&directive, ""));
            match verb {
                "as" => rest.clone_into(&mut self.who),
                "tick" => {
                    let secs: i64 = rest.parse().expect("tick takes seconds");
                    self.clock.pass(secs);
                    self.tokens.clear();
                }
                "settle" => self.hosts.settle(&self.services).await,
                "host" => self.hosts.tell(&self.services, rest).await,
                other => panic!("unknown directive {other:?}"),
            }
        }
        if !self.who.starts_with("token ") && self.who != "nobody" {
            self.token_of(&self.who.clone()).await;
        }
    }

    async fn token_of(&mut self, who: &str) {
        if self.tokens.contains_key(who) {
            return;
        }
        let project = PEOPLE
            .iter()
            .find(|person| person.0 == who)
            .map_or("admin", |p| p.1);
        let token = self.login(who, project).await;
        self.tokens.insert(who.to_owned(), token);
    }

    /// The request of a step, with everything filled in.
    pub(crate) fn compose(&self, step: &Step) -> Sent {
        let line = self.filled(&step.request_line);
        let (method, path) = line.split_once(' ').unwrap_or((&line, "/"));
        let token = match self.who.strip_prefix("token ") {
            Some(token) => Some(token.to_owned()),
            None => self.tokens.get(&self.who).cloned(),
        };
        let mut headers: Vec<(String, String)> = step
            .headers()
            .map(|(name, value)| (name.to_owned(), self.filled(value)))
            .collect();
        let typed = headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let body = step
            .body
            .as_deref()
            .map(|body| self.filled(body))
            .map(|body| {
                match body
                    .strip_prefix("@bytes ")
                    .and_then(|count| count.trim().parse().ok())
                {
                    Some(count) => (0..count).map(|at: usize| (at % 251) as u8).collect(),
                    None => body.into_bytes(),
                }
            });
        if body.is_some() && !typed {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        Sent {
            method: method.to_owned(),
            path: path.to_owned(),
            headers,
            token,
            body,
        }
    }

    /// Sends the request of a prepared step, captures, and renders the answer.
    pub(crate) async fn tell_prepared(&mut self, step: &Step) -> String {
        let response = self.raw(self.compose(step)).await;
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 30)
            .await
            .expect("the answer is read");
        let body = String::from_utf8_lossy(&body).into_owned();
        let parsed: Value = serde_json::from_str(&body).unwrap_or_default();
        for (name, place) in step.captures() {
            let value = if let Some(header) = place.strip_prefix("header ") {
                parts
                    .headers
                    .get(header)
                    .and_then(|v| v.to_str().ok())
                    .map(str::to_owned)
            } else {
                parsed.pointer(place).map(text)
            };
            let value = value.unwrap_or_else(|| panic!("{place} is not in the answer: {body}"));
            self.captured.insert(name.to_owned(), value);
        }
        let mut lines = vec![parts.status.as_u16().to_string()];
        for name in [
            "location",
            "x-subject-token",
            "openstack-api-version",
            "allow",
            "retry-after",
        ] {
            let Some(value) = parts.headers.get(name) else {
                continue;
            };
            let value = value.to_str().unwrap_or("<not text>");
            let shown = if name == "x-subject-token" {
                "<token>".to_owned()
            } else {
                self.mask.text(value)
            };
            lines.push(format!("{name}: {shown}"));
        }
        if body.len() > 100_000 || body.contains('\u{fffd}') {
            lines.push(format!("<{} bytes>", body.len()));
        } else if !body.is_empty() {
            lines.push(self.mask.body(&body));
        }
        // The separators of the file must not occur in an answer.
        lines
            .join("\n")
            .replace("\n---", "\n ---")
            .replace("\n===", "\n ===")
    }

    /// Sends a request; status, media type and body of the answer.
    pub(crate) async fn send(&self, sent: Sent) -> (StatusCode, String, String) {
        let response = self.raw(sent).await;
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 30)
            .await
            .unwrap_or_default();
        let kind = parts
            .headers
            .get("content-type")
            .and_then(|value| value.to_str().ok());
        let kind = kind.unwrap_or_default().to_owned();
        (
            parts.status,
            kind,
            String::from_utf8_lossy(&body).into_owned(),
        )
    }

    async fn raw(&self, sent: Sent) -> Response<Body> {
        let mut request = Request::builder()
            .method(sent.method.as_str())
            .uri(&sent.path);
        request = request.header("host", "cloud.example:9000");
        for (name, value) in &sent.headers {
            request = request.header(name, value);
        }
        if let Some(token) = sent
            .token
            .as_deref()
            .and_then(|t| HeaderValue::from_str(t).ok())
        {
            request = request.header("x-auth-token", token);
        }
        let body = sent.body.map_or_else(Body::empty, Body::from);
        let request = request.body(body).expect("the request is well-formed");
        let response = luc_services::http::respond(&self.services, request).await;
        response.expect("the path belongs to a service")
    }

    /// `text` with `{{name}}` replaced by what was captured.
    fn filled(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (name, value) in &self.captured {
            filled = filled.replace(&format!("{{{{{name}}}}}"), value);
        }
        assert!(
            !filled.contains("{{"),
            "nothing was captured for {filled:?}"
        );
        filled
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
