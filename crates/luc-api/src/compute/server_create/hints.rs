//! What a request that creates servers tells the scheduler.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::body::InvalidField;
use crate::compute::parameter::check_uuid;
use crate::compute::reference::{OneOrMany, given};

/// What the scheduler should mind. Hints that nobody here knows are taken and not read.
#[derive(Debug, Default, Deserialize)]
pub struct SchedulerHints {
    /// The server group to join.
    #[serde(default, deserialize_with = "given")]
    pub group: Option<String>,
    /// Servers whose hosts are to be avoided.
    #[serde(default, deserialize_with = "given")]
    pub different_host: Option<OneOrMany>,
    /// Servers one of whose hosts is to be taken.
    #[serde(default, deserialize_with = "given")]
    pub same_host: Option<OneOrMany>,
    /// All others.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl SchedulerHints {
    pub(super) fn check(&self) -> Result<(), InvalidField> {
        let field = "os:scheduler_hints";
        if let Some(group) = &self.group {
            check_uuid(&format!("{field}.group"), group)?;
        }
        for (name, servers) in [
            ("different_host", &self.different_host),
            ("same_host", &self.same_host),
        ] {
            for server in servers.iter().flat_map(OneOrMany::iter) {
                check_uuid(&format!("{field}.{name}"), server)?;
            }
        }
        Ok(())
    }
}
