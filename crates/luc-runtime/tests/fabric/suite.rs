//! What every fabric does.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use bytes::Bytes;
use luc_runtime::fabric::{
    Channel, Fabric, Lost, Members, NotSent, PeerMetrics, PeerState, Refusal, Request,
    RequestError, Standing, StreamError,
};
use tokio::time::{Instant, sleep, timeout};

use crate::node::{TestNode, key, member};
use crate::world::World;

pub(crate) use crate::streams::{
    a_half_that_is_dropped_resets_the_stream, a_slow_reader_holds_its_writer_back,
    a_stream_keeps_frames_and_order, datagrams_arrive_small_and_large,
};

type Answer = Result<Bytes, RequestError>;

/// Two nodes, 1 and 2, that are members to each other.
pub(crate) async fn pair(world: &mut impl World) -> [(TestNode, Arc<dyn Fabric>); 2] {
    let nodes = [TestNode::new(), TestNode::new()];
    for node in &nodes {
        node.members.set(key(1), member(1));
        node.members.set(key(2), member(2));
    }
    let [one, two] = nodes;
    let first = world.start(1, &one).await;
    let second = world.start(2, &two).await;
    [(one, first), (two, second)]
}

pub(crate) fn later() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

pub(crate) async fn ask(fabric: &Arc<dyn Fabric>, to: u8, body: &'static str) -> Answer {
    let request = Request::new(Channel::FORWARD, body);
    fabric.request(key(to), request, later()).await
}

/// Asks in a task of its own and waits until the handler has begun.
async fn ask_waiting(
    fabric: &Arc<dyn Fabric>,
    to: u8,
    at: &TestNode,
) -> tokio::task::JoinHandle<Answer> {
    let fabric = fabric.clone();
    let asked = tokio::spawn(async move { ask(&fabric, to, "wait").await });
    at.recorder.entered.notified().await;
    asked
}

fn not_sent(answer: Answer) -> NotSent {
    match answer {
        Err(RequestError::NotSent { why, .. }) => why,
        other => panic!("not NotSent: {other:?}"),
    }
}

fn unknown(answer: Answer) -> Lost {
    match answer {
        Err(RequestError::Unknown { why, .. }) => why,
        other => panic!("not Unknown: {other:?}"),
    }
}

fn metrics(fabric: &Arc<dyn Fabric>, of: u8) -> PeerMetrics {
    let peers = fabric.peers();
    let one = peers.into_iter().find(|one| one.key == key(of));
    one.expect("a peer that was talked to has metrics")
}

/// Waits for something that comes about by itself, at most 20 s.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = later();
    while !holds() {
        assert!(Instant::now() < deadline, "never came about: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Asks until it is answered, at most 20 s.
async fn ask_until_answered(fabric: &Arc<dyn Fabric>, to: u8) {
    let deadline = later();
    loop {
        let soon = Instant::now() + Duration::from_secs(1);
        let request = Request::new(Channel::FORWARD, "again");
        let answer = fabric.request(key(to), request, soon).await;
        if answer.is_ok() {
            return;
        }
        assert!(Instant::now() < deadline, "never answered: {answer:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) async fn a_request_is_answered_and_counted(world: &mut impl World) {
    let [(one, first), (two, second)] = pair(world).await;
    assert_eq!(ask(&first, 2, "hello").await, Ok(Bytes::from("hello")));
    assert_eq!(ask(&second, 1, "there").await, Ok(Bytes::from("there")));
    let who = ask(&first, 2, "who").await.unwrap();
    assert_eq!(who, format!("{:?} forward", member(1)));
    assert_eq!((one.calls(), two.calls()), (1, 2));
    let empty = first.request(key(2), Request::new(Channel(999), ""), later());
    assert_eq!(empty.await, Ok(Bytes::new()));
    until("both count the same", || {
        let (here, there) = (metrics(&first, 2).traffic, metrics(&second, 1).traffic);
        here.frame_bytes_out == there.frame_bytes_in && here.frame_bytes_in > 0
    })
    .await;
    let before = metrics(&first, 2);
    assert_eq!(before.state, PeerState::Connected);
    assert_eq!((before.standing, before.traffic.connects), (member(2), 1));
    let large = Bytes::from(vec![7; 3 << 20]);
    let request = Request::new(Channel::BULK, large.clone());
    assert_eq!(first.request(key(2), request, later()).await, Ok(large));
    let after = metrics(&first, 2).traffic;
    let bytes = after.frame_bytes_out - before.traffic.frame_bytes_out;
    assert_eq!(bytes, (3 << 20) + 8);
    assert!(after.wire_bytes_out >= after.frame_bytes_out);
    assert_eq!(not_sent(ask(&first, 1, "me").await), NotSent::Itself);
}

pub(crate) async fn a_refusal_and_a_panic_are_told_apart(world: &mut impl World) {
    let [(_one, first), (_two, _second)] = pair(world).await;
    let refused = |why| Err(RequestError::Refused { to: key(2), why });
    let no_room = Refusal::Other("no room".to_owned());
    assert_eq!(ask(&first, 2, "refuse").await, refused(no_room));
    assert_eq!(
        ask(&first, 2, "unknown").await,
        refused(Refusal::UnknownChannel)
    );
    let panicked = ask(&first, 2, "panic").await;
    assert!(matches!(unknown(panicked), Lost::Failed(_)));
    assert_eq!(ask(&first, 2, "alive").await, Ok(Bytes::from("alive")));
}

pub(crate) async fn an_answer_after_the_deadline_is_unknown(world: &mut impl World) {
    let [(_one, first), (two, _second)] = pair(world).await;
    ask(&first, 2, "connect").await.unwrap();
    let soon = Instant::now() + Duration::from_millis(200);
    let request = Request::new(Channel::FORWARD, "wait");
    let answer = first.request(key(2), request, soon).await;
    assert_eq!(unknown(answer), Lost::Deadline);
    assert_eq!(two.calls(), 2);
    // What has begun is finished, though nobody waits for it.
    two.recorder.gate.add_permits(1);
    until("the handler ends", || {
        two.recorder.running.load(SeqCst) == 0
    })
    .await;
    assert_eq!(ask(&first, 2, "next").await, Ok(Bytes::from("next")));
}

pub(crate) async fn a_silent_node_is_not_sent_to_and_not_asked_again_at_once(
    world: &mut impl World,
) {
    let [(_one, first), (two, _second)] = pair(world).await;
    world.split(1, 2);
    let began = Instant::now();
    let why = not_sent(ask(&first, 2, "hello").await);
    assert!(matches!(why, NotSent::Unreachable(_)), "{why}");
    assert!(began.elapsed() >= world.timing().connect);
    let began = Instant::now();
    let why = not_sent(ask(&first, 2, "hello").await);
    assert!(matches!(why, NotSent::Unreachable(_)), "{why}");
    assert!(
        began.elapsed() < world.timing().pause_min,
        "{:?}",
        began.elapsed()
    );
    let body = Bytes::from("lost");
    assert!(first.datagram(key(2), Channel::OVERLAY, body).is_err());
    assert_eq!(metrics(&first, 2).traffic.datagrams_dropped, 1);
    assert_eq!(
        (two.calls(), metrics(&first, 2).state),
        (0, PeerState::Down)
    );
    sleep(world.timing().pause_max).await;
    let soon = Instant::now() + Duration::from_millis(50);
    let request = Request::new(Channel::FORWARD, "hello");
    let answer = first.request(key(2), request, soon).await;
    assert_eq!(not_sent(answer), NotSent::Deadline);
}

pub(crate) async fn a_connection_that_breaks_under_a_request_leaves_it_unknown(
    world: &mut impl World,
) {
    let [(one, first), (two, _second)] = pair(world).await;
    let asked = ask_waiting(&first, 2, &two).await;
    let began = Instant::now();
    world.split(1, 2);
    let why = unknown(asked.await.unwrap());
    assert!(matches!(why, Lost::Connection(_)), "{why}");
    assert!(
        began.elapsed() < world.timing().idle * 3,
        "{:?}",
        began.elapsed()
    );
    until("both notice", || one.saw("lost") && two.saw("lost")).await;
    assert_eq!(metrics(&first, 2).traffic.losses, 1);
}

pub(crate) async fn a_short_cut_only_delays(world: &mut impl World) {
    let [(one, first), (two, _second)] = pair(world).await;
    let asked = ask_waiting(&first, 2, &two).await;
    world.split(1, 2);
    two.recorder.gate.add_permits(1);
    sleep(world.timing().idle / 4).await;
    world.heal(1, 2);
    assert_eq!(asked.await.unwrap(), Ok(Bytes::from("wait")));
    assert!(!one.saw("lost"));
}

pub(crate) async fn a_cut_is_healed_without_an_operator(world: &mut impl World) {
    let [(one, first), (two, second)] = pair(world).await;
    ask(&first, 2, "hello").await.unwrap();
    world.split(1, 2);
    until("both notice", || one.saw("lost") && two.saw("lost")).await;
    assert!(ask(&second, 1, "hello").await.is_err());
    world.heal(1, 2);
    let began = Instant::now();
    ask_until_answered(&first, 2).await;
    ask_until_answered(&second, 1).await;
    let limit = world.timing().connect + world.timing().pause_max;
    assert!(began.elapsed() < limit * 2, "{:?}", began.elapsed());
    assert!(metrics(&first, 2).traffic.connects >= 2);
}

pub(crate) async fn a_node_that_starts_again_is_found_again(world: &mut impl World) {
    let [(_one, first), (two, _second)] = pair(world).await;
    ask(&first, 2, "hello").await.unwrap();
    world.crash(2).await;
    let again = TestNode::with(Members::strict());
    again.members.set(key(1), member(1));
    let second = world.start(2, &again).await;
    // The one that has started dials: its peer drops the dead connection for the new one.
    assert_eq!(ask(&second, 1, "back").await, Ok(Bytes::from("back")));
    assert_eq!(ask(&first, 2, "hello").await, Ok(Bytes::from("hello")));
    assert_eq!((two.calls(), again.calls()), (1, 1));
    world.crash(2).await;
    let third = TestNode::with(Members::strict());
    third.members.set(key(1), member(1));
    let _third = world.start(2, &third).await;
    // Here the other side dials, once it has noticed.
    ask_until_answered(&first, 2).await;
    assert!(metrics(&first, 2).traffic.connects >= 3);
}

pub(crate) async fn a_key_that_nobody_knows_is_refused(world: &mut impl World) {
    let [(one, first), (_two, _second)] = pair(world).await;
    let stranger = TestNode::new();
    stranger.members.set(key(1), member(1));
    let fabric = world.start(3, &stranger).await;
    let why = not_sent(ask(&fabric, 1, "let me in").await);
    assert_eq!(why, NotSent::Refused("not admitted".to_owned()));
    let opened = fabric.open_stream(key(1), Channel::JOIN, later()).await;
    assert!(opened.is_err());
    assert_eq!(one.calls(), 0);
    assert!(metrics(&first, 3).traffic.refused >= 1);
    assert!(!one.saw("connected"));
    // And nobody talks to it of his own accord.
    let why = not_sent(ask(&first, 3, "hello").await);
    assert_eq!(why, NotSent::NotAdmitted(Channel::FORWARD));
}

pub(crate) async fn a_guest_may_only_ask_to_join(world: &mut impl World) {
    let [(_one, first), (_two, _second)] = pair(world).await;
    let mut host = TestNode::with(Members::hospitable());
    let hosting = world.start(4, &host).await;
    let guest = TestNode::new();
    guest.members.set(key(4), member(4));
    let fabric = world.start(3, &guest).await;
    let join = Request::new(Channel::JOIN, "who");
    let answer = fabric.request(key(4), join, later()).await;
    assert_eq!(answer, Ok(Bytes::from("Guest join")));
    let refused = ask(&fabric, 4, "who").await;
    let why = Refusal::NotAdmitted;
    assert_eq!(refused, Err(RequestError::Refused { to: key(4), why }));
    let opened = fabric.open_stream(key(4), Channel::FEED, later()).await;
    let (_send, mut recv) = opened.unwrap();
    assert_eq!(recv.recv().await, Err(StreamError::Reset));
    let body = Bytes::from("gossip");
    fabric
        .datagram(key(4), Channel::OVERLAY, body.clone())
        .unwrap();
    fabric.datagram(key(4), Channel::JOIN, body).unwrap();
    let got = timeout(Duration::from_secs(10), host.datagrams.recv()).await;
    let (from, channel, _) = got.unwrap().unwrap();
    assert_eq!((from.standing, channel), (Standing::Guest, Channel::JOIN));
    assert_eq!(host.calls(), 1);
    assert_eq!(metrics(&hosting, 3).traffic.refused, 3);
    let back = ask(&hosting, 3, "who").await;
    assert_eq!(not_sent(back), NotSent::NotAdmitted(Channel::FORWARD));
    drop(first);
}

pub(crate) async fn a_revoked_key_is_cut_off_at_once(world: &mut impl World) {
    let [(one, first), (two, second)] = pair(world).await;
    let asked = ask_waiting(&first, 2, &two).await;
    let opened = first.open_stream(key(2), Channel::FEED, later()).await;
    let (mut send, mut recv) = opened.unwrap();
    send.send("one").await.unwrap();
    assert_eq!(recv.recv().await, Ok(Some(Bytes::from("one"))));
    let began = Instant::now();
    two.members.set(key(1), Standing::Refused);
    second.admission_changed();
    let why = unknown(asked.await.unwrap());
    assert!(matches!(why, Lost::Connection(_)), "{why}");
    let ended = recv.recv().await;
    assert!(matches!(ended, Err(StreamError::Lost(_))), "{ended:?}");
    assert!(
        began.elapsed() < world.timing().idle / 2,
        "{:?}",
        began.elapsed()
    );
    until("both notice", || one.saw("lost") && two.saw("lost")).await;
    let why = not_sent(ask(&first, 2, "again").await);
    assert_eq!(why, NotSent::Refused("not admitted".to_owned()));
    assert_eq!(two.calls(), 2);
    // Closed on purpose, without a revocation, a connection comes back.
    two.members.set(key(1), member(1));
    ask_until_answered(&first, 2).await;
    second.close(key(1));
    ask_until_answered(&first, 2).await;
    assert!(metrics(&second, 1).traffic.connects >= 3);
}

pub(crate) async fn too_many_bytes_are_refused_before_they_are_sent(world: &mut impl World) {
    let [(_one, first), (two, _second)] = pair(world).await;
    let body = Bytes::from(vec![0; (64 << 20) + 1]);
    let request = Request::new(Channel::FORWARD, body);
    let answer = first.request(key(2), request, later()).await;
    assert!(matches!(not_sent(answer), NotSent::TooLarge { .. }));
    assert_eq!(two.calls(), 0);
    let huge = ask(&first, 2, "huge").await;
    assert!(matches!(unknown(huge), Lost::Failed(_)));
    let opened = first.open_stream(key(2), Channel::FEED, later()).await;
    let (mut send, mut recv) = opened.unwrap();
    let frame = vec![0; (1 << 20) + 1];
    let refused = send.send(frame).await;
    assert!(matches!(refused, Err(StreamError::TooLarge { .. })));
    // The stream itself is unharmed, and the largest frame passes.
    let frame = Bytes::from(vec![3; 1 << 20]);
    let copy = frame.clone();
    let sender = tokio::spawn(async move { send.send(copy).await.map(|()| send) });
    assert_eq!(recv.recv().await, Ok(Some(frame)));
    sender.await.unwrap().unwrap();
}

pub(crate) async fn two_that_dial_each_other_share_one_connection(world: &mut impl World) {
    let [(one, first), (two, second)] = pair(world).await;
    for round in 1..=5 {
        let (there, back) = tokio::join!(ask(&first, 2, "a"), ask(&second, 1, "b"));
        assert_eq!((there, back), (Ok(Bytes::from("a")), Ok(Bytes::from("b"))));
        // All that follows goes over one connection, whoever dialled it.
        for fabric in [(&first, 2), (&second, 1)] {
            assert_eq!(metrics(fabric.0, fabric.1).state, PeerState::Connected);
        }
        assert!(metrics(&first, 2).traffic.connects <= 2 * round);
        first.close(key(2));
        second.close(key(1));
        let down = |fabric, of| metrics(fabric, of).state == PeerState::Down;
        until("both are down", || down(&first, 2) && down(&second, 1)).await;
    }
    assert_eq!((one.calls(), two.calls()), (5, 5));
}

pub(crate) async fn no_more_than_the_limit_is_served_at_once(world: &mut impl World) {
    let nodes = [TestNode::new(), TestNode::new()];
    for node in &nodes {
        node.members.set(key(1), member(1));
        node.members.set(key(2), member(2));
    }
    let [one, two] = nodes;
    let first = world.start_with(1, &one, 4).await;
    let _second = world.start_with(2, &two, 4).await;
    let ask_one = || {
        let fabric = first.clone();
        tokio::spawn(async move { ask(&fabric, 2, "wait").await })
    };
    let asked: Vec<_> = (0..10).map(|_| ask_one()).collect();
    let running = || two.recorder.running.load(SeqCst);
    until("four run", || running() == 4).await;
    // One that finds no place until its deadline was not sent.
    let soon = Instant::now() + Duration::from_millis(200);
    let request = Request::new(Channel::FORWARD, "late");
    let answer = first.request(key(2), request, soon).await;
    assert_eq!(not_sent(answer), NotSent::Deadline);
    two.recorder.gate.add_permits(10);
    for one in asked {
        assert_eq!(one.await.unwrap(), Ok(Bytes::from("wait")));
    }
    assert_eq!(two.recorder.running_max.load(SeqCst), 4);
    assert_eq!(two.calls(), 10);
}

pub(crate) async fn round_trips_are_measured_and_told(world: &mut impl World) {
    let [(one, first), (two, _second)] = pair(world).await;
    world.set_rtt(1, 2, Duration::from_millis(40));
    let began = Instant::now();
    ask(&first, 2, "connect").await.unwrap();
    ask(&first, 2, "hello").await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(80));
    let samples = |node: &TestNode| node.recorder.rtts.lock().unwrap().len();
    until("both hear samples", || {
        samples(&one) > 2 && samples(&two) > 2
    })
    .await;
    let rtt = metrics(&first, 2).rtt.unwrap();
    assert!((38..70).contains(&rtt.as_millis()), "{rtt:?}");
    for node in [&one, &two] {
        let last = *node.recorder.rtts.lock().unwrap().last().unwrap();
        assert!((38..70).contains(&last.as_millis()), "{last:?}");
    }
}

pub(crate) async fn a_node_that_shuts_down_says_so(world: &mut impl World) {
    let [(one, first), (two, second)] = pair(world).await;
    let asked = ask_waiting(&first, 2, &two).await;
    let began = Instant::now();
    second.shut_down().await;
    assert!(matches!(unknown(asked.await.unwrap()), Lost::Connection(_)));
    until("the peer hears", || one.saw("lost")).await;
    assert!(began.elapsed() < world.timing().idle / 2 + Duration::from_millis(500));
    assert_eq!(not_sent(ask(&second, 1, "hello").await), NotSent::ShutDown);
    let opened = second.open_stream(key(1), Channel::FEED, later()).await;
    assert!(matches!(opened, Err(NotSent::ShutDown)));
}
