//! CONNECT, by tables; each also with the reply cut at every byte.

use http::HeaderValue;

use super::*;
use crate::proto::h1::Limits;
use crate::proto::tunnel::tests::{Outcome, talk_in_pieces};
use crate::proto::{HeadFault, HeadLimit};

fn goal<'a>(host: &'a str, port: u16) -> Goal<'a> {
    Goal {
        host,
        port,
        address: None,
        authorization: None,
        limits: Limits::default(),
    }
}

fn asked(goal: &Goal<'_>, fields: &[(&'static str, &'static str)]) -> String {
    let mut list = Fields::default();
    for (name, value) in fields {
        list.append_static(name, value);
    }
    let mut out = Vec::new();
    Connect::begin(goal, &list, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn the_request_has_nothing_but_what_is_the_proxys() {
    // SPEC X2, X5, H10
    let cases = [
        ("example.com", 443, "example.com:443"),
        ("example.com", 80, "example.com:80"),
        ("xn--bcher-kva.example", 8443, "xn--bcher-kva.example:8443"),
        ("192.0.2.7", 443, "192.0.2.7:443"),
        ("2001:db8::7", 443, "[2001:db8::7]:443"),
    ];
    for (host, port, authority) in cases {
        assert_eq!(
            asked(&goal(host, port), &[]),
            format!("CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n\r\n")
        );
    }
    let fields = [
        ("proxy-authorization", "Basic dTpw"),
        ("x-tenant", "7"),
        ("host", "elsewhere.test"),
    ];
    assert_eq!(
        asked(&goal("h.test", 443), &fields),
        "CONNECT h.test:443 HTTP/1.1\r\nhost: h.test:443\r\n\
         proxy-authorization: Basic dTpw\r\nx-tenant: 7\r\n\r\n"
    );
    // What this one exchange answers goes in the place of what all say.
    let digest = HeaderValue::from_static("Digest x");
    let goal = Goal {
        authorization: Some(&digest),
        ..goal("h.test", 443)
    };
    assert_eq!(
        asked(&goal, &fields),
        "CONNECT h.test:443 HTTP/1.1\r\nhost: h.test:443\r\nx-tenant: 7\r\n\
         proxy-authorization: Digest x\r\n\r\n"
    );
}

/// What comes of a reply, whole and cut at every byte. `end`: the proxy closes
/// behind it, or nobody waits any longer.
fn replied(reply: impl AsRef<[u8]>, end: bool) -> Outcome {
    let begin = |out: &mut Vec<u8>| {
        let dialog = Connect::begin(&goal("h.test", 443), &Fields::default(), out);
        Box::new(dialog) as Box<dyn Dialog>
    };
    talk_in_pieces(begin, reply.as_ref(), end)
}

#[track_caller]
fn opens(reply: &str, status: u16, rest: &str) {
    match replied(reply, false) {
        Outcome::Open(Some(head), left) => {
            assert_eq!(head.status().as_u16(), status);
            assert_eq!(left, rest.as_bytes(), "{reply:?}");
        }
        other => panic!("{reply:?} gave {other:?}"),
    }
}

#[test]
fn any_2xx_opens_the_tunnel_right_behind_its_head() {
    // SPEC X4: RFC 9110 §9.3.6 has a length in it ignored.
    opens("HTTP/1.1 200 OK\r\n\r\n", 200, "");
    opens(
        "HTTP/1.0 200 Connection established\r\n\r\n\x16\x03\x01",
        200,
        "\x16\x03\x01",
    );
    opens("HTTP/1.1 204 None\r\n\r\nrest", 204, "rest");
    opens("HTTP/1.1 299 Odd\r\n\r\n", 299, "");
    opens(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        200,
        "hello",
    );
    opens(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n0\r\n\r\n",
        200,
        "0\r\n\r\n",
    );
    // SPEC R38: a bare LF ends a line of a head.
    opens("HTTP/1.1 200 OK\nVia: x\n\nrest", 200, "rest");
}

#[test]
fn informational_replies_are_skipped_to_a_limit() {
    let hint = "HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n";
    opens(&format!("{hint}{hint}HTTP/1.1 200 OK\r\n\r\nx"), 200, "x");
    let begin = |out: &mut Vec<u8>| {
        let dialog = Connect::begin(&goal("h.test", 443), &Fields::default(), out);
        Box::new(dialog) as Box<dyn Dialog>
    };
    let endless = "HTTP/1.1 100 Go\r\n\r\n".repeat(100);
    match crate::proto::tunnel::tests::talk(begin, [endless.as_bytes()], false) {
        Outcome::Failed(ProxyFault::Http(Fault::BadHead(fault))) => {
            assert_eq!(fault, HeadFault::TooManyInformational);
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refuses(reply: &str, end: bool, status: u16, body: &str) {
    match replied(reply, end) {
        Outcome::Failed(ProxyFault::Refused(refusal)) => {
            assert_eq!(refusal.head.status().as_u16(), status);
            assert_eq!(refusal.body, body.as_bytes(), "{reply:?}");
        }
        other => panic!("{reply:?} gave {other:?}"),
    }
}

#[test]
fn another_status_is_a_refusal_with_its_body() {
    // SPEC X4
    refuses(
        "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 4\r\n\r\ntold",
        false,
        407,
        "told",
    );
    refuses(
        "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
        false,
        403,
        "",
    );
    refuses(
        "HTTP/1.1 502 Bad\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
        false,
        502,
        "no",
    );
    refuses(
        "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        false,
        302,
        "",
    );
    // Only the end ends it, or nobody waits for more.
    refuses("HTTP/1.0 503 No\r\n\r\nlater", true, 503, "later");
    refuses(
        "HTTP/1.1 407 No\r\nContent-Length: 90\r\n\r\npart",
        true,
        407,
        "part",
    );
    refuses(
        "HTTP/1.1 407 No\r\nContent-Length: 90\r\n\r\n",
        true,
        407,
        "",
    );
    // Damage behind the status does not hide the status.
    refuses(
        "HTTP/1.1 407 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nnozz",
        true,
        407,
        "no",
    );
}

#[test]
fn a_long_refusal_is_cut() {
    let body = "x".repeat(100_000);
    let begin = |out: &mut Vec<u8>| {
        let dialog = Connect::begin(&goal("h.test", 443), &Fields::default(), out);
        Box::new(dialog) as Box<dyn Dialog>
    };
    let reply = format!("HTTP/1.1 403 No\r\nContent-Length: 100000\r\n\r\n{body}");
    let pieces = reply.as_bytes().chunks(1000);
    match crate::proto::tunnel::tests::talk(begin, pieces, false) {
        Outcome::Failed(ProxyFault::Refused(refusal)) => {
            assert_eq!(refusal.body, body.as_bytes()[..MAX_BODY]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_reply_is_a_fault_at_once() {
    // SPEC X4
    let fault = |reply: &str, end| match replied(reply, end) {
        Outcome::Failed(ProxyFault::Http(fault)) => fault,
        other => panic!("{reply:?} gave {other:?}"),
    };
    assert!(matches!(
        fault("SSH-2.0-OpenSSH\r\n", false),
        Fault::NotHttp { .. }
    ));
    assert!(matches!(fault("\x05\x00", false), Fault::NotHttp { .. }));
    assert_eq!(
        fault("HTTP/1.1 wat\r\n\r\n", false),
        Fault::BadHead(HeadFault::StatusLine)
    );
    assert_eq!(
        fault("HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", false),
        Fault::BadHead(HeadFault::UnaskedUpgrade)
    );
    let long = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(9000));
    assert!(matches!(
        fault(&long, false),
        Fault::HeadTooLarge {
            limit: HeadLimit::Field,
            ..
        }
    ));
    assert_eq!(fault("", true), Fault::Disconnected { partial: false });
    assert_eq!(
        fault("HTTP/1.1 2", true),
        Fault::Disconnected { partial: true }
    );
}

/// Asked for or not, another protocol with the proxy itself is no tunnel.
#[test]
fn a_101_is_no_tunnel() {
    let begin = |out: &mut Vec<u8>| {
        let mut fields = Fields::default();
        fields.append_static("upgrade", "other");
        Box::new(Connect::begin(&goal("h.test", 443), &fields, out)) as Box<dyn Dialog>
    };
    let reply = b"HTTP/1.1 101 Switching\r\nUpgrade: other\r\n\r\nxyz";
    match talk_in_pieces(begin, reply, false) {
        Outcome::Failed(ProxyFault::Refused(refusal)) => {
            assert_eq!(refusal.head.status().as_u16(), 101);
        }
        other => panic!("{other:?}"),
    }
}
