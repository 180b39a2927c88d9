//! Asks the brains of the whole cloud, in parallel and for a limited time.
//!
//! Nodes of the own site are asked one by one; another site is asked through a controller, which
//! does the same there. Who does not answer is named with the reason.

use std::error::Error as _;
use std::time::Duration;

use futures::future::join_all;
use luc_core::{PeerId, SitePrefix};
use luc_runtime::NodeKey;
use luc_runtime::brain::Status;
use luc_runtime::fabric::{Channel, Request, RequestError};
use tokio::time::Instant;

use super::Brains;
use super::port::{Question, Report};

/// How long a node of the own site may take.
const NODE: Duration = Duration::from_secs(2);
/// How long another site may take; it waits for its own nodes.
const SITE: Duration = Duration::from_secs(4);

impl Brains {
    /// The words of a brain with the names that people know; `name` where no record has one.
    pub(super) fn report(
        &self,
        peer: PeerId,
        name: &str,
        status: Result<Status, impl Into<String>>,
    ) -> Report {
        let named = self.membership.named(peer);
        let (site, node) = named.map_or_else(
            || (self.name_of(peer.site), name.to_owned()),
            |named| (named.site, named.name),
        );
        let (status, error) = match status {
            Ok(status) => (Some(status), None),
            Err(error) => (None, Some(error.into())),
        };
        Report {
            site,
            node,
            peer: Some(peer),
            status,
            error,
        }
    }

    /// What all brains of this site know and think now.
    pub async fn of_site(&self) -> Vec<Report> {
        self.of_site_within(NODE).await
    }

    /// The same of those that answer within `patience`.
    pub async fn of_site_within(&self, patience: Duration) -> Vec<Report> {
        let nodes = self.membership.nodes().into_iter();
        let elsewhere = nodes.filter(|(peer, _)| peer.site == self.site && !self.is_here(*peer));
        let asked = elsewhere.map(async |(peer, node)| {
            let told = self.ask(node.key, Question::Yours, patience).await;
            let status = told.and_then(|reports| {
                let first = reports.into_iter().next();
                first
                    .and_then(|report| report.status)
                    .ok_or_else(|| "it says nothing".to_owned())
            });
            self.report(peer, &node.name, status)
        });
        let (here, elsewhere) = tokio::join!(self.reports(), join_all(asked));
        let mut reports = here;
        reports.extend(elsewhere);
        reports.sort_by(|left, right| left.node.cmp(&right.node));
        reports
    }

    /// What all brains of the cloud know and think now, ordered by site and node.
    pub async fn of_cloud(&self) -> Vec<Report> {
        let sites = self.membership.others().into_iter();
        let others = sites.map(async |site| self.of_other_site(site).await);
        let (own, others) = tokio::join!(self.of_site(), join_all(others));
        let mut reports = own;
        reports.extend(others.into_iter().flatten());
        reports.sort_by(|left, right| (&left.site, &left.node).cmp(&(&right.site, &right.node)));
        reports
    }

    async fn of_other_site(&self, site: SitePrefix) -> Vec<Report> {
        let mut reason = "no controller of it is known".to_owned();
        for key in self.membership.controllers(site) {
            match self.ask(key, Question::OfSite, SITE).await {
                Ok(reports) => return reports,
                Err(error) => reason = error,
            }
        }
        vec![Report {
            site: self.name_of(site),
            node: String::new(),
            peer: None,
            status: None,
            error: Some(reason),
        }]
    }

    /// The name of a site, or its prefix where it has none here.
    fn name_of(&self, site: SitePrefix) -> String {
        let found = |members: &luc_services::sites::Members| {
            members.site(site).map(|member| member.name.clone())
        };
        self.membership
            .with(found)
            .unwrap_or_else(|| site.to_string())
    }

    async fn ask(
        &self,
        key: NodeKey,
        question: Question,
        patience: Duration,
    ) -> Result<Vec<Report>, String> {
        let body = serde_json::to_vec(&question).map_err(|error| error.to_string())?;
        let request = Request::new(Channel::OVERLAY, body);
        let deadline = Instant::now() + patience;
        let answer = self.fabric.request(key, request, deadline).await;
        let answer = answer.map_err(|error| in_words(&error))?;
        serde_json::from_slice(&answer).map_err(|error| error.to_string())
    }
}

/// What went wrong, with what lies below it.
fn in_words(error: &RequestError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
