//! Redirects (SPEC §3, RFC 9110 §15.4): whether to follow, and as what.

use http::{Method, StatusCode};
use url::Url;

use super::hsts::{self, Hsts};
use super::requote;
use super::{Action, Attempt, Auth, RedirectPolicy, Request, RequestBody, Settings, Spent};
use crate::error::{Error, Kind, Phase, without_credentials};
use crate::head::{Hop, ResponseHead};

#[derive(Debug)]
pub(super) enum Decision {
    Deliver,
    Follow(Box<Request>),
    Refuse(Error),
}

pub(super) fn decide(
    request: &Request,
    settings: &Settings,
    known: &Hsts,
    history: &[Hop],
    head: &ResponseHead,
) -> Decision {
    if !is_redirect(head.status()) {
        return Decision::Deliver;
    }
    let (limit, rule) = match &settings.redirects {
        RedirectPolicy::None => return Decision::Deliver,
        RedirectPolicy::Limit(limit) => (Some(*limit), None),
        RedirectPolicy::Custom(rule) => (None, Some(rule)),
    };
    // D4: without a target the response itself is the answer. An empty field
    // names none: taken as a reference it would lead to this very page.
    let named = |name| head.first(name).filter(|value| !value.is_empty());
    let Some(location) = named("location").or_else(|| named("uri")) else {
        return Decision::Deliver;
    };
    if let Some(limit) = limit
        && history.len() as u64 >= u64::from(limit)
    {
        let message = format!("more than {limit} redirects");
        let error = Error::new(Kind::TooManyRedirects, message).with_phase(Phase::Redirect);
        return Decision::Refuse(error);
    }
    let location = &*request.location(location);
    let plain = match settings.requote {
        true => requote::joined(location),
        false => location.into(),
    };
    let (mut url, written) = match target(&request.url, &plain) {
        Ok(mut url) if settings.requote => {
            requote::normalise(&mut url);
            (url, None)
        }
        Ok(url) => {
            let written = requote::verbatim(request.target(), location, &url);
            (url, written)
        }
        Err(error) => return Decision::Refuse(error),
    };
    // Before anybody asks whether it leads elsewhere: it does not lead to http.
    hsts::secure(known, &mut url);
    if settings.refuse_downgrade && is_downgrade(&request.url, &url) {
        let message = "the redirect leads from https to http, which is refused";
        let error = Error::new(Kind::BadRedirect, message).with_phase(Phase::Redirect);
        return Decision::Refuse(error);
    }
    let mut next = Box::new(next(request, head.status(), url));
    if let Some(written) = written.filter(|written| written != next.target()) {
        next.extra.get_or_insert_default().target = Some(written);
    }
    let Some(rule) = rule else {
        return follow(next);
    };
    match rule(&Attempt::new(request, &next, head, history)) {
        Action::Follow => follow(next),
        Action::Stop => Decision::Deliver,
        Action::Fail(source) => {
            let error = Error::new(Kind::BadRedirect, "the redirect policy refuses it");
            let error = error.with_phase(Phase::Redirect).with_source(source);
            Decision::Refuse(error)
        }
    }
}

/// SPEC D10: a body that goes along has to be there still.
fn follow(next: Box<Request>) -> Decision {
    match next.body.as_ref().is_some_and(RequestBody::is_spent) {
        true => Decision::Refuse(Error::from(Spent).with_phase(Phase::Redirect)),
        false => Decision::Follow(next),
    }
}

/// SPEC D1.
fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// SPEC D6.
fn is_downgrade(from: &Url, to: &Url) -> bool {
    from.scheme() == "https" && to.scheme() == "http"
}

/// SPEC D4, D6, D11.
pub(crate) fn target(base: &Url, location: &[u8]) -> Result<Url, Error> {
    let bad = |message: String| Error::new(Kind::BadRedirect, message).with_phase(Phase::Redirect);
    // Servers send UTF-8 unescaped, and Latin-1; the first is far more common.
    let text = match std::str::from_utf8(location) {
        Ok(text) => text.to_owned(),
        Err(_) => location.iter().copied().map(char::from).collect(),
    };
    let mut url = base
        .join(text.trim())
        .map_err(|error| bad("the redirect's target is no URL".into()).with_source(error))?;
    if !matches!(url.scheme(), "http" | "https") {
        // Without an authority the "scheme" may be a user's name.
        return Err(bad(match url.has_authority() {
            true => format!("the redirect's target has the scheme {:?}", url.scheme()),
            false => "the redirect's target is neither http nor https".into(),
        }));
    }
    if !url.has_host() {
        return Err(bad("the redirect's target has no host".into()));
    }
    if url.fragment().is_none() {
        // RFC 9110 §10.2.2: the original's fragment is inherited.
        url.set_fragment(base.fragment());
    }
    Ok(url)
}

/// The next hop's request.
fn next(request: &Request, status: StatusCode, url: Url) -> Request {
    let mut next = request.clone();
    // D2: what browsers do, and RFC 9110 §15.4 allows.
    let becomes_get = match status.as_u16() {
        303 => request.method != Method::HEAD,
        301 | 302 => request.method == Method::POST,
        _ => false,
    };
    if becomes_get {
        next.method = Method::GET;
        next.body = None;
        // D3: nothing may describe a body that is not there.
        next.fields.retain(|name| !describes_body(name));
        if let Some(extra) = &mut next.extra {
            extra.without_body();
        }
    }
    if url.origin() != request.url.origin() {
        // D7: what was meant for one origin stays there.
        next.auth = None;
        next.fields.retain(|name| {
            name != b"authorization"
                && name != b"cookie"
                && name != b"proxy-authorization"
                && name != b"host"
        });
        if let Some(extra) = &mut next.extra {
            extra.for_another_origin();
        }
    }
    if let Some(extra) = &mut next.extra {
        extra.for_another_url();
    }
    next.url = url;
    if let Some(auth) = Auth::from_url(&next.url) {
        // A0: userinfo in Location replaces what was there.
        next.auth = Some(auth);
        next.fields.remove("authorization");
        next.url = without_credentials(&next.url);
    }
    next
}

fn describes_body(name: &[u8]) -> bool {
    name.starts_with(b"content-") || name == b"transfer-encoding" || name == b"expect"
}

#[cfg(all(test, not(loom)))]
mod tests;
