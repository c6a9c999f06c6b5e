//! With the feature `async`: the same on any executor.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use futures_core::Stream;

use super::*;

async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
}

async fn talk(url: String) -> Result<(), Error> {
    let mut socket = Session::new().ws_connect(url).start_connect().await?;
    for n in 0..50 {
        socket.start_send(n.to_string()).await?;
        assert_eq!(socket.start_recv().await?, Some(n.to_string().into()));
    }
    socket.start_send_bytes("bytes").await?;
    assert_eq!(next(&mut socket).await.unwrap()?.as_bytes(), b"bytes");
    let (sender, mut receiver) = socket.split();
    sender.start_send_text("text").await?;
    assert_eq!(next(&mut receiver).await.unwrap()?, "text".into());
    assert!(sender.start_close(1000, "").await?);
    assert!(next(&mut receiver).await.is_none());
    Ok(())
}

#[test]
fn on_every_executor() {
    // SPEC W15
    let peer = ws::echo();
    smol::block_on(talk(ws::url(&peer, "/"))).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let tasks: Vec<_> = (0..4)
        .map(|_| runtime.spawn(talk(ws::url(&peer, "/"))))
        .collect();
    for task in tasks {
        runtime.block_on(task).expect("no panic").unwrap();
    }
    peer.finish();
}

#[test]
fn a_stream_receives_until_it_gives_and_yields_to_its_own_handle() {
    // SPEC W12
    let gate = Gate::new();
    let at = gate.clone();
    let peer = ws::start(Handshake::new(), move |ws| {
        at.wait();
        ws.send_all(&[Frame::text("1"), Frame::text("2"), Frame::text("3")])?;
        ws.answer_close().map(drop)
    });
    let mut socket = connect(&peer);
    let other = socket.clone();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut socket).poll_next(&mut cx).is_pending());
    assert_eq!(kind(other.recv()), Kind::InvalidRequest);
    let receiving = socket.start_recv();
    match Pin::new(&mut socket.clone()).poll_next(&mut cx) {
        Poll::Ready(Some(Err(error))) => assert_eq!(error.kind(), Kind::InvalidRequest),
        polled => panic!("{polled:?}"),
    }
    drop(receiving);
    gate.open();
    assert_eq!(
        smol::block_on(next(&mut socket)).unwrap().unwrap(),
        "1".into()
    );
    assert_eq!(other.recv().unwrap(), Some("2".into()));
    assert_eq!(socket.recv().unwrap(), Some("3".into()));
    assert!(Pin::new(&mut socket).poll_next(&mut cx).is_pending());
    drop(socket);
    assert!(other.close(1000, "").unwrap());
    peer.finish();
}

#[test]
fn the_receive_timeout_wakes_a_future() {
    // SPEC W3
    let peer = ws::start(Handshake::new(), |ws| {
        ws.text()?;
        ws.send(Frame::text("one"))?;
        ws.conn.wait_for_close().map(drop)
    });
    let mut socket = builder(&peer).receive_timeout(SHORT).connect().unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    // The wait that asked to be woken is not the one that is.
    let mut given_up = socket.start_recv();
    assert!(Pin::new(&mut given_up).poll(&mut cx).is_pending());
    drop(given_up);
    socket.send("go").unwrap();
    assert_eq!(
        smol::block_on(socket.start_recv()).unwrap(),
        Some("one".into())
    );
    let error = smol::block_on(next(&mut socket)).unwrap().unwrap_err();
    assert_eq!(error.timeout(), Some(Timeout::WsReceive));
    assert!(smol::block_on(next(&mut socket)).is_none());
    assert_eq!(socket.close_code().unwrap(), 1006);
}

#[test]
fn dropping_a_future_of_a_message_loses_none() {
    let gate = Gate::new();
    let at = gate.clone();
    let peer = ws::start(Handshake::new(), move |ws| {
        at.wait();
        ws.send(Frame::text("kept"))?;
        ws.answer_close().map(drop)
    });
    let socket = connect(&peer);
    for _ in 0..3 {
        let mut receiving = pin!(socket.start_recv());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(receiving.as_mut().poll(&mut cx).is_pending());
    }
    gate.open();
    assert_eq!(
        smol::block_on(socket.start_recv()).unwrap(),
        Some("kept".into())
    );
    assert!(smol::block_on(socket.start_close(1000, "")).unwrap());
    peer.finish();
}

/// Blocking verbs where nobody may block.
#[test]
fn the_reactor_does_not_wait_for_itself() {
    struct Asks(WebSocket, Mutex<std::sync::mpsc::Sender<[Kind; 2]>>);

    impl Wake for Asks {
        fn wake(self: Arc<Self>) {
            let kinds = [kind(self.0.recv()), kind(self.0.close(1000, ""))];
            let _ = support::enter(&self.1).send(kinds);
        }
    }

    let gate = Gate::new();
    let at = gate.clone();
    let peer = ws::start(Handshake::new(), move |ws| {
        ws.send(Frame::text("one"))?;
        at.wait();
        ws.answer_close().map(drop)
    });
    let connector = Connector::new();
    let asked = connect_with(&connector, &peer);
    assert_eq!(asked.recv().unwrap(), Some("one".into()));
    let peer_of_another = Peer::serve(|_| support::ok("here"));
    let session = Session::builder().connector(connector).build();
    let (sender, receiver) = channel();
    let waker = Waker::from(Arc::new(Asks(asked.clone(), Mutex::new(sender))));
    let mut pending = session.get(peer_of_another.url("/")).start_send();
    // An answer that is there at once has no need of a waker.
    if Pin::new(&mut pending)
        .poll(&mut Context::from_waker(&waker))
        .is_pending()
    {
        let kinds = receiver.recv_timeout(WATCHDOG).unwrap();
        assert_eq!(kinds, [Kind::Internal; 2]);
        assert_eq!(kind(asked.send("it closes")), Kind::Closed);
    }
    gate.open();
}
