//! The file: a line for each host, in the format of curl's HSTS cache.
//!
//! ```text
//! # comment
//! www.example.com "20301231 23:59:59"
//! .example.com "unlimited"
//! ```
//!
//! A dot before the name is `includeSubDomains`. The time is when that ends, in
//! UTC. curl's own reader also takes other dates; its writer makes no others.

use url::Host;

use super::store::{Entry, FAR};
use crate::http_date;
use crate::saved::Malformed;
use crate::sync::Arc;

const UNLIMITED: &str = "unlimited";

pub(super) fn write(hosts: &[(Arc<str>, Entry)]) -> Vec<u8> {
    let mut file = String::from("# Hosts that want https (RFC 6797), until when in UTC.\n");
    for (host, entry) in hosts {
        let dot = if entry.subdomains { "." } else { "" };
        let until = match entry.expires {
            FAR.. => UNLIMITED.to_owned(),
            at => {
                let ([year, month, day], [hour, minute, second]) = http_date::of_1970(at);
                format!("{year:04}{month:02}{day:02} {hour:02}:{minute:02}:{second:02}")
            }
        };
        file.push_str(&format!("{dot}{host} \"{until}\"\n"));
    }
    file.into_bytes()
}

/// The hosts of a file, in its order; addresses, which RFC 6797 §8.1.1 leaves
/// alone, are passed over.
pub(super) fn read(file: &[u8]) -> Result<Vec<(String, Entry)>, Malformed> {
    let mut hosts = Vec::new();
    for (number, line) in (1..).zip(file.split(|&byte| byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let host = str::from_utf8(line)
            .map_err(|_| "it is not UTF-8")
            .and_then(read_line)
            .map_err(|message| Malformed::at(number, message))?;
        hosts.extend(host);
    }
    Ok(hosts)
}

fn read_line(line: &str) -> Result<Option<(String, Entry)>, &'static str> {
    let (name, until) = line
        .split_once([' ', '\t'])
        .ok_or("it is not a name and a time")?;
    let until = until.trim();
    let until = match until.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"').ok_or("a quote is never closed")?,
        None => until,
    };
    let expires = match until {
        UNLIMITED => FAR,
        date => seconds(date).ok_or("the time is not as 20301231 23:59:59")?,
    };
    let (subdomains, name) = match name.strip_prefix('.') {
        Some(name) => (true, name),
        None => (false, name),
    };
    let entry = Entry {
        expires,
        subdomains,
    };
    match Host::parse(name).map_err(|_| "the name is not that of a host")? {
        Host::Domain(name) => Ok(Some((super::without_root(&name).to_owned(), entry))),
        Host::Ipv4(_) | Host::Ipv6(_) => Ok(None),
    }
}

/// Exactly `YYYYMMDD HH:MM:SS`.
fn seconds(date: &str) -> Option<u64> {
    let is_shape = date.len() == 17
        && date.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b' ',
            11 | 14 => byte == b':',
            _ => byte.is_ascii_digit(),
        });
    let number = |from, to| -> Option<u64> { date.get(from..to)?.parse().ok() };
    if !is_shape {
        return None;
    }
    http_date::since_1970(
        [number(0, 4)?, number(4, 6)?, number(6, 8)?],
        [number(9, 11)?, number(12, 14)?, number(15, 17)?],
    )
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn entry(expires: u64, subdomains: bool) -> Entry {
        Entry {
            expires,
            subdomains,
        }
    }

    #[test]
    fn what_is_written_is_read_again_the_same() {
        let hosts = vec![
            (Arc::from("a.test"), entry(1_893_456_000, false)),
            (Arc::from("b.test"), entry(951_868_799, true)),
            (Arc::from("c.test"), entry(FAR, true)),
            (Arc::from("d_e.xn--bcher-kva.test"), entry(FAR - 1, false)),
        ];
        let file = write(&hosts);
        let text = str::from_utf8(&file).unwrap();
        assert!(text.contains("\na.test \"20300101 00:00:00\"\n"));
        assert!(text.contains("\n.b.test \"20000229 23:59:59\"\n"));
        assert!(text.contains("\n.c.test \"unlimited\"\n"));
        let read = read(&file).unwrap();
        let read: Vec<(Arc<str>, Entry)> = read
            .into_iter()
            .map(|(host, entry)| (Arc::from(host), entry))
            .collect();
        assert_eq!(read, hosts);
    }

    #[test]
    fn files_of_other_writers() {
        let file = "# Your HSTS cache. https://curl.se/docs/hsts.html\r\n\r\n  # x\n\
            \tExample.COM. \"20300101 00:00:00\"\r\n\
            .b\u{fc}cher.test   20300101 00:00:01\n\
            127.0.0.1 \"unlimited\"\n[::1] \"unlimited\"\n\
            .test \"unlimited\"";
        let want = [
            ("example.com".to_owned(), entry(1_893_456_000, false)),
            ("xn--bcher-kva.test".to_owned(), entry(1_893_456_001, true)),
            ("test".to_owned(), entry(FAR, true)),
        ];
        assert_eq!(read(file.as_bytes()).unwrap(), want);
        assert!(read(b"").unwrap().is_empty());
    }

    #[test]
    fn damaged_lines_are_told() {
        for line in [
            "a.test",
            "a.test ",
            "a.test \"\"",
            "a.test \"20300101 00:00:00",
            "a.test 20300101",
            "a.test \"2030-01-01 00:00:00\"",
            "a.test \"20300101T00:00:00\"",
            "a.test \"20300101 00:00:0x\"",
            "a.test \"20301301 00:00:00\"",
            "a.test \"20230229 00:00:00\"",
            "a.test \"20300101 24:00:00\"",
            "a.test \"19691231 23:59:59\"",
            "a.test \"120300101 00:00:00\"",
            "a.test \"UNLIMITED\"",
            "a.test \"unlimited\" x",
            " \"unlimited\"",
            ". \"unlimited\"",
            "a/b \"unlimited\"",
            "a@b \"unlimited\"",
            "{\"version\": 1}",
        ] {
            let file = format!("# good\n{line}\n");
            let fault = read(file.as_bytes()).map(drop);
            assert_eq!(fault.map_err(|fault| fault.line), Err(Some(2)), "{line}");
        }
        assert!(read(b"\xff \"unlimited\"").is_err());
    }
}
