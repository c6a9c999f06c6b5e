//! What the system says of a socket after it was made.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::time::Duration;

use super::*;
use crate::net::Sockets;

fn listener(ip: impl Into<std::net::IpAddr>) -> (TcpListener, Address) {
    let listener = TcpListener::bind((ip.into(), 0)).expect("a loopback port");
    let address = listener.local_addr().expect("it has an address");
    (listener, Address::Tcp(address))
}

fn opened(address: &Address, sockets: &Sockets) -> io::Result<Socket> {
    open(&Destination {
        address,
        host: "host.test",
        port: 80,
        deadline: None,
        sockets,
    })
}

fn with(options: SocketOptions) -> Sockets {
    let mut sockets = Sockets::default();
    sockets.tune().options = options;
    sockets
}

#[test]
fn nodelay_is_on_unless_it_is_off() {
    // SPEC C29
    let (_listener, address) = listener(Ipv4Addr::LOCALHOST);
    for nodelay in [true, false] {
        let sockets = Sockets {
            nodelay,
            ..Sockets::default()
        };
        let socket = opened(&address, &sockets).unwrap();
        assert_eq!(socket.tcp_nodelay().unwrap(), nodelay);
    }
    let socket = opened(&address, &Sockets::default()).unwrap();
    assert!(socket.tcp_nodelay().unwrap() && socket.nonblocking().unwrap());
}

#[test]
fn options_reach_the_socket() {
    // SPEC C28
    let options = SocketOptions::new()
        .keepalive(Duration::from_millis(40_500))
        .keepalive_interval(Duration::from_secs(7))
        .keepalive_count(4)
        .send_buffer(50_000)
        .receive_buffer(60_000)
        .reuse_address(true)
        .traffic_class(0x28);
    for v6 in [false, true] {
        let (_listener, address) = match v6 {
            false => listener(Ipv4Addr::LOCALHOST),
            true => listener(Ipv6Addr::LOCALHOST),
        };
        let plain = opened(&address, &Sockets::default()).unwrap();
        assert!(!plain.keepalive().unwrap() && !plain.reuse_address().unwrap());
        let socket = opened(&address, &with(options.clone())).unwrap();
        assert!(socket.keepalive().unwrap() && socket.reuse_address().unwrap());
        assert_eq!(
            socket.tcp_keepalive_time().unwrap(),
            Duration::from_secs(41)
        );
        assert_eq!(
            socket.tcp_keepalive_interval().unwrap(),
            Duration::from_secs(7)
        );
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 4);
        // Linux doubles what it is given.
        assert!((50_000..=100_000).contains(&socket.send_buffer_size().unwrap()));
        assert!((60_000..=120_000).contains(&socket.recv_buffer_size().unwrap()));
        match v6 {
            false => assert_eq!(socket.tos_v4().unwrap(), 0x28),
            true => assert_eq!(socket.tclass_v6().unwrap(), 0x28),
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn options_of_linux_reach_the_socket() {
    // SPEC C28
    let (_listener, address) = listener(Ipv4Addr::LOCALHOST);
    let options = SocketOptions::new().user_timeout(Duration::from_micros(2_500_500));
    let socket = opened(&address, &with(options)).unwrap();
    let timeout = socket.tcp_user_timeout().unwrap();
    assert_eq!(timeout, Some(Duration::from_millis(2501)));
    match opened(&address, &with(SocketOptions::new().mark(17))) {
        Ok(socket) => assert_eq!(socket.mark().unwrap(), 17),
        // It takes a privilege.
        Err(error) => assert_eq!(error.to_string(), "cannot set SO_MARK"),
    }
    let mut sockets = Sockets::default();
    sockets.tune().interface = Some("lo".into());
    match opened(&address, &sockets) {
        Ok(socket) => assert_eq!(socket.device().unwrap().as_deref(), Some(&b"lo"[..])),
        Err(error) => assert!(error.to_string().contains("interface \"lo\"")),
    }
}

#[test]
fn a_socket_is_bound_to_the_address_of_its_family() {
    // SPEC C26
    let mut sockets = Sockets::default();
    sockets.tune().v4 = Some(std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));
    let (_v4, address) = listener(Ipv4Addr::LOCALHOST);
    let socket = opened(&address, &sockets).unwrap();
    let local = socket.local_addr().unwrap().as_socket().unwrap();
    assert!(local.ip() == Ipv4Addr::LOCALHOST && local.port() != 0);
    let (_v6, address) = listener(Ipv6Addr::LOCALHOST);
    let error = opened(&address, &sockets).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    assert_eq!(sockets.families(), (true, false));
    assert_eq!(Sockets::default().families(), (true, true));
}

#[test]
fn options_of_tcp_are_not_for_unix_sockets() {
    // SPEC C28, U1
    let folder = std::env::temp_dir().join(format!("miohttp-s{}", std::process::id()));
    let _ = std::fs::remove_file(&folder);
    let listener = std::os::unix::net::UnixListener::bind(&folder).expect("a listener");
    let options = SocketOptions::new()
        .keepalive(Duration::ZERO)
        .mark(1)
        .send_buffer(50_000);
    let mut sockets = with(options);
    sockets.tune().interface = Some("no-such-one".into());
    let socket = opened(&Address::Unix((&folder).into()), &sockets);
    let _ = std::fs::remove_file(&folder);
    assert!((50_000..=100_000).contains(&socket.unwrap().send_buffer_size().unwrap()));
    drop(listener);
}
