//! The command line.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lexopt::prelude::*;
use miohttp::{Bytes, HeaderName, HeaderValue, Method};

use crate::failure::Failure;

const HELP: &str = "\
Fetches URLs, several at once, and writes their bodies to standard output in
the order of the arguments. Compressed bodies are asked for and decoded.

Usage: fetch [OPTION]... URL...

  -X, --request METHOD   the method; GET, or POST with -d, without this
  -H, --header 'K: V'    adds a header; 'K;' sends it empty, 'K:' never adds it
  -d, --data DATA        sends DATA, as a form unless -H says otherwise; several
                         are joined with '&'; @FILE takes it from a file as it
                         is, @- from standard input
  -o, --output FILE      writes to FILE, which is there whole or not at all
                         ('-' is standard output); one URL only
  -L, --location         follows redirects, at most 10
  -f, --fail             makes a status of 400 or above an error
  -k, --insecure         accepts any certificate: anyone on the path can read
                         and change everything
      --cacert FILE      trusts the authorities in this PEM file and no others
  -x, --proxy URL        goes through this proxy: http, https, socks4, socks4a,
                         socks5 or socks5h, with USER:PASSWORD@ before the host;
                         '' is none, whatever the environment says
      --noproxy LIST     hosts that are reached without one: names with all below
                         them, addresses, networks, HOST:PORT, or '*'
  -m, --max-time SECONDS limits each URL's whole time (0.5 is fine); the wait
                         for the bodies of the URLs before it counts
  -i, --include          writes the head before the body
  -v, --verbose          tells on standard error what happens
      --help, --version

A URL without a scheme is taken for http://. Redirects are not followed
without -L, and a status is no error without -f. Without -x the proxies are those
of the environment: http_proxy, https_proxy, all_proxy and no_proxy.

Exit status, of the first URL that failed if there are several:
   0  all is well              22  a status of 400 or above, with -f
   1  anything not named here  23  the output cannot be written
   2  wrong usage              26  a file to send or to trust cannot be read
   3  a malformed URL          28  a time limit passed
   6  host name not resolved   35  TLS failed
   7  no connection, or no     47  too many redirects
      way through the proxy
  18  the body broke off       56  the connection failed before the response
                               60  the certificate is not acceptable
A reader of standard output that goes away is no failure.
";

/// What is to be done.
pub(crate) enum Command {
    Fetch(Args),
    /// `--help` and `--version`.
    Print(String),
}

pub(crate) struct Args {
    pub(crate) method: Method,
    /// Without a value: never sent.
    pub(crate) headers: Vec<(HeaderName, Option<HeaderValue>)>,
    pub(crate) data: Option<Bytes>,
    /// `None` is standard output.
    pub(crate) output: Option<PathBuf>,
    pub(crate) follow: bool,
    pub(crate) fail: bool,
    pub(crate) insecure: bool,
    pub(crate) ca_file: Option<PathBuf>,
    /// `None` is what the environment says, an empty one is none.
    pub(crate) proxy: Option<String>,
    pub(crate) no_proxy: Option<String>,
    pub(crate) limit: Option<Duration>,
    pub(crate) head: bool,
    pub(crate) verbose: bool,
    pub(crate) urls: Vec<String>,
}

/// Reads the command line of this process.
/// Its mistakes are [`Failure::Usage`].
pub(crate) fn parse() -> Result<Command, Failure> {
    let mut method = None;
    let mut data: Option<Vec<u8>> = None;
    let mut args = Args {
        method: Method::GET,
        headers: Vec::new(),
        data: None,
        output: None,
        follow: false,
        fail: false,
        insecure: false,
        ca_file: None,
        proxy: None,
        no_proxy: None,
        limit: None,
        head: false,
        verbose: false,
        urls: Vec::new(),
    };

    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Short('X') | Long("request") => method = Some(to_method(&parser.value()?.string()?)?),
            Short('H') | Long("header") => {
                args.headers.push(to_header(&parser.value()?.string()?)?)
            }
            Short('d') | Long("data") => {
                let more = to_data(parser.value()?)?;
                match &mut data {
                    None => data = Some(more),
                    Some(data) => {
                        data.push(b'&');
                        data.extend(more);
                    }
                }
            }
            Short('o') | Long("output") => {
                let path: PathBuf = parser.value()?.into();
                if path.as_os_str().is_empty() {
                    return Err(Failure::Usage("the output needs a file name".into()));
                }
                args.output = Some(path);
            }
            Short('L') | Long("location") => args.follow = true,
            Short('f') | Long("fail") => args.fail = true,
            Short('k') | Long("insecure") => args.insecure = true,
            Long("cacert") => args.ca_file = Some(parser.value()?.into()),
            Short('x') | Long("proxy") => args.proxy = Some(parser.value()?.string()?),
            Long("noproxy") => args.no_proxy = Some(parser.value()?.string()?),
            Short('m') | Long("max-time") => {
                args.limit = Some(to_duration(&parser.value()?.string()?)?);
            }
            Short('i') | Long("include") => args.head = true,
            Short('v') | Long("verbose") => args.verbose = true,
            Short('h') | Long("help") => return Ok(Command::Print(HELP.to_owned())),
            Short('V') | Long("version") => {
                let version = concat!("fetch (miohttp ", env!("CARGO_PKG_VERSION"), ")\n");
                return Ok(Command::Print(version.to_owned()));
            }
            Value(url) => args.urls.push(with_scheme(url.string()?)),
            _ => return Err(arg.unexpected().into()),
        }
    }

    if args.urls.is_empty() {
        return Err(Failure::Usage("no URL is given".to_owned()));
    }
    if args.output.as_deref() == Some(Path::new("-")) {
        args.output = None;
    }
    if args.output.is_some() && args.urls.len() > 1 {
        return Err(Failure::Usage(format!(
            "-o takes one URL, but {} are given",
            args.urls.len()
        )));
    }
    args.method = match (method, &data) {
        (Some(method), _) => method,
        (None, Some(_)) => Method::POST,
        (None, None) => Method::GET,
    };
    args.data = data.map(Bytes::from);
    Ok(Command::Fetch(args))
}

fn to_method(text: &str) -> Result<Method, Failure> {
    Method::from_bytes(text.as_bytes())
        .map_err(|_| Failure::Usage(format!("{text:?} is not a method")))
}

/// `K: V`, `K;` and `K:`, as curl has them.
fn to_header(text: &str) -> Result<(HeaderName, Option<HeaderValue>), Failure> {
    let (name, value) = match (text.split_once(':'), text.strip_suffix(';')) {
        (Some((name, value)), _) => (name, Some(value.trim()).filter(|value| !value.is_empty())),
        (None, Some(name)) => (name, Some("")),
        // The value of what should have been a header may be a secret.
        (None, None) => {
            return Err(Failure::Usage(
                "a header has no colon: -H 'Name: value'".to_owned(),
            ));
        }
    };
    let name = HeaderName::try_from(name.trim())
        .map_err(|_| Failure::Usage(format!("{name:?} is not a header name")))?;
    let value = value
        .map(HeaderValue::try_from)
        .transpose()
        .map_err(|_| Failure::Usage(format!("header {name} has a value that may not be sent")))?;
    Ok((name, value))
}

/// DATA, or what is in @FILE.
fn to_data(value: OsString) -> Result<Vec<u8>, Failure> {
    let Some(path) = value.to_str().and_then(|text| text.strip_prefix('@')) else {
        return Ok(value.string()?.into_bytes());
    };
    let mut data = Vec::new();
    let read = match path {
        "-" => io::stdin().lock().read_to_end(&mut data).map(|_| data),
        path => std::fs::read(path),
    };
    read.map_err(|error| Failure::reading(path, error))
}

fn to_duration(text: &str) -> Result<Duration, Failure> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| Failure::Usage(format!("{text:?} is not a number of seconds")))
}

/// `example.com/x` means `http://example.com/x`.
fn with_scheme(url: String) -> String {
    let is_scheme_char = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    match url.split_once("://") {
        Some((scheme, _)) if scheme.chars().all(is_scheme_char) => url,
        _ => format!("http://{url}"),
    }
}
