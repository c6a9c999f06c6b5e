//! The rounds: one child after another, each watched.

use std::collections::HashSet;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::Error;
use crate::args::Options;
use crate::child::Sample;
use crate::plan::Workload;
use crate::server::{self, Doors, Nginx, Server};
use crate::usage::status;

/// No child takes longer, or it is ended.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often a child is looked at.
const GLANCE: Duration = Duration::from_millis(10);

/// Whose answers they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum At {
    /// Our own server's.
    Loopback,
    Nginx,
}

/// One child's figures.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) round: usize,
    pub(crate) at: At,
    pub(crate) workload: Workload,
    pub(crate) client: String,
    pub(crate) sample: Sample,
}

/// Runs everything. A client that fails is reported and left out of its round.
pub(crate) fn run(options: &Options) -> Result<Vec<Entry>, Error> {
    let scratch = Scratch::new()?;
    let server = Server::start(&scratch.0)?;
    let nginx = if options.nginx {
        Nginx::start(&scratch.0)?
    } else {
        None
    };
    let mut stages: Vec<(At, &Doors, Workload)> = Vec::new();
    for workload in options.workloads.iter().copied() {
        stages.push((At::Loopback, &server.doors, workload));
        if let Some(nginx) = &nginx
            && workload.is_for_nginx()
        {
            stages.push((At::Nginx, &nginx.doors, workload));
        }
    }
    let progress = progress(options.rounds * stages.len() * options.clients.len());
    let mut entries = Vec::new();
    let mut unable = HashSet::new();
    let mut order: Vec<&String> = options.clients.iter().collect();
    let mut dice = Dice::default();
    for round in 0..options.rounds {
        for (at, doors, workload) in stages.iter().copied() {
            // So that nobody always follows the same one.
            dice.shuffle(&mut order);
            for client in order.iter().copied() {
                progress.set_message(format!("{} {client}", workload.name()));
                progress.inc(1);
                if !workload.takes(client) || unable.contains(&(workload.name(), client)) {
                    continue;
                }
                match child(options, doors, &scratch.0, workload, client) {
                    Ok(Some(sample)) => entries.push(Entry {
                        round,
                        at,
                        workload,
                        client: client.clone(),
                        sample,
                    }),
                    Ok(None) => {
                        unable.insert((workload.name(), client));
                    }
                    Err(error) => progress.suspend(|| {
                        eprintln!("{} by {client} has failed: {error}", workload.name());
                    }),
                }
            }
        }
    }
    progress.finish_and_clear();
    Ok(entries)
}

/// The same numbers in each run, which is all the chance that is needed.
#[derive(Debug, Default)]
struct Dice(u64);

impl Dice {
    /// One of `0..below`, by splitmix64.
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % below.max(1)
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            all.swap(last, self.roll(last + 1));
        }
    }
}

fn progress(total: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg:<26} {eta} left");
    ProgressBar::new(total as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A folder for certificates and the like, gone at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Error> {
        let folder = std::env::temp_dir().join(format!("peers-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs one child to its end, or to the end of patience.
fn child(
    options: &Options,
    doors: &Doors,
    scratch: &Path,
    workload: Workload,
    client: &str,
) -> Result<Option<Sample>, Error> {
    let ca = scratch.join(server::CA);
    let door = if workload.is_tls() {
        doors.tls
    } else if workload.is_many() {
        doors.many
    } else {
        doors.plain
    };
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["child", "--workload", workload.name(), "--client", client])
        .args(["--server", &door.to_string()])
        .args(["--many", &doors.many.to_string()])
        .arg("--ca")
        .arg(&ca)
        // What has no other way to be told whom to trust.
        .env("SSL_CERT_FILE", ca)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if options.quick {
        command.arg("--quick");
    }
    let mut watched = Watched(command.spawn()?);
    let (success, threads) = watched.watch()?;
    let (mut out, mut said) = (String::new(), String::new());
    if let Some(mut pipe) = watched.0.stdout.take() {
        pipe.read_to_string(&mut out)?;
    }
    if let Some(mut pipe) = watched.0.stderr.take() {
        pipe.read_to_string(&mut said)?;
    }
    if !success {
        return Err(said.trim().lines().last().unwrap_or("no word").into());
    }
    let mut sample: Option<Sample> = serde_json::from_str(out.trim())?;
    if let Some(sample) = &mut sample {
        sample.threads = sample.threads.map(|own| own.max(threads));
    }
    Ok(sample)
}

/// A child that is ended with its watcher.
struct Watched(Child);

impl Watched {
    /// Whether it ended well, and the most threads that were seen.
    fn watch(&mut self) -> Result<(bool, f64), Error> {
        let pid = self.0.id().to_string();
        let deadline = Instant::now() + PATIENCE;
        let mut threads = 0;
        loop {
            if let Some(code) = self.0.try_wait()? {
                return Ok((code.success(), threads as f64));
            }
            if Instant::now() > deadline {
                return Err(format!("it did not end in {} s", PATIENCE.as_secs()).into());
            }
            threads = threads.max(status(&pid, "Threads").unwrap_or(0));
            thread::sleep(GLANCE);
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_keeps_all_and_changes_who_follows_whom() {
        let mut dice = Dice::default();
        let mut followed = HashSet::new();
        let mut order: Vec<usize> = (0..13).collect();
        for _ in 0..50 {
            dice.shuffle(&mut order);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..13).collect::<Vec<_>>());
            followed.extend(order.windows(2).map(|two| (two[0], two[1])));
        }
        assert!(followed.len() > 120, "of 156 pairs: {}", followed.len());
    }
}
