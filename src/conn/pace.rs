//! How fast an exchange has to go, and how fast it may: the limits that few
//! requests have (SPEC T6), each a point in time.
//!
//! Time in which this side is the slow one counts for none of them. It is what
//! lies between a pump that ended in a pause, of the reader, of an upload's
//! source or of a rate, and the next.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ConnFault;
use crate::error::Timeout;
use crate::job::{LowSpeed, RareLimits};

/// A rate is kept by moving this part of a second's worth, then waiting.
const SLICES: u64 = 16;

/// No wait for a rate is shorter: a poller that is woken for every few bytes
/// would do nothing else.
const LEAST_WAIT: Duration = Duration::from_millis(10);

/// What a late wake-up has lost may be made up for, so much of it.
const CATCH_UP: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Pace {
    limits: Arc<RareLimits>,
    /// When the network has taken nothing for too long.
    write_at: Option<Instant>,
    /// What it had taken when that was looked at.
    written: u64,
    /// When the head has been waited for too long.
    header_at: Option<Instant>,
    floor: Option<Floor>,
    down: Option<Bucket>,
    up: Option<Bucket>,
    /// The body ended where TLS was cut off.
    pub(super) truncated: bool,
}

/// Where an exchange stands at the end of a pump.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// Bytes the socket has taken.
    pub(super) written: u64,
    pub(super) is_sent: bool,
    /// Something waits for the socket to take it.
    pub(super) wants_write: bool,
    pub(super) awaits_continue: bool,
    /// The final head has come.
    pub(super) answered: bool,
    /// The peer may send: neither the reader nor a rate holds it up.
    pub(super) reads: bool,
}

impl Pace {
    pub(super) fn new(limits: &Arc<RareLimits>, now: Instant) -> Self {
        Self {
            write_at: None,
            written: 0,
            header_at: None,
            floor: limits.low_speed.map(Floor::new),
            down: limits.download_rate.map(|rate| Bucket::new(rate, now)),
            up: limits.upload_rate.map(|rate| Bucket::new(rate, now)),
            limits: Arc::clone(limits),
            truncated: false,
        }
    }

    pub(super) fn limits(&self) -> &RareLimits {
        &self.limits
    }

    /// A pump begins.
    pub(super) fn resume(&mut self, now: Instant) {
        if let Some(floor) = &mut self.floor {
            floor.resume(now);
        }
    }

    /// Whether the network seems to have been too slow. It may not have been.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        let floor = self.floor.as_ref().and_then(Floor::deadline);
        let ends = [self.write_at, self.header_at, floor];
        ends.into_iter().flatten().any(|at| at <= now)
    }

    /// Whoever drives it leaves it for now.
    pub(super) fn pause(&mut self, now: Instant) {
        if let Some(floor) = &mut self.floor {
            floor.pause(now);
        }
    }

    /// How much may be read, at most `most`; `None`: not now.
    pub(super) fn may_read(&mut self, most: usize, now: Instant) -> Option<usize> {
        self.down
            .as_mut()
            .map_or(Some(most), |down| down.room(most, now))
    }

    /// How much of an upload may follow, at most `most`; `None`: not now.
    pub(super) fn may_send(&mut self, most: usize, now: Instant) -> Option<usize> {
        self.up.as_mut().map_or(Some(most), |up| up.room(most, now))
    }

    pub(super) fn received(&mut self, n: usize, now: Instant) {
        if let Some(down) = &mut self.down {
            down.spend(n, now);
        }
        if let Some(floor) = &mut self.floor {
            floor.moved(n as u64, now);
        }
    }

    /// So much of the upload was handed over.
    pub(super) fn sent(&mut self, n: u64, now: Instant) {
        if let Some(up) = &mut self.up {
            up.spend(usize::try_from(n).unwrap_or(usize::MAX), now);
        }
    }

    /// The connection is at its end: what it holds is read at once.
    pub(super) fn unthrottle(&mut self) {
        self.down = None;
    }

    /// At the end of a pump: which limit has passed, if one has.
    pub(super) fn judge(&mut self, at: Standing, now: Instant) -> Result<(), ConnFault> {
        let moved = at.written.saturating_sub(self.written);
        self.written = at.written;
        if moved > 0 {
            self.write_at = None;
            if let Some(floor) = &mut self.floor {
                floor.moved(moved, now);
            }
        }
        // What is waited for no longer is nobody's deadline.
        if let Some(down) = &mut self.down {
            down.held = down.held.filter(|at| *at > now);
        }
        if let Some(up) = &mut self.up {
            let sends = !at.is_sent && !at.answered;
            up.held = up.held.filter(|at| *at > now && sends);
        }
        // What a final head cut short may be stuck for ever.
        let stalls = at.wants_write && !at.answered;
        let limit = self.limits.write_stall;
        passed(&mut self.write_at, stalls, limit, Timeout::WriteStall, now)?;
        let thinks = at.is_sent && !at.answered;
        let limit = self.limits.response_header;
        passed(
            &mut self.header_at,
            thinks,
            limit,
            Timeout::ResponseHeader,
            now,
        )?;
        let Some(floor) = &mut self.floor else {
            return Ok(());
        };
        let is_slow = match (at.answered, at.is_sent) {
            _ if at.awaits_continue && !at.answered => None,
            (true, _) => Some(at.reads),
            (false, false) => Some(at.wants_write),
            (false, true) => None,
        };
        match is_slow {
            None => floor.stop(),
            Some(counts) => {
                floor.run(now);
                if floor.is_due(now) {
                    let window = Some(floor.limit.window);
                    return Err(ConnFault::Limit(Timeout::LowSpeed, window));
                }
                if !counts {
                    floor.pause(now);
                }
            }
        }
        Ok(())
    }

    pub(super) fn earliest(&self) -> Option<Instant> {
        let floor = self.floor.as_ref().and_then(Floor::deadline);
        let down = self.down.as_ref().and_then(|down| down.held);
        let up = self.up.as_ref().and_then(|up| up.held);
        [self.write_at, self.header_at, floor, down, up]
            .into_iter()
            .flatten()
            .min()
    }
}

/// Sets a point in time where it counts and forgets it where not.
fn passed(
    at: &mut Option<Instant>,
    counts: bool,
    limit: Option<Duration>,
    which: Timeout,
    now: Instant,
) -> Result<(), ConnFault> {
    let Some(length) = limit.filter(|_| counts) else {
        *at = None;
        return Ok(());
    };
    match *at {
        Some(at) if at <= now => Err(ConnFault::Limit(which, Some(length))),
        Some(_) => Ok(()),
        None => {
            *at = now.checked_add(length);
            Ok(())
        }
    }
}

/// Each time the bytes have moved, the window begins anew.
#[derive(Debug)]
struct Floor {
    limit: LowSpeed,
    moved: u64,
    due: Option<Instant>,
    paused: Option<Instant>,
}

impl Floor {
    fn new(limit: LowSpeed) -> Self {
        Self {
            limit,
            moved: 0,
            due: None,
            paused: None,
        }
    }

    fn run(&mut self, now: Instant) {
        if self.due.is_none() {
            self.begin(now);
        }
    }

    fn begin(&mut self, now: Instant) {
        self.moved = 0;
        self.due = now.checked_add(self.limit.window);
    }

    fn stop(&mut self) {
        self.due = None;
        self.paused = None;
    }

    fn pause(&mut self, now: Instant) {
        if self.due.is_some() {
            self.paused.get_or_insert(now);
        }
    }

    fn resume(&mut self, now: Instant) {
        if let Some(since) = self.paused.take() {
            let lost = now.saturating_duration_since(since);
            self.due = self.due.and_then(|due| due.checked_add(lost));
        }
    }

    fn moved(&mut self, n: u64, now: Instant) {
        self.moved = self.moved.saturating_add(n);
        if self.due.is_some() && self.moved >= self.limit.bytes {
            self.begin(now);
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    fn deadline(&self) -> Option<Instant> {
        self.due.filter(|_| self.paused.is_none())
    }
}

/// Bytes a second. What has moved is paid for with the time that it takes.
#[derive(Debug)]
struct Bucket {
    rate: NonZeroU64,
    /// Up to when everything is paid for.
    paid: Instant,
    /// Nothing moves before this.
    held: Option<Instant>,
}

impl Bucket {
    fn new(rate: NonZeroU64, now: Instant) -> Self {
        Self {
            rate,
            paid: now,
            held: None,
        }
    }

    fn room(&mut self, most: usize, now: Instant) -> Option<usize> {
        if self.held.is_some_and(|at| now < at) {
            return None;
        }
        self.held = None;
        if self.paid > now {
            self.held = Some(self.paid.max(now + LEAST_WAIT));
            return None;
        }
        let slice = usize::try_from(self.rate.get() / SLICES).unwrap_or(usize::MAX);
        Some(most.min(slice.max(1)))
    }

    fn spend(&mut self, n: usize, now: Instant) {
        let nanos = (n as u128).saturating_mul(1_000_000_000) / u128::from(self.rate.get());
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        let from = self.paid.max(earliest);
        // Beyond what a clock can hold is long enough as it is.
        self.paid = from.checked_add(cost).unwrap_or(from);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_rate_holds_on_the_average_however_late_the_wake_ups() {
        for (rate, late) in [(10, 0), (1000, 3), (50_000, 7), (100_000_000, 1)] {
            let start = Instant::now();
            let mut now = start;
            let mut bucket = Bucket::new(NonZeroU64::new(rate).unwrap(), now);
            let (mut moved, mut waits) = (0_u64, 0);
            while now < start + ms(10_000) {
                match bucket.room(256 * 1024, now) {
                    Some(n) => {
                        moved += n as u64;
                        bucket.spend(n, now);
                    }
                    None => {
                        waits += 1;
                        now = bucket.held.unwrap() + ms(late);
                    }
                }
            }
            let wanted = rate * 10;
            assert!(moved <= wanted + wanted / 20 + 1, "{moved} of {wanted}");
            assert!(moved >= wanted - wanted / 20, "{moved} of {wanted}");
            assert!(waits <= 1000, "{waits} waits");
        }
    }

    #[test]
    fn what_was_not_used_is_not_saved_up() {
        let start = Instant::now();
        let mut bucket = Bucket::new(NonZeroU64::new(1600).unwrap(), start);
        let later = start + ms(60_000);
        let mut moved = 0;
        while let Some(n) = bucket.room(usize::MAX, later) {
            moved += n;
            bucket.spend(n, later);
        }
        assert!(moved <= 1600 / 10 + 100 + 1, "{moved}");
    }

    #[test]
    fn the_floor_stands_still_while_paused() {
        let start = Instant::now();
        let limit = LowSpeed {
            bytes: 100,
            window: ms(1000),
        };
        let mut floor = Floor::new(limit);
        floor.run(start);
        floor.moved(99, start + ms(900));
        floor.pause(start + ms(900));
        assert_eq!(floor.deadline(), None);
        floor.resume(start + ms(5900));
        assert!(!floor.is_due(start + ms(5999)));
        assert!(floor.is_due(start + ms(6000)));
        floor.moved(1, start + ms(6000));
        assert_eq!(floor.deadline(), Some(start + ms(7000)));
    }
}
