//! A founder on a network in memory, and whoever attacks it with a key of its own.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{Method, Request, StatusCode};
use luc::client::{Client, Target};
use luc::cloud::{self, Site};
use luc::clouds::Access;
use luc::config::{ApiConfig, ComputeConfig, Config, DriverKind, NodeConfig, Role, SiteConfig};
use luc::fabrics::{Fabrics, node_secret};
use luc::join::join;
use luc::node::Node;
use luc::sites::Switchboard;
use luc_api::value::Secret;
use luc_core::SitePrefix;
use luc_core::id::DomainId;
use luc_runtime::fabric::memory::Network;
use luc_runtime::fabric::{self, Channel, Ends, Fabric, Members, RequestError};
use luc_runtime::{NodeKey, NodeSecret};
use luc_services::Services;
use luc_services::sites::{Invitation, Label, Purpose, invite};
use serde_json::json;
use tokio::time::Instant;
use tracing_subscriber::fmt::MakeWriter;

/// How long an attacker waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A founder and its network.
pub(crate) struct World {
    pub(crate) network: Arc<Network>,
    pub(crate) founder: Node,
    fabrics: Fabrics,
    directory: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let network = Arc::new(Network::new(1));
        let fabrics = Fabrics::Memory(Arc::clone(&network));
        let directory = tempfile::tempdir().expect("room for data");
        let config = config(&directory, "alpha", "alpha-c", vec![Role::Controller]);
        let password = Some(Secret::new("open sesame"));
        cloud::create(&config, password).await.expect("a cloud");
        let founder = Node::start_on(&config, &[], &fabrics).await;
        Self {
            network,
            founder: founder.expect("the founder starts"),
            fabrics,
            directory,
        }
    }

    pub(crate) fn services(&self) -> &Arc<Services> {
        &self.founder.parts.as_ref().expect("a controller").services
    }

    /// What the founder has counted.
    pub(crate) fn metrics(&self) -> String {
        self.founder
            .parts
            .as_ref()
            .expect("a controller")
            .metrics
            .text()
    }

    /// The revision of the founder's store: the same as long as nothing is changed.
    pub(crate) fn revision(&self) -> u64 {
        self.services().store.snapshot().revision().number()
    }

    pub(crate) fn founder_key(&self) -> NodeKey {
        self.founder
            .peering()
            .expect("a fabric")
            .started
            .fabric
            .me()
    }

    pub(crate) async fn ticket(&self, purpose: Purpose, label: Label) -> String {
        self.ticket_for(purpose, label, None).await
    }

    /// A ticket for a site that may hold `domains`.
    async fn ticket_for(
        &self,
        purpose: Purpose,
        label: Label,
        domains: Option<Vec<DomainId>>,
    ) -> String {
        let invitation = Invitation {
            purpose,
            label,
            domains,
            lifetime: Duration::from_secs(600),
        };
        let inviter = self.founder.peering().expect("a fabric").inviter();
        let made = invite(self.services(), &inviter, &invitation).await;
        made.expect("a ticket").encode()
    }

    /// A compute-only node of the founder that has joined; it does not run yet.
    pub(crate) async fn joined_node(&self, name: &str) -> Config {
        let (config, _) = self.later_node(name);
        self.join_node(&config).await;
        config
    }

    /// The node of `config`, started.
    pub(crate) async fn start(&self, config: &Config) -> Node {
        let hosts = [config.node.name.clone()];
        let started = Node::start_on(config, &hosts, &self.fabrics).await;
        started.expect("the node starts")
    }

    /// Whoever has the key of the compute-only node of `config`.
    pub(crate) fn captured_node(&self, config: &Config) -> Attacker {
        let secret = node_secret(&config.node.data_dir).expect("its key");
        self.attacker(&secret, self.services().site)
    }

    /// Whoever has the key of a site that was admitted under `label`; it never ran.
    pub(crate) async fn captured_site(&self, label: Label) -> Attacker {
        let ticket = self.ticket(Purpose::Site, label).await;
        self.captured_with(&ticket).await
    }

    /// As [`Self::captured_site`], of an edge site that may hold the `default` domain.
    pub(crate) async fn captured_in_default(&self) -> Attacker {
        let default = DomainId::parse("default").expect("an id");
        let ticket = self.ticket_for(Purpose::Site, Label::Edge, Some(vec![default]));
        self.captured_with(&ticket.await).await
    }

    /// A site that was admitted under `label` and runs: what is written into its store is fed.
    pub(crate) async fn running_site(&self, label: Label) -> Node {
        let ticket = self.ticket(Purpose::Site, label).await;
        let config = config(&self.directory, "edge", "edge-c", vec![Role::Controller]);
        let joined = join(&config, &ticket, &self.fabrics).await;
        joined.expect("the site joins");
        let started = Node::start_on(&config, &[], &self.fabrics).await;
        started.expect("the site starts")
    }

    /// A compute-only node of the founder that has a key, and has not joined.
    pub(crate) fn later_node(&self, name: &str) -> (Config, NodeKey) {
        let config = config(&self.directory, "alpha", name, vec![Role::Compute]);
        let directory = &config.node.data_dir;
        std::fs::create_dir_all(directory).expect("room for its key");
        let key = node_secret(directory).expect("its key").key();
        (config, key)
    }

    /// Lets the node of `config` join the founder.
    pub(crate) async fn join_node(&self, config: &Config) {
        let ticket = self.ticket(Purpose::Node, Label::Trusted).await;
        let joined = join(config, &ticket, &self.fabrics).await;
        joined.expect("the node joins");
    }

    async fn captured_with(&self, ticket: &str) -> Attacker {
        let config = config(&self.directory, "edge", "edge-c", vec![Role::Controller]);
        let joined = join(&config, ticket, &self.fabrics).await;
        joined.expect("the site joins");
        let directory = &config.node.data_dir;
        let site = Site::read(directory).and_then(|site| site.prefix());
        let secret = node_secret(directory).expect("its key");
        self.attacker(&secret, site.expect("its prefix"))
    }

    /// Whoever has `secret`, calling itself a node of `site`.
    pub(crate) fn attacker(&self, secret: &NodeSecret, site: SitePrefix) -> Attacker {
        let switchboard = Arc::new(Switchboard::default());
        let ends = Ends {
            admission: Arc::new(All(Members::hospitable(), self.services().site)),
            handler: Arc::clone(&switchboard) as _,
        };
        Attacker {
            switchboard,
            fabric: self.network.start(secret.key(), site, ends),
            target: self.founder_key(),
            site,
        }
    }

    /// The admin, logged in at the founder.
    pub(crate) async fn admin(&self) -> Client {
        self.login("admin", "admin").await
    }

    /// A user called `name`, who is a member of a project of the same name.
    pub(crate) async fn member(&self, name: &str) -> Client {
        let admin = self.admin().await;
        let made = async |kind: &str, body| {
            let path = format!("/{kind}s");
            let made = admin.post(Target::Identity, &path, body).await;
            let made = made.expect("it is made");
            made[kind]["id"].as_str().expect("an id").to_owned()
        };
        let project = made("project", json!({"project": {"name": name}})).await;
        let user = json!({"user": {"name": name, "password": "open sesame"}});
        let user = made("user", user).await;
        let roles = admin.get(Target::Identity, "/roles?name=member").await;
        let role = roles.expect("roles")["roles"][0]["id"].clone();
        let role = role.as_str().expect("an id");
        let path = format!("/projects/{project}/users/{user}/roles/{role}");
        let given = admin.ask(reqwest::Method::PUT, Target::Identity, &path, None);
        assert_eq!(given.await.expect("an answer").status, 204);
        self.login(name, name).await
    }

    async fn login(&self, user: &str, project: &str) -> Client {
        let access = Access {
            auth_url: format!("http://{}/identity/v3", self.founder.address),
            user: user.to_owned(),
            password: Secret::new("open sesame"),
            project: project.to_owned(),
            region: "RegionOne".to_owned(),
            domains: luc::clouds::Domains::default(),
        };
        Client::login(&access).await.expect("the user logs in")
    }

    pub(crate) async fn stop(self) {
        self.founder.stop().await.expect("it stops");
    }
}

/// An attacker's own node lets it speak to anybody about everything.
struct All(Members, SitePrefix);

impl fabric::Admission for All {
    fn standing(&self, key: &NodeKey) -> fabric::Standing {
        match self.0.standing(key) {
            fabric::Standing::Guest => fabric::Standing::Member(key.peer_id(self.1)),
            other => other,
        }
    }
}

/// An end of the fabric in the wrong hands.
pub(crate) struct Attacker {
    pub(crate) fabric: Arc<dyn Fabric>,
    pub(crate) switchboard: Arc<Switchboard>,
    pub(crate) target: NodeKey,
    pub(crate) site: SitePrefix,
}

impl Attacker {
    /// A request on `channel`.
    pub(crate) async fn ask(
        &self,
        channel: Channel,
        body: impl Into<Bytes>,
    ) -> Result<Bytes, RequestError> {
        let request = fabric::Request::new(channel, body);
        let deadline = Instant::now() + PATIENCE;
        self.fabric.request(self.target, request, deadline).await
    }

    /// An HTTP request over the fabric; its status, or nothing if nobody answers.
    pub(crate) async fn http(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Option<StatusCode> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body)).expect("a request");
        let deadline = Instant::now() + PATIENCE;
        let sent = luc_runtime::http::send(
            &*self.fabric,
            self.target,
            Channel::FORWARD,
            request,
            deadline,
        );
        sent.await.ok().map(|answer| answer.status())
    }

    /// What comes on a new stream of `channel` before it ends.
    pub(crate) async fn stream(&self, channel: Channel, says: &'static [u8]) -> Vec<Bytes> {
        let deadline = Instant::now() + PATIENCE;
        let opened = self.fabric.open_stream(self.target, channel, deadline);
        let Ok((mut send, mut recv)) = opened.await else {
            return Vec::new();
        };
        // It may be closed already.
        let _ = send.send(Bytes::from_static(says)).await;
        let mut heard = Vec::new();
        while let Ok(Ok(Some(frame))) = tokio::time::timeout(PATIENCE, recv.recv()).await {
            heard.push(frame);
        }
        heard
    }
}

/// The configuration of a node with everything in memory or in `directory`.
fn config(directory: &tempfile::TempDir, site: &str, name: &str, roles: Vec<Role>) -> Config {
    Config {
        site: SiteConfig {
            name: site.to_owned(),
            ..SiteConfig::default()
        },
        node: NodeConfig {
            name: name.to_owned(),
            roles,
            data_dir: directory.path().join(name),
            ..NodeConfig::default()
        },
        api: ApiConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            ..ApiConfig::default()
        },
        compute: ComputeConfig {
            driver: DriverKind::Fake,
            ..ComputeConfig::default()
        },
        ..Config::default()
    }
}

/// What is logged while it is kept.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// Logs to these lines on this thread from now on.
    pub(crate) fn begin(&self) -> tracing::subscriber::DefaultGuard {
        let log = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(log)
    }

    pub(crate) fn count(&self, text: &str) -> usize {
        let bytes = self.0.lock().expect("nobody panics meanwhile");
        String::from_utf8_lossy(&bytes).matches(text).count()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut held = self.0.lock().expect("nobody panics meanwhile");
        held.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
