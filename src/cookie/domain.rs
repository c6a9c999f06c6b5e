//! Hosts: domain matching (RFC 6265bis §5.1.3), public suffixes, and what of a
//! URL the cookie rules look at.
//!
//! Hosts of URLs arrive in lower case and in their ASCII form, and IP
//! addresses in their canonical one: `url` sees to that.

use std::net::{Ipv4Addr, Ipv6Addr};

use url::Url;

/// The parts of a URL that decide which cookies go with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    /// Encrypted, or taken for it by a setting of the jar.
    pub(super) secure: bool,
}

impl<'a> Target<'a> {
    /// `None` if the URL is not one that cookies belong to.
    pub(super) fn new(url: &'a Url) -> Option<Self> {
        let secure = match url.scheme() {
            "https" | "wss" => true,
            "http" | "ws" => false,
            _ => return None,
        };
        Some(Self {
            host: url.host_str().filter(|host| !host.is_empty())?,
            path: url.path(),
            secure,
        })
    }
}

/// §5.1.3: equal, or a name below `domain`. Addresses have nothing below them.
pub(super) fn domain_matches(host: &str, domain: &str) -> bool {
    host == domain || (is_below(host, domain) && !is_ip(host))
}

/// `a.b` is below `b`; so is, by the letters alone, `1.2` below `2`.
pub(super) fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.ends_with('.') && !domain.is_empty())
}

/// Whether the host is an address, IPv6 in brackets as in a URL.
pub(super) fn is_ip(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<Ipv4Addr>().is_ok(),
    }
}

/// Whether cookies for this domain would reach hosts of unrelated owners (K9).
/// A single label, listed or not, is such a domain: the list's default rule.
pub(super) fn is_public_suffix(domain: &str) -> bool {
    !is_ip(domain)
        && psl::suffix(domain.as_bytes())
            .is_some_and(|suffix| suffix.as_bytes() == domain.as_bytes())
}

/// The key under which a host's cookies are kept: its registrable domain, or
/// the host itself where it has none.
///
/// A cookie's domain is never a public suffix unless it is host-only, so every
/// cookie a host can set, receive or shadow lies under this one key. The cap
/// per key is for the same reason one that subdomains cannot multiply.
pub(crate) fn site(host: &str) -> &str {
    if is_ip(host) {
        return host;
    }
    psl::domain(host.as_bytes())
        .and_then(|domain| str::from_utf8(domain.as_bytes()).ok())
        .unwrap_or(host)
}

/// §5.1.4 path-match: equal, or a prefix that ends at a "/" (K4).
pub(super) fn path_matches(request: &str, cookie: &str) -> bool {
    request
        .strip_prefix(cookie)
        .is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

/// §5.1.4 default-path: up to the last "/", without it (K4).
pub(super) fn default_path(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some((directory, _)) if directory.starts_with('/') => directory,
        _ => "/",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domain_match() {
        // SPEC K3
        for (host, domain, want) in [
            ("example.com", "example.com", true),
            ("a.example.com", "example.com", true),
            ("a.b.example.com", "example.com", true),
            ("example.com", "a.example.com", false),
            ("badexample.com", "example.com", false),
            ("example.com.", "example.com", false),
            ("example.com", "", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "0.0.1", false),
            ("[::1]", "[::1]", true),
        ] {
            assert_eq!(domain_matches(host, domain), want, "{host} {domain}");
        }
    }

    #[test]
    fn path_match() {
        // SPEC K4
        for (request, cookie, want) in [
            ("/", "/", true),
            ("/a", "/", true),
            ("/a", "/a", true),
            ("/a/", "/a", true),
            ("/a/b", "/a", true),
            ("/a/b", "/a/", true),
            ("/ab", "/a", false),
            ("/a", "/a/", false),
            ("/", "/a", false),
            ("/A", "/a", false),
        ] {
            assert_eq!(path_matches(request, cookie), want, "{request} {cookie}");
        }
    }

    #[test]
    fn default_paths() {
        // SPEC K4
        for (path, want) in [
            ("", "/"),
            ("/", "/"),
            ("/a", "/"),
            ("/a/", "/a"),
            ("/a/b", "/a"),
            ("/a/b/", "/a/b"),
            ("//", "/"),
            ("x/y", "/"),
        ] {
            assert_eq!(default_path(path), want, "{path}");
        }
    }

    #[test]
    fn public_suffixes() {
        // SPEC K9
        for (domain, suffix, registrable) in [
            ("com", true, "com"),
            ("example.com", false, "example.com"),
            ("a.b.example.com", false, "example.com"),
            ("co.uk", true, "co.uk"),
            ("www.example.co.uk", false, "example.co.uk"),
            ("github.io", true, "github.io"),
            ("me.github.io", false, "me.github.io"),
            // A wildcard rule, and its exception.
            ("foo.ck", true, "foo.ck"),
            ("www.ck", false, "www.ck"),
            ("xn--fiqs8s", true, "xn--fiqs8s"),
            ("shishi.xn--55qx5d.cn", false, "shishi.xn--55qx5d.cn"),
            // Unlisted: the last label counts.
            ("localhost", true, "localhost"),
            ("db.internal.invalid", false, "internal.invalid"),
            // Addresses are no names.
            ("127.0.0.1", false, "127.0.0.1"),
            ("[::1]", false, "[::1]"),
        ] {
            assert_eq!(is_public_suffix(domain), suffix, "{domain}");
            assert_eq!(site(domain), registrable, "{domain}");
        }
    }

    /// Names no resolver would take must still not panic.
    #[test]
    fn odd_names_are_harmless() {
        for name in [
            "", ".", "..", ".com", "com.", "a..com", "...a", "ä.com", "[", "[]", " ",
        ] {
            is_public_suffix(name);
            site(name);
            domain_matches(name, "com");
            domain_matches("a.com", name);
        }
    }

    #[test]
    fn only_http_urls_are_targets() {
        let target = |text: &str| {
            let url = Url::parse(text).unwrap();
            Target::new(&url).map(|target| (target.host.to_owned(), target.secure))
        };
        let host = |secure| Some(("example.com".to_owned(), secure));
        assert_eq!(target("http://EXAMPLE.com:81/"), host(false));
        assert_eq!(target("ws://example.com/"), host(false));
        assert_eq!(target("https://example.com/"), host(true));
        assert_eq!(target("wss://example.com/"), host(true));
        assert_eq!(target("ftp://example.com/"), None);
        assert_eq!(target("data:text/plain,x"), None);
    }
}
