//! Clients at the API port that speak as only sites and nodes may.

use crate::world::World;

const SEED: &str = "0707070707070707070707070707070707070707070707070707070707070707";

#[tokio::test]
async fn a_client_is_neither_a_site_nor_a_node() {
    let world = World::new().await;
    let before = world.revision();
    let http = reqwest::Client::new();
    let url = format!("http://{}", world.founder.address);
    let marked = |request: reqwest::RequestBuilder| {
        let internal = request.header("luc-alone", "1").header("luc-hops", "1");
        let internal = internal.header("luc-home", "000000000000");
        let internal = internal.header("luc-revision", "18446744073709551615");
        internal
            .header("luc-operation", "o-1")
            .header("luc-seed", SEED)
            .header("x-luc-join-secret", "")
    };
    for path in ["leases", "between/operations/o-1", "between/images/i-1"] {
        let sent = marked(http.post(format!("{url}/luc/v1/{path}")));
        let status = sent.send().await.expect("an answer").status().as_u16();
        assert_eq!(status, 404, "{path}");
    }
    for what in ["wishes", "members", "images/i-1"] {
        let sent = marked(http.get(format!("{url}/luc/v1/hosts/alpha-c/{what}")));
        let status = sent.send().await.expect("an answer").status().as_u16();
        assert_eq!(status, 401, "{what}");
    }
    for path in ["tickets", "sites/leave", "signing-key"] {
        let sent = marked(http.post(format!("{url}/luc/v1/{path}"))).body("{}");
        let status = sent.send().await.expect("an answer").status().as_u16();
        assert_eq!(status, 401, "{path}");
    }
    let sent = marked(http.post(format!("{url}/identity/v3/users"))).body("{\"user\": {}}");
    let answer = sent.send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 401);
    let names: Vec<_> = answer.headers().keys().map(ToString::to_string).collect();
    assert!(
        !names.iter().any(|name| name.starts_with("luc-")),
        "{names:?}"
    );
    assert_eq!(world.revision(), before);
    world.stop().await;
}
