//! The secrets of sessions, in the format that Wireshark and others read
//! (`SSLKEYLOGFILE`, draft-ietf-tls-keylogfile).

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, KeyLog};

use super::fault::ConfigFault;
use super::settings::Part;
use crate::sync::{Mutex, lock};

pub(super) struct KeyLogFile {
    path: PathBuf,
}

impl KeyLogFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

impl Part for KeyLogFile {
    fn apply(
        &self,
        config: &mut ClientConfig,
        _provider: &CryptoProvider,
    ) -> Result<(), ConfigFault> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        // Whoever reads it reads the traffic.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options
            .open(&self.path)
            .map_err(|error| ConfigFault::File(self.path.clone(), error))?;
        config.key_log = Arc::new(Open(Mutex::new(Some(file))));
        Ok(())
    }
}

/// Empty once a write has failed: half a line is no use, and a request should not
/// fail for the sake of its log.
struct Open(Mutex<Option<File>>);

impl KeyLog for Open {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut line = String::with_capacity(label.len() + 3 + 2 * (32 + secret.len()));
        line.push_str(label);
        for bytes in [client_random, secret] {
            line.push(' ');
            for byte in bytes {
                // Writing into a string cannot fail.
                let _ = write!(line, "{byte:02x}");
            }
        }
        line.push('\n');
        // In one call, since others may append to the same file.
        let mut file = lock(&self.0);
        if let Some(open) = file.as_mut()
            && let Err(error) = open.write_all(line.as_bytes())
        {
            *file = None;
            // Whoever takes in what is logged may come back here.
            drop(file);
            log::warn!("the log of TLS keys ends here: {error}");
        }
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyLogFile")
    }
}
