//! A thousand open WebSockets with a heartbeat on one connector: two threads in all, and
//! little memory for each.
//!
//! Threads and memory are those of a process that does nothing else, so this test has
//! no harness, and plays three parts: of the test, of the server, and of the client.

mod support;

use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use miohttp::{CloseCode, Connector, Session, WebSocket, wait_all};
use support::ws::{self, Frame, Handshake};

const NAME: &str = "a_thousand_sockets_cost_two_threads_and_little_memory";
const COUNT: usize = 1000;
/// Of resident memory, for each of them.
const MOST: usize = 16 << 10;
/// Set to the part that this process plays.
const PART: &str = "MIOHTTP_THOUSAND";

fn main() {
    match env::var(PART) {
        Ok(part) if part == "server" => return server(),
        Ok(url) => return client(&url),
        Err(_) => {}
    }
    if !support::is_asked_for(NAME) {
        return;
    }
    if !cfg!(target_os = "linux") {
        println!("SKIPPED: nobody tells of threads and memory here");
        return;
    }
    let mut server = start("server");
    let mut url = String::new();
    let said = server.stdout.take().expect("it is a pipe");
    BufReader::new(said)
        .read_line(&mut url)
        .expect("it says where it is");
    let status = start(url.trim()).wait_with_output().map(|output| {
        print!("{}", String::from_utf8_lossy(&output.stdout));
        output.status
    });
    // It has nothing to say any more.
    let _ = server.kill();
    let _ = server.wait();
    assert!(status.expect("it can be waited for").success());
    println!("test {NAME} ... ok");
}

/// This program in another part, with as many descriptors as it may have.
fn start(part: &str) -> Child {
    Command::new("sh")
        .args(["-c", "ulimit -n $(ulimit -H -n); exec \"$0\""])
        .arg(env::current_exe().expect("a program"))
        .env(PART, part)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts")
}

/// Says so when two beats of a connection have come, and sends back what comes then.
fn server() {
    let peer = ws::start(Handshake::new(), |ws| {
        for _ in 0..2 {
            let beat = ws.frame()?;
            assert_eq!(beat.opcode, ws::PING);
            ws.send(Frame::pong(beat.payload))?;
        }
        ws.send(Frame::text("two beats"))?;
        ws.echo()
    });
    println!("{}", ws::url(&peer, "/"));
    // Until it is ended.
    loop {
        std::thread::park();
    }
}

fn client(url: &str) {
    let connector = Connector::builder().limit(0).build();
    let session = Session::builder().connector(connector).build();
    let connect = || session.ws_connect(url).heartbeat(Duration::from_secs(2));
    let before = resident();
    let mut sockets: Vec<WebSocket> = Vec::with_capacity(COUNT);
    // Half of them by whoever waits, half by the connector's thread.
    for _ in 0..COUNT / 100 {
        sockets.extend((0..50).map(|_| connect().connect().expect("a WebSocket")));
        let started: Vec<_> = (0..50).map(|_| connect().start_connect()).collect();
        sockets.extend(
            wait_all(started)
                .into_iter()
                .map(|socket| socket.expect("a WebSocket")),
        );
    }
    let opened = resident();
    for socket in &sockets {
        let text = socket.recv_text().expect("a message").expect("one");
        assert_eq!(&*text, "two beats");
    }
    let (beaten, threads) = (resident(), threads());
    let stats = session.connector().stats();
    assert_eq!(
        (stats.opened, stats.in_use),
        (COUNT as u64, COUNT),
        "{stats:?}"
    );
    // Each of them is still good for something.
    for (number, socket) in sockets.iter().enumerate() {
        socket.send(format!("socket {number}")).expect("it is open");
    }
    for (number, socket) in sockets.iter().enumerate() {
        let text = socket.recv_text().expect("a message").expect("one");
        assert_eq!(&*text, format!("socket {number}"));
    }
    let used = resident();
    let closing: Vec<_> = sockets
        .iter()
        .map(|socket| socket.start_close(CloseCode::NORMAL, ""))
        .collect();
    let closed = wait_all(closing);
    assert!(closed.iter().all(|closed| matches!(closed, Ok(true))));
    let each = |after: usize| after.saturating_sub(before) / COUNT;
    println!(
        "{COUNT} sockets: {} threads; resident memory was {} KiB, and grew for each socket by \
         {} bytes when they were open, {} after two beats, {} after a message each way",
        threads.len(),
        before >> 10,
        each(opened),
        each(beaten),
        each(used),
    );
    assert_eq!(threads.len(), 2, "{threads:?}");
    for after in [opened, beaten, used] {
        assert!(each(after) < MOST, "{} bytes for each", each(after));
    }
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("it can be read");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.expect("a number").trim().trim_end_matches(" kB");
    kib.parse::<usize>().expect("a number") << 10
}

/// The names of its threads.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").expect("a list of threads");
    tasks
        .map(|task| fs::read_to_string(task?.path().join("comm")))
        .collect::<io::Result<_>>()
        .expect("their names")
}
