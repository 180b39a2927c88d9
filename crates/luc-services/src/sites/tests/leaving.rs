//! How nodes and sites go, and whose word counts.

use luc_core::id::NodeId;

use super::world::{Others, Site, cloud, compute};
use crate::sites::{
    Going, Invitation, Inviter, Label, Members, Purpose, Refusal, admit_site, allow, fenced,
    introduce, invite, node_id, parting, register_node, remove, revoke,
};

/// A site without anything that would be lost.
const SOLD: Going<'_> = Going {
    reason: "sold",
    insist: false,
    fenced: false,
};

async fn admitted(alpha: &Site, number: u8, name: &str, label: Label) -> Site {
    let site = Site::new(number, name).await;
    let ticket = alpha.ticket(Purpose::Site, label).await;
    let (key, wish) = (site.node_key(), site.wish(&ticket));
    let others = Others::default();
    // Nobody else is registered when the first one joins, and a silent one leaves a majority of
    // the next.
    admit_site(&alpha.services, &others, &key, &ticket.secret, &wish)
        .await
        .unwrap();
    site
}

/// Makes the people of a cloud.
async fn founded(site: &Site) {
    let founding = crate::identity::Founding {
        password: luc_api::value::Secret::new("open sesame"),
        region: "RegionOne".to_owned(),
    };
    crate::identity::bootstrap(&site.services, &founding)
        .await
        .unwrap();
}

fn members(site: &Site) -> Members {
    Members::of(&site.services.store.snapshot(), site.services.site)
}

#[tokio::test]
async fn a_removed_site_is_no_member_its_prefix_never_comes_back_its_name_may() {
    let alpha = Site::founder().await;
    let beta = admitted(&alpha, 2, "beta", Label::Trusted).await;
    remove(&alpha.services, beta.services.site, SOLD)
        .await
        .unwrap();
    remove(&alpha.services, beta.services.site, SOLD)
        .await
        .unwrap();
    assert!(members(&alpha).site(beta.services.site).is_none());
    assert!(members(&alpha).removed.contains(&beta.services.site));

    let ticket = alpha.ticket(Purpose::Site, Label::Trusted).await;
    let (key, wish) = (beta.node_key(), beta.wish(&ticket));
    let others = Others::default();
    let again = admit_site(&alpha.services, &others, &key, &ticket.secret, &wish).await;
    assert!(
        matches!(again, Err(Refusal::PrefixKnown { .. })),
        "{again:?}"
    );
    let fresh = admitted(&alpha, 3, "beta", Label::Trusted).await;
    assert_eq!(
        members(&alpha).named("beta").unwrap().site,
        fresh.services.site
    );
}

#[tokio::test]
async fn who_was_a_member_is_told_so_by_its_own_key_and_fenced_off_later() {
    let alpha = Site::founder().await;
    let beta = admitted(&alpha, 2, "beta", Label::Trusted).await;
    let (site, peer) = (beta.services.site, beta.node_key());
    assert_eq!(parting(&alpha.services, site, &peer), None);
    remove(&alpha.services, site, SOLD).await.unwrap();
    let told = parting(&alpha.services, site, &peer).unwrap();
    assert_eq!((told.by.as_str(), told.reason.as_str()), ("alpha", "sold"));
    let stranger = parting(&alpha.services, site, &compute(0xab).key);
    assert_eq!(stranger, None);
    assert_eq!(parting(&alpha.services, cloud(), &peer), None);

    let gone = || fenced(&alpha.services.store.snapshot(), alpha.services.site);
    assert!(gone().is_empty());
    let off = Going {
        fenced: true,
        ..SOLD
    };
    remove(&alpha.services, site, off).await.unwrap();
    assert!(gone().contains(&site));
}

#[tokio::test]
async fn nobody_removes_itself_the_unknown_or_what_still_has_people() {
    let alpha = Site::founder().await;
    let own = remove(&alpha.services, alpha.services.site, SOLD).await;
    assert!(matches!(own, Err(Refusal::Impossible { .. })), "{own:?}");
    let beta = Site::new(2, "beta").await;
    let unknown = remove(&alpha.services, beta.services.site, SOLD).await;
    assert!(
        matches!(unknown, Err(Refusal::Unknown { .. })),
        "{unknown:?}"
    );
    let only = crate::sites::leave(&alpha.services);
    assert!(matches!(only, Err(Refusal::Impossible { .. })), "{only:?}");

    admitted(&alpha, 3, "gamma", Label::Trusted).await;
    founded(&alpha).await;
    let holds = crate::sites::leave(&alpha.services).unwrap_err();
    assert!(holds.to_string().contains("1 domains"), "{holds}");
}

#[tokio::test]
async fn a_revoked_key_is_no_member_and_comes_back_under_no_ticket() {
    let alpha = Site::founder().await;
    let wish = compute(0xab);
    let ticket = alpha.ticket(Purpose::Node, Label::Trusted).await;
    let known = register_node(&alpha.services, &wish.key, &ticket.secret, &wish).await;
    let known = known.unwrap();
    revoke(&alpha.services, &known.id, false).await.unwrap();
    let view = members(&alpha);
    assert!(view.revoked.contains(&wish.key));
    assert_eq!(view.site(alpha.services.site).unwrap().nodes.len(), 1);

    let ticket = alpha.ticket(Purpose::Node, Label::Trusted).await;
    let again = register_node(&alpha.services, &wish.key, &ticket.secret, &wish).await;
    assert!(matches!(again, Err(Refusal::Revoked)), "{again:?}");
    let missing = revoke(&alpha.services, &NodeId::parse("none").unwrap(), true).await;
    assert!(
        matches!(missing, Err(Refusal::Unknown { .. })),
        "{missing:?}"
    );

    // The node's own start is refused too.
    let own = node_id(alpha.services.site, &alpha.node_key());
    let only = revoke(&alpha.services, &own, false).await;
    assert!(
        matches!(only, Err(Refusal::OnlyController { .. })),
        "{only:?}"
    );
    revoke(&alpha.services, &own, true).await.unwrap();
    let (info, node) = (
        (alpha.name.as_str(), alpha.services.site, None),
        alpha.node(),
    );
    let start = introduce(&alpha.services, info, &node).await;
    assert!(matches!(start, Err(Refusal::Revoked)), "{start:?}");
}

#[tokio::test]
async fn a_site_that_is_not_trusted_invites_nodes_and_no_sites() {
    let alpha = Site::new(1, "alpha").await;
    let inviter = Inviter {
        cloud: alpha.services.site,
        site_name: "alpha".to_owned(),
        key: alpha.node_key(),
        addresses: Vec::new(),
    };
    let invitation = |purpose| Invitation {
        purpose,
        label: Label::Edge,
        domains: None,
        lifetime: std::time::Duration::from_secs(60),
    };
    let refused = invite(&alpha.services, &inviter, &invitation(Purpose::Site)).await;
    assert!(matches!(refused, Err(Refusal::NotTrusted)), "{refused:?}");
    invite(&alpha.services, &inviter, &invitation(Purpose::Node))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_domains_of_an_edge_site_are_set_and_those_of_a_trusted_one_not() {
    let alpha = Site::founder().await;
    let edge = admitted(&alpha, 2, "edge", Label::Edge).await;
    let domains = Some(vec![luc_core::id::DomainId::parse("default").unwrap()]);
    let unknown = allow(&alpha.services, edge.services.site, domains.clone()).await;
    assert!(
        matches!(unknown, Err(Refusal::Unknown { what: "domain", .. })),
        "{unknown:?}"
    );
    founded(&alpha).await;
    allow(&alpha.services, edge.services.site, domains.clone())
        .await
        .unwrap();
    let view = members(&alpha);
    assert_eq!(view.site(edge.services.site).unwrap().domains, domains);
    assert!(!view.trusts(edge.services.site));
    let refused = allow(&alpha.services, alpha.services.site, domains).await;
    assert!(
        matches!(refused, Err(Refusal::Invalid { .. })),
        "{refused:?}"
    );
}
