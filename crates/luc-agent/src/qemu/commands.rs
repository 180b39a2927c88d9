//! QMP queries of which only a part of the answer is read.
//!
//! The typed answers of `qapi` follow one version of QEMU's schema; versions 7 to 10 add and drop
//! fields and states. These take what is needed and leave the rest.

use serde::{Deserialize, Serialize};

macro_rules! query {
    ($(#[$doc:meta])* $query:ident = $name:literal -> $answer:ty) => {
        $(#[$doc])*
        #[derive(Debug, Serialize)]
        pub(crate) struct $query {}

        impl qapi::qmp::QmpCommand for $query {}
        impl qapi::Command for $query {
            const NAME: &'static str = $name;
            const ALLOW_OOB: bool = false;
            type Ok = $answer;
        }
    };
}

query!(
    /// What the guest does.
    QueryStatus = "query-status" -> Status
);
query!(
    /// How far a migration is.
    QueryMigrate = "query-migrate" -> MigrationProgress
);
query!(
    /// The threads of the virtual processors.
    QueryCpus = "query-cpus-fast" -> Vec<Cpu>
);

/// The answer to [`QueryStatus`].
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    /// QEMU's `RunState`.
    pub(crate) status: String,
}

/// The answer to [`QueryMigrate`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct MigrationProgress {
    /// Absent before the first migration.
    pub(crate) status: Option<String>,
    pub(crate) error_desc: Option<String>,
}

/// One virtual processor.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Cpu {
    pub(crate) thread_id: i64,
}
