//! Connections that a program makes itself: an in-process server at the other
//! end of a pair of sockets, and transports that fail in every way they can.
//! Every story is told with the caller and with the reactor driving.
#![cfg(unix)]

mod support;

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use miohttp::{
    Connector, ConnectorBuilder, Error, Kind, Phase, Session, Target, Timeout, Timeouts, Transport,
    TransportStream,
};
use support::{Gate, Peer, head, ok};

/// Tells a story with either driver.
fn both(story: impl Fn(fn() -> ConnectorBuilder)) {
    story(|| Connector::builder().caller_drives(true));
    story(|| Connector::builder().caller_drives(false));
}

fn session_over(builder: ConnectorBuilder, transport: impl Transport) -> Session {
    let connector = builder.transport(transport).build();
    Session::builder().connector(connector).build()
}

/// What a connection was asked for.
#[derive(Clone, Debug, PartialEq)]
struct Asked {
    host: String,
    port: u16,
    address: Option<SocketAddr>,
    limited: bool,
}

/// Leads to a peer, through a pair of sockets.
struct Pairs {
    peer: SocketAddr,
    resolves: bool,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Pairs {
    fn to(peer: &Peer) -> Self {
        Self {
            peer: peer.address(),
            resolves: true,
            asked: Arc::default(),
        }
    }
}

impl Transport for Pairs {
    fn connect(&self, target: &Target<'_>) -> io::Result<Box<dyn TransportStream>> {
        let asked = Asked {
            host: target.host().to_owned(),
            port: target.port(),
            address: target.address(),
            limited: target.deadline().is_some_and(|at| at > Instant::now()),
        };
        self.asked.lock().unwrap().push(asked);
        let (near, far) = UnixStream::pair()?;
        support::unix::join(far, self.peer);
        Ok(Box::new(near))
    }

    fn resolves_names(&self) -> bool {
        self.resolves
    }
}

#[test]
fn a_transport_carries_requests() {
    // SPEC C9
    both(|builder| {
        let peer = Peer::serve(|request| ok(request.text()));
        let transport = Pairs::to(&peer);
        let asked = Arc::clone(&transport.asked);
        let session = session_over(builder(), transport);
        for n in 0..3 {
            // No such name: nothing looks it up.
            let post = session
                .post("http://nowhere.test:8080/x")
                .body(format!("body {n}"));
            let response = post.send().unwrap();
            assert_eq!(
                (response.remote_addr(), response.local_addr()),
                (None, None)
            );
            assert_eq!(response.text().unwrap(), format!("body {n}"));
        }
        let expected = Asked {
            host: "nowhere.test".to_owned(),
            port: 8080,
            address: None,
            limited: true,
        };
        assert_eq!(*asked.lock().unwrap(), [expected]);
        assert_eq!(peer.connections(), 1);
        let started = session.get("http://nowhere.test/").start_send();
        assert_eq!(started.wait().unwrap().status(), 200);
        assert_eq!(asked.lock().unwrap().len(), 2);
    });
}

#[test]
fn a_transport_may_be_told_addresses() {
    // SPEC C9: each address of the host is one that is tried.
    both(|builder| {
        let peer = Peer::serve(|_| ok(""));
        let mut transport = Pairs::to(&peer);
        transport.resolves = false;
        let asked = Arc::clone(&transport.asked);
        let session = session_over(builder(), transport);
        let timeouts = Timeouts::new().total(None).connect(None).sock_connect(None);
        for host in ["10.9.8.7", "[::1]:81", "localhost"] {
            let get = session.get(format!("http://{host}/")).timeouts(timeouts);
            let response = get.send().unwrap();
            let last = asked.lock().unwrap().last().cloned().unwrap();
            assert!(last.address.is_some() && !last.limited, "{last:?}");
            assert_eq!(response.remote_addr(), last.address);
        }
        let asked = asked.lock().unwrap();
        assert_eq!(asked[0].address, Some("10.9.8.7:80".parse().unwrap()));
        assert_eq!((&*asked[1].host, asked[1].port), ("::1", 81));
        assert!(asked[2].address.unwrap().ip().is_loopback());
    });
}

#[cfg(feature = "tls")]
#[test]
fn tls_goes_over_a_transport() {
    // SPEC C9
    use miohttp::TlsConfig;
    use support::{Certificate, TlsOptions};

    both(|builder| {
        let body = vec![b'x'; 3_000_000];
        let served = body.clone();
        let options = TlsOptions::new(Certificate::Good);
        let peer = Peer::serve_tls(options, move |_| ok(&served));
        let roots = TlsConfig::new().add_root_pem(support::tls::ca_pem().as_bytes());
        let builder = builder().tls(roots.expect("a root"));
        let session = session_over(builder, Pairs::to(&peer));
        let response = session
            .post("https://localhost/")
            .body(body.clone())
            .send()
            .unwrap();
        assert!(response.tls_info().is_some());
        assert_eq!(response.bytes().unwrap(), body);
    });
}

#[test]
fn large_bodies_go_both_ways() {
    both(|builder| {
        let peer = Peer::serve(|request| ok(&request.body));
        let session = session_over(builder(), Pairs::to(&peer));
        let body: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
        let response = session.post("http://h/").body(body.clone()).send().unwrap();
        assert_eq!(response.bytes().unwrap(), body);
        let started = session.post("http://h/").body(body.clone()).start_send();
        let echoed = started.wait().unwrap().start_bytes().wait().unwrap();
        assert_eq!(echoed, body);
    });
}

/// Plain TCP, by the standard library's own type.
struct Tcp;

impl Transport for Tcp {
    fn connect(&self, target: &Target<'_>) -> io::Result<Box<dyn TransportStream>> {
        let address = target.address().ok_or(ErrorKind::AddrNotAvailable)?;
        Ok(Box::new(TcpStream::connect(address)?))
    }
}

#[test]
fn a_tcp_stream_is_one_as_it_is() {
    both(|builder| {
        let peer = Peer::serve(|_| ok("tcp"));
        let session = session_over(builder(), Tcp);
        let response = session.get(peer.url("/")).send().unwrap();
        assert_eq!(response.remote_addr(), Some(peer.address()));
        assert!(
            response
                .local_addr()
                .is_some_and(|local| local.ip().is_loopback())
        );
        assert_eq!(response.text().unwrap(), "tcp");
    });
}

/// What one of its calls does instead of what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Resolves,
    Connect,
    Refuses,
    WouldBlock,
    AsFd,
    /// Its descriptor is that of a file, which is always ready.
    IsFile,
    Connected,
    NotConnected,
    Read,
    ReadTooMuch,
    ReadFails,
    Interrupted,
    Write,
    WriteTooMuch,
    WriteNothing,
    PeerAddr,
    Drop,
    /// None at all.
    Sound,
}

/// As [`Pairs`], with one fault on connections to the host `bad`.
struct Faulty {
    pairs: Pairs,
    fault: Fault,
    dropped: Arc<AtomicUsize>,
}

struct FaultyStream {
    inner: UnixStream,
    file: File,
    fault: Fault,
    dropped: Arc<AtomicUsize>,
}

impl Transport for Faulty {
    fn connect(&self, target: &Target<'_>) -> io::Result<Box<dyn TransportStream>> {
        let is_bad = target.host() == "bad";
        let fault = if is_bad { self.fault } else { Fault::Sound };
        match fault {
            Fault::Connect => panic!("broken on purpose"),
            Fault::Refuses => return Err(ErrorKind::ConnectionRefused.into()),
            Fault::WouldBlock => return Err(ErrorKind::WouldBlock.into()),
            _ => {}
        }
        let (inner, far) = UnixStream::pair()?;
        support::unix::join(far, self.pairs.peer);
        let dropped = Arc::clone(&self.dropped);
        let file = File::open(std::env::current_exe()?)?;
        Ok(Box::new(FaultyStream {
            inner,
            file,
            fault,
            dropped,
        }))
    }

    fn resolves_names(&self) -> bool {
        assert!(self.fault != Fault::Resolves, "broken on purpose");
        true
    }
}

impl AsFd for FaultyStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        assert!(self.fault != Fault::AsFd, "broken on purpose");
        match self.fault {
            Fault::IsFile => self.file.as_fd(),
            _ => self.inner.as_fd(),
        }
    }
}

impl TransportStream for FaultyStream {
    fn connected(&self) -> io::Result<bool> {
        assert!(self.fault != Fault::Connected, "broken on purpose");
        Ok(self.fault != Fault::NotConnected)
    }

    fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self.fault {
            Fault::Read => panic!("broken on purpose"),
            Fault::ReadTooMuch => Ok(into.len() + 1),
            Fault::ReadFails => Err(ErrorKind::ConnectionReset.into()),
            Fault::Interrupted => Err(ErrorKind::Interrupted.into()),
            _ => self.inner.try_read(into),
        }
    }

    fn try_write(&self, from: &[u8]) -> io::Result<usize> {
        match self.fault {
            Fault::Write => panic!("broken on purpose"),
            Fault::WriteTooMuch => Ok(from.len() + 1),
            Fault::WriteNothing => Ok(0),
            _ => self.inner.try_write(from),
        }
    }

    fn try_write_vectored(&self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        let first = from.iter().find(|piece| !piece.is_empty());
        first.map_or(Ok(0), |piece| self.try_write(piece))
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        assert!(self.fault != Fault::PeerAddr, "broken on purpose");
        None
    }
}

impl Drop for FaultyStream {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::SeqCst);
        assert!(self.fault != Fault::Drop, "broken on purpose");
    }
}

/// The kind of error that a fault makes of a request; `None`: it does no harm.
fn expected(fault: Fault) -> Option<Kind> {
    match fault {
        Fault::Connect
        | Fault::Refuses
        | Fault::WouldBlock
        | Fault::AsFd
        | Fault::IsFile
        | Fault::Connected => Some(Kind::Connect),
        Fault::Resolves => Some(Kind::Dns),
        Fault::NotConnected => Some(Kind::Timeout),
        Fault::ReadFails => Some(Kind::Disconnected),
        Fault::Read
        | Fault::ReadTooMuch
        | Fault::Interrupted
        | Fault::Write
        | Fault::WriteTooMuch
        | Fault::WriteNothing => Some(Kind::Io),
        Fault::PeerAddr | Fault::Drop | Fault::Sound => None,
    }
}

#[test]
fn a_fault_of_a_transport_fails_one_exchange_alone() {
    // SPEC C9
    use Fault::*;
    let faults = [
        Resolves,
        Connect,
        Refuses,
        WouldBlock,
        AsFd,
        IsFile,
        Connected,
        NotConnected,
        Read,
        ReadTooMuch,
        ReadFails,
        Interrupted,
        Write,
        WriteTooMuch,
        WriteNothing,
        PeerAddr,
        Drop,
        Sound,
    ];
    for fault in faults {
        both(|builder| {
            let peer = Peer::serve(|_| ok("sound"));
            let dropped = Arc::<AtomicUsize>::default();
            let transport = Faulty {
                pairs: Pairs::to(&peer),
                fault,
                dropped: Arc::clone(&dropped),
            };
            let connector = builder().force_close(true).transport(transport).build();
            let session = Session::builder().connector(connector.clone()).build();
            let limits = Timeouts::new().connect(Duration::from_millis(80));
            let get = |host: &str| session.get(format!("http://{host}/")).timeouts(limits);
            // Another is under way all the while.
            let other = (fault != Resolves).then(|| get("good").start_send());
            let outcomes: [Result<String, Error>; 2] = [
                get("bad").send().and_then(|response| response.text()),
                get("bad")
                    .start_send()
                    .wait()
                    .and_then(|response| response.text()),
            ];
            for outcome in outcomes {
                match (outcome, expected(fault)) {
                    (Ok(text), None) => assert_eq!(text, "sound"),
                    (Err(error), Some(kind)) => {
                        assert_eq!(error.kind(), kind, "{fault:?}: {error:#}");
                        let text = format!("{error:#}");
                        let panics = [Connect, AsFd, Connected, Read, Write];
                        let is_told = text.contains("the transport panicked: broken on purpose");
                        assert_eq!(is_told, panics.contains(&fault), "{text}");
                        if fault == NotConnected {
                            assert_eq!(error.timeout(), Some(Timeout::Connect));
                            assert_eq!(error.phase(), Some(Phase::Connect));
                        }
                    }
                    (other, _) => panic!("{fault:?}: {other:?}"),
                }
            }
            if let Some(other) = other {
                assert_eq!(other.wait().unwrap().text().unwrap(), "sound", "{fault:?}");
                assert_eq!(get("good").send().unwrap().text().unwrap(), "sound");
            }
            connector.close();
            assert_eq!((connector.stats().in_use, connector.stats().idle), (0, 0));
            let made = match fault {
                Resolves => 0,
                Connect | Refuses | WouldBlock => 2,
                _ => 4,
            };
            assert_eq!(dropped.load(Ordering::SeqCst), made, "{fault:?}");
        });
    }
}

/// A stream whose `shutdown` panics, or does nothing at all.
struct Stubborn {
    inner: UnixStream,
    panics: bool,
}

impl AsFd for Stubborn {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl TransportStream for Stubborn {
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        TransportStream::try_read(&self.inner, into)
    }

    fn try_write(&self, from: &[u8]) -> io::Result<usize> {
        TransportStream::try_write(&self.inner, from)
    }

    fn shutdown(&self) {
        assert!(!self.panics, "broken on purpose");
    }
}

struct ToStubborn {
    peer: SocketAddr,
    panics: bool,
}

impl Transport for ToStubborn {
    fn connect(&self, _: &Target<'_>) -> io::Result<Box<dyn TransportStream>> {
        let (inner, far) = UnixStream::pair()?;
        support::unix::join(far, self.peer);
        let panics = self.panics;
        Ok(Box::new(Stubborn { inner, panics }))
    }

    fn resolves_names(&self) -> bool {
        true
    }
}

#[test]
fn whoever_waits_for_a_transport_is_woken_by_cancelling_and_closing() {
    // SPEC C7, C9: the descriptor is shut, whatever the stream does about it.
    let cases = [(false, false), (false, true), (true, false), (true, true)];
    for (panics, closes) in cases {
        both(|builder| {
            let gate = Gate::new();
            let door = gate.clone();
            let peer = Peer::start(move |conn| {
                conn.request()?;
                conn.write(head("200 OK", &[("Content-Length", "9")]))?;
                door.wait();
                conn.write("x")?;
                conn.wait_for_close().map(drop)
            });
            let transport = ToStubborn {
                peer: peer.address(),
                panics,
            };
            let connector = builder().transport(transport).build();
            let session = Session::builder().connector(connector.clone()).build();
            let mut response = session.get("http://h/").send().unwrap();
            let cancel = response.cancel_handle();
            gate.open();
            assert_eq!(response.chunk().unwrap().as_deref(), Some(&b"x"[..]));
            std::thread::scope(|scope| {
                let blocked = scope.spawn(|| response.chunk().unwrap_err());
                let kind = match closes {
                    true => {
                        connector.close();
                        Kind::Closed
                    }
                    false => {
                        cancel.cancel();
                        Kind::Cancelled
                    }
                };
                assert_eq!(blocked.join().unwrap().kind(), kind);
            });
            connector.close();
            assert_eq!(connector.stats().in_use, 0);
        });
    }
}

#[test]
fn a_body_that_stops_is_still_timed() {
    // SPEC C9, T4
    both(|builder| {
        let peer = Peer::start(|conn| {
            conn.request()?;
            conn.write(head("200 OK", &[("Content-Length", "9")]))?;
            conn.write("half")?;
            conn.wait_for_close().map(drop)
        });
        let session = session_over(builder(), Pairs::to(&peer));
        let limit = Timeouts::new().sock_read(Duration::from_millis(60));
        let response = session.get("http://h/").timeouts(limit).send().unwrap();
        let error = response.bytes().unwrap_err();
        assert_eq!(error.timeout(), Some(Timeout::SockRead), "{error:#}");
    });
}

/// A program that has the traits of both in scope, and a blocking server.
struct Mock;

impl Transport for Mock {
    fn connect(&self, target: &Target<'_>) -> io::Result<Box<dyn TransportStream>> {
        use std::io::{Read, Write};

        let (ours, mut theirs) = UnixStream::pair()?;
        let host = target.host().to_owned();
        std::thread::spawn(move || -> io::Result<()> {
            let mut request = [0; 4096];
            // This waits, as `Read` has it.
            let length = theirs.read(&mut request)?;
            assert!(request[..length].ends_with(b"\r\n\r\n"));
            let length = host.len();
            write!(
                theirs,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{host}"
            )
        });
        Ok(Box::new(ours))
    }

    fn resolves_names(&self) -> bool {
        true
    }
}

#[test]
fn a_server_inside_the_program_is_the_same_every_time() {
    // SPEC C9
    both(|builder| {
        let session = session_over(builder().force_close(true), Mock);
        for _ in 0..100 {
            let text = session.get("http://h.test/").send().unwrap().text();
            assert_eq!(text.unwrap(), "h.test");
        }
    });
}
