//! Where nodes are found: after a restart, after two sites have moved, and not at all if nobody
//! says where a node is that listens everywhere.

use std::net::UdpSocket;

use super::*;

/// A site that has joined.
struct Joined {
    config: String,
    data_dir: PathBuf,
    child: Child,
    url: String,
}

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

    /// Joins a site by a ticket of the one at `url`; that is no reason to speak of where nodes are.
    async fn joined(&self, url: &str, site: &str) -> Joined {
        let text = self.ticket(url, "--site").await;
        let name = format!("{site}-c");
        let config = self.configure(site, &name, CONTROLLER);
        let joining = luc().args(["join", &text, "--config", &config]).output();
        let output = joining.await.expect("luc runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && !said.contains("advertise"),
            "{said}"
        );
        let (child, url) = start(Path::new(&config)).await;
        let data_dir = self.directory.path().join(name);
        Joined {
            config,
            data_dir,
            child,
            url,
        }
    }

    /// Waits until the site at `url` hears from the site `other`.
    async fn hears(&self, url: &str, other: &str) {
        let started = Instant::now();
        loop {
            let listed = self.ask(url, &["site", "list"]).await;
            let sites = listed["sites"].as_array().expect("a list");
            let found = sites.iter().find(|site| site["name"] == other);
            if found.is_some_and(|site| site["reachable"] == true) {
                return;
            }
            assert!(started.elapsed() < LIMIT, "{other} is not heard: {listed}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

impl Joined {
    /// Ends the node and starts it where its old port belongs to somebody else, who is returned.
    async fn moved(mut self) -> (Self, UdpSocket) {
        let kept = || {
            let text = std::fs::read_to_string(self.data_dir.join("fabric.port"));
            let text = text.expect("the port is kept");
            text.trim().parse::<u16>().expect("it is a number")
        };
        let old = kept();
        self.child.kill().await.expect("it was running");
        let taken = UdpSocket::bind(("127.0.0.1", old)).expect("the port is free now");
        (self.child, self.url) = start(Path::new(&self.config)).await;
        assert_ne!(kept(), old, "it is elsewhere now");
        (self, taken)
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sites_that_both_moved_meet_again_through_a_third() {
    let operator = Operator::new();
    let (mut first, url) = operator.found(CONTROLLER).await;
    let beta = operator.joined(&url, "beta").await;
    let gamma = operator.joined(&url, "gamma").await;
    login(&beta.url).await;
    operator.hears(&beta.url, "gamma").await;

    let ((mut beta, _one), (mut gamma, _other)) = tokio::join!(beta.moved(), gamma.moved());
    login(&beta.url).await;
    operator.hears(&beta.url, "gamma").await;
    login(&gamma.url).await;
    operator.hears(&gamma.url, "beta").await;
    for child in [&mut first, &mut beta.child, &mut gamma.child] {
        child.kill().await.expect("it was running");
    }
}

#[tokio::test]
async fn a_node_that_listens_everywhere_makes_no_ticket_before_it_knows_where_that_is() {
    let operator = Operator::new();
    let (mut first, _) = operator.found(CONTROLLER).await;
    first.kill().await.expect("it was running");
    let config = operator.configure("alpha", "alpha-c", CONTROLLER);
    let text = std::fs::read_to_string(&config).expect("it is there");
    let everywhere = format!("{text}[fabric]\nlisten = \"0.0.0.0:0\"\n");
    std::fs::write(&config, &everywhere).expect("it is written");
    let (mut again, url) = start(Path::new(&config)).await;
    let place = ["--url", &url, "--password-file", &operator.password];
    let refused = run(&[&["site", "ticket", "--site"], &place[..]].concat()).await;
    let refused = refused.expect_err("nobody could use it");
    assert!(refused.contains("fabric.advertise"), "{refused}");
    again.kill().await.expect("it was running");

    let port = operator.port("alpha-c");
    let said = format!("{everywhere}advertise = [\"localhost:{port}\"]\n");
    std::fs::write(&config, said).expect("it is written");
    let (mut again, url) = start(Path::new(&config)).await;
    // By its name it is found.
    let mut beta = operator.joined(&url, "beta").await;
    operator.hears(&url, "beta").await;
    for child in [&mut again, &mut beta.child] {
        child.kill().await.expect("it was running");
    }
}
