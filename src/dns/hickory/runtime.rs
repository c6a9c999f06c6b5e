//! Timers and sockets for hickory, over mio, on one thread.
//!
//! hickory's `Time` has no `self`, so what its futures need is kept in the
//! thread that polls them: [`enter`] puts it there, and whatever is called on
//! another thread fails, or does nothing. All of it belongs to that thread, and
//! so a waker that is stored behind a `WouldBlock` cannot be late.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_io::{AsyncRead, AsyncWrite};
use hickory_resolver::net::runtime::{DnsTcpStream, DnsUdpSocket, RuntimeProvider, Spawn, Time};
use mio::event::{Event, Source};
use mio::net::{TcpStream, UdpSocket};
use mio::{Interest, Registry, Token};

pub(super) type Task = Pin<Box<dyn Future<Output = ()>>>;

thread_local! {
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
}

/// What the futures of one thread share.
struct Local {
    registry: Registry,
    /// Of timers, waits and tokens: never used twice.
    next: u64,
    timers: BTreeMap<(Instant, u64), Waker>,
    sockets: HashMap<Token, Waiting>,
    /// How many sockets may be opened yet.
    permits: usize,
    /// Who waits to open one: the first come first.
    queue: BTreeMap<u64, Waker>,
    spawned: Vec<Task>,
}

/// Who waits for a socket.
#[derive(Default)]
struct Waiting {
    readable: Option<Waker>,
    writable: Option<Waker>,
}

/// Readies this thread for futures that have at most `sockets` open at a time.
pub(super) fn enter(registry: Registry, sockets: usize) {
    LOCAL.set(Some(Local {
        registry,
        next: 0,
        timers: BTreeMap::new(),
        sockets: HashMap::new(),
        permits: sockets,
        queue: BTreeMap::new(),
        spawned: Vec::new(),
    }));
}

/// Undoes [`enter`], when nothing is left that uses it.
pub(super) fn leave() {
    drop(LOCAL.take());
}

/// The tasks that hickory has started since the last call.
pub(super) fn take_spawned() -> Vec<Task> {
    with(|local| std::mem::take(&mut local.spawned)).unwrap_or_default()
}

/// When the next timer is due.
pub(super) fn next_timer() -> Option<Instant> {
    with(|local| local.timers.keys().next().map(|(at, _)| *at)).flatten()
}

/// Wakes whoever waited for a time that has come.
pub(super) fn fire_timers(now: Instant) {
    let due = with(|local| {
        let later = local.timers.split_off(&(now, u64::MAX));
        std::mem::replace(&mut local.timers, later)
    });
    for waker in due.into_iter().flat_map(BTreeMap::into_values) {
        waker.wake();
    }
}

/// Wakes whoever waited for a socket.
pub(super) fn fire(event: &Event) {
    let woken = with(|local| {
        let waiting = local.sockets.get_mut(&event.token())?;
        // A socket in error is ready for both: the next call tells why.
        let failed = event.is_error();
        let readable = event.is_readable() || event.is_read_closed() || failed;
        let writable = event.is_writable() || event.is_write_closed() || failed;
        Some([
            readable.then(|| waiting.readable.take()).flatten(),
            writable.then(|| waiting.writable.take()).flatten(),
        ])
    });
    for waker in woken.flatten().into_iter().flatten().flatten() {
        waker.wake();
    }
}

/// Never wakes, polls or drops a task inside: that would come back here.
fn with<R>(f: impl FnOnce(&mut Local) -> R) -> Option<R> {
    LOCAL.with_borrow_mut(|local| local.as_mut().map(f))
}

fn elsewhere() -> io::Error {
    io::Error::other("outside the thread of the resolver")
}

impl Local {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn register(&mut self, source: &mut dyn Source) -> io::Result<Token> {
        let token = Token(usize::try_from(self.number()).unwrap_or(usize::MAX - 1));
        let both = Interest::READABLE | Interest::WRITABLE;
        source.register(&self.registry, token, both)?;
        self.sockets.insert(token, Waiting::default());
        Ok(token)
    }

    fn forget(&mut self, token: Token, source: &mut dyn Source) -> Option<Waiting> {
        // Fails only for a socket that is not registered, which is the aim.
        let _ = source.deregister(&self.registry);
        self.sockets.remove(&token)
    }
}

// Time.

/// Ends at a point in time.
pub(super) struct Delay {
    at: Instant,
    number: Option<u64>,
}

impl Delay {
    pub(super) fn until(at: Instant) -> Self {
        Self { at, number: None }
    }

    fn of(duration: Duration) -> Self {
        let now = Instant::now();
        // Beyond what a clock can say nobody waits.
        let far = Duration::from_secs(60 * 60 * 24 * 365);
        Self::until(now + duration.min(far))
    }
}

impl Future for Delay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.at {
            return Poll::Ready(());
        }
        let at = self.at;
        let mut number = self.number;
        let before = with(|local| {
            let number = *number.get_or_insert_with(|| local.number());
            local.timers.insert((at, number), context.waker().clone())
        });
        drop(before);
        self.number = number;
        Poll::Pending
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            drop(with(|local| local.timers.remove(&(self.at, number))));
        }
    }
}

/// What a future says before a point in time; `None` if that comes first.
pub(super) async fn before<F: Future>(at: Instant, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut delay = pin!(Delay::until(at));
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        delay.as_mut().poll(context).map(|()| None)
    })
    .await
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Clock;

impl Time for Clock {
    fn delay_for<'async_trait>(
        duration: Duration,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'async_trait>> {
        Box::pin(Delay::of(duration))
    }

    fn timeout<'async_trait, F>(
        duration: Duration,
        future: F,
    ) -> Pin<Box<dyn Future<Output = Result<F::Output, io::Error>> + Send + 'async_trait>>
    where
        F: Future + Send + 'static + 'async_trait,
    {
        let at = Delay::of(duration).at;
        Box::pin(async move {
            before(at, future)
                .await
                .ok_or(io::ErrorKind::TimedOut.into())
        })
    }
}

// Leave to open a socket.

/// Leave to have one socket open. A runtime holds it together with the sockets
/// that were opened with it.
pub(super) struct Permit(());

impl Permit {
    /// Waits until fewer sockets are open than there may be.
    pub(super) fn get() -> GetPermit {
        GetPermit { number: None }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let first = with(|local| {
            local.permits += 1;
            local.queue.values().next().cloned()
        });
        if let Some(waker) = first.flatten() {
            waker.wake();
        }
    }
}

pub(super) struct GetPermit {
    number: Option<u64>,
}

impl Future for GetPermit {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit> {
        let mut number = self.number;
        let granted = with(|local| {
            let number = *number.get_or_insert_with(|| local.number());
            let first = local
                .queue
                .keys()
                .next()
                .is_none_or(|first| *first >= number);
            if first && local.permits > 0 {
                local.permits -= 1;
                return (true, local.queue.remove(&number));
            }
            (false, local.queue.insert(number, context.waker().clone()))
        });
        self.number = number;
        match granted {
            Some((true, _)) => {
                self.number = None;
                self.rouse_next();
                Poll::Ready(Permit(()))
            }
            _ => Poll::Pending,
        }
    }
}

impl GetPermit {
    /// The next one may have been woken before its turn, and not again since.
    fn rouse_next(&self) {
        let next = with(|local| match local.permits {
            0 => None,
            _ => local.queue.values().next().cloned(),
        });
        if let Some(waker) = next.flatten() {
            waker.wake();
        }
    }
}

impl Drop for GetPermit {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            drop(with(|local| local.queue.remove(&number)));
            self.rouse_next();
        }
    }
}

// What hickory builds upon.

/// Opens sockets, with one permit for one at a time.
#[derive(Clone)]
pub(super) struct Runtime(Option<Arc<Permit>>);

impl Runtime {
    pub(super) fn with(permit: Permit) -> Self {
        Self(Some(Arc::new(permit)))
    }

    /// Opens none: hickory wants to be able to ask for a runtime.
    pub(super) fn without_sockets() -> Self {
        Self(None)
    }

    fn permit(&self) -> io::Result<Arc<Permit>> {
        self.0.clone().ok_or_else(elsewhere)
    }
}

impl RuntimeProvider for Runtime {
    type Handle = Spawner;
    type Timer = Clock;
    type Udp = Udp;
    type Tcp = Tcp;

    fn create_handle(&self) -> Spawner {
        Spawner
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        _local: Option<SocketAddr>,
        timeout: Option<Duration>,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Tcp>>>> {
        let permit = self.permit();
        let at = Delay::of(timeout.unwrap_or(Duration::from_secs(5))).at;
        Box::pin(async move {
            let tcp = Tcp::new(server, permit?)?;
            let connected = poll_fn(|context| tcp.poll_connected(context));
            before(at, connected)
                .await
                .unwrap_or(Err(io::ErrorKind::TimedOut.into()))?;
            Ok(tcp)
        })
    }

    fn bind_udp(
        &self,
        local: SocketAddr,
        server: SocketAddr,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Udp>>>> {
        let permit = self.permit();
        Box::pin(async move { Udp::new(local, server, permit?) })
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Spawner;

impl Spawn for Spawner {
    fn spawn_bg(&mut self, future: impl Future<Output = ()> + Send + 'static) {
        if with(|_| ()).is_none() {
            return log::error!("a task of the resolver was started outside its thread");
        }
        let task: Task = Box::pin(future);
        with(|local| local.spawned.push(task));
    }
}

/// A socket that is watched, and holds its permit for as long as it is open.
struct Watched<S: Source> {
    socket: S,
    token: Token,
    _permit: Arc<Permit>,
}

#[derive(Clone, Copy)]
enum Direction {
    Read,
    Write,
}

impl<S: Source> Watched<S> {
    fn new(mut socket: S, permit: Arc<Permit>) -> io::Result<Self> {
        let token = with(|local| local.register(&mut socket)).ok_or_else(elsewhere)??;
        Ok(Self {
            socket,
            token,
            _permit: permit,
        })
    }

    /// Tries, and has the task woken when trying again may do better.
    fn poll<R>(
        &self,
        context: &mut Context<'_>,
        direction: Direction,
        mut attempt: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            match attempt(&self.socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(context, direction);
                    return Poll::Pending;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn wait(&self, context: &Context<'_>, direction: Direction) {
        let waker = context.waker().clone();
        let before = with(|local| {
            let waiting = local.sockets.get_mut(&self.token)?;
            match direction {
                Direction::Read => waiting.readable.replace(waker),
                Direction::Write => waiting.writable.replace(waker),
            }
        });
        drop(before);
    }
}

impl<S: Source> Drop for Watched<S> {
    fn drop(&mut self) {
        let Self { socket, token, .. } = self;
        drop(with(|local| local.forget(*token, socket)));
    }
}

/// A UDP socket that hears its server alone, and hears that nobody listens
/// there, since it is connected.
pub(super) struct Udp(Watched<UdpSocket>);

impl Udp {
    fn new(local: SocketAddr, server: SocketAddr, permit: Arc<Permit>) -> io::Result<Self> {
        let socket = UdpSocket::bind(local)?;
        socket.connect(server)?;
        Ok(Self(Watched::new(socket, permit)?))
    }
}

impl DnsUdpSocket for Udp {
    type Time = Clock;

    fn poll_recv_from(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let receive = |socket: &UdpSocket| socket.recv_from(buffer);
        self.0.poll(context, Direction::Read, receive)
    }

    fn poll_send_to(
        &self,
        context: &mut Context<'_>,
        buffer: &[u8],
        _server: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        // To a connected socket some systems let nobody name the address.
        let send = |socket: &UdpSocket| socket.send(buffer);
        self.0.poll(context, Direction::Write, send)
    }
}

pub(super) struct Tcp(Watched<TcpStream>);

impl Tcp {
    fn new(server: SocketAddr, permit: Arc<Permit>) -> io::Result<Self> {
        Ok(Self(Watched::new(TcpStream::connect(server)?, permit)?))
    }

    fn poll_connected(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll(context, Direction::Write, |socket| {
            if let Some(error) = socket.take_error()? {
                return Err(error);
            }
            match socket.peer_addr() {
                // Not yet.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                    Err(io::ErrorKind::WouldBlock.into())
                }
                other => other.map(drop),
            }
        })
    }
}

impl DnsTcpStream for Tcp {
    type Time = Clock;
}

impl AsyncRead for Tcp {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = |mut socket: &TcpStream| socket.read(buffer);
        self.0.poll(context, Direction::Read, read)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = |mut socket: &TcpStream| socket.write(buffer);
        self.0.poll(context, Direction::Write, write)
    }

    /// All in one segment: a server may take the length alone for a fault.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = |mut socket: &TcpStream| socket.write_vectored(buffers);
        self.0.poll(context, Direction::Write, write)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}
