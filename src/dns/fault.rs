//! Why a name gave no address to connect to.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Kind, Phase};

/// `Clone`, because one lookup may fail many waiting requests.
#[derive(Clone, Debug)]
pub(crate) enum DnsFault {
    /// The name does not exist.
    NotFound,
    /// The name exists, but has no address of the wanted family.
    NoAddresses,
    /// The resolver failed; another attempt may not.
    Failed(Arc<dyn StdError + Send + Sync>),
    /// Too many lookups are waiting already.
    Busy,
    /// There are addresses, and the filter admits none.
    Blocked,
}

impl DnsFault {
    /// Whether another attempt may fare better, and says nothing on the name.
    pub(super) fn is_temporary(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Busy)
    }

    /// The one translation into the crate's error.
    pub(crate) fn into_error(self, host: &str) -> Error {
        let (kind, phase) = match self {
            Self::Blocked => (Kind::Blocked, Phase::Connect),
            Self::NotFound | Self::NoAddresses | Self::Failed(_) | Self::Busy => {
                (Kind::Dns, Phase::Dns)
            }
        };
        Error::new(kind, format!("no address for {host}"))
            .with_phase(phase)
            .with_source(self)
    }
}

impl fmt::Display for DnsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "the host name does not exist",
            Self::NoAddresses => "the host has no address of the wanted family",
            Self::Failed(_) => "the name lookup failed",
            Self::Busy => "too many name lookups are waiting",
            Self::Blocked => "the address filter admits none of the host's addresses",
        })
    }
}

impl StdError for DnsFault {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Failed(error) => Some(&**error),
            _ => None,
        }
    }
}
