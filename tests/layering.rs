//! Holds the source to its architecture: who may import whom, where each
//! dependency lives, who may read the clock, and how long a file may grow.
//!
//! The rules are the tables below. The check reads tokens, not types: it sees
//! every path that starts at `crate`, `self`, `super` or an external crate's
//! name, in `use` lines and in code, and it skips what is compiled only for
//! tests or for loom. ARCHITECTURE.md says why the rules are what they are.

#[path = "layering/reader.rs"]
mod reader;
#[path = "layering/tokens.rs"]
mod tokens;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use reader::{File, Found};

/// Which top-level module may import which others. Its own submodules are
/// always open to it; the crate's root may import everything. Rows for the same
/// module add up.
#[rustfmt::skip]
const MAY_IMPORT: &[(&str, &[&str])] = &[
    // Leaves: plain data and synchronisation, they see only each other.
    ("error", LEAVES),
    ("sync", LEAVES),
    ("hash", LEAVES),
    ("head", LEAVES),
    ("http_date", LEAVES),
    ("tls", LEAVES),
    ("tls_none", LEAVES),
    ("job", LEAVES),
    // An answer of a lookup comes back to the reactor as a command.
    ("job", &["dns"]),
    // What a connector settles of its sockets stands in its settings.
    ("job", &["net"]),
    // A route names the dialogs that ask for it.
    ("job", &["proto"]),
    ("handoff", LEAVES),
    ("pool", LEAVES),
    // Bytes in, bytes out: no sockets, no threads, no channels.
    ("proto", &["error", "head"]),
    ("net", &["error", "sync", "handoff"]),
    ("conn", &["error", "sync", "head", "tls", "job", "pool", "proto", "net"]),
    ("dns", &["error", "sync", "process"]),
    ("coding", &["error", "sync", "head"]),
    // WebSockets, as far as they are pure, and who speaks of them.
    ("ws", &["error", "sync", "coding"]),
    ("job", &["ws"]),
    ("proto", &["ws"]),
    // For tests and fuzzers: what a server sends, all the way to messages.
    ("proto::ws::laws", &["coding"]),
    ("conn", &["ws"]),
    ("delivery", &["ws"]),
    ("reactor", &["ws"]),
    ("api", &["ws"]),
    ("bench", &["ws"]),
    ("fuzzing", &["ws"]),
    // What is kept in files, and the files.
    ("saved", &[]),
    ("cookie", &["error", "sync", "head", "saved"]),
    ("hsts", &["sync", "http_date", "saved"]),
    // Which hosts are one site.
    ("hsts", &["cookie"]),
    ("api::session", &["hsts"]),
    // Parts of header fields, and text: bytes in, values out.
    ("field", &["text"]),
    ("text", &[]),
    ("reactor", LEAVES),
    // What the two drivers share: the reactor, and a blocked caller.
    ("delivery", LEAVES),
    ("delivery", &["net", "proto", "conn"]),
    ("reactor", &["net", "proto", "conn", "delivery", "dns"]),
    ("lease", LEAVES),
    ("lease", &["net", "conn", "delivery", "dns"]),
    ("lease_none", LEAVES),
    ("lease_none", &["net", "delivery"]),
    ("call", LEAVES),
    // Credentials: pure, and below whoever sends a request.
    ("auth", &["error", "sync", "digest"]),
    ("digest", &["error"]),
    // Proxies as they are set up: pure, and below whoever sends a request.
    ("proxy", &["error", "head", "tls", "auth"]),
    ("call", &["proxy"]),
    ("api", &["proxy"]),
    ("api::download", &["digest"]),
    ("call", &["auth", "lease", "coding", "cookie"]),
    ("api", LEAVES),
    ("api", &["auth", "call", "lease", "coding", "cookie", "dns"]),
    ("api", &["field", "text"]),
    // The one part of `api` that starts a reactor.
    ("api::connector", &["reactor"]),
    // And says how sockets are made.
    ("api::connector", &["net"]),
    // Not in any ordinary build: the doors of the fuzzers and the benchmarks.
    ("bench", &["handoff", "head", "proto"]),
    ("fuzzing", LEAVES),
    ("fuzzing", &["field", "text"]),
    (
        "fuzzing",
        &["auth", "net", "proto", "conn", "dns", "coding", "cookie", "call"],
    ),
];

const LEAVES: &[&str] = &[
    "error",
    "sync",
    "hash",
    "head",
    "http_date",
    "tls",
    "job",
    "handoff",
    "pool",
    "process",
];

/// One dependency, one home: the modules that may name an external crate.
/// Crates that are not listed may be used anywhere.
const HOMES: &[(&str, &[&str])] = &[
    // hickory's sockets and timers are no part of `Net`: datagrams, and futures.
    ("mio", &["net::mio", "dns::hickory"]),
    ("hickory_resolver", &["dns::hickory"]),
    ("futures_io", &["dns::hickory"]),
    ("futures_core", &["api::websocket"]),
    ("socket2", &["net::mio", "net::socket"]),
    ("httparse", &["proto::h1::parse"]),
    ("brotli", &["coding"]),
    ("flate2", &["coding"]),
    ("rustls", &["tls", "conn::tls", "api::tls"]),
    ("rustls_platform_verifier", &["tls"]),
    ("webpki_roots", &["tls"]),
    ("psl", &["cookie"]),
    ("encoding_rs", &["text"]),
    ("chardetng", &["text"]),
    ("rustix", &["net::poll"]),
    ("zstd_safe", &["coding"]),
    ("libc", &["net::poll"]),
    ("forkguard", &["process"]),
    // In `tls` the word is the provider of that name, out of rustls.
    ("ring", &["digest", "tls", "ws"]),
    ("tungstenite", &["ws"]),
];

/// Paths outside the crate that a module must not name.
const FORBIDDEN: &[(&str, &[&str])] = &[(
    "proto",
    &[
        "std::net",
        "std::thread",
        "std::fs",
        "std::sync::mpsc",
        "std::time::SystemTime::now",
    ],
)];

/// Who may call `Instant::now()`: a driver after its wait, where a call fixes
/// its deadline, and a thread that parks until one. Everyone else is handed the
/// time, which is what lets tests step a virtual clock.
const MAY_READ_THE_CLOCK: &[&str] = &[
    "net::mio",
    "net::poll",
    "dns::workers",
    "dns::hickory",
    "handoff::park",
    "api",
];

/// No source file is longer, tests in files of their own excepted.
const MAX_LINES: usize = 600;

#[test]
fn the_source_keeps_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let sources = read_sources(&root);
    assert!(sources.len() > 1, "no sources under {}", root.display());
    let breaches = check(&sources);
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

/// A source file: its path below `src`, and its text.
type Source = (String, String);

fn read_sources(root: &Path) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut folders = vec![PathBuf::from(root)];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).expect("src is readable");
        for entry in entries {
            let path = entry.expect("src is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("sources are UTF-8");
                let name = path.strip_prefix(root).expect("it was found there");
                sources.push((name.to_string_lossy().replace('\\', "/"), text));
            }
        }
    }
    sources.sort();
    sources
}

/// Every breach as `file:line: what`.
fn check(sources: &[Source]) -> Vec<String> {
    let files: Vec<File> = sources.iter().map(File::read).collect();
    let for_tests: Vec<&Vec<String>> = files.iter().flat_map(|file| &file.test_modules).collect();
    let exports = files
        .iter()
        .find(|file| file.module.is_empty())
        .map(root_exports)
        .unwrap_or_default();
    let mut breaches = Vec::new();
    for file in &files {
        let is_test = for_tests.iter().any(|test| file.module.starts_with(test));
        if is_test {
            continue;
        }
        if file.lines > MAX_LINES {
            let lines = file.lines;
            breaches.push(format!(
                "{}: {lines} lines are more than {MAX_LINES}",
                file.name
            ));
        }
        if file.module.is_empty() && !file.forbids_unsafe {
            breaches.push(format!("{}: no #![forbid(unsafe_code)]", file.name));
        }
        for path in &file.paths {
            if let Some(what) = breach(&file.module, path, &exports) {
                breaches.push(format!("{}:{}: {what}", file.name, path.line));
            }
        }
    }
    breaches
}

/// What the path does wrong in this module, if anything.
fn breach(module: &[String], path: &Found, exports: &BTreeMap<String, String>) -> Option<String> {
    let here = module.join("::");
    let full = path.segments.join("::");
    // The root wires everything together, and names what it re-exports.
    let layer = module.first()?;
    if path.is_ours {
        let named = path.segments.first()?;
        let is_module = MAY_IMPORT.iter().any(|(of, _)| of == named);
        let target = match exports.get(named) {
            // A function may be named as a module is; what goes on behind the
            // name is the module.
            Some(_) if is_module && path.segments.len() > 1 => named,
            Some(target) => target,
            None => named,
        };
        if target == layer {
            return None;
        }
        let mut rules = MAY_IMPORT
            .iter()
            .filter(|(of, _)| within(&here, of))
            .peekable();
        if rules.peek().is_none() {
            return Some(format!("no rule says what `{layer}` may import"));
        }
        let allowed = rules.any(|(_, targets)| targets.contains(&target.as_str()));
        return (!allowed).then(|| format!("`{here}` must not import `crate::{full}`"));
    }
    let dependency = path.segments.first()?;
    if let Some((_, homes)) = HOMES.iter().find(|(name, _)| name == dependency)
        && !homes.iter().any(|home| within(&here, home))
    {
        return Some(format!("`{full}` is at home in {homes:?}, not in `{here}`"));
    }
    for (_, banned) in FORBIDDEN.iter().filter(|(of, _)| within(&here, of)) {
        if banned.iter().any(|banned| within(&full, banned)) {
            return Some(format!("`{here}` must not name `{full}`"));
        }
    }
    let reads_clock = path
        .segments
        .ends_with(&["Instant".to_owned(), "now".to_owned()]);
    let may_read = MAY_READ_THE_CLOCK.iter().any(|of| within(&here, of));
    (reads_clock && !may_read).then(|| format!("`{here}` must not read the clock"))
}

/// Whether a path is `parent` or lies below it.
fn within(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The names that the root re-exports, with the module each comes from: by
/// `crate::Name` a module could otherwise reach around the rules.
fn root_exports(root: &File) -> BTreeMap<String, String> {
    root.paths
        .iter()
        .filter(|path| path.is_ours && path.is_use && path.segments.len() > 1)
        .filter_map(|path| {
            let name = path.alias.as_ref().or(path.segments.last())?;
            Some((name.clone(), path.segments.first()?.clone()))
        })
        .collect()
}

// The checker itself, on made-up sources.

const ROOT: &str = "#![forbid(unsafe_code)]\nmod api;\n\
    pub use crate::api::{free::head, session::Session};";

#[track_caller]
fn found(file: &str, text: &str) -> Vec<String> {
    let sources = [
        ("lib.rs".to_owned(), ROOT.to_owned()),
        (file.to_owned(), text.to_owned()),
    ];
    check(&sources)
}

#[test]
fn a_breach_is_found_however_it_is_spelled() {
    let cases = [
        (
            "proto/h1/parse.rs",
            "use crate::conn::Conn;",
            "`proto::h1::parse` must not import `crate::conn::Conn`",
        ),
        (
            "proto/h1/parse.rs",
            "use super::super::super::net::Net;",
            "`crate::net::Net`",
        ),
        (
            "proto/mod.rs",
            "use super::{error::Kind, reactor::{Engine}};",
            "`crate::reactor::Engine`",
        ),
        (
            "proto/mod.rs",
            "fn f() { let a = crate::handoff::Slot::new(); }",
            "`crate::handoff::Slot::new`",
        ),
        (
            "conn/mod.rs",
            "pub(crate) use crate::api as elsewhere;",
            "`crate::api`",
        ),
        (
            "conn/mod.rs",
            "use crate::Session;",
            "must not import `crate::Session`",
        ),
        (
            "conn/mod.rs",
            "fn f() { crate::head(\"http://h/\"); }",
            "must not import `crate::head`",
        ),
        (
            "reactor/mod.rs",
            "mod inner { use super::super::call::Call; }",
            "`crate::call::Call`",
        ),
        (
            "reactor/mod.rs",
            "use crate::{coding::*};",
            "`crate::coding`",
        ),
        (
            "api/session.rs",
            "use crate::reactor::Reactor;",
            "`crate::reactor::Reactor`",
        ),
        (
            "unheard/of.rs",
            "use crate::error::Error;",
            "no rule says what `unheard` may import",
        ),
        (
            "reactor/mod.rs",
            "use mio::Poll;",
            "`mio::Poll` is at home in",
        ),
        ("net/poll.rs", "fn f(w: &::mio::Waker) {}", "`mio::Waker`"),
        (
            "conn/h1.rs",
            "type T = httparse::Header<'static>;",
            "`httparse::Header`",
        ),
        (
            "proto/ws.rs",
            "use std::{io, net::IpAddr};",
            "`proto::ws` must not name `std::net::IpAddr`",
        ),
        (
            "reactor/mod.rs",
            "fn f() { Instant::now(); }",
            "must not read the clock",
        ),
        (
            "call/mod.rs",
            "let f = std::time::Instant::now;",
            "must not read the clock",
        ),
        (
            "call/mod.rs",
            "#[cfg(not(test))] use crate::net::X;",
            "`crate::net::X`",
        ),
        (
            "call/mod.rs",
            "#[cfg(test)] mod tests { use crate::net::X; }\nuse crate::net::Y;",
            "call/mod.rs:2: `call` must not import `crate::net::Y`",
        ),
        (
            "call/mod.rs",
            "const A: char = '\"'; const B: &str = r#\"\"//\"#; use crate::net::X;",
            "`crate::net::X`",
        ),
    ];
    for (file, text, expected) in cases {
        let breaches = found(file, text);
        assert_eq!(breaches.len(), 1, "{file}: {text}: {breaches:?}");
        assert!(breaches[0].contains(expected), "{text}: {breaches:?}");
    }
}

#[test]
fn what_is_allowed_passes() {
    let cases = [
        (
            "proto/h1/machine.rs",
            "use super::parse::Head; use crate::proto::Event; use crate::head::Fields;",
        ),
        ("conn/mod.rs", "use crate::head::Fields;"),
        ("proto/h1/parse.rs", "use httparse::Header;"),
        ("net/mio.rs", "use mio::Poll; fn f() { Instant::now(); }"),
        ("net/mod.rs", "mod mio; pub(crate) use mio::MioNet;"),
        ("conn/tls/buffers.rs", "use rustls::Error;"),
        ("api/connector.rs", "use crate::reactor::Reactor;"),
        (
            "api/hooks.rs",
            "use crate::Session; fn f() { std::time::Instant::now(); }",
        ),
        (
            "coding/mod.rs",
            "use flate2::Decompress; use crate::error::Error;",
        ),
        (
            "call/mod.rs",
            "// use crate::net::X;\n/* crate::net::X /* */ */ const A: &str = \"crate::net::X\";",
        ),
        (
            "call/mod.rs",
            "#[cfg(test)]\n#[allow(dead_code)]\nmod tests { use crate::net::X; fn f() { crate::conn::Y::z(); } }",
        ),
        (
            "call/mod.rs",
            "#[cfg(all(test, loom))] use crate::{net::X, conn::Y};",
        ),
        (
            "call/mod.rs",
            "pub(in crate::net) fn f<'a>(x: &'a str) -> &'a str { x.crate_name() }",
        ),
        (
            "reactor/mod.rs",
            "mod inner { use super::super::pool::Pool; use super::Engine; }",
        ),
    ];
    for (file, text) in cases {
        assert_eq!(found(file, text), Vec::<String>::new(), "{file}: {text}");
    }
}

#[test]
fn files_of_tests_are_exempt() {
    let sources = [
        ("lib.rs".to_owned(), ROOT.to_owned()),
        (
            "net/mod.rs".to_owned(),
            "#[cfg(test)]\npub(crate) mod sim;".to_owned(),
        ),
        (
            "net/sim.rs".to_owned(),
            "use crate::reactor::Engine;\n".repeat(700),
        ),
    ];
    assert_eq!(check(&sources), Vec::<String>::new());
}

#[test]
fn long_files_and_missing_attributes_are_found() {
    let sources = [
        ("lib.rs".to_owned(), "mod api;".to_owned()),
        ("api/mod.rs".to_owned(), "\n".repeat(601)),
    ];
    assert_eq!(
        check(&sources),
        [
            "lib.rs: no #![forbid(unsafe_code)]",
            "api/mod.rs: 601 lines are more than 600"
        ]
    );
}
