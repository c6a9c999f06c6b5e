//! WebSockets whose other end does wrong: servers that never close, flood, lie about
//! lengths, send bombs, or are gone.
#![cfg(feature = "websocket")]

mod support;

use std::net::TcpStream;

use support::ws::{self, Deflate, Frame, Handshake};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, client};

/// The scripted server of these tests against a client that others wrote.
#[test]
fn the_scripted_server_speaks_the_protocol() {
    let handshake = Handshake::new()
        .protocol("chat")
        .behind(Frame::text("welcome").bytes());
    let peer = ws::start(handshake, |ws| {
        assert_eq!(ws.request.header("sec-websocket-protocol"), Some("chat"));
        assert_eq!(ws.text()?, "hello");
        let large = ws.message()?;
        assert_eq!((large.opcode, large.payload.len()), (ws::BINARY, 70_000));
        ws.send_all(&[
            Frame::text("one").part(),
            Frame::ping("still there?"),
            Frame::continuation(" message"),
        ])?;
        assert_eq!(ws.frame()?.payload, b"still there?");
        ws.close(1001, "bye")
    });
    let socket = TcpStream::connect(peer.address()).expect("it listens");
    let request = http::Request::builder()
        .uri(ws::url(&peer, "/"))
        .header("host", "localhost")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-protocol", "chat")
        .body(())
        .expect("a request");
    let (mut client, response) = client(request, socket).expect("a handshake");
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    assert_eq!(client.read().expect("a message"), Message::text("welcome"));
    client.send(Message::text("hello")).expect("sent");
    client.send(Message::binary(vec![1; 70_000])).expect("sent");
    let ping = Message::Ping("still there?".into());
    assert_eq!(client.read().expect("a message"), ping);
    client.flush().expect("sent");
    assert_eq!(
        client.read().expect("a message"),
        Message::text("one message")
    );
    let Message::Close(Some(close)) = client.read().expect("a message") else {
        panic!("no Close");
    };
    assert_eq!(
        (close.code, close.reason.as_str()),
        (CloseCode::Away, "bye")
    );
    while client.read().is_ok() {}
    drop(client);
    peer.finish();
}

#[test]
fn its_compression_goes_there_and_back() {
    // RFC 7692 section 7.2.3.1: the same text again, with the window kept.
    let mut hello = Deflate::new((15, true), (15, true));
    assert_eq!(
        hello.compress(b"Hello"),
        [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]
    );
    assert_eq!(hello.compress(b"Hello"), [0xf2, 0x00, 0x11, 0x00, 0x00]);
    for bits in 9..=15 {
        for takeover in [true, false] {
            let mut deflate = Deflate::new((bits, takeover), (bits, takeover));
            for length in [0, 1, 5, 600, 70_000] {
                let message: Vec<u8> = (0..length).map(|n| (n / 7 * n % 251) as u8).collect();
                let compressed = deflate.compress(&message);
                assert_eq!(deflate.decompress(&compressed), Some(message));
            }
        }
    }
}
