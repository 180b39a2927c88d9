//! In which order images are listed.

use std::cmp::Ordering;

use luc_api::ApiError;
use luc_api::paging::Direction;
use luc_api::query::Query;

use super::model::Image;

/// What images can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Name,
    Status,
    ContainerFormat,
    DiskFormat,
    Size,
    Id,
    CreatedAt,
    UpdatedAt,
}

const KEYS: [(&str, Key); 8] = [
    ("name", Key::Name),
    ("status", Key::Status),
    ("container_format", Key::ContainerFormat),
    ("disk_format", Key::DiskFormat),
    ("size", Key::Size),
    ("id", Key::Id),
    ("created_at", Key::CreatedAt),
    ("updated_at", Key::UpdatedAt),
];

impl Key {
    fn parse(name: &str) -> Result<Self, ApiError> {
        let name = name.trim();
        let found = KEYS.iter().find(|(known, _)| *known == name);
        found.map(|(_, key)| *key).ok_or_else(|| {
            let available: Vec<_> = KEYS.iter().map(|(name, _)| *name).collect();
            ApiError::bad_request(format!(
                "Invalid sort key: {name}. It must be one of the following: {}.",
                available.join(", ")
            ))
        })
    }

    /// What is not there yet comes before everything else, as in a database.
    fn compare(self, left: &Image, right: &Image) -> Ordering {
        let size = |image: &Image| image.data.as_ref().map(|data| data.size);
        match self {
            Self::Name => left.name.cmp(&right.name),
            Self::Status => left.status.as_str().cmp(right.status.as_str()),
            Self::ContainerFormat => left.container_format.cmp(&right.container_format),
            Self::DiskFormat => left.disk_format.cmp(&right.disk_format),
            Self::Size => size(left).cmp(&size(right)),
            Self::Id => left.id.cmp(&right.id),
            Self::CreatedAt => left.created_at.cmp(&right.created_at),
            Self::UpdatedAt => left.updated_at.cmp(&right.updated_at),
        }
    }
}

/// An order that tells every two images apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order(Vec<(Key, Direction)>);

impl Order {
    /// Reads `sort=name:asc,size:desc`, or pairs of `sort_key` and `sort_dir`.
    pub(super) fn of(query: &Query) -> Result<Self, ApiError> {
        let mut order = match query.last("sort") {
            Some(sort) => {
                if query.has("sort_key") || query.has("sort_dir") {
                    let message = "Old and new sorting syntax cannot be combined";
                    return Err(ApiError::bad_request(message));
                }
                together(sort)?
            }
            None => apart(query)?,
        };
        if order.is_empty() {
            order.push((Key::CreatedAt, Direction::Descending));
        }
        let last = order
            .first()
            .map_or(Direction::Descending, |(_, direction)| *direction);
        for key in [Key::CreatedAt, Key::Id] {
            if order.iter().all(|(known, _)| *known != key) {
                order.push((key, last));
            }
        }
        Ok(Self(order))
    }

    /// Which of two images comes first.
    pub(super) fn compare(&self, left: &Image, right: &Image) -> Ordering {
        let orderings = self
            .0
            .iter()
            .map(|(key, direction)| direction.apply(key.compare(left, right)));
        orderings.fold(Ordering::Equal, Ordering::then)
    }
}

fn together(sort: &str) -> Result<Vec<(Key, Direction)>, ApiError> {
    let parts = sort.trim().split(',').map(|part| {
        let (key, direction) = part.split_once(':').unwrap_or((part, ""));
        let direction = match direction.trim() {
            "" => Direction::Descending,
            direction => Direction::parse(direction)?,
        };
        Ok((Key::parse(key)?, direction))
    });
    parts.collect()
}

fn apart(query: &Query) -> Result<Vec<(Key, Direction)>, ApiError> {
    let keys: Vec<_> = query
        .all("sort_key")
        .map(Key::parse)
        .collect::<Result<_, _>>()?;
    let directions: Vec<_> = query
        .all("sort_dir")
        .map(|direction| Direction::parse(direction.trim()))
        .collect::<Result<_, _>>()?;
    match directions.as_slice() {
        [] => Ok(keys
            .into_iter()
            .map(|key| (key, Direction::Descending))
            .collect()),
        [one] if keys.is_empty() => Ok(vec![(Key::CreatedAt, *one)]),
        [one] => Ok(keys.into_iter().map(|key| (key, *one)).collect()),
        several if several.len() == keys.len() => Ok(keys.into_iter().zip(directions).collect()),
        _ => Err(ApiError::bad_request(
            "Number of sort dirs does not match the number of sort keys",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::model::tests::image_named;
    use luc_core::time::Timestamp;

    fn sorted(query: &str) -> Vec<String> {
        let order = Order::of(&Query::parse(query).unwrap()).unwrap();
        let mut images: Vec<_> = [("a", "x", 3), ("b", "x", 1), ("c", "y", 2)]
            .into_iter()
            .map(|(id, name, created)| {
                let mut image = image_named(id);
                image.name = Some(name.to_owned());
                image.created_at = Timestamp::from_unix_secs(created);
                image
            })
            .collect();
        images.sort_by(|left, right| order.compare(left, right));
        images.iter().map(|image| image.id.to_string()).collect()
    }

    #[test]
    fn the_newest_image_comes_first_unless_asked_otherwise() {
        assert_eq!(sorted(""), ["a", "c", "b"]);
        assert_eq!(sorted("sort_dir=asc"), ["b", "c", "a"]);
    }

    #[test]
    fn both_ways_to_ask_mean_the_same() {
        assert_eq!(sorted("sort=name:asc,created_at:asc"), ["b", "a", "c"]);
        let apart = "sort_key=name&sort_dir=asc&sort_key=created_at&sort_dir=asc";
        assert_eq!(sorted(apart), ["b", "a", "c"]);
        assert_eq!(
            sorted("sort_key=name&sort_key=id&sort_dir=desc"),
            ["c", "b", "a"]
        );
        assert_eq!(sorted("sort=name,id"), ["c", "b", "a"]);
    }

    #[test]
    fn an_order_that_does_not_exist_is_refused() {
        for bad in [
            "sort=taste:asc",
            "sort=name:up",
            "sort=",
            "sort=name&sort_key=id",
            "sort_key=owner",
            "sort_dir=sideways",
            "sort_key=name&sort_dir=asc&sort_dir=desc",
            "sort_dir=asc&sort_dir=desc",
        ] {
            assert!(
                Order::of(&Query::parse(bad).unwrap()).is_err(),
                "{bad} was accepted"
            );
        }
    }
}
