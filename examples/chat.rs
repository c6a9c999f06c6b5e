//! A terminal client for WebSockets: what is typed is sent, line by line, and what
//! comes is printed, both at once.
//!
//! ```text
//! cargo run --release --example chat -- wss://example.com/chat
//! cargo run --release --example chat -- --help
//! ```
//!
//! One thread reads standard input and sends; the main thread receives and prints;
//! Ctrl-C is heard on a third. All hold handles of the one WebSocket.

use std::io::{self, IsTerminal, Write};
use std::process::{self, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lexopt::prelude::*;
use miohttp::{
    CloseCode, Error, HeaderName, HeaderValue, Kind, Message, PerMessageDeflate, Proxy, Session,
    WebSocket,
};

const HELP: &str = "\
Talks to a WebSocket: sends every line of standard input as a message, and
prints every message that comes to standard output, both at once.

Usage: chat [OPTION]... URL

  -H, --header 'K: V'      adds a header to the request
  -p, --protocol NAME      offers a subprotocol; several in order of preference
  -c, --compress           offers to compress messages
  -b, --heartbeat SECONDS  pings a server that is silent for so long, and gives it
                           up if it stays silent for half of that again
      --help, --version

A URL without a scheme is taken for ws://. The proxies are those of the
environment: http_proxy, https_proxy, all_proxy and no_proxy.

The end of standard input (Ctrl-D) and Ctrl-C say goodbye to the server, and
what it still has to say is printed; a second Ctrl-C does not wait for that.

Exit status:
   0  closed in good order
   1  not connected, or the connection was lost, or the server closed it for
      another reason than that it was done
   2  wrong usage
 130  a second Ctrl-C
";

fn main() -> ExitCode {
    let args = match parse() {
        Ok(Command::Chat(args)) => args,
        Ok(Command::Print(text)) => {
            // Whoever reads no more has seen enough.
            let _ = io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(mistake) => {
            tell(&format!("{mistake}; see chat --help"));
            return ExitCode::from(2);
        }
    };
    let socket = match connect(&args) {
        Ok(socket) => socket,
        Err(error) => {
            tell(&refusal(&error));
            return ExitCode::FAILURE;
        }
    };
    tell(&greeting(&socket));
    match chat(&socket) {
        Ok(()) => farewell(&socket),
        Err(reason) => {
            tell(&reason);
            ExitCode::FAILURE
        }
    }
}

fn connect(args: &Args) -> Result<WebSocket, Error> {
    let session = Session::builder().proxy(Proxy::from_env()).build();
    let mut builder = session
        .ws_connect(&args.url)
        .protocols(&args.protocols)
        .compress(args.compress.then(PerMessageDeflate::new))
        .heartbeat(args.heartbeat);
    for (name, value) in &args.headers {
        builder = builder.header(name, value);
    }
    builder.connect()
}

/// Until the WebSocket is closed, by whomever.
fn chat(socket: &WebSocket) -> Result<(), String> {
    leave_on_ctrl_c(socket.clone());
    let typing = socket.clone();
    // It may be reading when the server closes, and then goes with the process.
    thread::Builder::new()
        .name("typing".to_owned())
        .spawn(move || send_what_is_typed(&typing))
        .map_err(|error| format!("no thread to read what is typed: {error}"))?;

    let is_terminal = io::stdout().is_terminal();
    for message in socket {
        let printed = match message.map_err(|error| error.to_string())? {
            Message::Text(text) if is_terminal => print(&harmless(&text)),
            Message::Text(text) => print(&text),
            Message::Binary(bytes) => {
                tell(&format!("{} bytes that are no text", bytes.len()));
                Ok(())
            }
            // Those are answered and kept from us, unless one asks for them.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => Ok(()),
        };
        match printed {
            Ok(()) => {}
            // Whoever read our output has seen enough: `chat … | head`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                let _ = socket.close(CloseCode::NORMAL, "");
                break;
            }
            Err(error) => return Err(format!("cannot write what came: {error}")),
        }
    }
    Ok(())
}

fn send_what_is_typed(socket: &WebSocket) {
    for line in io::stdin().lines() {
        let sent = match line {
            Ok(line) => socket.send_text(line),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tell("that line is no UTF-8 and was not sent");
                continue;
            }
            Err(error) => {
                tell(&format!("cannot read what is typed: {error}"));
                break;
            }
        };
        match sent {
            Ok(()) => {}
            // Who receives tells why.
            Err(error) if error.kind() == Kind::Closed => return,
            Err(error) => tell(&format!("that line was not sent: {error}")),
        }
    }
    leave(socket);
}

/// Says goodbye. Who receives hears the answer, and everything before it.
fn leave(socket: &WebSocket) {
    // What is started here goes on by itself.
    drop(socket.start_close(CloseCode::NORMAL, ""));
}

fn leave_on_ctrl_c(socket: WebSocket) {
    let asked = AtomicBool::new(false);
    // On a thread of its own, so it may do what a signal handler may not.
    let handler = move || {
        if asked.swap(true, Ordering::Relaxed) {
            process::exit(130);
        }
        tell("leaving; Ctrl-C again does not wait for the server");
        leave(&socket);
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        tell(&format!("Ctrl-C will end this without a goodbye: {error}"));
    }
}

fn greeting(socket: &WebSocket) -> String {
    let mut text = format!("connected to {}", socket.url());
    if let Some(protocol) = socket.protocol() {
        text += &format!(", speaking {protocol}");
    }
    if socket.compress().is_some() {
        text += ", compressed";
    }
    if io::stdin().is_terminal() {
        text += "; type to send, Ctrl-D or Ctrl-C to leave";
    }
    text
}

/// Why there is no WebSocket, with what the server said instead if that is short.
fn refusal(error: &Error) -> String {
    let said = error.body().map(String::from_utf8_lossy);
    match said.as_deref().map(str::trim) {
        Some(said) if !said.is_empty() && said.len() <= 300 => {
            format!("{error}: {}", harmless(said))
        }
        _ => error.to_string(),
    }
}

fn farewell(socket: &WebSocket) -> ExitCode {
    let code = socket.close_code().unwrap_or(CloseCode::ABNORMAL);
    let done = [
        CloseCode::NORMAL,
        CloseCode::GOING_AWAY,
        CloseCode::NO_STATUS,
    ];
    let reason = socket.close_reason().unwrap_or_default();
    match &*reason {
        "" => tell(&format!("closed ({code})")),
        reason => tell(&format!("closed ({code}): {}", harmless(reason))),
    }
    match done.contains(&code) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

fn tell(text: &str) {
    // `eprintln!` would panic where nobody reads standard error any more.
    let _ = writeln!(io::stderr(), "chat: {text}");
}

/// Without what would move the cursor of a terminal, or worse.
fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => harmless.push(c),
            c if c.is_control() => harmless.extend(c.escape_default()),
            c => harmless.push(c),
        }
    }
    harmless
}

enum Command {
    Chat(Args),
    /// `--help` and `--version`.
    Print(String),
}

struct Args {
    url: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    protocols: Vec<String>,
    compress: bool,
    heartbeat: Option<Duration>,
}

/// Reads the command line of this process.
fn parse() -> Result<Command, lexopt::Error> {
    let mut url = None;
    let mut args = Args {
        url: String::new(),
        headers: Vec::new(),
        protocols: Vec::new(),
        compress: false,
        heartbeat: None,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Short('H') | Long("header") => {
                args.headers.push(to_header(&parser.value()?.string()?)?);
            }
            Short('p') | Long("protocol") => args.protocols.push(parser.value()?.string()?),
            Short('c') | Long("compress") => args.compress = true,
            Short('b') | Long("heartbeat") => {
                args.heartbeat = Some(to_duration(&parser.value()?.string()?)?);
            }
            Short('h') | Long("help") => return Ok(Command::Print(HELP.to_owned())),
            Short('V') | Long("version") => {
                let version = concat!("chat (miohttp ", env!("CARGO_PKG_VERSION"), ")\n");
                return Ok(Command::Print(version.to_owned()));
            }
            Value(value) if url.is_none() => url = Some(value.string()?),
            _ => return Err(arg.unexpected()),
        }
    }
    args.url = match url.ok_or("no URL is given")? {
        url if url.contains("://") => url,
        url => format!("ws://{url}"),
    };
    Ok(Command::Chat(args))
}

/// `K: V`. What is wrong is not repeated: it may be a secret.
fn to_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("a header has no colon: -H 'Name: value'")?;
    let name = HeaderName::try_from(name.trim()).map_err(|_| "that is not a header's name")?;
    let value = HeaderValue::try_from(value.trim())
        .map_err(|_| format!("header {name} has a value that may not be sent"))?;
    Ok((name, value))
}

fn to_duration(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| format!("{text:?} is not a number of seconds above 0"))
}
