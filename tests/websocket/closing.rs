//! Every way a WebSocket ends, and what is told of it.

use miohttp::CloseCode;

use super::*;

/// What is left of one that has ended.
#[track_caller]
fn is_over(socket: &WebSocket, code: u16, reason: &str) {
    assert_eq!(socket.recv().unwrap(), None);
    assert_eq!(socket.recv_text().unwrap(), None);
    assert!(socket.iter().next().is_none());
    assert!(socket.is_closed());
    assert_eq!(socket.close_code(), Some(code.into()));
    assert_eq!(socket.close_reason().unwrap(), reason);
    assert_eq!(kind(socket.send("more")), Kind::Closed);
    assert_eq!(kind(socket.start_ping("").wait()), Kind::Closed);
    assert!(
        !socket.close(1000, "again").unwrap(),
        "it was closed before"
    );
}

#[test]
fn this_side_closes() {
    // SPEC W10, W14
    let peer = ws::start(Handshake::new(), |ws| {
        assert_eq!(ws.text()?, "before");
        assert_eq!(ws.read_close()?, Some((4000, "my reason".to_owned())));
        ws.send(Frame::close(4001, "your reason"))
    });
    let connector = Connector::new();
    let socket = connect_with(&connector, &peer);
    assert_eq!((socket.close_code(), socket.close_reason()), (None, None));
    assert!(!socket.is_closed());
    assert_eq!(connector.stats().in_use, 1);
    socket.send("before").unwrap();
    assert!(socket.close(4000, "my reason").unwrap());
    is_over(&socket, 4001, "your reason");
    assert!(socket.exception().is_none());
    drop(peer);
    until("its slot is free", || connector.stats().in_use == 0);
}

#[test]
fn the_server_closes_behind_its_messages() {
    // SPEC W4, W12, W15
    let peer = ws::start(Handshake::new(), |ws| {
        ws.send_all(&[
            Frame::text("1"),
            Frame::text("2"),
            Frame::close(1001, "restart"),
        ])?;
        assert_eq!(ws.read_close()?.map(|(code, _)| code), Some(1001));
        Ok(())
    });
    let socket = connect(&peer);
    let messages: Result<Vec<_>, _> = socket.iter().collect();
    assert_eq!(messages.unwrap(), ["1".into(), "2".into()]);
    is_over(&socket, 1001, "restart");
    assert!(socket.exception().is_none());
    drop(socket);
    peer.finish();
}

#[test]
fn a_close_without_a_code_is_1005() {
    // SPEC W10
    for ours in [false, true] {
        let peer = ws::start(Handshake::new(), move |ws| {
            if ours {
                assert_eq!(ws.read_close()?, None);
                return ws.send(Frame::new(ws::CLOSE, ""));
            }
            ws.send(Frame::new(ws::CLOSE, ""))?;
            assert_eq!(ws.read_close()?, None);
            Ok(())
        });
        let socket = connect(&peer);
        if ours {
            assert!(socket.close(CloseCode::NO_STATUS, "").unwrap());
        }
        is_over(&socket, 1005, "");
        peer.finish();
    }
}

#[test]
fn closes_that_cross_are_both_answered() {
    // SPEC W14
    let gate = Gate::new();
    let at = gate.clone();
    let peer = ws::start(Handshake::new(), move |ws| {
        // Not read before this is sent.
        at.wait();
        ws.send(Frame::close(3000, "mine"))?;
        assert_eq!(ws.read_close()?.map(|(code, _)| code), Some(4000));
        Ok(())
    });
    let socket = connect(&peer);
    let closing = socket.start_close(4000, "mine as well");
    let same_time = socket.start_close(4002, "second");
    assert_eq!(kind(socket.send("late")), Kind::Closed);
    gate.open();
    assert!(closing.wait().unwrap());
    assert!(same_time.wait().unwrap());
    is_over(&socket, 3000, "mine");
    peer.finish();
}

#[test]
fn messages_still_come_while_this_side_closes() {
    let peer = ws::start(Handshake::new(), |ws| {
        ws.read_close()?;
        ws.send_all(&[Frame::text("late"), Frame::close(1000, "")])
    });
    let socket = connect(&peer);
    drop(socket.start_close(1000, "dropping it takes nothing back"));
    assert_eq!(socket.recv().unwrap(), Some("late".into()));
    is_over(&socket, 1000, "");
}

#[test]
fn a_server_that_does_not_answer_is_not_waited_for_any_longer() {
    // SPEC W14, W2
    let gate = Gate::new();
    let at = gate.clone();
    let peer = ws::start(Handshake::new(), move |ws| {
        ws.read_close()?;
        at.wait();
        Ok(())
    });
    let connector = Connector::new();
    let session = Session::builder().connector(connector.clone()).build();
    let socket = session
        .ws_connect(ws::url(&peer, "/"))
        .close_timeout(SHORT)
        .connect()
        .unwrap();
    assert!(!socket.close(1000, "").unwrap());
    is_over(&socket, 1006, "");
    until("its slot is free", || connector.stats().in_use == 0);
    gate.open();
}

#[test]
fn a_lost_connection_is_told_once() {
    // SPEC W15, W10
    for reset in [false, true] {
        let peer = ws::start(Handshake::new(), move |ws| {
            ws.send(Frame::text("last"))?;
            ws.text()?;
            match reset {
                true => ws.conn.reset(),
                false => Ok(()),
            }
        });
        let connector = Connector::new();
        let socket = connect_with(&connector, &peer);
        assert_eq!(socket.recv().unwrap(), Some("last".into()));
        socket.send("go").unwrap();
        let error = socket.recv().unwrap_err();
        assert!(error.is_connection(), "{error:?}");
        assert!(error.peer().is_some() && error.url().is_some());
        is_over(&socket, 1006, "");
        assert_eq!(socket.exception().unwrap().kind(), error.kind());
        // Why it is closed.
        let refused = socket.send("more").unwrap_err();
        assert!(std::error::Error::source(&refused).is_some());
        until("its slot is free", || connector.stats().in_use == 0);
    }
}

#[test]
fn what_the_server_does_against_the_rules_is_told_to_both() {
    // SPEC W8, W13
    let cases: [(&str, Vec<Frame>, u16); 6] = [
        ("opcode", vec![Frame::new(3, "")], 1002),
        ("masked", vec![Frame::text("a").masked([1; 4])], 1002),
        ("reserved bit", vec![Frame::text("a").rsv(4)], 1002),
        ("UTF-8", vec![Frame::text([0xff])], 1007),
        (
            "UTF-8 in the middle",
            vec![Frame::text([0xc3]).part(), Frame::continuation("x").part()],
            1007,
        ),
        (
            "size",
            vec![Frame::binary([0; 60]).part(), Frame::continuation([0; 41])],
            1009,
        ),
    ];
    for (what, frames, code) in cases {
        let peer = ws::start(Handshake::new(), move |ws| {
            ws.send(Frame::text("good"))?;
            ws.send_all(&frames)?;
            assert_eq!(ws.read_close()?.map(|(code, _)| code), Some(code));
            Ok(())
        });
        let connector = Connector::new();
        let session = Session::builder().connector(connector.clone()).build();
        let socket = session
            .ws_connect(ws::url(&peer, "/"))
            .max_message_size(100)
            .connect()
            .unwrap();
        let mut messages = socket.iter();
        assert_eq!(messages.next().unwrap().unwrap(), "good".into(), "{what}");
        let error = messages.next().unwrap().unwrap_err();
        assert!(error.is_websocket(), "{what}: {error:?}");
        assert!(messages.next().is_none(), "{what}");
        assert_eq!(socket.close_code(), Some(code.into()), "{what}");
        assert_eq!(
            socket.exception().unwrap().to_string(),
            error.to_string(),
            "{what}"
        );
        is_over(&socket, code, "");
        peer.finish();
        until("its slot is free", || connector.stats().in_use == 0);
    }
}

#[test]
fn what_inflates_to_too_much_is_stopped_while_it_does() {
    // SPEC W8
    let peer = ws::start(Handshake::new().extensions("permessage-deflate"), |ws| {
        let mut deflate = ws::Deflate::new((15, true), (15, true));
        ws.send(Frame::binary(deflate.compress(&[0; 1000])).rsv(4))?;
        ws.send(Frame::binary(deflate.compress(&vec![0; 10_000_000])).rsv(4))?;
        assert_eq!(ws.read_close()?.map(|(code, _)| code), Some(1009));
        Ok(())
    });
    let socket = builder(&peer)
        .compress(PerMessageDeflate::new())
        .max_message_size(1000)
        .connect()
        .unwrap();
    assert_eq!(socket.recv_bytes().unwrap().unwrap().len(), 1000);
    assert_eq!(kind(socket.recv()), Kind::WebSocket);
    is_over(&socket, 1009, "");
    peer.finish();
}

#[test]
fn a_close_is_shown_where_the_program_answers_it() {
    // SPEC W4, W12
    let peer = ws::start(Handshake::new(), |ws| {
        ws.send_all(&[Frame::text("1"), Frame::close(4004, "your turn")])?;
        assert_eq!(ws.text()?, "one more");
        assert_eq!(ws.read_close()?, Some((4005, "done".to_owned())));
        Ok(())
    });
    let socket = builder(&peer).autoclose(false).connect().unwrap();
    assert_eq!(socket.recv().unwrap(), Some("1".into()));
    match socket.recv().unwrap() {
        Some(Message::Close(Some(close))) => {
            assert_eq!(close.code, 4004);
            assert_eq!(close.reason, "your turn");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(socket.close_code().unwrap(), 4004);
    socket.send("one more").unwrap();
    assert!(socket.close(4005, "done").unwrap());
    is_over(&socket, 4004, "your turn");
    peer.finish();
}

#[test]
fn a_close_can_be_sent_like_a_message() {
    // SPEC W12, W14
    let peer = ws::start(Handshake::new(), |ws| {
        assert_eq!(ws.answer_close()?, Some((1000, "sent".to_owned())));
        Ok(())
    });
    let socket = connect(&peer);
    let frame = |code: u16, reason: &str| {
        Message::Close(Some(miohttp::CloseFrame {
            code: code.into(),
            reason: reason.into(),
        }))
    };
    assert_eq!(kind(socket.send(frame(1006, ""))), Kind::InvalidRequest);
    socket.send(frame(1000, "sent")).unwrap();
    assert_eq!(kind(socket.send(frame(1000, "again"))), Kind::Closed);
    assert_eq!(
        kind(socket.start_send(frame(1000, "again")).wait()),
        Kind::Closed
    );
    is_over(&socket, 1000, "sent");
    peer.finish();
}

#[test]
fn what_may_not_stand_in_a_close_is_refused() {
    // SPEC W14
    let peer = ws::echo();
    let socket = connect(&peer);
    let long = "x".repeat(124);
    for (code, reason) in [
        (0, ""),
        (999, ""),
        (1004, ""),
        (1005, "a reason"),
        (1006, ""),
        (1015, ""),
        (2999, ""),
        (5000, ""),
        (1000, long.as_str()),
    ] {
        let error = socket.close(code, reason).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidRequest, "{code} {reason}");
        let error = socket.start_close(code, reason).wait().unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidRequest, "{code} {reason}");
    }
    assert!(!socket.is_closed());
    assert!(socket.close(4999, &long[1..]).unwrap());
    is_over(&socket, 4999, &long[1..]);
}

#[test]
fn it_can_be_cancelled_by_every_handle() {
    // SPEC W10
    let peer = ws::start(Handshake::new(), |ws| ws.conn.wait_for_close().map(drop));
    for which in 0..3 {
        let connector = Connector::new();
        let socket = connect_with(&connector, &peer);
        let receiving = socket.start_recv();
        let handle = match which {
            0 => socket.cancel_handle(),
            1 => receiving.cancel_handle(),
            _ => socket.start_close(1000, "").cancel_handle(),
        };
        handle.cancel();
        let received = receiving.wait();
        match which {
            // Whoever has closed it wants to hear no more.
            2 => assert_eq!(received.unwrap(), None),
            _ => assert_eq!(kind(received), Kind::Cancelled),
        }
        assert_eq!(socket.exception().unwrap().kind(), Kind::Cancelled);
        is_over(&socket, 1006, "");
        until("its slot is free", || connector.stats().in_use == 0);
    }
    peer.wait_for_ends(3);
}

#[test]
fn closing_the_connector_ends_it() {
    // SPEC C7
    let peer = ws::start(Handshake::new(), |ws| ws.conn.wait_for_close().map(drop));
    let connector = Connector::new();
    let socket = connect_with(&connector, &peer);
    let receiving = socket.start_recv();
    connector.close();
    assert_eq!(kind(receiving.wait()), Kind::Closed);
    is_over(&socket, 1006, "");
    assert_eq!(connector.stats().in_use, 0);
}
