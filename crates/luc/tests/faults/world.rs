//! A cloud of a few sites in one process, on one paused clock.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, StatusCode};
use luc_core::SitePrefix;
use luc_runtime::NodeSecret;
use luc_runtime::fabric::memory::{Network, Quality};
use luc_services::http::respond;
use luc_services::sites::Purpose;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::broken::Rule;
use crate::deeds::Thing;
use crate::disk::Disk;
use crate::draw::{Draw, lock};
use crate::edges;
use crate::goings::Guest;
use crate::joins::{self, Joins, Rivalry, Told};
use crate::ledger::Ledger;
use crate::people;
use crate::site::{PASSWORD, Plan, Site};
use crate::speech::{Answer, Ask, Knowledge};

/// The most sites of a cloud.
const NAMES: [&str; 7] = [
    "grenoble",
    "luxembourg",
    "nancy",
    "rennes",
    "sophia",
    "toulouse",
    "vannes",
];

/// How many things happened.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: AtomicU64,
    pub(crate) done: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) unknown: AtomicU64,
    pub(crate) probes: AtomicU64,
}

/// Who comes beside those that the other draws make, as the last site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extra {
    /// A site of the label edge, in the right hands or not; in the right ones it may have founded a
    /// cloud of its own before, and brings its people along.
    Edge { captured: bool, people: bool },
    /// A site that has founded a cloud of its own and brings its people along.
    People,
}

impl Extra {
    fn drawn(draw: &mut Draw, seed: u64) -> Option<Self> {
        match draw.below(10) {
            0..3 => {
                let captured = draw.chance(500);
                let people = !captured && Draw::new(seed, 602).chance(600);
                Some(Self::Edge { captured, people })
            }
            3..5 => Some(Self::People),
            _ => None,
        }
    }
}

/// A project in which clients work.
#[derive(Clone, Debug, Default)]
pub(crate) struct Workplace {
    pub(crate) project: String,
    pub(crate) known: Knowledge,
}

/// The cloud and what is known of it.
pub(crate) struct World {
    pub(crate) network: Network,
    pub(crate) sites: Vec<Site>,
    /// How many sites there are from the beginning; the others may come.
    pub(crate) founded: usize,
    /// Whether the last of them is of another sort.
    pub(crate) extra: Option<Extra>,
    /// Whether limits are taken away now and then, and set again.
    pub(crate) without_limits: bool,
    /// For what those are rivals.
    pub(crate) rivalry: Rivalry,
    /// What became of their joins.
    pub(crate) joins: Joins,
    /// The sites that want to go, and whether they leave or are removed.
    pub(crate) going: Mutex<BTreeMap<usize, bool>>,
    /// The nodes that joined a site.
    pub(crate) guests: Mutex<Vec<Guest>>,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    pub(crate) workplaces: Vec<Workplace>,
    /// What the clients did, each to its own things.
    pub(crate) things: Mutex<Vec<Thing>>,
    pub(crate) counts: Counts,
    log: Mutex<Vec<String>>,
    started: Instant,
    blobs: tempfile::TempDir,
}

impl World {
    /// Draws a cloud and starts it.
    pub(crate) async fn new(seed: u64, broken: Option<Rule>) -> Self {
        let mut draw = Draw::new(seed, 1);
        let ledger = Arc::new(Mutex::new(Ledger::new()));
        let count = 2 + draw.place(3);
        let mut furniture = Draw::new(seed, 4);
        let hosts = furniture.chance(500);
        let mut guests = Draw::new(seed, 6);
        let late = guests.place(3);
        let rivalry = match guests.below(4) {
            0 if late == 2 => Rivalry::Ticket,
            1 if late == 2 => Rivalry::Name,
            _ => Rivalry::None,
        };
        let mut others = Draw::new(seed, 9);
        let extra = Extra::drawn(&mut others, seed);
        let sites: Vec<Site> = (0..count + late + usize::from(extra.is_some()))
            .map(|number| {
                let draw = if number < count {
                    &mut draw
                } else if number < count + late {
                    &mut guests
                } else {
                    &mut others
                };
                let lossy = draw.chance(150) && number < count;
                let host = hosts && furniture.chance(600) && number < count;
                let disk = Draw::new(seed, 10 + number as u64);
                let mut disk = Disk::new(number, lossy, Arc::clone(&ledger), disk);
                if broken == Some(Rule::CommitsForgotten) {
                    disk = disk.forgetful();
                }
                let rival = rivalry == Rivalry::Name && number == count + 1;
                let plan = Plan {
                    name: NAMES[number - usize::from(rival)].to_owned(),
                    secret: NodeSecret::from_seed(&[number as u8 + 1; 32]),
                    founding: NodeSecret::from_seed(&[number as u8 + 101; 32]),
                    seed: draw.seed(),
                    lossy,
                    host,
                    broken,
                };
                Site::new(plan, disk, draw)
            })
            .collect();
        let mut world = Self {
            network: Network::new(draw.seed()),
            founded: count,
            extra,
            without_limits: Draw::new(seed, 600).chance(500),
            rivalry,
            joins: Joins::default(),
            going: Mutex::default(),
            guests: Mutex::default(),
            sites,
            ledger,
            workplaces: Vec::new(),
            things: Mutex::default(),
            counts: Counts::default(),
            log: Mutex::default(),
            started: Instant::now(),
            blobs: tempfile::tempdir().expect("there is room for images"),
        };
        world.lay_out(&mut draw);
        world.begin().await;
        world
    }

    /// Founds the cloud, lets in the sites that are there from the beginning, and makes what the
    /// clients need.
    async fn begin(&mut self) {
        for site in &self.sites {
            lock(&self.ledger).begin(site.prefix);
        }
        if matches!(self.extra, Some(Extra::Edge { captured: true, .. })) {
            lock(&self.ledger).capture(self.sites.len() - 1);
        }
        if let Some(number) = self.brings_people() {
            people::found(self, number).await;
        }
        self.start(0).await;
        for number in 1..self.founded {
            self.let_in(number).await;
        }
        self.furnish().await;
    }

    /// Draws how far the sites are from each other.
    fn lay_out(&self, draw: &mut Draw) {
        for (number, a) in self.sites.iter().enumerate() {
            self.say(|| format!("{}: poor disk {}, host {}", a.name, a.lossy, a.host));
            for b in &self.sites[..number] {
                let quality = quality(draw);
                self.say(|| format!("{} and {}: {quality:?}", a.name, b.name));
                self.network.set_quality(a.prefix, b.prefix, quality);
            }
        }
    }

    /// Starts the controller of a site.
    pub(crate) async fn start(&self, number: usize) {
        lock(&self.ledger).join(number);
        let site = &self.sites[number];
        site.start(&self.network, self.cloud(), &self.blob_dir())
            .await;
    }

    /// Lets a site join through the founder, and starts it.
    async fn let_in(&self, number: usize) {
        let site = &self.sites[number];
        for _ in 0..60 {
            let Some(ticket) = joins::ticket(self, 0, Purpose::Site).await else {
                continue;
            };
            if let Told::Welcome(welcome) = joins::knock(self, site, &ticket).await {
                *lock(&site.told) = Some(welcome.members);
                return self.start(number).await;
            }
        }
        panic!("{} cannot join", site.name);
    }

    /// The prefix of the founder.
    pub(crate) fn cloud(&self) -> SitePrefix {
        self.sites[0].prefix
    }

    /// Whether a site has founded the cloud or was told that it is of it.
    pub(crate) fn is_member(&self, number: usize) -> bool {
        number == 0 || lock(&self.sites[number].told).is_some()
    }

    /// The number of the site that is of another sort.
    pub(crate) fn extra_site(&self) -> Option<usize> {
        self.extra.map(|_| self.sites.len() - 1)
    }

    /// The number of the edge site.
    pub(crate) fn edge(&self) -> Option<usize> {
        let edge = |extra: Extra| matches!(extra, Extra::Edge { .. });
        self.extra_site().filter(|_| self.extra.is_some_and(edge))
    }

    /// The number of the trusted site that brings people along.
    pub(crate) fn people(&self) -> Option<usize> {
        self.extra_site()
            .filter(|_| self.extra == Some(Extra::People))
    }

    /// The number of the site that brings people along, trusted or not.
    pub(crate) fn brings_people(&self) -> Option<usize> {
        let brings = match self.extra? {
            Extra::Edge { people, .. } => people,
            Extra::People => true,
        };
        self.extra_site().filter(|_| brings)
    }

    /// The sites that run and are no edge sites.
    pub(crate) fn trusted(&self) -> Vec<usize> {
        let mut up = self.up();
        up.retain(|site| Some(*site) != self.edge());
        up
    }

    /// The sites that run.
    pub(crate) fn up(&self) -> Vec<usize> {
        let all = 0..self.sites.len();
        all.filter(|site| self.sites[*site].running().is_some())
            .collect()
    }

    /// Where image data are.
    pub(crate) fn blob_dir(&self) -> PathBuf {
        self.blobs.path().to_owned()
    }

    /// Notes something for whoever reads about a failure.
    pub(crate) fn say(&self, line: impl FnOnce() -> String) {
        let at = self.started.elapsed().as_secs_f64();
        lock(&self.log).push(format!("{at:9.3} {}", line()));
    }

    /// What was noted.
    pub(crate) fn log(&self) -> Vec<String> {
        lock(&self.log).clone()
    }

    /// Whether there are hosts: then servers have one, and no agent ever says that they are gone.
    pub(crate) fn any_host(&self) -> bool {
        self.sites.iter().any(|site| site.host)
    }

    /// Whether an engine is behind a poor link: then the store itself may not know an outcome.
    pub(crate) fn any_lossy(&self) -> bool {
        self.sites.iter().any(|site| site.lossy)
    }

    /// Asks a site as a client does; nothing if the site is down or goes down meanwhile.
    pub(crate) async fn ask(&self, site: usize, ask: &Ask, token: &str) -> Option<Answer> {
        let running = self.sites[site].running()?;
        self.counts.requests.fetch_add(1, Ordering::Relaxed);
        tokio::select! {
            biased;
            () = running.gone.cancelled() => None,
            answer = respond(&running.services, ask.http(token)) => {
                Answer::read(answer.expect("the path belongs to a service")).await
            }
        }
    }

    /// Asks until it is done: for what must be there before the clients come.
    pub(crate) async fn insist(&self, site: usize, ask: &Ask, token: &str) -> Answer {
        let mut last = None;
        for _ in 0..60 {
            let answer = self.ask(site, ask, token).await.expect("the site is up");
            if answer.status.is_success() {
                return answer;
            }
            last = Some(answer);
            sleep(Duration::from_millis(500)).await;
        }
        panic!("{ask:?} is not done: {last:?}");
    }

    /// A token of the admin, made at a site.
    pub(crate) async fn login(&self, site: usize, project: &Value) -> String {
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": "admin", "domain": {"id": "default"}, "password": PASSWORD,
            }}},
            "scope": {"project": project},
        }});
        let ask = Ask::new(Method::POST, "/identity/v3/auth/tokens", body);
        let answer = self.insist(site, &ask, "").await;
        let token = answer.headers["x-subject-token"].to_str();
        token.expect("a token is text").to_owned()
    }

    /// Makes what the clients need: a domain at the second site, a project here and there, an
    /// image with data.
    async fn furnish(&mut self) {
        // Image data are written by a thread of its own: nobody may be busy beside it.
        sleep(Duration::from_secs(1)).await;
        let first = json!({"name": "admin", "domain": {"id": "default"}});
        let token = self.login(0, &first).await;
        let image = self.image(&token).await;
        let ask = |path: &str, body: Value| Ask::new(Method::POST, path, body);
        let domain = ask(
            "/identity/v3/domains",
            json!({"domain": {"name": "elsewhere"}}),
        );
        let domain = self.insist(1, &domain, &token).await.body["domain"]["id"].take();
        let roles = Ask::new(Method::GET, "/identity/v3/roles?name=admin", Value::Null);
        let role = self.insist(0, &roles, &token).await.body["roles"][0]["id"].take();
        let users = Ask::new(Method::GET, "/identity/v3/users?name=admin", Value::Null);
        let admin = self.insist(0, &users, &token).await.body["users"][0]["id"].take();
        for (site, domain) in [(0, json!("default")), (1, domain)] {
            let body = json!({"project": {"name": format!("work-{site}"), "domain_id": domain}});
            let made = self
                .insist(site, &ask("/identity/v3/projects", body), &token)
                .await;
            let project = text(&made.body["project"]["id"]);
            let path = format!(
                "/identity/v3/projects/{project}/users/{}/roles/{}",
                text(&admin),
                text(&role)
            );
            self.insist(site, &Ask::new(Method::PUT, path, Value::Null), &token)
                .await;
            self.workplaces.push(Workplace {
                project,
                known: Knowledge {
                    domain: text(&domain),
                    image: image.clone(),
                },
            });
        }
        if self.edge().is_some() {
            edges::hire(self, &token).await;
        }
        sleep(Duration::from_secs(1)).await;
    }

    async fn image(&self, token: &str) -> String {
        let body = json!({"name": "empty", "disk_format": "raw", "container_format": "bare",
            "visibility": "public"});
        let made = Ask::new(Method::POST, "/image/v2/images", body);
        let id = text(&self.insist(0, &made, token).await.body["id"]);
        let path = format!("/image/v2/images/{id}/file");
        let mut upload = Ask::new(Method::PUT, path, Value::Null).http(token);
        let kind = http::HeaderValue::from_static("application/octet-stream");
        upload.headers_mut().insert("content-type", kind);
        *upload.body_mut() = "data".into();
        let running = self.sites[0].running().expect("the founder is up");
        let done = respond(&running.services, upload).await;
        let status = done.map(|done| done.status());
        assert_eq!(status, Some(StatusCode::NO_CONTENT));
        id
    }

    /// Ends everything.
    pub(crate) async fn shut_down(&self) {
        for site in &self.sites {
            if let Some(running) = site.running() {
                running.shut_down().await;
            }
        }
    }
}

/// A way between two sites as it is when nothing is wrong.
pub(crate) fn quality(draw: &mut Draw) -> Quality {
    Quality {
        rtt: draw.millis(1, 60),
        jitter: draw.millis(0, 10),
        datagram_loss: draw.below(5) as f64 / 100.0,
        reorder: draw.below(10) as f64 / 100.0,
        answer_loss: 0.0,
        bytes_per_second: None,
    }
}

/// The text that is there.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
