//! Name servers that are silent, late, ill or lie: each lookup ends in time, with
//! the right error, and the others do not notice.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::support::dns::{A, AAAA, Asked, FORMERR, NXDOMAIN, NameServer, REFUSED, SERVFAIL};
use super::support::{WATCHDOG, enter};
use super::{HERE, LATE, asking, fails, hello, passes, session};

/// The limit for one server.
const LIMIT: Duration = Duration::from_millis(150);

#[test]
fn a_silent_server_is_given_up_in_time() {
    // SPEC C24
    let server = NameServer::silent();
    let session = session(asking([&server]).timeout(LIMIT).attempts(2).build());
    let start = Instant::now();
    let why = fails(&session, &hello(), "mute.test");
    let taken = start.elapsed();
    assert!(taken >= 2 * LIMIT, "given up after {taken:?}");
    assert!(taken < LATE, "given up after {taken:?}");
    assert!(why.contains("300ms") || why.contains("150ms"), "{why}");
    assert_eq!(server.count("mute.test"), 4, "two attempts for each family");
}

#[test]
fn a_server_that_is_not_there_is_given_up_at_once() {
    // Closed for certain by then, unlike the sockets of a server's threads.
    let gone = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let resolver = asking([]).name_servers([address]).timeout(2 * WATCHDOG);
    let why = fails(&session(resolver.build()), &hello(), "any.test");
    assert!(why.contains(&address.to_string()), "{why}");
}

#[test]
fn the_next_server_is_asked() {
    // Whatever is the matter with the first one, which then comes last.
    let peer = hello();
    type Script = fn(&Asked) -> Option<Vec<u8>>;
    let scripts: [Script; 6] = [
        |_| None,
        |asked| Some(asked.reply().rcode(SERVFAIL).bytes()),
        |asked| Some(asked.reply().rcode(REFUSED).bytes()),
        |asked| Some(asked.reply().rcode(FORMERR).bytes()),
        // Its own question back.
        |asked| Some([&asked.id.to_be_bytes()[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat()),
        // The right id, and then nothing that makes sense.
        |asked| Some([&asked.id.to_be_bytes()[..], &[0xff; 600]].concat()),
    ];
    for script in scripts {
        let ill = NameServer::start(script);
        let well = NameServer::start(|asked| asked.v4(HERE).bytes());
        let session = session(asking([&ill, &well]).timeout(LIMIT).build());
        passes(&session, &peer, "one.test");
        let before = ill.asked().len();
        assert!(before >= 1);
        passes(&session, &peer, "two.test");
        assert_eq!(
            ill.asked().len(),
            before,
            "asked although it had just failed"
        );
    }
}

#[test]
fn what_answers_no_question_of_ours_is_passed_over() {
    // SPEC C24: garbage, wrong ids and wrong questions come before the answer.
    let server = NameServer::saying(|asked| {
        let mut forged = asked.v4([127, 0, 0, 9]);
        forged.id ^= 1;
        let mut other = asked.v4([127, 0, 0, 9]);
        other.name = "other.test".to_owned();
        vec![
            Vec::new(),
            vec![0],
            b"not a DNS message".to_vec(),
            forged.bytes(),
            other.bytes(),
            asked.v4(HERE).bytes(),
        ]
    });
    let peer = hello();
    passes(&session(asking([&server]).build()), &peer, "true.test");
    // And if nothing else comes, the server is as good as silent.
    let server = NameServer::start(|asked| {
        let mut forged = asked.v4(HERE);
        forged.id ^= 1;
        forged.bytes()
    });
    let session = session(asking([&server]).timeout(LIMIT).attempts(1).build());
    let why = fails(&session, &peer, "forged.test");
    assert!(why.contains("150ms"), "{why}");
}

#[test]
fn an_answer_behind_the_deadline_is_nobodys() {
    // SPEC C24
    let server = NameServer::silent();
    let session = session(asking([&server]).timeout(LIMIT).attempts(1).build());
    let peer = hello();
    fails(&session, &peer, "late.test");
    for asked in server.asked() {
        server.say(asked.from, &asked.v4(HERE).bytes());
    }
    fails(&session, &peer, "late.test");
    assert_eq!(server.count("late.test"), 4);
}

#[test]
fn aliases_in_a_circle_end() {
    let server = NameServer::start(|asked| {
        let reply = asked.reply();
        let reply = match &*asked.name {
            "self.test" => reply.cname("self.test", "self.test", 300),
            "tick.test" => {
                reply
                    .cname("tick.test", "tock.test", 300)
                    .cname("tock.test", "tick.test", 300)
            }
            // Each leads to another one, without end.
            name => {
                let number: u64 = name.trim_end_matches(".far.test").parse().unwrap_or(0);
                reply.cname(name, &format!("{}.far.test", number + 1), 300)
            }
        };
        reply.bytes()
    });
    let session = session(asking([&server]).build());
    let peer = hello();
    for host in ["self.test", "tick.test", "0.far.test"] {
        let before = server.asked().len();
        fails(&session, &peer, host);
        let asked = server.asked().len() - before;
        assert!(asked <= 20, "{host}: {asked} questions");
    }
}

#[test]
fn tcp_that_goes_wrong_ends_in_time() {
    let peer = hello();
    // Silent over TCP; cut off there too; another question.
    type Script = fn(&Asked) -> Option<Vec<u8>>;
    let scripts: [(Script, &str); 3] = [
        (|_| None, "150ms"),
        (|asked| Some(asked.reply().truncated().bytes()), "cut off"),
        (
            |asked| {
                let mut other = asked.v4(HERE);
                other.name = "other.test".to_owned();
                Some(other.bytes())
            },
            "another question",
        ),
    ];
    for (script, expected) in scripts {
        let server = NameServer::start(move |asked| match asked.tcp {
            false => Some(asked.reply().truncated().bytes()),
            true => script(asked),
        });
        let session = session(asking([&server]).timeout(LIMIT).attempts(1).build());
        let why = fails(&session, &peer, "cut.test");
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn a_server_without_edns_is_spared_it() {
    let server = NameServer::start(|asked| match asked.edns {
        true => asked.reply().rcode(FORMERR).bytes(),
        false => asked.v4(HERE).bytes(),
    });
    let folder = std::env::temp_dir().join(format!("miohttp-edns-{}", std::process::id()));
    std::fs::write(&folder, "options edns0\n").unwrap();
    let session = session(asking([&server]).resolv_conf(&folder).build());
    let peer = hello();
    passes(&session, &peer, "one.test");
    assert!(server.asked().iter().any(|asked| asked.edns));
    let before = server.asked().len();
    passes(&session, &peer, "two.test");
    assert!(server.asked()[before..].iter().all(|asked| !asked.edns));
    std::fs::remove_file(&folder).unwrap();
}

#[test]
fn a_stuck_name_holds_up_no_other() {
    let server = NameServer::start(|asked| match &*asked.name {
        "stuck.test" => None,
        "none.test" => Some(asked.reply().rcode(NXDOMAIN).soa(300).bytes()),
        _ => Some(asked.v4(HERE).bytes()),
    });
    let peer = hello();
    let session = session(asking([&server]).timeout(2 * WATCHDOG).build());
    let stuck = session.get("http://stuck.test/").start_send();
    server.wait_for(2);
    passes(&session, &peer, "free.test");
    fails(&session, &peer, "none.test");
    drop(stuck);
}

#[test]
fn an_answer_may_be_of_the_wrong_kind() {
    // Addresses of the family that was not asked for, and records of other
    // names, are no addresses of the host.
    let answered = AtomicUsize::new(0);
    let kinds = Mutex::new(Vec::new());
    let server = NameServer::start(move |asked| {
        answered.fetch_add(1, Ordering::Relaxed);
        enter(&kinds).push(asked.kind);
        match asked.kind {
            A => asked.reply().record("other.test", A, 300, HERE.to_vec()),
            AAAA => asked.reply().cname("other.test", "third.test", 300),
            _ => asked.reply(),
        }
        .bytes()
    });
    let session = session(asking([&server]).attempts(1).build());
    fails(&session, &hello(), "odd.test");
}
