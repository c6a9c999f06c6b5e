use super::*;

fn found(netrc: &Netrc, host: &str) -> Option<(String, String)> {
    pair(netrc.find(host))
}

fn pair(auth: Option<BasicAuth>) -> Option<(String, String)> {
    auth.map(|auth| (auth.login().to_owned(), auth.password().to_owned()))
}

fn of(login: &str, password: &str) -> Option<(String, String)> {
    Some((login.to_owned(), password.to_owned()))
}

#[test]
fn entries_are_found_by_host() {
    // SPEC A6
    let netrc = Netrc::parse(
        "# my passwords\n\
         machine a.test login al password one\r\n\
         machine\n  b.test\n\tuser bob\n\taccount x password two # and so on\n\
         default login nobody password none\n\
         MACHINE late.test Login late\n\
         machine a.test login al password again\n",
    )
    .unwrap();
    assert_eq!(found(&netrc, "a.test"), of("al", "one"));
    assert_eq!(found(&netrc, "A.Test"), of("al", "one"));
    assert_eq!(found(&netrc, "b.test"), of("bob", "two"));
    assert_eq!(found(&netrc, "late.test"), of("late", ""));
    assert_eq!(found(&netrc, "c.test"), of("nobody", "none"));
    let none = Netrc::parse("").unwrap();
    assert_eq!(found(&none, "a.test"), None);
    let ip = Netrc::parse("machine ::1 login six machine [::2] password p").unwrap();
    assert_eq!(found(&ip, "[::1]"), of("six", ""));
    assert_eq!(found(&ip, "[::2]"), of("", "p"));
    let bare = Netrc::parse("machine a.test account acc machine b.test default").unwrap();
    assert_eq!(found(&bare, "a.test"), of("acc", ""));
    assert_eq!(found(&bare, "b.test"), None);
    assert_eq!(found(&bare, "c.test"), None);
}

#[test]
fn a_login_chooses_among_the_entries_of_a_host() {
    // SPEC A6
    let netrc = Netrc::parse(
        "machine h password firstthis login unknown\n\
         machine h password 5up3r\n\
         machine h password d1ff login another\n\
         default login fall password back",
    )
    .unwrap();
    let of_login = |login| pair(netrc.find_login("h", login));
    assert_eq!(of_login("unknown"), of("unknown", "firstthis"));
    assert_eq!(of_login("user"), of("user", "5up3r"));
    // The entry without a login stands first.
    assert_eq!(of_login("another"), of("another", "5up3r"));
    assert_eq!(pair(netrc.find_login("o", "fall")), of("fall", "back"));
    assert_eq!(pair(netrc.find_login("o", "else")), None);
}

#[test]
fn words_are_quoted_and_escaped() {
    // SPEC A6
    for (text, login, password) in [
        (r#"login "a b" password "c\"d\\e""#, "a b", "c\"d\\e"),
        (r#"login a\ b password c\"d\\"#, "a b", "c\"d\\"),
        (r#"login "" password """#, "", ""),
        (r#"login "a"password b"#, "a", "b"),
        (r#"login it"s password #1#"#, "it\"s", "#1#"),
        (
            "login \"two\nlines\" password machine",
            "two\nlines",
            "machine",
        ),
        ("login \u{e4} password \u{1f511}", "\u{e4}", "\u{1f511}"),
    ] {
        let netrc = Netrc::parse(&format!("\u{feff}machine h {text}"));
        assert_eq!(found(&netrc.unwrap(), "h"), of(login, password), "{text}");
    }
}

#[test]
fn macros_are_skipped_to_an_empty_line() {
    // SPEC A6
    for end in ["\n", "\r\n"] {
        let text = "machine h login a\nmacdef init\ncd /pub\nmachine evil login b\n \npassword c\n\
                    macdef last\nlogin d";
        let netrc = Netrc::parse(&text.replace('\n', end)).unwrap();
        assert_eq!(found(&netrc, "h"), of("a", "c"));
        assert_eq!(found(&netrc, "evil"), None);
    }
}

#[test]
fn what_cannot_be_read_is_an_error_that_tells_no_secret() {
    // SPEC A6
    for (text, line) in [
        ("machine h login a hush", 1),
        ("machine h\nlogin a\npassword", 3),
        ("machine h login a password \"hush\n", 2),
        ("\n\nlogin hush", 3),
        ("machine", 1),
        ("machine h macdef", 1),
        ("hush", 1),
        ("\"", 1),
    ] {
        let error = Netrc::parse(text).unwrap_err();
        assert!(error.is_request());
        let shown = format!("{error:#} {error:?}");
        assert!(
            shown.contains(&format!("line {line}:")),
            "{text:?}: {shown}"
        );
        assert!(!shown.contains("hush"), "{shown}");
    }
}

/// Cut anywhere, a file is refused, or says no more than it did.
#[test]
fn no_cut_of_a_file_says_more_than_the_whole() {
    // SPEC A6
    let whole = "machine h login \"a b\" password c\\ d\nmacdef m\nx\n\ndefault login e # f\n";
    for end in 0..whole.len() {
        if let Ok(netrc) = Netrc::parse(&whole[..end])
            && let Some((login, password)) = found(&netrc, "h")
        {
            assert_eq!(login, "a b", "{end}");
            assert!("c d".starts_with(&password), "{end}: {password}");
        }
    }
    for start in 0..whole.len() {
        let _ = Netrc::parse(&whole[start..]);
    }
}

#[test]
fn the_file_is_where_the_environment_says() {
    // SPEC A6, S15
    let home = || Some(PathBuf::from("home"));
    let with = |value: &str| {
        let value = OsString::from(value);
        locate(move |name| (name == "NETRC").then(|| value.clone()), home())
    };
    let own = match cfg!(windows) {
        true => "_netrc",
        false => ".netrc",
    };
    assert_eq!(with("elsewhere"), Some(PathBuf::from("elsewhere")));
    assert_eq!(with(""), Some(PathBuf::from("home").join(own)));
    assert_eq!(
        locate(|_| None, home()),
        Some(PathBuf::from("home").join(own))
    );
    assert_eq!(locate(|_| None, None), None);
    assert_eq!(locate(|_| None, Some(PathBuf::new())), None);
}

#[test]
fn only_a_regular_file_of_some_size_is_read() {
    // SPEC A6
    let folder = env::temp_dir().join(format!("miohttp-netrc-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("netrc");
    assert!(Netrc::load(&path).unwrap_err().is_request());
    assert!(Netrc::load(&folder).unwrap_err().is_request());
    std::fs::write(&path, b"machine h login \xfc password p").unwrap();
    assert_eq!(found(&Netrc::load(&path).unwrap(), "h"), of("\u{fc}", "p"));
    std::fs::write(&path, vec![b'\n'; MAX_BYTES as usize + 1]).unwrap();
    assert!(Netrc::load(&path).unwrap_err().is_request());
    assert!(Netrc::load_or_none(&path).entries.is_empty());
    assert!(Netrc::load_or_none(&folder.join("none")).entries.is_empty());
    #[cfg(unix)]
    assert!(Netrc::load("/dev/zero").is_err());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn nothing_is_printed() {
    let netrc = Netrc::parse("machine h login a password hush").unwrap();
    assert_eq!(format!("{netrc:?}"), "Netrc { entries: 1, .. }");
}
