//! Where a connection goes: an IP address and port, or the name of a Unix
//! socket (SPEC U1).

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::options::Sockets;

/// What one attempt to connect is made to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    #[cfg(unix)]
    Unix(UnixAddress),
    /// Where a transport finds it by itself: the host and its port.
    #[cfg(unix)]
    Elsewhere(Arc<str>),
}

impl Address {
    /// Its IP address and port, if it has one.
    pub(crate) fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            #[cfg(unix)]
            Self::Unix(_) | Self::Elsewhere(_) => None,
        }
    }

    /// Whether this failure of a connect call says that the peer's queue is full.
    /// Of a Unix socket nothing tells when it is not; of others it never does.
    pub(crate) fn may_be_full(&self, error: &io::Error) -> bool {
        self.path().is_some() && error.kind() == io::ErrorKind::WouldBlock
    }

    /// The path of a Unix socket.
    pub(crate) fn path(&self) -> Option<Arc<Path>> {
        match self {
            #[cfg(unix)]
            Self::Unix(address) => Some(address.shared_path()),
            _ => None,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            #[cfg(unix)]
            Self::Unix(address) => address.fmt(f),
            #[cfg(unix)]
            Self::Elsewhere(name) => f.write_str(name),
        }
    }
}

/// One attempt to connect, and by which settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Destination<'a> {
    pub(crate) address: &'a Address,
    /// Whom it leads to, by name: the origin, or the proxy before it.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    /// When it is given up.
    pub(crate) deadline: Option<Instant>,
    pub(crate) sockets: &'a Sockets,
}

#[cfg(unix)]
pub use self::unix::UnixAddress;

#[cfg(unix)]
mod unix {
    use std::ffi::OsStr;
    use std::fmt;
    use std::os::unix::ffi::OsStrExt;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    /// The address of a Unix socket: a path, or on Linux an abstract name
    /// (unix(7)). What is wrong with one is told by the requests over it, with
    /// [`Kind::InvalidRequest`](crate::Kind::InvalidRequest): an empty path or
    /// name, a path with a NUL byte, either longer than the system takes (107
    /// bytes on Linux, 103 on most other systems).
    ///
    /// It is made of whatever is a path; an abstract name has to be asked for,
    /// since `@name` is a fine name for a file.
    ///
    /// ```
    /// use miohttp::UnixAddress;
    ///
    /// let file = UnixAddress::from("/run/docker.sock");
    /// assert_eq!(file.path().to_str(), Some("/run/docker.sock"));
    /// let name = UnixAddress::abstract_name("worker");
    /// assert!(name.is_abstract());
    /// assert_eq!(name.path().to_str(), Some("@worker"));
    /// ```
    #[derive(Clone, PartialEq, Eq, Hash)]
    pub struct UnixAddress {
        /// Of an abstract name: with `@` in the place of the NUL byte that
        /// marks one.
        path: Arc<Path>,
        is_abstract: bool,
    }

    impl UnixAddress {
        /// The name of a socket that is no file. Linux alone has them; any byte
        /// may be part of one.
        pub fn abstract_name(name: impl AsRef<[u8]>) -> Self {
            let shown = [b"@", name.as_ref()].concat();
            Self {
                path: Path::new(OsStr::from_bytes(&shown)).into(),
                is_abstract: true,
            }
        }

        /// The path; of an abstract name, the name behind an `@`, as system
        /// tools write it.
        pub fn path(&self) -> &Path {
            &self.path
        }

        /// Whether this is an abstract name and no file.
        pub fn is_abstract(&self) -> bool {
            self.is_abstract
        }

        pub(crate) fn shared_path(&self) -> Arc<Path> {
            Arc::clone(&self.path)
        }

        /// As the system wants it: a NUL byte in front marks an abstract name.
        pub(in crate::net) fn for_system(&self) -> PathBuf {
            if !self.is_abstract {
                return self.path.to_path_buf();
            }
            let mut name = self.path.as_os_str().as_bytes().to_vec();
            name[0] = 0;
            OsStr::from_bytes(&name).into()
        }
    }

    impl<P: AsRef<Path>> From<P> for UnixAddress {
        fn from(path: P) -> Self {
            Self {
                path: path.as_ref().into(),
                is_abstract: false,
            }
        }
    }

    impl fmt::Display for UnixAddress {
        // Quoted: a path may hold what would pass for the rest of a message.
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "the unix socket {:?}", self.path)
        }
    }

    impl fmt::Debug for UnixAddress {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.path.fmt(f)
        }
    }
}
