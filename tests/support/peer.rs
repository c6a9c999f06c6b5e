//! A scripted server on a loopback port of its own: a thread accepts, and each
//! connection runs the script on a thread of its own.
//!
//! A script ends in three ways. `Ok` closes the connection in order. An error
//! that only means the client went away is kept in [`Peer::errors`]; a client
//! that hangs up is often just what a test wants. A panic, a malformed request
//! or a watchdog's bite is a *failure*: [`Peer::finish`] and the peer's drop
//! turn it into the test's own.

use std::any::Any;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread;
use std::time::Duration;

use super::conn::PeerConn;
use super::message::{self, Request};
use super::tls::TlsOptions;
use super::{WATCHDOG, enter, wait_until};

/// What one connection does.
pub(crate) type Script = Box<dyn FnOnce(&mut PeerConn) -> io::Result<()> + Send>;

/// A running peer; it stops when dropped.
#[derive(Debug)]
pub(crate) struct Peer {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    /// Only of a peer that never accepts: nobody else keeps its port open.
    _listener: Option<TcpListener>,
}

impl Peer {
    /// Runs `script` on every connection.
    pub(crate) fn start<F>(script: F) -> Self
    where
        F: Fn(&mut PeerConn) -> io::Result<()> + Send + Sync + 'static,
    {
        Self::run(None, script)
    }

    /// The same behind TLS; the script starts when the handshake is done.
    pub(crate) fn start_tls<F>(options: TlsOptions, script: F) -> Self
    where
        F: Fn(&mut PeerConn) -> io::Result<()> + Send + Sync + 'static,
    {
        Self::run(Some(options), script)
    }

    /// One script a connection, in the order of accepting. A connection more
    /// than there are scripts is a failure.
    pub(crate) fn scripts(scripts: Vec<Script>) -> Self {
        let waiting = Mutex::new(scripts.into_iter().map(Some).collect::<Vec<_>>());
        Self::start(move |conn| {
            let script = enter(&waiting).get_mut(conn.index()).and_then(Option::take);
            match script {
                Some(script) => script(conn),
                None => panic!("connection {} was not expected", conn.index()),
            }
        })
    }

    /// A keep-alive server: answers every request with the handler's bytes,
    /// and closes when either side says `Connection: close`.
    pub(crate) fn serve<F>(handler: F) -> Self
    where
        F: Fn(&Request) -> Vec<u8> + Send + Sync + 'static,
    {
        Self::start(move |conn| serve_connection(conn, &handler))
    }

    /// [`Peer::serve`] behind TLS.
    pub(crate) fn serve_tls<F>(options: TlsOptions, handler: F) -> Self
    where
        F: Fn(&Request) -> Vec<u8> + Send + Sync + 'static,
    {
        Self::start_tls(options, move |conn| serve_connection(conn, &handler))
    }

    /// A listener that never accepts: the kernel completes connections (as many
    /// as its queue holds) and nothing ever answers on them.
    pub(crate) fn never_accepts() -> Self {
        let listener = bind();
        Self {
            address: local_address(&listener),
            scheme: "http",
            shared: Arc::default(),
            _listener: Some(listener),
        }
    }

    fn run<F>(tls: Option<TlsOptions>, script: F) -> Self
    where
        F: Fn(&mut PeerConn) -> io::Result<()> + Send + Sync + 'static,
    {
        let listener = bind();
        let address = local_address(&listener);
        let shared = Arc::<Shared>::default();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let script = Arc::new(move |conn: &mut PeerConn| {
            if let Some(options) = &tls {
                conn.start_tls(options)?;
            }
            script(conn)?;
            match &tls {
                Some(options) if !options.sends_close_notify() => Ok(()),
                // After a reset or when the client is gone there is nobody to
                // say goodbye to, and that is no failure of the script.
                _ => conn.close_notify().or(Ok(())),
            }
        });
        let acceptor = Arc::clone(&shared);
        spawn("peer-accept", move || accept(&listener, &acceptor, &script));
        Self {
            address,
            scheme,
            shared,
            _listener: None,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// `http://127.0.0.1:PORT` and this path.
    pub(crate) fn url(&self, path: &str) -> String {
        self.url_for("127.0.0.1", path)
    }

    /// The same with another name for the machine.
    pub(crate) fn url_for(&self, host: &str, path: &str) -> String {
        format!("{}://{host}:{}{path}", self.scheme, self.port())
    }

    /// How many connections have been accepted so far.
    pub(crate) fn connections(&self) -> usize {
        enter(&self.shared.state).accepted
    }

    /// How many of them a script still runs on.
    pub(crate) fn open_connections(&self) -> usize {
        enter(&self.shared.state).open
    }

    /// The most connections that were open at one time.
    pub(crate) fn peak_connections(&self) -> usize {
        enter(&self.shared.state).peak
    }

    pub(crate) fn request_count(&self) -> usize {
        enter(&self.shared.state).requests.len()
    }

    /// All requests so far, in the order they came.
    pub(crate) fn requests(&self) -> Vec<Request> {
        enter(&self.shared.state).requests.clone()
    }

    /// Their request lines, `GET /path`.
    pub(crate) fn request_lines(&self) -> Vec<String> {
        let state = enter(&self.shared.state);
        state.requests.iter().map(Request::line).collect()
    }

    /// TLS handshakes that completed: all of them, and the resumed ones.
    pub(crate) fn handshakes(&self) -> (usize, usize) {
        let state = enter(&self.shared.state);
        (state.handshakes, state.resumptions)
    }

    /// What ended scripts without being a failure, such as a client that left.
    pub(crate) fn errors(&self) -> Vec<String> {
        enter(&self.shared.state).errors.clone()
    }

    #[track_caller]
    pub(crate) fn wait_for_connections(&self, count: usize) {
        self.wait_for("connections", count, |state| state.accepted);
    }

    #[track_caller]
    pub(crate) fn wait_for_requests(&self, count: usize) {
        self.wait_for("requests", count, |state| state.requests.len());
    }

    /// Waits until this many connections have come to their end.
    #[track_caller]
    pub(crate) fn wait_for_ends(&self, count: usize) {
        self.wait_for("ended connections", count, |state| {
            state.accepted - state.open
        });
    }

    #[track_caller]
    fn wait_for(&self, what: &str, count: usize, of: fn(&State) -> usize) {
        let shared = &self.shared;
        let reached = wait_until(&shared.state, &shared.changed, |state| {
            of(state) >= count || !state.failures.is_empty()
        });
        self.check();
        let now = of(&enter(&shared.state));
        assert!(reached, "{now} of {count} {what} after {WATCHDOG:?}");
    }

    /// Waits for every script to end, then fails the test if one of them failed.
    #[track_caller]
    pub(crate) fn finish(self) {
        let shared = &self.shared;
        let ended = wait_until(&shared.state, &shared.changed, |state| {
            state.open == 0 || !state.failures.is_empty()
        });
        self.check();
        assert!(ended, "a peer's script still runs after {WATCHDOG:?}");
    }

    /// Fails the test now if a script has failed.
    #[track_caller]
    pub(crate) fn check(&self) {
        let failures = std::mem::take(&mut enter(&self.shared.state).failures);
        assert!(
            failures.is_empty(),
            "the peer failed: {}",
            failures.join("; ")
        );
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let (sockets, failures) = {
            let mut state = enter(&self.shared.state);
            state.stopping = true;
            (
                std::mem::take(&mut state.sockets),
                std::mem::take(&mut state.failures),
            )
        };
        for (_, socket) in sockets {
            if let Some(socket) = socket.upgrade() {
                // Wakes a script that reads or writes; it is gone already if this fails.
                let _ = socket.shutdown(Shutdown::Both);
            }
        }
        if self._listener.is_none() {
            // `accept` has no other way to be woken: knock, and it sees `stopping`.
            let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        }
        if !failures.is_empty() && !thread::panicking() {
            panic!("the peer failed: {}", failures.join("; "));
        }
    }
}

/// What the threads of one peer share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    accepted: usize,
    open: usize,
    peak: usize,
    handshakes: usize,
    resumptions: usize,
    requests: Vec<Request>,
    errors: Vec<String>,
    failures: Vec<String>,
    /// The live connections' sockets by index, to shut down at the end.
    sockets: Vec<(usize, Weak<TcpStream>)>,
    stopping: bool,
}

impl Shared {
    pub(super) fn record(&self, request: &Request) {
        self.update(|state| state.requests.push(request.clone()));
    }

    pub(super) fn handshake(&self, resumed: bool) {
        self.update(|state| {
            state.handshakes += 1;
            state.resumptions += usize::from(resumed);
        });
    }

    /// Drops the handle kept for the end, so that nothing delays a reset.
    pub(super) fn forget(&self, index: usize) {
        self.update(|state| state.sockets.retain(|(of, _)| *of != index));
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut enter(&self.state));
        self.changed.notify_all();
    }

    /// Takes a new connection in; `None` when the peer is stopping.
    fn admit(&self, socket: &Arc<TcpStream>) -> Option<usize> {
        let mut state = enter(&self.state);
        if state.stopping {
            return None;
        }
        let index = state.accepted;
        state.accepted += 1;
        state.open += 1;
        state.peak = state.peak.max(state.open);
        state.sockets.push((index, Arc::downgrade(socket)));
        drop(state);
        self.changed.notify_all();
        Some(index)
    }

    fn end(&self, index: usize, outcome: thread::Result<io::Result<()>>) {
        self.update(|state| {
            state.open -= 1;
            state.sockets.retain(|(of, _)| *of != index);
            match outcome {
                Ok(Ok(())) => {}
                // Whatever a script meets after the peer was dropped is our doing.
                _ if state.stopping => {}
                Ok(Err(error)) => {
                    let text = format!("connection {index}: {error}");
                    match error.kind() {
                        io::ErrorKind::TimedOut => state.failures.push(text),
                        // rustls reports what a TLS client did wrong this way too,
                        // and a client that refuses a certificate is no failure.
                        io::ErrorKind::InvalidData if is_malformed(&error) => {
                            state.failures.push(text);
                        }
                        _ => state.errors.push(text),
                    }
                }
                Err(panic) => state
                    .failures
                    .push(format!("connection {index}: {}", panic_text(&*panic))),
            }
        });
    }
}

fn accept<F>(listener: &TcpListener, shared: &Arc<Shared>, script: &Arc<F>)
where
    F: Fn(&mut PeerConn) -> io::Result<()> + Send + Sync + 'static,
{
    loop {
        let socket = match listener.accept() {
            Ok((socket, _)) => Arc::new(socket),
            // The client gave up between its SYN and our accept.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                shared.update(|state| state.failures.push(format!("accept: {error}")));
                return;
            }
        };
        let Some(index) = shared.admit(&socket) else {
            return;
        };
        let script = Arc::clone(script);
        let shared = Arc::clone(shared);
        spawn("peer-connection", move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                socket.set_nodelay(true)?;
                socket.set_read_timeout(Some(WATCHDOG))?;
                socket.set_write_timeout(Some(WATCHDOG))?;
                let mut conn = PeerConn::new(socket, Arc::clone(&shared), index);
                script(&mut conn)
            }));
            shared.end(index, outcome);
        });
    }
}

fn serve_connection<F>(conn: &mut PeerConn, handler: &F) -> io::Result<()>
where
    F: Fn(&Request) -> Vec<u8>,
{
    while let Some(request) = conn.next_request()? {
        let answer = handler(&request);
        conn.write(&answer)?;
        if request.wants_close() || message::response_closes(&answer) {
            break;
        }
    }
    Ok(())
}

/// Whether the script's own reading of the request gave up ([`message::malformed`]).
fn is_malformed(error: &io::Error) -> bool {
    error.to_string().starts_with("the client sent a malformed")
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text.clone(),
        (None, Some(text)) => (*text).to_owned(),
        (None, None) => "a panic without a message".to_owned(),
    }
}

fn bind() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a loopback port")
}

fn local_address(listener: &TcpListener) -> SocketAddr {
    listener
        .local_addr()
        .expect("a bound listener has an address")
}

/// Threads are never joined: `Drop` must not block, and all of them end by
/// themselves once their socket is shut down.
fn spawn(name: &str, body: impl FnOnce() + Send + 'static) {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .expect("start a thread");
}
