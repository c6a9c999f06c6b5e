//! The server that every client talks to: a process of its own, this binary
//! started again, so that its CPU and memory are nobody else's.
//!
//! | door | how it serves | for |
//! |---|---|---|
//! | `plain` | a thread a connection, blocking | everything that is not below |
//! | `many` | one thread, epoll | many small requests in flight |
//! | `tls` | as `plain`, by bare rustls, with resumption | the workloads over TLS |
//!
//! What a path means is in [`Request::route`]; a handshake of a WebSocket leads to
//! [`echo`], whatever its path. Answers are fixed bytes; the
//! server shall never be what is measured.

mod connection;
mod echo;
mod many;
mod nginx;
mod tls;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::bare_tls::BareTls;
use connection::serve;

pub(crate) use nginx::{Nginx, become_nginx};

/// Files in the folder that parent, server and children share.
pub(crate) const CA: &str = "ca.pem";
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";

/// How much TLS reads at a time.
const BUFFER: usize = 256 * 1024;

/// Where the doors of a running server are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Doors {
    pub(crate) plain: SocketAddr,
    pub(crate) many: SocketAddr,
    pub(crate) tls: SocketAddr,
}

/// A running server; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    pub(crate) doors: Doors,
}

impl Server {
    /// Starts it and waits until its doors are open. It leaves the certificate
    /// of its authority in `folder`.
    pub(crate) fn start(folder: &Path) -> Result<Self, crate::Error> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let doors = read_doors(&mut process);
        match doors {
            Ok(doors) => Ok(Self { process, doors }),
            Err(error) => {
                let _ = process.kill();
                let _ = process.wait();
                Err(error)
            }
        }
    }
}

fn read_doors(process: &mut Child) -> Result<Doors, crate::Error> {
    let mut out = process.stdout.take().ok_or("the server has no output")?;
    let mut text = String::new();
    let mut byte = [0];
    while out.read(&mut byte)? == 1 && byte != *b"\n" {
        text.push(char::from(byte[0]));
    }
    Ok(serde_json::from_str(&text)?)
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The body of the server's process. Ends when its input does, which is when
/// whoever started it ends.
pub(crate) fn run(folder: &Path) -> Outcome {
    crate::usage::die_with_parent()?;
    crate::usage::raise_descriptors()?;
    crate::apart::prepare();
    let (plain, many, tls) = (listener()?, listener()?, listener()?);
    let doors = Doors {
        plain: plain.local_addr()?,
        many: many.local_addr()?,
        tls: tls.local_addr()?,
    };
    let config = tls::config(folder)?;
    let gate = Arc::new(Gate::default());
    let through = Arc::clone(&gate);
    accept(plain, move |mut stream| serve(&mut stream, &through));
    accept(tls, move |stream| {
        let mut stream = BareTls::server(&config, stream, BUFFER).map_err(io::Error::other)?;
        let served = serve(&mut stream, &gate);
        let _ = stream.close();
        served
    });
    thread::spawn(move || {
        if let Err(error) = many::serve(many) {
            eprintln!("the server of many has ended: {error}");
        }
    });
    println!("{}", serde_json::to_string(&doors)?);
    io::stdout().flush()?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

/// On a port of the system's choosing. The standard library's backlog of 128
/// is enough: the kernel takes connections faster than one client opens them.
fn listener() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
}

/// Every thread accepts and then serves what it accepted, so a new connection
/// costs no hand-off; one more starts whenever the last free one is taken.
fn accept(
    listener: TcpListener,
    serve: impl Fn(std::net::TcpStream) -> io::Result<()> + Send + Sync + 'static,
) {
    struct Door<F> {
        listener: TcpListener,
        serve: F,
        free: AtomicUsize,
    }
    fn start<F>(door: &Arc<Door<F>>)
    where
        F: Fn(std::net::TcpStream) -> io::Result<()> + Send + Sync + 'static,
    {
        door.free.fetch_add(1, Ordering::SeqCst);
        let door = Arc::clone(door);
        let builder = thread::Builder::new().stack_size(512 * 1024);
        let started = builder.spawn(move || {
            loop {
                let Ok((stream, _)) = door.listener.accept() else {
                    return;
                };
                if door.free.fetch_sub(1, Ordering::SeqCst) == 1 {
                    start(&door);
                }
                let _ = stream.set_nodelay(true);
                // A client that goes away is nothing to report.
                let _ = (door.serve)(stream);
                door.free.fetch_add(1, Ordering::SeqCst);
            }
        });
        if let Err(error) = started {
            eprintln!("no thread for another connection: {error}");
        }
    }
    let door = Arc::new(Door {
        listener,
        serve,
        free: AtomicUsize::new(0),
    });
    // A few, so that not even the first connections start threads.
    for _ in 0..4 {
        start(&door);
    }
}

/// Holds back the rest of held responses until somebody asks to let them go.
#[derive(Debug, Default)]
struct Gate {
    opened: Mutex<u64>,
    changed: Condvar,
}

impl Gate {
    /// How often it was opened.
    fn count(&self) -> u64 {
        *self.lock()
    }

    /// Waits until it was opened once more than `before`.
    fn pass(&self, before: u64) {
        let _passed = self
            .changed
            .wait_while(self.lock(), |opened| *opened == before)
            .unwrap_or_else(|poisoned| poisoned.into_inner());
    }

    fn open(&self) {
        *self.lock() += 1;
        self.changed.notify_all();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, u64> {
        // A counter is whole whatever panicked.
        self.opened
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
