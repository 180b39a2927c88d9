//! What an edge site may name, and what its tokens are exchanged for.

use http::StatusCode;
use luc_core::id::{DomainId, ProjectId};
use serde_json::{Value, json};

use super::cloud::{Cloud, PASSWORD, id, scope_of};
use super::sites::{Pair, names, project_scope};
use crate::identity::admit_follower;
use crate::identity::refusal::{Refusal, transact};
use crate::sites::{SiteInfo, site_id};

#[tokio::test]
async fn an_edge_site_makes_no_domain_under_a_name_that_is_not_its_own() {
    let pair = Pair::new(false).await;
    let (founder, other) = (&pair.founder, &pair.other);
    let admin = founder.admin().await;
    let site = pair.other_site();
    let info = SiteInfo {
        id: site_id(site),
        site,
        name: "lyon".to_owned(),
        cloud: founder.services.site,
        api_url: None,
    };
    let said = transact(&other.services, |tx| {
        tx.put(info.clone())?;
        Ok::<_, Refusal>(())
    });
    said.await.unwrap();
    pair.admit(None).await;
    let path = "/identity/v3/domains";
    let make = async |cloud: &Cloud, name: &str| {
        let body = json!({"domain": {"name": name}});
        cloud.ask(&admin, "POST", path, body).await.0
    };
    for name in ["acme", "lyons", "x.lyon"] {
        assert_eq!(make(other, name).await, StatusCode::FORBIDDEN, "{name}");
        pair.level().await;
        assert_eq!(make(founder, name).await, StatusCode::CREATED, "{name}");
        pair.level().await;
    }
    let body = json!({"domain": {"name": "lyon.port"}});
    let own = other.done(&admin, "POST", path, body).await;
    let own = format!("{path}/{}", id(&own["domain"]));
    let renamed = json!({"domain": {"name": "paris"}});
    let status = other.ask(&admin, "PATCH", &own, renamed).await.0;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let renamed = json!({"domain": {"name": "lyon"}});
    other.done(&admin, "PATCH", &own, renamed).await;
}

/// A token for `scope` at `cloud` in exchange for `token`.
async fn exchanged(cloud: &Cloud, token: &str, scope: Value) -> Result<String, StatusCode> {
    let proof = json!({"methods": ["token"], "token": {"id": token}});
    cloud.token(proof, scope).await
}

#[tokio::test]
async fn what_an_edge_sites_token_is_exchanged_for_goes_no_farther_than_its_word() {
    let pair = Pair::new(false).await;
    pair.allow().await;
    let (_, foreign, _) = {
        let admin = pair.founder.admin().await;
        let body = json!({"domain": {"name": "north"}});
        let domain = pair
            .founder
            .done(&admin, "POST", "/identity/v3/domains", body);
        let domain = id(&domain.await["domain"]);
        let body = json!({"project": {"name": "pole", "domain_id": domain}});
        let project = pair
            .founder
            .done(&admin, "POST", "/identity/v3/projects", body);
        let project = id(&project.await["project"]);
        let (role, user) = (pair.founder.role("member").await, "admin");
        let users = format!("/identity/v3/users?name={user}");
        let users = pair.founder.done(&admin, "GET", &users, Value::Null).await;
        let user = id(&users["users"][0]);
        let path = format!("/identity/v3/projects/{project}/users/{user}/roles/{role}");
        pair.founder.done(&admin, "PUT", &path, Value::Null).await;
        (domain, ProjectId::parse(&project).unwrap(), user)
    };
    pair.level().await;
    let unscoped = pair.other.login("admin", PASSWORD, json!("unscoped")).await;
    let unscoped = unscoped.unwrap();
    assert!(pair.founder.caller(&unscoped).is_some());
    for scope in [json!({"system": {"all": true}}), project_scope(&foreign)] {
        let refused = exchanged(&pair.founder, &unscoped, scope).await;
        assert_eq!(refused, Err(StatusCode::UNAUTHORIZED));
    }
    // Neither is anything gained by a second exchange.
    let first = exchanged(&pair.founder, &unscoped, json!("unscoped")).await;
    for before in [unscoped, first.unwrap()] {
        let token = exchanged(&pair.founder, &before, scope_of("admin")).await;
        let roles = names(&pair.founder, &token.unwrap()).expect("as a member it counts");
        assert!(roles.contains(&"member".to_owned()), "{roles:?}");
        assert!(!roles.contains(&"admin".to_owned()), "{roles:?}");
    }
    let own = pair
        .founder
        .login("admin", PASSWORD, json!("unscoped"))
        .await;
    let token = exchanged(&pair.founder, &own.unwrap(), scope_of("admin")).await;
    let roles = names(&pair.founder, &token.unwrap()).expect("it counts");
    assert!(roles.contains(&"admin".to_owned()), "{roles:?}");
}

#[tokio::test]
async fn a_token_is_exchanged_at_trusted_sites_without_loss() {
    let pair = Pair::new(true).await;
    let wanted = [DomainId::parse("default").unwrap()];
    let (founder, other) = (&pair.founder, pair.other_site());
    admit_follower(&founder.services, other, &wanted)
        .await
        .unwrap();
    pair.level().await;
    let unscoped = pair.other.login("admin", PASSWORD, json!("unscoped")).await;
    let system = json!({"system": {"all": true}});
    let token = exchanged(founder, &unscoped.unwrap(), system).await;
    assert!(founder.caller(&token.unwrap()).is_some());
}
