//! Waiting for many.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::pending::{Pending, refused};
use crate::error::Error;
use crate::handoff::park::block_on;

/// Waits for all, and gives their results in the order they were given.
///
/// All are kept until the last has ended. A [`Response`](crate::Response) whose
/// body is larger than what is read ahead (twice the
/// [`read_buffer`](crate::SessionBuilder::read_buffer)) holds its connection
/// until it is read, so **more large responses than the connector's
/// [`limit`](crate::ConnectorBuilder::limit) starve themselves**: the others
/// wait for a slot until a time limit passes. Wait for their bodies instead, as
/// here, or take one response after the other from [`as_completed`] and read it
/// before taking the next.
///
/// ```no_run
/// use miohttp::{Response, Session, wait_all};
///
/// let session = Session::new();
/// let pages = ["http://example.com/a", "http://example.com/b"];
/// let start = |url| session.get(url).start_send().and_then(Response::start_text);
/// let texts = wait_all(pages.map(start));
/// assert_eq!(texts.len(), 2);
/// ```
pub fn wait_all<T>(pending: impl IntoIterator<Item = Pending<T>>) -> Vec<Result<T, Error>> {
    // Not one after the other: what a later one has to do on this thread may be
    // what an earlier one waits for.
    let mut results: Vec<_> = as_completed(pending).collect();
    results.sort_unstable_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Waits for the first of several to end, takes it out of the list and gives
/// the place it had there and its result. `None` for an empty list.
///
/// To take many results as they come, [`as_completed`] is cheaper.
///
/// ```no_run
/// # let session = miohttp::Session::new();
/// let mut mirrors: Vec<_> = ["http://a.example/", "http://b.example/"]
///     .map(|url| session.get(url).start_send())
///     .into();
/// if let Some((place, Ok(response))) = miohttp::wait_any(&mut mirrors) {
///     println!("mirror {place} was first: {}", response.status());
/// } // the other is cancelled when `mirrors` goes
/// ```
pub fn wait_any<T>(pending: &mut Vec<Pending<T>>) -> Option<(usize, Result<T, Error>)> {
    if pending.is_empty() {
        return None;
    }
    let waited = block_on(None, |cx| {
        for (place, one) in pending.iter_mut().enumerate() {
            if let Poll::Ready(result) = one.poll_result(cx) {
                return Poll::Ready((place, result));
            }
        }
        Poll::Pending
    });
    match waited {
        Ok((place, result)) => {
            drop(pending.remove(place));
            Some((place, result))
        }
        Err(unwaited) => {
            // It goes like any other, or a loop over the list would not end.
            drop(pending.remove(0));
            Some((0, Err(refused(unwaited))))
        }
    }
}

/// Gives results as they come, each with the place its operation had in the
/// list. Blocks in `next` until there is one.
///
/// Each response is read, or dropped, before the next is taken: then any number
/// of them passes through few connections, whatever their size.
///
/// ```no_run
/// use miohttp::{Response, Session, as_completed};
///
/// let session = Session::new();
/// let urls = ["http://example.com/a", "http://example.com/b"];
/// for (place, result) in as_completed(urls.map(|url| session.get(url).start_send())) {
///     match result.and_then(Response::text) {
///         Ok(text) => println!("{}: {} bytes", urls[place], text.len()),
///         Err(error) => eprintln!("{error:#}"),
///     }
/// }
/// ```
pub fn as_completed<T>(pending: impl IntoIterator<Item = Pending<T>>) -> AsCompleted<T> {
    let queue = Arc::new(Mutex::new(Woken::default()));
    let pending: Vec<_> = pending.into_iter().map(Some).collect();
    lock(&queue).places = (0..pending.len()).collect();
    let wakers = (0..pending.len())
        .map(|place| {
            Waker::from(Arc::new(PlaceWaker {
                queue: queue.clone(),
                place,
            }))
        })
        .collect();
    AsCompleted {
        left: pending.len(),
        pending,
        wakers,
        queue,
    }
}

/// The iterator of [`as_completed`].
#[must_use = "dropping it cancels what has not ended"]
pub struct AsCompleted<T> {
    pending: Vec<Option<Pending<T>>>,
    wakers: Vec<Waker>,
    queue: Arc<Mutex<Woken>>,
    left: usize,
}

/// Who is to be looked at, so that one result costs one poll, not one of each.
#[derive(Default)]
struct Woken {
    places: VecDeque<usize>,
    waiter: Option<Waker>,
}

struct PlaceWaker {
    queue: Arc<Mutex<Woken>>,
    place: usize,
}

impl Wake for PlaceWaker {
    fn wake(self: Arc<Self>) {
        let waiter = {
            let mut woken = lock(&self.queue);
            woken.places.push_back(self.place);
            woken.waiter.take()
        };
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

fn lock(queue: &Mutex<Woken>) -> std::sync::MutexGuard<'_, Woken> {
    // Nothing panics while it is held.
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Iterator for AsCompleted<T> {
    type Item = (usize, Result<T, Error>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let waited = block_on(None, |cx| {
            loop {
                let place = {
                    let mut woken = lock(&self.queue);
                    match woken.places.pop_front() {
                        Some(place) => place,
                        None => {
                            woken.waiter = Some(cx.waker().clone());
                            return Poll::Pending;
                        }
                    }
                };
                // Woken once more after it ended: nothing there.
                let Some(one) = &mut self.pending[place] else {
                    continue;
                };
                let mut cx = Context::from_waker(&self.wakers[place]);
                if let Poll::Ready(result) = one.poll_result(&mut cx) {
                    return Poll::Ready((place, result));
                }
            }
        });
        let (place, result) = match waited {
            Ok(ended) => ended,
            // Refused one by one, so that each still gets an answer.
            Err(unwaited) => (
                self.pending.iter().position(Option::is_some)?,
                Err(refused(unwaited)),
            ),
        };
        self.left -= 1;
        self.pending[place] = None;
        Some((place, result))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> ExactSizeIterator for AsCompleted<T> {}

impl<T> fmt::Debug for AsCompleted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
