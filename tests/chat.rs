//! The example `chat`: typing and reading at once, and how it leaves.
#![cfg(feature = "websocket")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use support::Peer;
use support::example::example;
use support::ws::{self, Frame, Handshake};

/// A running `chat`, whoever sits before it.
struct Chat {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Chat {
    fn start(args: &[&str]) -> Self {
        let mut command = example("chat");
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command
                .env_remove(name)
                .env_remove(name.to_ascii_uppercase());
        }
        let piped = [Stdio::piped(), Stdio::piped(), Stdio::piped()];
        let [stdin, stdout, stderr] = piped;
        let command = command.args(args).stdin(stdin).stdout(stdout);
        let mut child = command.stderr(stderr).spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            input,
            output,
        }
    }

    fn type_line(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
    }

    /// What it prints next.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The exit status, the rest of what it printed, and all that it told. Standard
    /// input stays open as long as it was.
    fn end(mut self) -> (Option<i32>, String, String) {
        let (mut printed, mut told) = (String::new(), String::new());
        self.output.read_to_string(&mut printed).unwrap();
        let stderr = self.child.stderr.as_mut().unwrap();
        stderr.read_to_string(&mut told).unwrap();
        (self.child.wait().unwrap().code(), printed, told)
    }
}

#[test]
fn what_comes_is_printed_while_what_is_typed_is_sent() {
    // SPEC W1, W7, W15
    let agreed = "permessage-deflate; server_no_context_takeover";
    let handshake = Handshake::new().protocol("talk").extensions(agreed);
    let peer = ws::start(handshake, |ws| {
        for (name, value) in [
            ("sec-websocket-protocol", "shout, talk"),
            ("x-name", "somebody: else"),
        ] {
            assert_eq!(ws.request.header(name), Some(value));
        }
        ws.send(Frame::text("welcome"))?;
        let said = ws.text()?;
        ws.send_all(&[
            Frame::binary([0, 255, 7]),
            Frame::text(format!("you said {said}")),
        ])?;
        ws.close(1000, "good night")
    });
    let url = ws::url(&peer, "/room");
    let mut chat = Chat::start(&[
        "-H",
        "X-Name: somebody: else",
        "--protocol=shout",
        "-p",
        "talk",
        "--compress",
        &url,
    ]);
    assert_eq!(chat.line(), "welcome");
    chat.type_line("nothing much");
    assert_eq!(chat.line(), "you said nothing much");
    // It ends though somebody might still type.
    let (status, printed, told) = chat.end();
    assert_eq!((status, &*printed), (Some(0), ""), "{told}");
    for part in [
        &format!("connected to {url}, speaking talk, compressed"),
        "3 bytes",
        "1000",
        "good night",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    peer.finish();
}

#[test]
fn the_end_of_what_is_typed_says_goodbye_and_hears_the_rest() {
    // SPEC W14
    let peer = ws::start(Handshake::new(), |ws| {
        let lines = [ws.text()?, ws.text()?];
        assert_eq!(lines, ["ä", "last"]);
        let goodbye = ws.read_close()?;
        assert_eq!(goodbye, Some((1000, String::new())));
        ws.send_all(&[Frame::text("two\nlines"), Frame::close(1000, "")])
    });
    // Without a scheme.
    let url = ws::url(&peer, "/");
    let mut chat = Chat::start(&[url.strip_prefix("ws://").unwrap()]);
    chat.type_line("ä");
    let mut input = chat.input.take().unwrap();
    // That one is no text; the next has no end.
    input.write_all(b"\xff\nlast").unwrap();
    drop(input);
    let (status, printed, told) = chat.end();
    assert_eq!((status, &*printed), (Some(0), "two\nlines\n"), "{told}");
    assert!(told.contains("no UTF-8"), "{told}");
    peer.finish();
}

#[test]
fn a_heartbeat_finds_a_server_that_is_silent() {
    // SPEC W5
    let peer = ws::start(Handshake::new(), |ws| {
        assert_eq!(ws.frame()?.opcode, ws::PING);
        ws.conn.wait_for_close().map(drop)
    });
    let chat = Chat::start(&["-b", "0.05", &ws::url(&peer, "/")]);
    let (status, _, told) = chat.end();
    assert_eq!(status, Some(1), "{told}");
    assert!(told.contains("heartbeat"), "{told}");
    peer.finish();
}

#[cfg(unix)]
fn interrupt(chat: &Chat) {
    let pid = chat.child.id().to_string();
    let mut kill = Command::new("kill");
    assert!(kill.args(["-INT", &pid]).status().unwrap().success());
}

#[cfg(unix)]
#[test]
fn ctrl_c_says_goodbye() {
    // SPEC W14
    let peer = ws::start(Handshake::new(), |ws| {
        ws.send(Frame::text("welcome"))?;
        let goodbye = ws.answer_close()?;
        assert_eq!(goodbye, Some((1000, String::new())));
        Ok(())
    });
    let mut chat = Chat::start(&[&ws::url(&peer, "/")]);
    assert_eq!(chat.line(), "welcome");
    interrupt(&chat);
    let (status, _, told) = chat.end();
    assert_eq!(status, Some(0), "{told}");
    peer.finish();
}

#[cfg(unix)]
#[test]
fn a_second_ctrl_c_does_not_wait() {
    let peer = ws::start(Handshake::new(), |ws| {
        ws.send(Frame::text("welcome"))?;
        ws.read_close()?;
        // The goodbye has come, and gets no answer.
        ws.send(Frame::text("stay"))?;
        ws.conn.wait_for_close().map(drop)
    });
    let mut chat = Chat::start(&[&ws::url(&peer, "/")]);
    assert_eq!(chat.line(), "welcome");
    interrupt(&chat);
    assert_eq!(chat.line(), "stay");
    interrupt(&chat);
    let (status, _, told) = chat.end();
    assert_eq!(status, Some(130), "{told}");
    peer.finish();
}

#[test]
fn it_says_what_went_wrong() {
    // SPEC W9, W13
    let refused = Peer::serve(|_| {
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 14\r\n\r\nmembers only\x1b\n".to_vec()
    });
    let unhappy = ws::start(Handshake::new(), |ws| ws.close(1011, "out of tea"));
    let wrong = ws::start(Handshake::new(), |ws| {
        ws.send(Frame::text("masked").masked([1, 2, 3, 4]))?;
        ws.read_close().map(drop)
    });
    let lost = ws::start(Handshake::new(), |_| Ok(()));
    for (peer, parts) in [
        (&refused, &["403", "members only\\u{1b}"][..]),
        (&unhappy, &["1011", "out of tea"]),
        (&wrong, &["masked"]),
        (&lost, &["connection"]),
    ] {
        let (status, printed, told) = Chat::start(&[&ws::url(peer, "/")]).end();
        assert_eq!((status, &*printed), (Some(1), ""), "{told}");
        for part in parts {
            assert!(told.contains(part), "{part} is not in {told}");
        }
    }
}

#[test]
fn wrong_usage_is_told() {
    for (args, part) in [
        (&[][..], "no URL"),
        (&["ws://a.test", "ws://b.test"], "b.test"),
        (&["-H", "secret", "ws://a.test"], "no colon"),
        (&["-H", "a b: secret", "ws://a.test"], "name"),
        (&["-b", "0", "ws://a.test"], "seconds"),
        (&["-b", "soon", "ws://a.test"], "soon"),
        (&["--shout", "ws://a.test"], "--shout"),
    ] {
        let (status, _, told) = Chat::start(args).end();
        assert_eq!(status, Some(2), "{told}");
        assert!(told.contains(part) && !told.contains("secret"), "{told}");
    }
    let (status, printed, _) = Chat::start(&["--help"]).end();
    assert!(status == Some(0) && printed.contains("--heartbeat"));
}
