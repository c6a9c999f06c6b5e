//! A name server that says exactly what a test tells it to, over UDP and TCP on
//! one port. It shares no code with the client under test: the few bytes of a
//! message (RFC 1035, section 4) are written out by hand.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use super::{WATCHDOG, enter, wait_until};

pub(crate) const A: u16 = 1;
pub(crate) const CNAME: u16 = 5;
pub(crate) const SOA: u16 = 6;
pub(crate) const AAAA: u16 = 28;
const OPT: u16 = 41;

pub(crate) const FORMERR: u8 = 1;
pub(crate) const SERVFAIL: u8 = 2;
pub(crate) const NXDOMAIN: u8 = 3;
pub(crate) const REFUSED: u8 = 5;

/// A question as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) id: u16,
    /// In lower case, without the final dot.
    pub(crate) name: String,
    pub(crate) kind: u16,
    pub(crate) edns: bool,
    pub(crate) tcp: bool,
    pub(crate) from: SocketAddr,
}

impl Asked {
    /// An empty answer to it, which is NODATA without a word of the zone.
    pub(crate) fn reply(&self) -> Reply {
        Reply {
            id: self.id,
            name: self.name.clone(),
            kind: self.kind,
            rcode: 0,
            truncated: false,
            answers: Vec::new(),
            authority: Vec::new(),
        }
    }

    /// The address for a question for IPv4, else NODATA.
    pub(crate) fn v4(&self, address: [u8; 4]) -> Reply {
        match self.kind {
            A => self.reply().a(address, 300),
            _ => self.reply().soa(300),
        }
    }
}

/// A message in the making.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) id: u16,
    /// The question that is repeated in it.
    pub(crate) name: String,
    kind: u16,
    rcode: u8,
    truncated: bool,
    answers: Vec<Record>,
    authority: Vec<Record>,
}

type Record = (String, u16, u32, Vec<u8>);

impl Reply {
    pub(crate) fn rcode(mut self, rcode: u8) -> Self {
        self.rcode = rcode;
        self
    }

    pub(crate) fn truncated(mut self) -> Self {
        self.truncated = true;
        self
    }

    pub(crate) fn a(self, address: [u8; 4], ttl: u32) -> Self {
        let name = self.name.clone();
        self.record(&name, A, ttl, address.to_vec())
    }

    pub(crate) fn aaaa(self, address: Ipv6Addr, ttl: u32) -> Self {
        let name = self.name.clone();
        self.record(&name, AAAA, ttl, address.octets().to_vec())
    }

    pub(crate) fn cname(self, from: &str, to: &str, ttl: u32) -> Self {
        self.record(from, CNAME, ttl, labels(to))
    }

    pub(crate) fn record(mut self, name: &str, kind: u16, ttl: u32, data: Vec<u8>) -> Self {
        self.answers.push((name.to_owned(), kind, ttl, data));
        self
    }

    /// The zone's word on a denial, and how long it stands.
    pub(crate) fn soa(mut self, ttl: u32) -> Self {
        let mut data = labels("ns.test");
        data.extend(labels("root.test"));
        for number in [1, 3600, 600, 86400, ttl] {
            data.extend(u32::to_be_bytes(number));
        }
        self.authority.push(("test".to_owned(), SOA, ttl, data));
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.id.to_be_bytes().to_vec();
        // A response, recursion desired and available.
        bytes.extend([
            0x81 | if self.truncated { 2 } else { 0 },
            0x80 | (self.rcode & 15),
        ]);
        for count in [1, self.answers.len(), self.authority.len(), 0] {
            bytes.extend(u16::try_from(count).unwrap().to_be_bytes());
        }
        bytes.extend(labels(&self.name));
        bytes.extend(self.kind.to_be_bytes());
        bytes.extend([0, 1]);
        for (name, kind, ttl, data) in self.answers.iter().chain(&self.authority) {
            bytes.extend(labels(name));
            bytes.extend(kind.to_be_bytes());
            bytes.extend([0, 1]);
            bytes.extend(ttl.to_be_bytes());
            bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            bytes.extend(data);
        }
        bytes
    }
}

impl From<Reply> for Vec<u8> {
    fn from(reply: Reply) -> Self {
        reply.bytes()
    }
}

/// A name as a message has it.
fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn read(message: &[u8], from: SocketAddr, tcp: bool) -> Option<Asked> {
    let id = u16::from_be_bytes([*message.first()?, *message.get(1)?]);
    let (mut at, mut name) = (12, String::new());
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        let label = message.get(at..at + length)?;
        name += &String::from_utf8_lossy(label).to_ascii_lowercase();
        name.push('.');
        at += length;
    }
    name.pop();
    let kind = u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]);
    // An OPT record is at the root, behind the question.
    let edns = message
        .get(at + 4..)
        .is_some_and(|rest| rest.starts_with(&[0, 0, u8::try_from(OPT).unwrap()]));
    Some(Asked {
        id,
        name,
        kind,
        edns,
        tcp,
        from,
    })
}

/// What a server says to a question: messages, as they are; none is silence.
pub(crate) type Messages = Vec<Vec<u8>>;

type Script = dyn Fn(&Asked) -> Messages + Send + Sync;

/// The server. Dropped, it stops.
pub(crate) struct NameServer {
    address: SocketAddr,
    udp: Arc<UdpSocket>,
    log: Arc<(Mutex<Log>, Condvar)>,
}

#[derive(Default)]
struct Log {
    asked: Vec<Asked>,
    over: bool,
}

impl NameServer {
    /// One that answers each question by the script.
    pub(crate) fn start<M>(script: impl Fn(&Asked) -> M + Send + Sync + 'static) -> Self
    where
        M: Into<Option<Vec<u8>>>,
    {
        Self::scripted(Arc::new(move |asked: &Asked| {
            script(asked).into().into_iter().collect()
        }))
    }

    /// One that may say several things at once.
    pub(crate) fn saying(script: impl Fn(&Asked) -> Messages + Send + Sync + 'static) -> Self {
        Self::scripted(Arc::new(script))
    }

    /// One that hears everything and says nothing.
    pub(crate) fn silent() -> Self {
        Self::start(|_| None)
    }

    fn scripted(script: Arc<Script>) -> Self {
        let (udp, tcp) = both();
        Self::serve(udp, tcp, script)
    }

    /// Another server at the address of one that has stopped.
    pub(crate) fn revive(
        address: SocketAddr,
        script: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let udp = retry(|| UdpSocket::bind(address));
        let tcp = retry(|| TcpListener::bind(address));
        Self::serve(udp, tcp, Arc::new(move |asked: &Asked| vec![script(asked)]))
    }

    fn serve(udp: UdpSocket, tcp: TcpListener, script: Arc<Script>) -> Self {
        let udp = Arc::new(udp);
        let server = Self {
            address: udp.local_addr().unwrap(),
            udp: Arc::clone(&udp),
            log: Arc::default(),
        };
        let (log, play) = (Arc::clone(&server.log), Arc::clone(&script));
        thread::spawn(move || serve_udp(&udp, &log, &*play));
        let log = Arc::clone(&server.log);
        thread::spawn(move || serve_tcp(&tcp, &log, &script));
        server
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        enter(&self.log.0).asked.clone()
    }

    /// How often a name was asked for.
    pub(crate) fn count(&self, name: &str) -> usize {
        let log = enter(&self.log.0);
        log.asked.iter().filter(|asked| asked.name == name).count()
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize) {
        let came = wait_until(&self.log.0, &self.log.1, |log| log.asked.len() >= count);
        assert!(came, "{} of {count} questions came", self.asked().len());
    }

    /// Says something out of turn.
    pub(crate) fn say(&self, to: SocketAddr, message: &[u8]) {
        // Whoever asked may be gone, and the system may say so.
        let _ = self.udp.send_to(message, to);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        enter(&self.log.0).over = true;
        // Both threads notice, and close their sockets.
        let _ = self.udp.send_to(&[], self.address);
        let _ = TcpStream::connect(self.address);
    }
}

/// Sockets of both kinds on one port.
fn both() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both");
}

/// Until whoever had the address before has let go of it.
fn retry<T>(open: impl Fn() -> io::Result<T>) -> T {
    let start = std::time::Instant::now();
    loop {
        match open() {
            Ok(socket) => return socket,
            Err(error) => assert!(start.elapsed() < WATCHDOG, "{error}"),
        }
        thread::yield_now();
    }
}

fn hear(log: &(Mutex<Log>, Condvar), asked: Option<Asked>) -> bool {
    let mut state = enter(&log.0);
    state.asked.extend(asked);
    log.1.notify_all();
    !state.over
}

fn serve_udp(udp: &UdpSocket, log: &(Mutex<Log>, Condvar), script: &Script) {
    let mut buffer = [0; 2048];
    loop {
        let (length, from) = match udp.recv_from(&mut buffer) {
            Ok(heard) => heard,
            // Somebody we answered had gone.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => continue,
            Err(error) => panic!("the name server: {error}"),
        };
        let asked = read(&buffer[..length], from, false);
        if !hear(log, asked.clone()) {
            return;
        }
        for message in asked.iter().flat_map(script) {
            let _ = udp.send_to(&message, from);
        }
    }
}

fn serve_tcp(tcp: &TcpListener, log: &Arc<(Mutex<Log>, Condvar)>, script: &Arc<Script>) {
    loop {
        let (stream, from) = tcp.accept().unwrap();
        if enter(&log.0).over {
            return;
        }
        let (log, script) = (Arc::clone(log), Arc::clone(script));
        thread::spawn(move || {
            // The client may close whenever it likes.
            let _ = converse(stream, from, &log, &*script);
        });
    }
}

fn converse(
    mut stream: TcpStream,
    from: SocketAddr,
    log: &(Mutex<Log>, Condvar),
    script: &Script,
) -> io::Result<()> {
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut message)?;
        let asked = read(&message, from, true);
        hear(log, asked.clone());
        for message in asked.iter().flat_map(script) {
            let length = u16::try_from(message.len()).unwrap();
            stream.write_all(&length.to_be_bytes())?;
            stream.write_all(&message)?;
        }
    }
}
