//! HTTP/1.1 on one connection (RFC 9112), client side.
//!
//! ```text
//! machine   who may speak now: the two state enums, reuse, early replies
//!   encode  request head and body framing -> bytes
//!   parse   bytes -> response head, trailers; what the head says of framing
//!   plain   the same for heads without any oddity, in one pass
//!   body    bytes -> body pieces (length, chunked, until close)
//! ```
//!
//! `machine` alone keeps state across calls that others may ask about; the
//! others know nothing of it.

mod body;
mod encode;
mod machine;
mod parse;
mod plain;
#[cfg(test)]
mod tests;

pub(crate) use machine::{Limits, Machine};
