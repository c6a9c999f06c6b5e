//! What an error prints, and what it leaves out.

use super::*;

#[test]
fn display_is_one_level_and_the_alternate_form_is_the_chain() {
    // SPEC E1
    let url = Url::parse("http://user:secret@host.test/path").unwrap();
    let error = Error::new(Kind::Connect, "no connection to 192.0.2.1:80")
        .with_phase(Phase::Connect)
        .with_url(&url)
        .with_source(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
    assert_eq!(
        error.to_string(),
        "no connection to 192.0.2.1:80 while connecting [http://host.test/path]"
    );
    assert_eq!(
        format!("{error:#}"),
        "no connection to 192.0.2.1:80 while connecting [http://host.test/path]: connection refused"
    );
    assert!(!format!("{error:?}").contains("secret"));
}

#[test]
fn a_total_timeout_names_the_limit_and_the_stage() {
    let error = Error::timed_out(Timeout::Total, Some(Duration::from_secs(5)), Phase::Dns);
    assert_eq!(error.phase(), Some(Phase::Total)); // SPEC T1
    assert_eq!(error.timeout(), Some(Timeout::Total));
    assert_eq!(
        error.to_string(),
        "timed out after 5s (total limit) while resolving the host name"
    );
}

#[test]
fn no_url_shows_credentials() {
    // SPEC E1
    for text in [
        "http://user:pa55word@h.test/",
        "http://:pa55word@h.test:81/p",
        "http://pa55word@h.test/",
        "odd://user:pa55word@h.test/",
        "odd://pa55word@/",
        "file://pa55word@h.test/",
    ] {
        // What cannot be parsed never becomes a `Url` either.
        let Ok(url) = Url::parse(text) else { continue };
        let stripped = without_credentials(&url);
        assert!(!stripped.as_str().contains("pa55word"), "{stripped}");
    }
    let opaque = Url::parse("user:pa55word@h.test/").unwrap();
    let error = Error::new(Kind::InvalidUrl, "x").with_url(&opaque);
    assert_eq!(error.url(), None);
}

#[test]
fn of_payload_faults_only_a_cut_is_retryable() {
    // SPEC E2
    let error = Error::new(Kind::Payload, "x");
    assert!(!error.is_retryable());
    assert!(error.broken_off().is_retryable());
    let write = Error::new(Kind::Write, "x");
    assert!(!write.is_retryable() && !write.is_connection());
}

#[test]
fn an_error_is_one_word() {
    assert_eq!(size_of::<Error>(), size_of::<usize>());
}

#[test]
fn pins_are_told_as_people_write_them() {
    // SPEC E1, C21
    let fingerprints = Fingerprints {
        expected: vec![Pin::Certificate([0x0f; 32]), Pin::Spki([0xff; 32])],
        got: vec![Pin::Certificate([1; 32])],
    };
    let error = Error::new(Kind::Fingerprint, "x")
        .with_phase(Phase::Tls)
        .with_fingerprints(Arc::new(fingerprints));
    let told = error.fingerprints().unwrap();
    assert_eq!(told.got(), [Pin::Certificate([1; 32])]);
    let hex = |pair: &str| pair.repeat(32);
    let key = format!("sha256//{}8=", "/".repeat(42));
    let expected = format!(
        "expected {}, {key}; the server has {}",
        hex("0f"),
        hex("01")
    );
    assert_eq!(told.to_string(), expected);
    assert!(error.is_tls() && error.is_connect() && !error.is_retryable());
}

#[test]
fn pins_are_read_as_they_are_written() {
    // SPEC C21
    let digest: [u8; 32] = std::array::from_fn(|n| n as u8 * 8);
    for pin in [Pin::Certificate(digest), Pin::Spki(digest)] {
        assert_eq!(pin.to_string().parse::<Pin>().unwrap(), pin);
    }
    let hex = Pin::Certificate(digest).to_string().to_uppercase();
    let pairs: Vec<_> = hex
        .as_bytes()
        .chunks(2)
        .map(String::from_utf8_lossy)
        .collect();
    let openssl = pairs.join(":");
    assert_eq!(openssl.parse::<Pin>().unwrap(), Pin::Certificate(digest));

    let short = "ab".repeat(31);
    for wrong in [
        "",
        "sha256//",
        "sha256//AAAA",
        "sha1//AAAA",
        "sha256//!AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        // As long as an MD5 and a SHA-1 are.
        &"ab".repeat(16),
        &"ab".repeat(20),
        &format!("{short}xy"),
        &format!("{short}+1"),
        &openssl.replace(':', " "),
        &"é".repeat(32),
    ] {
        let error = wrong.parse::<Pin>().unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidRequest, "{wrong:?}");
    }
}
