//! The checker itself, where no switch of a whole cloud breaks the rule.

use super::*;

/// The home uses `used` of 10, and has lent `lent` to a site that uses 8; and that site.
fn shares(used: u64, lent: u64) -> (Shares, SitePrefix) {
    let (home, other) = (SitePrefix::of_key(b"home"), SitePrefix::of_key(b"other"));
    let shares = Shares {
        home,
        view: View {
            limit: Some(10),
            own: true,
            closings: (1, 0),
        },
        used: [(home, used), (other, 8)].into(),
        lent: [(other, lent)].into(),
        seen: [(other, 8)].into(),
        unheard: BTreeSet::new(),
    };
    (shares, other)
}

fn grown(shares: &Shares, before: &Before, moved: Part) -> Option<String> {
    let look = Look {
        before,
        shares,
        moved: [moved].into(),
        after_none: true,
        now: Duration::from_secs(60),
    };
    look.grown()
}

#[test]
fn a_home_counts_what_copies_show_of_a_site_that_has_not_heard() {
    let mut before = Before::default();
    before.take_over(shares(1, 2).0);
    let (mut now, other) = shares(3, 2);
    assert_eq!(grown(&now, &before, Part::Own), None);
    now.unheard.insert(other);
    assert!(grown(&now, &before, Part::Own).is_some());
    now.used.insert(now.home, 2);
    assert_eq!(grown(&now, &before, Part::Own), None);
}

#[test]
fn beyond_the_limit_only_what_a_site_used_is_written_down() {
    let mut before = Before::default();
    before.remember(&shares(5, 2).0, Duration::from_secs(30));
    before.take_over(shares(5, 2).0);
    assert_eq!(grown(&shares(5, 8).0, &before, Part::Leases), None);
    assert!(grown(&shares(5, 9).0, &before, Part::Leases).is_some());
}
