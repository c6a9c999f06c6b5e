//! The end of a session (SPEC S30, S33, S34).

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::Session;
use crate::api::connector::Connector;
use crate::handoff::park;

/// How long [`Session::shutdown`] lies still between two looks, at first and at
/// most.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

impl Session {
    /// Ends the session: later requests fail with
    /// [`Kind::Closed`](crate::Kind::Closed), those of its clones too. Its own
    /// connector is closed with it, which fails what is in flight the same way;
    /// one it was given stays open (SPEC S13, S33). Waits for the connector's
    /// thread to end. Idempotent.
    pub fn close(&self) {
        self.inner.closed.store(true, Ordering::Release);
        if self.inner.owns_connector && !self.inner.detached.load(Ordering::Acquire) {
            self.inner.connector.close();
        }
    }

    /// Ends the session when its work is done: later requests fail with
    /// [`Kind::Closed`](crate::Kind::Closed) at once, those in flight go on, and
    /// so does the reading of their bodies. Blocks until the last has ended, for
    /// `grace` at most; then it [closes](Session::close) what is left. True: all
    /// had ended by itself (SPEC S33).
    ///
    /// Redirects and retries of what is in flight are still made. A response that
    /// nobody reads counts as in flight until it is dropped. A session that
    /// shares a connector is closed without a wait, since nothing is broken off
    /// by that. So is one in the child of a process, and on the connector's own
    /// thread nothing is waited for either.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let session = miohttp::Session::new();
    /// assert!(session.shutdown(Duration::from_secs(5)));
    /// assert!(session.is_closed());
    /// ```
    pub fn shutdown(&self, grace: Duration) -> bool {
        self.inner.closed.store(true, Ordering::Release);
        let is_done = !self.inner.owns_connector || self.wait_for_the_last(grace);
        self.close();
        is_done
    }

    /// Looks again and again: what is in flight is known to the ledger and to
    /// the handles, whose work should not get dearer for what happens once.
    fn wait_for_the_last(&self, grace: Duration) -> bool {
        let deadline = Instant::now().checked_add(grace);
        let mut pause = FIRST_PAUSE;
        loop {
            if self.is_idle() {
                return true;
            }
            let left = deadline.map_or(LONGEST_PAUSE, |at| {
                at.saturating_duration_since(Instant::now())
            });
            // Somebody may lose patience and close it meanwhile.
            if left.is_zero() || park::is_forbidden() || self.inner.connector.is_closed() {
                return false;
            }
            thread::sleep(pause.min(left));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Whether nothing is in flight. A call that waits between two exchanges
    /// holds no connection, and a body that is being read has no call any more;
    /// no call begins now, so both together are everything.
    fn is_idle(&self) -> bool {
        if !self.inner.connector.is_home() {
            return true;
        }
        let has_calls = self.inner.context.is_shared();
        let stats = self.inner.connector.stats();
        !has_calls && stats.in_use == 0 && stats.waiting == 0
    }

    /// Whether the session or its connector is closed (SPEC S30).
    pub fn is_closed(&self) -> bool {
        self.inner.closed.load(Ordering::Acquire) || self.inner.connector.is_closed()
    }

    /// Ends the session, as for all its clones, but leaves its connector open,
    /// its own too, and hands it out (SPEC S34). What is in flight goes on.
    ///
    /// ```
    /// use miohttp::Session;
    ///
    /// let connector = Session::new().into_connector();
    /// let next = Session::builder().connector(connector).build();
    /// assert!(!next.is_closed());
    /// ```
    pub fn into_connector(self) -> Connector {
        // First, so that a clone that is closed meanwhile leaves it open.
        self.inner.detached.store(true, Ordering::Release);
        self.inner.closed.store(true, Ordering::Release);
        self.inner.connector.clone()
    }
}
