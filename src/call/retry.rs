//! Trying again what failed (SPEC Y2): whether, and after how long.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::{Method, StatusCode};

use super::{Call, is_idempotent};
use crate::error::Timeout;
use crate::head::ResponseHead;
use crate::http_date;
use crate::job::{Failure, Progress};

/// When a request is tried again, and after how long (SPEC Y2). Off unless it is
/// set on the session or the request.
///
/// | setting | default |
/// |---|---|
/// | `attempts` | 3 |
/// | `backoff` | from 200 ms, doubled each time, to 10 s |
/// | `jitter` | 0.5 |
/// | `statuses` | 408, 429, 502, 503, 504 |
/// | `methods` | GET, HEAD, OPTIONS, TRACE, PUT, DELETE |
/// | `max_retry_after` | 60 s |
/// | `budget` | 100 |
///
/// ```
/// use std::time::Duration;
///
/// use miohttp::{Method, RetryPolicy, Session, StatusCode};
///
/// let policy = RetryPolicy::new()
///     .attempts(5)
///     .backoff(Duration::from_millis(100), Duration::from_secs(3));
/// let session = Session::builder().retry(policy.clone()).build();
/// // This one may be sent twice: the server knows it by its key.
/// let order = session
///     .post("http://example.com/orders")
///     .header("idempotency-key", "8e03978e")
///     .retry(policy.methods([Method::POST]).statuses([StatusCode::SERVICE_UNAVAILABLE]));
/// let once = session.get("http://example.com/").retry(None);
/// # drop((order, once));
/// ```
///
/// Tried again are
///
/// - answers with one of the `statuses` to a request with one of the `methods`;
///   their bodies are read away if short, their cookies are kept;
/// - requests that found no connection, for whatever method, since nothing of them
///   was sent: the name was not resolved, nobody listened, a limit passed;
/// - requests whose connection failed or whose limits but the total one passed
///   before there was an answer, for one of the `methods`.
///
/// Not tried again are a body that breaks off once its answer is delivered, a
/// certificate that is refused, an answer that is no HTTP, and a request with a body
/// that can be sent only once and has been.
///
/// Between two tries a request holds no connection. All of them, and the waits, are
/// under the one [total limit](crate::Timeouts::total); where the next wait would
/// reach beyond it, or the tries or the budget are used up, the last answer or error
/// is the result. [`Response::stats`](crate::Response::stats) and
/// [`Error::stats`](crate::Error::stats) say how often it was sent.
///
/// Apart from this, and on by default, is what a stale connection swallowed:
/// [`retry_stale`](crate::SessionBuilder::retry_stale).
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct RetryPolicy {
    attempts: u32,
    backoff: (Duration, Duration),
    jitter: f64,
    statuses: Vec<StatusCode>,
    /// `None` are the idempotent ones.
    methods: Option<Vec<Method>>,
    max_retry_after: Duration,
    budget: Option<u32>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 3,
            backoff: (Duration::from_millis(200), Duration::from_secs(10)),
            jitter: 0.5,
            statuses: vec![
                StatusCode::REQUEST_TIMEOUT,
                StatusCode::TOO_MANY_REQUESTS,
                StatusCode::BAD_GATEWAY,
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::GATEWAY_TIMEOUT,
            ],
            methods: None,
            max_retry_after: Duration::from_secs(60),
            budget: Some(100),
        }
    }
}

impl RetryPolicy {
    /// The defaults of the table above.
    pub fn new() -> Self {
        Self::default()
    }

    /// How often a request is tried at most, the first time included; 0 is 1.
    /// Redirects that are followed do not count, and the tries of all hops are
    /// counted together.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// How long to wait before the second try, doubled before each further one,
    /// and how long at most. A zero `first` does not wait,
    /// but for a millisecond after a failure.
    pub fn backoff(mut self, first: Duration, most: Duration) -> Self {
        self.backoff = (first, most);
        self
    }

    /// What part of each wait is left to chance, from 0 to 1: with 0.5 a wait is
    /// somewhere between half and all of what `backoff` says, so that those who
    /// were refused together do not come back together.
    pub fn jitter(mut self, part: f64) -> Self {
        // Not a number is no part at all.
        self.jitter = if part > 0.0 { part.min(1.0) } else { 0.0 };
        self
    }

    /// The statuses that are tried again. None tries only failures again.
    pub fn statuses(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.statuses = statuses.into_iter().collect();
        self
    }

    /// The methods that are tried again although the server may have acted on them
    /// already. By default those that are idempotent (RFC 9110 §9.2.2).
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods = Some(methods.into_iter().collect());
        self
    }

    /// The most of a `Retry-After` that is heeded (RFC 9110 §10.2.3), in seconds or
    /// as a date: a server that asks for a longer pause is asked again after this
    /// one. A wait is never shorter than `backoff` has it. Zero heeds none.
    pub fn max_retry_after(mut self, most: Duration) -> Self {
        self.max_retry_after = most;
        self
    }

    /// How many tries more than one each all requests of a session together may
    /// take, before they have to earn them: every ten answers that are none to be
    /// tried again give one back. A server that is down so costs little more than
    /// its share. `None` is no budget.
    pub fn budget(mut self, retries: impl Into<Option<u32>>) -> Self {
        self.budget = retries.into();
        self
    }

    fn may_repeat(&self, method: &Method) -> bool {
        match &self.methods {
            None => is_idempotent(method),
            Some(methods) => methods.contains(method),
        }
    }

    /// The wait before another try, after so many. `dice` is from 0 to 1.
    fn wait(&self, retries: u32, dice: f64) -> Duration {
        let (first, most) = self.backoff;
        let factor = 1_u32.checked_shl(retries).unwrap_or(u32::MAX);
        let wait = first.saturating_mul(factor).min(most);
        // Rounded up, the longest of all durations is none.
        Duration::try_from_secs_f64(wait.as_secs_f64() * (1.0 - self.jitter * dice)).unwrap_or(wait)
    }

    /// What the server asks for, as far as it is heeded. `now` is the time where the
    /// answer does not say what it takes for it.
    fn retry_after(&self, head: &ResponseHead, now: SystemTime) -> Duration {
        let Some(value) = head.first("retry-after").map(<[u8]>::trim_ascii) else {
            return Duration::ZERO;
        };
        let asked = if !value.is_empty() && value.iter().all(u8::is_ascii_digit) {
            let text = std::str::from_utf8(value).unwrap_or_default();
            // More than can be said is very long.
            Duration::from_secs(text.parse().unwrap_or(u64::MAX))
        } else {
            // By the server's own clock if it tells it: ours may be wrong.
            let date = |value| http_date::parse(value, now);
            let from = head.first("date").and_then(date).unwrap_or(now);
            let until = date(value).and_then(|until| until.duration_since(from).ok());
            until.unwrap_or_default()
        };
        asked.min(self.max_retry_after)
    }
}

/// What the requests of a session have spent on trying again.
#[derive(Debug, Default)]
pub(super) struct Spent(Mutex<u64>);

impl Spent {
    /// In tenths of a try: what an answer gives back.
    const TRY: u64 = 10;

    /// Pays for a try, if there is still something of this budget.
    fn pay(&self, budget: u32) -> bool {
        self.change(|spent| {
            let after = *spent + Self::TRY;
            let pays = after <= u64::from(budget) * Self::TRY;
            *spent = if pays { after } else { *spent };
            pays
        })
    }

    fn earn(&self) {
        self.change(|spent| *spent = spent.saturating_sub(1));
    }

    fn change<T>(&self, change: impl FnOnce(&mut u64) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Call {
    /// How long to wait before the request is sent again in place of delivering
    /// this answer.
    #[cold]
    pub(super) fn rest_after_reply(
        &mut self,
        head: &ResponseHead,
        now: Instant,
    ) -> Option<Duration> {
        let policy = self.settings().retry.clone()?;
        if !policy.statuses.contains(&head.status()) {
            if policy.budget.is_some() {
                self.context.spent().earn();
            }
            return None;
        }
        if !policy.may_repeat(&self.request.method) {
            return None;
        }
        let asked = policy.retry_after(head, SystemTime::now());
        self.rest(&policy, asked, now)
    }

    /// The same in place of reporting this failure.
    #[cold]
    pub(super) fn rest_after_failure(
        &mut self,
        failure: &Failure,
        now: Instant,
    ) -> Option<Duration> {
        let policy = self.settings().retry.clone()?;
        let error = &failure.error;
        if !error.is_retryable() || error.timeout() == Some(Timeout::Total) {
            return None;
        }
        let is_unsent = match failure.progress {
            Progress::Unconnected | Progress::Unsent => true,
            Progress::Unanswered | Progress::Begun => false,
        };
        if !is_unsent && !policy.may_repeat(&self.request.method) {
            return None;
        }
        self.rest(&policy, Duration::ZERO, now)
    }

    fn rest(&mut self, policy: &RetryPolicy, asked: Duration, now: Instant) -> Option<Duration> {
        // A body that is spent cannot be sent again.
        if self.tries >= policy.attempts.saturating_sub(1) || self.is_spent() {
            return None;
        }
        let wait = policy.wait(self.tries, dice()).max(asked);
        // Beyond the total limit nothing would come of it.
        let until = now.checked_add(wait)?;
        if self.deadline.is_some_and(|(at, _)| at <= until) {
            return None;
        }
        if let Some(budget) = policy.budget
            && !self.context.spent().pay(budget)
        {
            return None;
        }
        self.tries += 1;
        Some(wait)
    }
}

/// By chance, from 0 to 1. Not for secrets.
fn dice() -> f64 {
    // Each has other keys than the one before.
    let random = RandomState::new().hash_one(());
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(all(test, not(loom)))]
mod tests;
