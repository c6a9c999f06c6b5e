//! `-v` and `-i`: what was asked and what came.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Duration;

use miohttp::{Error, Response, Url};

/// The response head as bytes, for `-i`.
pub(crate) fn head_text(response: &Response) -> Vec<u8> {
    let mut text = format!(
        "{:?} {} {}\r\n",
        response.version(),
        response.status().as_u16(),
        response.reason()
    )
    .into_bytes();
    for (name, value) in response.raw_headers() {
        text.extend([name, b": ", value, b"\r\n"].concat());
    }
    text.extend(b"\r\n");
    text
}

/// The redirects, the request and the response head, for `-v`.
pub(crate) fn head(response: &Response, after: Duration) {
    let mut text = String::new();
    for hop in response.history() {
        // Only the last hop's method is known; an earlier one may differ.
        request_line(&mut text, None, &hop.url);
        _ = writeln!(text, "< {}", hop.status);
        if let Some(location) = hop.headers.get("location") {
            let location = String::from_utf8_lossy(location.as_bytes());
            _ = writeln!(text, "< location: {location}");
        }
    }
    request_line(&mut text, Some(response.method().as_str()), response.url());
    if let Some(address) = response.remote_addr() {
        let kind = if response.is_reused() {
            "reused"
        } else {
            "new"
        };
        _ = writeln!(text, "* {kind} connection to {address}");
    }
    if response.proxy_headers().is_some() {
        text.push_str("* which is a proxy, and lent a tunnel\n");
    }
    if response.attempts() as usize > response.history().len() + 1 {
        _ = writeln!(text, "* sent {} times in all", response.attempts());
    }
    let head = head_text(response);
    for line in String::from_utf8_lossy(&head).lines() {
        _ = writeln!(text, "< {line}");
    }
    _ = writeln!(text, "* head after {after:.1?}");
    print(&text);
}

/// The trailers and the figures of a body, for `-v`.
pub(crate) fn end(response: &Response, length: u64, took: Duration) {
    let mut text = String::new();
    for (name, value) in &response.trailers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        _ = writeln!(text, "< {name}: {value}");
    }
    _ = writeln!(text, "* body of {length} bytes in {took:.1?}");
    print(&text);
}

/// How a request failed, for `-v`; the message itself is printed anyway.
pub(crate) fn error(error: &Error, after: Duration) {
    let mut text = String::new();
    if let Some(url) = error.url() {
        request_line(&mut text, None, url);
    }
    if let Some(address) = error.peer() {
        _ = writeln!(text, "* connected to {address}");
    }
    _ = writeln!(text, "* {:?} error after {after:.1?}", error.kind());
    print(&text);
}

fn request_line(text: &mut String, method: Option<&str>, url: &Url) {
    let method = method
        .map(|method| format!("{method} "))
        .unwrap_or_default();
    _ = writeln!(text, "> {method}{url}");
}

fn print(text: &str) {
    // Nobody may read standard error any more, and that is no failure.
    let _ = io::stderr().write_all(text.as_bytes());
}
