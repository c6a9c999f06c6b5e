//! A network of our own: a loopback device that nobody else uses, whose TCP
//! does not pace itself.
//!
//! Where the system's congestion control is BBR, it paces every connection by
//! a bandwidth that it guesses. On loopback that halves the throughput, and by
//! how much is chance: a difference of half between two runs of the same
//! client. What congestion control the clients use is nothing they can be
//! told, and changing the system's is not for a benchmark; a network namespace
//! has its own.

use std::fs;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};

use crate::{Error, Outcome};

const CONTROL: &str = "/proc/sys/net/ipv4/tcp_congestion_control";
/// The plainest, and one that every user may choose.
const PLAIN: &str = "reno";

/// Moves this process and all that it starts into a network of its own. Says
/// so if that cannot be had here, and stays; then `down` and `up` are noisy
/// where the congestion control paces. To be called while there is one thread.
pub(crate) fn enter_own() -> Outcome {
    let control = fs::read_to_string(CONTROL).unwrap_or_default();
    if let Err(error) = separate() {
        let control = control.trim();
        eprintln!("no network of our own ({error}); its congestion control is {control}");
        return Ok(());
    }
    // From here on there is no way back.
    if !ip(&["link", "set", "lo", "up"]) {
        return Err("the loopback device does not come up".into());
    }
    Ok(fs::write(CONTROL, PLAIN)?)
}

fn separate() -> Result<(), Error> {
    if !ip(&["link", "show", "lo"]) {
        return Err("there is no ip(8)".into());
    }
    if unshare(CloneFlags::CLONE_NEWNET).is_ok() {
        return Ok(());
    }
    // Who may not do that may do it as the root of a user namespace.
    let (uid, gid) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    Ok(fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?)
}

/// Whether `ip` did that.
fn ip(arguments: &[&str]) -> bool {
    let mut command = Command::new("ip");
    command.args(arguments).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
