//! A server by tungstenite in this process, over TCP and TLS, that does what those in
//! `websockets_app.py` and `nodews_app.js` do, but for compression, which it has not.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex};

use tungstenite::handshake::server::{Request, Response};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Message, WebSocket, accept_hdr};

use crate::support::{Peer, PeerConn, TlsOptions, enter, wait_until};

/// By key, how a connection was closed by its client.
type Seen = Arc<(Mutex<HashMap<String, String>>, Condvar)>;

/// The same over TCP and over TLS.
pub(super) fn start() -> (Peer, Peer) {
    let seen = Seen::default();
    let serve = move |conn: &mut PeerConn| serve(conn, &seen);
    let plain = Peer::start(serve.clone());
    (plain, Peer::start_tls(TlsOptions::default(), serve))
}

fn serve(conn: &mut PeerConn, seen: &Seen) -> io::Result<()> {
    let mut uri = http::Uri::default();
    #[expect(clippy::result_large_err, reason = "tungstenite will have it so")]
    let look = |request: &Request, mut response: Response| {
        uri = request.uri().clone();
        let offered = request.headers().get("sec-websocket-protocol");
        let offered = offered.and_then(|value| value.to_str().ok()).unwrap_or("");
        let known = |name: &&str| offered.split(',').any(|other| other.trim() == *name);
        if let Some(name) = ["superchat", "chat"].into_iter().find(known) {
            let name = name.parse().expect("a header's value");
            response
                .headers_mut()
                .insert("sec-websocket-protocol", name);
        }
        Ok(response)
    };
    let stream = ReadWrite {
        conn,
        read: Vec::new(),
    };
    let ws = accept_hdr(stream, look).map_err(|error| io::Error::other(error.to_string()))?;
    let query = uri.query().unwrap_or("").split('&');
    let query: HashMap<&str, &str> = query.filter_map(|pair| pair.split_once('=')).collect();
    let key = query.get("key").copied().unwrap_or("").to_owned();
    let said = match uri.path() {
        "/ws/echo" => echo(ws, query.get("parts").map(|n| n.parse().expect("a number"))),
        "/ws/talk" => talk(ws),
        "/ws/seen" => return tell(ws, &key, seen).or_else(ended),
        path => panic!("there is no {path}"),
    };
    let said = said.or_else(|error| ended(error).map(|()| "1006 ".to_owned()))?;
    enter(&seen.0).insert(key, said);
    seen.1.notify_all();
    Ok(())
}

/// An end that is one of those that a connection may come to.
fn ended(error: tungstenite::Error) -> io::Result<()> {
    use tungstenite::Error as E;
    match error {
        E::ConnectionClosed | E::AlreadyClosed => Ok(()),
        E::Io(error) => Err(error),
        other => panic!("the client did wrong: {other}"),
    }
}

type Socket<'a> = WebSocket<ReadWrite<'a>>;

fn said(close: Option<CloseFrame>) -> String {
    match close {
        Some(close) => format!("{} {}", u16::from(close.code), close.reason),
        None => "1005 ".to_owned(),
    }
}

/// Reads on until the closing is done, and gives what the client's Close said.
fn goodbye(mut ws: Socket<'_>, close: Option<CloseFrame>) -> Result<String, tungstenite::Error> {
    match ws.flush() {
        Ok(()) | Err(tungstenite::Error::ConnectionClosed) => Ok(said(close)),
        Err(error) => Err(error),
    }
}

fn echo(mut ws: Socket<'_>, parts: Option<usize>) -> Result<String, tungstenite::Error> {
    loop {
        let (code, bytes) = match ws.read()? {
            Message::Close(close) => return goodbye(ws, close),
            Message::Text(text) => (Data::Text, text.into()),
            Message::Binary(bytes) => (Data::Binary, bytes),
            _ => continue,
        };
        let mut code = OpCode::Data(code);
        let mut rest: tungstenite::Bytes = bytes;
        loop {
            let part = rest.split_to(parts.unwrap_or(usize::MAX).min(rest.len()));
            ws.send(Message::Frame(Frame::message(part, code, rest.is_empty())))?;
            code = OpCode::Data(Data::Continue);
            if rest.is_empty() {
                break;
            }
        }
    }
}

fn talk(mut ws: Socket<'_>) -> Result<String, tungstenite::Error> {
    loop {
        match ws.read()? {
            Message::Close(close) => return goodbye(ws, close),
            Message::Pong(word) => {
                let word = String::from_utf8_lossy(&word);
                ws.send(Message::text(format!("pong {word}")))?;
            }
            Message::Text(text) => match text.split_once(' ') {
                Some(("ping", word)) => ws.send(Message::Ping(word.to_owned().into()))?,
                Some(("close", how)) => {
                    let (code, reason) = how.split_once(' ').unwrap_or((how, ""));
                    let code: u16 = code.parse().expect("a code");
                    ws.close(Some(CloseFrame {
                        code: code.into(),
                        reason: reason.into(),
                    }))?;
                }
                _ => panic!("not understood: {text}"),
            },
            _ => {}
        }
    }
}

fn tell(mut ws: Socket<'_>, key: &str, seen: &Seen) -> Result<(), tungstenite::Error> {
    assert!(wait_until(&seen.0, &seen.1, |seen| seen.contains_key(key)));
    let said = enter(&seen.0)[key].clone();
    ws.send(Message::text(said))?;
    ws.close(None)?;
    loop {
        ws.read()?;
    }
}

/// A peer's connection as tungstenite wants it.
struct ReadWrite<'a> {
    conn: &'a mut PeerConn,
    /// Not given away yet.
    read: Vec<u8>,
}

impl Read for ReadWrite<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read.is_empty() {
            self.read = self.conn.read_some()?;
        }
        let count = buffer.len().min(self.read.len());
        buffer[..count].copy_from_slice(&self.read[..count]);
        self.read.drain(..count);
        Ok(count)
    }
}

impl Write for ReadWrite<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.conn.write(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
