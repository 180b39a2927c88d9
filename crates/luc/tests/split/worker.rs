//! A client at one site: asks rows of the endpoint table and keeps account of what was answered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use luc::client::{Answer, Client, Target};
use luc::clouds::Access;
use luc_api::{Service, Verb};
use serde_json::Value;

use crate::lab::{self, Lab};
use crate::rows;

/// How long a server may take to reach a state on a fake hypervisor.
const SETTLED_WITHIN: Duration = Duration::from_secs(20);

/// What a client was told, to be compared with the cloud afterwards.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Acknowledged and not deleted, by collection path and id.
    pub(crate) kept: BTreeSet<(&'static str, String)>,
    /// Acknowledged deletions.
    pub(crate) deleted: BTreeSet<(&'static str, String)>,
    /// Operations whose outcome was unknown (504).
    pub(crate) unknown: BTreeSet<String>,
}

/// A client at one site.
pub(crate) struct Worker {
    /// The site's number in the lab.
    pub(crate) index: usize,
    /// The site's name.
    pub(crate) site: String,
    /// The site's compute hosts.
    pub(crate) hosts: Vec<String>,
    /// Whether it leaves the services of hosts as they are.
    pub(crate) keeps_hosts: bool,
    /// What stands in the places of path parameters.
    pub(crate) parameters: BTreeMap<&'static str, String>,
    /// The rows that succeeded at least once.
    pub(crate) done: BTreeSet<String>,
    /// What it was told.
    pub(crate) ledger: Ledger,
    access: Access,
    client: Client,
    /// Whether the project has less than it asks for: refusals that say so are counted apart.
    pub(crate) is_tight: bool,
    asked: u64,
    over_quota: u64,
    refused: u64,
    rounds: u64,
    failures: Vec<String>,
}

impl Worker {
    /// Logs in at a site of the lab.
    pub(crate) async fn login(lab: &Lab, index: usize) -> Self {
        let mut worker = Self::at(&lab.access(index), lab.name(index), lab.hosts(index)).await;
        worker.index = index;
        worker
    }

    /// Logs in at a site with these hosts.
    pub(crate) async fn at(access: &Access, site: &str, hosts: Vec<String>) -> Self {
        let client = Client::login(access).await.expect("the admin logs in");
        Self {
            index: 0,
            site: site.to_owned(),
            hosts,
            keeps_hosts: false,
            parameters: BTreeMap::from([("project_id", client.project().to_owned())]),
            done: BTreeSet::new(),
            ledger: Ledger::default(),
            access: access.clone(),
            client,
            is_tight: false,
            asked: 0,
            over_quota: 0,
            refused: 0,
            rounds: 0,
            failures: Vec::new(),
        }
    }

    /// Sets how many of each thing the project may have, over all sites; -1 is no limit.
    pub(crate) async fn set_quota(&self, each: i64) {
        let path = format!("/os-quota-sets/{}", self.client.project());
        let mut limits = serde_json::Map::new();
        for name in ["cores", "ram", "server_group_members"] {
            limits.insert(name.to_owned(), (-1).into());
        }
        for name in ["instances", "server_groups"] {
            limits.insert(name.to_owned(), each.into());
        }
        let body = serde_json::json!({"quota_set": limits});
        let method = reqwest::Method::PUT;
        let asked = self.client.ask(method, Target::Compute, &path, Some(body));
        let answer = asked.await.expect("the quota is changed");
        assert!(
            answer.status.is_success(),
            "{} {}",
            answer.status,
            answer.body
        );
    }

    /// Logs in again, as a person who comes to work during a split.
    pub(crate) async fn login_again(&mut self) {
        match Client::login(&self.access).await {
            Ok(client) => self.client = client,
            Err(error) => self.fail(format!("login: {error:#}")),
        }
    }

    /// The client.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// A name that nobody else uses.
    pub(crate) fn fresh(&mut self, what: &str) -> String {
        self.rounds += 1;
        format!("{what}-{}-{}", self.site, self.rounds)
    }

    /// Notes something that should not have been.
    pub(crate) fn fail(&mut self, failure: impl std::fmt::Display) {
        if self.failures.len() < 20 {
            self.failures.push(format!("at {}: {failure}", self.site));
        }
    }

    /// Asks a row; its parameters are filled in from what is known. Anything but the row's own
    /// success is a failure. Gives back the body of a success.
    pub(crate) async fn ask(
        &mut self,
        service: Service,
        verb: Verb,
        path: &str,
        body: Option<Value>,
    ) -> Option<Value> {
        let keys = body.as_ref().and_then(Value::as_object);
        let action = keys.and_then(|keys| keys.keys().next()).map(String::as_str);
        let action = action.filter(|_| path.ends_with("/action"));
        let row = rows::row(service, verb, path, action);
        let answer = self.send(service, verb, path, body).await?;
        if answer.status.is_success() {
            self.done.insert(rows::named(row));
            return Some(answer.body);
        }
        let text = answer.body.to_string();
        if self.is_tight && answer.status.as_u16() == 403 && text.contains("Quota exceeded") {
            self.over_quota += 1;
            return None;
        }
        let failure = format!("{}: {} {text}", rows::named(row), answer.status);
        self.fail(failure);
        None
    }

    /// Deletes a compute service, unless its host has servers by now; whether it is gone.
    pub(crate) async fn forget_host(&mut self, path: &str) -> bool {
        let (service, verb) = (Service::Compute, Verb::Delete);
        let Some(answer) = self.send(service, verb, path, None).await else {
            return false;
        };
        let gone = answer.status.is_success();
        if gone {
            self.done
                .insert(rows::named(rows::row(service, verb, path, None)));
        } else if !answer.body.to_string().contains("hosting instances") {
            self.fail(format!("DELETE {path}: {} {}", answer.status, answer.body));
        }
        gone
    }

    /// Asks a row that must be refused because its home is beyond the split: 503 with the name.
    pub(crate) async fn expect_refusal(
        &mut self,
        service: Service,
        verb: Verb,
        path: &str,
        body: Option<Value>,
        site: &str,
    ) {
        let Some(answer) = self.send(service, verb, path, body).await else {
            return;
        };
        let text = answer.body.to_string();
        if answer.status.as_u16() == 503 && text.contains(site) {
            self.refused += 1;
        } else if answer.status.as_u16() == 504 {
            self.note_unknown(&text, site);
        } else {
            self.fail(format!(
                "{verb:?} {path} should be a 503 that names {site}: {} {text}",
                answer.status
            ));
        }
    }

    /// Asks a row whose answer cannot come back: 504 with the names of site and operation.
    pub(crate) async fn expect_unknown(
        &mut self,
        service: Service,
        verb: Verb,
        path: &str,
        body: Option<Value>,
        site: &str,
    ) {
        let Some(answer) = self.send(service, verb, path, body).await else {
            return;
        };
        let text = answer.body.to_string();
        if answer.status.as_u16() == 504 {
            self.note_unknown(&text, site);
        } else {
            self.fail(format!(
                "{verb:?} {path} should be a 504 that names {site}: {} {text}",
                answer.status
            ));
        }
    }

    /// Keeps the operation that a 504 names.
    fn note_unknown(&mut self, text: &str, site: &str) {
        let words = text.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
        let operation = words.rev().find(|word| word.len() >= 32);
        match operation.filter(|_| text.contains(site)) {
            Some(operation) => drop(self.ledger.unknown.insert(operation.to_owned())),
            None => self.fail(format!("504 without {site} or an operation: {text}")),
        }
    }

    async fn send(
        &mut self,
        service: Service,
        verb: Verb,
        path: &str,
        body: Option<Value>,
    ) -> Option<Answer> {
        let Some(filled) = self.filled(path) else {
            self.fail(format!("{path}: a parameter is not known"));
            return None;
        };
        let target = match service {
            Service::Identity => Target::Identity,
            Service::Image => Target::Image,
            Service::Compute => Target::Compute,
        };
        let method = verb.as_str().parse().expect("a method");
        self.asked += 1;
        match self.client.ask(method, target, &filled, body).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.fail(format!("{verb:?} {filled}: {error:#}"));
                None
            }
        }
    }

    /// The path with its parameters, if all are known.
    pub(crate) fn filled(&self, path: &str) -> Option<String> {
        let parts: Option<Vec<&str>> = path
            .split('/')
            .map(|part| match part.strip_prefix('{') {
                Some(name) => {
                    let name = name.trim_end_matches('}');
                    self.parameters.get(name).map(String::as_str)
                }
                None => Some(part),
            })
            .collect();
        Some(parts?.join("/"))
    }

    /// Waits until the server is in `status` with nothing left to do.
    pub(crate) async fn settled(&mut self, status: &str) {
        let started = Instant::now();
        let path = self
            .filled("/servers/{server_id}")
            .expect("there is a server");
        loop {
            let shown = self.client.get(Target::Compute, &path).await;
            let shown = shown.unwrap_or_else(|error| Value::String(format!("{error:#}")));
            let server = &shown["server"];
            if server["status"] == status && server["OS-EXT-STS:task_state"].is_null() {
                return;
            }
            if started.elapsed() > SETTLED_WITHIN {
                return self.fail(format!("the server is not {status}: {shown}"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Fails if anything was refused that should have been done.
    pub(crate) fn expect_no_failures(&self) {
        assert!(self.failures.is_empty(), "{:#?}", self.failures);
    }

    /// Says what was done.
    pub(crate) fn report(&self) {
        lab::say(&format!(
            "{}: {} requests, {} refused by name, {} over quota, {} outcomes unknown",
            self.site,
            self.asked,
            self.refused,
            self.over_quota,
            self.ledger.unknown.len()
        ));
    }
}
