//! One question to the servers, in turn, until one of them knows.
//!
//! Each server is asked over UDP, from a socket and port of its own, and over
//! TCP where its answer was cut off. Who is silent, refuses or talks nonsense is
//! passed over for the next; only an answer or a denial ends the round. So one
//! ailing server costs its timeout and not the lookup.

use std::fmt::Write;
use std::future::{Ready, ready};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::config::ConnectionConfig;
use hickory_resolver::net::NetError;
use hickory_resolver::net::tcp::TcpClientStream;
use hickory_resolver::net::udp::UdpClientStream;
use hickory_resolver::net::xfer::{DnsHandle, DnsRequestSender, DnsResponseStream, FirstAnswer};
use hickory_resolver::proto::op::{DnsRequest, DnsResponse, ResponseCode};
use hickory_resolver::{ConnectionProvider, PoolContext};

use super::config::{Pace, Server, Servers};
use super::runtime::{Permit, Runtime, before};

/// What hickory's resolver asks with, and takes for a connection.
#[derive(Clone)]
pub(super) struct Asker {
    servers: Arc<Servers>,
    pace: Pace,
    /// hickory wants to see one; sockets are opened with others.
    runtime: Runtime,
}

impl Asker {
    pub(super) fn new(servers: Servers, pace: Pace) -> Self {
        Self {
            servers: Arc::new(servers),
            pace,
            runtime: Runtime::without_sockets(),
        }
    }

    async fn ask(self, request: DnsRequest) -> Result<DnsResponse, NetError> {
        let turn = self.servers.turn();
        let mut faults = Faults::default();
        for _ in 0..self.pace.attempts {
            for server in self.servers.round(turn, Instant::now()) {
                match self.ask_one(server, &request).await {
                    Ok(response) => {
                        server.has_answered();
                        return Ok(response);
                    }
                    Err(fault) => {
                        server.has_failed(Instant::now());
                        faults.note(server.address, fault);
                    }
                }
            }
        }
        Err(NetError::Msg(faults.0))
    }

    /// An answer, or a denial; else what is the matter with this server.
    async fn ask_one(&self, server: &Server, request: &DnsRequest) -> Result<DnsResponse, String> {
        let mut edns = request.options().use_edns && !server.is_plain();
        loop {
            let response = self.exchange(server.address, request, edns).await?;
            match response.response_code {
                ResponseCode::NoError | ResponseCode::NXDomain => return Ok(response),
                // As servers say that know no EDNS (RFC 6891, section 7).
                ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS if edns => {
                    server.spare_edns();
                    edns = false;
                }
                code => return Err(format!("it answers: {code}")),
            }
        }
    }

    /// Asks once, over UDP, and over TCP if the answer does not fit.
    async fn exchange(
        &self,
        server: SocketAddr,
        request: &DnsRequest,
        edns: bool,
    ) -> Result<DnsResponse, String> {
        // Before the clock runs: the wait for it is not the server's.
        let runtime = Runtime::with(Permit::get().await);
        let timeout = self.pace.timeout;
        let fault = |error: NetError| match error {
            NetError::Timeout => format!("no answer within {timeout:?}"),
            NetError::Io(error) => error.to_string(),
            error => error.to_string(),
        };
        if !self.pace.use_tcp {
            let question = ask_anew(request, edns)?;
            let response = over_udp(server, question, timeout, &runtime)
                .await
                .map_err(fault)?;
            if !response.truncation {
                return Ok(response);
            }
        }
        let question = ask_anew(request, edns)?;
        let asked = question.queries.clone();
        let response = over_tcp(server, question, timeout, runtime)
            .await
            .map_err(fault)?;
        // Over UDP hickory compares them, and over TCP the ids alone.
        if response.queries != asked {
            return Err("it answers another question".to_owned());
        }
        if response.truncation {
            return Err("its answer is cut off, over TCP too".to_owned());
        }
        Ok(response)
    }
}

/// The same question under a new, random id.
fn ask_anew(request: &DnsRequest, edns: bool) -> Result<DnsRequest, String> {
    let query = request.queries.first().ok_or("no question")?;
    let mut options = *request.options();
    options.use_edns = edns;
    Ok(DnsRequest::from_query(query.clone(), options))
}

async fn over_udp(
    server: SocketAddr,
    question: DnsRequest,
    timeout: Duration,
    runtime: &Runtime,
) -> Result<DnsResponse, NetError> {
    // Sent once: each repetition would keep another socket open.
    let mut client = UdpClientStream::builder(server, runtime.clone())
        .with_timeout(Some(timeout))
        .with_max_retries(1)
        .build();
    client.send_message(question).first_answer().await
}

async fn over_tcp(
    server: SocketAddr,
    question: DnsRequest,
    timeout: Duration,
    runtime: Runtime,
) -> Result<DnsResponse, NetError> {
    let exchange = async {
        let connection = TcpClientStream::exchange(server, None, timeout, Some(1), runtime);
        connection.await?.send(question).first_answer().await
    };
    let deadline = Instant::now() + timeout;
    before(deadline, exchange)
        .await
        .unwrap_or(Err(NetError::Timeout))
}

/// What was the matter, each server's fault told once.
#[derive(Default)]
struct Faults(String);

impl Faults {
    fn note(&mut self, server: SocketAddr, fault: String) {
        let line = format!("{server}: {fault}");
        if !self.0.contains(&line) {
            let between = if self.0.is_empty() { "" } else { "; " };
            // Into a string it cannot fail.
            let _ = write!(self.0, "{between}{line}");
        }
    }
}

impl DnsHandle for Asker {
    type Response = DnsResponseStream;
    type Runtime = Runtime;

    fn send(&self, request: DnsRequest) -> DnsResponseStream {
        Box::pin(self.clone().ask(request)).into()
    }
}

impl ConnectionProvider for Asker {
    type Conn = Self;
    type FutureConn = Ready<Result<Self, NetError>>;
    type RuntimeProvider = Runtime;

    fn new_connection(
        &self,
        _server: IpAddr,
        _config: &ConnectionConfig,
        _context: &PoolContext,
    ) -> Result<Self::FutureConn, NetError> {
        Ok(ready(Ok(self.clone())))
    }

    fn runtime_provider(&self) -> &Runtime {
        &self.runtime
    }
}
