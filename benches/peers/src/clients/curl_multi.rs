//! libcurl, its multi interface: any number of transfers from one thread.

use std::time::Duration;

use ::curl::easy::Easy2;
use ::curl::multi::{Easy2Handle, Multi};

use super::curl::{Transfer, handle};
use super::{Client, Job, unable};
use crate::meter::Meter;
use crate::{Error, Outcome};

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct CurlMulti {
    job: Job,
}

type Running = Vec<Option<Easy2Handle<Transfer>>>;

fn add(multi: &Multi, easy: Easy2<Transfer>, lane: usize) -> Result<Easy2Handle<Transfer>, Error> {
    let mut added = multi.add2(easy)?;
    added.set_token(lane)?;
    Ok(added)
}

impl CurlMulti {
    pub(super) fn new(job: &Job) -> Self {
        Self { job: job.clone() }
    }

    fn easy(&self, url: &str) -> Result<Easy2<Transfer>, Error> {
        let mut easy = handle(&self.job)?;
        easy.url(url)?;
        Ok(easy)
    }

    /// Runs transfers to their ends. Each that ends is told to `ended`, which
    /// says whether its handle starts over.
    fn drive(
        multi: &Multi,
        mut running: Running,
        mut ended: impl FnMut(usize, u64) -> Result<bool, Error>,
    ) -> Outcome {
        let mut left = running.len();
        let mut done = Vec::new();
        while left > 0 {
            multi.perform()?;
            multi.messages(|message| {
                if let (Ok(lane), Some(result)) = (message.token(), message.result()) {
                    done.push((lane, result));
                }
            });
            if done.is_empty() {
                multi.wait(&mut [], PATIENCE)?;
            }
            for (lane, result) in done.drain(..) {
                result?;
                let slot = running.get_mut(lane).ok_or("a transfer of nobody")?;
                let handle = slot.take().ok_or("a transfer that ended twice")?;
                let mut easy = multi.remove2(handle)?;
                let received = std::mem::take(&mut easy.get_mut().received);
                if ended(lane, received)? {
                    *slot = Some(add(multi, easy, lane)?);
                } else {
                    left -= 1;
                }
            }
        }
        Ok(())
    }

    fn lanes(&self, count: usize, meter: &Meter) -> Outcome {
        let url = self.job.url();
        let multi = Multi::new();
        let mut lanes: Vec<_> = (0..count).map(|_| meter.lane()).collect();
        if self.job.is_transfer() {
            // What opens the connection, which is not to be measured.
            let first = self.easy(&self.job.url_of("/small"))?;
            let first = vec![Some(add(&multi, first, 0)?)];
            Self::drive(&multi, first, |_, _| Ok(false))?;
        }
        let mut running = Vec::with_capacity(count);
        for (index, lane) in lanes.iter_mut().enumerate() {
            // There are more turns than lanes.
            lane.turn();
            running.push(Some(add(&multi, self.easy(&url)?, index)?));
        }
        Self::drive(&multi, running, |lane, received| {
            self.job.check(received)?;
            Ok(lanes.get_mut(lane).is_some_and(|lane| lane.turn()))
        })
    }
}

impl Client for CurlMulti {
    fn sequence(&self, meter: &Meter) -> Outcome {
        self.lanes(1, meter)
    }

    fn threads(&self, _: usize, _: &Meter) -> Outcome {
        unable()
    }

    fn fly(&self, count: usize, meter: &Meter) -> Outcome {
        self.lanes(count, meter)
    }

    /// The easy interface's workload.
    fn upload(&self, _: &Meter) -> Outcome {
        unable()
    }

    fn idle(&self, count: usize, settled: &mut dyn FnMut()) -> Outcome {
        let mut multi = Multi::new();
        multi.set_max_connects(2 * count)?;
        settled();
        let mut running = Vec::with_capacity(count + 1);
        for lane in 0..count {
            let easy = self.easy(&self.job.url())?;
            running.push(Some(add(&multi, easy, lane)?));
        }
        // Until each has the first half of its answer.
        while running
            .iter()
            .flatten()
            .any(|one| one.get_ref().received == 0)
        {
            multi.perform()?;
            multi.wait(&mut [], PATIENCE / 100)?;
        }
        let release = self.easy(&self.job.url_of("/release"))?;
        running.push(Some(add(&multi, release, count)?));
        Self::drive(&multi, running, |_, _| Ok(false))?;
        settled();
        Ok(())
    }

    fn mix(&self, _: usize, _: &Meter, _: &Meter) -> Outcome {
        unable()
    }
}
