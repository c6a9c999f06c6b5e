//! A small `curl`: fetches URLs, several at once from one thread.
//!
//! ```text
//! cargo run --release --example fetch -- -L -o page.html https://example.com/
//! cargo run --release --example fetch -- --help
//! ```
//!
//! `args.rs` reads the command line, `output.rs` is where bodies go, `verbose.rs`
//! tells what happened, `failure.rs` turns what went wrong into an exit status.

mod args;
mod failure;
mod output;
mod verbose;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use miohttp::{
    Connector, Error, HeaderValue, NoProxy, Proxy, RedirectPolicy, RequestBuilder, Response,
    Session, Timeouts, TlsConfig, as_completed,
};

use args::{Args, Command};
use failure::Failure;
use output::Output;

/// How many URLs are fetched at once. Fewer than the connector's limit of 100:
/// a body that waits for its turn on standard output keeps its connection, and
/// one more is always needed for the body before it, should that be redirected.
const AT_ONCE: usize = 50;

fn main() -> ExitCode {
    match args::parse() {
        Ok(Command::Fetch(args)) => fetch(&args),
        Ok(Command::Print(text)) => finish(say(&text)),
        Err(failure) => finish(Err(failure)),
    }
}

/// Fetches all; the status is that of the first URL that failed.
fn fetch(args: &Args) -> ExitCode {
    let mut first = None;
    let ended = fetch_all(args, |number, failure| {
        if args.urls.len() > 1 && !failure.names_url() {
            complain(&format!("URL {number}: {failure}"));
        } else {
            complain(&failure.to_string());
        }
        first.get_or_insert(failure.status());
    });
    let status = finish(ended);
    first.map_or(status, ExitCode::from)
}

/// Fails for what ends everything; what concerns one URL goes to `report`,
/// with its number.
fn fetch_all(args: &Args, mut report: impl FnMut(usize, Failure)) -> Result<(), Failure> {
    let session = session(args)?;
    for (batch_number, batch) in args.urls.chunks(AT_ONCE).enumerate() {
        let start = Instant::now();
        let pending = batch
            .iter()
            .map(|url| request(&session, args, url).start_send());
        // Heads come in any order; bodies are written in that of the arguments,
        // each as soon as all before it are done. The others go on meanwhile.
        let mut waiting: Vec<Option<Fetched>> = batch.iter().map(|_| None).collect();
        let mut turn = 0;
        for (place, result) in as_completed(pending) {
            let fetched = Fetched {
                result,
                head_after: start.elapsed(),
            };
            if let Some(seat) = waiting.get_mut(place) {
                *seat = Some(fetched);
            }
            while let Some(fetched) = waiting.get_mut(turn).and_then(Option::take) {
                turn += 1;
                match deliver(args, fetched) {
                    Ok(()) => {}
                    Err(failure) if failure.ends_everything() => return Err(failure),
                    Err(failure) => report(batch_number * AT_ONCE + turn, failure),
                }
            }
        }
    }
    Ok(())
}

/// What came of one URL, its body not yet read.
struct Fetched {
    result: Result<Response, Error>,
    /// When it was taken note of: later than it came, if the body of another
    /// was being written then.
    head_after: Duration,
}

fn session(args: &Args) -> Result<Session, Failure> {
    let mut tls = TlsConfig::new().danger_accept_invalid_certs(args.insecure);
    if let Some(path) = &args.ca_file {
        let pem = std::fs::read(path).map_err(|error| Failure::reading(path, error))?;
        tls = tls
            .builtin_roots(false)
            .add_root_pem(&pem)
            .map_err(|error| Failure::reading(path, error.into()))?;
    }
    Ok(Session::builder()
        .connector(Connector::builder().tls(tls).build())
        .proxy(proxy(args)?)
        // A download takes as long as it takes, unless -m says otherwise.
        .timeouts(Timeouts::new().total(args.limit))
        .redirects(if args.follow {
            RedirectPolicy::default()
        } else {
            RedirectPolicy::None
        })
        .error_for_status(args.fail)
        .build())
}

/// The one of -x, or those of the environment.
fn proxy(args: &Args) -> Result<Proxy, Failure> {
    let proxy = match args.proxy.as_deref() {
        None => Proxy::from_env(),
        // For no URL at all.
        Some("") => Proxy::by(|_| None),
        Some(url) => Proxy::all(url)?,
    };
    let Some(list) = &args.no_proxy else {
        return Ok(proxy);
    };
    let hosts = NoProxy::parse(list).map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(proxy.no_proxy(hosts))
}

fn request(session: &Session, args: &Args, url: &str) -> RequestBuilder {
    let mut request = session.request(args.method.clone(), url);
    for (name, value) in &args.headers {
        request = match value {
            Some(value) => request.header(name, value),
            None => request.skip_auto_header(name.clone()),
        };
    }
    if let Some(data) = &args.data {
        request = request.body(data.clone());
        if !args.headers.iter().any(|(name, _)| name == "content-type") {
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            request = request.header("content-type", form);
        }
    }
    request
}

/// Writes one response to where it belongs.
fn deliver(args: &Args, fetched: Fetched) -> Result<(), Failure> {
    let mut response = match fetched.result {
        Ok(response) => response,
        Err(error) => {
            if args.verbose {
                verbose::error(&error, fetched.head_after);
            }
            return Err(error.into());
        }
    };
    if args.verbose {
        verbose::head(&response, fetched.head_after);
    }

    let mut output = Output::open(args.output.as_deref(), body_length(&response))?;
    if args.head {
        output.write(&verbose::head_text(&response))?;
    }
    let start = Instant::now();
    let mut length = 0;
    while let Some(chunk) = response.chunk()? {
        output.write(&chunk)?;
        length += chunk.len() as u64;
    }
    output.finish()?;
    if args.verbose {
        verbose::end(&response, length, start.elapsed());
    }
    Ok(())
}

/// How long the body will be as it is written, if the head tells: a compressed
/// one announces another length.
fn body_length(response: &Response) -> Option<u64> {
    if response.headers().contains_key("content-encoding") {
        return None;
    }
    response.content_length()
}

fn say(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes());
    written
        .and_then(|()| stdout.flush())
        .map_err(Failure::stdout)
}

fn complain(message: &str) {
    // `eprintln!` would panic where nobody reads standard error any more.
    let _ = writeln!(io::stderr(), "fetch: {message}");
}

fn finish(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough: `fetch … | head`.
        Err(Failure::Pipe) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure.to_string());
            ExitCode::from(failure.status())
        }
    }
}
