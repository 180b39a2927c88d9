//! Limits that come when a site has used things without one.

use super::super::super::super::model::lease::LeaseHeld;
use super::*;

#[tokio::test]
async fn what_was_used_without_a_limit_is_not_used_again_before_its_home_knows_of_it() {
    let ada = UserId::parse("ada").unwrap();
    let of_ada = Item {
        resource: Resource::Instances,
        user: Some(ada.clone()),
    };
    let world = World::with(&QuotaSet {
        users: [(ada.clone(), [(Resource::Instances, 2)].into())].into(),
        closed: [(of_ada.clone(), 1)].into(),
        ..limits(LIMIT)
    })
    .await;
    // Ada had no limit of her own when the east lent four made two servers for her.
    let (home, east) = (&world.clouds[0].services, &world.clouds[1].services);
    let lent = Claim {
        epoch: 0,
        share: share(4),
    };
    let written = home.store.transact(|tx| {
        let domain = DomainId::parse("default").unwrap();
        let mut lease = QuotaLease::none(&project(), &domain, east.site);
        lease.granted = lent.clone();
        tx.put(lease).map(drop)
    });
    written.await.unwrap();
    let written = east.store.transact(|tx| {
        let mut usage = QuotaUsage::none(project());
        usage.used.instances = 2;
        usage.users.insert(ada.clone(), usage.used);
        tx.put(usage)?;
        tx.put(LeaseHeld {
            project: project(),
            bound: lent.clone(),
            changed_at: Timestamp::from_unix_secs(0),
        })
        .map(drop)
    });
    written.await.unwrap();
    let said = give_back(east, &project(), Some(&lent), |_| u64::MAX).await;
    assert_eq!(said.unwrap().share.of(&of_ada), 2, "so it says to its home");
    world.cut("home", "east"); // which does not hear it.
    world.give(1, 1).await;
    let refused = world.take(1, 1).await.unwrap_err();
    assert!(
        refused.contains("its home home cannot be reached"),
        "{refused}"
    );
    world.heal();
    world.take(1, 1).await.unwrap();
    assert_eq!(world.used(1), 2);
}
