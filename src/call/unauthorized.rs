//! Credentials that a server asks for (SPEC A7): when a request carries them,
//! and what a `401` means for it.
//!
//! ```text
//! First ──────────────────────────── 401 ──▶ Answered ─ stale ─▶ Renewed ──▶ deliver
//!   └─ held back ─▶ Held ─── 401 ───────────────▲
//!                     └─ anything else ─▶ Whole ┘
//! ```
//!
//! Each hop of a redirect begins anew.

use http::StatusCode;
use http::header::AUTHORIZATION;

use super::{Call, Content, Request, RequestBody};
use crate::auth::{Asked, Auth, Message, Wanted};
use crate::error::Error;
use crate::head::{RequestHead, ResponseHead};
use crate::job::{Exchange, Next, Pieces, Reply};

/// Where a hop stands with a server that asks for credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Turn {
    #[default]
    First,
    /// Sent without its body, to be asked before that.
    Held,
    /// Sent again, with its body, since nobody asked.
    Whole,
    /// A challenge has been answered. There is no second time,
    Answered,
    /// unless its nonce was used up by then.
    Renewed,
}

/// A longer body is signed, should it have to be, by whoever waits for its
/// request: the reactor's thread has others to serve. Some 15 ms of it.
const MAX_HASHED_ANYWHERE: u64 = 8 * 1024 * 1024;

impl Request {
    /// Whether an answer may have to sign a long body (qop `auth-int`).
    pub(super) fn may_hash_much(&self) -> bool {
        if self.auth.as_ref().and_then(Auth::asked).is_none() {
            return false;
        }
        match self.body.as_ref().map(RequestBody::content) {
            Some(Content::Memory(pieces)) => pieces.len() > MAX_HASHED_ANYWHERE,
            // What is not in memory is never signed.
            Some(Content::Source(_)) | None => false,
        }
    }
}

impl Call {
    /// Takes away the body of a request that has to wait for a challenge; the
    /// caller puts it back when the head is made.
    pub(super) fn hold_body(&mut self) -> Option<RequestBody> {
        let request = &mut self.request;
        let asked = request.auth.as_ref().and_then(Auth::asked)?;
        // A head that speaks of the body by itself would be a lie without it.
        let speaks = ["content-length", "transfer-encoding", "expect"]
            .iter()
            .any(|name| request.fields.contains(name))
            || request.extra.as_ref().is_some_and(|extra| extra.chunked);
        if self.turn != Turn::First || speaks || !asked.holds_body(&request.url) {
            return None;
        }
        let body = request.body.take_if(|body| body.length() != Some(0))?;
        self.turn = Turn::Held;
        Some(body)
    }

    /// Adds the credentials to a head that is complete but for them.
    ///
    /// # Errors
    /// They cannot be sent.
    pub(super) fn authorize(&self, head: &mut RequestHead) -> Result<(), Error> {
        let Some(asked) = self.asked() else {
            return Ok(());
        };
        // A body that is still to be made cannot be read before it is sent.
        let mut in_memory = match self.request.body.as_ref().map(RequestBody::content) {
            None => Some(Pieces::default()),
            Some(Content::Memory(pieces)) => Some(pieces.clone()),
            Some(Content::Source(_)) => None,
        };
        let mut pieces = in_memory.as_mut().map(|pieces| {
            std::iter::from_fn(|| {
                let piece = pieces.take(usize::MAX);
                (!piece.is_empty()).then_some(piece)
            })
        });
        let is_asked = matches!(self.turn, Turn::Answered | Turn::Renewed);
        let mut message = Message {
            method: head.method.as_str(),
            url: &self.request.url,
            target: &head.target,
            body: pieces.as_mut().map(|pieces| pieces as _),
        };
        if let Some(value) = asked.value(&mut message, is_asked)? {
            head.fields.append(AUTHORIZATION, value);
        }
        Ok(())
    }

    /// Whether the request goes out once more: with what it was asked for, or
    /// with the body that was held back.
    ///
    /// # Errors
    /// It was asked for what cannot be given.
    pub(super) fn is_asked_again(
        &mut self,
        sent: &Exchange,
        head: &ResponseHead,
    ) -> Result<bool, Error> {
        let Some(asked) = self.asked() else {
            return Ok(false);
        };
        let url = &self.request.url;
        let was_sent = sent.head.fields.contains("authorization");
        let turn = match (head.status(), self.turn) {
            (StatusCode::UNAUTHORIZED, turn @ (Turn::Answered | Turn::Renewed)) => {
                // For the requests to come, too: this one has had its answer.
                let wanted = asked.challenged(url, head.values("www-authenticate"), was_sent);
                if turn == Turn::Renewed || !matches!(wanted, Ok(Wanted::NewNonce)) {
                    return Ok(false);
                }
                Turn::Renewed
            }
            (StatusCode::UNAUTHORIZED, _) => {
                match asked.challenged(url, head.values("www-authenticate"), was_sent)? {
                    Wanted::Nothing => return Ok(false),
                    Wanted::Credentials | Wanted::NewNonce => Turn::Answered,
                }
            }
            (_, turn) => {
                if was_sent {
                    for field in head.values("authentication-info") {
                        asked.told(url, field);
                    }
                }
                if turn != Turn::Held {
                    return Ok(false);
                }
                // Whatever it is, it is no answer to a request with a body.
                Turn::Whole
            }
        };
        self.turn = turn;
        Ok(true)
    }

    /// The request once more, for the reason that has just been found.
    pub(super) fn send_asked(mut self: Box<Self>, sent: &Exchange, reply: &Reply) -> Next {
        // Another request, with a stale connection of its own to make good.
        self.retried = false;
        match self.into_exchange() {
            Ok(exchange) => Next::Again(exchange),
            Err((call, error)) => call.refuse(error, sent, reply),
        }
    }

    fn asked(&self) -> Option<&Asked> {
        self.request.auth.as_ref().and_then(Auth::asked)
    }
}
