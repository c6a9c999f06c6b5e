use std::sync::Mutex;

use super::*;
use crate::error::Kind as ErrorKind;

fn server(url: &str) -> Server {
    Server::parse(url).unwrap_or_else(|error| panic!("{url}: {error:#}"))
}

fn chosen(proxy: &Proxy, url: &str) -> Option<String> {
    let server = proxy.choose(&Url::parse(url).unwrap()).unwrap();
    server.map(|server| format!("{server:?}"))
}

fn refusal(proxy: &Proxy) -> Error {
    let url = Url::parse("http://a.test/").unwrap();
    proxy.choose(&url).expect_err("nothing can be sent")
}

#[test]
fn a_proxy_is_named_by_a_url() {
    // SPEC X1
    let (socks4, socks5) = (
        |remote_dns| Kind::Socks4 { remote_dns },
        |remote_dns| Kind::Socks5 { remote_dns },
    );
    for (url, kind, host, port) in [
        ("http://p.test:3128", Kind::Http, "p.test", 3128),
        ("http://p.test", Kind::Http, "p.test", 80),
        ("http://p.test:80", Kind::Http, "p.test", 80),
        ("http://p.test:443", Kind::Http, "p.test", 443),
        ("http://p.test:", Kind::Http, "p.test", 80),
        ("https://p.test", Kind::Https, "p.test", 443),
        ("https://p.test:443", Kind::Https, "p.test", 443),
        ("https://p.test:80", Kind::Https, "p.test", 80),
        ("https://p.test:8443", Kind::Https, "p.test", 8443),
        ("socks4://p.test", socks4(false), "p.test", 1080),
        ("socks4a://p.test", socks4(true), "p.test", 1080),
        ("socks5://p.test", socks5(false), "p.test", 1080),
        ("socks5h://p.test", socks5(true), "p.test", 1080),
        ("socks5://p.test:80", socks5(false), "p.test", 80),
        ("socks5://p.test:443", socks5(false), "p.test", 443),
        ("SOCKS5H://P.test:1", socks5(true), "p.test", 1),
        // As GNOME has it.
        ("socks://p.test", socks5(false), "p.test", 1080),
        ("SOCKS://p.test:1/", socks5(false), "p.test", 1),
        // Without a scheme.
        ("p.test", Kind::Http, "p.test", 80),
        ("p.test:3128", Kind::Http, "p.test", 3128),
        ("localhost:8080", Kind::Http, "localhost", 8080),
        ("user:secret@p.test:3128", Kind::Http, "p.test", 3128),
        ("[::1]:3128", Kind::Http, "::1", 3128),
        ("10.0.0.1", Kind::Http, "10.0.0.1", 80),
        ("http:3128", Kind::Http, "http", 3128),
        ("socks5:1080/", Kind::Http, "socks5", 1080),
        ("http:hunter2@p.test:3128", Kind::Http, "p.test", 3128),
        ("http", Kind::Http, "http", 80),
        // Spaces around, paths, and hosts in any spelling.
        (" http://p.test:1 ", Kind::Http, "p.test", 1),
        ("http://p.test:1/", Kind::Http, "p.test", 1),
        ("http://p.test:1/a/b", Kind::Http, "p.test", 1),
        ("socks5://[2001:DB8::1]:1", socks5(false), "2001:db8::1", 1),
        ("socks4://127.1", socks4(false), "127.0.0.1", 1080),
        (
            "socks5h://b\u{fc}cher.test",
            socks5(true),
            "xn--bcher-kva.test",
            1080,
        ),
    ] {
        let server = server(url);
        assert_eq!(server.kind(), kind, "{url}");
        assert_eq!((server.host(), server.port()), (host, port), "{url}");
    }
}

#[test]
fn what_names_no_proxy_is_an_invalid_url_and_shows_nothing_of_it() {
    // SPEC X1, X5
    for url in [
        "",
        " ",
        "http://",
        "http:///",
        "http://:3128",
        ":3128",
        "http://user:hunter2@",
        "http://user:hunter2@:80",
        "ftp://hunter2@p.test",
        "socks6://p.test",
        "hunter2://p.test",
        "://p.test",
        "http://p.test:99999",
        "http://p.test:0",
        "http://p.test:x",
        "http://p test",
        "http://[::1",
        "http://p.test?hunter2",
        "http://p.test/#hunter2",
        // A password that should have been encoded.
        "http://user:hunt#er2@p.test:3128",
        "http://user:hunt?er2@p.test:3128",
        "http://user:1/hunter2@p.test:3128",
        "http://user/hunter2@p.test:3128",
        "socks5://user:hunt/er2@p.test",
    ] {
        for made in [Proxy::all(url), Proxy::http(url), Proxy::https(url)] {
            let error = made.expect_err(url);
            assert_eq!(error.kind(), ErrorKind::InvalidUrl, "{url}");
            let shown = format!("{error:#} {error:?}");
            for secret in ["hunt", "er2"] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
    }
}

#[test]
fn a_scheme_without_its_slashes_is_no_host() {
    // SPEC X1, X5
    for url in [
        "http:/h:3",
        "http:/hunter2@h:3",
        "http:/",
        "http:",
        "HTTP:/h",
        "https:h:3",
        "https:h",
        "http:\\\\h:3",
        "socks:/h:3",
        "socks5h:/h",
        "socks4:h",
        "ftp:/h:3",
        "h:/3",
        " http:/h",
    ] {
        let error = Proxy::all(url).expect_err(url);
        assert_eq!(error.kind(), ErrorKind::InvalidUrl, "{url}");
        let shown = format!("{error:#}");
        assert!(shown.contains("\"://\""), "{url}: {shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn a_server_is_another_by_where_it_is_and_who_asks() {
    // SPEC D9, X5
    let one = server("http://me:x@p.test");
    for same in ["me:x@P.test:80/path", "HTTP://me:%78@p.test"] {
        assert!(one.is(&server(same)), "{same}");
    }
    for other in [
        "https://me:x@p.test:80",
        "socks5://me:x@p.test:80",
        "http://me:x@p.test:81",
        "http://me:x@q.test",
        "http://you:x@p.test",
        "http://me:y@p.test",
        "http://p.test",
    ] {
        assert!(!one.is(&server(other)), "{other}");
        assert!(!server(other).is(&one), "{other}");
    }
    assert!(!server("socks5://p.test").is(&server("socks5h://p.test")));
    #[cfg(feature = "digest")]
    {
        let of = |proxy: &Proxy| {
            let url = Url::parse("http://a.test/").unwrap();
            proxy.choose(&url).unwrap().unwrap()
        };
        let asked = || Proxy::all("p.test").unwrap().auth(Auth::digest("me", "x"));
        let proxy = asked();
        let tunnel = proxy.clone().tunnel(true);
        assert!(of(&proxy).is(&of(&proxy)) && of(&proxy).is(&of(&tunnel)));
        assert!(!of(&proxy).is(&of(&asked())) && !of(&proxy).is(&server("p.test")));
    }
}

#[test]
fn credentials_come_from_the_url_or_are_given() {
    // SPEC X3
    let basic = |login: &str, password: &str| {
        let value = BasicAuthValue::encode(login, password);
        Some(value)
    };
    for (url, want) in [
        ("http://p.test", None),
        ("http://f%61ke:@p.test", basic("fake", "")),
        ("http://f%61ke@p.test", basic("fake", "")),
        ("http://:secret@p.test", basic("", "secret")),
        ("user:se%3Acret%40@p.test:1", basic("user", "se:cret@")),
        (
            "https://j\u{fc}rgen:%C3%BC@p.test",
            basic("j\u{fc}rgen", "\u{fc}"),
        ),
    ] {
        let value = server(url).authorization().unwrap();
        assert!(value.as_ref().is_none_or(HeaderValue::is_sensitive));
        assert_eq!(value, want, "{url}");
    }
    // Given ones go before those of the URL.
    let proxy = Proxy::all("http://user:secret@p.test").unwrap();
    let proxy = proxy.auth(Auth::bearer("token"));
    let server = proxy.choose(&Url::parse("http://a.test").unwrap()).unwrap();
    let value = server.unwrap().authorization().unwrap();
    assert_eq!(value.unwrap(), "Bearer token");
}

/// What a `Proxy-Authorization` for Basic says.
struct BasicAuthValue;

impl BasicAuthValue {
    fn encode(login: &str, password: &str) -> HeaderValue {
        crate::auth::BasicAuth::new(login, password)
            .encode()
            .unwrap()
    }
}

#[test]
fn socks_takes_a_login_and_a_password() {
    // SPEC X1, X3
    let login = |proxy: Result<Proxy, Error>| {
        let server = proxy.unwrap().choose(&Url::parse("http://a.test").unwrap());
        let login = server.unwrap().unwrap().login();
        login.map(|found| found.map(|(login, password)| (login.to_vec(), password.to_vec())))
    };
    let pair = |login: &str, password: &str| Some((login.into(), password.into()));
    let long = "x".repeat(255);
    for (url, want) in [
        ("socks5://p.test", None),
        ("socks5://user:secret@p.test", pair("user", "secret")),
        ("socks5://us%3Aer:%00@p.test", pair("us:er", "\0")),
        ("socks5h://j\u{fc}:@p.test", pair("j\u{fc}", "")),
        ("socks4://user@p.test", pair("user", "")),
        (
            &format!("socks5://{long}:{long}@p.test"),
            pair(&long, &long),
        ),
    ] {
        assert_eq!(login(Proxy::all(url)).unwrap(), want, "{url}");
    }
    let given = |auth: Auth| login(Proxy::all("socks5://p.test").map(|proxy| proxy.auth(auth)));
    assert_eq!(given(("a", "b:c").into()).unwrap(), pair("a", "b:c"));
    let latin1 = crate::auth::BasicAuth::new("\u{fc}", "x").latin1(true);
    let want = Some((vec![0xfc], b"x".to_vec()));
    assert_eq!(given(latin1.into()).unwrap(), want);

    for url in [
        "socks4://user:secret@p.test",
        "socks4a://us%00er@p.test",
        &format!("socks5://{long}x:y@p.test"),
        &format!("socks5://x:{long}y@p.test"),
    ] {
        assert!(
            login(Proxy::all(url)).is_err_and(|error| error.is_request()),
            "{url}"
        );
    }
    assert!(given(Auth::bearer("token")).is_err_and(|error| error.is_request()));
    assert!(given(("a:b", "c").into()).is_err_and(|error| error.is_request()));
    #[cfg(feature = "digest")]
    assert!(given(Auth::digest("a", "b")).is_err_and(|error| error.is_request()));
}

#[test]
fn the_first_rule_for_a_scheme_decides() {
    // SPEC X8
    let proxy = Proxy::http("one.test").unwrap();
    assert_eq!(
        chosen(&proxy, "http://a.test").as_deref(),
        Some("http://one.test:80")
    );
    assert_eq!(chosen(&proxy, "https://a.test"), None);
    let proxy = proxy.or(Proxy::all("two.test").unwrap());
    assert_eq!(
        chosen(&proxy, "http://a.test").as_deref(),
        Some("http://one.test:80")
    );
    assert_eq!(
        chosen(&proxy, "https://a.test").as_deref(),
        Some("http://two.test:80")
    );
    let proxy = proxy.or(Proxy::https("three.test").unwrap());
    assert_eq!(
        chosen(&proxy, "https://a.test").as_deref(),
        Some("http://two.test:80")
    );
    assert_eq!(chosen(&Proxy::none(), "http://a.test"), None);

    // A list is for the rules that are there, and its hosts are direct.
    let listed = Proxy::http("one.test").unwrap();
    let listed = listed.no_proxy(NoProxy::parse("a.test").unwrap());
    let listed = listed.or(Proxy::all("two.test").unwrap());
    assert_eq!(chosen(&listed, "http://a.test"), None);
    assert_eq!(
        chosen(&listed, "https://a.test").as_deref(),
        Some("http://two.test:80")
    );
    assert_eq!(
        chosen(&listed, "http://b.test").as_deref(),
        Some("http://one.test:80")
    );
}

#[test]
fn a_function_is_asked_for_each_url() {
    // SPEC X8
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seen_here = Arc::clone(&seen);
    let one = Proxy::all("one.test").unwrap();
    let proxy = Proxy::by(move |url| {
        seen_here.lock().unwrap().push(url.to_string());
        (url.path() == "/one").then(|| one.clone())
    });
    assert!(proxy.is_custom() && !Proxy::none().is_custom());
    assert_eq!(
        chosen(&proxy, "http://a.test/one").as_deref(),
        Some("http://one.test:80")
    );
    assert_eq!(chosen(&proxy, "http://a.test/two"), None);
    assert_eq!(seen.lock().unwrap().len(), 2);
    // What is covered is not asked about.
    let proxy = proxy.no_proxy(NoProxy::parse("*").unwrap());
    assert_eq!(chosen(&proxy, "http://a.test/one"), None);
    assert_eq!(seen.lock().unwrap().len(), 2);
}

#[test]
fn functions_that_lead_in_circles_come_to_an_end() {
    fn circle() -> Proxy {
        Proxy::by(|_| Some(circle()))
    }
    assert_eq!(refusal(&circle()).kind(), ErrorKind::InvalidRequest);
    let proxy = Proxy::by(|_| Some(Proxy::by(|_| Proxy::all("p.test").ok())));
    assert_eq!(
        chosen(&proxy, "http://a.test").as_deref(),
        Some("http://p.test:80")
    );
}

#[test]
fn headers_that_cannot_be_sent_come_out_at_the_verb() {
    // SPEC X5
    let proxy = || Proxy::all("p.test").unwrap();
    for (name, value) in [
        ("host", "a"),
        ("Content-Length", "1"),
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("expect", "100-continue"),
        ("upgrade", "x"),
        ("na me", "x"),
        ("name", "x\r\nevil: 1"),
    ] {
        let proxy = proxy().header(name, value);
        assert_eq!(refusal(&proxy).kind(), ErrorKind::InvalidRequest, "{name}");
    }
    let twice = proxy().header("proxy-authorization", "Own x");
    assert!(twice.choose(&Url::parse("http://a.test").unwrap()).is_ok());
    assert!(refusal(&twice.auth(("a", "b"))).is_request());
}

#[test]
fn http_goes_as_it_is_and_all_else_through_tunnels() {
    // SPEC X2
    let forwards = |proxy: &str, tunnel: bool, url: &str| {
        let proxy = Proxy::all(proxy).unwrap().tunnel(tunnel);
        let url = Url::parse(url).unwrap();
        proxy.choose(&url).unwrap().unwrap().forwards(&url)
    };
    assert!(forwards("http://p.test", false, "http://a.test"));
    assert!(forwards("https://p.test", false, "http://a.test"));
    assert!(!forwards("http://p.test", true, "http://a.test"));
    assert!(!forwards("http://p.test", false, "ws://a.test"));
    for proxy in ["http", "https", "socks4", "socks4a", "socks5", "socks5h"] {
        let url = format!("{proxy}://p.test");
        assert!(!forwards(&url, false, "https://a.test"), "{url}");
        let is_socks = proxy.starts_with("socks");
        assert_eq!(forwards(&url, false, "http://a.test"), !is_socks, "{url}");
    }
}

#[test]
fn nothing_secret_is_printed() {
    // SPEC X5
    let proxy = Proxy::http("http://user:hunter2@p.test:1")
        .unwrap()
        .header("x-token", "hunter2")
        .or(Proxy::https("socks5h://user:hunter2@[::1]").unwrap())
        .or(Proxy::by(|_| None));
    let shown = format!("{proxy:?}");
    assert!(
        !shown.contains("hunter2") && !shown.contains("user"),
        "{shown}"
    );
    assert_eq!(
        shown,
        "Proxy[http by http://p.test:1, https by socks5h://[::1]:1080, a function]"
    );
}

#[test]
fn no_text_is_too_odd_to_be_read() {
    // SPEC X1, X7
    const PARTS: [&str; 22] = [
        "",
        "http://",
        "socks5h://",
        "hunter2",
        "@",
        ":",
        "[",
        "::1",
        "]",
        "%",
        "%00",
        "/",
        "?",
        "#",
        "\0",
        "\u{fc}",
        "99999",
        "80",
        "*",
        ".",
        ", ",
        "/129",
    ];
    let every = || PARTS.iter();
    for (a, b) in every().flat_map(|a| every().map(move |b| (a, b))) {
        for c in every() {
            let text = [*a, *b, *c, "p"].concat();
            // What can be read can be chosen, and shows its host alone.
            match Server::parse(&text) {
                Ok(server) => {
                    assert!(!server.host().is_empty() && server.port() != 0, "{text:?}");
                    let _ = (server.authorization(), server.login());
                }
                Err(error) => assert!(!format!("{error:#}").contains("hunter2"), "{text:?}"),
            }
            if let Ok(list) = NoProxy::parse(&text) {
                for url in ["http://hunter2/", "http://[::1]/", "http://0.0.0.80:80/"] {
                    let url = Url::parse(url).unwrap();
                    let beside = NoProxy::parse(&format!("x.invalid,{text}"));
                    assert_eq!(beside.unwrap().covers(&url), list.covers(&url), "{text:?}");
                }
            }
        }
    }
}
