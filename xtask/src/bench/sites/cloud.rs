//! A cloud of several sites in namespaces, and callers at each site.

use std::fmt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use ureq::Agent;

use crate::workspace::Workspace;

/// The largest page of servers that is given.
const PAGE: usize = 1000;

/// What a cloud consists of.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    sites: usize,
    computes: usize,
    delay_ms: f64,
    pub(super) cpus: Option<f64>,
}

impl Layout {
    /// So many sites, compute nodes in each, and milliseconds one way between them.
    pub(super) fn of(sites: usize, computes: usize, delay_ms: f64) -> Self {
        Self {
            sites,
            computes,
            delay_ms,
            cpus: None,
        }
    }

    /// The same, each site with so much of a processor and no more: a machine of its own.
    pub(super) fn with_cpus(self, cpus: f64) -> Self {
        let cpus = Some(cpus);
        Self { cpus, ..self }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sites, delay_ms, ..
        } = self;
        match sites {
            1 => f.write_str("1 site")?,
            _ => write!(f, "{sites} sites, {delay_ms} ms")?,
        }
        match self.cpus {
            Some(_) => Ok(()),
            None => f.write_str(", all cores"),
        }
    }
}

/// A running cloud; ended when it is dropped.
pub(super) struct Cloud {
    script: std::path::PathBuf,
    directory: std::path::PathBuf,
    facts: Value,
    /// One caller per site.
    pub(super) sites: Vec<Site>,
    /// An image to boot.
    pub(super) image: String,
    /// A small flavor.
    pub(super) flavor: String,
}

/// A caller at one site.
#[derive(Clone)]
pub(super) struct Site {
    /// The site's name.
    pub(super) name: String,
    /// The project it works in.
    pub(super) project: String,
    url: String,
    token: String,
    http: Agent,
}

fn agent() -> Agent {
    let config = Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(120)));
    config.build().into()
}

impl Cloud {
    /// Starts a cloud and makes it ready: an image at the first site, followed by all.
    pub(super) fn up(workspace: &Workspace, layout: Layout) -> Result<Self> {
        let directory = workspace.root.join("target/bench-sites");
        let script = workspace.root.join("tests/netns/lab.py");
        // What an interrupted run has left.
        let _ = Command::new("python3")
            .arg(&script)
            .arg("down")
            .arg("--dir")
            .arg(&directory)
            .output();
        let _ = std::fs::remove_dir_all(&directory);
        let program = super::super::release::program(workspace);
        let cpus = layout.cpus.map(|cpus| format!("--cpus={cpus}"));
        let said = Command::new("python3")
            .arg(&script)
            .args(["up", "--sites", &layout.sites.to_string()])
            .args(cpus)
            .args(["--computes", &layout.computes.to_string()])
            .args(["--delay-ms", &layout.delay_ms.to_string()])
            .arg("--luc")
            .arg(program)
            .arg("--dir")
            .arg(&directory)
            .env("LUC_LAB_LOG", "warn")
            .output()
            .context("running tests/netns/lab.py")?;
        if !said.status.success() {
            bail!(
                "{} (needs root, iproute2, nftables)",
                String::from_utf8_lossy(&said.stderr)
            );
        }
        let facts: Value = serde_json::from_slice(&said.stdout).context("what the lab says")?;
        let mut cloud = Self {
            script,
            directory,
            facts,
            sites: Vec::new(),
            image: String::new(),
            flavor: String::new(),
        };
        cloud.prepare()?;
        Ok(cloud)
    }

    fn prepare(&mut self) -> Result<()> {
        let password = text(&self.facts["password"])?;
        for site in self.facts["sites"].as_array().context("a list of sites")? {
            let (name, url) = (text(&site["name"])?, text(&site["url"])?);
            self.sites
                .push(Site::login(&name, &url, &password, "admin")?);
        }
        let first = self.sites.first().context("there is a site")?.clone();
        let body = json!({"name": "nothing", "disk_format": "raw", "container_format": "bare",
            "visibility": "public"});
        let image = first.post("/image/v2/images", &body)?;
        self.image = text(&image["id"])?;
        let path = format!("/image/v2/images/{}/file", self.image);
        let request = first.http.put(format!("{}{path}", first.url));
        let request = request
            .header("X-Auth-Token", &first.token)
            .header("Content-Type", "application/octet-stream");
        read(request.send(&[0u8; 4096][..])?, &path)?;
        let flavors = first.get("/compute/v2.1/flavors")?;
        let flavors = flavors["flavors"].as_array().cloned().unwrap_or_default();
        let nano = flavors.iter().find(|flavor| flavor["name"] == "m1.nano");
        self.flavor = text(&nano.context("there is a flavor m1.nano")?["id"])?;
        let path = format!("/image/v2/images/{}", self.image);
        super::load::wait("the image is known everywhere", || {
            Ok(self.sites.iter().all(|site| {
                site.get(&path)
                    .is_ok_and(|image| image["status"] == "active")
            }))
        })
    }

    fn lab(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new("python3");
        command
            .arg(&self.script)
            .args(words)
            .arg("--dir")
            .arg(&self.directory);
        let said = command.output().context("running tests/netns/lab.py")?;
        if !said.status.success() {
            bail!(
                "lab.py {}: {}",
                words.join(" "),
                String::from_utf8_lossy(&said.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&said.stdout).into_owned())
    }

    /// Bytes that have crossed between sites so far.
    pub(super) fn bytes_between(&self) -> Result<u64> {
        let counted: Value = serde_json::from_str(&self.lab(&["bytes"])?)?;
        let rows = counted.as_object().context("rows by site")?.values();
        let cells = rows
            .filter_map(Value::as_object)
            .flat_map(|row| row.values());
        Ok(cells.filter_map(Value::as_u64).sum())
    }

    /// What crosses between sites when nobody asks for anything.
    pub(super) fn idle_bytes_per_sec(&self) -> Result<f64> {
        let (before, started) = (self.bytes_between()?, std::time::Instant::now());
        std::thread::sleep(Duration::from_secs(2));
        let moved = self.bytes_between()? - before;
        Ok(moved as f64 / started.elapsed().as_secs_f64())
    }

    /// Bytes on the loopback device of a site's namespace, where its nodes talk to each other.
    pub(super) fn bytes_inside(&self, site: usize) -> Result<u64> {
        let space = text(&self.facts["sites"][site]["namespace"])?;
        let said = Command::new("ip")
            .args(["netns", "exec", &space, "cat", "/proc/net/dev"])
            .output()?;
        let table = String::from_utf8_lossy(&said.stdout).into_owned();
        let line = table
            .lines()
            .find_map(|line| line.trim().strip_prefix("lo:"));
        let first = line.and_then(|line| line.split_whitespace().next());
        Ok(first.context("the loopback device is counted")?.parse()?)
    }

    /// Processor time that all nodes of the cloud have used so far, in seconds. The bridge between
    /// the sites and the callers, which share the machine with them, are left out.
    pub(super) fn cpu_secs(&self) -> Result<f64> {
        let processes = self.facts["processes"].as_object();
        let processes = processes.context("a table of processes")?;
        let nodes = processes.iter().filter(|(name, _)| *name != "bridge");
        nodes.map(|(_, pid)| cpu_of(pid)).sum()
    }

    /// Waits until no more crosses between sites than when nobody asks for anything.
    pub(super) fn settle(&self) -> Result<()> {
        let mut last = f64::INFINITY;
        for _ in 0..20 {
            let now = self.idle_bytes_per_sec()?;
            // What is left of earlier work makes it fall.
            if now > last * 0.9 {
                return Ok(());
            }
            last = now;
        }
        bail!("the sites do not come to rest: {last} B/s between them")
    }

    /// A caller at the first site, in a project of its own that no other site has heard of.
    pub(super) fn bound_project(&self, name: &str) -> Result<Site> {
        let first = self.sites.first().context("there is a site")?;
        let body = json!({"project": {"name": name, "domain_id": "default"}});
        let project = first.post("/identity/v3/projects", &body)?;
        let id = text(&project["project"]["id"])?;
        let users = first.get("/identity/v3/users?name=admin")?;
        let user = text(&users["users"][0]["id"])?;
        let roles = first.get("/identity/v3/roles?name=admin")?;
        let role = text(&roles["roles"][0]["id"])?;
        first.put(
            &format!("/identity/v3/projects/{id}/users/{user}/roles/{role}"),
            None,
        )?;
        let password = text(&self.facts["password"])?;
        let site = Site::login(&first.name, &first.url, &password, name)?;
        site.unlimited()?;
        Ok(site)
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let _ = self.lab(&["down"]);
    }
}

/// Processor time of a process, in seconds. The kernel counts in hundredths.
fn cpu_of(pid: &Value) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in brackets, may hold spaces.
    let (_, rest) = stat.rsplit_once(')').context("a name in brackets")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |at: usize| -> Result<f64> {
        let field = fields.get(at).context("a line of stat is long enough")?;
        Ok(field.parse()?)
    };
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}

fn text(value: &Value) -> Result<String> {
    value
        .as_str()
        .map(str::to_owned)
        .context("a text is missing in an answer")
}

/// Reads an answer; an error with its words for anything but success.
fn read(mut answer: ureq::http::Response<ureq::Body>, path: &str) -> Result<Value> {
    let status = answer.status();
    let body = answer
        .body_mut()
        .with_config()
        .limit(64 << 20)
        .read_to_vec()?;
    if !status.is_success() {
        bail!("{path}: {status}: {}", String::from_utf8_lossy(&body));
    }
    Ok(serde_json::from_slice(&body).unwrap_or_default())
}

impl Site {
    fn login(name: &str, url: &str, password: &str, project: &str) -> Result<Self> {
        let http = agent();
        let domain = json!({"id": "default"});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": "admin", "domain": domain, "password": password,
            }}},
            "scope": {"project": {"name": project, "domain": domain}},
        }});
        let path = "/identity/v3/auth/tokens";
        let answer = http.post(format!("{url}{path}")).send_json(&body)?;
        let token = answer
            .headers()
            .get("x-subject-token")
            .and_then(|v| v.to_str().ok());
        let token = token.map(str::to_owned);
        let body = read(answer, path)?;
        Ok(Self {
            name: name.to_owned(),
            project: text(&body["token"]["project"]["id"])?,
            url: url.to_owned(),
            token: token.context("there is a token")?,
            http,
        })
    }

    /// The same caller with connections of its own.
    pub(super) fn another(&self) -> Self {
        Self {
            http: agent(),
            ..self.clone()
        }
    }

    /// Gets JSON.
    pub(super) fn get(&self, path: &str) -> Result<Value> {
        let request = self.http.get(format!("{}{path}", self.url));
        let request = request
            .header("X-Auth-Token", &self.token)
            .header("OpenStack-API-Version", "compute 2.79");
        read(request.call().with_context(|| format!("GET {path}"))?, path)
    }

    /// Posts JSON.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.http.post(format!("{}{path}", self.url));
        let request = request
            .header("X-Auth-Token", &self.token)
            .header("OpenStack-API-Version", "compute 2.79");
        read(
            request
                .send_json(body)
                .with_context(|| format!("POST {path}"))?,
            path,
        )
    }

    /// Puts JSON, or nothing.
    pub(super) fn put(&self, path: &str, body: Option<&Value>) -> Result<Value> {
        let request = self.http.put(format!("{}{path}", self.url));
        let request = request.header("X-Auth-Token", &self.token);
        let answer = match body {
            Some(body) => request.send_json(body)?,
            None => request.send_empty()?,
        };
        read(answer, path)
    }

    /// Deletes.
    pub(super) fn delete(&self, path: &str) -> Result<()> {
        let request = self.http.delete(format!("{}{path}", self.url));
        read(request.header("X-Auth-Token", &self.token).call()?, path).map(drop)
    }

    /// Lets the project have as many servers as it likes.
    pub(super) fn unlimited(&self) -> Result<()> {
        self.quota(-1)
    }

    /// Lets the project have `instances` servers.
    pub(super) fn quota(&self, instances: i64) -> Result<()> {
        let body = json!({"quota_set": {"instances": instances, "cores": -1, "ram": -1}});
        let path = format!("/compute/v2.1/os-quota-sets/{}", self.project);
        self.put(&path, Some(&body)).map(drop)
    }

    /// The project's servers, each with its zone.
    pub(super) fn servers_by_zone(&self) -> Result<Vec<(String, String)>> {
        let servers = self.pages("/compute/v2.1/servers/detail", "")?;
        let zoned = servers.iter().map(|server| {
            let zone = text(&server["OS-EXT-AZ:availability_zone"])?;
            Ok((text(&server["id"])?, zone))
        });
        zoned.collect()
    }

    /// The ids of the project's servers in `status`.
    pub(super) fn servers(&self, status: Option<&str>) -> Result<Vec<String>> {
        let wanted = status.map(|s| format!("&status={s}")).unwrap_or_default();
        let servers = self.pages("/compute/v2.1/servers", &wanted)?;
        servers.iter().map(|server| text(&server["id"])).collect()
    }

    /// All servers that `path` lists, page by page, as far as `wanted` says.
    fn pages(&self, path: &str, wanted: &str) -> Result<Vec<Value>> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let last = all.last().and_then(|last| last["id"].as_str());
            let marker = last.map(|last| format!("&marker={last}"));
            let marker = marker.unwrap_or_default();
            let page = self.get(&format!("{path}?limit={PAGE}{wanted}{marker}"))?;
            let page = page["servers"].as_array().cloned().unwrap_or_default();
            let is_last = page.len() < PAGE;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }
}
