//! Which rule counts, and how hosts may be spelt.

use super::*;

fn peers(text: &str) -> Vec<SocketAddr> {
    let peers = text.split_whitespace();
    peers.map(|peer| peer.parse().unwrap()).collect()
}

fn found(overrides: &Overrides, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
    overrides.find(host, port)
}

#[test]
fn the_narrowest_rule_counts() {
    let mut o = Overrides::new();
    o.set("*", None, peers("10.0.0.1:0"));
    o.set("*", Some(81), peers("10.0.0.2:0"));
    o.set("a.test", None, peers("10.0.0.3:0 [::3]:0"));
    o.set("a.test", Some(81), peers("10.0.0.9:0"));
    o.set("a.test", Some(81), peers("10.0.0.4:8080"));
    for (host, port, to) in [
        ("a.test", 81, "10.0.0.4:8080"),
        ("a.test", 80, "10.0.0.3:80 [::3]:80"),
        ("b.test", 81, "10.0.0.2:81"),
        ("b.test", 80, "10.0.0.1:80"),
        ("192.0.2.1", 80, "10.0.0.1:80"),
    ] {
        assert_eq!(found(&o, host, port), Some(peers(to)), "{host} {port}");
    }
    o.set("gone.test", None, []);
    assert_eq!(found(&o, "gone.test", 1), Some(Vec::new()));
}

#[test]
fn only_what_is_said() {
    let mut o = Overrides::new();
    o.set("a.test", Some(443), peers("10.0.0.1:0"));
    for (host, port) in [("a.test", 80), ("b.a.test", 443), ("test", 443), ("", 443)] {
        assert_eq!(found(&o, host, port), None, "{host} {port}");
    }
}

/// Hosts come as a URL has them: in lower case, and with addresses rewritten.
#[test]
fn spellings() {
    for (said, asked) in [
        ("A.Test", "a.test"),
        ("a.test.", "a.test"),
        ("a.test", "a.test."),
        ("bücher.test", "xn--bcher-kva.test"),
        ("10.0.0.1", "10.0.0.1"),
        ("0xa.1", "10.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("[0:0::0001]", "::1"),
        ("::ffff:127.0.0.1", "::ffff:7f00:1"),
        ("domain..test", "domain..test"),
        ("localhost", "localhost"),
    ] {
        let mut o = Overrides::new();
        o.set(said, None, peers("192.0.2.1:7"));
        assert_eq!(found(&o, asked, 80), Some(peers("192.0.2.1:7")), "{said}");
    }
}

#[test]
fn what_is_no_host() {
    for bad in [
        "",
        ".",
        "a b",
        "[::1",
        "a.test:80",
        "http://a.test",
        "1.2.3.4.5",
        "a/b",
    ] {
        let mut o = Overrides::new();
        o.set(bad, None, peers("192.0.2.1:7"));
        o.set("a.test", None, peers("192.0.2.1:7"));
        assert_eq!(o.mistake(), Some(bad));
    }
}
