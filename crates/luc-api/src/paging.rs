//! Marker pagination and sorting, as every OpenStack list takes them.
//!
//! A service sorts its items, then cuts the page that follows the marker. Shapes of the links
//! differ by service and stand in the services' views.

use std::cmp::Ordering;

use crate::fault::ApiError;
use crate::query::Query;

/// Which way a key sorts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Greatest first.
    Descending,
}

impl Direction {
    /// Reads `asc` or `desc`.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        match text {
            "asc" => Ok(Self::Ascending),
            "desc" => Ok(Self::Descending),
            _ => {
                let reason = format!("'{text}' is not a direction: use 'asc' or 'desc'");
                Err(ApiError::invalid("sort_dir", reason))
            }
        }
    }

    /// `ordering` as seen in this direction.
    pub fn apply(self, ordering: Ordering) -> Ordering {
        match self {
            Self::Ascending => ordering,
            Self::Descending => ordering.reverse(),
        }
    }
}

/// What part of a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many items at most.
    pub limit: usize,
    /// The id after which the page begins.
    pub marker: Option<String>,
}

impl Page {
    /// Reads `limit` and `marker`; `limit_max` is the service's own maximum (`osapi_max_limit`,
    /// `api_limit_max`), which also holds when nothing is asked for.
    pub fn of(query: &Query, limit_max: usize) -> Result<Self, ApiError> {
        let limit = query
            .number("limit")?
            .map_or(limit_max, |limit| limit as usize);
        Ok(Self {
            limit: limit.min(limit_max),
            marker: query.get("marker").map(str::to_owned),
        })
    }

    /// Cuts the page out of `items`, which are in order, and says whether more follow.
    /// An unknown marker is a 400 that names it.
    pub fn cut<T>(
        &self,
        mut items: Vec<T>,
        id: impl Fn(&T) -> &str,
    ) -> Result<(Vec<T>, bool), ApiError> {
        let start = match &self.marker {
            None => 0,
            Some(marker) => {
                1 + items
                    .iter()
                    .position(|item| id(item) == marker)
                    .ok_or_else(|| ApiError::bad_request(format!("marker [{marker}] not found")))?
            }
        };
        items.drain(..start);
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        Ok((items, more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Result<(Vec<&'static str>, bool), ApiError> {
        let query = Query::parse(text)?;
        Page::of(&query, 3)?.cut(vec!["a", "b", "c", "d", "e"], |item| item)
    }

    #[test]
    fn a_page_follows_its_marker() {
        assert_eq!(page("limit=2").unwrap(), (vec!["a", "b"], true));
        assert_eq!(page("limit=2&marker=b").unwrap(), (vec!["c", "d"], true));
        assert_eq!(page("limit=2&marker=d").unwrap(), (vec!["e"], false));
        assert_eq!(page("limit=2&marker=e").unwrap(), (vec![], false));
    }

    #[test]
    fn the_services_maximum_bounds_every_page() {
        assert_eq!(page("").unwrap(), (vec!["a", "b", "c"], true));
        assert_eq!(page("limit=100").unwrap().0.len(), 3);
        assert_eq!(page("limit=0").unwrap(), (vec![], true));
    }

    #[test]
    fn an_unknown_marker_is_named() {
        assert!(page("marker=z").unwrap_err().to_string().contains("[z]"));
        assert!(page("limit=x").is_err());
        assert!(Direction::parse("up").is_err());
    }
}
