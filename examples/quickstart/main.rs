//! A tour of the main job, each stop a function to copy from:
//!
//! ```text
//! cargo run --release --example quickstart
//! ```
//!
//! Needs neither network nor set-up, for it brings a real HTTPS server of its
//! own (`server.rs`). What comes back is checked; the exit status is 1 if any
//! of it is wrong.

mod server;

use std::error::Error;
use std::net::{Ipv4Addr, TcpListener};
use std::process::ExitCode;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use miohttp::{Connector, Kind, Session, TlsConfig, wait_all};
use serde::{Deserialize, Serialize};

use server::{DELAY, DOWNLOAD, GREETING, Server};

/// What a step did, in one line, or what is wrong.
type Outcome = Result<String, Box<dyn Error>>;
type Step = fn(&Session, &Server) -> Outcome;

const STEPS: [(&str, Step); 8] = [
    ("GET", get),
    ("JSON there and back", json),
    ("redirect", redirect),
    ("gzip", gzip),
    ("100 in flight", many),
    ("download", download),
    ("error: refused", refused),
    ("error: certificate", distrusted),
];

fn main() -> ExitCode {
    match tour() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs every step, whatever became of the one before.
fn tour() -> Result<bool, Box<dyn Error>> {
    let server = Server::start()?;
    let session = session(&server)?;
    println!("miohttp and a server at {}\n", server.url("/"));

    let mut all_right = true;
    for (name, step) in STEPS {
        let start = Instant::now();
        let outcome = step(&session, &server);
        let ms = start.elapsed().as_secs_f64() * 1e3;
        let (verdict, line) = match outcome {
            Ok(line) => ("ok    ", line),
            Err(error) => {
                all_right = false;
                ("FAILED", error.to_string())
            }
        };
        println!("{verdict}  {name:<20} {ms:>8.1} ms   {line}");
    }

    let stats = session.connector().stats();
    println!(
        "\n{} connections opened, {} requests on a connection that was open already",
        stats.opened, stats.reused
    );
    Ok(all_right)
}

/// Make one session and keep it: it holds the open connections. Here it trusts
/// the server's own certificate; `Session::new()` does for the public web.
fn session(server: &Server) -> Result<Session, Box<dyn Error>> {
    let tls = TlsConfig::new().add_root_pem(server.certificate_pem())?;
    let connector = Connector::builder().tls(tls).build();
    Ok(Session::builder().connector(connector).build())
}

fn get(session: &Session, server: &Server) -> Outcome {
    let response = session.get(server.url("/")).send()?;
    let status = response.status();
    same("the status", status.as_u16(), 200)?;
    let text = response.text()?;
    same("the text", text.as_str(), GREETING)?;
    Ok(format!("{status}: {}", text.trim()))
}

#[derive(Serialize)]
struct Order {
    item: &'static str,
    count: u32,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Receipt {
    item: String,
    count: u32,
    price: u32,
}

fn json(session: &Session, server: &Server) -> Outcome {
    let order = Order {
        item: "tea",
        count: 2,
    };
    let receipt: Receipt = session
        .post(server.url("/orders"))
        .json(&order)
        .send()?
        .error_for_status()?
        .json()?;
    let expected = Receipt {
        item: "tea".to_owned(),
        count: 2,
        price: 6,
    };
    same("the receipt", &receipt, &expected)?;
    Ok(format!(
        "{} × {} for {}",
        receipt.count, receipt.item, receipt.price
    ))
}

fn redirect(session: &Session, server: &Server) -> Outcome {
    let response = session.get(server.url("/moved")).send()?;
    let [hop] = response.history() else {
        return Err(format!("{} redirects instead of 1", response.history().len()).into());
    };
    let line = format!(
        "{} {} to {}",
        hop.status,
        hop.url.path(),
        response.url().path()
    );
    same(
        "the last URL",
        response.url().as_str(),
        server.url("/").as_str(),
    )?;
    same("the text", response.text()?.as_str(), GREETING)?;
    Ok(line)
}

/// Compressed bodies are asked for and decoded without a word.
fn gzip(session: &Session, server: &Server) -> Outcome {
    let response = session.get(server.url("/gzip")).send()?;
    let coding = response.headers().get("content-encoding");
    same("the coding", coding.map(|v| v.as_bytes()), Some(b"gzip"))?;
    let received = response.content_length().unwrap_or_default();
    let text = response.text()?;
    same("the text", text == server::long_text(), true)?;
    Ok(format!("{received} bytes received, {} decoded", text.len()))
}

/// `start_send` returns at once, and what it started makes progress by itself.
fn many(session: &Session, server: &Server) -> Outcome {
    let url = server.url("/slow");
    let start = Instant::now();
    let pending: Vec<_> = (0..100).map(|_| session.get(&url).start_send()).collect();
    let count = pending.len();
    let mut at_once = 0;
    for response in wait_all(pending) {
        at_once = at_once.max(response?.text()?.parse::<usize>()?);
    }
    let (took, serial) = (start.elapsed(), DELAY * count as u32);
    if took >= serial {
        return Err(format!("{took:?}, as if one came after the other").into());
    }
    Ok(format!(
        "from one thread, up to {at_once} at once; one by one it takes at least {serial:?}"
    ))
}

/// A body of any size passes through little memory, here to be compared.
fn download(session: &Session, server: &Server) -> Outcome {
    let mut response = session.get(server.url("/download")).send()?;
    same("the length", response.content_length(), Some(DOWNLOAD))?;
    // Draws only where standard error is a terminal.
    let bar = ProgressBar::new(DOWNLOAD).with_style(ProgressStyle::with_template(
        "        {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}",
    )?);

    let start = Instant::now();
    let (mut received, mut expected) = (0, Vec::new());
    while let Some(chunk) = response.chunk()? {
        expected.resize(chunk.len(), 0);
        server::fill(&mut expected, received);
        if chunk != expected {
            return Err(format!("wrong bytes behind the first {received}").into());
        }
        received += chunk.len() as u64;
        bar.set_position(received);
    }
    bar.finish_and_clear();
    same("the bytes received", received, DOWNLOAD)?;
    let mib = received as f64 / f64::from(1 << 20);
    let speed = mib / start.elapsed().as_secs_f64();
    Ok(format!("{mib} MiB, every byte compared, {speed:.0} MiB/s"))
}

fn refused(session: &Session, _: &Server) -> Outcome {
    // A port that was free a moment ago.
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let result = session.get(format!("http://{address}/")).send();
    failed_with(Kind::Connect, result)
}

/// Another session, which has not been told to trust the server.
fn distrusted(_: &Session, server: &Server) -> Outcome {
    let result = Session::new().get(server.url("/")).send();
    failed_with(Kind::Certificate, result)
}

/// `{:#}` prints an error with its whole chain of causes.
fn failed_with<T>(kind: Kind, result: Result<T, miohttp::Error>) -> Outcome {
    match result {
        Ok(_) => Err("no error at all".into()),
        Err(error) if error.kind() == kind => Ok(format!("{error:#}")),
        Err(error) => Err(format!("not {kind:?} but {:?}: {error:#}", error.kind()).into()),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, wanted: T) -> Result<(), String> {
    if got == wanted {
        return Ok(());
    }
    Err(format!("{what} is {got:?} instead of {wanted:?}"))
}
