//! Sites and nodes join by ticket, as processes that talk QUIC.

mod absent;
mod addresses;
mod merging;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use luc::client::{Client, Target};
use luc::clouds::Access;
use luc_api::value::Secret;
use serde_json::{Value, json};
use tokio::process::Child;

use crate::process::{create, first_line, flavor, image, luc, servers, settled, until};

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The role of a site's node without computes.
const CONTROLLER: &str = "[\"controller\"]";

/// Writes the configuration of a node.
fn configure(directory: &Path, site: &str, name: &str, roles: &str) -> PathBuf {
    let data = directory.join(name);
    let config = format!(
        "[site]\nname = \"{site}\"\n[node]\nname = \"{name}\"\nroles = {roles}\ndata_dir = {:?}\n\
         [api]\nlisten = \"127.0.0.1:0\"\n[compute]\ndriver = \"fake\"\n[log]\nfilter = \"warn\"\n",
        data.display().to_string()
    );
    let path = directory.join(format!("{name}.toml"));
    std::fs::write(&path, config).expect("the configuration is written");
    path
}

async fn run(words: &[&str]) -> Result<Value, String> {
    let output = luc().args(words).output().await.expect("luc runs");
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

async fn start(config: &Path) -> (Child, String) {
    let mut command = luc();
    let mut child = command
        .args(["node", "--config"])
        .arg(config)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("luc starts");
    let facts = first_line(&mut child).await;
    let address = facts["address"].as_str().expect("it has an address");
    let url = format!("http://{address}");
    (child, url)
}

/// The admin, once that node can tell who it is.
pub(crate) async fn login(url: &str) -> Client {
    let access = Access {
        auth_url: format!("{url}/identity/v3"),
        user: "admin".to_owned(),
        password: Secret::new("open sesame"),
        project: "admin".to_owned(),
        region: "RegionOne".to_owned(),
        domains: luc::clouds::Domains::default(),
    };
    let started = Instant::now();
    loop {
        match Client::login(&access).await {
            Ok(client) => return client,
            Err(error) => assert!(started.elapsed() < LIMIT, "{error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The operator of these tests.
pub(crate) struct Operator {
    directory: tempfile::TempDir,
    password: String,
}

impl Operator {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("room for data");
        let password = directory.path().join("password");
        std::fs::write(&password, "open sesame\n").expect("the password is written");
        let password = password.display().to_string();
        Self {
            directory,
            password,
        }
    }

    fn configure(&self, site: &str, name: &str, roles: &str) -> String {
        let path = configure(self.directory.path(), site, name, roles);
        path.display().to_string()
    }

    /// A command about the cloud at `url`.
    async fn ask(&self, url: &str, words: &[&str]) -> Value {
        let place = ["--json", "--url", url, "--password-file", &self.password];
        run(&[words, &place].concat()).await.expect("it is done")
    }

    async fn ticket(&self, url: &str, purpose: &str) -> String {
        let made = self.ask(url, &["site", "ticket", purpose]).await;
        made["ticket"].as_str().expect("its text").to_owned()
    }

    /// Founds the cloud at a site called alpha, with a node of these roles.
    pub(crate) async fn found(&self, roles: &str) -> (Child, String) {
        let config = self.configure("alpha", "alpha-c", roles);
        let words = ["cloud", "create", "--config", &config];
        let password = ["--admin-password-file", self.password.as_str()];
        run(&[&words[..], &password].concat())
            .await
            .expect("it is founded");
        start(Path::new(&config)).await
    }

    /// Joins a site called beta, with a node of these roles, twice, and tries to use its ticket for
    /// another one.
    pub(crate) async fn join_site(&self, url: &str, roles: &str) -> (Child, String) {
        let text = self.ticket(url, "--site").await;
        let beta = self.configure("beta", "beta-c", roles);
        let joined = run(&["join", &text, "--config", &beta, "--json"]).await;
        assert_eq!(joined.expect("it joins")["sites"], json!(["alpha", "beta"]));
        run(&["join", &text, "--config", &beta])
            .await
            .expect("asked again it is the same");
        let gamma = self.configure("gamma", "gamma-c", "[\"controller\"]");
        let replayed = run(&["join", &text, "--config", &gamma]).await;
        assert!(replayed.expect_err("it is used").contains("used already"));
        start(Path::new(&beta)).await
    }

    async fn join_node(&self, url: &str) -> (Child, String) {
        self.join_node_of(url, "beta", "beta-1").await
    }

    /// Joins a compute-only node called `name` to `site`, through the node at `url`.
    async fn join_node_of(&self, url: &str, site: &str, name: &str) -> (Child, String) {
        let text = self.ticket(url, "--node").await;
        let node = self.configure(site, name, "[\"compute\"]");
        run(&["join", &text, "--config", &node])
            .await
            .expect("the node joins");
        start(Path::new(&node)).await
    }

    /// Waits until the site beta has told the one at `url` of its room.
    async fn room(&self, url: &str) {
        let started = Instant::now();
        loop {
            let shown = self.ask(url, &["site", "show", "beta"]).await;
            if shown["site"]["room"]["vcpus"].as_u64() > Some(0) {
                return;
            }
            assert!(
                started.elapsed() < LIMIT,
                "beta never said it has room: {shown}"
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until the site at `url` knows the port of the node beta-1, which was free when it
    /// joined.
    async fn reached(&self, url: &str) {
        let started = Instant::now();
        loop {
            let nodes = self.ask(url, &["node", "list"]).await;
            let nodes = nodes["nodes"].as_array().expect("a list").clone();
            let found = nodes.iter().find(|node| node["name"] == "beta-1");
            let ways = found.map(|node| node["addresses"].clone());
            let way = ways.as_ref().and_then(|ways| ways[0].as_str());
            if let Some(way) = way {
                let way: SocketAddr = way.parse().expect("address and port");
                assert!(way.ip().is_loopback() && way.port() != 0, "{way}");
                return;
            }
            assert!(started.elapsed() < LIMIT, "nobody knows the way: {nodes:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Revokes the node called `name` through the site at `url`, which need not be its own.
    async fn revoke(&self, url: &str, name: &str) {
        let nodes = self.ask(url, &["node", "list"]).await;
        let nodes = nodes["nodes"].as_array().expect("a list");
        let found = nodes.iter().find(|node| node["name"] == name);
        let id = found.expect("it is known at this site")["id"].as_str();
        let words = ["node", "revoke", id.expect("an id")];
        self.ask(url, &words).await;
    }
}

/// Waits until the node at `url` cannot reach any controller.
async fn shut_out(url: &str) {
    let (started, http) = (Instant::now(), reqwest::Client::new());
    loop {
        let answer = http.get(format!("{url}/identity/v3")).send().await;
        let status = answer.expect("the node answers").status().as_u16();
        if status == 503 {
            return;
        }
        assert!(
            started.elapsed() < LIMIT,
            "the node is still let in: {status}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_and_its_node_join_by_ticket_and_a_ticket_is_good_once() {
    let operator = Operator::new();
    let (mut first, url) = operator.found(CONTROLLER).await;
    let (mut second, beta_url) = operator.join_site(&url, CONTROLLER).await;
    login(&beta_url).await;
    let (mut third, node_url) = operator.join_node(&beta_url).await;

    // Asked at the node, it is the cloud; asked at the founder, the server runs there.
    let at_node = login(&node_url).await;
    let at_alpha = login(&url).await;
    let image = image(&at_alpha, None).await;
    let flavor = flavor(&at_node, "m1.nano").await;
    operator.room(&url).await;
    assert_eq!(create(&at_alpha, &image, &flavor, "far", 1).await, 202);
    until(&at_node, LIMIT, |servers| {
        settled(servers, "ACTIVE") && !servers.is_empty()
    })
    .await;
    let server = servers(&at_node).await.remove(0);
    assert_eq!(server["OS-EXT-AZ:availability_zone"], "beta", "{server}");
    let path = format!("/servers/{}/action", server["id"].as_str().expect("an id"));
    let console = at_alpha
        .post(Target::Compute, &path, json!({"os-getConsoleOutput": {}}))
        .await;
    let console = console.expect("the console comes from the node of the other site");
    let output = console["output"].as_str();
    assert!(output.is_some_and(|text| !text.is_empty()), "{console}");

    operator.reached(&url).await;
    operator.revoke(&url, "beta-1").await;
    shut_out(&node_url).await;
    for child in [&mut first, &mut second, &mut third] {
        child.kill().await.expect("it was running");
    }
}

#[tokio::test]
async fn a_founded_cloud_joins_no_other_and_a_damaged_ticket_none() {
    let operator = Operator::new();
    let (mut first, url) = operator.found(CONTROLLER).await;
    let ticket = operator.ticket(&url, "--site").await;
    let own = operator.configure("own", "own-c", "[\"controller\"]");
    let words = ["cloud", "create", "--config", &own];
    run(&words).await.expect("it is founded");
    let refused = run(&["join", &ticket, "--config", &own])
        .await
        .expect_err("it is no empty site");
    assert!(refused.contains("the users admin"), "{refused}");
    let cut = &ticket[..ticket.len() - 2];
    let damaged = run(&["join", cut, "--config", &own])
        .await
        .expect_err("it is damaged");
    assert!(damaged.contains("damaged"), "{damaged}");
    first.kill().await.expect("it was running");
}
