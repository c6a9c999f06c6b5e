//! IPv6 that leads nowhere, in a network namespace whose packet filter drops
//! what goes there: no simulation, and the kernel's own clock.

use std::env;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use miohttp::{Answer, Connector, Query, Resolve, Session, Timeout, Timeouts};

#[cfg(feature = "websocket")]
use crate::support::ws::{self, Handshake};
use crate::support::{Peer, interop, ok};

/// Set for the same test, inside the namespace.
const INSIDE: &str = "MIOHTTP_IN_A_BLACK_HOLE";
/// Set where networks of their own are to be had, so that no test passes there for
/// want of one.
const REQUIRED: &str = "MIOHTTP_BLACKHOLE_REQUIRED";
/// Of `blackhole.sh`.
const HOLE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// The delay between two attempts by default (RFC 8305 §5).
const DELAY: Duration = Duration::from_millis(250);
/// When the kernel knocks at the hole for the second time (RFC 6298 §2).
const SECOND_SYN: Duration = Duration::from_secs(1);
/// How often the race is run, until it is quick.
const TRIES: usize = 20;
/// The kernel gives a connection up after two minutes; this is far from that, and from
/// all delays here.
#[cfg(feature = "websocket")]
const SOON: Duration = Duration::from_secs(5);

#[test]
fn a_real_black_hole_costs_a_quarter_of_a_second() {
    // SPEC C27
    in_a_network_of_its_own("a_real_black_hole_costs_a_quarter_of_a_second", race);
}

/// Runs the test of this name, of this module, within the script, and there `body`.
fn in_a_network_of_its_own(name: &str, body: fn()) {
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/blackhole.sh");
    let done = Command::new(script)
        .arg(env::current_exe().unwrap())
        .arg(format!("blackhole::{name}"))
        .args(["--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let (said, wrong) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    if done.status.code() == Some(3) {
        return interop::skipped(REQUIRED, said.trim_end());
    }
    println!("{said}");
    assert!(done.status.success(), "{said}\n{wrong}");
    assert!(said.contains("1 passed"), "it ran: {said}");
}

/// Both families at once, and IPv6 first.
struct Dual;

impl Resolve for Dual {
    fn resolve(&self, _: &Query, answer: Answer) {
        answer.addresses([IpAddr::from(HOLE), IpAddr::from([127, 0, 0, 1])]);
    }
}

fn race() {
    let peer = Peer::serve(|_| ok("over IPv4"));
    for drives in [true, false] {
        let new = || {
            let builder = Connector::builder().resolver(Dual).caller_drives(drives);
            Session::builder().connector(builder.build()).build()
        };

        // It is a hole: neither refused nor answered.
        let hole = SocketAddr::from((HOLE, peer.port()));
        let limits = Timeouts::new().sock_connect(DELAY);
        let request = new().get(format!("http://{hole}/")).timeouts(limits);
        let error = request.send().unwrap_err();
        assert_eq!(error.timeout(), Some(Timeout::SockConnect), "{error:#}");

        // A busy machine makes it slower, and never quicker: once is enough.
        let quick = (1..=TRIES).find(|number| {
            let session = new();
            let [cold, again] = [false, true].map(|reused| {
                let start = Instant::now();
                let response = session.get(peer.url_for("dual.test", "/")).send().unwrap();
                let taken = start.elapsed();
                assert_eq!(response.remote_addr(), Some(peer.address()));
                assert_eq!(response.is_reused(), reused);
                assert_eq!(response.text().unwrap(), "over IPv4");
                taken
            });
            println!("{number}: {cold:?} beside a black hole on IPv6, then {again:?}");
            assert!(cold >= DELAY, "{cold:?}");
            cold < SECOND_SYN && again < DELAY
        });
        assert!(quick.is_some(), "none of {TRIES} was quick");
    }
}

#[cfg(feature = "websocket")]
#[test]
fn a_network_that_goes_away_is_found_by_a_heartbeat() {
    // SPEC W5
    in_a_network_of_its_own("a_network_that_goes_away_is_found_by_a_heartbeat", lose);
}

/// Nothing is refused and nothing closed: segments vanish, of a connection that is open.
#[cfg(feature = "websocket")]
fn lose() {
    let beat = Duration::from_millis(400);
    let peer = ws::start(Handshake::new(), |ws| ws.echo());
    let session = Session::new();
    let connect = || session.ws_connect(ws::url(&peer, "/")).heartbeat(beat);
    let sockets = [(); 3].map(|()| connect().connect().unwrap());
    for socket in &sockets {
        socket.send("hello").unwrap();
        assert_eq!(socket.recv().unwrap(), Some("hello".into()));
    }
    let rule = format!("add rule inet hole out tcp dport {} drop", peer.port());
    let path = env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let nft = Command::new("nft").arg(rule).env("PATH", path).status();
    assert!(nft.unwrap().success());
    let start = Instant::now();
    // What is sent now is lost, and nobody says so.
    sockets[1].send("is anybody there?").unwrap();
    // The last of them has nobody waiting, and is found all the same.
    for socket in &sockets {
        let error = socket.recv().unwrap_err();
        assert_eq!(error.timeout(), Some(Timeout::Heartbeat), "{error:#}");
        assert_eq!(socket.close_code(), Some(miohttp::CloseCode::ABNORMAL));
        assert_eq!(socket.recv().unwrap(), None);
    }
    let taken = start.elapsed();
    println!("a heartbeat of {beat:?} found a lost network: {taken:?}");
    assert!(taken >= beat && taken < SOON, "{taken:?}");
    // Nothing more is to be had of it: it is not waited for.
    assert!(!sockets[0].close(1000, "").unwrap());
    assert_eq!(session.connector().stats().in_use, 0);
}
