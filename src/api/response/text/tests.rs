use super::*;

fn plan(named: Named, damage: Damage) -> Plan {
    Plan { named, damage }
}

#[test]
fn a_mark_goes_before_a_name_and_a_name_before_utf_8() {
    // SPEC J1
    let text = |bytes: &[u8], plan: Plan| plan.decode(bytes);
    let nowhere = || plan(Named::Nowhere(None), Damage::Replace);
    assert_eq!(text(b"\xc3\xbc", nowhere()).unwrap(), "\u{fc}");
    assert_eq!(text(b"a\xffb", nowhere()).unwrap(), "a\u{fffd}b");
    assert_eq!(text(b"\xff\xfea\0", nowhere()).unwrap(), "a");
    let marked = text(b"\xef\xbb\xbfx", Plan::given("no such charset"));
    assert_eq!(marked.unwrap(), "x");
    let unknown = text(b"x", Plan::given("no such charset")).unwrap_err();
    assert!(unknown.is_decode() && unknown.to_string().contains("\"no such charset\""));
    assert!(
        text(b"\xef\xbb", Plan::given("nonsense"))
            .unwrap_err()
            .is_decode()
    );
    let latin = text(b"\xfc", Plan::given("latin1"));
    match KNOWS_ALL {
        true => assert_eq!(latin.unwrap(), "\u{fc}"),
        false => assert!(latin.unwrap_err().to_string().contains("feature `charset`")),
    }
}

#[test]
fn strict_text_says_where_it_is_damaged() {
    // SPEC R21
    let strict = || plan(Named::Nowhere(None), Damage::Refuse);
    assert_eq!(strict().decode(b"whole").unwrap(), "whole");
    let error = strict().decode(b"ab\xff").unwrap_err();
    assert!(error.is_decode());
    assert!(
        format!("{error:#}").contains("byte 2 is not UTF-8"),
        "{error:#}"
    );
}

#[cfg(feature = "json")]
#[test]
fn json_is_utf_8_where_it_can_be() {
    // SPEC J2, R23
    let json = |bytes: &[u8], declared| to_json::<Option<String>>(bytes, declared);
    assert_eq!(json(b" \r\n", None).unwrap(), None);
    assert_eq!(json(b"", None).unwrap(), None);
    let value = |bytes, declared| json(bytes, declared).unwrap().unwrap();
    assert_eq!(value(b"\xef\xbb\xbf\"7\"", None), "7");
    assert_eq!(value(b"\xff\xfe\"\0\xe4\0\"\0", None), "\u{e4}");
    assert_eq!(value(b"\"\xc3\xa4\"", Some("latin1")), "\u{e4}");
    assert!(json(b"{", None).unwrap_err().is_decode());
    assert!(json(b"\"\xe4\"", None).unwrap_err().is_decode());
    let latin = json(b"\"\xe4\"", Some("latin1"));
    let wide = json(b"\"\0a\0\"\0", Some("utf-16le"));
    if KNOWS_ALL {
        assert_eq!(latin.unwrap().as_deref(), Some("\u{e4}"));
        assert_eq!(wide.unwrap().as_deref(), Some("a"));
    } else {
        assert!(latin.unwrap_err().to_string().contains("feature `charset`"));
        assert!(wide.unwrap_err().is_decode());
    }
}
