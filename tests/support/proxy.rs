//! Proxies that lead on for real: CONNECT and forwarded requests over TCP or
//! TLS, and SOCKS 4, 4a and 5, told apart by the first byte.
//!
//! ```no_run
//! let origin = Peer::serve(|_| ok("hello"));
//! let proxy = Proxy::start().knowing("origin.test", origin.address());
//! // … drive the client through proxy.url("http") or proxy.url("socks5h") …
//! assert_eq!(proxy.asked(), ["CONNECT origin.test:80"]);
//! ```

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::ServerConnection;

use super::{TlsOptions, WATCHDOG, enter, wait_until};

/// A proxy on a loopback port, which ends when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    tls: Option<TlsOptions>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    names: HashMap<String, SocketAddr>,
    /// What whoever comes has to say.
    login: Option<(String, String)>,
    /// Fields of the reply to CONNECT.
    reply_fields: String,
    asked: Vec<String>,
    heads: Vec<String>,
    accepted: usize,
    sockets: Vec<TcpStream>,
    stopping: bool,
}

impl Proxy {
    pub(crate) fn start() -> Self {
        Self::listen(None)
    }

    /// One that is spoken to under TLS.
    pub(crate) fn start_tls(options: TlsOptions) -> Self {
        Self::listen(Some(options))
    }

    fn listen(tls: Option<TlsOptions>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            tls,
            ..Shared::default()
        });
        let to_accept = Arc::clone(&shared);
        thread::spawn(move || {
            for socket in listener.incoming() {
                let Ok(socket) = socket else { return };
                let shared = Arc::clone(&to_accept);
                if !shared.admit(&socket) {
                    return;
                }
                // What goes wrong is the client's to notice.
                thread::spawn(move || drop(serve(&shared, socket)));
            }
        });
        Self { address, shared }
    }

    /// Where a name is, for whoever asks to be led there. Other names are
    /// unknown, and addresses themselves.
    pub(crate) fn knowing(self, name: &str, address: SocketAddr) -> Self {
        let mut state = enter(&self.shared.state);
        state.names.insert(name.to_owned(), address);
        drop(state);
        self
    }

    /// Leads nobody anywhere who does not say this.
    pub(crate) fn with_login(self, user: &str, password: &str) -> Self {
        enter(&self.shared.state).login = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Adds a field to the replies to CONNECT.
    pub(crate) fn replying(self, field: &str) -> Self {
        let mut state = enter(&self.shared.state);
        state.reply_fields.push_str(field);
        state.reply_fields.push_str("\r\n");
        drop(state);
        self
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.shared.tls.is_some()
    }

    /// Its own URL, without a login.
    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    /// What it was asked for, such as `CONNECT h:1`, `SOCKS5 h:1`, `GET http://h/`.
    pub(crate) fn asked(&self) -> Vec<String> {
        enter(&self.shared.state).asked.clone()
    }

    /// The heads of the HTTP requests to it, as they came.
    pub(crate) fn heads(&self) -> Vec<String> {
        enter(&self.shared.state).heads.clone()
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        enter(&self.shared.state).accepted
    }

    /// Waits until it was asked so often.
    #[track_caller]
    pub(crate) fn wait_for_asked(&self, count: usize) {
        let (state, changed) = (&self.shared.state, &self.shared.changed);
        let came = wait_until(state, changed, |state| state.asked.len() >= count);
        assert!(came, "only {:?} of {count} were asked", self.asked());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = enter(&self.shared.state);
        state.stopping = true;
        let sockets = std::mem::take(&mut state.sockets);
        drop(state);
        for socket in sockets {
            let _ = socket.shutdown(Shutdown::Both);
        }
        // Wakes who accepts.
        let _ = TcpStream::connect_timeout(&self.address, WATCHDOG);
    }
}

impl Shared {
    fn admit(&self, socket: &TcpStream) -> bool {
        let mut state = enter(&self.state);
        state.accepted += usize::from(!state.stopping);
        state.sockets.extend(socket.try_clone());
        !state.stopping
    }

    fn note(&self, asked: String) {
        enter(&self.state).asked.push(asked);
        self.changed.notify_all();
    }

    /// Connects to what was asked for.
    fn lead(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let known = enter(&self.state).names.get(host).copied();
        let address = match (known, host.parse::<IpAddr>()) {
            (Some(address), _) => address,
            (None, Ok(address)) => SocketAddr::new(address, port),
            (None, Err(_)) => return Err(io::ErrorKind::NotFound.into()),
        };
        let socket = TcpStream::connect_timeout(&address, WATCHDOG)?;
        enter(&self.state).sockets.extend(socket.try_clone());
        Ok(socket)
    }
}

fn serve(shared: &Shared, socket: TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(WATCHDOG))?;
    let mut client = Client {
        tls: shared
            .tls
            .as_ref()
            .map(|options| Mutex::new(options.session())),
        socket,
        buffer: Vec::new(),
    };
    match client.peek()? {
        4 => socks4(shared, client),
        5 => socks5(shared, client),
        _ => http(shared, client),
    }
}

/// The connection to it.
struct Client {
    socket: TcpStream,
    tls: Option<Mutex<ServerConnection>>,
    /// Read too early.
    buffer: Vec<u8>,
}

impl Client {
    /// Some bytes; none at the end.
    fn read(&self) -> io::Result<Vec<u8>> {
        let mut chunk = [0; 16 * 1024];
        loop {
            let count = (&self.socket).read(&mut chunk)?;
            let Some(tls) = &self.tls else {
                return Ok(chunk[..count].to_vec());
            };
            let mut tls = enter(tls);
            let mut wire = &chunk[..count];
            let mut plain = Vec::new();
            loop {
                tls.read_tls(&mut wire)?;
                let state = tls.process_new_packets();
                tls.write_tls(&mut &self.socket)?;
                let state = state.map_err(io::Error::other)?;
                let mut part = vec![0; state.plaintext_bytes_to_read()];
                tls.reader().read_exact(&mut part)?;
                plain.extend(part);
                if wire.is_empty() {
                    if state.peer_has_closed() || count == 0 || !plain.is_empty() {
                        return Ok(plain);
                    }
                    break;
                }
            }
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let Some(tls) = &self.tls else {
            return (&self.socket).write_all(bytes);
        };
        let mut tls = enter(tls);
        for part in bytes.chunks(16 * 1024) {
            tls.writer().write_all(part)?;
            while tls.wants_write() {
                tls.write_tls(&mut &self.socket)?;
            }
        }
        Ok(())
    }

    fn fill(&mut self) -> io::Result<()> {
        let more = self.read()?;
        if more.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.buffer.extend(more);
        Ok(())
    }

    fn peek(&mut self) -> io::Result<u8> {
        while self.buffer.is_empty() {
            self.fill()?;
        }
        Ok(self.buffer[0])
    }

    fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < count {
            self.fill()?;
        }
        Ok(self.buffer.drain(..count).collect())
    }

    /// Up to and with these bytes.
    fn take_until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            let mut windows = self.buffer.windows(end.len());
            if let Some(at) = windows.position(|window| window == end) {
                return self.take(at + end.len());
            }
            self.fill()?;
        }
    }

    /// A part behind its length.
    fn take_part(&mut self) -> io::Result<Vec<u8>> {
        let length = self.take(1)?[0];
        self.take(length.into())
    }

    fn take_port(&mut self) -> io::Result<u16> {
        let port = self.take(2)?;
        Ok(u16::from_be_bytes([port[0], port[1]]))
    }
}

/// Carries bytes both ways until both sides have ended.
fn relay(client: Client, origin: TcpStream) -> io::Result<()> {
    let mut early = origin.try_clone()?;
    early.write_all(&client.buffer)?;
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut chunk = [0; 16 * 1024];
            while let Ok(count) = (&origin).read(&mut chunk) {
                if count == 0 || client.write(&chunk[..count]).is_err() {
                    break;
                }
            }
            if let Some(tls) = &client.tls {
                let mut tls = enter(tls);
                tls.send_close_notify();
                let _ = tls.write_tls(&mut &client.socket);
            }
            let _ = client.socket.shutdown(Shutdown::Write);
        });
        while let Ok(data) = client.read() {
            if data.is_empty() || (&origin).write_all(&data).is_err() {
                break;
            }
        }
        let _ = origin.shutdown(Shutdown::Write);
    });
    Ok(())
}

fn http(shared: &Shared, mut client: Client) -> io::Result<()> {
    loop {
        let head = client.take_until(b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut words = head.split_whitespace();
        let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let (method, target) = (method.to_owned(), target.to_owned());
        enter(&shared.state).heads.push(head.clone());
        shared.note(format!("{method} {target}"));
        if !may_pass(shared, &head) {
            client.write(
                b"HTTP/1.1 407 Proxy Authentication Required\r\n\
                  Proxy-Authenticate: Basic realm=\"proxy\"\r\nContent-Length: 8\r\n\r\nwho, you",
            )?;
            continue;
        }
        let is_connect = method == "CONNECT";
        let authority = match is_connect {
            true => target.as_str(),
            false => {
                let rest = target.strip_prefix("http://").unwrap_or_default();
                rest.split('/').next().unwrap_or_default()
            }
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().unwrap_or(0)),
            None => (authority, 80),
        };
        let origin = match shared.lead(host.trim_matches(['[', ']']), port) {
            Ok(origin) => origin,
            Err(error) => {
                let body = format!("{error}");
                let length = body.len();
                let head = format!("HTTP/1.1 502 Bad Gateway\r\nContent-Length: {length}\r\n\r\n");
                client.write((head + &body).as_bytes())?;
                continue;
            }
        };
        if is_connect {
            let fields = enter(&shared.state).reply_fields.clone();
            client
                .write(format!("HTTP/1.1 200 Connection established\r\n{fields}\r\n").as_bytes())?;
            return relay(client, origin);
        }
        forward(&mut client, origin, &head, authority)?;
    }
}

/// One request in origin form, and the answer to it.
fn forward(
    client: &mut Client,
    mut origin: TcpStream,
    head: &str,
    authority: &str,
) -> io::Result<()> {
    let own = head.replacen(&format!("http://{authority}"), "", 1);
    let mut lines: Vec<&str> = own.split_inclusive("\r\n").collect();
    lines.retain(|line| !line.to_ascii_lowercase().starts_with("proxy-"));
    lines.insert(lines.len() - 1, "connection: close\r\n");
    origin.write_all(lines.concat().as_bytes())?;
    let length = lines.iter().find_map(|line| {
        let line = line.to_ascii_lowercase();
        line.strip_prefix("content-length:")?.trim().parse().ok()
    });
    let body = client.take(length.unwrap_or(0))?;
    origin.write_all(&body)?;
    let mut answer = Vec::new();
    origin.read_to_end(&mut answer)?;
    // It is said of another connection.
    let answer = match String::from_utf8(answer) {
        Ok(text) => {
            let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
            let kept = head
                .split("\r\n")
                .filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
            let kept: Vec<&str> = kept.collect();
            format!("{}\r\n\r\n{body}", kept.join("\r\n")).into_bytes()
        }
        Err(error) => error.into_bytes(),
    };
    client.write(&answer)
}

fn may_pass(shared: &Shared, head: &str) -> bool {
    let Some((user, password)) = enter(&shared.state).login.clone() else {
        return true;
    };
    let expected = BASE64_STANDARD.encode(format!("{user}:{password}"));
    head.lines().any(|line| {
        let (name, value) = line.split_once(": ").unwrap_or_default();
        name.eq_ignore_ascii_case("proxy-authorization") && value == format!("Basic {expected}")
    })
}

fn socks4(shared: &Shared, mut client: Client) -> io::Result<()> {
    client.take(2)?;
    let port = client.take_port()?;
    let address: [u8; 4] = client.take(4)?.try_into().expect("four bytes");
    let mut user = client.take_until(&[0])?;
    user.pop();
    let (kind, host) = match address {
        [0, 0, 0, last] if last != 0 => {
            let mut name = client.take_until(&[0])?;
            name.pop();
            ("SOCKS4A", String::from_utf8_lossy(&name).into_owned())
        }
        _ => ("SOCKS4", Ipv4Addr::from(address).to_string()),
    };
    shared.note(format!("{kind} {host}:{port}"));
    let login = enter(&shared.state).login.clone();
    if login.is_some_and(|(expected, _)| expected.as_bytes() != user) {
        return client.write(&[0, 93, 0, 0, 0, 0, 0, 0]);
    }
    match shared.lead(&host, port) {
        Ok(origin) => {
            client.write(&[0, 90, 0, 0, 0, 0, 0, 0])?;
            relay(client, origin)
        }
        Err(_) => client.write(&[0, 91, 0, 0, 0, 0, 0, 0]),
    }
}

fn socks5(shared: &Shared, mut client: Client) -> io::Result<()> {
    client.take(1)?;
    let methods = client.take_part()?;
    match enter(&shared.state).login.clone() {
        None => client.write(&[5, 0])?,
        Some(_) if !methods.contains(&2) => return client.write(&[5, 0xff]),
        Some((user, password)) => {
            client.write(&[5, 2])?;
            client.take(1)?;
            let said = (client.take_part()?, client.take_part()?);
            let is_right = said == (user.into_bytes(), password.into_bytes());
            client.write(&[1, u8::from(!is_right)])?;
            if !is_right {
                return Ok(());
            }
        }
    }
    let host = match client.take(4)?[3] {
        1 => {
            let address: [u8; 4] = client.take(4)?.try_into().expect("four bytes");
            IpAddr::from(address).to_string()
        }
        4 => {
            let address: [u8; 16] = client.take(16)?.try_into().expect("sixteen bytes");
            IpAddr::from(address).to_string()
        }
        _ => String::from_utf8_lossy(&client.take_part()?).into_owned(),
    };
    let port = client.take_port()?;
    shared.note(format!("SOCKS5 {host}:{port}"));
    match shared.lead(&host, port) {
        Ok(origin) => {
            // From a name, for whoever reads no length.
            client.write(b"\x05\0\0\x03\x0ahere.local\0\0")?;
            relay(client, origin)
        }
        Err(error) => {
            let code = match error.kind() {
                io::ErrorKind::NotFound => 4,
                io::ErrorKind::ConnectionRefused => 5,
                _ => 1,
            };
            client.write(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0])
        }
    }
}
