//! Tickets, names, prefixes and majorities.

use async_trait::async_trait;
use luc_core::SitePrefix;
use luc_state::key;

use super::world::{Others, Site, cloud, compute};
use crate::Services;
use crate::sites::{
    Admission, Electorate, Going, Known, Label, Members, NodeInfo, PromiseWish, Purpose, Refusal,
    Silent, Ticket, admit_site, promise, register_node, release, remove,
};

async fn join(at: &Site, others: &dyn Electorate, who: &Site) -> Result<(), Refusal> {
    let ticket = at.ticket(Purpose::Site, Label::Trusted).await;
    let wish = who.wish(&ticket);
    let key = who.node_key();
    admit_site(&at.services, others, &key, &ticket.secret, &wish)
        .await
        .map(drop)
}

fn members(site: &Site) -> Vec<String> {
    let members = Members::of(&site.services.store.snapshot(), site.services.site);
    members
        .sites
        .iter()
        .map(|member| member.name.clone())
        .collect()
}

#[tokio::test]
async fn a_node_joins_once_and_asks_again_for_the_same() {
    let alpha = Site::founder().await;
    let ticket = alpha.ticket(Purpose::Node, Label::Trusted).await;
    let wish = compute(0xab);
    let first = register_node(&alpha.services, &wish.key, &ticket.secret, &wish).await;
    let first = first.unwrap();
    let again = register_node(&alpha.services, &wish.key, &ticket.secret, &wish).await;
    assert_eq!(again.unwrap(), first);
    assert_eq!(first.site, alpha.services.site);

    let mut other = wish.clone();
    other.key = "cd".repeat(32);
    let replayed = register_node(&alpha.services, &other.key, &ticket.secret, &other).await;
    assert!(
        matches!(replayed, Err(Refusal::TicketUnknown)),
        "{replayed:?}"
    );
    let snapshot = alpha.services.store.snapshot();
    assert_eq!(snapshot.count::<Ticket>(), 0);
    let of_site = key(&[&alpha.services.site.to_string()]);
    assert_eq!(snapshot.count_of(&NodeInfo::BY_SITE, &of_site), 2);
}

#[tokio::test]
async fn a_ticket_is_for_one_purpose_one_hour_one_site_and_one_peer() {
    let alpha = Site::founder().await;
    let beta = Site::new(2, "beta").await;
    let others = Others::default();
    let wish = compute(0xab);

    let ticket = alpha.ticket(Purpose::Site, Label::Trusted).await;
    let wrong = register_node(&alpha.services, &wish.key, &ticket.secret, &wish).await;
    assert!(
        matches!(wrong, Err(Refusal::TicketPurpose { .. })),
        "{wrong:?}"
    );
    let foreign = register_node(&beta.services, &wish.key, &ticket.secret, &wish).await;
    assert!(
        matches!(foreign, Err(Refusal::TicketUnknown)),
        "{foreign:?}"
    );
    let (peer, stolen) = ("ee".repeat(32), beta.wish(&ticket));
    let stolen = admit_site(&alpha.services, &others, &peer, &ticket.secret, &stolen).await;
    assert!(matches!(stolen, Err(Refusal::Proof)), "{stolen:?}");

    let late = alpha.ticket(Purpose::Node, Label::Trusted).await;
    alpha.tick(3600);
    let expired = register_node(&alpha.services, &wish.key, &late.secret, &wish).await;
    assert!(
        matches!(expired, Err(Refusal::TicketExpired { .. })),
        "{expired:?}"
    );
}

#[tokio::test]
async fn a_site_must_prove_its_founding_key_for_this_very_ticket() {
    let alpha = Site::founder().await;
    let beta = Site::new(2, "beta").await;
    let others = Others::default();
    let (first, second) = (
        alpha.ticket(Purpose::Site, Label::Trusted).await,
        alpha.ticket(Purpose::Site, Label::Trusted).await,
    );
    let mut renamed = beta.wish(&first);
    renamed.name = "gamma".to_owned();
    let mut malformed = beta.wish(&first);
    malformed.proof = "zz".to_owned();
    for wish in [beta.wish(&second), renamed, malformed] {
        let key = beta.node_key();
        let refused = admit_site(&alpha.services, &others, &key, &first.secret, &wish).await;
        assert!(matches!(refused, Err(Refusal::Proof)), "{refused:?}");
    }
    assert_eq!(members(&alpha), ["alpha"]);
}

#[tokio::test]
async fn a_join_that_is_sent_again_is_answered_as_before() {
    let alpha = Site::founder().await;
    let beta = Site::new(2, "beta").await;
    let others = Others::default();
    let ticket = alpha.ticket(Purpose::Site, Label::Edge).await;
    let (key, wish) = (beta.node_key(), beta.wish(&ticket));
    let first = admit_site(&alpha.services, &others, &key, &ticket.secret, &wish).await;
    let again = admit_site(&alpha.services, &others, &key, &ticket.secret, &wish).await;
    let first = first.unwrap();
    assert_eq!(again.unwrap(), first);
    let admitted = first.members.site(beta.services.site).unwrap();
    assert_eq!((admitted.label, admitted.nodes.len()), (Label::Edge, 1));
    assert_eq!(alpha.services.store.snapshot().count::<Admission>(), 2);
}

#[tokio::test]
async fn a_known_name_and_a_known_prefix_are_refused() {
    let alpha = Site::founder().await;
    let others = Others::default();
    let same_name = Site::new(2, "alpha").await;
    let refused = join(&alpha, &others, &same_name).await;
    assert!(
        matches!(refused, Err(Refusal::NameTaken { .. })),
        "{refused:?}"
    );
    let same_key = Site::new(1, "beta").await;
    let refused = join(&alpha, &others, &same_key).await;
    assert!(
        matches!(refused, Err(Refusal::PrefixKnown { .. })),
        "{refused:?}"
    );
    let bad_name = Site::new(3, "a b").await;
    let refused = join(&alpha, &others, &bad_name).await;
    assert!(
        matches!(refused, Err(Refusal::Invalid { .. })),
        "{refused:?}"
    );
    assert_eq!(members(&alpha), ["alpha"]);
}

#[tokio::test]
async fn without_a_majority_nobody_joins_and_no_promise_is_left() {
    let alpha = Site::founder().await;
    let mut others = Others::default();
    for (number, name) in [(2, "beta"), (3, "gamma")] {
        let site = Site::new(number, name).await;
        join(&alpha, &others, &site).await.unwrap();
        others
            .sites
            .insert(site.services.site, site.services.clone());
    }
    others.silent.lock().unwrap().extend(others.sites.keys());
    let delta = Site::new(4, "delta").await;
    let refused = join(&alpha, &others, &delta).await.unwrap_err();
    assert!(
        refused.to_string().contains("2 of 3") && refused.to_string().contains("beta, gamma"),
        "{refused}"
    );
    assert_eq!(members(&alpha), ["alpha", "beta", "gamma"]);
    // The name is free for somebody else at once.
    let (first, _) = others.sites.first_key_value().unwrap();
    others.silent.lock().unwrap().remove(first);
    let another = Site::new(5, "delta").await;
    join(&alpha, &others, &another).await.unwrap();
    assert_eq!(members(&alpha), ["alpha", "beta", "delta", "gamma"]);
}

/// The site number `number`, which wants to be called `name`.
fn wish(number: u8, name: &str) -> PromiseWish {
    PromiseWish {
        site: SitePrefix::of_key(&[number; 32]),
        name: name.to_owned(),
        founding_key: hex::encode([number; 32]),
        attempt: "first".to_owned(),
    }
}

#[tokio::test]
async fn a_name_is_promised_to_one_site_only_until_a_day_has_passed() {
    let alpha = Site::founder().await;
    let (first, second) = (wish(1, "beta"), wish(2, "beta"));
    promise(&alpha.services, cloud(), &first).await.unwrap();
    promise(&alpha.services, cloud(), &first).await.unwrap();
    let taken = promise(&alpha.services, cloud(), &second).await;
    assert!(matches!(taken, Err(Refusal::NameTaken { .. })), "{taken:?}");
    alpha.tick(86_400);
    promise(&alpha.services, cloud(), &second).await.unwrap();
}

#[tokio::test]
async fn who_promises_tells_of_the_sites_it_knows_and_of_those_that_others_may_have_admitted() {
    let alpha = Site::founder().await;
    let beta = Site::new(3, "beta").await;
    join(&alpha, &Others::default(), &beta).await.unwrap();
    let told = async |by: &Site, number: u8, name: &str| {
        let wish = wish(number, name);
        let known = promise(&alpha.services, by.services.site, &wish).await;
        known
            .unwrap()
            .into_iter()
            .map(|known| known.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&beta, 21, "gamma").await, ["alpha", "beta"]);
    assert_eq!(told(&alpha, 22, "delta").await, ["alpha", "beta", "gamma"]);
    // Who asked for a promise knows itself whether it has admitted the site.
    assert_eq!(told(&beta, 23, "eps").await, ["alpha", "beta", "delta"]);
}

#[tokio::test]
async fn a_name_that_is_taken_for_another_or_for_a_prefix_is_refused() {
    let alpha = Site::founder().await;
    for name in ["Alpha", "ALPHA"] {
        let taken = promise(&alpha.services, cloud(), &wish(1, name)).await;
        assert!(matches!(taken, Err(Refusal::NameTaken { .. })), "{name}");
    }
    let prefix = alpha.services.site.to_string();
    for name in [&prefix, "0a29bdf95ea7", "..", ".hidden", "-f", "a b", ""] {
        let wrong = promise(&alpha.services, cloud(), &wish(1, name)).await;
        assert!(matches!(wrong, Err(Refusal::Invalid { .. })), "{name}");
    }
    let members = Members::of(&alpha.services.store.snapshot(), alpha.services.site);
    assert_eq!(
        members.named(&prefix).map(|own| own.name.as_str()),
        Some("alpha")
    );
    for good in ["beta-1", "1.beta"] {
        promise(&alpha.services, cloud(), &wish(1, good))
            .await
            .unwrap();
    }
}

/// Promises everything, and tells of these sites.
struct Tells(Vec<Known>);

#[async_trait]
impl Electorate for Tells {
    async fn promise(
        &self,
        _: SitePrefix,
        _: &PromiseWish,
    ) -> Result<Result<Vec<Known>, Refusal>, Silent> {
        Ok(Ok(self.0.clone()))
    }

    async fn release(&self, _: SitePrefix, _: &PromiseWish) {}
}

#[tokio::test]
async fn a_majority_is_one_of_the_sites_that_anybody_who_promises_knows() {
    let alpha = Site::founder().await;
    let beta = Site::new(3, "beta").await;
    join(&alpha, &Others::default(), &beta).await.unwrap();
    let told = |names: &[&str]| {
        let known = names.iter().zip(31..);
        let known = known.map(|(name, number): (_, u8)| Known {
            site: SitePrefix::of_key(&[number; 32]),
            name: (*name).to_owned(),
        });
        Tells(known.collect())
    };
    let gamma = Site::new(4, "gamma").await;
    let few = join(&alpha, &told(&["delta", "eps"]), &gamma).await;
    assert!(
        matches!(&few, Err(Refusal::NoMajority { needed: 3, registered: 4, silent })
            if *silent == ["delta", "eps"]),
        "{few:?}"
    );
    let taken = join(&alpha, &told(&["gamma"]), &gamma).await;
    assert!(matches!(taken, Err(Refusal::NameTaken { .. })), "{taken:?}");
    // Two of three are enough.
    join(&alpha, &told(&["delta"]), &gamma).await.unwrap();
}

#[tokio::test]
async fn what_an_earlier_attempt_takes_back_is_not_the_promise_of_a_later_one() {
    let alpha = Site::founder().await;
    let early = wish(1, "beta");
    let late = PromiseWish {
        attempt: "second".to_owned(),
        ..early.clone()
    };
    for wish in [&early, &late, &early] {
        promise(&alpha.services, cloud(), wish).await.unwrap();
    }
    release(&alpha.services, &early).await.unwrap();
    let taken = promise(&alpha.services, cloud(), &wish(2, "beta")).await;
    assert!(matches!(taken, Err(Refusal::NameTaken { .. })), "{taken:?}");
    release(&alpha.services, &late).await.unwrap();
    promise(&alpha.services, cloud(), &wish(2, "beta"))
        .await
        .unwrap();
}

/// The site that alone promises is removed by another one before its answer is there.
struct Removed<'s> {
    by: &'s Services,
    site: SitePrefix,
}

#[async_trait]
impl Electorate for Removed<'_> {
    async fn promise(
        &self,
        site: SitePrefix,
        _: &PromiseWish,
    ) -> Result<Result<Vec<Known>, Refusal>, Silent> {
        if site != self.site {
            return Err(Silent);
        }
        let going = Going {
            reason: "sold",
            insist: false,
            fenced: false,
        };
        remove(self.by, site, going).await.unwrap();
        Ok(Ok(Vec::new()))
    }

    async fn release(&self, _: SitePrefix, _: &PromiseWish) {}
}

#[tokio::test]
async fn a_promise_of_a_site_that_was_removed_meanwhile_does_not_count() {
    let alpha = Site::founder().await;
    let beta = Site::new(3, "beta").await;
    join(&alpha, &Others::default(), &beta).await.unwrap();
    let gamma = Site::new(4, "gamma").await;
    join(&alpha, &Tells(Vec::new()), &gamma).await.unwrap();
    let others = Removed {
        by: &alpha.services,
        site: beta.services.site,
    };
    let delta = Site::new(5, "delta").await;
    let few = join(&alpha, &others, &delta).await;
    assert!(
        matches!(&few, Err(Refusal::NoMajority { needed: 2, registered: 2, silent })
            if *silent == ["gamma"]),
        "{few:?}"
    );
    assert_eq!(members(&alpha), ["alpha", "gamma"]);
}
