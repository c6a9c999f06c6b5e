//! Real servers on loopback, started by the scripts of `tests/interop`.
//!
//! A server that is not installed is no failure: [`server`] says so on the
//! test's output and gives `None`, and the test returns. `tests/interop/setup.sh`
//! installs all of them, and where it has done so the variable
//! `MIOHTTP_INTEROP_REQUIRED` makes a missing one a failure ([`skipped`]).

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::enter;

/// A running server; stopped when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    /// Plain HTTP. Zero if this server speaks none, as `tls_port` is.
    pub(crate) port: u16,
    /// HTTPS with a certificate for `localhost` and `127.0.0.1`.
    pub(crate) tls_port: u16,
    /// The authority that signed it, as a PEM file.
    pub(crate) ca_path: PathBuf,
    /// What the script wrote of it.
    env: String,
    /// The server's own directory: its log is `log` there.
    pub(crate) dir: PathBuf,
}

/// What a script's exit code says when the server's program is missing.
const NOT_INSTALLED: i32 = 3;

/// The text that `/pattern` files repeat, so that a test can check every byte
/// of a large body without holding a copy.
pub(crate) const PATTERN: &[u8] = b"miohttp interop: the quick brown fox jumps over it\n";

/// Each server that is installed, with what is to be asked of it: the first of
/// the two is for nginx, the second for aiohttp.
pub(crate) fn servers<T>(asked: [T; 2]) -> impl Iterator<Item = (Arc<Server>, T)> {
    ["nginx", "aiohttp"]
        .into_iter()
        .zip(asked)
        .filter_map(|(name, asked)| Some((shared(name)?, asked)))
}

/// The server of this name alone, if it is installed.
pub(crate) fn server(name: &'static str) -> Option<Arc<Server>> {
    shared(name)
}

/// The one server of this name, started by who asks for it first. It ends with this
/// process, whatever becomes of that.
fn shared(name: &'static str) -> Option<Arc<Server>> {
    type Running = Arc<OnceLock<Option<Arc<Server>>>>;
    static RUNNING: Mutex<Vec<(&str, Running)>> = Mutex::new(Vec::new());
    let place = {
        let mut running = enter(&RUNNING);
        match running.iter().find(|(other, _)| *other == name) {
            Some((_, place)) => Arc::clone(place),
            None => {
                running.push((name, Running::default()));
                Arc::clone(&running[running.len() - 1].1)
            }
        }
    };
    let server = place.get_or_init(|| launch(name).map(Arc::new)).clone();
    if server.is_none() {
        missing(name);
    }
    server
}

/// Another server of this name, for one test alone. `None` if it is not installed.
pub(crate) fn start(name: &str) -> Option<Server> {
    let server = launch(name);
    if server.is_none() {
        missing(name);
    }
    server
}

/// Says that this is not here.
#[track_caller]
pub(crate) fn missing(name: &str) {
    let reason = format!("{name} is not installed (tests/interop/setup.sh)");
    skipped(REQUIRED, &reason);
}

/// Set (to anything but the empty text) where every server is installed, so that no
/// test passes there for want of one.
const REQUIRED: &str = "MIOHTTP_INTEROP_REQUIRED";

/// Says on the test's output that it is skipped and why.
///
/// # Panics
/// The variable of that name says that there is no reason to.
#[track_caller]
pub(crate) fn skipped(unless: &str, reason: &str) {
    let required = env::var_os(unless).is_some_and(|value| !value.is_empty());
    assert!(
        !required,
        "{reason}, and must be here: the variable {unless} is set"
    );
    println!("SKIPPED: {reason}");
}

/// Starts what the script of that name starts. `None` if it is not installed.
fn launch(name: &str) -> Option<Server> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let dir =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}-{number}", process::id()));
    let status = script(name, "start", &dir)
        .status()
        .unwrap_or_else(|error| panic!("run tests/interop/{name}.sh: {error}"));
    if status.code() == Some(NOT_INSTALLED) {
        return None;
    }
    let env = fs::read_to_string(dir.join("env")).unwrap_or_default();
    assert!(
        status.success(),
        "{name} did not start ({status}); its log: {}",
        fs::read_to_string(dir.join("log")).unwrap_or_default()
    );
    Some(Server {
        name: name.to_owned(),
        port: port(&env, "PORT").unwrap_or(0),
        tls_port: port(&env, "TLS_PORT").unwrap_or(0),
        ca_path: PathBuf::from(value(&env, "CA").expect("the script wrote CA")),
        env,
        dir,
    })
}

impl Server {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn tls_url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.tls_port)
    }

    pub(crate) fn ca_pem(&self) -> Vec<u8> {
        fs::read(&self.ca_path).expect("the script wrote the authority's certificate")
    }

    /// The port of that name.
    pub(crate) fn port_of(&self, name: &str) -> u16 {
        port(&self.env, name).unwrap_or_else(|| panic!("{} has no port {name}", self.name))
    }

    pub(crate) fn has_port(&self, name: &str) -> bool {
        port(&self.env, name).is_some()
    }

    /// A file of that name in the folder of certificates (certificates.sh).
    pub(crate) fn pem(&self, name: &str) -> Vec<u8> {
        let folder = Path::new(value(&self.env, "CERTS").expect("the script wrote CERTS"));
        fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// What the script says by a word of its own, such as `MITM_CA`.
    pub(crate) fn word(&self, name: &str) -> &str {
        value(&self.env, name).unwrap_or_else(|| panic!("the script wrote no {name}"))
    }

    /// The file that such a word names.
    pub(crate) fn file_of(&self, name: &str) -> Vec<u8> {
        let path = self.word(name);
        fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Ends all its programs at once, with nothing said to anybody.
    pub(crate) fn kill(&self) {
        let pids = fs::read_to_string(self.dir.join("pid")).unwrap_or_default();
        for pid in pids.lines() {
            let _ = Command::new("kill").args(["-9", pid]).status();
        }
    }

    /// What the server has logged so far, for a failing test's message.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that will not stop is the script's to kill; nothing to add here.
        let _ = script(&self.name, "stop", &self.dir).status();
    }
}

fn script(name: &str, verb: &str, dir: &Path) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/interop/{name}.sh"));
    let mut command = Command::new("bash");
    command.arg(path).arg(verb).arg(dir).stdin(Stdio::null());
    command.env("OWNER_PID", process::id().to_string());
    command
}

fn port(env: &str, key: &str) -> Option<u16> {
    let text = value(env, key)?;
    let port = text.parse();
    Some(port.unwrap_or_else(|_| panic!("{key}={text} is no port")))
}

fn value<'a>(env: &'a str, key: &str) -> Option<&'a str> {
    env.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}
