//! A connection without a request (SPEC N1).

use std::time::Instant;

use http::{Method, Version};
use url::{Host, Url};

use super::{Settings, TlsSource};
use crate::error::{Error, Kind, Phase};
use crate::handoff::slot::SlotSender;
use crate::head::{BodyLength, Fields, RequestHead};
use crate::job::{
    Advance, Exchange, ExchangeLimits, Facts, Failure, Loan, Next, PoolKey, Reply, Upload,
};

/// What becomes of it.
pub(crate) type Lent = Result<(Box<dyn Loan>, Facts), Error>;

struct Asking {
    url: Url,
    slot: SlotSender<Lent>,
}

/// What asks for a connection to this URL's origin, within the limits that a
/// session begins with.
///
/// # Errors
/// It cannot be asked for.
pub(crate) fn for_connection(
    url: &Url,
    tls: &TlsSource,
    now: Instant,
    slot: SlotSender<Lent>,
) -> Result<Box<Exchange>, Error> {
    let settings = Settings::default();
    let timeouts = &settings.timeouts;
    let total = timeouts.effective_total();
    let limits = ExchangeLimits {
        total: total.and_then(|total| Some((now.checked_add(total)?, total))),
        connect: timeouts.connect,
        sock_connect: timeouts.sock_connect,
        // Of exchanges, of which there is none.
        sock_read: None,
        expect_continue: super::EXPECT_WAIT,
        max_line: settings.max_line,
        max_field: settings.max_field,
        max_fields: settings.max_fields,
        read_until_eof: settings.read_until_eof,
        pipe: settings.pipe_budget(),
        rare: None,
    };
    Ok(Box::new(Exchange {
        key: key(url, tls)?,
        head: RequestHead {
            method: Method::CONNECT,
            version: Version::HTTP_11,
            fields: Fields::default(),
            body: BodyLength::Empty,
            expect_continue: false,
        },
        upload: Upload::default(),
        limits,
        fresh: false,
        not_before: None,
        bare: true,
        proxy_authorization: None,
        advance: Some(Box::new(Asking {
            url: url.clone(),
            slot,
        })),
    }))
}

/// The key of the direct way. The scheme is one of the two.
fn key(url: &Url, tls: &TlsSource) -> Result<PoolKey, Error> {
    let tls = match url.scheme() {
        "https" => Some(tls.client()?),
        _ => None,
    };
    let port = url.port_or_known_default().unwrap_or_default();
    match url.host() {
        Some(Host::Domain(host)) => Ok(PoolKey::new(host, port, tls)),
        Some(Host::Ipv4(address)) => Ok(PoolKey::new(&address.to_string(), port, tls)),
        Some(Host::Ipv6(address)) => Ok(PoolKey::new(&address.to_string(), port, tls)),
        None => Err(Error::new(Kind::InvalidUrl, "the URL has no host").with_phase(Phase::Request)),
    }
}

impl Advance for Asking {
    fn advance(
        self: Box<Self>,
        _asked: Box<Exchange>,
        outcome: Result<Reply, Failure>,
        _now: Instant,
    ) -> Next {
        let error = match outcome {
            Ok(_) => Error::internal("a response to no request"),
            Err(failure) => failure.error,
        };
        // Whoever has asked may have gone.
        let _ = self.slot.fill(Err(error.with_url(&self.url)));
        Next::Deliver
    }

    fn lend(self: Box<Self>, loan: Box<dyn Loan>, facts: Facts) {
        // Then it is closed.
        let _ = self.slot.fill(Ok((loan, facts)));
    }
}
