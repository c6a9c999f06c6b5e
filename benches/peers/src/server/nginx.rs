//! nginx, where it is installed, for the everyday workloads: a server that is
//! not our own.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{CERTIFICATE, Doors, KEY};
use crate::plan::{BLOCK, K64, SMALL};
use crate::{Error, Outcome};

const SETTINGS: &str = "nginx.conf";

/// It opens its doors in far less.
const PATIENCE: Duration = Duration::from_secs(5);

/// A running nginx; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Nginx {
    process: Child,
    pub(crate) doors: Doors,
}

impl Nginx {
    /// `None` where it is not installed. The folder has a certificate already.
    pub(crate) fn start(folder: &Path) -> Result<Option<Self>, Error> {
        let doors = {
            // Both are held, so that they differ, and then let go for nginx.
            let plain = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let tls = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let plain = plain.local_addr()?;
            Doors {
                plain,
                many: plain,
                tls: tls.local_addr()?,
            }
        };
        std::fs::write(folder.join("64k"), &BLOCK[..K64])?;
        std::fs::write(folder.join(SETTINGS), configuration(folder, &doors))?;
        let process = Command::new(std::env::current_exe()?)
            .arg("nginx")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut nginx = Self { process, doors };
        Ok(nginx.answers()?.then_some(nginx))
    }

    /// False if it has ended, as it does where it is not installed.
    fn answers(&mut self) -> Result<bool, Error> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && self.process.try_wait()?.is_none() {
            if let Ok(mut stream) = TcpStream::connect(self.doors.plain) {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.write_all(b"GET /small HTTP/1.0\r\n\r\n")?;
                return Ok(stream.read_exact(&mut [0]).is_ok());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(false)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Becomes nginx, if there is one; in this order, so that it ends with its
/// parent.
pub(crate) fn become_nginx(folder: &Path) -> Outcome {
    crate::usage::die_with_parent()?;
    let mut nginx = Command::new("nginx");
    nginx
        .arg("-p")
        .arg(folder)
        .arg("-c")
        .arg(folder.join(SETTINGS));
    Err(nginx.exec().into())
}

/// One process and no master, so that ending it ends all of it.
fn configuration(folder: &Path, doors: &Doors) -> String {
    let folder = folder.display();
    let body = "m".repeat(SMALL);
    let (plain, tls) = (doors.plain, doors.tls);
    format!(
        "daemon off; master_process off; worker_processes 1;
pid {folder}/nginx.pid; error_log /dev/null crit;
events {{ worker_connections 4096; }}
http {{
    access_log off; sendfile on; tcp_nodelay on; server_tokens off;
    keepalive_requests 1000000; keepalive_timeout 60s;
    open_file_cache max=10; default_type text/plain;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2;
    fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{
        listen {plain}; listen {tls} ssl;
        ssl_certificate {folder}/{CERTIFICATE}; ssl_certificate_key {folder}/{KEY};
        ssl_session_cache shared:s:1m;
        root {folder};
        location = /small {{ return 200 \"{body}\"; }}
    }}
}}
"
    )
}
