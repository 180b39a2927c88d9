//! A compute-only node's end of the fabric: it has joined a site and talks to its controllers.
//!
//! Who the members are it is told by a controller, at the join and from time to time.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use http::header::CONTENT_TYPE;
use luc_core::SitePrefix;
use luc_runtime::NodeSecret;
use luc_runtime::fabric::{Channel, Ends};
use luc_services::sites::Members;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::fabrics::{Fabrics, Started, node_secret};
use crate::join::Welcomed;
use crate::remote::Link;
use crate::sites::forwards::Forwards;
use crate::sites::{Membership, Switchboard};

/// How often the members are asked for.
const EVERY: Duration = Duration::from_secs(5);

/// The longest list of members.
const BYTES_MAX: usize = 16 << 20;

/// A compute-only node's end of the fabric.
pub struct Outpost {
    /// The node's end of the fabric.
    pub started: Started,
    /// Who is of the cloud.
    pub membership: Arc<Membership>,
    /// Where further channels are plugged in.
    pub switchboard: Arc<Switchboard>,
    /// The node's site.
    pub site: SitePrefix,
    /// The node's key.
    pub secret: NodeSecret,
    forwards: Arc<Forwards>,
    host: String,
    /// Where the controllers were told that this node is reached.
    told: Mutex<Vec<String>>,
}

impl Outpost {
    /// Starts the fabric of the node that has joined; `None` if it has not.
    pub fn start(config: &Config, fabrics: &Fabrics) -> anyhow::Result<Option<Self>> {
        let directory: &Path = &config.node.data_dir;
        let Some(welcomed) = Welcomed::read(directory)? else {
            return Ok(None);
        };
        let site = welcomed.site;
        let secret = node_secret(directory)?;
        let membership = Arc::new(Membership::new(site, Some(welcomed.members), false));
        let switchboard = Arc::new(Switchboard::default());
        let ends = Ends {
            admission: Arc::clone(&membership) as _,
            handler: Arc::clone(&switchboard) as _,
        };
        let started = fabrics
            .start(&config.fabric, Some(directory), (&secret, site), ends)
            .context("starting the fabric")?;
        started.keep_port()?;
        membership.apply(&*started.fabric);
        Ok(Some(Self {
            forwards: Arc::new(Forwards::new(site, Arc::clone(&membership))),
            started,
            membership,
            switchboard,
            site,
            secret,
            host: config.node.name.clone(),
            told: Mutex::default(),
        }))
    }

    /// The way to the controllers.
    pub fn link(&self) -> Link {
        Link::Fabric {
            fabric: Arc::clone(&self.started.fabric),
            membership: Arc::clone(&self.membership),
            site: self.site,
        }
    }

    /// Answers controllers with `router`, and keeps the members up to date until `stopping`.
    pub fn serve(self: &Arc<Self>, router: Router, stopping: CancellationToken) {
        self.forwards.serve(router.clone(), router);
        self.switchboard
            .plug(Channel::FORWARD, Arc::clone(&self.forwards) as _);
        let this = Arc::clone(self);
        tokio::spawn(async move {
            this.place().await;
            loop {
                if let Err(reason) = this.refresh().await {
                    tracing::debug!(%reason, "no controller says who the members are");
                    // Their names may mean other addresses by now.
                    this.place().await;
                }
                if let Err(reason) = this.announce().await {
                    tracing::debug!(%reason, "no controller hears where this node is reached");
                }
                tokio::select! {
                    () = tokio::time::sleep(EVERY) => {}
                    () = stopping.cancelled() => return,
                }
            }
        });
    }

    async fn refresh(&self) -> Result<(), String> {
        let path = format!("/luc/v1/hosts/{}/members", self.host);
        let request = http::Request::get(path).body(Body::empty());
        let request = request.map_err(|error| error.to_string())?;
        let answer = self.link().ask(request, EVERY).await?;
        if !answer.status().is_success() {
            return Err(answer.status().to_string());
        }
        let body = axum::body::to_bytes(answer.into_body(), BYTES_MAX).await;
        let body = body.map_err(|error| error.to_string())?;
        let members: Members = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        if self.membership.learn(members) {
            self.place().await;
        }
        Ok(())
    }

    async fn place(&self) {
        self.membership.place(&*self.started.fabric).await;
    }

    /// Says where this node is reached, if that is news: its port may be another than at the join.
    async fn announce(&self) -> Result<(), String> {
        let controllers = if self.started.addresses.is_empty() {
            let own = self.site;
            self.membership
                .addresses(|member, node| member.site == own && node.controller)
        } else {
            Vec::new()
        };
        let ways = self.started.ways(&controllers);
        let told = || self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if ways.is_empty() || *told() == ways {
            return Ok(());
        }
        let path = format!("/luc/v1/hosts/{}/addresses", self.host);
        let body = serde_json::to_vec(&ways).map_err(|error| error.to_string())?;
        let request = http::Request::post(path).header(CONTENT_TYPE, "application/json");
        let request = request.body(Body::from(body));
        let request = request.map_err(|error| error.to_string())?;
        let answer = self.link().ask(request, EVERY).await?;
        if !answer.status().is_success() {
            return Err(answer.status().to_string());
        }
        *told() = ways;
        Ok(())
    }

    /// Leaves the fabric.
    pub async fn shut_down(&self) {
        self.switchboard.clear();
        self.forwards.close();
        self.started.fabric.shut_down().await;
    }
}
