//! What holds for every row of the table.

use std::collections::BTreeSet;

use super::*;

#[test]
fn no_two_rows_answer_the_same_request() {
    let mut seen = BTreeSet::new();
    for row in all() {
        let key = (row.verb, row.full_path(), row.action, row.versions.min);
        assert!(seen.insert(key), "{:?} is declared twice", row.operation);
    }
}

#[test]
fn every_operation_has_one_row() {
    let mut seen = BTreeSet::new();
    for row in all() {
        assert!(
            seen.insert(row.operation),
            "{:?} has two rows",
            row.operation
        );
    }
}

#[test]
fn only_discovery_and_authentication_are_public() {
    for row in all().filter(|row| row.access == Access::Public) {
        let harmless = row.verb == Verb::Get && row.body.is_none();
        // The second one proves the user by the old password.
        let authentication = ["/auth/tokens", "/users/{user_id}/password"].contains(&row.path);
        assert!(harmless || authentication, "{:?} is public", row.operation);
    }
}

#[test]
fn paths_are_written_without_a_slash_at_the_end() {
    for row in all() {
        assert!(!row.path.ends_with('/'), "{:?}", row.path);
        assert!(
            row.path.is_empty() || row.path.starts_with('/'),
            "{:?}",
            row.path
        );
    }
}

impl Body {
    fn is_none(self) -> bool {
        matches!(self, Self::None)
    }
}
