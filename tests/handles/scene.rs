//! A request that stands at a stage of the test's choice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use miohttp::{Answer, Connector, Pending, Query, Resolve, Response, Session};

use super::support::{Blackhole, Peer, enter, ok, sockets};
use super::{load, session_of, until};

/// Where a request stands before its head has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Slot,
    Dns,
    Connect,
    #[cfg(feature = "tls")]
    Tls,
    Head,
}

const STAGES: &[Stage] = &[
    Stage::Slot,
    Stage::Dns,
    Stage::Connect,
    #[cfg(feature = "tls")]
    Stage::Tls,
    Stage::Head,
];

/// Never answers, and never drops the question either.
#[derive(Clone, Default)]
struct Mute(Arc<Mutex<Vec<Answer>>>);

impl Resolve for Mute {
    fn resolve(&self, _query: &Query, answer: Answer) {
        enter(&self.0).push(answer);
    }
}

/// A request that comes as far as its stage and no further, on a connector
/// with one slot alone.
pub(super) struct Scene {
    pub(super) stage: Stage,
    pub(super) connector: Connector,
    pub(super) session: Session,
    pub(super) url: String,
    pub(super) peer: Peer,
    /// The peer has got something and will not answer.
    heard: Arc<AtomicBool>,
    asked: Mute,
    hole: Option<Blackhole>,
    /// Who has the slot, where the stage is to wait for one.
    pub(super) holder: Option<Pending<Response>>,
}

impl Scene {
    /// `None` where the platform cannot show this stage.
    fn new(stage: Stage) -> Option<Self> {
        let hole = match stage {
            Stage::Connect => Some(Blackhole::new()?),
            _ => None,
        };
        let heard = Arc::new(AtomicBool::new(false));
        let hears = Arc::clone(&heard);
        let peer = Peer::start(move |conn| {
            conn.read_exact(1)?;
            hears.store(true, Ordering::Release);
            conn.wait_for_close().map(drop)
        });
        let asked = Mute::default();
        let connector = Connector::builder()
            .limit(1)
            .resolver(asked.clone())
            .build();
        let session = session_of(&connector);
        let url = match stage {
            Stage::Dns => "http://mute.test/".to_owned(),
            Stage::Connect => format!("http://{}/", hole.as_ref()?.address()),
            #[cfg(feature = "tls")]
            Stage::Tls => peer.url("/").replace("http:", "https:"),
            Stage::Slot | Stage::Head => peer.url("/"),
        };
        let holder = (stage == Stage::Slot).then(|| session.get(peer.url("/")).start_send());
        let scene = Self {
            stage,
            connector,
            session,
            url,
            peer,
            heard,
            asked,
            hole,
            holder,
        };
        if stage == Stage::Slot {
            scene.wait_until_heard();
        }
        Some(scene)
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        STAGES.iter().filter_map(|&stage| Self::new(stage))
    }

    fn wait_until_heard(&self) {
        until("the peer hears", || self.heard.load(Ordering::Acquire));
    }

    /// Waits until the request stands where it is to stand.
    pub(super) fn wait_until_there(&self) {
        match self.stage {
            Stage::Slot => until("one waits", || load(&self.connector) == (1, 1)),
            Stage::Dns => until("a name is asked", || !enter(&self.asked.0).is_empty()),
            Stage::Connect => {
                let port = self.hole.as_ref().map(|hole| hole.address().port());
                until("it connects", || {
                    let sockets = port.and_then(sockets::towards);
                    sockets.is_none_or(|sockets| sockets.syn_sent > 0)
                });
            }
            #[cfg(feature = "tls")]
            Stage::Tls => self.wait_until_heard(),
            Stage::Head => self.wait_until_heard(),
        }
    }

    /// The request has gone and left nothing: its slot is free, its socket
    /// closed, and the connector serves the next.
    pub(super) fn assert_gone(self) {
        let stage = self.stage;
        let holding = usize::from(self.holder.is_some());
        until(&format!("nothing is left of {stage:?}"), || {
            load(&self.connector) == (holding, 0)
        });
        drop(self.holder);
        let next = Peer::serve(|_| ok("next"));
        let response = self.session.get(next.url("/")).send().unwrap();
        assert_eq!(response.text().unwrap(), "next", "{stage:?}");
        until("the sockets are closed", || {
            sockets::towards(self.peer.port()).is_none_or(|sockets| sockets.open() == 0)
        });
        if let Some(hole) = &self.hole {
            let sockets = sockets::towards(hole.address().port()).unwrap_or_default();
            assert_eq!(sockets.syn_sent, 0);
        }
        self.peer.finish();
    }
}
