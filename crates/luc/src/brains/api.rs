//! What `GET /luc/v1/dvms` answers: the brains of a site or of the cloud, and the names of the
//! servers they speak of.

use std::collections::BTreeMap;

use luc_services::Services;
use luc_services::compute::model::server::Server;
use serde::{Deserialize, Serialize};

use super::Brains;
use super::port::Report;

/// What may be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Every site, not only the one that is asked.
    #[serde(default)]
    pub all: bool,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Whether plans are made and not carried out.
    pub dry_run: bool,
    /// The brains, ordered by site and node.
    pub nodes: Vec<Report>,
    /// The names of servers that plans speak of, by id, as far as they are known here.
    pub servers: BTreeMap<String, String>,
}

/// Gathers the answer.
pub async fn view(brains: &Brains, services: &Services, asked: Asked) -> View {
    let nodes = if asked.all {
        brains.of_cloud().await
    } else {
        brains.of_site().await
    };
    let snapshot = services.store.snapshot();
    let statuses = nodes.iter().filter_map(|report| report.status.as_ref());
    let stories = statuses.flat_map(|status| &status.stories);
    let servers = stories
        .flat_map(|story| &story.moves)
        .filter_map(|one| {
            let server = snapshot.get::<Server>(&one.vm)?;
            Some((one.vm.clone(), server.name.clone()))
        })
        .collect();
    View {
        dry_run: true,
        nodes,
        servers,
    }
}
