//! The pure parts of WebSockets (RFC 6455, RFC 7692): frames, messages and the
//! opening handshake. Bytes in, values out.

#[allow(dead_code, reason = "until a handshake offers it")]
pub(crate) mod extension;
