//! Finds the rows of the endpoint table that a path leads to.
//!
//! One `matchit` tree over all services, built once from the table; several rows share a path and
//! differ by method, action or microversion range.

use luc_api::endpoint::{self, Endpoint};
use luc_api::query::decode_segment;
use luc_api::{ApiError, Verb};

/// The rows behind one path pattern.
struct Rows {
    names: Vec<&'static str>,
    rows: Vec<&'static Endpoint>,
}

/// What a path leads to.
pub struct Found<'r> {
    /// The rows of the path, whatever their method.
    pub rows: &'r [&'static Endpoint],
    /// The decoded parameters.
    pub params: Vec<(&'static str, String)>,
}

/// The routing tree.
pub struct Routes {
    tree: matchit::Router<Rows>,
}

impl Routes {
    /// Builds the tree from the endpoint table.
    ///
    /// # Panics
    /// If two paths of the table contradict each other, which a test rules out.
    pub fn from_table() -> Self {
        let mut patterns: Vec<(String, Rows)> = Vec::new();
        for row in endpoint::all() {
            let names = parameter_names(row.path);
            let pattern = positional(&row.full_path());
            match patterns.iter_mut().find(|(known, _)| *known == pattern) {
                Some((_, rows)) => rows.rows.push(row),
                None => patterns.push((
                    pattern,
                    Rows {
                        names,
                        rows: vec![row],
                    },
                )),
            }
        }
        let mut tree = matchit::Router::new();
        for (pattern, rows) in patterns {
            #[expect(clippy::expect_used, reason = "the table is static and tested")]
            tree.insert(pattern, rows)
                .expect("paths of the endpoint table are consistent");
        }
        Self { tree }
    }

    /// The rows for `path` (undecoded, without query); a slash at the end does not count.
    pub fn find(&self, path: &str) -> Result<Option<Found<'_>>, ApiError> {
        let path = if path.len() > 1 {
            path.trim_end_matches('/')
        } else {
            path
        };
        let Ok(found) = self.tree.at(path) else {
            return Ok(None);
        };
        let names = found.value.names.iter();
        let params = names
            .zip(found.params.iter())
            .map(|(name, (_, raw))| Ok((*name, decode_segment(raw)?)))
            .collect::<Result<_, ApiError>>()?;
        Ok(Some(Found {
            rows: &found.value.rows,
            params,
        }))
    }
}

/// The methods of `rows`, for the `Allow` header.
pub(super) fn allowed(rows: &[&'static Endpoint]) -> String {
    let mut verbs: Vec<Verb> = rows.iter().map(|row| row.verb).collect();
    verbs.sort_unstable();
    verbs.dedup();
    verbs
        .iter()
        .map(|verb| verb.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

fn parameter_names(path: &'static str) -> Vec<&'static str> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .collect()
}

/// The pattern with parameters named by position, which is how the tree tells paths apart. All rows
/// of one path name their parameters alike; a test makes sure of it.
fn positional(path: &str) -> String {
    let mut count = 0;
    let segments = path.split('/').map(|segment| {
        if segment.starts_with('{') {
            count += 1;
            format!("{{p{count}}}")
        } else {
            segment.to_owned()
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_under_its_own_path() {
        let routes = Routes::from_table();
        for row in endpoint::all() {
            let path = row.full_path().replace(['{', '}'], "");
            let found = routes
                .find(&path)
                .unwrap()
                .expect("the path leads somewhere");
            assert!(
                found
                    .rows
                    .iter()
                    .any(|other| other.operation == row.operation),
                "{:?} is not routed at {path}",
                row.operation
            );
        }
    }

    #[test]
    fn rows_of_one_path_name_its_parameters_alike() {
        for row in endpoint::all() {
            for other in endpoint::all() {
                if positional(&row.full_path()) == positional(&other.full_path()) {
                    assert_eq!(
                        row.path, other.path,
                        "a handler would not find its parameter"
                    );
                }
            }
        }
    }

    #[test]
    fn a_slash_at_the_end_does_not_count() {
        let routes = Routes::from_table();
        assert!(routes.find("/compute/v2.1/").unwrap().is_some());
        assert!(routes.find("/nowhere").unwrap().is_none());
    }
}
