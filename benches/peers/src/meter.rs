//! Counts requests, times each, and reads the process's counters before the
//! first that counts and after the last.
//!
//! A meter hands out turns to any number of lanes, each one request after
//! another, on one thread or many. The first turns are for warming up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Error;
use crate::usage::Reading;

#[derive(Debug)]
pub(crate) struct Meter {
    warmup: usize,
    total: usize,
    /// Whether time and processor time are medians of the requests, and not
    /// means.
    of_medians: bool,
    issued: AtomicUsize,
    /// Lanes that may still have a request under way.
    active: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Nanoseconds each.
    laps: Vec<u64>,
    /// The processor time of each, in nanoseconds, where it is taken.
    cpu_laps: Vec<u64>,
    begin: Option<Reading>,
    end: Option<Reading>,
}

/// What came out, a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) wall_us: f64,
    pub(crate) cpu_us: f64,
    pub(crate) switches: f64,
}

impl Meter {
    pub(crate) fn new(warmup: usize, requests: usize) -> Self {
        Self {
            warmup,
            total: warmup + requests,
            of_medians: false,
            issued: AtomicUsize::new(0),
            active: AtomicUsize::new(0),
            state: Mutex::new(State {
                laps: Vec::with_capacity(requests),
                ..State::default()
            }),
        }
    }

    /// For few and long requests in one lane: what disturbs one of them then
    /// does not count. The counters are read before each.
    pub(crate) fn of_medians(self) -> Self {
        Self {
            of_medians: true,
            ..self
        }
    }

    pub(crate) fn lane(&self) -> Lane<'_> {
        self.active.fetch_add(1, Ordering::SeqCst);
        Lane {
            meter: self,
            since: None,
            cpu_since: None,
            laps: Vec::with_capacity(self.total - self.warmup),
            cpu_laps: Vec::new(),
        }
    }

    /// What was measured.
    ///
    /// # Errors
    /// The requests were not all made.
    pub(crate) fn figures(self) -> Result<Figures, Error> {
        let state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let (Some(begin), Some(end)) = (state.begin, state.end) else {
            return Err("the workload ended before its requests were made".into());
        };
        let requests = self.total - self.warmup;
        if self.of_medians && state.cpu_laps.len() < requests {
            return Err("the processor time is not to be had".into());
        }
        if state.laps.len() != requests {
            let made = state.laps.len();
            return Err(format!("{made} of {requests} requests were made").into());
        }
        let mut laps = state.laps;
        laps.sort_unstable();
        let mut cpu_laps = state.cpu_laps;
        cpu_laps.sort_unstable();
        let each = |total: f64| total / requests as f64;
        let p50_us = quantile(&laps, 50) as f64 / 1e3;
        let (wall_us, cpu_us) = if self.of_medians {
            (p50_us, quantile(&cpu_laps, 50) as f64 / 1e3)
        } else {
            (
                each((end.at - begin.at).as_secs_f64() * 1e6),
                each(end.cpu.saturating_sub(begin.cpu).as_secs_f64() * 1e6),
            )
        };
        Ok(Figures {
            p50_us,
            p99_us: quantile(&laps, 99) as f64 / 1e3,
            wall_us,
            cpu_us,
            switches: each(end.switches.saturating_sub(begin.switches) as f64),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn quantile(sorted: &[u64], percent: usize) -> u64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or(0)
}

/// One request after another.
#[derive(Debug)]
pub(crate) struct Lane<'a> {
    meter: &'a Meter,
    /// When the request under way began, if it counts.
    since: Option<Instant>,
    /// The processor time then, where it is taken.
    cpu_since: Option<Duration>,
    laps: Vec<u64>,
    cpu_laps: Vec<u64>,
}

impl Lane<'_> {
    /// Ends the request before, and says whether there is another to make.
    pub(crate) fn turn(&mut self) -> bool {
        let now = Instant::now();
        if let Some(since) = self.since.take() {
            self.laps.push((now - since).as_nanos() as u64);
        }
        if let Some(since) = self.cpu_since.take()
            && let Ok(reading) = Reading::now()
        {
            let cpu = reading.cpu.saturating_sub(since);
            self.cpu_laps.push(cpu.as_nanos() as u64);
        }
        let turn = self.meter.issued.fetch_add(1, Ordering::Relaxed);
        if turn < self.meter.warmup {
            return true;
        }
        if turn >= self.meter.total {
            return false;
        }
        if turn == self.meter.warmup {
            self.meter.state().begin = Reading::now().ok();
            self.since = Some(Instant::now());
        } else {
            self.since = Some(now);
        }
        if self.meter.of_medians && turn >= self.meter.warmup {
            self.cpu_since = Reading::now().ok().map(|reading| reading.cpu);
            self.since = Some(Instant::now());
        }
        true
    }
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        let last = self.meter.active.fetch_sub(1, Ordering::SeqCst) == 1;
        // Before what is only bookkeeping.
        let end = if last { Reading::now().ok() } else { None };
        let mut state = self.meter.state();
        state.laps.append(&mut self.laps);
        state.cpu_laps.append(&mut self.cpu_laps);
        if last && self.meter.issued.load(Ordering::SeqCst) > self.meter.total {
            state.end = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_lanes_share_the_turns_and_only_those_that_count_are_timed() {
        let meter = Meter::new(3, 10);
        let mut turns = 0;
        {
            let (mut one, mut other) = (meter.lane(), meter.lane());
            while one.turn() | other.turn() {
                turns += 1;
            }
        }
        assert_eq!(turns, 7, "13 turns, two at a time");
        let figures = meter.figures().expect("all requests were made");
        assert!(figures.p50_us <= figures.p99_us);
    }

    #[test]
    fn one_disturbed_request_is_not_in_the_medians() {
        let meter = Meter::new(1, 5).of_medians();
        {
            let mut lane = meter.lane();
            let mut requests = 0;
            while lane.turn() {
                requests += 1;
                if requests == 3 {
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
        }
        let figures = meter.figures().expect("all requests were made");
        assert!(figures.wall_us < 10_000.0 && figures.p99_us > 50_000.0);
    }

    #[test]
    fn a_workload_that_ends_early_has_no_figures() {
        let meter = Meter::new(0, 5);
        {
            let mut lane = meter.lane();
            lane.turn();
            lane.turn();
        }
        assert!(meter.figures().is_err());
    }

    #[test]
    fn quantiles_of_a_hundred() {
        let laps: Vec<u64> = (1..=100).collect();
        assert_eq!((quantile(&laps, 50), quantile(&laps, 99)), (51, 100));
        assert_eq!(quantile(&[], 50), 0);
    }
}
