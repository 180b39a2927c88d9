//! The stored instance action: who asked what of a server, and how it went.
//!
//! Kept for a while after the server is gone.

use luc_core::id::{ProjectId, ServerId, UserId};
use luc_core::time::Timestamp;
use luc_state::{Index, Kind, Record, Scope, key};
use serde::{Deserialize, Serialize};

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Well.
    Success,
    /// Not.
    Error,
}

impl Outcome {
    /// As it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Error => "Error",
        }
    }
}

/// A step of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionEvent {
    /// Its name, such as `compute_stop_instance`.
    pub event: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
    /// How it ended.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// What went wrong, for administrators.
    #[serde(default)]
    pub traceback: Option<String>,
    /// The host that did it.
    #[serde(default)]
    pub host: Option<String>,
}

/// What was asked of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceAction {
    /// Its id.
    pub id: String,
    /// The server.
    pub server: ServerId,
    /// Its place in the history of the server, from 1.
    pub number: u32,
    /// The project the server belongs to.
    pub project: ProjectId,
    /// What was asked, such as `reboot`.
    pub action: String,
    /// The request that asked.
    pub request_id: String,
    /// Who asked; nobody, if the server changed by itself.
    #[serde(default)]
    pub user: Option<UserId>,
    /// The project of whoever asked.
    #[serde(default)]
    pub user_project: Option<ProjectId>,
    /// When.
    pub started_at: Timestamp,
    /// When something last happened.
    pub updated_at: Timestamp,
    /// `Error`, if it failed.
    #[serde(default)]
    pub message: Option<String>,
    /// Its steps, in the order in which they began.
    #[serde(default)]
    pub events: Vec<ActionEvent>,
}

impl InstanceAction {
    /// Finds the actions on a server.
    pub const BY_SERVER: Index<Self> =
        Index::plain("server", |action| vec![key(&[action.server.as_str()])]);
}

impl Record for InstanceAction {
    const KIND: Kind = Kind::InstanceAction;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_SERVER];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Project(self.project.clone())
    }
}
