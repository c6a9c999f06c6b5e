//! The thread that reads a source while its request is sent.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use bytes::Bytes;

use crate::call::{Opening, Spent};
use crate::error::{Error, Kind, Phase};
use crate::handoff::feed::{FeedReader, FeedWriter, Gone, feed};
use crate::handoff::park::{self, block_on};

/// How many bytes may wait to be sent before their maker waits.
pub(super) const BUDGET: usize = 256 * 1024;

/// The name of threads that run a source's code.
const THREAD: &str = "miohttp-body";

/// Has what was opened read by a thread of its own, and gives what it fills.
pub(super) fn begin(opened: Result<Opening, Spent>, length: Option<u64>) -> FeedReader<Error> {
    let (writer, reader) = feed(BUDGET);
    let opening = match opened {
        Ok(opening) => opening,
        Err(spent) => return failed(spent.into()),
    };
    let spawned = thread::Builder::new()
        .name(THREAD.to_owned())
        .spawn(move || run(writer, opening, length));
    match spawned {
        Ok(_) => reader,
        Err(error) => {
            let message = "there is no thread for the request body";
            failed(Error::internal(message).with_source(error))
        }
    }
}

/// A feed that fails at once.
pub(super) fn failed(error: Error) -> FeedReader<Error> {
    let (writer, reader) = feed(1);
    let _ = writer.finish(Err(error));
    reader
}

/// Why nothing more is read.
enum Stop {
    /// The request is over.
    Gone,
    Failed(Error),
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(source_error(error))
    }
}

fn run(mut writer: FeedWriter<Error>, opening: Opening, length: Option<u64>) {
    let filled = catch_unwind(AssertUnwindSafe(|| fill(&mut writer, opening, length)));
    let end = match filled {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Stop::Gone)) => return,
        Ok(Err(Stop::Failed(error))) => Err(error),
        Err(payload) => {
            // The payload is foreign, and its own drop may panic: leaked.
            mem::forget(payload);
            Err(Error::of_source("the source of the request body panicked"))
        }
    };
    // A request that is over meanwhile needs no end.
    let _ = writer.finish(end);
}

/// Reads to the end. The source is closed before the end is told.
fn fill(writer: &mut FeedWriter<Error>, opening: Opening, length: Option<u64>) -> Result<(), Stop> {
    let mut source = opening()?;
    let mut left = length;
    // The last piece of the announced length waits for the source's end: a
    // server that has all it was promised may answer at once, and what a
    // source gives beyond that would be lost in silence.
    let mut last: Option<Bytes> = None;
    loop {
        wait_for_room(writer)?;
        let Some(piece) = source.next()? else {
            break;
        };
        if piece.is_empty() {
            continue;
        }
        if let Some(left) = &mut left {
            let rest = left.checked_sub(piece.len() as u64);
            *left = rest.ok_or_else(|| Stop::Failed(wrong_length("more", length)))?;
            if *left == 0 {
                last = Some(piece);
                continue;
            }
        }
        writer.push(piece)?;
    }
    if left.is_some_and(|left| left > 0) {
        return Err(Stop::Failed(wrong_length("less", length)));
    }
    if let Some(piece) = last {
        writer.push(piece)?;
    }
    Ok(())
}

fn wait_for_room(writer: &mut FeedWriter<Error>) -> Result<(), Gone> {
    // This thread serves nobody else, so it may wait.
    block_on(None, |cx| writer.poll_room(cx)).unwrap_or(Err(Gone))
}

/// SPEC H5.
fn wrong_length(what: &str, length: Option<u64>) -> Error {
    let announced = length.unwrap_or_default();
    let message = format!("the request body holds {what} than the announced {announced} bytes");
    Error::new(Kind::InvalidRequest, message).with_phase(Phase::Send)
}

/// One of several parts is not as long as it was announced.
pub(super) fn wrong_part() -> io::Error {
    let message = "a part of the request body does not have the announced length";
    wrapped(Error::new(Kind::InvalidRequest, message).with_phase(Phase::Send))
}

/// What a request fails with when the source of its body does (SPEC B8).
pub(super) fn source_error(error: io::Error) -> Error {
    if let Some(ours) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Ours>())
    {
        return ours.0.clone();
    }
    Error::of_source("the source of the request body failed").with_source(error)
}

/// An error of this crate's own on its way through `io::Error`.
#[derive(Debug)]
struct Ours(Error);

impl fmt::Display for Ours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Ours {}

/// Passes an error of ours through code that knows `io::Error` only.
pub(super) fn wrapped(error: Error) -> io::Error {
    io::Error::other(Ours(error))
}

/// What is the user's, and so is dropped on a thread that may run the user's
/// code: a request's last holder is the reactor more often than not.
pub(super) struct Foreign<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Foreign<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Some(value))
    }

    pub(super) fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }

    pub(super) fn take(&mut self) -> Option<T> {
        self.0.take()
    }
}

impl<T: Send + 'static> Drop for Foreign<T> {
    fn drop(&mut self) {
        let Some(value) = self.0.take() else { return };
        if !park::is_forbidden() {
            return drop(value);
        }
        let away = || {
            thread::Builder::new()
                .name(THREAD.to_owned())
                .spawn(move || drop(value))
        };
        // Without a thread it is dropped here after all, and may panic.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(away)) {
            mem::forget(payload);
        }
    }
}
