//! In which order a list is shown, and where its page begins.
//!
//! Nova orders by the keys that are asked for, `created_at` descending if none is, then by
//! creation. A page begins after its marker, which need not be in the list itself. Source: Nova 30
//! `api/openstack/common.py` (`get_sort_params`), `db/utils.py` (`process_sort_params`) and the
//! sort keys of `schemas/servers.py`.

use std::cmp::Ordering;

use luc_api::paging::Direction;
use luc_api::query::Query;
use luc_api::{ApiError, Microversion};

use super::field::{Field, Rank};
use super::view::Shown;

/// Keys that Nova once took and now passes over; from 2.75 on it refuses them.
const IGNORED: [&str; 22] = [
    "architecture",
    "cell_name",
    "cleaned",
    "default_ephemeral_device",
    "default_swap_device",
    "deleted",
    "deleted_at",
    "disable_terminate",
    "ephemeral_gb",
    "ephemeral_key_uuid",
    "id",
    "key_data",
    "launched_on",
    "locked",
    "memory_mb",
    "os_type",
    "reservation_id",
    "root_gb",
    "shutdown_terminate",
    "user_data",
    "vcpus",
    "vm_mode",
];

/// Keys that Nova takes.
const KEYS: [&str; 29] = [
    "access_ip_v4",
    "access_ip_v6",
    "auto_disk_config",
    "availability_zone",
    "config_drive",
    "created_at",
    "display_description",
    "display_name",
    "host",
    "hostname",
    "image_ref",
    "instance_type_id",
    "kernel_id",
    "key_name",
    "launch_index",
    "launched_at",
    "locked_by",
    "node",
    "power_state",
    "progress",
    "project_id",
    "ramdisk_id",
    "root_device_name",
    "task_state",
    "terminated_at",
    "updated_at",
    "user_id",
    "uuid",
    "vm_state",
];

/// The order of a list.
#[derive(Debug)]
pub(super) struct Order {
    keys: Vec<(Field, Direction)>,
    /// How servers that are equal so far are ordered by creation.
    last: Direction,
}

/// Where a server stands in an order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    ranks: Vec<Rank>,
    created: i64,
    index: u32,
    id: String,
}

impl Order {
    /// Reads the order that `query` asks for, as of `version`.
    pub(super) fn of(
        query: &Query,
        version: Microversion,
        is_admin: bool,
    ) -> Result<Self, ApiError> {
        let mut fields = Vec::new();
        let mut skipped = Vec::new();
        for (position, name) in query.all("sort_key").map(str::trim).enumerate() {
            check_key(name, version)?;
            let ignored = IGNORED.contains(&name) && !(name == "locked" && version.at_least(2, 73));
            if ignored {
                skipped.push(position);
                continue;
            }
            if matches!(name, "host" | "node") && !is_admin {
                let message = format!("Only administrators can sort servers by {name}");
                return Err(ApiError::forbidden(message));
            }
            fields.extend(Field::sorted(name));
        }
        let directions: Vec<Direction> = query
            .all("sort_dir")
            .enumerate()
            .filter(|(position, _)| !skipped.contains(position))
            .map(|(_, word)| Direction::parse(word.trim()))
            .collect::<Result<_, _>>()?;
        if fields.is_empty() {
            let direction = directions.first().copied().unwrap_or(Direction::Descending);
            return Ok(Self {
                keys: vec![(Field::CreatedAt, direction)],
                last: direction,
            });
        }
        if directions.len() > fields.len() {
            return Err(ApiError::bad_request(
                "Sort direction size exceeds sort key size",
            ));
        }
        let first = directions.first().copied().unwrap_or(Direction::Descending);
        let keys = fields
            .into_iter()
            .enumerate()
            .map(|(position, field)| (field, directions.get(position).copied().unwrap_or(first)))
            .collect();
        Ok(Self { keys, last: first })
    }

    /// Where `shown` stands. `zone` is its availability zone.
    pub(super) fn place(&self, shown: &Shown<'_>, zone: &str) -> Place {
        Place {
            ranks: self
                .keys
                .iter()
                .map(|(field, _)| field.rank(shown, zone))
                .collect(),
            created: shown.server.created_at.unix_micros(),
            index: shown.server.launch_index,
            id: shown.server.id.to_string(),
        }
    }

    /// Which of two places comes first.
    pub(super) fn compare(&self, left: &Place, right: &Place) -> Ordering {
        let ranks = self.keys.iter().zip(left.ranks.iter().zip(&right.ranks));
        for ((_, direction), (left, right)) in ranks {
            let ordering = direction.apply(left.cmp(right));
            if ordering != Ordering::Equal {
                return ordering;
            }
        }
        let by_creation = left
            .created
            .cmp(&right.created)
            .then_with(|| left.index.cmp(&right.index))
            .then_with(|| left.id.cmp(&right.id));
        self.last.apply(by_creation)
    }
}

fn check_key(name: &str, version: Microversion) -> Result<(), ApiError> {
    let locked = name == "locked" && version.at_least(2, 73);
    let ignored = IGNORED.contains(&name) && !version.at_least(2, 75);
    if KEYS.contains(&name) || locked || ignored {
        return Ok(());
    }
    let reason = format!("'{name}' is not one of the keys that servers are sorted by");
    Err(ApiError::invalid("sort_key", reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::model::server::Server;
    use crate::compute::server::fixture::{NOON, active};

    const OLD: Microversion = Microversion::new(2, 1);
    const NEW: Microversion = Microversion::new(2, 79);

    fn order(text: &str, version: Microversion) -> Result<Order, ApiError> {
        Order::of(&Query::parse(text)?, version, false)
    }

    fn sorted(text: &str, servers: &[Server]) -> String {
        let order = order(text, NEW).unwrap();
        let mut placed: Vec<_> = servers
            .iter()
            .map(|server| {
                (
                    order.place(&Shown::live(server), "paris"),
                    server.name.as_str(),
                )
            })
            .collect();
        placed.sort_by(|(left, _), (right, _)| order.compare(left, right));
        placed.into_iter().map(|(_, name)| name).collect()
    }

    fn server(number: u32, name: &str, after: u64) -> Server {
        let created_at = NOON.plus(std::time::Duration::from_secs(after));
        Server {
            name: name.to_owned(),
            created_at,
            ..active(number)
        }
    }

    #[test]
    fn the_youngest_come_first_unless_another_order_is_asked_for() {
        let servers = [server(1, "b", 0), server(2, "a", 1), server(3, "c", 2)];
        assert_eq!(sorted("", &servers), "cab");
        assert_eq!(sorted("sort_dir=asc", &servers), "bac");
        assert_eq!(
            sorted("sort_key=display_name&sort_dir=asc", &servers),
            "abc"
        );
        assert_eq!(sorted("sort_key=display_name", &servers), "cba");
    }

    #[test]
    fn servers_that_are_equal_are_in_the_order_of_their_creation() {
        let servers = [server(1, "x", 2), server(2, "y", 0), server(3, "z", 1)];
        assert_eq!(sorted("sort_key=vm_state&sort_dir=asc", &servers), "yzx");
        assert_eq!(sorted("sort_key=vm_state&sort_dir=desc", &servers), "xzy");
    }

    #[test]
    fn keys_are_taken_passed_over_or_refused() {
        for good in ["sort_key=uuid", "sort_key=memory_mb", "sort_key=locked"] {
            assert!(order(good, OLD).is_ok(), "{good} was refused");
        }
        assert!(
            order("sort_key=memory_mb", NEW).is_err(),
            "passed over until 2.74 only"
        );
        assert!(order("sort_key=locked", NEW).is_ok(), "a key from 2.73 on");
        for bad in ["sort_key=colour", "sort_key=uuid&sort_dir=up"] {
            assert_eq!(order(bad, OLD).unwrap_err().status().as_u16(), 400, "{bad}");
        }
        let too_many = "sort_key=uuid&sort_dir=asc&sort_dir=asc";
        assert_eq!(order(too_many, OLD).unwrap_err().status().as_u16(), 400);
        assert_eq!(
            order("sort_key=host", OLD).unwrap_err().status().as_u16(),
            403
        );
        let admin = Order::of(&Query::parse("sort_key=host").unwrap(), OLD, true);
        assert!(admin.is_ok());
    }
}
