//! One lookup, from a host's name to its addresses.
//!
//! ```text
//!  hosts file ─► names to try, one after the other ─► A and AAAA at once
//!                      ▲                                    │
//!                      └── none of them has addresses ◄─────┤
//!                                                           ▼
//!                                  the first family in part, then the last
//! ```
//!
//! Both families are always those of one name: a search domain that knows but
//! an IPv6 address does not join in where another had an IPv4 address. And the
//! search goes on behind a denial alone: behind a failure the next name could
//! be of another host than the one that is meant.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use hickory_resolver::Resolver;
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use super::ask::Asker;
use super::config::Config;
use super::runtime::before;
use super::thread::Job;
use crate::dns::{Answer, IpFamily};

/// How many aliases in one answer are followed.
const MAX_ALIASES: usize = 16;

/// Answers a job, at the deadline at the latest.
pub(super) async fn look_up(job: Job, config: Arc<Config>, deadline: Instant) {
    let Job {
        query,
        answer,
        since,
    } = job;
    let mut pledge = Pledge(Some(answer));
    let search = search(query.host(), query.family(), &config, &mut pledge);
    let outcome = before(deadline, search).await;
    let Some(answer) = pledge.0.take() else {
        return;
    };
    match outcome {
        Some(Outcome::Found) | Some(Outcome::Absent { exists: true }) => answer.addresses([]),
        Some(Outcome::Absent { exists: false }) => answer.not_found(),
        Some(Outcome::Failed(why)) => answer.fail(why),
        None => {
            let limit = deadline.saturating_duration_since(since);
            answer.fail(format!("no name server has answered within {limit:?}"));
        }
    }
}

/// An answer that says what happened when the thread ends in its midst.
struct Pledge(Option<Answer>);

impl Pledge {
    fn partial(&mut self, addresses: Vec<IpAddr>) {
        if let Some(answer) = &mut self.0 {
            answer.partial(addresses);
        }
    }

    fn valid_for(&mut self, ttl: Duration) {
        if let Some(answer) = &mut self.0 {
            answer.valid_for(ttl);
        }
    }
}

impl Drop for Pledge {
    fn drop(&mut self) {
        if let Some(answer) = self.0.take() {
            answer.fail("the resolver's thread has ended");
        }
    }
}

enum Outcome {
    /// The addresses have been handed on in part.
    Found,
    /// No addresses, and an authority said so.
    Absent {
        /// It has something else.
        exists: bool,
    },
    Failed(String),
}

async fn search(host: &str, family: IpFamily, config: &Config, answer: &mut Pledge) -> Outcome {
    let written: Vec<IpAddr> = config.hosts.find(host).to_vec();
    if written.iter().any(|address| family.admits(*address)) {
        answer.partial(written);
        return Outcome::Found;
    }
    let resolver = match &config.resolver {
        Ok(resolver) => resolver,
        Err(why) => return Outcome::Failed(why.clone()),
    };
    let types: &[RecordType] = match family {
        IpFamily::V4 => &[RecordType::A],
        IpFamily::V6 if config.no_aaaa => &[],
        IpFamily::V6 => &[RecordType::AAAA],
        IpFamily::Any if config.no_aaaa => &[RecordType::A],
        IpFamily::Any => &[RecordType::AAAA, RecordType::A],
    };
    let names = match names(host, config) {
        Ok(names) => names,
        Err(why) => return Outcome::Failed(why),
    };
    let mut exists = false;
    for name in names {
        match families(&name, types, resolver, answer).await {
            Outcome::Absent { exists: this } => exists |= this,
            other => return other,
        }
    }
    Outcome::Absent { exists }
}

/// The names that a host's name may stand for, in the order of resolv.conf(5).
fn names(host: &str, config: &Config) -> Result<Vec<Name>, String> {
    let mut name = Name::from_ascii(host).map_err(|error| format!("not a DNS name: {error}"))?;
    if name.is_fqdn() {
        return Ok(vec![name]);
    }
    let as_it_stands_first = host.matches('.').count() >= config.ndots;
    // One that would be too long is none.
    let searched = config.search.iter();
    let searched = searched.filter_map(|domain| name.clone().append_domain(domain).ok());
    let mut names: Vec<Name> = searched.collect();
    name.set_fqdn(true);
    let place = if as_it_stands_first { 0 } else { names.len() };
    names.insert(place, name);
    Ok(names)
}

type Asked<'a> = Pin<Box<dyn Future<Output = Result<Lookup, NetError>> + 'a>>;

/// Asks for all record types at once and hands on what comes as it comes. One
/// that fails does not hide what the other has found, nor is a failure taken
/// for a denial.
async fn families(
    name: &Name,
    types: &[RecordType],
    resolver: &Resolver<Asker>,
    answer: &mut Pledge,
) -> Outcome {
    let ask = |of: &RecordType| -> Asked<'_> { Box::pin(resolver.lookup(name.clone(), *of)) };
    let mut asked: Vec<Asked<'_>> = types.iter().map(ask).collect();
    let mut found = None::<Duration>;
    let mut denied = Some(Duration::MAX);
    let mut exists = types.is_empty();
    let mut failed = None;
    while !asked.is_empty() {
        match next(&mut asked)
            .await
            .map(|lookup| addresses(name, &lookup))
        {
            Ok((addresses, ttl)) if !addresses.is_empty() => {
                answer.partial(addresses);
                found = Some(found.map_or(ttl, |known| known.min(ttl)));
            }
            // Aliases that lead in a circle, or records nobody asked for.
            Ok(_) => failed = Some("the answer leads to no address".to_owned()),
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                exists |= none.response_code != ResponseCode::NXDomain;
                // Without the zone's word on it (SOA) it is not to be kept.
                let ttl = none.negative_ttl.map(u64::from).map(Duration::from_secs);
                denied = denied.min(Some(ttl.unwrap_or_default()));
            }
            Err(error) => failed = Some(error.to_string()),
        }
    }
    match (found, failed) {
        (Some(ttl), _) => {
            answer.valid_for(ttl);
            Outcome::Found
        }
        (None, Some(why)) => Outcome::Failed(why),
        (None, None) => {
            answer.valid_for(denied.unwrap_or_default());
            Outcome::Absent { exists }
        }
    }
}

/// Waits for whichever ends first.
async fn next<T>(futures: &mut Vec<Pin<Box<dyn Future<Output = T> + '_>>>) -> T {
    poll_fn(|context| {
        for place in 0..futures.len() {
            if let Poll::Ready(output) = futures[place].as_mut().poll(context) {
                drop(futures.swap_remove(place));
                return Poll::Ready(output);
            }
        }
        Poll::Pending
    })
    .await
}

/// The addresses of a name by an answer, its aliases followed, and how long
/// they are good for.
fn addresses(name: &Name, lookup: &Lookup) -> (Vec<IpAddr>, Duration) {
    let mut known = vec![name];
    let mut ttl = u32::MAX;
    for _ in 0..MAX_ALIASES {
        let before = known.len();
        for record in lookup.answers() {
            if let RData::CNAME(target) = &record.data
                && known.contains(&&record.name)
                && !known.contains(&&target.0)
                && known.len() <= MAX_ALIASES
            {
                ttl = ttl.min(record.ttl);
                known.push(&target.0);
            }
        }
        if known.len() == before {
            break;
        }
    }
    let mut addresses = Vec::new();
    for record in lookup.answers() {
        let address: IpAddr = match &record.data {
            RData::A(address) => address.0.into(),
            RData::AAAA(address) => address.0.into(),
            _ => continue,
        };
        if known.contains(&&record.name) {
            ttl = ttl.min(record.ttl);
            addresses.push(address);
        }
    }
    (addresses, Duration::from_secs(u64::from(ttl)))
}
