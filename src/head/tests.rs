//! Field blocks.

use super::*;

fn fields(of: &[(&'static str, &'static str)]) -> Fields {
    let mut fields = Fields::default();
    for (name, value) in of {
        let name = HeaderName::from_static(name);
        fields.append(name, HeaderValue::from_static(value));
    }
    fields
}

fn text(fields: &Fields) -> String {
    fields.as_bytes().escape_ascii().to_string()
}

#[test]
fn fields_are_found_as_they_were_added() {
    let all = [("a", "1: 2"), ("b", ""), ("a", "\t:x"), ("c-d", "3")];
    let fields = fields(&all);
    let got: Vec<_> = fields.iter().collect();
    let want = all.map(|(n, v)| (n.as_bytes(), v.as_bytes()));
    assert_eq!(got, want);
    let name = "a";
    assert_eq!(fields.first(name), Some(&b"1: 2"[..]));
    assert_eq!(fields.all(name).count(), 2);
    assert_eq!(fields.first("b"), Some(&b""[..]));
    assert!(!fields.contains("host"));
    assert_eq!((fields.len(), fields.to_map().len()), (4, 4));
    assert_eq!(format!("{fields:?}"), r#"["a", "b", "a", "c-d"]"#);
}

#[test]
fn lists_are_joined_and_thinned() {
    let defaults = fields(&[("a", "1"), ("b", "2"), ("b", "3")]);
    let mut own = fields(&[("a", "0"), ("c", "4")]);
    own.append_missing(&defaults);
    assert_eq!(text(&own), r"a: 0\r\nc: 4\r\nb: 2\r\nb: 3\r\n");
    let mut none = Fields::default();
    none.append_missing(&defaults);
    assert_eq!(none, defaults);
    own.remove("b");
    assert_eq!(own, fields(&[("a", "0"), ("c", "4")]));
    assert!(!own.contains("b"));
    own.append_all(&defaults);
    assert!(none.append_first(&own, "b") && text(&none).ends_with(r"\r\nb: 2\r\n"));
    assert!(!none.append_first(&own, "host"));
    assert!(own.contains("b"));
}

#[test]
fn only_words_are_taken_unchecked() {
    let mut fields = Fields::default();
    for refused in ["a b", "a\r\nb: c", "\n", "\u{e4}", "\x7f"] {
        assert!(!fields.append_word("host", refused), "{refused:?}");
    }
    assert!(fields.is_empty());
    assert!(fields.append_word("host", "[::1]:80"));
    assert_eq!(text(&fields), r"host: [::1]:80\r\n");
}

#[test]
fn what_is_printable_is_told_wherever_it_stands() {
    for length in 0..20 {
        let text = vec![b'~'; length];
        assert!(is_graphic(&text));
        for (at, byte) in (0..length).flat_map(|at| (0..=255).map(move |byte| (at, byte))) {
            let mut text = text.clone();
            text[at] = byte;
            assert_eq!(is_graphic(&text), byte.is_ascii_graphic(), "{byte} at {at}");
        }
    }
}

#[test]
fn a_target_stands_in_front_of_the_fields_and_is_none_of_them() {
    let plain = fields(&[("a", "1"), ("b", "2"), ("a", "3")]);
    let mut list = Fields::behind(b"/x: y", 0);
    assert!(list.is_empty());
    list.append_all(&plain);
    assert_eq!(list, plain);
    assert_eq!((list.len(), list.first("/x")), (3, None));
    list.append_missing(&fields(&[("a", "4"), ("c", "5")]));
    list.remove("b");
    assert_eq!(list.target(), b"/x: y");
    assert_eq!(text(&list), r"a: 1\r\na: 3\r\nc: 5\r\n");
    let mut head = RequestHead {
        method: Method::GET,
        version: Version::HTTP_11,
        fields: list.clone(),
        body: BodyLength::Empty,
        expect_continue: false,
    };
    head.set_target(b"http://h/");
    assert_eq!(head.target(), b"http://h/");
    assert_eq!(head.fields, list);
}

/// Or the search that the marks should spare would be made each time.
#[test]
fn names_that_are_searched_for_have_a_mark_each() {
    let names = [
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "range",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    ];
    let marks = names.iter().map(|name| mark(name.as_bytes()));
    let all = marks.fold(0, |all: u32, mark| all | mark);
    assert_eq!(all.count_ones() as usize, names.len());
}
