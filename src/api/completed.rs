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
/// ```no_run
/// # let session = miohttp::Session::new();
/// let pages = ["http://example.com/a", "http://example.com/b"];
/// let results = miohttp::wait_all(pages.map(|url| session.get(url).start_send()));
/// assert_eq!(results.len(), 2);
/// ```
pub fn wait_all<T>(pending: impl IntoIterator<Item = Pending<T>>) -> Vec<Result<T, Error>> {
    // Each runs by itself, so waiting for one after the other costs nothing.
    let pending: Vec<_> = pending.into_iter().collect();
    pending.into_iter().map(Pending::wait).collect()
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
        Err(unwaited) => Some((0, Err(refused(unwaited)))),
    }
}

/// Gives results as they come, each with the place its operation had in the
/// list. Blocks in `next` until there is one.
///
/// ```no_run
/// # let session = miohttp::Session::new();
/// let urls = ["http://example.com/a", "http://example.com/b"];
/// for (place, result) in miohttp::as_completed(urls.map(|url| session.get(url).start_send())) {
///     match result {
///         Ok(response) => println!("{}: {}", urls[place], response.status()),
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
        self.left -= 1;
        match waited {
            Ok((place, result)) => {
                self.pending[place] = None;
                Some((place, result))
            }
            Err(unwaited) => {
                self.left = 0;
                Some((0, Err(refused(unwaited))))
            }
        }
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
