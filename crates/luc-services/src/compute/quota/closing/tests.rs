//! Which changes of limits count as a limit after none.

use luc_core::id::DomainId;

use super::*;

const INSTANCES: Resource = Resource::Instances;

fn item(user: Option<&str>) -> Item {
    Item {
        resource: INSTANCES,
        user: user.map(|user| UserId::parse(user).unwrap()),
    }
}

fn set() -> QuotaSet {
    QuotaSet {
        project: ProjectId::parse("p").unwrap(),
        domain: DomainId::parse("default").unwrap(),
        limits: BTreeMap::new(),
        users: BTreeMap::new(),
        closed: BTreeMap::new(),
    }
}

fn class(limit: i64) -> QuotaClass {
    QuotaClass {
        name: QuotaClass::DEFAULT.to_owned(),
        limits: [(INSTANCES, limit)].into(),
        closed: BTreeMap::new(),
    }
}

/// Applies `change` and counts.
fn changed(class: &QuotaClass, set: &mut QuotaSet, change: impl FnOnce(&mut QuotaSet)) {
    let before = set.clone();
    change(set);
    count(Some(class), &before, set);
}

#[test]
fn a_limit_after_none_is_counted_and_no_other_change_is() {
    let (ten, mut set) = (class(10), set());
    let to = |limit| move |set: &mut QuotaSet| set.limits.extend([(INSTANCES, limit)]);
    // Others may have heard by then that projects have no limit.
    changed(&ten, &mut set, to(5));
    assert_eq!(set.closed[&item(None)], 1);
    for limit in [27, 3, -1, -1] {
        changed(&ten, &mut set, to(limit));
        assert_eq!(set.closed[&item(None)], 1, "{limit}");
    }
    changed(&ten, &mut set, to(27));
    assert_eq!(set.closed[&item(None)], 2);
    // Whoever is reset follows the limit of all projects.
    changed(&ten, &mut set, to(-1));
    changed(&class(-1), &mut set, |set| set.limits.clear());
    assert_eq!(set.closed[&item(None)], 2);
    changed(&ten, &mut set, to(-1));
    changed(&ten, &mut set, |set| set.limits.clear());
    assert_eq!(set.closed[&item(None)], 3);
    // A user who gets a limit apart had none, whatever the project has.
    let of_ada = |set: &mut QuotaSet| {
        let ada = set.users.entry(UserId::parse("ada").unwrap());
        ada.or_default().insert(INSTANCES, 2);
    };
    changed(&ten, &mut set, of_ada);
    assert_eq!(set.closed[&item(Some("ada"))], 1);
    assert_eq!(set.closed[&item(None)], 3);
}

#[test]
fn a_limit_of_all_projects_after_none_concerns_those_without_one_of_their_own() {
    let mut later = class(8);
    count_closed_class(&class(12), &mut later);
    assert!(later.closed.is_empty());
    count_closed_class(&class(-1), &mut later);
    assert_eq!(later.closed, [(INSTANCES, 1)].into());
    let heard = Closings::default();
    let stored = |class: QuotaClass, set: Option<QuotaSet>| {
        let options = luc_state::StoreOptions::new(
            SitePrefix::of_key(b"s"),
            luc_core::entropy::SplitMix64::new(1),
        );
        let schema = luc_state::Schema::new()
            .table::<QuotaClass>()
            .table::<QuotaSet>();
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let engine = Arc::new(luc_state::MemoryEngine::new());
            let opened = luc_state::Store::open(engine, schema, options).await;
            let (store, driver) = opened.unwrap();
            tokio::spawn(driver);
            let written = store.transact(|tx| {
                tx.put(class.clone())?;
                set.clone().map_or(Ok(()), |set| tx.put(set).map(drop))
            });
            written.await.unwrap();
            Held::of(&store.snapshot(), "p")
        })
    };
    let mut own = set();
    own.limits.insert(INSTANCES, 4);
    assert!(!stored(later.clone(), None).is_heard(&item(None), heard));
    assert!(stored(later.clone(), Some(own)).is_heard(&item(None), heard));
    let known = Closings { own: 0, class: 1 };
    assert!(stored(later, Some(set())).is_heard(&item(None), known));
}
