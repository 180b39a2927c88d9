//! What operators are shown of things that two sites made at once: which copies this site keeps
//! aside, and for what. Which of two is shown is decided in `luc-state`.

use std::collections::BTreeMap;

use luc_core::SitePrefix;
use luc_state::Snapshot;
use luc_state::feed::Withheld;
use serde_json::{Value, json};

/// The most that are listed of one site.
const LISTED_MAX: usize = 100;

/// How many copies of each site are kept aside.
pub(super) fn counted(snapshot: &Snapshot) -> BTreeMap<SitePrefix, usize> {
    let mut counted = BTreeMap::new();
    for aside in snapshot.all::<Withheld>() {
        *counted.entry(aside.home).or_default() += 1;
    }
    counted
}

/// The copies of `home` that are kept aside. `name` tells the names of sites.
pub(super) fn listed(
    snapshot: &Snapshot,
    home: SitePrefix,
    name: impl Fn(SitePrefix) -> Option<String>,
) -> Vec<Value> {
    let name = |site: SitePrefix| name(site).unwrap_or_else(|| site.to_string());
    snapshot
        .all::<Withheld>()
        .filter(|aside| aside.home == home)
        .take(LISTED_MAX)
        .map(|aside| {
            let against = &aside.against;
            json!({
                "kind": aside.kind,
                "id": aside.record,
                "name": aside.name(),
                "home": name(aside.home),
                "because": reason(&aside, &name(against.home)),
                "against": {
                    "kind": against.kind,
                    "id": against.record,
                    "home": name(against.home),
                    "index": against.index,
                },
            })
        })
        .collect()
}

fn reason(aside: &Withheld, site: &str) -> String {
    let against = &aside.against;
    match &against.index {
        _ if aside.kind != against.kind => {
            format!("its {} gives way to one of site {site}", against.kind)
        }
        None => format!("site {site} has one with this id"),
        Some(index) => format!("'{}' of site {site} has this {index}", against.record),
    }
}

/// A line for operators about `count` copies that are kept aside.
pub(super) fn note(count: usize, site: &str) -> String {
    format!(
        "{count} of its records are not shown here, for another site has made the same: `luc site \
         show {site}` lists them"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use luc_state::feed::Against;

    #[test]
    fn the_reason_names_what_stands_in_the_way() {
        let site = SitePrefix::of_key(b"b");
        let mut aside = Withheld {
            id: "x".to_owned(),
            home: SitePrefix::of_key(b"a"),
            kind: "user".to_owned(),
            record: "u1".to_owned(),
            against: Against {
                kind: "domain".to_owned(),
                record: "d1".to_owned(),
                home: site,
                index: Some("name".to_owned()),
            },
            stored: json!({"value": {"name": "ada"}}),
        };
        assert_eq!(aside.name(), Some("ada"));
        assert_eq!(reason(&aside, "b"), "its domain gives way to one of site b");
        aside.kind = "domain".to_owned();
        assert_eq!(reason(&aside, "b"), "'d1' of site b has this name");
        aside.against.index = None;
        assert_eq!(reason(&aside, "b"), "site b has one with this id");
    }
}
