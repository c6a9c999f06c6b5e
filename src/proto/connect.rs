//! A tunnel by CONNECT (RFC 9110 §9.3.6): a request of its own to the proxy,
//! with nothing of the session's in it (SPEC X5).
//!
//! The reply is read by the machine that reads all others, under the same
//! limits. A 2xx of any kind opens the tunnel, whatever it says of a length; any
//! other final reply is a refusal, whose body is read as far as it comes, up to
//! [`MAX_BODY`].

use bytes::BytesMut;
use http::{Method, Version};

use super::h1::Machine;
use super::tunnel::{Dialog, Goal, ProxyFault, Refusal, Step};
use super::{Event, Fault};
use crate::head::{BodyLength, Fields, RequestHead, ResponseHead};

/// What is kept of a refusal's body, in bytes, as of other error responses.
const MAX_BODY: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Connect {
    machine: Machine,
    /// Of a refusal.
    head: Option<ResponseHead>,
    body: BytesMut,
}

impl Connect {
    /// Writes the request. The fields are those for the proxy.
    pub(crate) fn begin(goal: &Goal<'_>, fields: &Fields, out: &mut Vec<u8>) -> Self {
        let authorization = goal.authorization;
        let target = authority(goal.host, goal.port);
        let mut all = Fields::behind(target.as_bytes(), 0);
        if !all.append_word("host", &target) {
            // No host of a URL comes here; what does is left to the proxy.
            all.append_static("host", "");
        }
        all.append_some(fields, |name| {
            name != b"host" && !(name == b"proxy-authorization" && authorization.is_some())
        });
        if let Some(value) = authorization {
            all.append(http::header::PROXY_AUTHORIZATION, value.clone());
        }
        let head = RequestHead {
            method: Method::CONNECT,
            version: Version::HTTP_11,
            fields: all,
            body: BodyLength::Empty,
            expect_continue: false,
        };
        let mut machine = Machine::new(goal.limits);
        machine.begin(&head, goal.limits, true, out);
        Self {
            machine,
            head: None,
            body: BytesMut::new(),
        }
    }

    /// What there is of the refusal.
    fn refused(&mut self) -> Option<ProxyFault> {
        let head = self.head.take()?;
        self.body.truncate(MAX_BODY);
        let body = std::mem::take(&mut self.body).freeze();
        Some(ProxyFault::Refused(Box::new(Refusal { head, body })))
    }
}

impl Dialog for Connect {
    fn receive(&mut self, input: &mut BytesMut, _: &mut Vec<u8>) -> Result<Step, ProxyFault> {
        loop {
            let event = match self.machine.receive(input) {
                Ok(event) => event,
                // The status is known, which says more than a damaged body.
                Err(fault) => return Err(self.refused().unwrap_or(ProxyFault::Http(fault))),
            };
            match event {
                Some(Event::Head(head)) => self.head = Some(head),
                Some(Event::Data(data)) => self.body.extend_from_slice(&data),
                Some(Event::Upgrade) => match self.head.take() {
                    Some(head) if head.status().is_success() => return Ok(Step::Open(Some(head))),
                    // 101, where the fields ask for it: another protocol with
                    // the proxy itself is no tunnel.
                    head => self.head = head,
                },
                Some(_) => {}
                None => break,
            }
            if self.body.len() >= MAX_BODY {
                break;
            }
        }
        let Some(head) = &self.head else {
            return Ok(Step::More);
        };
        let is_over = self.machine.is_complete()
            || self.body.len() >= MAX_BODY
            || head.status().is_informational();
        match is_over.then(|| self.refused()).flatten() {
            Some(refused) => Err(refused),
            None => Ok(Step::Refused),
        }
    }

    fn end(&mut self, input: &mut BytesMut) -> ProxyFault {
        if let Some(refused) = self.refused() {
            return refused;
        }
        let partial = match self.machine.receive_eof(input) {
            Err(Fault::Disconnected { partial }) => partial,
            Err(fault) => return ProxyFault::Http(fault),
            Ok(_) => !input.is_empty(),
        };
        ProxyFault::Http(Fault::Disconnected { partial })
    }
}

/// Host and port as the target of a CONNECT has them: the port always, and
/// brackets round IPv6 (RFC 9110 §7.1, RFC 3986 §3.2.2).
pub(crate) fn authority(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests;
