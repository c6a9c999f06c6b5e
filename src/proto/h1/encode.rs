//! Writing a request: its head, and the framing of its body.

use std::collections::VecDeque;

use bytes::Bytes;
use http::Version;

use crate::head::{RequestHead, is_graphic};
use crate::proto::Fault;

/// Writes the head, empty line included (RFC 9112 §2.1).
pub(super) fn head(head: &RequestHead, out: &mut Vec<u8>) {
    let (method, fields) = (head.method.as_str(), head.fields.as_bytes());
    // "GET /target HTTP/1.1" and its line end need 12 bytes beside the parts.
    out.reserve(method.len() + head.target().len() + 14 + fields.len());

    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    target(head.target(), out);
    out.extend_from_slice(if head.version == Version::HTTP_10 {
        b" HTTP/1.0\r\n"
    } else {
        b" HTTP/1.1\r\n"
    });
    // No part of a field can hold a line end, so none can smuggle another one in.
    out.extend_from_slice(fields);
    out.extend_from_slice(b"\r\n");
}

/// The target is plain bytes, so nothing but this function stands between a
/// line end in a URL and a second request on the wire: what would end the
/// target is percent-encoded, whatever the layers above have let through.
fn target(target: &[u8], out: &mut Vec<u8>) {
    if is_graphic(target) {
        out.extend_from_slice(target);
        return;
    }
    for byte in target {
        if *byte <= b' ' || *byte == 0x7f {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            out.push(*byte);
        }
    }
}

/// Frames the pieces of a request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoder {
    Known { declared: u64, left: u64 },
    Chunked,
}

impl Encoder {
    /// Frames one piece. An empty one is nothing: as a chunk it would end the
    /// body.
    pub(super) fn send(&mut self, data: Bytes, out: &mut VecDeque<Bytes>) -> Result<(), Fault> {
        if data.is_empty() {
            return Ok(());
        }
        match self {
            Self::Known { declared, left } => {
                let len = data.len() as u64;
                // Bytes past the declared end would be read as the next
                // request; none of this piece is sent.
                *left = left.checked_sub(len).ok_or(Fault::UploadLength {
                    declared: *declared,
                    offered: (*declared - *left).saturating_add(len),
                })?;
                out.push_back(data);
            }
            Self::Chunked => {
                out.push_back(Bytes::from(format!("{:x}\r\n", data.len())));
                out.push_back(data);
                out.push_back(Bytes::from_static(b"\r\n"));
            }
        }
        Ok(())
    }

    pub(super) fn finish(self, out: &mut VecDeque<Bytes>) -> Result<(), Fault> {
        match self {
            Self::Known { left: 0, .. } => Ok(()),
            Self::Known { declared, left } => Err(Fault::UploadLength {
                declared,
                offered: declared - left,
            }),
            Self::Chunked => {
                out.push_back(Bytes::from_static(b"0\r\n\r\n"));
                Ok(())
            }
        }
    }

    /// A chunked body is complete only with its last chunk, which
    /// [`Self::finish`] writes.
    pub(super) fn is_complete(self) -> bool {
        matches!(self, Self::Known { left: 0, .. })
    }
}
