//! What an exchange sends behind its head: pieces in memory, or a feed that
//! somebody fills while it is sent.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

use crate::error::Error;
use crate::handoff::feed::{Fed, FeedReader};

/// The request body of one exchange, and how much of it is used up.
#[derive(Default)]
pub(crate) enum Upload {
    #[default]
    Nothing,
    /// Boxed, since most requests carry nothing.
    Memory(Box<Pieces>),
    Feed(Box<Feed>),
}

/// What there is to send now.
#[derive(Debug)]
pub(crate) enum Taken {
    /// Never empty.
    Data(Bytes),
    End,
    /// Nothing yet; the waker is called when there is.
    Later,
    /// There will be no more, and that was not the end.
    Failed(Error),
}

/// Begins to fill a feed and gives its end. Called by a driver, which may be
/// the reactor: no user code, nothing that blocks.
pub(crate) type Begin = Box<dyn FnOnce() -> FeedReader<Error> + Send>;

/// A body that is not all there.
pub(crate) struct Feed {
    state: FeedState,
    waker: Waker,
}

enum FeedState {
    /// Nobody has asked for any of it, so its source is untouched.
    Unbegun(Option<Begin>),
    Running(FeedReader<Error>),
}

impl Upload {
    /// A body that begins to be made when its first byte can be sent.
    pub(crate) fn later(begin: Begin) -> Self {
        Self::Feed(Box::new(Feed {
            state: FeedState::Unbegun(Some(begin)),
            waker: Waker::noop().clone(),
        }))
    }

    pub(crate) fn is_feed(&self) -> bool {
        matches!(self, Self::Feed(_))
    }

    /// Whether nothing is left of what is in memory.
    pub(crate) fn is_used_up(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Memory(pieces) => pieces.is_empty(),
            Self::Feed(_) => false,
        }
    }

    /// Who is told when a feed has something again.
    pub(crate) fn wake_by(&mut self, waker: impl FnOnce() -> Waker) {
        if let Self::Feed(feed) = self {
            feed.waker = waker();
        }
    }

    /// The next piece, at most so long.
    pub(crate) fn take(&mut self, most: usize) -> Taken {
        match self {
            Self::Nothing => Taken::End,
            Self::Memory(pieces) if pieces.is_empty() => Taken::End,
            Self::Memory(pieces) => Taken::Data(pieces.take(most)),
            Self::Feed(feed) => feed.take(most),
        }
    }
}

impl Feed {
    fn take(&mut self, most: usize) -> Taken {
        if let FeedState::Unbegun(begin) = &mut self.state
            && let Some(begin) = begin.take()
        {
            self.state = FeedState::Running(begin());
        }
        let FeedState::Running(reader) = &mut self.state else {
            // Only a panic in `begin` leaves it so.
            return Taken::Failed(given_up());
        };
        match reader.poll_take(most, &mut Context::from_waker(&self.waker)) {
            Poll::Pending => Taken::Later,
            Poll::Ready(Fed::Data(data)) => Taken::Data(data),
            Poll::Ready(Fed::End(Ok(()))) => Taken::End,
            Poll::Ready(Fed::End(Err(error))) => Taken::Failed(error),
            Poll::Ready(Fed::Broken) => Taken::Failed(given_up()),
        }
    }
}

/// Whoever made the body went away in the middle of it.
pub(crate) fn given_up() -> Error {
    Error::of_source("the request body was given up before its end")
}

impl fmt::Debug for Upload {
    // A body is the caller's own business, and may be long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Upload(nothing)"),
            Self::Memory(pieces) => write!(f, "Upload({} bytes)", pieces.len()),
            Self::Feed(_) => f.write_str("Upload(feed)"),
        }
    }
}

/// A request body in memory: one piece, or several that were never joined.
/// Cloning shares them.
#[derive(Clone, Default)]
pub(crate) struct Pieces {
    current: Bytes,
    rest: Option<Arc<[Bytes]>>,
    /// Of `rest`, how many are used up.
    used: usize,
}

impl Pieces {
    /// Pieces too small to be worth a place of their own are joined.
    pub(crate) fn of(pieces: impl Iterator<Item = Bytes>) -> Self {
        const SMALL: usize = 4 * 1024;
        const JOINED: usize = 64 * 1024;
        let mut all = VecDeque::new();
        let mut joined = BytesMut::new();
        for piece in pieces {
            let is_small = piece.len() < SMALL;
            if !joined.is_empty() && (!is_small || joined.len() > JOINED) {
                all.push_back(joined.split().freeze());
            }
            if is_small {
                joined.extend_from_slice(&piece);
            } else {
                all.push_back(piece);
            }
        }
        if !joined.is_empty() {
            all.push_back(joined.freeze());
        }
        let current = all.pop_front().unwrap_or_default();
        let rest = (!all.is_empty()).then(|| Vec::from(all).into());
        Self {
            current,
            rest,
            used: 0,
        }
    }

    /// Bytes left.
    pub(crate) fn len(&self) -> u64 {
        let rest: u64 = self.rest().iter().map(|piece| piece.len() as u64).sum();
        self.current.len() as u64 + rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.current.is_empty()
    }

    /// The next piece, at most so long; empty at the end.
    pub(crate) fn take(&mut self, most: usize) -> Bytes {
        let piece = self.current.split_to(self.current.len().min(most));
        if self.current.is_empty()
            && let Some(next) = self.rest().first().cloned()
        {
            self.current = next;
            self.used += 1;
        }
        piece
    }

    pub(super) fn rest(&self) -> &[Bytes] {
        let rest = self.rest.as_deref().unwrap_or_default();
        rest.get(self.used..).unwrap_or_default()
    }
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pieces({} bytes)", self.len())
    }
}

impl From<Bytes> for Pieces {
    fn from(bytes: Bytes) -> Self {
        Self {
            current: bytes,
            ..Self::default()
        }
    }
}

impl From<Pieces> for Upload {
    fn from(pieces: Pieces) -> Self {
        match pieces.is_empty() {
            true => Self::Nothing,
            false => Self::Memory(Box::new(pieces)),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
