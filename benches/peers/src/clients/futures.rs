//! The workloads over clients that are awaited.

use std::thread;

use futures_util::future::try_join_all;

use super::{Client, Job, unable};
use crate::meter::Meter;
use crate::{Error, Outcome};

/// A client whose requests are futures.
pub(super) trait Futures: Send + Sync + Sized {
    /// A URL as this client likes it best.
    type Url: Sync;
    /// What one sequence of requests keeps: a connection where the client has
    /// no pool, else nothing.
    type Lane;
    /// A response whose body has not been read.
    type Held;

    /// The same client for another thread.
    fn for_thread(&self) -> Result<Self, Error>;

    /// Runs a future to its end on this thread.
    fn block_on<F: Future>(&self, future: F) -> F::Output;

    fn url(&self, text: &str) -> Result<Self::Url, Error>;

    async fn lane(&self) -> Result<Self::Lane, Error>;

    /// A GET up to its response's head.
    async fn open(&self, lane: Self::Lane, url: &Self::Url) -> Result<Self::Held, Error>;

    /// The rest of it; the length of the body.
    async fn read(&self, held: Self::Held) -> Result<(Self::Lane, u64), Error>;

    /// A POST of so many bytes with a length.
    async fn put(&self, lane: Self::Lane, url: &Self::Url, bytes: u64)
    -> Result<Self::Lane, Error>;
}

/// An awaited client at work.
pub(super) struct ByFutures<F> {
    client: F,
    job: Job,
}

impl<F: Futures> ByFutures<F> {
    pub(super) fn new(client: F, job: &Job) -> Self {
        Self {
            client,
            job: job.clone(),
        }
    }

    /// What opens the connection before a transfer, which is not about that.
    async fn first(&self, client: &F, lane: F::Lane) -> Result<F::Lane, Error> {
        let small = client.url(&self.job.url_of("/small"))?;
        let held = client.open(lane, &small).await?;
        Ok(client.read(held).await?.0)
    }

    async fn gets(&self, client: &F, url: &F::Url, meter: &Meter) -> Outcome {
        let mut kept = client.lane().await?;
        if self.job.is_transfer() {
            kept = self.first(client, kept).await?;
        }
        let mut lane = meter.lane();
        let mut first = true;
        while lane.turn() {
            if self.job.workload.is_fresh() && !first {
                kept = client.lane().await?;
            }
            first = false;
            let held = client.open(kept, url).await?;
            let (again, read) = client.read(held).await?;
            self.job.check(read)?;
            kept = again;
        }
        // Before the connection, so that its end is not measured.
        drop(lane);
        drop(kept);
        Ok(())
    }
}

impl<F: Futures> Client for ByFutures<F> {
    fn sequence(&self, meter: &Meter) -> Outcome {
        let url = self.client.url(&self.job.url())?;
        self.client.block_on(self.gets(&self.client, &url, meter))
    }

    fn threads(&self, count: usize, meter: &Meter) -> Outcome {
        let url = self.client.url(&self.job.url())?;
        let clients = (0..count)
            .map(|_| self.client.for_thread())
            .collect::<Result<Vec<F>, _>>()?;
        thread::scope(|scope| {
            let workers: Vec<_> = clients
                .iter()
                .map(|client| scope.spawn(|| client.block_on(self.gets(client, &url, meter))))
                .collect();
            workers.into_iter().try_for_each(|worker| {
                let ended = worker.join();
                ended.unwrap_or_else(|_| Err("a thread panicked".into()))
            })
        })
    }

    fn fly(&self, count: usize, meter: &Meter) -> Outcome {
        let url = self.client.url(&self.job.url())?;
        let lanes = (0..count).map(|_| self.gets(&self.client, &url, meter));
        self.client.block_on(try_join_all(lanes)).map(drop)
    }

    fn upload(&self, meter: &Meter) -> Outcome {
        let url = self.client.url(&self.job.url_of("/sink"))?;
        self.client.block_on(async {
            let kept = self.client.lane().await?;
            let mut kept = self.first(&self.client, kept).await?;
            let mut lane = meter.lane();
            while lane.turn() {
                kept = self.client.put(kept, &url, self.job.bytes).await?;
            }
            drop(lane);
            drop(kept);
            Ok(())
        })
    }

    fn idle(&self, count: usize, settled: &mut dyn FnMut()) -> Outcome {
        let url = self.client.url(&self.job.url())?;
        let release = self.client.url(&self.job.url_of("/release"))?;
        self.client.block_on(async {
            let client = &self.client;
            settled();
            let mut held = Vec::with_capacity(count);
            for _ in 0..count {
                held.push(client.open(client.lane().await?, &url).await?);
            }
            let released = client.open(client.lane().await?, &release).await?;
            let mut idle = Vec::with_capacity(count + 1);
            idle.push(client.read(released).await?.0);
            for one in held {
                idle.push(client.read(one).await?.0);
            }
            settled();
            drop(idle);
            Ok(())
        })
    }

    /// Its callers do not block.
    fn mix(&self, _: usize, _: &Meter, _: &Meter) -> Outcome {
        unable()
    }
}
