//! The thread of the resolver that asks name servers itself, counted: a file of
//! its own, since another test would be counted, too.
#![cfg(feature = "hickory-dns")]

mod support;

use std::fs;
use std::thread;
use std::time::Instant;

use miohttp::{Connector, HickoryResolver, Session};
use support::dns::NameServer;
use support::{Peer, WATCHDOG, ok};

/// How many threads the resolvers of this process have, where that can be seen.
fn threads() -> Option<usize> {
    let tasks = fs::read_dir("/proc/self/task").ok()?;
    let names = tasks.flatten().map(|task| task.path().join("comm"));
    let names = names.filter_map(|path| fs::read_to_string(path).ok());
    Some(
        names
            .filter(|name| name.trim() == "miohttp-hickory")
            .count(),
    )
}

#[test]
fn it_comes_with_the_first_lookup_and_goes_with_the_resolver() {
    // SPEC C24
    if threads().is_none() {
        return println!("SKIPPED: threads cannot be counted here");
    }
    let server = NameServer::silent();
    let peer = Peer::serve(|_| ok("hello"));
    let resolver = HickoryResolver::builder()
        .name_servers([server.address()])
        .timeout(2 * WATCHDOG)
        .build();
    let connector = Connector::builder().resolver(resolver).build();
    let session = Session::builder().connector(connector.clone()).build();
    let literal = session.get(peer.url("/")).send().unwrap();
    assert_eq!(literal.text().unwrap(), "hello");
    assert_eq!(threads(), Some(0), "an address needs no lookup");

    let pending = session.get("http://one.test/").start_send();
    let other = session.get("http://two.test/").start_send();
    server.wait_for(4);
    assert_eq!(threads(), Some(1));
    connector.close();
    assert!(pending.wait().is_err() && other.wait().is_err());
    drop((session, connector));
    let start = Instant::now();
    while threads() != Some(0) {
        assert!(start.elapsed() < WATCHDOG, "the thread stays");
        thread::yield_now();
    }
}
