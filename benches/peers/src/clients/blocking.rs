//! The workloads over clients that block a thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{Client, Job, Scratch, scratch, unable};
use crate::meter::Meter;
use crate::{Error, Outcome};

/// A client that blocks. Shared by the threads that use it.
pub(super) trait Blocking: Sync {
    /// A URL as this client likes it best: parsed, where it takes that.
    type Url: Sync;
    /// What one thread keeps for itself: a handle, a connection, or nothing.
    type Lane;

    fn url(&self, text: &str) -> Result<Self::Url, Error>;

    fn lane(&self) -> Result<Self::Lane, Error>;

    /// A GET; the length of its body, which was read to the end.
    fn get(
        &self,
        lane: &mut Self::Lane,
        url: &Self::Url,
        scratch: &mut Scratch,
    ) -> Result<u64, Error>;

    /// A POST of so many bytes with a length; the answer's body is read, too.
    fn put(&self, lane: &mut Self::Lane, url: &Self::Url, bytes: u64) -> Outcome;

    /// See [`Client::fly`].
    fn fly(&self, _url: &Self::Url, _count: usize, _meter: &Meter) -> Outcome {
        unable()
    }

    /// See [`Client::idle`]. [`hold`] does it for those that give a response
    /// before its body has come.
    fn idle(&self, _urls: &Holding<Self::Url>, _settled: &mut dyn FnMut()) -> Outcome {
        unable()
    }

    /// Keeps so many GETs in flight until told to stop.
    fn beside(&self, _url: &Self::Url, _lanes: usize, _stop: &AtomicBool) -> Outcome {
        unable()
    }

    /// Whether [`Blocking::beside`] is there.
    const BESIDE: bool = false;
}

/// What it takes to have many connections idle at once: each answer of `held`
/// waits, half sent, for a GET of `release`.
#[derive(Debug)]
pub(super) struct Holding<U> {
    pub(super) held: U,
    pub(super) release: U,
    pub(super) count: usize,
}

/// Opens them all, lets them all go, reads them all.
pub(super) fn hold<R>(
    count: usize,
    mut open: impl FnMut() -> Result<R, Error>,
    release: impl FnOnce() -> Outcome,
    mut read: impl FnMut(R) -> Outcome,
    settled: &mut dyn FnMut(),
) -> Outcome {
    settled();
    let held = (0..count).map(|_| open()).collect::<Result<Vec<R>, _>>()?;
    release()?;
    held.into_iter().try_for_each(&mut read)?;
    settled();
    Ok(())
}

/// A blocking client at work.
pub(super) struct ByThreads<B> {
    client: B,
    job: Job,
}

impl<B: Blocking> ByThreads<B> {
    pub(super) fn new(client: B, job: &Job) -> Self {
        Self {
            client,
            job: job.clone(),
        }
    }

    /// What opens the connection before a transfer, which is not about that.
    fn first(&self) -> Result<B::Url, Error> {
        self.client.url(&self.job.url_of("/small"))
    }

    fn gets(&self, url: &B::Url, meter: &Meter) -> Outcome {
        let mut scratch = scratch();
        let mut kept = self.client.lane()?;
        if self.job.is_transfer() {
            self.client.get(&mut kept, &self.first()?, &mut scratch)?;
        }
        let mut lane = meter.lane();
        while lane.turn() {
            let read = self.client.get(&mut kept, url, &mut scratch)?;
            self.job.check(read)?;
        }
        Ok(())
    }
}

impl<B: Blocking> Client for ByThreads<B> {
    fn sequence(&self, meter: &Meter) -> Outcome {
        self.gets(&self.client.url(&self.job.url())?, meter)
    }

    fn threads(&self, count: usize, meter: &Meter) -> Outcome {
        let url = self.client.url(&self.job.url())?;
        thread::scope(|scope| {
            let workers: Vec<_> = (0..count)
                .map(|_| scope.spawn(|| self.gets(&url, meter)))
                .collect();
            workers.into_iter().try_for_each(|worker| {
                let ended = worker.join();
                ended.unwrap_or_else(|_| Err("a thread panicked".into()))
            })
        })
    }

    fn fly(&self, count: usize, meter: &Meter) -> Outcome {
        let url = self.client.url(&self.job.url())?;
        self.client.fly(&url, count, meter)
    }

    fn upload(&self, meter: &Meter) -> Outcome {
        let url = self.client.url(&self.job.url_of("/sink"))?;
        let mut kept = self.client.lane()?;
        self.client.get(&mut kept, &self.first()?, &mut scratch())?;
        let mut lane = meter.lane();
        while lane.turn() {
            self.client.put(&mut kept, &url, self.job.bytes)?;
        }
        Ok(())
    }

    fn idle(&self, count: usize, settled: &mut dyn FnMut()) -> Outcome {
        let urls = Holding {
            held: self.client.url(&self.job.url())?,
            release: self.client.url(&self.job.url_of("/release"))?,
            count,
        };
        self.client.idle(&urls, settled)
    }

    fn mix(&self, lanes: usize, alone: &Meter, beside: &Meter) -> Outcome {
        if !B::BESIDE {
            return unable();
        }
        let url = self.client.url(&self.job.url())?;
        let other = self.client.url(&self.job.url_beside())?;
        self.gets(&url, alone)?;
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let crowd = scope.spawn(|| self.client.beside(&other, lanes, &stop));
            let measured = self.gets(&url, beside);
            stop.store(true, Ordering::Relaxed);
            let crowd = crowd.join();
            measured.and(crowd.unwrap_or_else(|_| Err("a thread panicked".into())))
        })
    }
}
