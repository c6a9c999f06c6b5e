//! What a connector settles of its sockets, as data (SPEC C26, C28, C29).

use super::address::Address;
#[cfg(unix)]
use super::address::UnixAddress;

/// How every socket of a connector is made.
#[derive(Clone, Debug)]
pub(crate) struct Sockets {
    /// C29.
    pub(crate) nodelay: bool,
    /// Every connection goes there, whatever the URL says (SPEC U1).
    #[cfg(unix)]
    pub(crate) unix: Option<UnixAddress>,
}

impl Default for Sockets {
    fn default() -> Self {
        Self {
            nodelay: true,
            #[cfg(unix)]
            unix: None,
        }
    }
}

impl Sockets {
    /// What is wrong with the settings, for whoever sends the first request.
    pub(crate) fn check(&self) -> Result<(), String> {
        #[cfg(unix)]
        if let Some(address) = &self.unix {
            super::socket::check(address)?;
        }
        Ok(())
    }

    /// The one address that needs no name looked up, if all connections go
    /// there.
    pub(crate) fn fixed(&self) -> Option<Address> {
        #[cfg(unix)]
        if let Some(address) = &self.unix {
            return Some(Address::Unix(address.clone()));
        }
        None
    }
}
