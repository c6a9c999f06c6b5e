use super::*;

#[test]
fn a_byte_order_mark_goes_before_all_else() {
    // SPEC J1
    for (bytes, want) in [
        (&b"\xef\xbb\xbfa\xc3\xa4"[..], Some("a\u{e4}")),
        (b"\xff\xfea\0\xe4\0", Some("a\u{e4}")),
        (b"\xfe\xff\0a\0\xe4", Some("a\u{e4}")),
        (b"\xff\xfe\x3d\xd8\x00\xde", Some("\u{1f600}")),
        (b"\xff\xfe", Some("")),
        (b"\xef\xbb", None),
        (b"\xff", None),
        (b"plain", None),
        (b"", None),
    ] {
        for damage in [Damage::Replace, Damage::Refuse] {
            let got = decode_marked(bytes, damage).map(|text| text.expect("whole"));
            assert_eq!(got.as_deref(), want, "{bytes:?}");
        }
    }
}

#[test]
fn the_first_bytes_tell_whether_there_may_be_a_mark() {
    // SPEC J1
    for (start, may) in [
        (&b""[..], true),
        (b"\xef", true),
        (b"\xef\xbb", true),
        (b"\xef\xbb\xbf and more", true),
        (b"\xff", true),
        (b"\xff\xfe more", true),
        (b"\xfe\xff more", true),
        (b"\xef\xbbx", false),
        (b"\xff\xffx", false),
        (b"x", false),
    ] {
        assert_eq!(may_be_marked(start), may, "{start:?}");
    }
}

#[test]
fn damage_is_replaced_or_refused_with_its_place() {
    // SPEC R21, J1
    let cases: [(&[u8], &str, usize); 4] = [
        (b"a\xffb", "a\u{fffd}b", 1),
        (b"\xff\xfea\0\x00\xd8b\0", "a\u{fffd}b", 2),
        (b"\xfe\xff\0a\0", "a\u{fffd}", 2),
        (b"\xef\xbb\xbfok\xc3", "ok\u{fffd}", 2),
    ];
    for (bytes, want, at) in cases {
        let decoded = |damage| {
            decode_marked(bytes, damage).unwrap_or_else(|| decode(bytes, Charset::UTF_8, damage))
        };
        assert_eq!(decoded(Damage::Replace).expect("replaced"), want);
        let refused = decoded(Damage::Refuse).expect_err("refused");
        assert_eq!(refused.at, Some(at), "{bytes:?}");
        assert!(
            refused
                .to_string()
                .starts_with(&format!("byte {at} is not UTF-"))
        );
    }
}

#[test]
fn ascii_is_utf_8_and_what_is_foreign_depends_on_the_build() {
    // SPEC J1
    for label in ["utf-8", "UTF8", "us-ascii", "ASCII"] {
        assert_eq!(charset(label), Some(Charset::UTF_8), "{label}");
    }
    assert_eq!(charset("no such charset"), None);
    assert_eq!(charset(""), None);
    assert_eq!(charset("iso-8859-1").is_some(), KNOWS_ALL);
    assert_eq!(Charset::UTF_8.name(), "utf-8");
    assert!(Charset::UTF_8.is_ascii_compatible());
}

#[test]
fn extended_values_know_two_charsets_in_every_build() {
    // SPEC R6
    assert_eq!(decode_strictly("", b"\xc3\xa4").as_deref(), Some("\u{e4}"));
    assert_eq!(decode_strictly("UTF-8", b"\xe4"), None);
    assert_eq!(
        decode_strictly("ISO-8859-1", b"\xe4\x80").as_deref(),
        Some("\u{e4}\u{80}")
    );
    assert_eq!(decode_strictly("koi8-r", b"\xc1").is_some(), KNOWS_ALL);
}

#[cfg(feature = "charset")]
mod foreign {
    use super::*;

    #[test]
    fn charsets_are_found_by_all_their_names() {
        // SPEC J1
        for (label, name) in [
            ("latin1", "windows-1252"),
            ("latin-1", "windows-1252"),
            ("ISO-8859-1", "windows-1252"),
            ("iso_8859_2", "iso-8859-2"),
            ("Shift_JIS", "shift_jis"),
            ("utf-16", "utf-16le"),
        ] {
            let found = charset(label).expect(label);
            assert_eq!(found.name(), name);
            assert_eq!(found.is_ascii_compatible(), name != "utf-16le");
        }
        assert_eq!(charset("replacement"), None);
        assert_eq!(charset("iso-2022-kr"), None, "decoded to nothing");
    }

    #[test]
    fn text_is_decoded_from_its_charset() {
        // SPEC J1
        let text = |bytes: &[u8], label, damage| decode(bytes, charset(label).unwrap(), damage);
        let replaced = |bytes, label| text(bytes, label, Damage::Replace).unwrap();
        assert_eq!(replaced(b"\xe4\x80", "latin1"), "\u{e4}\u{20ac}");
        assert_eq!(
            replaced(b"\x93\xfa\x96\x7b", "shift_jis"),
            "\u{65e5}\u{672c}"
        );
        assert_eq!(replaced(b"a\0", "utf-16le"), "a");
        assert_eq!(replaced(b"\x93", "shift_jis"), "\u{fffd}");
        let refused = text(b"\x93", "shift_jis", Damage::Refuse).unwrap_err();
        assert_eq!(refused.to_string(), "some of it is not Shift_JIS");
    }

    #[test]
    fn a_charset_is_guessed_from_what_is_written() {
        // SPEC J1, S22
        assert_eq!(detect(b"plain", None), "utf-8");
        assert_eq!(detect("\u{fc}ber".as_bytes(), Some("de")), "utf-8");
        assert_eq!(detect(b"", None), "utf-8");
        let russian = "\u{421}\u{44a}\u{435}\u{448}\u{44c} \u{436}\u{435} \u{435}\u{449}\u{451} \
                       \u{44d}\u{442}\u{438}\u{445} \u{43c}\u{44f}\u{433}\u{43a}\u{438}\u{445}";
        for name in ["windows-1251", "KOI8-U"] {
            let encoding = encoding_rs::Encoding::for_label(name.as_bytes()).unwrap();
            let (bytes, _, unmapped) = encoding.encode(russian);
            assert!(!unmapped);
            assert_eq!(detect(&bytes, Some("ru")), name);
            // ASCII in front of it, longer than what is looked at, hides nothing.
            let behind = [&b" ".repeat(SAMPLE_AND_MORE)[..], &bytes].concat();
            assert_eq!(detect(&behind, None), name);
        }
        let (japanese, ..) = encoding_rs::ISO_2022_JP.encode("\u{65e5}\u{672c}\u{8a9e}");
        assert_eq!(detect(&japanese, None), "ISO-2022-JP");
        for odd in ["", "DE", "d.e", "\u{e4}"] {
            assert!(!detect(b"\xe4", Some(odd)).is_empty(), "no panic");
        }
    }

    const SAMPLE_AND_MORE: usize = 300 * 1024;
}

#[test]
fn text_is_encoded_where_it_fits() {
    // SPEC B2
    for (label, text, want) in [
        ("utf-8", "grüße", Some("grüße".as_bytes())),
        ("UTF8", "abc", Some(b"abc")),
        ("us-ascii", "abc", Some(b"abc")),
        ("us-ascii", "ü", None),
        ("ISO-8859-1", "abc", Some(b"abc")),
        ("no such charset", "abc", None),
    ] {
        assert_eq!(encode(label, text).as_deref(), want, "{label} {text}");
    }
    let latin = encode("iso-8859-1", "grüße");
    let foreign = encode("iso-8859-1", "日本");
    let utf16 = encode("utf-16le", "abc");
    match cfg!(feature = "charset") {
        true => assert_eq!(latin.as_deref(), Some(&b"gr\xfc\xdfe"[..])),
        false => assert_eq!(latin, None),
    }
    assert_eq!((foreign, utf16), (None, None));
}
