//! What a captured site, a captured node and a greedy guest cannot do.

use ed25519_dalek::SigningKey as SecretKey;
use luc_core::SitePrefix;
use luc_core::id::NodeId;
use luc_core::time::Timestamp;
use luc_state::feed::{Expectations, Follower, Source};

use super::world::{Others, Site, cloud, compute, node};
use crate::sites::members::transact;
use crate::sites::{
    Going, Label, Members, NodeInfo, NodeWish, Promise, PromiseWish, Purpose, Refusal, admit_site,
    contested, introduce, may_invite, node_id, promise, register_node, remove,
};

async fn admitted(alpha: &Site, others: &mut Others, number: u8, label: Label) -> Site {
    let site = Site::new(number, &format!("site-{number}")).await;
    let ticket = alpha.ticket(Purpose::Site, label).await;
    let (key, wish) = (site.node_key(), site.wish(&ticket));
    admit_site(&alpha.services, others, &key, &ticket.secret, &wish)
        .await
        .unwrap();
    let services = site.services.clone();
    others.sites.insert(services.site, services);
    site
}

fn members(site: &Site) -> Members {
    Members::of(&site.services.store.snapshot(), site.services.site)
}

/// What `liar` says of one of its nodes, whatever is true.
async fn claims(liar: &Site, key: &str, proof: Option<String>, revoked: bool) {
    let site = liar.services.site;
    let node = NodeInfo {
        id: node_id(site, key),
        site,
        name: "mine".to_owned(),
        key: key.to_owned(),
        proof,
        roles: vec!["controller".to_owned()],
        addresses: Vec::new(),
        joined_at: Timestamp::from_unix_secs(0),
        revoked_at: revoked.then(|| Timestamp::from_unix_secs(1)),
        ticket: None,
    };
    let written = transact(&liar.services, |tx| {
        tx.put(node.clone())?;
        Ok(())
    });
    written.await.unwrap();
}

/// Brings everything that `home` feeds to `follower`.
async fn feed(home: &Site, follower: &Site) {
    let mut following = Follower::load(&follower.services.store, home.services.site);
    let mut source = Source::open(&home.services.store, &following.hello()).unwrap();
    let untrusted = Expectations { trusted: false };
    while let Some(batch) = source.take() {
        let applied = following.apply(&follower.services.store, &batch, untrusted);
        applied.await.unwrap();
    }
}

/// The founder, an edge site, and a third one that hears of both.
async fn three() -> (Site, Site, Site) {
    let alpha = Site::founder().await;
    let mut others = Others::default();
    let edge = admitted(&alpha, &mut others, 2, Label::Edge).await;
    let gamma = admitted(&alpha, &mut others, 3, Label::Trusted).await;
    (alpha, edge, gamma)
}

fn keys(members: &Members, site: SitePrefix) -> Vec<String> {
    let nodes = members.site(site).map(|member| member.nodes.as_slice());
    let keys = nodes.unwrap_or_default().iter().map(|n| n.key.clone());
    keys.collect()
}

#[tokio::test]
async fn a_captured_site_takes_no_key_of_others_and_revokes_none() {
    for revoked in [false, true] {
        let (alpha, edge, gamma) = three().await;
        let ticket = alpha.ticket(Purpose::Node, Label::Trusted).await;
        let wish = compute(0xab);
        register_node(&alpha.services, &wish.key, &ticket.secret, &wish)
            .await
            .unwrap();
        let before = members(&alpha);
        let stolen = [alpha.node(), gamma.node(), wish];
        for node in &stolen {
            // With the proof that everybody sees.
            claims(&edge, &node.key, Some(node.proof.clone()), revoked).await;
        }
        feed(&edge, &alpha).await;

        let after = members(&alpha);
        assert_eq!(after, before, "revoked: {revoked}");
        let found = contested(&alpha.services.store.snapshot(), alpha.services.site);
        assert_eq!(found.len(), stolen.len());
        assert!(found.iter().all(|(site, _)| *site == edge.services.site));
    }
}

#[tokio::test]
async fn a_captured_site_still_revokes_and_renews_its_own_keys() {
    let (alpha, edge, _gamma) = three().await;
    let fresh = node(&SecretKey::from_bytes(&[0xcd; 32]), edge.services.site);
    claims(&edge, &fresh.key, Some(fresh.proof), false).await;
    claims(&edge, &edge.node_key(), Some(edge.node().proof), true).await;
    feed(&edge, &alpha).await;
    let view = members(&alpha);
    assert_eq!(keys(&view, edge.services.site), [fresh.key]);
    assert_eq!(view.revoked, [edge.node_key()].into());
}

#[tokio::test]
async fn no_site_takes_the_key_of_a_node_that_comes_later() {
    let (alpha, mut others) = (Site::founder().await, Others::default());
    let edge = admitted(&alpha, &mut others, 2, Label::Edge).await;
    let gamma = admitted(&alpha, &mut others, 3, Label::Trusted).await;
    let delta = admitted(&alpha, &mut others, 4, Label::Trusted).await;
    let later = compute(0xab);
    for (liar, revoked) in [(&edge, true), (&delta, false), (&delta, true)] {
        let own = node(&SecretKey::from_bytes(&[9; 32]), liar.services.site);
        let proofs = [None, Some(later.proof.clone()), Some(own.proof)];
        for proof in proofs {
            claims(liar, &later.key, proof, revoked).await;
            feed(liar, &gamma).await;
            feed(liar, &alpha).await;
            let known = members(&alpha);
            assert_eq!(keys(&known, liar.services.site), [liar.node_key()]);
            assert!(known.revoked.is_empty(), "{known:?}");
            let found = contested(&alpha.services.store.snapshot(), alpha.services.site);
            assert!(found.contains(&(liar.services.site, later.key.clone())));
        }
    }
    let ticket = alpha.ticket(Purpose::Node, Label::Trusted).await;
    register_node(&alpha.services, &later.key, &ticket.secret, &later)
        .await
        .unwrap();
    feed(&alpha, &gamma).await;
    introduce(&gamma.services, ("gamma", cloud(), None), &gamma.node())
        .await
        .unwrap();
    let known = members(&gamma);
    assert!(keys(&known, alpha.services.site).contains(&later.key));
    assert!(known.revoked.is_empty(), "{known:?}");
}

#[tokio::test]
async fn a_node_without_its_keys_word_joins_nowhere_and_keeps_its_ticket() {
    let alpha = Site::founder().await;
    let ticket = alpha.ticket(Purpose::Node, Label::Trusted).await;
    let before = alpha.services.store.snapshot().revision();
    let good = compute(0xab);
    let foreign = node(
        &SecretKey::from_bytes(&[0xab; 32]),
        SitePrefix::of_key(b"x"),
    );
    for proof in [String::new(), compute(0xcd).proof, foreign.proof] {
        let wish = NodeWish {
            proof,
            ..good.clone()
        };
        let refused = register_node(&alpha.services, &wish.key, &ticket.secret, &wish).await;
        assert!(matches!(refused, Err(Refusal::Proof)), "{refused:?}");
    }
    assert_eq!(alpha.services.store.snapshot().revision(), before);
    let joined = register_node(&alpha.services, &good.key, &ticket.secret, &good).await;
    joined.unwrap();
}

#[tokio::test]
async fn an_edge_site_asks_for_no_promise_and_gives_none_back() {
    let (alpha, edge, gamma) = three().await;
    let revision = alpha.services.store.snapshot().revision();
    let refused = may_invite(&alpha.services, edge.services.site);
    assert!(matches!(refused, Err(Refusal::NotTrusted)), "{refused:?}");
    may_invite(&alpha.services, gamma.services.site).unwrap();
    assert_eq!(alpha.services.store.snapshot().revision(), revision);
}

#[tokio::test]
async fn promises_are_for_keys_that_fit_and_not_without_end() {
    let alpha = Site::founder().await;
    let wish = |number: u8, of: u8, name: String| PromiseWish {
        site: SitePrefix::of_key(&[of; 32]),
        name,
        founding_key: hex::encode([number; 32]),
        attempt: "first".to_owned(),
    };
    let foreign = promise(&alpha.services, cloud(), &wish(1, 2, "beta".to_owned())).await;
    assert!(matches!(foreign, Err(Refusal::Proof)), "{foreign:?}");
    let long = promise(&alpha.services, cloud(), &wish(1, 1, "b".repeat(64))).await;
    assert!(matches!(long, Err(Refusal::Invalid { .. })), "{long:?}");
    for number in 0..64 {
        let wish = wish(number, number, format!("site-{number}"));
        promise(&alpha.services, cloud(), &wish).await.unwrap();
    }
    let more = promise(
        &alpha.services,
        cloud(),
        &wish(64, 64, "site-64".to_owned()),
    )
    .await;
    assert!(matches!(more, Err(Refusal::Impossible { .. })), "{more:?}");
    assert_eq!(alpha.services.store.snapshot().count::<Promise>(), 64);
    alpha.tick(86_400);
    let next_day = wish(64, 64, "site-64".to_owned());
    promise(&alpha.services, cloud(), &next_day).await.unwrap();
}

#[tokio::test]
async fn a_ticket_for_a_node_makes_no_controller() {
    let alpha = Site::founder().await;
    let ticket = alpha.ticket(Purpose::Node, Label::Trusted).await;
    let before = alpha.services.store.snapshot().revision();
    let mut wish = compute(0xab);
    wish.roles.push("controller".to_owned());
    let refused = register_node(&alpha.services, &wish.key, &ticket.secret, &wish).await;
    assert!(
        matches!(refused, Err(Refusal::Invalid { field: "roles", .. })),
        "{refused:?}"
    );
    let snapshot = alpha.services.store.snapshot();
    assert_eq!(snapshot.revision(), before);
    let id: NodeId = node_id(alpha.services.site, &wish.key);
    assert!(snapshot.get::<NodeInfo>(id.as_str()).is_none());
}

#[tokio::test]
async fn of_two_that_show_one_ticket_at_once_one_joins() {
    let alpha = Site::founder().await;
    let ticket = alpha.ticket(Purpose::Node, Label::Trusted).await;
    let (one, two) = (compute(0xab), compute(0xcd));
    let (first, second) = tokio::join!(
        register_node(&alpha.services, &one.key, &ticket.secret, &one),
        register_node(&alpha.services, &two.key, &ticket.secret, &two),
    );
    assert_eq!([&first, &second].iter().filter(|it| it.is_ok()).count(), 1);

    let ticket = alpha.ticket(Purpose::Site, Label::Trusted).await;
    let (beta, gamma) = (Site::new(2, "beta").await, Site::new(3, "gamma").await);
    let (others, wishes) = (Others::default(), [beta.wish(&ticket), gamma.wish(&ticket)]);
    let (keys, secret) = ([beta.node_key(), gamma.node_key()], &ticket.secret);
    let (first, second) = tokio::join!(
        admit_site(&alpha.services, &others, &keys[0], secret, &wishes[0]),
        admit_site(&alpha.services, &others, &keys[1], secret, &wishes[1]),
    );
    assert_eq!([&first, &second].iter().filter(|it| it.is_ok()).count(), 1);
    assert_eq!(members(&alpha).sites.len(), 2);
    // What was promised to the other is given back.
    let promised = alpha.services.store.snapshot().count::<Promise>();
    assert!(promised <= 1, "{promised}");
}

#[tokio::test]
async fn a_removed_site_learns_nothing_by_its_old_ticket() {
    let alpha = Site::founder().await;
    let beta = Site::new(2, "beta").await;
    let ticket = alpha.ticket(Purpose::Site, Label::Edge).await;
    let (key, wish, others) = (beta.node_key(), beta.wish(&ticket), Others::default());
    admit_site(&alpha.services, &others, &key, &ticket.secret, &wish)
        .await
        .unwrap();
    let going = Going {
        reason: "sold",
        insist: false,
        fenced: false,
    };
    remove(&alpha.services, beta.services.site, going)
        .await
        .unwrap();
    let before = alpha.services.store.snapshot().revision();
    let again = admit_site(&alpha.services, &others, &key, &ticket.secret, &wish).await;
    assert!(matches!(again, Err(Refusal::TicketUnknown)), "{again:?}");
    assert_eq!(alpha.services.store.snapshot().revision(), before);
}
