//! What this process has used, as the kernel counts it.

use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::time::TimeVal;

use crate::{Error, Outcome};

/// A reading of the counters; the difference of two is what lies between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) at: Instant,
    /// Processor time of all threads, user and system.
    pub(crate) cpu: Duration,
    /// Context switches of all threads, of either kind.
    pub(crate) switches: u64,
}

impl Reading {
    pub(crate) fn now() -> Result<Self, Error> {
        let usage = getrusage(UsageWho::RUSAGE_SELF)?;
        let switches = usage.voluntary_context_switches() + usage.involuntary_context_switches();
        Ok(Self {
            at: Instant::now(),
            cpu: duration(usage.user_time()) + duration(usage.system_time()),
            switches: u64::try_from(switches)?,
        })
    }
}

fn duration(time: TimeVal) -> Duration {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

/// One line of `/proc/PID/status`, such as `VmHWM`, as a number. `None` where
/// the process is gone.
pub(crate) fn status(pid: &str, field: &str) -> Option<u64> {
    number_behind(&format!("/proc/{pid}/status"), field)
}

/// Memory of this process that is no file's, in bytes. Exact, unlike `VmRSS`.
pub(crate) fn anonymous_memory() -> Result<u64, Error> {
    number_behind("/proc/self/smaps_rollup", "Anonymous")
        .map(|kib| kib * 1024)
        .ok_or_else(|| "the kernel does not tell this process's memory".into())
}

fn number_behind(file: &str, field: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Has the kernel end this process when the one that started it ends.
pub(crate) fn die_with_parent() -> Outcome {
    Ok(set_pdeathsig(Signal::SIGKILL)?)
}

/// Takes all the file descriptors that may be had.
pub(crate) fn raise_descriptors() -> Outcome {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}
