//! What is left of a site that was removed: nothing of it is believed or shown any more, and what
//! it was lent is free once somebody says that it is off.

use luc::client::Target;
use luc::many::Cloud;
use luc_services::compute::model::lease::QuotaLease;
use luc_services::compute::model::server::Server;
use luc_services::identity::model::PublicKey;
use luc_state::Record;
use reqwest::Method;

use super::{active_at, create, image, login, start, until};

/// How many records of kind `R` whose home is `home` the site `site` has.
fn held<R: Record>(cloud: &Cloud, site: &str, home: &str) -> usize {
    let home = cloud.site(home).expect("a site").prefix;
    let node = &cloud.site(site).expect("a site").node;
    let services = &node.parts.as_ref().expect("a controller").services;
    let snapshot = services.store.snapshot();
    let all = snapshot.all::<R>();
    all.filter(|record| record.home() == home).count()
}

/// How many leases of `to` the site `site` has written down.
fn lent(cloud: &Cloud, site: &str, to: &str) -> usize {
    let to = cloud.site(to).expect("a site").prefix;
    let node = &cloud.site(site).expect("a site").node;
    let services = &node.parts.as_ref().expect("a controller").services;
    let snapshot = services.store.snapshot();
    let all = snapshot.all::<QuotaLease>();
    all.filter(|lease| lease.site == to).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_a_site_that_was_removed_but_what_it_was_lent_until_it_is_off() {
    let directory = tempfile::tempdir().expect("room for data");
    let cloud = start(directory.path(), &["a", "b", "c"]).await;
    let (a, b) = (login(&cloud, "a").await, login(&cloud, "b").await);
    let c = login(&cloud, "c").await;
    let image = image(&a).await;
    let made = create(&b, "one", &image, Some("b")).await;
    assert_eq!(made.status, 202, "{}", made.body);
    for client in [&a, &c] {
        active_at(client, "one", "b").await;
    }
    let id = made.body["server"]["id"].as_str().expect("an id");
    let path = format!("/servers/{id}");
    until("copies at c", async || {
        (held::<Server>(&cloud, "c", "b") > 0 && held::<PublicKey>(&cloud, "c", "b") > 0)
            .then_some(())
    })
    .await;
    assert_eq!(lent(&cloud, "a", "b"), 1);
    let url = format!("http://{}", cloud.site("a").expect("a site").node.address);
    let ask_with_bs_token = async || {
        let request = reqwest::Client::new().get(format!("{url}/luc/v1/sites"));
        let answer = request.header("x-auth-token", b.token()).send().await;
        answer.expect("an answer").status().as_u16()
    };
    assert_eq!(ask_with_bs_token().await, 200);

    let refused = a.ask_node(Method::DELETE, "/luc/v1/sites/b", None).await;
    let refused = refused.expect("an answer");
    assert_eq!(refused.status, 409, "{}", refused.body);
    let prefix = cloud.site("b").expect("a site").prefix;
    let removed = a.ask_node(Method::DELETE, "/luc/v1/sites/b?insist=true", None);
    assert_eq!(removed.await.expect("an answer").status, 200);
    until("its tokens count no longer", async || {
        (ask_with_bs_token().await == 401).then_some(())
    })
    .await;
    for site in ["a", "c"] {
        until("its copies are removed", async || {
            let left = held::<Server>(&cloud, site, "b") + held::<PublicKey>(&cloud, site, "b");
            (left == 0).then_some(())
        })
        .await;
    }
    let gone = a.ask(Method::GET, Target::Compute, &path, None).await;
    let gone = gone.expect("an answer");
    assert_eq!(gone.status, 404);
    let said = gone.body.to_string();
    assert!(said.contains("made at site b, which was removed"), "{said}");

    // It may still use what it was lent.
    assert_eq!(lent(&cloud, "a", "b"), 1);
    let fenced = format!("/luc/v1/sites/{prefix}?fenced=true");
    let fenced = a.ask_node(Method::DELETE, &fenced, None).await;
    assert_eq!(fenced.expect("an answer").status, 200);
    until("the lease is free", async || {
        (lent(&cloud, "a", "b") == 0).then_some(())
    })
    .await;

    // Nobody feeds it anything any more, but whom it asks tells it.
    until("it hears of it", async || {
        let sites = b.ask_node(Method::GET, "/luc/v1/sites", None).await.ok()?;
        let sites = sites.body["sites"].as_array()?.clone();
        let own = sites.into_iter().find(|site| site["name"] == "b")?;
        let note = own["note"].as_str()?;
        note.contains("not of the cloud any more, as a says: removed by an operator")
            .then_some(())
    })
    .await;
    cloud.stop().await.expect("everything stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_did_not_hear_that_it_has_left_leaves_once_more() {
    let directory = tempfile::tempdir().expect("room for data");
    let cloud = start(directory.path(), &["a", "b", "c"]).await;
    let (a, b) = (login(&cloud, "a").await, login(&cloud, "b").await);
    // As if its farewell had been carried out, and the answer lost.
    let removed = a.ask_node(Method::DELETE, "/luc/v1/sites/b", None).await;
    assert_eq!(removed.expect("an answer").status, 200);
    let left = b.ask_node(Method::POST, "/luc/v1/sites/leave", None).await;
    let left = left.expect("an answer");
    assert_eq!(left.status, 200, "{}", left.body);
    assert_eq!(left.body["left"], "b");
    cloud.stop().await.expect("everything stops");
}
