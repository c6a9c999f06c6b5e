use super::*;

const DAY: u64 = 86_400;

#[test]
fn what_a_host_says_holds_for_the_time_it_names() {
    let hsts = HstsStore::new();
    hsts.note_at("a.test", b"max-age=100; includeSubDomains", 1000);
    for (host, at, want) in [
        ("a.test", 1000, true),
        ("b.a.test", 1099, true),
        ("a.test.", 1099, true),
        ("a.test", 1100, false),
        ("test", 1000, false),
    ] {
        assert_eq!(hsts.covers_at(host, at), want, "{host} {at}");
    }
    // Each word counts from when it came, and replaces the one before.
    hsts.note_at("a.test", b"max-age=100", 1050);
    assert!(hsts.covers_at("a.test", 1149) && !hsts.covers_at("b.a.test", 1050));
    // What breaks a rule changes nothing.
    hsts.note_at("a.test", b"max-age=0; max-age=0", 1051);
    assert!(hsts.covers_at("a.test", 1149));
    hsts.note_at("a.test", b"max-age=0", 1051);
    assert!(!hsts.covers_at("a.test", 1051));
    hsts.note_at("a.test", b"max-age=99999999999999999999", 1051);
    assert!(hsts.covers_at("a.test", FAR - 1));
}

#[test]
fn clones_are_one_store() {
    let hsts = HstsStore::new();
    let other = hsts.clone();
    assert!(other.insert("B\u{fc}cher.test.", Duration::from_secs(DAY), false));
    assert!(hsts.contains("xn--bcher-kva.test") && !hsts.contains("a.b\u{fc}cher.test"));
    assert!(format!("{hsts:?}").contains("hosts: 1"));
    assert!(!format!("{hsts:?}").contains("test"));
    assert!(hsts.remove("xn--bcher-kva.test") && other.is_empty());
    assert!(other.insert("a.test", Duration::MAX, true));
    assert_eq!(hsts.len(), 1);
    hsts.clear();
    assert!(!other.contains("a.test"));
}

#[test]
fn what_is_no_name_is_not_kept() {
    let hsts = HstsStore::new();
    for host in ["", "127.0.0.1", "0x7f.1", "[::1]", "a b", "a/b", "a:80"] {
        assert!(!hsts.insert(host, Duration::from_secs(DAY), true), "{host}");
        assert!(!hsts.contains(host) && !hsts.remove(host), "{host}");
    }
    assert!(hsts.is_empty());
}
