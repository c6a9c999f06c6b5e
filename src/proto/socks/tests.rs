//! SOCKS, by tables; each also with the replies cut at every byte.

use super::*;
use crate::proto::h1::Limits;
use crate::proto::tunnel::tests::{Outcome, talk_in_pieces};

const V4: Octets = Octets::V4([192, 0, 2, 7]);
const V6: Octets = Octets::V6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);

fn goal(host: &str, address: Option<Octets>) -> Goal<'_> {
    Goal {
        host,
        port: 443,
        address,
        authorization: None,
        limits: Limits::default(),
    }
}

fn ask4(goal: &Goal<'_>, user: &[u8]) -> Result<Vec<u8>, SocksFault> {
    let mut out = Vec::new();
    Socks4::begin(goal, user, &mut out).map(|_| out)
}

/// The greeting, and what is said behind an answer that opens everything.
fn ask5(goal: &Goal<'_>, login: Option<(&[u8], &[u8])>) -> Result<Vec<u8>, SocksFault> {
    let mut out = Vec::new();
    let mut dialog = Socks5::begin(goal, login, &mut out)?;
    let answer: &[u8] = match login {
        None => &[5, 0],
        Some(_) => &[5, 2, 1, 0],
    };
    dialog
        .receive(&mut BytesMut::from(answer), &mut out)
        .unwrap();
    Ok(out)
}

#[test]
fn what_a_socks4_proxy_is_asked() {
    // SPEC X1
    let asked = ask4(&goal("192.0.2.7", Some(V4)), b"me").unwrap();
    assert_eq!(asked, b"\x04\x01\x01\xbb\xc0\x00\x02\x07me\0");
    let asked = ask4(&goal("192.0.2.7", Some(V4)), b"").unwrap();
    assert_eq!(asked, b"\x04\x01\x01\xbb\xc0\x00\x02\x07\0");
    // 4a
    let asked = ask4(&goal("h.test", None), b"me").unwrap();
    assert_eq!(asked, b"\x04\x01\x01\xbb\0\0\0\x01me\0h.test\0");

    let refused = |goal: &Goal<'_>, user: &[u8]| ask4(goal, user).unwrap_err();
    assert_eq!(refused(&goal("::1", Some(V6)), b""), SocksFault::NoIpv6);
    assert_eq!(refused(&goal("h", None), b"a\0b"), SocksFault::Unspeakable);
    assert_eq!(
        refused(&goal("h", None), &[b'a'; 256]),
        SocksFault::Unspeakable
    );
    assert_eq!(refused(&goal("", None), b""), SocksFault::Name);
    // What says in 4a that a name follows is no address there.
    for last in [1, 255] {
        let address = Some(Octets::V4([0, 0, 0, last]));
        assert_eq!(refused(&goal("0.0.0.1", address), b""), SocksFault::Name);
    }
    ask4(&goal("0.0.0.0", Some(Octets::V4([0; 4]))), b"").unwrap();
    assert_eq!(refused(&goal("a\0b", None), b""), SocksFault::Name);
    assert_eq!(
        refused(&goal(&"h".repeat(256), None), b""),
        SocksFault::Name
    );
}

#[test]
fn what_a_socks5_proxy_is_asked() {
    // SPEC X1, X3: RFC 1928, RFC 1929
    let asked = ask5(&goal("h.test", None), None).unwrap();
    assert_eq!(asked, b"\x05\x01\0\x05\x01\0\x03\x06h.test\x01\xbb");
    let asked = ask5(&goal("192.0.2.7", Some(V4)), None).unwrap();
    assert_eq!(asked, b"\x05\x01\0\x05\x01\0\x01\xc0\0\x02\x07\x01\xbb");
    let asked = ask5(&goal("2001:db8::7", Some(V6)), None).unwrap();
    assert_eq!(
        asked,
        b"\x05\x01\0\x05\x01\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x01\xbb"
    );
    let asked = ask5(&goal("h.test", None), Some((b"me", b"secret"))).unwrap();
    assert_eq!(
        asked,
        b"\x05\x02\0\x02\x01\x02me\x06secret\x05\x01\0\x03\x06h.test\x01\xbb"
    );
    let longest = "h".repeat(255);
    let asked = ask5(&goal(&longest, None), Some((&[b'u'; 255], b""))).unwrap();
    assert!(
        asked
            .windows(257)
            .any(|part| part[0] == 255 && &part[1..256] == longest.as_bytes())
    );

    let refused = |goal: &Goal<'_>, login| ask5(goal, login).unwrap_err();
    assert_eq!(
        refused(&goal(&"h".repeat(256), None), None),
        SocksFault::Name
    );
    let long: (&[u8], &[u8]) = (&[b'u'; 256], b"");
    assert_eq!(
        refused(&goal("h", None), Some(long)),
        SocksFault::Unspeakable
    );
    let long: (&[u8], &[u8]) = (b"", &[b'u'; 256]);
    assert_eq!(
        refused(&goal("h", None), Some(long)),
        SocksFault::Unspeakable
    );
}

fn socks4(out: &mut Vec<u8>) -> Box<dyn Dialog> {
    Box::new(Socks4::begin(&goal("h.test", None), b"", out).unwrap())
}

fn socks5(out: &mut Vec<u8>) -> Box<dyn Dialog> {
    Box::new(Socks5::begin(&goal("h.test", None), None, out).unwrap())
}

fn with_login(out: &mut Vec<u8>) -> Box<dyn Dialog> {
    let login: (&[u8], &[u8]) = (b"me", b"secret");
    Box::new(Socks5::begin(&goal("h.test", None), Some(login), out).unwrap())
}

type Begin = fn(&mut Vec<u8>) -> Box<dyn Dialog>;

#[test]
fn a_granted_connection_begins_right_behind_the_reply() {
    let name = [&b"\x05\0\x05\0\0\x03\x05abcde\0\x50"[..], b"rest"].concat();
    let long = [&b"\x05\0\x05\0\0\x03\xff"[..], &[b'x'; 255], b"\0\x50rest"].concat();
    let cases: [(Begin, &[u8]); 9] = [
        (socks4, b"\0\x5a\0\0\0\0\0\0rest"),
        // What stands where the address would be is nobody's business.
        (socks4, b"\0\x5a\xff\xff\xff\xff\xff\xffrest"),
        (socks5, b"\x05\0\x05\0\0\x01\x7f\0\0\x01\0\x50rest"),
        (
            socks5,
            b"\x05\0\x05\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50rest",
        ),
        (socks5, &name),
        (socks5, &long),
        (socks5, b"\x05\0\x05\0\0\x03\0\0\x50rest"),
        (with_login, b"\x05\x02\x01\0\x05\0\0\x01\0\0\0\0\0\0rest"),
        // It may do without the login it was offered.
        (with_login, b"\x05\0\x05\0\0\x01\0\0\0\0\0\0rest"),
    ];
    for (begin, reply) in cases {
        match talk_in_pieces(begin, reply, false) {
            Outcome::Open(None, rest) => assert_eq!(rest, b"rest", "{reply:?}"),
            other => panic!("{reply:?} gave {other:?}"),
        }
    }
}

#[test]
fn lies_and_refusals_are_told_at_once() {
    // SPEC X4
    use SocksFault::*;
    let cases: [(Begin, &[u8], SocksFault); 22] = [
        (socks4, b"\0\x5b", Refused4(91)),
        (socks4, b"\0\x5c\0\0\0\0\0\0", Refused4(92)),
        (socks4, b"\0\x5d", Refused4(93)),
        (socks4, b"\0\0", Refused4(0)),
        (socks4, b"\x04", Version(4)),
        (socks4, b"HTTP/1.1 400 Bad\r\n\r\n", Version(b'H')),
        (socks5, b"H", Version(b'H')),
        (socks5, b"\x04\0", Version(4)),
        (socks5, b"\x05\xff", NoMethod { login: false }),
        (with_login, b"\x05\xff", NoMethod { login: true }),
        (socks5, b"\x05\x02", MethodNotOffered(2)),
        (with_login, b"\x05\x01", MethodNotOffered(1)),
        (with_login, b"\x05\x02\x01\x01", Login(1)),
        (with_login, b"\x05\x02\x05", Version(5)),
        (socks5, b"\x05\0\x05\x01", Refused5(1)),
        (socks5, b"\x05\0\x05\x02\0\x01", Refused5(2)),
        (socks5, b"\x05\0\x05\x05", Refused5(5)),
        (socks5, b"\x05\0\x05\x08", Refused5(8)),
        (socks5, b"\x05\0\x05\x63", Refused5(99)),
        (socks5, b"\x05\0\x04", Version(4)),
        (socks5, b"\x05\0\x05\0\0\x02", AddressType(2)),
        (socks5, b"\x05\0\x05\0\0\0", AddressType(0)),
    ];
    for (begin, reply, expected) in cases {
        match talk_in_pieces(begin, reply, false) {
            Outcome::Failed(ProxyFault::Socks(fault)) => assert_eq!(fault, expected),
            other => panic!("{reply:?} gave {other:?}"),
        }
    }
}

#[test]
fn every_cut_short_reply_is_a_disconnection() {
    let cases: [(Begin, &[u8]); 4] = [
        (socks4, b"\0\x5a\0\0\0\0\0"),
        (socks5, b"\x05\0\x05\0\0\x03\x05abcde\0"),
        (
            socks5,
            b"\x05\0\x05\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0",
        ),
        (with_login, b"\x05\x02\x01\0\x05\0\0\x01\0\0\0\0\0"),
    ];
    for (begin, reply) in cases {
        for length in 0..=reply.len() {
            assert!(matches!(
                talk_in_pieces(begin, &reply[..length], false),
                Outcome::Waits(_)
            ));
            match talk_in_pieces(begin, &reply[..length], true) {
                Outcome::Failed(ProxyFault::Socks(SocksFault::Disconnected)) => {}
                other => panic!("{length} bytes of {reply:?} gave {other:?}"),
            }
        }
    }
}

/// A password is told to a proxy that asks for it, and to no other.
#[test]
fn the_login_waits_until_it_is_asked_for() {
    // SPEC X3
    let said = |reply: &[u8]| match talk_in_pieces(with_login, reply, false) {
        Outcome::Waits(out) => out,
        other => panic!("{other:?}"),
    };
    let has_password = |out: &[u8]| out.windows(6).any(|part| part == b"secret");
    assert!(!has_password(&said(b"")));
    assert!(!has_password(&said(b"\x05\0")));
    assert!(has_password(&said(b"\x05\x02")));
    let mut out = Vec::new();
    assert!(!format!("{:?}", with_login(&mut out)).contains("secret"));
}

/// The words differ, and say who is at fault.
#[test]
fn faults_are_told_apart() {
    use SocksFault::*;
    let faults = (0..=9).map(Refused5).chain((91..=94).map(Refused4)).chain([
        Version(1),
        MethodNotOffered(3),
        NoMethod { login: true },
        NoMethod { login: false },
        Login(1),
        AddressType(9),
        Disconnected,
        NoIpv6,
        Name,
        Unspeakable,
    ]);
    let mut seen = std::collections::HashSet::new();
    for fault in faults {
        assert!(seen.insert(fault.to_string()), "{fault:?}");
    }
    assert!(Refused5(4).may_pass() && !Refused5(2).may_pass() && !Login(1).may_pass());
    assert!(Refused5(2).is_refusal() && !Version(4).is_refusal() && !Disconnected.is_refusal());
}
