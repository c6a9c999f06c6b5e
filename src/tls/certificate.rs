//! What is wrong with a server's certificate, in words a person can act on.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertRevocationListError, CertificateError, OtherError};

use super::der;

/// Most names of a certificate that a message lists; some have hundreds.
const MAX_NAMES: usize = 5;

/// Most characters of one of them.
const MAX_NAME: usize = 100;

/// Nobody who is trusted has signed this.
#[derive(Debug)]
pub(super) struct Untrusted {
    /// Who has, as far as the certificates show.
    issuer: Option<String>,
    self_signed: bool,
    /// The server sent its own certificate and no other.
    alone: bool,
}

impl Untrusted {
    #[cold]
    pub(super) fn new(
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Self {
        let leaf = der::names(end_entity);
        let self_signed = leaf
            .as_ref()
            .is_some_and(|names| names.issuer == names.subject);
        // Upwards as far as it goes: the last issuer is the one who is not known.
        // Each step needs another certificate, so a ring of them ends, too.
        let mut issuer = leaf.map(|names| names.issuer);
        let chain: Vec<_> = intermediates
            .iter()
            .filter_map(|der| der::names(der))
            .collect();
        for _ in &chain {
            let above = chain
                .iter()
                .find(|names| Some(names.subject) == issuer && names.issuer != names.subject);
            match above {
                Some(names) => issuer = Some(names.issuer),
                None => break,
            }
        }
        Self {
            issuer: issuer.and_then(der::label),
            self_signed,
            alone: intermediates.is_empty(),
        }
    }
}

impl From<Untrusted> for rustls::Error {
    fn from(untrusted: Untrusted) -> Self {
        CertificateError::Other(OtherError(Arc::new(untrusted))).into()
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.self_signed {
            return f.write_str("is self-signed, and not trusted by itself");
        }
        match &self.issuer {
            Some(issuer) => write!(f, "was issued by {:?}, which is not trusted", Shown(issuer))?,
            None => f.write_str("was issued by an authority that is not trusted")?,
        }
        if self.alone {
            f.write_str(" (or the server does not send its intermediate certificates)")?;
        }
        Ok(())
    }
}

impl Error for Untrusted {}

/// What the library said before more was found out.
#[cold]
pub(crate) fn original(error: rustls::Error) -> rustls::Error {
    match &error {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(cause)))
            if cause.is::<Untrusted>() =>
        {
            CertificateError::UnknownIssuer.into()
        }
        _ => error,
    }
}

/// A sentence on why the certificate of `server` was refused.
#[cold]
pub(crate) fn describe(error: &rustls::Error, server: &str) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = match error {
        rustls::Error::InvalidCertificate(error) => {
            let _ = write!(text, "the certificate of {server} ");
            match plainly(error) {
                Some(plain) => text.write_str(plain),
                None => in_detail(&mut text, error),
            }
        }
        rustls::Error::InvalidCertRevocationList(error) => {
            let what = list(error);
            write!(
                text,
                "a revocation list for the certificate of {server} {what}"
            )
        }
        rustls::Error::NoCertificatesPresented => write!(text, "{server} showed no certificate"),
        _ => write!(text, "the certificate of {server} was refused"),
    };
    text
}

fn plainly(error: &CertificateError) -> Option<&'static str> {
    use CertificateError as E;
    Some(match error {
        E::BadEncoding => "is damaged",
        E::Expired => "has expired",
        E::NotValidYet => "is not valid yet",
        E::Revoked => "was revoked",
        E::UnhandledCriticalExtension => "has a critical extension that is not known",
        E::UnknownIssuer => "was issued by an authority that is not trusted",
        E::UnknownRevocationStatus => {
            "is covered by none of the revocation lists, or one of its issuers is not"
        }
        E::ExpiredRevocationList => "is covered by an expired revocation list only",
        E::BadSignature => "is not signed by its issuer, or not by the key it shows",
        E::UnsupportedSignatureAlgorithmContext { .. }
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "is signed in a way that is not accepted"
        }
        E::NotValidForName => "is for other names",
        E::InvalidPurpose => "is not meant for servers",
        _ => return None,
    })
}

fn in_detail(text: &mut String, error: &CertificateError) -> fmt::Result {
    use CertificateError as E;
    match error {
        E::ExpiredContext { time, not_after } => {
            write!(text, "expired at {}", Utc(*not_after))?;
            match time.as_secs().saturating_sub(not_after.as_secs()) / 86400 {
                0 => Ok(()),
                days => write!(text, ", {days} days ago"),
            }
        }
        E::NotValidYetContext { time, not_before } => {
            let (from, now) = (Utc(*not_before), Utc(*time));
            write!(
                text,
                "is not valid before {from}; the clock here says {now}"
            )
        }
        E::ExpiredRevocationListContext { next_update, .. } => {
            let end = Utc(*next_update);
            write!(
                text,
                "is covered only by a revocation list that expired at {end}"
            )
        }
        E::NotValidForNameContext { presented, .. } => other_names(text, presented),
        E::InvalidPurposeContext { presented, .. } => {
            text.write_str("is not meant for servers")?;
            for (index, purpose) in presented.iter().take(MAX_NAMES).enumerate() {
                let comma = if index == 0 { ", but for: " } else { "; " };
                write!(text, "{comma}{purpose}")?;
            }
            Ok(())
        }
        E::Other(OtherError(error)) if error.is::<Untrusted>() => write!(text, "{error}"),
        E::Other(OtherError(error)) => by_another_name(text, &error.to_string()),
        error => by_another_name(text, &format!("{error:?}")),
    }
}

/// What the verifier says in a word of its own.
fn by_another_name(text: &mut String, error: &str) -> fmt::Result {
    text.write_str(match error {
        "CaUsedAsEndEntity" => "is that of an authority (CA:TRUE), not of a server",
        "EndEntityUsedAsCa" => "was issued by something that is no authority",
        "NameConstraintViolation" => {
            "is for a name that its issuer may not vouch for (name constraints)"
        }
        "PathLenConstraintViolated" => "has more authorities above it than one of them allows",
        "UnsupportedCertVersion" => "is not of version 3",
        other => return write!(text, "was refused: {}", Shown(other)),
    })
}

fn list(error: &CertRevocationListError) -> &'static str {
    match error {
        CertRevocationListError::BadSignature => "is not signed by its issuer",
        CertRevocationListError::IssuerInvalidForCrl => {
            "is signed by an authority that may not sign such lists"
        }
        _ => "cannot be used",
    }
}

fn other_names(text: &mut String, presented: &[String]) -> fmt::Result {
    if presented.is_empty() {
        let none = "is for no name at all; a common name alone does not count (RFC 6125)";
        return text.write_str(none);
    }
    text.write_str("is not for this name, but for ")?;
    for (index, name) in presented.iter().take(MAX_NAMES).enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        write!(text, "{comma}{}", Shown(bare(name)))?;
    }
    match presented.len().checked_sub(MAX_NAMES) {
        Some(more @ 1..) => write!(text, " and {more} more"),
        _ => Ok(()),
    }
}

/// The name inside `DnsName("a.test")` or `IpAddress(127.0.0.1)`.
fn bare(name: &str) -> &str {
    let inner = name
        .strip_prefix("DnsName(")
        .or_else(|| name.strip_prefix("IpAddress("))
        .and_then(|rest| rest.strip_suffix(')'));
    inner.map_or(name, |inner| inner.trim_matches('"'))
}

/// Text of a peer's, without what would move a terminal's cursor and not too long.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        for char in chars.by_ref().take(MAX_NAME) {
            match char.is_control() {
                true => write!(f, "{}", char.escape_default())?,
                false => f.write_char(char)?,
            }
        }
        match chars.next() {
            Some(_) => f.write_str("..."),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// A moment as people write it: `2020-01-31 12:00:00 UTC`.
struct Utc(UnixTime);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (days, rest) = (seconds / 86400, seconds % 86400);
        // Years of the calendar that begins with March, so that the leap day is the
        // last, in eras of 400. The first era begins 719,468 days before 1970.
        let days = days + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        // Five months have 153 days.
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = era * 400 + year + u64::from(month < 3);
        let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn moments_are_written_as_people_do() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
            (1_577_836_799, "2019-12-31 23:59:59 UTC"),
            (253_402_300_799, "9999-12-31 23:59:59 UTC"),
        ] {
            let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
            assert_eq!(Utc(time).to_string(), text);
        }
    }

    #[test]
    fn names_of_a_peer_are_few_short_and_harmless() {
        let dns = |name: &str| format!("DnsName(\"{name}\")");
        let cases = [
            (
                vec![],
                "is for no name at all; a common name alone does not count (RFC 6125)",
            ),
            (vec![dns("a.test")], "is not for this name, but for a.test"),
            (
                vec![dns("*.b.test"), "IpAddress(127.0.0.1)".to_owned()],
                "is not for this name, but for *.b.test, 127.0.0.1",
            ),
            (
                (0..7).map(|n| dns(&n.to_string())).collect(),
                "is not for this name, but for 0, 1, 2, 3, 4 and 2 more",
            ),
            (
                vec![dns("\u{1b}[2J")],
                "is not for this name, but for \\u{1b}[2J",
            ),
        ];
        for (presented, expected) in cases {
            let mut text = String::new();
            other_names(&mut text, &presented).unwrap();
            assert_eq!(text, expected);
        }
        let mut text = String::new();
        other_names(&mut text, &[dns(&"x".repeat(5000))]).unwrap();
        assert!(text.len() < 200);
    }

    #[test]
    fn a_ring_of_issuers_ends() {
        let own = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
        let der = own.cert.der();
        let untrusted = Untrusted::new(der, &[der.clone(), der.clone()]);
        assert!(untrusted.self_signed && !untrusted.alone);
        let garbage = CertificateDer::from(vec![0x30, 0x84]);
        let untrusted = Untrusted::new(&garbage, std::slice::from_ref(&garbage));
        assert_eq!(
            untrusted.to_string(),
            "was issued by an authority that is not trusted"
        );
    }
}
