//! Whether a cookie may be stored at all, and for which host: the part of the
//! storage model (RFC 6265bis §5.7) that needs no look into the store.

use super::Cookie;
use super::domain::{Target, default_path, domain_matches, is_public_suffix};

/// Binds a cookie to the host it came from, or refuses it.
pub(super) fn from_host(mut cookie: Cookie, target: &Target<'_>) -> Option<Cookie> {
    // The raw attribute: "__Host-" wants the path spelled out (§5.7 step 20).
    let explicit_root = cookie.path.as_deref() == Some("/");
    match cookie.domain.take() {
        None => cookie.host_only = true,
        Some(domain) => {
            if !is_wellformed(&domain) || !domain_matches(target.host, &domain) {
                return None;
            }
            // A suffix that is a host as well, as github.io or localhost, may
            // set cookies for itself and for nobody below it.
            if is_public_suffix(&domain) {
                cookie.host_only = true;
            }
            // The host is the more special of the two, so a cookie that was
            // host-only already (one taken from a jar) keeps to its own host.
            if cookie.host_only && domain != target.host {
                return None;
            }
            cookie.domain = Some(domain);
        }
    }
    cookie.domain.get_or_insert_with(|| target.host.to_owned());
    cookie
        .path
        .get_or_insert_with(|| default_path(target.path).to_owned());
    // K9: a plaintext answer may be anybody's, so it sets no Secure cookie.
    if cookie.secure && !target.secure {
        return None;
    }
    prefix_holds(&cookie, explicit_root).then_some(cookie)
}

/// Prepares a cookie the user adds without a URL (K2): shared if it names no
/// domain, else bound to that domain as if its own host had set it.
pub(super) fn from_user(mut cookie: Cookie) -> Option<Cookie> {
    if let Some(domain) = &cookie.domain {
        let too_wide = is_public_suffix(domain) && !cookie.host_only;
        if too_wide || !is_wellformed(domain) {
            return None;
        }
    }
    cookie.path.get_or_insert_with(|| "/".to_owned());
    Some(cookie)
}

/// ASCII, and no empty label: K3 drops a trailing dot with the whole cookie,
/// and the other places of an empty label are no better. No host has white
/// space or control characters in it either.
fn is_wellformed(domain: &str) -> bool {
    domain.bytes().all(|byte| byte.is_ascii_graphic())
        && domain.split('.').all(|label| !label.is_empty())
}

/// The name prefixes (§4.1.3, §5.4), in any case: servers compare names so.
fn prefix_holds(cookie: &Cookie, explicit_root: bool) -> bool {
    if has_prefix(&cookie.name, b"__host-") {
        cookie.secure && cookie.host_only && explicit_root
    } else if has_prefix(&cookie.name, b"__secure-") {
        cookie.secure
    } else {
        true
    }
}

fn has_prefix(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
