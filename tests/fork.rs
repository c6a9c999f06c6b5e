//! A process forks while its session has connections: the child is told so at once and
//! without a hang, can begin anew, and leaves its parent's connections alone.
//!
//! Only the thread that forks is in the child, so this test has no harness, whose threads
//! would be in the way.

#[cfg(unix)]
mod support;

#[cfg(not(unix))]
fn main() {
    println!("SKIPPED: there is no fork here");
}

#[cfg(unix)]
fn main() {
    forks::main();
}

#[cfg(unix)]
mod forks {
    use std::sync::mpsc;
    use std::{panic, process, thread};

    use fork::Fork;
    use miohttp::{Body, Connector, Kind, Response, Session, WebSocket};

    use crate::support::ws::{self, Handshake};
    use crate::support::{Peer, WATCHDOG, is_asked_for, ok};

    const NAME: &str = "a_child_by_fork_is_told_and_does_no_harm";

    pub(super) fn main() {
        if !is_asked_for(NAME) {
            return;
        }
        for caller_drives in [true, false] {
            println!("callers drive: {caller_drives}");
            forks(caller_drives);
        }
        println!("test {NAME} ... ok");
    }

    fn forks(caller_drives: bool) {
        let peer = Peer::serve(|request| match &*request.target {
            "/long" => ok(vec![b'x'; 1 << 20]),
            _ => ok("hello"),
        });
        let echo = ws::start(Handshake::new(), |ws| ws.echo());
        let connector = Connector::builder().caller_drives(caller_drives).build();
        let session = Session::builder().connector(connector).build();
        let get = |session: &Session| session.get(peer.url("/")).send()?.text();

        // One connection that waits in the pool, one in the middle of a body, and one that
        // is a WebSocket's, with a message at hand.
        let unread = session.get(peer.url("/long")).send().expect("a response");
        assert_eq!(get(&session).expect("a response"), "hello");
        let socket = session.ws_connect(ws::url(&echo, "/")).connect();
        let socket = socket.expect("a WebSocket");
        for message in ["one", "two"] {
            socket.send(message).expect("it is open");
        }
        assert_eq!(text(&socket), "one");
        assert_eq!(peer.connections(), 2);

        match fork::fork().expect("a process") {
            Fork::Child => child(|| {
                refused(&session, unread, socket, &peer.url("/"));
                // Its handles are dropped; then it has connections of its own.
                drop(session);
                let session = Session::new();
                assert_eq!(get(&session).expect("a response"), "hello");
                let socket = session.ws_connect(ws::url(&echo, "/")).connect();
                let socket = socket.expect("a WebSocket");
                socket.send("of the child").expect("it is open");
                assert_eq!(text(&socket), "of the child");
            }),
            Fork::Parent(child) => {
                let status = fork::waitpid(child).expect("it ends");
                assert_eq!(status, 0, "the child failed");
                // All three are as they were.
                assert_eq!(text(&socket), "two");
                socket.send("three").expect("it is open");
                assert_eq!(text(&socket), "three");
                assert_eq!(get(&session).expect("a response"), "hello");
                let rest = unread.bytes().expect("a body");
                assert_eq!(rest.len(), 1 << 20);
                assert_eq!(peer.connections(), 3, "two and the child's");
                assert_eq!(echo.connections(), 2, "one and the child's");
            }
        }
    }

    /// Nothing that the parent made works, and nothing hangs.
    fn refused(session: &Session, mut unread: Response, socket: WebSocket, url: &str) {
        let closed = |error: miohttp::Error| assert_eq!(error.kind(), Kind::Closed, "{error:?}");
        closed(session.get(url).send().expect_err("no connection is its"));
        closed(session.get(url).start_send().wait().expect_err("no thread"));
        let (mut sender, body) = Body::channel();
        sender.send("a body").expect("it is of this process");
        closed(session.post(url).body(body).send().expect_err("no thread"));
        assert!(session.connector().is_closed());
        assert_eq!(session.connector().stats().idle, 0);
        session.connector().close_idle();
        session.connector().close();
        closed(unread.chunk().expect_err("it is the parent's"));
        closed(socket.recv().expect_err("it is the parent's"));
        for _ in 0..100 {
            closed(socket.send("never").expect_err("it is the parent's"));
        }
        closed(socket.ping("").expect_err("it is the parent's"));
        drop((unread, socket));
    }

    fn text(socket: &WebSocket) -> String {
        let text = socket.recv_text().expect("a message").expect("one");
        text.to_string()
    }

    /// What the child does; its exit code tells how it went.
    fn child(part: impl FnOnce()) -> ! {
        let (over, waits) = mpsc::channel::<()>();
        thread::spawn(move || {
            if waits.recv_timeout(WATCHDOG) == Err(mpsc::RecvTimeoutError::Timeout) {
                eprintln!("the child hangs");
                process::exit(2);
            }
        });
        let went = panic::catch_unwind(panic::AssertUnwindSafe(part));
        drop(over);
        process::exit(i32::from(went.is_err()))
    }
}
