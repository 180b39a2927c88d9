//! Where nodes are found after a restart.

use super::*;

impl Operator {
    /// The port that the node `name` keeps.
    fn port(&self, name: &str) -> u16 {
        let path = self.directory.path().join(name).join("fabric.port");
        let text = std::fs::read_to_string(path).expect("the port is kept");
        text.trim().parse().expect("it is a number")
    }

    /// The port that others are told of the node `name`.
    async fn told_port(&self, url: &str, name: &str) -> u16 {
        let nodes = self.ask(url, &["node", "list"]).await;
        let nodes = nodes["nodes"].as_array().expect("a list");
        let node = nodes.iter().find(|node| node["name"] == name);
        let address = node.expect("it is listed")["addresses"][0].as_str();
        let address: SocketAddr = address.expect("one").parse().expect("an address");
        address.port()
    }
}

#[tokio::test]
async fn a_node_whose_port_was_drawn_has_it_again_after_a_restart() {
    let operator = Operator::new();
    let (mut first, url) = operator.found(CONTROLLER).await;
    let port = operator.told_port(&url, "alpha-c").await;
    assert_eq!(operator.port("alpha-c"), port);
    first.kill().await.expect("it was running");
    let config = operator.configure("alpha", "alpha-c", CONTROLLER);
    let (mut again, url) = start(Path::new(&config)).await;
    assert_eq!(operator.told_port(&url, "alpha-c").await, port);
    again.kill().await.expect("it was running");
}
