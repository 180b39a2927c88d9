//! The exchange of the key that signs tokens.

use super::cloud::Cloud;
use super::sites::Pair;
use crate::identity::model::PublicKey;
use crate::identity::{OldKey, SigningKey, forget_ended, rotate_key};

fn fresh(cloud: &Cloud) -> SigningKey {
    let services = &cloud.services;
    SigningKey::generate(services.site, &*services.random)
}

#[tokio::test]
async fn tokens_of_the_old_key_count_until_they_end_and_then_the_key_goes() {
    let cloud = Cloud::founded().await;
    let old = cloud.admin().await;
    let key = fresh(&cloud);
    let id = key.id().to_owned();
    rotate_key(&cloud.services, key, OldKey::Keep)
        .await
        .unwrap();
    assert!(cloud.caller(&old).is_some());
    let new = cloud.admin().await;
    assert!(cloud.caller(&new).is_some());
    assert_ne!(old.split('.').next(), new.split('.').next(), "another kid");
    assert_eq!(forget_ended(&cloud.services).await.unwrap(), 0);
    cloud.tick(50 * 3600);
    assert_eq!(forget_ended(&cloud.services).await.unwrap(), 1);
    let keys: Vec<_> = cloud.services.store.snapshot().all::<PublicKey>().collect();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].id, id);
}

#[tokio::test]
async fn a_key_that_somebody_else_may_have_counts_no_more_for_the_next_request() {
    let cloud = Cloud::founded().await;
    let old = cloud.admin().await;
    assert!(cloud.caller(&old).is_some(), "it is in the cache");
    rotate_key(&cloud.services, fresh(&cloud), OldKey::Void)
        .await
        .unwrap();
    assert!(cloud.caller(&old).is_none());
    assert!(cloud.caller(&cloud.admin().await).is_some());
}

#[tokio::test(start_paused = true)]
async fn the_other_sites_know_a_key_before_it_signs() {
    let pair = Pair::new(true).await;
    let key = fresh(&pair.founder);
    let (id, services) = (key.id().to_owned(), pair.founder.services.clone());
    let rotating = tokio::spawn(async move { rotate_key(&services, key, OldKey::Keep).await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let known = pair.other.services.store.snapshot();
    assert!(known.get::<PublicKey>(&id).is_some());
    assert_ne!(pair.founder.services.identity.key().id(), id);
    rotating.await.unwrap().unwrap();
    assert_eq!(pair.founder.services.identity.key().id(), id);
}

#[tokio::test]
async fn neither_the_same_key_nor_one_of_another_site_is_taken() {
    let cloud = Cloud::founded().await;
    let text = cloud.services.identity.key().to_text();
    let same = SigningKey::from_text(cloud.services.site, text.reveal()).unwrap();
    let foreign = luc_core::SitePrefix::of_key(b"elsewhere");
    let foreign = SigningKey::generate(foreign, &*cloud.services.random);
    for key in [same, foreign] {
        assert!(
            rotate_key(&cloud.services, key, OldKey::Void)
                .await
                .is_err()
        );
    }
}
