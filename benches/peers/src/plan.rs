//! What is measured: the workloads, their sizes, and who takes part.

/// What transfers are made of, both ways.
pub(crate) static BLOCK: [u8; 256 * 1024] = [b'm'; 256 * 1024];
/// The body of a small answer.
pub(crate) const SMALL: usize = 100;
/// The body of a middling one.
pub(crate) const K64: usize = 64 * 1024;
/// One chunk of a chunked answer.
pub(crate) const CHUNK: usize = 16 * 1024;

/// A small message, the middling one and a large one of a WebSocket.
pub(crate) const K1: usize = 1024;
pub(crate) const M1: usize = 1024 * 1024;
/// What messages are made of.
pub(crate) static MESSAGE: [u8; M1] = [b'w'; M1];

/// Idle connections that are held.
pub(crate) const IDLE: usize = 1000;
/// Requests in flight beside the one caller of `mix`.
pub(crate) const BESIDE: usize = 50;

/// Who takes part, in the order of the table. The first is the limit.
pub(crate) const CLIENTS: [&str; 16] = [
    "limit",
    "miohttp",
    "miohttp-started",
    "miohttp-async",
    "ureq",
    "reqwest",
    "reqwest-blocking",
    "isahc",
    "curl",
    "curl-multi",
    "hyper",
    "attohttpc",
    "minreq",
    "tungstenite",
    "tokio-tungstenite",
    "fastwebsockets",
];

/// Those of them that know requests and no messages, and the other way round.
const OF_REQUESTS_ALONE: [&str; 11] = [
    "miohttp-started",
    "miohttp-string",
    "ureq",
    "reqwest",
    "reqwest-blocking",
    "isahc",
    "curl",
    "curl-multi",
    "hyper",
    "attohttpc",
    "minreq",
];
const OF_MESSAGES_ALONE: [&str; 3] = ["tungstenite", "tokio-tungstenite", "fastwebsockets"];

/// Clients that run when they are named, and otherwise not.
pub(crate) const EXTRA_CLIENTS: [&str; 1] = ["miohttp-string"];

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    Seq,
    SeqTls,
    K64,
    Fly100,
    Thr8,
    Thr64,
    Conn,
    ConnTls,
    Down,
    Chunked,
    DownTls,
    Up,
    UpTls,
    Idle,
    IdleTls,
    Mix,
    Ws1k32,
    Ws1k,
    Ws64k,
    Ws1m,
    WsTls1k,
}

/// The figure that a workload is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    /// The median time of a request.
    P50,
    /// The time from the first to the last, a request.
    Wall,
    /// The processor time, a request.
    Cpu,
    /// Memory of an idle connection.
    Memory,
    /// The median time beside others, as a multiple of that alone.
    Beside,
}

/// How a workload is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One request after another.
    Sequence,
    /// As many threads, each one request after another.
    Threads(usize),
    /// As many in flight from one thread.
    Fly(usize),
    /// One upload after another.
    Upload,
    /// As many connections that do nothing.
    Idle(usize),
    /// One caller, alone and then beside so many in flight.
    Mix(usize),
    /// Messages of so many bytes, which the server sends back, a number of them
    /// under way at a time.
    Echo { bytes: usize, window: usize },
}

impl Workload {
    /// In order of importance.
    pub(crate) const ALL: [Self; 21] = [
        Self::Seq,
        Self::SeqTls,
        Self::K64,
        Self::Fly100,
        Self::Thr8,
        Self::Thr64,
        Self::Conn,
        Self::ConnTls,
        Self::Down,
        Self::Chunked,
        Self::DownTls,
        Self::Up,
        Self::UpTls,
        Self::Idle,
        Self::IdleTls,
        Self::Mix,
        Self::Ws1k32,
        Self::Ws1k,
        Self::Ws64k,
        Self::Ws1m,
        Self::WsTls1k,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Seq => "seq",
            Self::SeqTls => "seqtls",
            Self::K64 => "k64",
            Self::Fly100 => "fly100",
            Self::Thr8 => "thr8",
            Self::Thr64 => "thr64",
            Self::Conn => "conn",
            Self::ConnTls => "conntls",
            Self::Down => "down",
            Self::Chunked => "chunked",
            Self::DownTls => "downtls",
            Self::Up => "up",
            Self::UpTls => "uptls",
            Self::Idle => "idle",
            Self::IdleTls => "idletls",
            Self::Mix => "mix",
            Self::Ws1k32 => "ws1k32",
            Self::Ws1k => "ws1k",
            Self::Ws64k => "ws64k",
            Self::Ws1m => "ws1m",
            Self::WsTls1k => "wstls1k",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Seq => "small GETs, one after another",
            Self::SeqTls => "small GETs over TLS",
            Self::K64 => "GETs of 64 KiB",
            Self::Fly100 => "100 in flight from one thread",
            Self::Thr8 => "8 threads",
            Self::Thr64 => "64 threads",
            Self::Conn => "a new connection each",
            Self::ConnTls => "a new TLS connection each, resumed",
            Self::Down => "128 MiB down",
            Self::Chunked => "128 MiB down, chunked",
            Self::DownTls => "128 MiB down over TLS",
            Self::Up => "128 MiB up",
            Self::UpTls => "128 MiB up over TLS",
            Self::Idle => "memory of an idle connection",
            Self::IdleTls => "memory of an idle TLS connection",
            Self::Mix => "one caller beside 50 in flight",
            Self::Ws1k32 => "messages of 1 KiB, 32 in flight",
            Self::Ws1k => "messages of 1 KiB, one after another",
            Self::Ws64k => "messages of 64 KiB",
            Self::Ws1m => "messages of 1 MiB",
            Self::WsTls1k => "messages of 1 KiB over TLS",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    pub(crate) fn figure(self) -> Figure {
        match self {
            Self::Seq | Self::SeqTls | Self::K64 => Figure::P50,
            Self::Ws1k | Self::Ws64k | Self::Ws1m | Self::WsTls1k => Figure::P50,
            Self::Thr8 | Self::Thr64 => Figure::Cpu,
            Self::Idle | Self::IdleTls => Figure::Memory,
            Self::Mix => Figure::Beside,
            Self::Fly100
            | Self::Conn
            | Self::ConnTls
            | Self::Down
            | Self::Chunked
            | Self::DownTls
            | Self::Up
            | Self::UpTls
            | Self::Ws1k32 => Figure::Wall,
        }
    }

    pub(crate) fn shape(self) -> Shape {
        match self {
            Self::Seq | Self::SeqTls | Self::K64 | Self::Conn | Self::ConnTls => Shape::Sequence,
            Self::Down | Self::Chunked | Self::DownTls => Shape::Sequence,
            Self::Fly100 => Shape::Fly(100),
            Self::Thr8 => Shape::Threads(8),
            Self::Thr64 => Shape::Threads(64),
            Self::Up | Self::UpTls => Shape::Upload,
            Self::Idle | Self::IdleTls => Shape::Idle(IDLE),
            Self::Mix => Shape::Mix(BESIDE),
            Self::Ws1k32 => Shape::Echo {
                bytes: K1,
                window: 32,
            },
            Self::Ws1k | Self::WsTls1k => Shape::Echo {
                bytes: K1,
                window: 1,
            },
            Self::Ws64k => Shape::Echo {
                bytes: K64,
                window: 1,
            },
            Self::Ws1m => Shape::Echo {
                bytes: M1,
                window: 1,
            },
        }
    }

    /// Whether it is one of a WebSocket's messages.
    pub(crate) fn is_of_messages(self) -> bool {
        matches!(self.shape(), Shape::Echo { .. })
    }

    /// Whether a client has to do with this at all.
    pub(crate) fn takes(self, client: &str) -> bool {
        if self.is_of_messages() {
            !OF_REQUESTS_ALONE.contains(&client)
        } else {
            !OF_MESSAGES_ALONE.contains(&client)
        }
    }

    pub(crate) fn is_tls(self) -> bool {
        matches!(
            self,
            Self::SeqTls
                | Self::ConnTls
                | Self::DownTls
                | Self::UpTls
                | Self::IdleTls
                | Self::WsTls1k
        )
    }

    /// Whether each request has a connection of its own.
    pub(crate) fn is_fresh(self) -> bool {
        matches!(self, Self::Conn | Self::ConnTls)
    }

    /// A few large bodies: each is measured by itself, for the median of them.
    pub(crate) fn is_transfer(self) -> bool {
        matches!(
            self,
            Self::Down | Self::Chunked | Self::DownTls | Self::Up | Self::UpTls
        )
    }

    /// Many small requests: the server's door for that.
    pub(crate) fn is_many(self) -> bool {
        matches!(self, Self::Fly100 | Self::Thr8 | Self::Thr64)
    }

    /// What is measured against nginx, too: the everyday ones.
    pub(crate) fn is_for_nginx(self) -> bool {
        matches!(self, Self::Seq | Self::SeqTls | Self::K64 | Self::Fly100)
    }

    /// What a request asks for.
    pub(crate) fn path(self, bytes: u64) -> String {
        match self {
            Self::K64 => "/64k".to_owned(),
            Self::Conn | Self::ConnTls => "/close".to_owned(),
            Self::Down | Self::DownTls => format!("/bytes/{bytes}"),
            Self::Chunked => format!("/chunked/{bytes}"),
            Self::Idle | Self::IdleTls => "/held".to_owned(),
            _ if self.is_of_messages() => "/echo".to_owned(),
            _ => "/small".to_owned(),
        }
    }

    /// The body of an answer, in bytes.
    pub(crate) fn answer(self, bytes: u64) -> u64 {
        match self {
            Self::K64 => K64 as u64,
            Self::Down | Self::Chunked | Self::DownTls => bytes,
            _ => SMALL as u64,
        }
    }

    /// How much of it one child does.
    pub(crate) fn size(self, quick: bool) -> Size {
        let (warmup, requests) = match self {
            Self::Seq => (1000, 10_000),
            Self::SeqTls => (1000, 8_000),
            Self::K64 => (300, 3_000),
            Self::Fly100 => (2000, 20_000),
            Self::Thr8 | Self::Thr64 => (2000, 16_000),
            Self::Conn => (100, 1_500),
            Self::ConnTls => (50, 500),
            Self::Mix => (500, 3_000),
            // The first, in which the windows open, does not count.
            Self::Down | Self::Chunked | Self::DownTls | Self::Up | Self::UpTls => (1, 8),
            Self::Idle | Self::IdleTls => (0, 1),
            Self::Ws1k32 => (5_000, 100_000),
            Self::Ws1k => (1000, 10_000),
            Self::WsTls1k => (1000, 8_000),
            Self::Ws64k => (200, 3_000),
            Self::Ws1m => (20, 300),
        };
        if quick {
            Size {
                warmup: warmup / 10,
                requests: (requests / 10).max(1),
                bytes: 32 << 20,
            }
        } else {
            Size {
                warmup,
                requests,
                bytes: 128 << 20,
            }
        }
    }
}

/// How much one child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Requests that do not count.
    pub(crate) warmup: usize,
    pub(crate) requests: usize,
    /// Of a transfer.
    pub(crate) bytes: u64,
}
