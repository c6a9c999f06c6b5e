//! What the environment says of proxies (SPEC X6).

use std::ffi::OsString;
use std::sync::Arc;

use super::no_proxy::NoProxy;
use super::rules::{Rule, Schemes, To};
use super::server::Server;
use crate::error::{Error, Kind, Phase};

/// For each scheme the variables that may name its proxy, the first that is set
/// counts. A scheme of its own each: what one has no variable for is direct.
const VARIABLES: &[(Schemes, &[&str])] = &[
    (&["http"], &["http_proxy", "all_proxy"]),
    (&["https"], &["https_proxy", "all_proxy"]),
    (&["ws"], &["ws_proxy", "http_proxy", "all_proxy"]),
    (&["wss"], &["wss_proxy", "https_proxy", "all_proxy"]),
];

/// The rules of an environment in which `var` looks.
pub(super) fn read(var: impl Fn(&str) -> Option<OsString>) -> Vec<Rule> {
    let is_cgi = var("REQUEST_METHOD").is_some();
    let environment = Environment {
        is_cgi,
        // As on Windows.
        is_caseless: is_cgi && var("rEQUEST_mETHOD").is_some(),
        var,
    };
    let mut rules = environment.rules();
    if let Some((name, list)) = environment.find("no_proxy")
        && !rules.is_empty()
    {
        let list = list.to_string_lossy();
        let hosts = Arc::new(NoProxy::parse_some(&list, |entry, why| {
            log::warn!("{entry:?} in {name} {why}, and is not used");
        }));
        for rule in &mut rules {
            rule.no_proxy = Some(Arc::clone(&hosts));
        }
    }
    rules
}

struct Environment<F> {
    var: F,
    is_cgi: bool,
    /// Whether names have no case.
    is_caseless: bool,
}

impl<F: Fn(&str) -> Option<OsString>> Environment<F> {
    fn rules(&self) -> Vec<Rule> {
        let rule = |(schemes, names): &(Schemes, &[&str])| {
            let (name, value) = names.iter().find_map(|name| self.find(name))?;
            let to = match server(&name, &value) {
                Ok(server) => To::Server(Arc::new(server)),
                Err(error) => To::Nowhere(error),
            };
            Some(Rule::to(schemes, to))
        };
        VARIABLES.iter().filter_map(rule).collect()
    }

    /// The variable as it was found, and its value. An empty one is none, as curl
    /// and Go have it.
    fn find(&self, name: &str) -> Option<(String, OsString)> {
        let upper = name.to_ascii_uppercase();
        // A web server passes the header `Proxy` of a request on under this name.
        let is_forged = self.is_cgi && upper == "HTTP_PROXY";
        let is_lower_forged = is_forged && self.is_caseless;
        let names = [
            (!is_lower_forged).then(|| name.to_owned()),
            (!is_forged).then_some(upper),
        ];
        names.into_iter().flatten().find_map(|name| {
            let value = (self.var)(&name).filter(|value| !value.is_empty())?;
            Some((name, value))
        })
    }
}

/// # Errors
/// The value is no proxy; it is not repeated, for it may hold a password.
fn server(name: &str, value: &OsString) -> Result<Server, Error> {
    let failed = |source: Option<Error>| {
        let message = format!("the environment's variable {name} names no proxy");
        let error = Error::new(Kind::InvalidUrl, message).with_phase(Phase::Request);
        match source {
            Some(source) => error.with_source(source),
            None => error,
        }
    };
    let text = value.to_str().ok_or_else(|| failed(None))?;
    Server::parse(text).map_err(|error| failed(Some(error)))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use url::Url;

    use super::super::Proxy;
    use super::*;

    fn proxy(variables: &[(&str, &str)]) -> Proxy {
        Proxy::with(read(|name| {
            let found = variables.iter().find(|(of, _)| *of == name);
            found.map(|(_, value)| value.into())
        }))
    }

    /// The proxy of a URL, without credentials, or `direct`.
    fn chosen(proxy: &Proxy, url: &str) -> String {
        match proxy.choose(&Url::parse(url).unwrap()) {
            Ok(Some(server)) => format!("{server:?}"),
            Ok(None) => "direct".to_owned(),
            Err(error) => panic!("{error:#}"),
        }
    }

    #[test]
    fn each_scheme_has_its_variables() {
        // SPEC S15, X6
        let urls = [
            "http://a.test",
            "https://a.test",
            "ws://a.test",
            "wss://a.test",
        ];
        type Variables = &'static [(&'static str, &'static str)];
        #[rustfmt::skip]
        let table: &[(Variables, [&str; 4])] = &[
            (&[], ["direct"; 4]),
            (&[("http_proxy", "p")], ["http://p:80", "direct", "http://p:80", "direct"]),
            (&[("HTTP_PROXY", "p")], ["http://p:80", "direct", "http://p:80", "direct"]),
            (&[("https_proxy", "https://p")], ["direct", "https://p:443", "direct", "https://p:443"]),
            (&[("HTTPS_PROXY", "p:1")], ["direct", "http://p:1", "direct", "http://p:1"]),
            (&[("all_proxy", "socks5h://p")], ["socks5h://p:1080"; 4]),
            (&[("ALL_PROXY", "socks4://p")], ["socks4://p:1080"; 4]),
            (&[("ALL_PROXY", "socks://p:1/")], ["socks5://p:1"; 4]),
            (&[("ws_proxy", "p")], ["direct", "direct", "http://p:80", "direct"]),
            (&[("WSS_PROXY", "p")], ["direct", "direct", "direct", "http://p:80"]),
            // The narrower one goes first, and lower case.
            (&[("http_proxy", "h"), ("all_proxy", "a")],
                ["http://h:80", "http://a:80", "http://h:80", "http://a:80"]),
            (&[("http_proxy", "h"), ("ws_proxy", "w"), ("https_proxy", "s"), ("wss_proxy", "v")],
                ["http://h:80", "http://s:80", "http://w:80", "http://v:80"]),
            (&[("http_proxy", "l"), ("HTTP_PROXY", "u")],
                ["http://l:80", "direct", "http://l:80", "direct"]),
            (&[("Http_Proxy", "p")], ["direct"; 4]),
            // An empty one is none.
            (&[("http_proxy", ""), ("HTTP_PROXY", "u")],
                ["http://u:80", "direct", "http://u:80", "direct"]),
            (&[("http_proxy", ""), ("all_proxy", "a")], ["http://a:80"; 4]),
            // Under CGI one of them comes from outside.
            (&[("HTTP_PROXY", "u"), ("REQUEST_METHOD", "GET")], ["direct"; 4]),
            (&[("HTTP_PROXY", "u"), ("REQUEST_METHOD", "")], ["direct"; 4]),
            (&[("HTTP_PROXY", "u"), ("ALL_PROXY", "a"), ("REQUEST_METHOD", "GET")], ["http://a:80"; 4]),
            (&[("http_proxy", "l"), ("HTTP_PROXY", "u"), ("REQUEST_METHOD", "GET")],
                ["http://l:80", "direct", "http://l:80", "direct"]),
            (&[("HTTPS_PROXY", "s"), ("REQUEST_METHOD", "GET")],
                ["direct", "http://s:80", "direct", "http://s:80"]),
        ];
        for (variables, want) in table {
            let proxy = proxy(variables);
            assert_eq!(urls.map(|url| chosen(&proxy, url)), *want, "{variables:?}");
        }
    }

    #[test]
    fn where_names_have_no_case_the_forged_one_has_none_either() {
        // SPEC X6
        let chosen_under = |variables: &[(&str, &str)]| {
            let proxy = Proxy::with(read(|name| {
                let is_it = |of: &str| of.eq_ignore_ascii_case(name);
                let found = variables.iter().find(|(of, _)| is_it(of));
                found.map(|(_, value)| value.into())
            }));
            chosen(&proxy, "http://a.test")
        };
        let forged = ("HTTP_PROXY", "u");
        assert_eq!(chosen_under(&[forged]), "http://u:80");
        let cgi = ("REQUEST_METHOD", "GET");
        assert_eq!(chosen_under(&[forged, cgi]), "direct");
        let all = ("ALL_PROXY", "a");
        assert_eq!(chosen_under(&[forged, all, cgi]), "http://a:80");
    }

    #[test]
    fn the_list_of_hosts_is_the_environments() {
        // SPEC X6, X7
        for (name, list) in [
            ("no_proxy", "a.test"),
            ("NO_PROXY", "b.test,.a.test"),
            // One that is no good harms no other.
            ("no_proxy", "http://x, 10.0.0.0/99, a.test"),
            ("no_proxy", "*"),
        ] {
            let proxy = proxy(&[("all_proxy", "p"), (name, list)]);
            assert_eq!(chosen(&proxy, "http://a.test/"), "direct", "{list}");
            assert_eq!(chosen(&proxy, "https://a.test/"), "direct", "{list}");
            let other = chosen(&proxy, "http://c.test/");
            assert_eq!(other == "direct", list == "*", "{list}");
            // One of the program's goes in its place.
            let other = proxy.no_proxy(NoProxy::default());
            assert_eq!(chosen(&other, "http://a.test/"), "http://p:80");
        }
        let both = proxy(&[
            ("all_proxy", "p"),
            ("no_proxy", "a.test"),
            ("NO_PROXY", "b.test"),
        ]);
        assert_eq!(chosen(&both, "http://a.test/"), "direct");
        assert_eq!(chosen(&both, "http://b.test/"), "http://p:80");
    }

    #[test]
    fn a_value_that_is_none_names_its_variable_and_not_itself() {
        // SPEC X5, X6
        let broken = proxy(&[
            ("HTTP_PROXY", "ftp://user:hunter2@p"),
            ("https_proxy", "p"),
            ("no_proxy", "a.test"),
        ]);
        let choose = |url: &str| broken.choose(&Url::parse(url).unwrap());
        let error = choose("http://b.test").expect_err("of no proxy's scheme");
        assert_eq!(error.kind(), Kind::InvalidUrl);
        let shown = format!("{error:#} {error:?} {broken:?}");
        assert!(shown.contains("HTTP_PROXY"), "{shown}");
        assert!(
            !shown.contains("hunter2") && !shown.contains("user"),
            "{shown}"
        );
        // What it is not for is none of its business.
        assert!(choose("https://b.test").is_ok_and(|to| to.is_some()));
        assert!(choose("http://a.test").is_ok_and(|to| to.is_none()));
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_no_text_is_no_proxy() {
        // SPEC X6
        use std::os::unix::ffi::OsStringExt;
        let rules =
            read(|name| (name == "all_proxy").then(|| OsString::from_vec(vec![0xff, b'p'])));
        let error = Proxy::with(rules).choose(&Url::parse("http://a.test").unwrap());
        assert!(error.is_err_and(|error| error.to_string().contains("all_proxy")));
    }
}
