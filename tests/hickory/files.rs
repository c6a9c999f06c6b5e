//! `resolv.conf` and the hosts file: what they say is done, also when they
//! change.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use miohttp::{HickoryResolver, HickoryResolverBuilder, Session};

use super::support::dns::{NXDOMAIN, NameServer, SERVFAIL};
use super::support::{Peer, WATCHDOG, response};
use super::{HERE, asking, fails, hello, passes, session};

/// A folder that is gone when the test is.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("miohttp-hickory-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        // As a well-behaved program does: never half of it.
        let (path, new) = (self.0.join(name), self.0.join("new"));
        fs::write(&new, text).unwrap();
        fs::rename(&new, &path).unwrap();
        path
    }

    fn resolver(&self, resolv_conf: &str) -> HickoryResolverBuilder {
        HickoryResolver::builder()
            .resolv_conf(self.write("resolv.conf", resolv_conf))
            .hosts_file(self.0.join("hosts"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn line(server: &NameServer) -> String {
    let address = server.address();
    format!("nameserver [{}]:{}\n", address.ip(), address.port())
}

/// Knows these names alone.
fn knowing(names: &'static [&'static str]) -> NameServer {
    NameServer::start(|asked| match names.contains(&&*asked.name) {
        true => asked.v4(HERE).bytes(),
        false => asked.reply().rcode(NXDOMAIN).soa(300).bytes(),
    })
}

/// The names asked for, each once, in order.
fn names(server: &NameServer) -> Vec<String> {
    let mut names: Vec<String> = server.asked().into_iter().map(|asked| asked.name).collect();
    names.dedup();
    names
}

#[test]
fn without_a_server_nobody_is_asked() {
    // SPEC C24: no public server stands in.
    let folder = Folder::new();
    let peer = hello();
    for (resolver, expected) in [
        (folder.resolver(""), "names no name server"),
        (
            folder.resolver("search test\nnameserver not.an.address\n"),
            "names no name server",
        ),
        (
            folder.resolver("").resolv_conf(folder.0.join("absent")),
            "no name server is known",
        ),
        // A folder is not read.
        (
            folder.resolver("").resolv_conf(&folder.0),
            "no name server is known",
        ),
        (asking([]), "no name server was given"),
    ] {
        let why = fails(&session(resolver.build()), &peer, "any.test");
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn search_domains_and_dots() {
    let peer = hello();
    for (options, host, asked) in [
        // Too few dots: the search domains first.
        ("", "web", vec!["web.b.test"]),
        (
            "ndots:3",
            "web.lab",
            vec!["web.lab.a.test", "web.lab.b.test", "web.lab"],
        ),
        // Enough: as it stands, and then elsewhere.
        ("", "web.lab", vec!["web.lab"]),
        ("", "x.lab", vec!["x.lab", "x.lab.a.test", "x.lab.b.test"]),
        // A final dot says that nothing is missing.
        ("", "web.lab.", vec!["web.lab"]),
        ("ndots:0", "bare", vec!["bare"]),
    ] {
        let server = knowing(&["web.b.test", "web.lab", "x.lab.b.test", "bare"]);
        let folder = Folder::new();
        let text = format!("{}search a.test b.test\noptions {options}\n", line(&server));
        passes(&session(folder.resolver(&text).build()), &peer, host);
        let mut seen = names(&server);
        seen.retain(|name| asked.contains(&&**name));
        assert_eq!(seen, asked, "{host} {options}: {:?}", names(&server));
    }
}

#[test]
fn a_search_ends_at_a_failure() {
    // The next domain's host could be another one than was meant.
    let server = NameServer::start(|asked| match &*asked.name {
        "web.a.test" => asked.reply().rcode(SERVFAIL).bytes(),
        _ => asked.v4(HERE).bytes(),
    });
    let resolver = asking([&server]).search(["a.test", "b.test"]).build();
    let why = fails(&session(resolver), &hello(), "web");
    assert!(why.contains("Server Failure"), "{why}");
    assert_eq!(names(&server), ["web.a.test"]);
}

#[test]
fn families_come_from_one_search_domain() {
    // An IPv6 address of another host does not join in.
    let server = NameServer::start(|asked| match (&*asked.name, asked.kind) {
        ("web.a.test", super::A) => asked.v4(HERE).bytes(),
        ("web.b.test", super::AAAA) => {
            let address = "2001:db8::bad".parse().unwrap();
            asked.reply().aaaa(address, 300).bytes()
        }
        _ => asked.reply().soa(300).bytes(),
    });
    let resolver = asking([&server]).search(["a.test", "b.test"]).build();
    passes(&session(resolver), &hello(), "web");
    assert_eq!(names(&server), ["web.a.test"]);
}

#[test]
fn the_program_stands_above_the_file() {
    let (unasked, server) = (NameServer::silent(), knowing(&["web.own.test"]));
    let folder = Folder::new();
    let resolver = folder
        .resolver(&format!("{}search a.test\n", line(&unasked)))
        .name_servers([server.address()])
        .search(["own.test"])
        .ndots(1)
        .build();
    passes(&session(resolver), &hello(), "web");
    assert!(unasked.asked().is_empty());
    assert_eq!(names(&server), ["web.own.test"]);
}

#[test]
fn options_of_the_file() {
    let peer = hello();
    let folder = Folder::new();
    let server = knowing(&["one.test"]);
    let text = format!("{}options use-vc no-aaaa edns0\n", line(&server));
    passes(&session(folder.resolver(&text).build()), &peer, "one.test");
    let asked = server.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].tcp && asked[0].edns && asked[0].kind == super::A);

    // By turns, where it says so, and else always the first.
    for (option, counts) in [("rotate", [2, 2]), ("", [4, 0])] {
        let servers = [0, 1].map(|_| NameServer::start(|asked| asked.v4(HERE).bytes()));
        let text = format!(
            "{}{}options no-aaaa {option}\n",
            line(&servers[0]),
            line(&servers[1])
        );
        let session = session(folder.resolver(&text).build());
        for n in 0..4 {
            passes(&session, &peer, &format!("n{n}.test"));
        }
        assert_eq!(
            servers.each_ref().map(|server| server.asked().len()),
            counts
        );
    }

    let server = NameServer::start(|asked| asked.reply().rcode(SERVFAIL).bytes());
    let text = format!("{}options attempts:3 no-aaaa\n", line(&server));
    fails(&session(folder.resolver(&text).build()), &peer, "ill.test");
    assert_eq!(server.asked().len(), 3);
}

#[test]
fn the_hosts_file_comes_first() {
    // SPEC C24
    let server = NameServer::start(|asked| asked.v4([127, 0, 0, 9]).bytes());
    let folder = Folder::new();
    folder.write(
        "hosts",
        "127.0.0.1 Printer.test printer # upstairs\n::1 six.test\n",
    );
    let resolver = folder.resolver(&line(&server)).build();
    let session = session(resolver);
    let peer = hello();
    passes(&session, &peer, "printer.test");
    passes(&session, &peer, "PRINTER");
    assert!(server.asked().is_empty());
}

/// Answers, and closes: each request looks its name up anew.
fn closing() -> Peer {
    Peer::serve(|_| response("200 OK", &[("connection", "close")], "hello"))
}

/// Asks again until it passes.
#[track_caller]
fn passes_soon(session: &Session, peer: &Peer, host: &str) {
    let start = Instant::now();
    while let Err(error) = super::get(session, peer, host) {
        assert!(start.elapsed() < WATCHDOG, "{error:#}");
    }
}

#[test]
fn changed_files_are_read_again() {
    // SPEC C24
    let folder = Folder::new();
    let peer = closing();
    let (old, new) = (knowing(&["old.test"]), knowing(&["new.test"]));
    let session = session(folder.resolver(&line(&old)).build());
    passes(&session, &peer, "old.test");
    fails(&session, &peer, "new.test");
    folder.write("resolv.conf", &line(&new));
    passes_soon(&session, &peer, "new.test");
    assert!(fails(&session, &peer, "written.test").contains("does not exist"));
    folder.write("hosts", "127.0.0.1 written.test\n");
    passes_soon(&session, &peer, "written.test");
}
