//! The reactor: one thread that drives whatever nobody is blocked on, and is the
//! steward of the rest: it alone looks names up, races, closes what is idle for
//! too long and takes over what was left lying. It runs the [`engine`] over the
//! real network.

mod dial;
mod due;
mod engine;
mod exchange;
mod handshake;
mod socket;
mod table;
#[cfg(all(test, not(loom)))]
mod tests;
mod timer;
#[cfg(feature = "websocket")]
mod websocket;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, JoinHandle};

use engine::{Engine, Lookups, Turn};
use handshake::Workers as Handshakers;

#[cfg(feature = "websocket")]
pub(crate) use crate::delivery::adoption;
use crate::delivery::{self, ConnPool};
use crate::dns::{Answer, LookupId, Query, Workers};
use crate::error::Error;
use crate::handoff::mailbox::Mailbox;
use crate::handoff::{self, park};
use crate::job::{Command, Config, Control};
use crate::net::mio::{MioNet, MioStream, Unwatcher};
use crate::sync::Arc;

/// The ledger of a connector on the real network.
pub(crate) type Ledger = ConnPool<MioStream>;

/// A running reactor thread. Dropping it asks the thread to end and does not
/// wait for it.
#[derive(Debug)]
pub(crate) struct Reactor {
    mailbox: Arc<Mailbox<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Reactor {
    /// Starts the thread. With it comes what takes a connection out of its
    /// sight.
    ///
    /// # Errors
    /// No descriptor or no thread to be had.
    pub(crate) fn start(
        config: Arc<Config>,
        pool: Arc<Ledger>,
        workers: Arc<Workers>,
    ) -> io::Result<(Self, Unwatcher)> {
        let (net, alarm) = MioNet::new()?;
        let unwatcher = net.unwatcher()?;
        let mailbox = Arc::new(Mailbox::new(Box::new(alarm)));
        let inside = mailbox.clone();
        let thread = thread::Builder::new()
            .name("miohttp".into())
            .spawn(move || run(net, inside, pool, workers, config))?;
        let reactor = Self {
            mailbox,
            thread: Some(thread),
        };
        Ok((reactor, unwatcher))
    }

    pub(crate) fn mailbox(&self) -> &Arc<Mailbox<Command>> {
        &self.mailbox
    }

    /// Fails what is in flight and waits until the thread has ended. Asked
    /// from the thread itself, it does not wait.
    pub(crate) fn close(mut self) {
        let _ = self.mailbox.push(Command::Control(Control::Shutdown));
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            // Its panics are contained and logged; there is nothing to learn.
            let _ = thread.join();
        }
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        // Refused when the thread has ended already.
        let _ = self.mailbox.push(Command::Control(Control::Shutdown));
    }
}

fn run(
    net: MioNet,
    mailbox: Arc<Mailbox<Command>>,
    pool: Arc<Ledger>,
    workers: Arc<Workers>,
    config: Arc<Config>,
) {
    park::forbid_waiting();
    handoff::gather_wakes();
    let lookups = Box::new(WorkerLookups {
        workers,
        mailbox: mailbox.clone(),
    });
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let handshakes = Box::new(Handshakers::new(mailbox.clone()));
        let (mail, pool) = (mailbox.clone(), pool.clone());
        let mut engine = Engine::new(net, mail, pool, lookups, handshakes, config);
        while engine.turn() == Turn::Continue {}
    }));
    if ran.is_err() {
        log::error!("the reactor panicked; every request in flight fails");
    }
    // Dropped commands and guards answer whoever waits on them.
    close_pool(&pool, &Error::internal("the reactor has ended"));
    drop(mailbox.close());
    // What is dropped behind this may wake somebody, too.
    handoff::end_gathering();
}

/// Closes a pool that has no reactor, or none any more. Whoever drives one of
/// its connections gives up.
pub(crate) fn close_pool(pool: &Ledger, error: &Error) {
    drop(delivery::end(pool.close(), error));
}

/// Lookups on worker threads; their answers come back by mail.
struct WorkerLookups {
    workers: Arc<Workers>,
    mailbox: Arc<Mailbox<Command>>,
}

impl Lookups for WorkerLookups {
    fn start(&mut self, id: LookupId, query: Query) {
        let mailbox = self.mailbox.clone();
        let sink = move |lookup| {
            // Nobody waits for it once the reactor has ended.
            let _ = mailbox.push(Command::Resolved(id, lookup));
        };
        let answer = Answer::new(query.port(), Box::new(sink));
        self.workers.start(id, query, answer);
    }

    fn withdraw(&mut self, id: LookupId) -> bool {
        self.workers.withdraw(id)
    }
}
