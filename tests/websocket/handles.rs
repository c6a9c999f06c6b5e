//! What is known of a WebSocket, and what becomes of it when its handles go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[test]
fn what_was_settled_is_told() {
    // SPEC W1, W10
    let handshake = Handshake::new().protocol("chat").field("X-Server", "mine");
    let peer = ws::start(handshake, |ws| ws.answer_close().map(drop));
    let socket = builder(&peer)
        .protocols(["super", "chat"])
        .connect()
        .unwrap();
    assert_eq!(socket.protocol(), Some("chat"));
    assert_eq!(socket.compress(), None);
    assert_eq!(socket.response().status(), 101);
    assert_eq!(socket.response().headers()["x-server"], "mine");
    assert_eq!(socket.url().as_str(), ws::url(&peer, "/"));
    assert_eq!(socket.peer_addr(), Some(peer.address()));
    assert!(
        socket
            .local_addr()
            .is_some_and(|own| own.ip().is_loopback())
    );
    assert!(socket.tls_info().is_none());
    let debug = format!("{socket:?}");
    assert!(debug.contains(socket.url().as_str()), "{debug}");
    socket.close(1000, "").unwrap();
    assert_eq!(socket.protocol(), Some("chat"), "still");
    peer.finish();
    let peer = ws::echo();
    assert_eq!(connect(&peer).protocol(), None);
}

#[test]
fn the_last_handle_says_goodbye() {
    // Whatever the last one is, and though session and connector go with it.
    type Last = fn(WebSocket);
    let lasts: [Last; 5] = [
        drop,
        |socket| drop(socket.split().0),
        |socket| drop(socket.split().1),
        |socket| drop(socket.start_recv()),
        |socket| drop((socket.clone(), socket)),
    ];
    for last in lasts {
        let peer = ws::start(Handshake::new(), |ws| {
            assert_eq!(ws.text()?, "sent before");
            assert_eq!(ws.read_close()?.map(|(code, _)| code), Some(1001));
            ws.send(Frame::close(1001, ""))
        });
        let socket = connect(&peer);
        socket.send("sent before").unwrap();
        last(socket);
        peer.finish();
    }
}

#[test]
fn a_forgotten_websocket_frees_its_slot() {
    let peer = ws::start(Handshake::new(), |ws| {
        ws.read_close()?;
        ws.wait_for_end()
    });
    let connector = Connector::new();
    let session = Session::builder().connector(connector.clone()).build();
    // It never answers.
    let socket = session
        .ws_connect(ws::url(&peer, "/"))
        .close_timeout(SHORT)
        .connect()
        .unwrap();
    let (sender, receiver) = socket.split();
    drop(sender);
    assert_eq!(connector.stats().in_use, 1);
    drop(receiver);
    until("its slot is free", || connector.stats().in_use == 0);
    peer.finish();
}

#[test]
fn any_handle_keeps_it_open() {
    let peer = ws::echo();
    let (sender, mut receiver) = connect(&peer).split();
    let other = sender.clone();
    drop(sender);
    other.send("one").unwrap();
    drop(other);
    assert_eq!(receiver.recv().unwrap(), Some("one".into()));
    assert!(!receiver.is_closed());
    assert!(receiver.close(1000, "").unwrap());
    assert_eq!((&mut receiver).into_iter().next().map(drop), None);
    peer.finish();
}

#[test]
fn what_nobody_can_receive_is_thrown_away_and_sending_goes_on() {
    let peer = ws::start(Handshake::new(), |ws| {
        for _ in 0..40 {
            ws.send(Frame::binary([0; 100_000]))?;
        }
        assert_eq!(ws.text()?, "sent");
        ws.answer_close().map(drop)
    });
    let (sender, receiver) = connect(&peer).split();
    drop(receiver);
    sender.send("sent").unwrap();
    assert!(sender.close(1000, "").unwrap());
    peer.finish();
}

#[test]
fn what_waits_for_a_reader_goes_on_when_there_is_none_any_more() {
    // Nothing is sent here, which would look after it as well.
    const FRAMES: usize = 512;
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let peer = ws::start(Handshake::new(), move |ws| {
        for _ in 0..FRAMES {
            ws.send(Frame::binary([0; 65_536]))?;
            count.fetch_add(1, Ordering::SeqCst);
        }
        ws.answer_close().map(drop)
    });
    let (sender, receiver) = connect(&peer).split();
    until("much has come", || sent.load(Ordering::SeqCst) > 32);
    drop(receiver);
    until("all was taken", || sent.load(Ordering::SeqCst) == FRAMES);
    assert!(sender.close(1000, "").unwrap());
    peer.finish();
}

#[test]
fn a_close_that_is_not_waited_for_goes_out() {
    // SPEC W2
    let peer = ws::start(Handshake::new(), |ws| {
        assert_eq!(ws.text()?, "the last");
        assert_eq!(ws.read_close()?, Some((1000, "done".to_owned())));
        ws.wait_for_end()
    });
    let socket = builder(&peer).close_timeout(Duration::ZERO);
    let socket = socket.connect().unwrap();
    socket.send("the last").unwrap();
    let _ = socket.close(1000, "done");
    peer.finish();
}

#[test]
fn one_session_has_many_and_they_hold_their_slots() {
    // SPEC C3
    let peer = ws::echo();
    let connector = Connector::builder().limit(2).build();
    let session = Session::builder().connector(connector.clone()).build();
    let open = || session.ws_connect(ws::url(&peer, "/")).start_connect();
    let first = open().wait().unwrap();
    let second = open().wait().unwrap();
    let mut third = open();
    assert!(third.wait_for(SHORT).is_none());
    assert!(first.close(1000, "").unwrap());
    let third = third.wait().unwrap();
    for socket in [&second, &third] {
        socket.send("both").unwrap();
        assert_eq!(socket.recv().unwrap(), Some("both".into()));
    }
}

#[test]
fn handles_cross_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<WebSocket>();
    shared::<miohttp::WebSocketSender>();
    shared::<miohttp::WebSocketReceiver>();
    fn sent<T: Send + 'static>() {}
    sent::<miohttp::Pending<Option<Message>>>();
    sent::<WebSocketBuilder>();
}
