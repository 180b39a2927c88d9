//! Which servers a list is asked for: Nova's query parameters as tests on servers.
//!
//! Two kinds of parameters: those that are equal or not, and those that are regular expressions,
//! searched without regard to case as MySQL does. Callers without the right to all filters have a
//! short list of them; others are dropped for them, as in Nova. From 2.75 on an unknown parameter
//! is refused. Source: Nova 30 `schemas/servers.py` (query parameters), `servers.py`
//! (`_get_servers`) and `db/main/api.py` (`instance_get_all_by_filters_sort`).

use std::borrow::Cow;
use std::collections::BTreeSet;

use luc_api::query::Query;
use luc_api::value::parse_bool;
use luc_api::{ApiError, Microversion};
use luc_core::time::Timestamp;
use regex::{Regex, RegexBuilder};

use super::field::Field;
use super::state::{Status, TaskState, VmState};
use super::view::Shown;
use crate::compute::wire_time;

/// Parameters that say which part of a list is meant, in which order.
const PAGING: [&str; 4] = ["limit", "marker", "sort_key", "sort_dir"];

/// Nova's joined tables, which nobody may filter by.
const JOINED: [&str; 7] = [
    "block_device_mapping",
    "services",
    "metadata",
    "system_metadata",
    "info_cache",
    "security_groups",
    "pci_devices",
];

/// Statuses of Nova that no server here ever has.
const FOREIGN_STATUSES: [&str; 7] = [
    "MIGRATING",
    "PASSWORD",
    "RESCUE",
    "SHELVED",
    "SHELVED_OFFLOADED",
    "SOFT_DELETED",
    "UNKNOWN",
];

/// A regular expression longer than this, compiled, is refused.
const REGEX_SIZE_MAX: usize = 1 << 16;

/// One test.
#[derive(Debug)]
enum Test {
    Equal(Field, String),
    Matches(Field, Regex),
    /// VM states, and task states unless any will do.
    State(BTreeSet<VmState>, Option<BTreeSet<TaskState>>),
    TaskState(Option<String>),
    Locked(bool),
    Address {
        v4: bool,
        pattern: Regex,
    },
    Tags {
        wanted: Vec<String>,
        all: bool,
        negated: bool,
    },
    ChangedSince(Timestamp),
    ChangedBefore(Timestamp),
    Nothing,
}

/// Whether deleted servers are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deleted {
    /// Only those that are there.
    Without,
    /// Only those that are gone.
    Only,
    /// Both.
    Both,
}

/// What a caller may ask a list for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rights {
    /// Every filter, not only the short list that everybody has.
    pub(super) all_filters: bool,
    /// Deleted servers.
    pub(super) is_admin: bool,
}

/// What a list is asked for.
#[derive(Debug)]
pub(super) struct Filter {
    tests: Vec<Test>,
    /// Whether deleted servers are wanted.
    pub(super) deleted: Deleted,
    /// Whether servers of all projects are wanted. The right to it has not been checked.
    pub(super) all_projects: bool,
}

impl Filter {
    /// Reads `query` as of `version`.
    pub(super) fn of(
        query: &Query,
        version: Microversion,
        rights: Rights,
    ) -> Result<Self, ApiError> {
        let mut reader = Reader {
            filter: Self {
                tests: Vec::new(),
                deleted: Deleted::Without,
                all_projects: false,
            },
            version,
            is_admin: rights.is_admin,
            deleted_asked: None,
            changes: (None, None),
        };
        let mut seen = BTreeSet::new();
        for (name, value) in query.iter() {
            check_form(name, value, version)?;
            seen.insert(name);
        }
        let statuses: Vec<&str> = query.all("status").collect();
        if !statuses.is_empty() {
            reader.statuses(&statuses)?;
        }
        for name in seen {
            let value = query.last(name).unwrap_or_default();
            if rights.all_filters || is_open(name, version) {
                reader.read(name, value)?;
            }
        }
        reader.finish()
    }

    /// Whether `shown` is wanted. `zone` is its availability zone.
    pub(super) fn admits(&self, shown: &Shown<'_>, zone: &str) -> bool {
        self.tests.iter().all(|test| test.admits(shown, zone))
    }
}

/// Whether callers without the right to all filters have this one.
fn is_open(name: &str, version: Microversion) -> bool {
    match name {
        "reservation_id" | "name" | "status" | "image" | "flavor" | "ip" | "changes-since"
        | "all_tenants" => true,
        "ip6" => version.at_least(2, 5),
        "tags" | "tags-any" | "not-tags" | "not-tags-any" => version.at_least(2, 26),
        "changes-before" => version.at_least(2, 66),
        "locked" => version.at_least(2, 73),
        _ => false,
    }
}

/// Whether a query may have this parameter at all, from 2.75 on.
fn is_known(name: &str, version: Microversion) -> bool {
    let ladder = match name {
        "tags" | "tags-any" | "not-tags" | "not-tags-any" => version.at_least(2, 26),
        "changes-before" => version.at_least(2, 66),
        "locked" => version.at_least(2, 73),
        _ => true,
    };
    let known = [
        "all_tenants",
        "soft_deleted",
        "deleted",
        "status",
        "changes-since",
        "changes-before",
        "ip",
        "ip6",
        "tags",
        "tags-any",
        "not-tags",
        "not-tags-any",
        "locked",
        "vm_state",
        "task_state",
        "tenant_id",
    ];
    ladder
        && (known.contains(&name)
            || PAGING.contains(&name)
            || JOINED.contains(&name)
            || name.starts_with('_')
            || Field::filtered(name).is_some())
}

/// Refuses a parameter whose form is wrong, whoever sends it.
fn check_form(name: &str, value: &str, version: Microversion) -> Result<(), ApiError> {
    if version.at_least(2, 75) && !is_known(name, version) {
        let reason = format!("Additional properties are not allowed ('{name}' was unexpected)");
        return Err(ApiError::invalid("query", reason));
    }
    let pattern = match name {
        "ip" | "ip6" => true,
        "tags" | "tags-any" | "not-tags" | "not-tags-any" => version.at_least(2, 26),
        _ => Field::filtered(name).is_some_and(|(_, is_pattern)| is_pattern),
    };
    if pattern {
        compile(name, value)?;
    }
    match name {
        "changes-since" => wire_time::parse(name, value).map(drop),
        "changes-before" if version.at_least(2, 66) => wire_time::parse(name, value).map(drop),
        _ => Ok(()),
    }
}

fn compile(name: &str, pattern: &str) -> Result<Regex, ApiError> {
    let refused = || ApiError::invalid(name, format!("'{pattern}' is not a 'regex'"));
    if pattern.is_empty() {
        return Err(refused());
    }
    RegexBuilder::new(pattern)
        .case_insensitive(true)
        .size_limit(REGEX_SIZE_MAX)
        .build()
        .map_err(|_| refused())
}

/// Collects the tests of one query.
struct Reader {
    filter: Filter,
    version: Microversion,
    is_admin: bool,
    deleted_asked: Option<bool>,
    changes: (Option<Timestamp>, Option<Timestamp>),
}

impl Reader {
    fn read(&mut self, name: &str, value: &str) -> Result<(), ApiError> {
        if JOINED.contains(&name) || name.starts_with('_') {
            return Err(ApiError::bad_request(format!(
                "Invalid filter field: {name}."
            )));
        }
        match name {
            "status" => {}
            "all_tenants" => self.filter.all_projects = strict_bool(name, value, true)?,
            "deleted" => self.deleted_asked = Some(parse_bool(value).unwrap_or(false)),
            "changes-since" => self.changes.0 = Some(wire_time::parse(name, value)?),
            "changes-before" => self.changes.1 = Some(wire_time::parse(name, value)?),
            "locked" => self.push(Test::Locked(strict_bool(name, value, false)?)),
            "vm_state" => {
                let states = VmState::ALL
                    .iter()
                    .copied()
                    .filter(|state| state.as_str() == value);
                self.push(Test::State(states.collect(), None));
            }
            "task_state" => {
                let none = value.eq_ignore_ascii_case("none");
                self.push(Test::TaskState((!none).then(|| value.to_owned())));
            }
            "ip" | "ip6" => {
                let pattern = compile(name, &format!("^(?:{value})"))?;
                self.push(Test::Address {
                    v4: name == "ip",
                    pattern,
                });
            }
            "tags" | "tags-any" | "not-tags" | "not-tags-any" if self.version.at_least(2, 26) => {
                self.push(Test::Tags {
                    wanted: value.split(',').map(str::to_owned).collect(),
                    all: !name.ends_with("-any"),
                    negated: name.starts_with("not-"),
                });
            }
            "tenant_id" => self.push(Test::Equal(Field::Project, value.to_owned())),
            _ => {
                if let Some((field, is_pattern)) = Field::filtered(name) {
                    let test = if is_pattern {
                        Test::Matches(field, compile(name, value)?)
                    } else {
                        Test::Equal(field, value.to_owned())
                    };
                    self.push(test);
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, test: Test) {
        self.filter.tests.push(test);
    }

    /// Turns statuses into VM and task states as Nova does: where a status is the default of a VM
    /// state, servers in that state count whatever is being done to them.
    fn statuses(&mut self, words: &[&str]) -> Result<(), ApiError> {
        let mut states = BTreeSet::new();
        let mut tasks = BTreeSet::new();
        let mut default = false;
        let mut known = false;
        for word in words {
            known |= FOREIGN_STATUSES
                .iter()
                .any(|other| other.eq_ignore_ascii_case(word));
            let Some(wanted) = Status::named(word) else {
                continue;
            };
            known = true;
            if wanted == Status::Deleted {
                if !self.is_admin {
                    let message = "Only administrators may list deleted instances";
                    return Err(ApiError::forbidden(message));
                }
                self.deleted_asked = Some(true);
                continue;
            }
            for vm in VmState::ALL {
                if Status::of(*vm, None) == wanted {
                    states.insert(*vm);
                    default = true;
                    continue;
                }
                let of_task = |task: &&TaskState| Status::of(*vm, Some(**task)) == wanted;
                for task in TaskState::ALL.iter().filter(of_task) {
                    states.insert(*vm);
                    tasks.insert(*task);
                }
            }
        }
        if !known {
            if self.version.at_least(2, 38) {
                return Err(ApiError::bad_request("Invalid status value"));
            }
            self.push(Test::Nothing);
        } else if self.deleted_asked != Some(true) {
            self.push(Test::State(states, (!default).then_some(tasks)));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Filter, ApiError> {
        let (since, before) = self.changes;
        if let (Some(since), Some(before)) = (since, before)
            && before < since
        {
            let message =
                "The value of changes-since must be less than or equal to changes-before.";
            return Err(ApiError::bad_request(message));
        }
        self.filter.tests.extend(since.map(Test::ChangedSince));
        self.filter.tests.extend(before.map(Test::ChangedBefore));
        self.filter.deleted = match self.deleted_asked {
            Some(true) => Deleted::Only,
            None if since.is_some() || before.is_some() => Deleted::Both,
            Some(false) | None => Deleted::Without,
        };
        Ok(self.filter)
    }
}

fn strict_bool(name: &str, value: &str, empty: bool) -> Result<bool, ApiError> {
    if value.is_empty() && empty {
        return Ok(true);
    }
    parse_bool(value).ok_or_else(|| {
        ApiError::invalid(
            name,
            format!("'{value}' is not a boolean: use true or false"),
        )
    })
}

impl Test {
    fn admits(&self, shown: &Shown<'_>, zone: &str) -> bool {
        let server = shown.server;
        match self {
            Self::Equal(field, wanted) => field
                .text(server, zone)
                .is_some_and(|text| text == Cow::Borrowed(wanted.as_str())),
            Self::Matches(field, pattern) => field
                .text(server, zone)
                .is_some_and(|text| pattern.is_match(&text)),
            Self::State(states, tasks) => {
                let task_fits = |tasks: &BTreeSet<TaskState>| {
                    server.task_state.is_some_and(|task| tasks.contains(&task))
                };
                states.contains(&server.vm_state) && tasks.as_ref().is_none_or(task_fits)
            }
            Self::TaskState(wanted) => {
                server.task_state.map(TaskState::as_str) == wanted.as_deref()
            }
            Self::Locked(wanted) => server.lock.is_some() == *wanted,
            Self::Address { v4, pattern } => server.addresses.iter().any(|address| {
                address.address.is_ipv4() == *v4 && pattern.is_match(&address.address.to_string())
            }),
            Self::Tags {
                wanted,
                all,
                negated,
            } => {
                let has = |tag: &String| server.tags.contains(tag);
                let found = if *all {
                    wanted.iter().all(has)
                } else {
                    wanted.iter().any(has)
                };
                found != *negated
            }
            Self::ChangedSince(time) => server.updated_at >= *time,
            Self::ChangedBefore(time) => server.updated_at <= *time,
            Self::Nothing => false,
        }
    }
}

#[cfg(test)]
mod tests;
