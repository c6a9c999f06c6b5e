//! What came of one request, in the words of the protocol.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use miohttp::{Error, Hop, Kind, Response, Version};
use serde_json::{Value, json};

use crate::job::from_bytes;

/// Reads the response to its end and tells what came. A body that breaks off
/// keeps what there was of it.
pub fn of_response(mut response: Response) -> Value {
    let headers: Vec<Value> = response
        .raw_headers()
        .map(|(name, value)| json!([from_bytes(name), from_bytes(value)]))
        .collect();
    let mut outcome = json!({
        "status": response.status().as_u16(),
        "reason": response.reason(),
        "version": version(response.version()),
        "headers": headers,
        "final_url": response.url().as_str(),
        "history": history(response.history()),
    });
    let mut body = Vec::new();
    loop {
        match response.chunk() {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => {
                outcome["error_kind"] = kind(&error).into();
                outcome["error"] = format!("{error:#}").into();
                break;
            }
        }
    }
    outcome["body_base64"] = STANDARD.encode(&body).into();
    outcome
}

/// A request that came to no response, or to one that is an error.
pub fn of_error(error: &Error) -> Value {
    let mut outcome = json!({
        "error_kind": kind(error),
        "error": format!("{error:#}"),
        "history": history(error.history()),
    });
    if let Some(status) = error.status() {
        outcome["status"] = status.as_u16().into();
        outcome["reason"] = error.reason().unwrap_or_default().into();
    }
    if let Some(body) = error.body() {
        outcome["body_base64"] = STANDARD.encode(body).into();
    }
    if let Some(url) = error.url() {
        outcome["final_url"] = url.as_str().into();
    }
    outcome
}

fn history(hops: &[Hop]) -> Vec<Value> {
    hops.iter()
        .map(|hop| json!({ "status": hop.status.as_u16(), "url": hop.url.as_str() }))
        .collect()
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

fn kind(error: &Error) -> &'static str {
    match error.kind() {
        Kind::InvalidUrl => "invalid_url",
        Kind::InvalidRequest | Kind::BodyNotReplayable => "invalid_request",
        Kind::TooManyRedirects => "too_many_redirects",
        Kind::BadRedirect => "redirect",
        Kind::Status => "status",
        Kind::Dns => "dns",
        Kind::Connect => "connect",
        Kind::ProxyConnect | Kind::ProxyRefused => "proxy",
        Kind::Tls | Kind::Certificate | Kind::Fingerprint => "tls",
        Kind::Timeout => "timeout",
        // Of payload faults, a body that was cut short is the retryable one.
        Kind::Payload if error.is_retryable() => "incomplete",
        Kind::Payload | Kind::Decode => "decode",
        Kind::Disconnected => "incomplete",
        Kind::Protocol => "invalid_response",
        Kind::Limit => "too_large",
        _ => "other",
    }
}
