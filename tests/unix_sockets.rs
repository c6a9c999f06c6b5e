//! Connections over Unix sockets: by path and by abstract name, plain and under
//! TLS, and what goes wrong with them. Every story is told with the caller and
//! with the reactor driving.
#![cfg(unix)]

mod support;

use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use miohttp::{Connector, ConnectorBuilder, Kind, Phase, Session, Timeout, Timeouts, UnixAddress};
use support::unix::{Folder, listen};
use support::{Peer, WATCHDOG, ok};

/// Tells a story with either driver.
fn both(story: impl Fn(ConnectorBuilder)) {
    for drives in [true, false] {
        story(Connector::builder().caller_drives(drives));
    }
}

fn session_of(connector: &Connector) -> Session {
    Session::builder().connector(connector.clone()).build()
}

#[test]
fn requests_go_to_the_socket_and_name_their_host() {
    // SPEC U1, C6: the URL's host is that of `Host`, whatever it is.
    both(|builder| {
        let peer = Peer::serve(|request| ok(request.header("host").unwrap_or_default()));
        let folder = Folder::new();
        let path = folder.join("a");
        listen(&path, &peer);
        let connector = builder.unix_socket(&path).build();
        assert_eq!(connector.path(), Some(&*path));
        let session = session_of(&connector);
        let hosts = [
            "one.test",
            "two.test:8080",
            "10.1.2.3",
            "[::1]:81",
            "one.test",
        ];
        for host in hosts {
            let response = session.get(format!("http://{host}/x")).send().unwrap();
            assert_eq!(
                (response.remote_addr(), response.local_addr()),
                (None, None)
            );
            assert_eq!(response.text().unwrap(), host);
        }
        let started = session.get("http://one.test/").start_send().wait().unwrap();
        assert_eq!(started.text().unwrap(), "one.test");
        // Hosts do not share connections, though they lead to one socket.
        assert_eq!((connector.stats().opened, connector.stats().reused), (4, 2));
        assert_eq!(Connector::new().path(), None);
    });
}

#[test]
fn a_connector_is_made_of_a_path() {
    let peer = Peer::serve(|_| ok("there"));
    let folder = Folder::new();
    let path = folder.join("b");
    listen(&path, &peer);
    let connector = Connector::unix(path.to_str().expect("UTF-8"));
    let session = session_of(&connector);
    assert_eq!(
        session.get("http://h/").send().unwrap().text().unwrap(),
        "there"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn an_abstract_name_is_no_file() {
    // SPEC U1
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    both(|builder| {
        let peer = Peer::serve(|_| ok("abstractly"));
        let folder = Folder::new();
        // Any byte may be part of it, and its end is its length.
        let name = [
            folder.join("").to_str().expect("UTF-8").as_bytes(),
            b"\0n\xff\0",
        ]
        .concat();
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let listener = UnixListener::bind_addr(&address).expect("a unix listener");
        support::unix::lead(listener, &peer);
        let connector = builder
            .unix_socket(UnixAddress::abstract_name(&name))
            .build();
        let session = session_of(&connector);
        let text = session.get("http://h/").send().unwrap().text().unwrap();
        assert_eq!(text, "abstractly");

        let nobody = Connector::unix(UnixAddress::abstract_name("miohttp has no such name"));
        let error = session_of(&nobody).get("http://h/").send().unwrap_err();
        assert_eq!(error.kind(), Kind::Connect);
        assert_eq!(error.path(), Some(Path::new("@miohttp has no such name")));
    });
}

#[cfg(feature = "tls")]
#[test]
fn https_over_it_proves_the_urls_host() {
    // SPEC U1
    use miohttp::TlsConfig;
    use support::{Certificate, TlsOptions};

    both(|builder| {
        let peer = Peer::serve_tls(TlsOptions::new(Certificate::Good), |request| {
            ok(request.header("host").unwrap_or_default())
        });
        let folder = Folder::new();
        let path = folder.join("tls");
        listen(&path, &peer);
        let roots = TlsConfig::new().add_root_pem(support::tls::ca_pem().as_bytes());
        let connector = builder
            .unix_socket(&path)
            .tls(roots.expect("a root"))
            .build();
        let session = session_of(&connector);
        let response = session.get("https://localhost/").send().unwrap();
        assert_eq!(
            response.tls_info().map(|tls| tls.server_name()),
            Some("localhost")
        );
        assert_eq!(response.text().unwrap(), "localhost");
        let error = session.get("https://elsewhere.test/").send().unwrap_err();
        assert_eq!(
            (error.kind(), error.path()),
            (Kind::Certificate, Some(&*path))
        );
    });
}

#[test]
fn a_socket_that_is_not_there_is_an_error_with_its_path() {
    // SPEC U1, E1
    both(|builder| {
        let folder = Folder::new();
        let (missing, deaf, file) = (
            folder.join("missing"),
            folder.join("deaf"),
            folder.join("f"),
        );
        // A file of a socket that nobody listens on any more.
        drop(UnixListener::bind(&deaf).expect("a unix listener"));
        std::fs::write(&file, "").expect("a file");
        let cases = [
            (&missing, io::ErrorKind::NotFound),
            (&deaf, io::ErrorKind::ConnectionRefused),
            (&file, io::ErrorKind::ConnectionRefused),
        ];
        // The builder is for one connector; what drives it is all it says.
        let drives = builder.build().caller_drives();
        for (path, cause) in cases {
            let builder = Connector::builder().caller_drives(drives);
            let connector = builder.unix_socket(path).build();
            let session = session_of(&connector);
            let error = session.get("http://user:secret@h/").send().unwrap_err();
            assert_eq!(
                (error.kind(), error.phase()),
                (Kind::Connect, Some(Phase::Connect))
            );
            assert_eq!((error.path(), error.peer()), (Some(&**path), None));
            assert!(error.is_connect() && error.is_retryable());
            let source = std::error::Error::source(&error).expect("a cause");
            let source = source.downcast_ref::<io::Error>().expect("the system's");
            assert_eq!(source.kind(), cause);
            let text = format!("{error:#}");
            assert!(
                text.contains(path.to_str().unwrap()) && !text.contains("secret"),
                "{text}"
            );
            assert_eq!(connector.stats().in_use, 0);
        }
    });
}

#[test]
fn what_cannot_be_an_address_is_told_at_the_verb() {
    // SPEC U1
    let long = "x".repeat(200);
    let cases: [(UnixAddress, &str); 6] = [
        ("".into(), "empty"),
        (UnixAddress::abstract_name(""), "empty"),
        ("/run/a\0b".into(), "NUL"),
        ("\0name".into(), "NUL"),
        (PathBuf::from(&long).into(), "too long"),
        (UnixAddress::abstract_name(&long), "too long"),
    ];
    for (address, what) in cases {
        let connector = Connector::unix(address);
        let session = session_of(&connector);
        for _ in 0..2 {
            let sent = session.get("http://h/").send().unwrap_err();
            let started = session.get("http://h/").start_send().wait().unwrap_err();
            for error in [sent, started] {
                assert_eq!(error.kind(), Kind::InvalidRequest, "{what}");
                let text = error.to_string();
                let is_told = text.contains(what) || !cfg!(target_os = "linux");
                assert!(is_told && !text.contains('\0'), "{text}");
            }
        }
    }
    // The longest that fits, where nobody listens.
    let fits = format!("/{}", "x".repeat(102));
    let error = session_of(&Connector::unix(fits))
        .get("http://h/")
        .send()
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Connect);
}

/// A listener whose queue is full, and the connections that fill it.
#[cfg(target_os = "linux")]
fn full(path: &Path) -> (socket2::Socket, Vec<socket2::Socket>) {
    use socket2::{Domain, SockAddr, Socket, Type};

    let address = SockAddr::unix(path).expect("a path");
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    listener.bind(&address).expect("a path that is free");
    listener.listen(0).expect("a socket that listens");
    let mut fillers = Vec::new();
    loop {
        let filler = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
        filler.set_nonblocking(true).expect("a socket");
        match filler.connect(&address) {
            Ok(()) => fillers.push(filler),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                return (listener, fillers);
            }
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_queue_is_waited_for() {
    // SPEC U1: nothing tells when there is room.
    both(|builder| {
        let folder = Folder::new();
        let path = folder.join("full");
        let (listener, fillers) = full(&path);
        let connector = builder.unix_socket(&path).build();
        let session = session_of(&connector);
        let limit = Duration::from_millis(60);
        let timeouts = Timeouts::new().sock_connect(limit).connect(WATCHDOG);
        let start = Instant::now();
        let get = session.get("http://h/").timeouts(timeouts);
        let error = get.send().unwrap_err();
        assert!(start.elapsed() >= limit);
        assert_eq!(error.timeout(), Some(Timeout::SockConnect), "{error:#}");
        assert_eq!(
            (error.path(), error.phase()),
            (Some(&*path), Some(Phase::Connect))
        );
        assert_eq!(connector.stats().in_use, 0);
        // And then somebody accepts.
        let waiting: Vec<_> = (0..2)
            .map(|_| session.get("http://h/").start_send())
            .collect();
        let peer = Peer::serve(|_| ok("at last"));
        let address = peer.address();
        let filled = fillers.len();
        drop(fillers);
        // It ends with the process.
        std::thread::spawn(move || {
            for n in 0.. {
                let (socket, _) = listener.accept().expect("a connection");
                // Those that filled the queue are closed by now.
                if n >= filled {
                    support::unix::join(std::os::fd::OwnedFd::from(socket).into(), address);
                }
            }
        });
        let text = session.get("http://h/").send().unwrap().text().unwrap();
        assert_eq!(text, "at last");
        for pending in waiting {
            assert_eq!(pending.wait().unwrap().text().unwrap(), "at last");
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_wait_for_room_can_be_cancelled_and_closed() {
    // SPEC U1, C7
    both(|builder| {
        let folder = Folder::new();
        let path = folder.join("full");
        let (_listener, _fillers) = full(&path);
        let connector = builder.unix_socket(&path).build();
        let session = session_of(&connector);
        let pending = session.get("http://h/").start_send();
        pending.cancel_handle().cancel();
        assert_eq!(pending.wait().unwrap_err().kind(), Kind::Cancelled);
        std::thread::scope(|scope| {
            let blocked = scope.spawn(|| session.get("http://h/").send());
            let start = Instant::now();
            while connector.stats().in_use == 0 {
                assert!(start.elapsed() < WATCHDOG, "nobody dials");
                std::thread::yield_now();
            }
            connector.close();
            assert_eq!(blocked.join().unwrap().unwrap_err().kind(), Kind::Closed);
        });
        assert_eq!(connector.stats().in_use, 0);
    });
}
