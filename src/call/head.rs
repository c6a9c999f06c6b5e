//! The head of one hop: the caller's fields, then what is added to them
//! (SPEC §2.3).

use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE,
    HeaderName, HeaderValue, USER_AGENT,
};
use http::{Method, Version};
use url::{Position, Url};

use super::settings::Settings;
use super::{Request, RequestBody};
use crate::coding::Decoder;
use crate::error::Error;
use crate::head::{BodyLength, Fields, RequestHead};

const AGENT: &str = concat!("miohttp/", env!("CARGO_PKG_VERSION"));

/// Room for what is added to the caller's fields, in bytes; more is made when
/// it is needed.
const ROOM: usize = 200;

/// # Errors
/// The request contradicts itself (SPEC H5, Q7, Q10).
pub(super) fn build(
    request: &Request,
    settings: &Settings,
    cookie: Option<HeaderValue>,
) -> Result<RequestHead, Error> {
    if request.method == Method::CONNECT {
        return Err(Error::invalid_request(
            "CONNECT is not a request to an origin",
        ));
    }
    let own = &request.fields;
    let mut fields = Fields::behind(request.target().as_bytes(), own.as_bytes().len() + ROOM);
    // Host stands first, as RFC 9110 §7.2 recommends.
    if !fields.append_first(own, "host") {
        host(&request.url, &mut fields)?;
    }
    // Cookie is written below, merged with the jar's.
    if own.contains("host") || own.contains("cookie") {
        fields.append_some(own, |name| name != b"host" && name != b"cookie");
    } else {
        fields.append_all(own);
    }

    let is_bare = own.is_empty()
        || !["accept", "accept-encoding", "user-agent", "range"]
            .iter()
            .any(|name| own.contains(name));
    if is_bare {
        fields.append_all(settings.automatic.get_or_init(|| {
            let mut fields = Fields::default();
            automatic(own, settings, &mut fields);
            fields
        }));
    } else {
        automatic(own, settings, &mut fields);
    }
    if let Some(content_type) = request.body.as_ref().and_then(|body| body.content_type())
        && !own.contains("content-type")
        && !settings.skips(&CONTENT_TYPE)
    {
        fields.append(CONTENT_TYPE, content_type.clone());
    }
    if let Some(cookie) = cookie {
        fields.append(COOKIE, cookie);
    }
    if let Some(value) = authorization(request)? {
        fields.append(AUTHORIZATION, value);
    }
    if let Some(value) = connection(settings)
        && !own.contains("connection")
        && !settings.skips(&CONNECTION)
    {
        fields.append_static("connection", value);
    }
    let body = framing(request, settings, &mut fields)?;
    let has_body = body != BodyLength::Empty && body != BodyLength::Known(0);
    let expect_continue = has_body && expects(own, settings, &mut fields);
    Ok(RequestHead {
        method: request.method.clone(),
        version: settings.version,
        fields,
        body,
        expect_continue,
    })
}

/// The fields that do not depend on where the request goes.
fn automatic(own: &Fields, settings: &Settings, fields: &mut Fields) {
    let mut auto = |name: HeaderName, named: &'static str, value: &'static str| {
        if !own.contains(named) && !settings.skips(&name) {
            fields.append_static(named, value);
        }
    };
    auto(ACCEPT, "accept", "*/*");
    let codings = Decoder::accept_encoding();
    // RFC 9110 §14.2: a range is cut from the coded body, and what is cut from
    // its middle cannot be decoded.
    if settings.reading.auto_decompress && !codings.is_empty() && !own.contains("range") {
        auto(ACCEPT_ENCODING, "accept-encoding", codings);
    }
    auto(USER_AGENT, "user-agent", AGENT);
}

/// SPEC H1: the port only where it is not the scheme's own.
fn host(url: &Url, fields: &mut Fields) -> Result<(), Error> {
    match fields.append_word("host", &url[Position::BeforeHost..Position::AfterPort]) {
        true => Ok(()),
        false => Err(Error::invalid_request("the host cannot be sent")),
    }
}

/// SPEC Q7: credentials are not given twice.
fn authorization(request: &Request) -> Result<Option<HeaderValue>, Error> {
    let Some(auth) = &request.auth else {
        return Ok(None);
    };
    if request.fields.contains("authorization") {
        return Err(Error::invalid_request(
            "credentials are given twice: as auth or in the URL, and as an Authorization header",
        ));
    }
    auth.header()
}

/// SPEC H7.
fn connection(settings: &Settings) -> Option<&'static str> {
    match (settings.version, settings.force_close) {
        (Version::HTTP_10, false) => Some("keep-alive"),
        (Version::HTTP_10, true) => None,
        (_, true) => Some("close"),
        (_, false) => None,
    }
}

/// SPEC Q11: whether the body is announced, and the field that does.
fn expects(own: &Fields, settings: &Settings, fields: &mut Fields) -> bool {
    if let Some(value) = own.first("expect") {
        return value.eq_ignore_ascii_case(b"100-continue");
    }
    // RFC 9110 §10.1.1: a server of HTTP/1.0 does not know of it.
    let announces = settings.expect_continue.is_some() && settings.version != Version::HTTP_10;
    if announces {
        fields.append_static("expect", "100-continue");
    }
    announces
}

/// SPEC H5, Q10: how the body is framed, and the field that says so.
fn framing(
    request: &Request,
    settings: &Settings,
    fields: &mut Fields,
) -> Result<BodyLength, Error> {
    // Of a body that is there the length may not be known.
    let length = request.body.as_ref().map(RequestBody::length);
    // Which of two values counts is read differently by different servers
    // (RFC 9112 §11.2), so a second one is never sent, the same or not.
    for framing in ["transfer-encoding", "content-length"] {
        if fields.contains(framing) && fields.all(framing).count() > 1 {
            let message = format!("the header {framing} is given twice");
            return Err(Error::invalid_request(message));
        }
    }
    if request.extra.as_ref().is_some_and(|extra| extra.chunked) {
        for framing in ["transfer-encoding", "content-length"] {
            if fields.contains(framing) {
                let message = format!("chunked is asked for beside the header {framing}");
                return Err(Error::invalid_request(message));
            }
        }
        fields.append_static("transfer-encoding", "chunked");
    }
    if let Some(coding) = fields.first("transfer-encoding") {
        if !coding.eq_ignore_ascii_case(b"chunked") {
            return Err(Error::invalid_request(
                "the only Transfer-Encoding that can be sent is chunked",
            ));
        }
        if fields.contains("content-length") {
            return Err(Error::invalid_request(
                "a request has either Content-Length or Transfer-Encoding",
            ));
        }
        if settings.version == Version::HTTP_10 {
            return Err(Error::invalid_request("HTTP/1.0 has no Transfer-Encoding"));
        }
        return Ok(BodyLength::Chunked);
    }
    if let Some(explicit) = fields.first("content-length") {
        let text = std::str::from_utf8(explicit).ok();
        let value = text.and_then(|text| text.parse::<u64>().ok());
        // The parser would take a sign.
        let Some(value) = value.filter(|_| explicit.iter().all(u8::is_ascii_digit)) else {
            return Err(Error::invalid_request("Content-Length is not a number"));
        };
        // What is of unknown length is held to this while it is sent.
        if length
            .unwrap_or(Some(0))
            .is_some_and(|length| length != value)
        {
            return Err(Error::invalid_request(
                "Content-Length does not fit the body",
            ));
        }
        return Ok(match length {
            Some(_) => BodyLength::Known(value),
            None => BodyLength::Empty,
        });
    }
    let announces = matches!(request.method, Method::POST | Method::PUT | Method::PATCH);
    match length {
        Some(None) if settings.version == Version::HTTP_10 => Err(Error::invalid_request(
            "HTTP/1.0 cannot send a body of unknown length",
        )),
        Some(None) => {
            fields.append_static("transfer-encoding", "chunked");
            Ok(BodyLength::Chunked)
        }
        Some(Some(length)) if length > 0 || announces => {
            fields.append(CONTENT_LENGTH, HeaderValue::from(length));
            Ok(BodyLength::Known(length))
        }
        None if announces => {
            fields.append_static("content-length", "0");
            Ok(BodyLength::Empty)
        }
        _ => Ok(BodyLength::Empty),
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
