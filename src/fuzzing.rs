//! The fuzzers' door: what they cannot reach through the public API, as
//! functions of bytes that panic when a law is broken. Compiled only under
//! `--cfg fuzzing`, which `cargo fuzz` sets; the targets are in `fuzz/`.
//!
//! The laws are those that hold for every input whatever it is: no panic, no
//! hang, no memory beyond a bound, and the same outcome however a stream of
//! bytes is cut into reads.

#[cfg(feature = "websocket")]
mod messages;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::{Bytes, BytesMut};
use http::header::{HeaderName, HeaderValue};
use http::{Method, Version};
use url::{Position, Url};

use crate::call::{redirect_target, requoted_target};
use crate::coding::{CodingFault, Decoder, Limits as CodingLimits};
use crate::conn::link::{Link, Read};
use crate::field::{ContentDisposition, MediaType, links};
use crate::head::{BodyLength, Fields, RequestHead};
use crate::net::{Readiness, Stream};
use crate::proto::connect::Connect;
use crate::proto::h1::{Limits, Machine};
use crate::proto::socks::{Socks4, Socks5};
use crate::proto::tunnel::{Dialog, Goal, ProxyFault, Step};
use crate::proto::{CloseReason, Event, Fault};
use crate::text::{self, Damage};

#[cfg(feature = "websocket")]
pub use self::messages::messages;

/// A reply to one of several requests, whole and in pieces.
pub fn response(data: &[u8]) {
    let Some((&[ask, cut], wire)) = data.split_first_chunk() else {
        return;
    };
    same_however_cut(ask, cut, &[], wire);
}

/// The body of a chunked reply, whole and in pieces.
pub fn chunked(data: &[u8]) {
    let Some((&cut, wire)) = data.split_first() else {
        return;
    };
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    same_however_cut(0, cut, head, wire);
}

fn same_however_cut(ask: u8, cut: u8, head: &[u8], wire: &[u8]) {
    let whole = read(ask, &[head, wire].concat(), usize::MAX);
    // Every size of piece from one byte on, the small ones most often.
    let split = read(ask, &[head, wire].concat(), usize::from(cut).max(1));
    assert_eq!(whole, split);
}

/// What became of a reply. Faults are told by their kind alone, for how much of
/// a foreign reply is shown depends on how much had come.
#[derive(Debug, PartialEq)]
struct Story {
    events: Vec<Event>,
    fault: Option<std::mem::Discriminant<Fault>>,
    close: Option<CloseReason>,
    /// What is left of the input; not told after a fault.
    left: usize,
}

fn read(ask: u8, wire: &[u8], piece: usize) -> Story {
    let mut machine = asked(ask);
    let mut input = BytesMut::new();
    let mut events = Vec::new();
    let mut fault = None;
    for part in wire.chunks(piece.min(wire.len().max(1))) {
        input.extend_from_slice(part);
        if fault.is_none() {
            fault = drain(&mut events, || machine.receive(&mut input));
        }
    }
    if ask & 0x40 != 0 && fault.is_none() {
        fault = drain(&mut events, || machine.receive_eof(&mut input));
    }
    let complete = events.last() == Some(&Event::End);
    assert_eq!(machine.is_complete(), complete);
    assert!(!machine.is_reusable(input.len()) || (complete && input.is_empty()));
    Story {
        fault: fault.as_ref().map(std::mem::discriminant),
        close: machine.close_reason(),
        left: if fault.is_some() { 0 } else { input.len() },
        events,
    }
}

/// Takes all events, neighbouring pieces of data joined.
fn drain(
    events: &mut Vec<Event>,
    mut next: impl FnMut() -> Result<Option<Event>, Fault>,
) -> Option<Fault> {
    loop {
        match (next(), events.last_mut()) {
            (Ok(Some(Event::Data(data))), Some(Event::Data(before))) => {
                *before = [&before[..], &data[..]].concat().into();
            }
            (Ok(Some(event)), _) => events.push(event),
            (Ok(None), _) => return None,
            (Err(fault), _) => return Some(fault),
        }
    }
}

fn asked(ask: u8) -> Machine {
    let mut fields = Fields::behind(b"/", 0);
    let field = |name, value| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    let mut body = BodyLength::Empty;
    let method = match ask & 7 {
        1 => Method::HEAD,
        2 => Method::CONNECT,
        3 => {
            let (name, value) = field("upgrade", "websocket");
            fields.append(name, value);
            Method::GET
        }
        4 => {
            body = BodyLength::Known(5);
            Method::POST
        }
        5 => {
            let (name, value) = field("connection", "close");
            fields.append(name, value);
            Method::GET
        }
        _ => Method::GET,
    };
    let head = RequestHead {
        method,
        version: Version::HTTP_11,
        fields,
        body,
        expect_continue: ask & 0x20 != 0,
    };
    let limits = match ask & 0x10 {
        0 => Limits::default(),
        _ => Limits {
            max_line: 20,
            max_field: 16,
            max_fields: 2,
            strict: false,
            marks: false,
        },
    };
    let mut machine = Machine::new(limits);
    machine.begin(&head, limits, ask & 8 == 0, &mut Vec::new());
    machine
}

/// Content codings: bounded, and the same however the input is cut.
pub fn coding(data: &[u8]) {
    let Some((&[name, cut], coded)) = data.split_first_chunk() else {
        return;
    };
    const NAMES: [&[u8]; 9] = [
        b"gzip",
        b"deflate",
        b"gzip, gzip",
        b"deflate, gzip",
        b"x-gzip",
        b"identity, deflate, gzip, deflate",
        b"zstd",
        b"gzip, zstd",
        // Last, and alone: see below.
        b"br",
    ];
    let name = NAMES[usize::from(name) % NAMES.len()];
    let whole = decoded(name, coded, usize::MAX);
    let split = decoded(name, coded, usize::from(cut).max(1));
    let by_ratio = |end: &Option<CodingFault>| matches!(end, Some(CodingFault::Ratio { .. }));
    // How much was received when a limit was passed depends on the pieces.
    if !by_ratio(&whole.1) && !by_ratio(&split.1) {
        assert_eq!(whole.1.is_some(), split.1.is_some());
        // How much br gives of the last bytes before damage depends on them, too.
        if name != b"br" || whole.1.is_none() {
            assert_eq!(whole.0, split.0);
        }
    }
}

fn decoded(name: &[u8], coded: &[u8], piece: usize) -> (Vec<u8>, Option<CodingFault>) {
    let limits = CodingLimits {
        max_ratio: 100,
        ratio_floor: 64 * 1024,
    };
    let Ok(Some(mut decoder)) = Decoder::new(std::iter::once(name), limits) else {
        return (Vec::new(), None);
    };
    let mut output = Vec::new();
    let mut space = [0; 512];
    let bound = 64 * 1024 + 100 * coded.len() + space.len();
    for part in coded.chunks(piece.min(coded.len().max(1))) {
        let mut input = Bytes::copy_from_slice(part);
        loop {
            match decoder.decode(&mut input, &mut space) {
                Ok(0) => break,
                Ok(n) => output.extend_from_slice(&space[..n]),
                Err(fault) => return (output, Some(fault)),
            }
            assert!(output.len() <= bound, "the ratio limit was passed");
        }
        assert!(input.is_empty(), "input was neither taken nor refused");
    }
    loop {
        match decoder.finish(&mut space) {
            Ok(0) => return (output, None),
            Ok(n) => output.extend_from_slice(&space[..n]),
            Err(fault) => return (output, Some(fault)),
        }
        assert!(output.len() <= bound, "the ratio limit was passed");
    }
}

/// A challenge, a netrc file and an `Authorization`, whichever it is.
#[cfg(feature = "digest")]
pub fn credentials(data: &[u8]) {
    crate::auth::check_challenge(data);
    let text = String::from_utf8_lossy(data);
    if let Ok(netrc) = crate::auth::Netrc::parse(&text) {
        for host in ["h", "[::1]", ""] {
            let found = netrc.find(host).map(|found| found.login().to_owned());
            let again = netrc.find_login(host, found.as_deref().unwrap_or_default());
            assert!(found.is_none() || again.is_some());
        }
    }
    if let Ok(auth) = text.parse::<crate::auth::BasicAuth>()
        && let Ok(value) = auth.encode()
    {
        let again = value.to_str().unwrap_or_default().parse();
        assert!(again.is_ok_and(|again: crate::auth::BasicAuth| again == auth));
    }
}

/// `Set-Cookie` lines from several hosts, and the headers they lead to.
#[cfg(feature = "cookies")]
pub fn cookies(data: &[u8]) {
    use crate::call::merge_cookies;
    use crate::cookie::{Cookie, CookieJar};

    let hosts: Vec<Url> = [
        "https://www.example.com/a/b",
        "http://example.com/",
        "http://shop.example.co.uk/a",
        "http://127.0.0.1/",
    ]
    .iter()
    .filter_map(|url| Url::parse(url).ok())
    .collect();
    let jar = CookieJar::new();
    for line in data.split(|&byte| byte == b'\n') {
        let Some((&host, line)) = line.split_first() else {
            continue;
        };
        let url = &hosts[usize::from(host) % hosts.len()];
        if let Some(cookie) = Cookie::parse(line) {
            let pair = [cookie.name(), b"=", cookie.value()].concat();
            let harmful = |byte: &u8| *byte == b';' || (*byte < b' ' && *byte != b'\t');
            assert!(!pair.iter().any(harmful), "{pair:?}");
        }
        if let Ok(value) = HeaderValue::from_bytes(line) {
            jar.store(url, &mut std::iter::once(&value));
        }
    }
    assert!(jar.len() <= 3000);
    for url in &hosts {
        let cookies = jar.cookies_for(url);
        let secure = url.scheme() == "https";
        assert!(cookies.iter().all(|cookie| secure || !cookie.secure()));
        let header = jar.cookies(url);
        // A cookie that nothing can be written of, without name and value, is none.
        assert!(!cookies.is_empty() || header.is_none());
        let explicit = HeaderValue::from_bytes(data.split(|b| *b < b' ').next().unwrap_or(b""));
        merge_cookies(explicit.as_ref().ok(), header.as_ref());
    }
}

/// `Location`, against bases of each kind.
pub fn location(data: &[u8]) {
    for base in [
        "http://example.com/a/b?c#d",
        "https://[::1]:8443/",
        "http://user:secret@127.0.0.1",
    ] {
        let Ok(base) = Url::parse(base) else {
            continue;
        };
        let Ok(url) = redirect_target(&base, data) else {
            continue;
        };
        assert!(matches!(url.scheme(), "http" | "https"));
        assert!(url.has_host());
        let target = &url[Position::BeforePath..Position::AfterQuery];
        assert!(target.starts_with('/'));
        let ends = |byte: u8| byte <= b' ' || byte == 0x7f;
        assert!(!target.bytes().any(ends), "{target:?}");
        // In one form, or as it is written: something that can be asked for.
        let (normal, written) = requoted_target(&base, data, &url);
        assert_eq!(normal.origin(), url.origin());
        assert_eq!(requoted_target(&base, data, &normal).0, normal);
        if let Some(written) = written {
            assert!(written.starts_with('/'), "{written:?}");
            let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
            assert!(written.bytes().all(is_plain), "{written:?}");
        }
        // To follow an absolute target is to stay there.
        match redirect_target(&url, url.as_str().as_bytes()) {
            Ok(again) => assert_eq!(again, url),
            Err(error) => panic!("{url} is no target: {error}"),
        }
    }
}

/// Fields that have parts, and text.
pub fn fields(data: &[u8]) {
    if let Some(kind) = MediaType::parse(data) {
        assert!(kind.essence().contains('/') && !kind.essence().contains(';'));
        // What was understood is written so that it is understood again.
        assert_eq!(MediaType::parse(kind.to_string()), Some(kind));
    }
    let disposition = ContentDisposition::parse(data);
    if let Some(name) = disposition.and_then(|disposition| disposition.safe_filename()) {
        assert!(!name.is_empty() && name.len() <= 255, "{name:?}");
        assert!(name != "." && name != "..");
        let leads_elsewhere = |c: char| matches!(c, '/' | '\\' | ':') || c.is_control();
        assert!(!name.contains(leads_elsewhere), "{name:?}");
    }
    if let Ok(base) = Url::parse("http://example.com/a/b") {
        for link in links(data, &base) {
            assert!(link.rels().all(|rel| link.has_rel(rel)));
        }
    }
    for label in ["utf-8", "shift_jis", "utf-16le"] {
        let Some(charset) = text::charset(label) else {
            continue;
        };
        let replaced = text::decode(data, charset, Damage::Replace).ok();
        assert!(
            replaced
                .as_ref()
                .is_some_and(|text| text.len() <= 3 * data.len())
        );
        // What is no error is the same.
        if let Ok(strict) = text::decode(data, charset, Damage::Refuse) {
            assert_eq!(Some(strict), replaced);
        }
    }
    if let Some(marked) = text::decode_marked(data, Damage::Replace) {
        assert!(marked.is_ok() && text::may_be_marked(data));
    }
    #[cfg(feature = "charset")]
    assert!(text::charset(text::detect(data, Some("test"))).is_some());
}

/// What a proxy says to a CONNECT or by SOCKS, whole and in pieces.
pub fn proxies(data: &[u8]) {
    let Some((&[which, piece], wire)) = data.split_first_chunk() else {
        return;
    };
    let whole = dialog(which, wire, usize::MAX);
    let split = dialog(which, wire, usize::from(piece).max(1));
    assert_eq!(whole, split);
}

/// What came of it, and what is left for the origin.
fn dialog(which: u8, wire: &[u8], piece: usize) -> Option<(String, Vec<u8>)> {
    let goal = Goal {
        host: "example.com",
        port: 443,
        address: None,
        authorization: None,
        limits: Limits::default(),
    };
    let mut out = Vec::new();
    let login: Option<(&[u8], &[u8])> = Some((b"user", b"password"));
    let mut dialog: Box<dyn Dialog> = match which % 4 {
        0 => Box::new(Connect::begin(&goal, &Fields::default(), &mut out)),
        1 => Box::new(Socks4::begin(&goal, b"user", &mut out).ok()?),
        2 => Box::new(Socks5::begin(&goal, None, &mut out).ok()?),
        _ => Box::new(Socks5::begin(&goal, login, &mut out).ok()?),
    };
    let told = |fault: &ProxyFault| match fault {
        // How much of a foreign reply is shown depends on how much had come.
        ProxyFault::Http(fault) => format!("{:?}", std::mem::discriminant(fault)),
        fault => format!("{fault:?}"),
    };
    let mut input = BytesMut::new();
    let mut pieces = wire.chunks(piece.min(wire.len()).max(1));
    while let Some(piece) = pieces.next() {
        input.extend_from_slice(piece);
        match dialog.receive(&mut input, &mut out) {
            Ok(Step::Open(head)) => {
                pieces.for_each(|piece| input.extend_from_slice(piece));
                return Some((format!("{head:?}"), input.to_vec()));
            }
            Ok(Step::More | Step::Refused) => {}
            Err(fault) => return Some((told(&fault), Vec::new())),
        }
        assert!(out.len() < 4096);
    }
    Some((told(&dialog.end(&mut input)), Vec::new()))
}

/// What a server sends over a WebSocket, whole and in pieces: the same messages and
/// control frames, and the same end.
#[cfg(feature = "websocket")]
pub fn websocket(data: &[u8]) {
    crate::proto::ws::laws::same_however_cut(data);
}

/// Records of anything, into a TLS handshake and past it.
#[cfg(feature = "tls")]
pub fn tls(data: &[u8]) {
    use std::sync::OnceLock;

    use crate::tls::{Client, Settings};

    static CLIENT: OnceLock<Option<Client>> = OnceLock::new();
    let client = CLIENT.get_or_init(|| Client::build(&Settings::default()).ok());
    let (Some(client), Some((&piece, wire))) = (client, data.split_first()) else {
        return;
    };
    let stream = Script {
        wire: wire.to_vec(),
        at: 0,
        piece: usize::from(piece).max(1),
    };
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 443));
    let mut link = Link::new(stream, peer.into(), Some((client, "example.com")), None);
    let mut plain = BytesMut::new();
    // Each time round takes a piece of the script, and it ends.
    for _ in 0..wire.len() + 4 {
        link.ready(Readiness {
            readable: true,
            writable: true,
            hung_up: false,
        });
        match link.establish() {
            Ok(false) => {}
            Err(_) => return,
            Ok(true) => match link.read(&mut plain, 1024) {
                Ok(Read::End { .. }) | Err(_) => return,
                Ok(_) => plain.clear(),
            },
        }
    }
    panic!("the end of the script was not noticed");
}

/// A socket that reads a script in pieces and swallows what is written.
struct Script {
    wire: Vec<u8>,
    at: usize,
    piece: usize,
}

impl Stream for Script {
    type Shared = ();

    fn share(&self) {}

    fn shut((): &()) {}

    fn abort_on_close(&mut self) {}

    fn read_spare(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        let before = into.len();
        into.resize(into.capacity(), 0);
        let read = self.read(&mut into[before..]);
        into.truncate(before + *read.as_ref().unwrap_or(&0));
        read
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.wire.get(self.at..).unwrap_or_default();
        let n = left.len().min(self.piece).min(into.len());
        into[..n].copy_from_slice(&left[..n]);
        self.at += n;
        Ok(n)
    }

    fn write_vectored(&mut self, from: &[io::IoSlice<'_>]) -> io::Result<usize> {
        Ok(from.iter().map(|slice| slice.len()).sum())
    }

    fn connected(&mut self) -> io::Result<bool> {
        Ok(true)
    }
}
