//! Whom https trusts: every way in which a certificate can be bad, each told in words,
//! the good ones beside them, revocation lists, and pins.
#![cfg(feature = "tls")]

mod support;

use std::error::Error as _;

use miohttp::{Connector, Error, Kind, Phase, Pin, Session, TlsConfig};
use support::tls::{BELOW, Revoker, ca_der, ca_pem, revocation_list, sha256};
use support::{Certificate, Peer, TlsOptions, no_slot_in_use, ok};

fn trusting() -> TlsConfig {
    let tls = TlsConfig::new().builtin_roots(false);
    tls.add_root_pem(ca_pem().as_bytes()).expect("good PEM")
}

/// One session whose callers drive their connections, and one whose reactor does.
fn sessions(tls: &TlsConfig) -> [Session; 2] {
    [true, false].map(|drives| {
        let connector = Connector::builder().tls(tls.clone()).caller_drives(drives);
        Session::builder().connector(connector.build()).build()
    })
}

/// What both say of a peer with this certificate; they have to agree.
#[track_caller]
fn fetch(tls: &TlsConfig, options: &TlsOptions) -> Result<String, Error> {
    let peer = Peer::serve_tls(options.clone(), |_| ok("hello"));
    let [caller, reactor] = sessions(tls).map(|session| {
        let text = session.get(peer.url("/")).send().and_then(|r| r.text());
        no_slot_in_use(session.connector());
        text
    });
    match (&caller, &reactor) {
        (Ok(one), Ok(other)) => assert_eq!(one, other),
        (Err(one), Err(other)) => {
            assert_eq!(one.kind(), other.kind(), "{one:#} and {other:#}");
            assert_eq!(one.to_string(), other.to_string());
        }
        (one, other) => panic!("the caller got {one:?}, the reactor {other:?}"),
    }
    if caller.is_err() {
        assert_eq!(peer.request_count(), 0, "nothing was sent");
    }
    caller
}

#[track_caller]
fn refused(tls: &TlsConfig, options: &TlsOptions) -> Error {
    let error = fetch(tls, options).expect_err("a bad certificate");
    assert_eq!(error.phase(), Some(Phase::Tls), "{error:#}");
    assert!(error.is_tls() && error.is_connect() && !error.is_retryable());
    error
}

#[test]
fn every_bad_certificate_is_refused_in_words() {
    // SPEC C20, E2
    use Certificate::*;
    let tls = trusting();
    for (certificate, words) in [
        (SelfSigned, "is self-signed, and not trusted by itself"),
        (
            Untrusted,
            "was issued by \"a stranger\", which is not trusted (or the server does not send \
             its intermediate certificates)",
        ),
        (Expired, "expired at 2020-01-01 00:00:00 UTC, "),
        (
            NotYetValid,
            "is not valid before 4000-01-01 00:00:00 UTC; the clock here says 20",
        ),
        (
            WrongHost,
            "is not for this name, but for elsewhere.test, 127.0.0.9",
        ),
        (
            MissingIntermediate,
            "was issued by \"an authority below\", which is not trusted (or the server does \
             not send its intermediate certificates)",
        ),
        (ExpiredIntermediate, "expired at 2020-01-01 00:00:00 UTC, "),
        (
            NameConstraints,
            "is for a name that its issuer may not vouch for (name constraints)",
        ),
        (ByServer, "was issued by something that is no authority"),
        (
            CommonNameOnly,
            "is for no name at all; a common name alone does not count (RFC 6125)",
        ),
        (
            WrongPurpose,
            "is not meant for servers, but for: client authentication",
        ),
        (
            Authority,
            "is that of an authority (CA:TRUE), not of a server",
        ),
        (Impostor, "is not signed by its issuer"),
    ] {
        let error = refused(&tls, &TlsOptions::new(certificate));
        assert_eq!(error.kind(), Kind::Certificate, "{certificate:?}");
        let expected = format!("the certificate of 127.0.0.1 {words}");
        assert!(
            error.to_string().starts_with(&expected),
            "{certificate:?}: {error}"
        );
        // The library's own fault is there for who wants to match it.
        let source = error.source().expect("a cause");
        assert!(source.is::<rustls::Error>(), "{source:?}");
    }
}

#[test]
fn an_untrusted_issuer_is_still_the_library_s_own_fault() {
    let error = refused(&trusting(), &TlsOptions::new(Certificate::Untrusted));
    let source = error.source().and_then(|source| source.downcast_ref());
    assert_eq!(
        source,
        Some(&rustls::Error::InvalidCertificate(
            rustls::CertificateError::UnknownIssuer
        ))
    );
    // The issuer that is missing is the one at the top of what was sent.
    let stranger = TlsConfig::new().builtin_roots(true);
    let error = refused(&stranger, &TlsOptions::new(Certificate::Chained));
    assert!(
        error.to_string().starts_with(
            "the certificate of 127.0.0.1 was issued by \"miohttp test authority\", which is \
             not trusted while"
        ),
        "{error}"
    );
}

#[test]
fn every_good_certificate_is_accepted() {
    // SPEC C20
    use Certificate::{Chained, Good, Rsa};
    let by_der = TlsConfig::new().builtin_roots(false);
    let by_der = by_der.add_root_der(&ca_der()).expect("a root");
    for tls in [trusting(), by_der] {
        for certificate in [Good, Rsa, Chained] {
            let text = fetch(&tls, &TlsOptions::new(certificate));
            assert_eq!(text.expect("a good one"), "hello", "{certificate:?}");
        }
    }
    // A self-signed certificate is its own root, and nobody else's.
    let own = TlsOptions::new(Certificate::SelfSigned);
    let tls = TlsConfig::new().builtin_roots(false);
    let tls = tls.add_root_der(own.leaf()).expect("a root");
    fetch(&tls, &own).expect("trusted by itself");
    let error = refused(&tls, &TlsOptions::new(Certificate::SelfSigned));
    assert_eq!(error.kind(), Kind::Certificate);
}

#[test]
fn a_wildcard_stands_for_one_label() {
    // SPEC C20, Q17
    let options = TlsOptions::new(Certificate::Wildcard);
    let peer = Peer::serve_tls(options, |_| ok(""));
    for session in sessions(&trusting()) {
        let ask = |name: &str| session.get(peer.url("/")).server_name(name).send();
        for name in ["a.wild.test", "B.WILD.test"] {
            ask(name).expect("one label");
        }
        for name in ["wild.test", "a.b.wild.test", "awild.test", "127.0.0.1"] {
            let error = ask(name).expect_err(name);
            assert_eq!(error.kind(), Kind::Certificate);
            assert!(error.to_string().contains("but for *.wild.test"), "{error}");
        }
    }
}

#[test]
fn names_alone_may_be_looked_away_from() {
    // SPEC C20
    use Certificate::{CommonNameOnly, Expired, Untrusted, WrongHost, WrongPurpose};
    let tls = trusting().danger_accept_invalid_hostnames(true);
    for certificate in [WrongHost, CommonNameOnly] {
        fetch(&tls, &TlsOptions::new(certificate)).expect("only the name is wrong");
    }
    for certificate in [Expired, Untrusted, WrongPurpose] {
        let error = refused(&tls, &TlsOptions::new(certificate));
        assert_eq!(error.kind(), Kind::Certificate, "{certificate:?}");
    }
    let strict = tls.danger_accept_invalid_hostnames(false);
    refused(&strict, &TlsOptions::new(WrongHost));
}

#[test]
fn roots_come_from_files_too() {
    // SPEC C20
    let folder = std::env::temp_dir();
    let path = folder.join(format!("miohttp-roots-{}", std::process::id()));
    let none = || TlsConfig::new().builtin_roots(false);
    for content in [ca_pem().as_bytes(), &*ca_der()] {
        std::fs::write(&path, content).expect("a file");
        let tls = none().add_root_file(&path).expect("a root");
        fetch(&tls, &TlsOptions::default()).expect("trusted");
    }
    std::fs::write(&path, "nothing of the kind").expect("a file");
    let error = none().add_root_file(&path).expect_err("no root");
    assert_eq!(error.kind(), Kind::InvalidRequest);
    assert_eq!(error.phase(), Some(Phase::Request));
    std::fs::remove_file(&path).expect("it was there");
    let error = none().add_root_file(&path).expect_err("no file");
    let said = format!("{error:#}");
    assert!(
        said.contains("miohttp-roots-") && error.source().is_some(),
        "{said}"
    );
}

#[test]
fn a_revoked_certificate_is_refused() {
    // SPEC C20
    let good = TlsOptions::default();
    let list = |serials: &[u64]| revocation_list(Revoker::Root, serials, true);
    let crl = |text: &str| trusting().add_crl(text.as_bytes()).expect("a list");
    let revoking = crl(&list(&[1, good.serial()]));
    let error = refused(&revoking, &good);
    assert_eq!(error.kind(), Kind::Certificate);
    let expected = "the certificate of 127.0.0.1 was revoked while";
    assert!(error.to_string().starts_with(expected), "{error}");
    // Whatever is asked of the rest.
    let lax = revoking
        .clone()
        .crl_leaf_only(true)
        .crl_allow_unknown(true)
        .crl_allow_expired(true);
    refused(&lax, &good);
    refused(&lax.danger_accept_invalid_hostnames(true), &good);

    fetch(&crl(&list(&[1])), &good).expect("not revoked");
    // Names count as ever, and may be looked away from as ever.
    let elsewhere = TlsOptions::new(Certificate::WrongHost);
    let error = refused(&crl(&list(&[1])), &elsewhere);
    assert!(error.to_string().contains("elsewhere.test"), "{error}");
    let nameless = crl(&list(&[1])).danger_accept_invalid_hostnames(true);
    fetch(&nameless, &elsewhere).expect("only the name is wrong");
    let error = refused(&nameless, &TlsOptions::new(Certificate::Untrusted));
    assert!(error.to_string().contains("a stranger"), "{error}");
    // Off is off.
    let anybody = revoking.danger_accept_invalid_certs(true);
    fetch(&anybody, &good).expect("anybody is accepted");
}

#[test]
fn each_certificate_below_the_root_has_to_be_covered() {
    // SPEC C20
    let chained = TlsOptions::new(Certificate::Chained);
    let root = |serials: &[u64]| revocation_list(Revoker::Root, serials, true);
    let below = |serials: &[u64]| revocation_list(Revoker::Below, serials, true);
    let with = |lists: &[String]| {
        let tls = trusting().add_crl(lists.concat().as_bytes());
        tls.expect("good lists")
    };
    let clean = with(&[root(&[]), below(&[])]);
    fetch(&clean, &chained).expect("neither is revoked");
    for revoked in [
        with(&[root(&[BELOW]), below(&[])]),
        with(&[root(&[]), below(&[chained.serial()])]),
    ] {
        let error = refused(&revoked, &chained);
        assert!(error.to_string().contains("was revoked"), "{error}");
    }
    // One of the two is covered by nothing.
    for half in [with(&[root(&[])]), with(&[below(&[])])] {
        let error = refused(&half, &chained);
        assert_eq!(error.kind(), Kind::Certificate);
        let said = error.to_string();
        assert!(said.contains("by none of the revocation lists"), "{said}");
        fetch(&half.crl_allow_unknown(true), &chained).expect("unknown is allowed");
    }
    let leaf_only = with(&[below(&[])]).crl_leaf_only(true);
    fetch(&leaf_only, &chained).expect("the leaf is covered");
    let leaf_only = with(&[root(&[])]).crl_leaf_only(true);
    refused(&leaf_only, &chained);
    // Not revoked for sure if the list is of old.
    let old = revocation_list(Revoker::Root, &[1], false);
    let old = trusting().add_crl(old.as_bytes()).expect("a list");
    let error = refused(&old, &TlsOptions::default());
    let expected = "covered only by a revocation list that expired at 2021-01-01 00:00:00 UTC";
    assert!(error.to_string().contains(expected), "{error}");
    fetch(&old.crl_allow_expired(true), &TlsOptions::default()).expect("old is allowed");
}

#[test]
fn what_is_no_revocation_list_is_refused_where_it_is_added() {
    // SPEC C20
    for text in ["", "nothing", ca_pem()] {
        let error = trusting().add_crl(text.as_bytes()).expect_err("no list");
        assert_eq!(error.kind(), Kind::InvalidRequest, "{text:?}");
    }
}

#[test]
fn a_pin_is_looked_at_on_top_of_everything_else() {
    // SPEC C21, Q15
    let good = TlsOptions::default();
    let leaf = sha256(good.leaf());
    let key = sha256(good.spki());
    let other = [7; 32];
    for tls in [
        trusting().pin_sha256(leaf),
        trusting().pin_spki_sha256(key),
        trusting().pin_sha256(other).pin_spki_sha256(key),
        trusting().pin_spki_sha256(other).pin_sha256(leaf),
    ] {
        fetch(&tls, &good).expect("it is pinned");
    }
    // The right digest of the wrong thing is no pin.
    for tls in [
        trusting().pin_sha256(other),
        trusting().pin_spki_sha256(leaf).pin_sha256(key),
    ] {
        let error = refused(&tls, &good);
        assert_eq!(error.kind(), Kind::Fingerprint);
        let told = error.fingerprints().expect("both sides");
        assert_eq!(told.got(), [Pin::Certificate(leaf), Pin::Spki(key)]);
        assert!(!told.expected().is_empty());
        let said = error.to_string();
        for pin in told.expected().iter().chain(told.got()) {
            assert!(said.contains(&pin.to_string()), "{said}");
        }
    }
    let text: Pin = Pin::Spki(key)
        .to_string()
        .parse()
        .expect("as it is written");
    fetch(&trusting().pin(text), &good).expect("it is pinned");

    // A pin mends nothing.
    for certificate in [
        Certificate::SelfSigned,
        Certificate::Expired,
        Certificate::WrongHost,
    ] {
        let options = TlsOptions::new(certificate);
        let tls = trusting().pin_sha256(sha256(options.leaf()));
        let error = refused(&tls, &options);
        assert_eq!(error.kind(), Kind::Certificate, "{certificate:?}");
    }
}

#[test]
fn a_pin_holds_with_verification_off() {
    // SPEC C21
    let own = TlsOptions::new(Certificate::SelfSigned);
    let another = TlsOptions::new(Certificate::SelfSigned);
    for tls in [
        TlsConfig::new().danger_accept_invalid_certs(true),
        TlsConfig::new().danger_pins_only(true),
        TlsConfig::new().builtin_roots(false).danger_pins_only(true),
    ] {
        let tls = tls.pin_spki_sha256(sha256(own.spki()));
        fetch(&tls, &own).expect("the pin decides");
        let error = refused(&tls, &another);
        assert_eq!(error.kind(), Kind::Fingerprint);
    }
    // And switched back on, it decides alone no more.
    let strict = TlsConfig::new()
        .danger_pins_only(true)
        .pin_spki_sha256(sha256(own.spki()))
        .danger_pins_only(false);
    assert_eq!(refused(&strict, &own).kind(), Kind::Certificate);
    // Pins alone, and none: that would be nothing at all.
    let error = fetch(&TlsConfig::new().danger_pins_only(true), &own);
    let error = error.expect_err("nothing is pinned");
    assert_eq!(
        (error.kind(), error.phase()),
        (Kind::Tls, Some(Phase::Request))
    );
    assert!(error.to_string().contains("nothing is pinned"), "{error}");
}

#[test]
fn pins_of_a_request_count_for_it_alone() {
    // SPEC Q15, C21, P1
    let peer = Peer::serve_tls(TlsOptions::default(), |_| ok(""));
    for session in sessions(&trusting()) {
        let pinned = trusting().pin_sha256([7; 32]);
        session.get(peer.url("/")).send().expect("no pin");
        // A connection is idle and a ticket is there: neither serves.
        let error = session.get(peer.url("/")).tls(&pinned).send();
        assert_eq!(error.expect_err("pinned").kind(), Kind::Fingerprint);
        let again = session.get(peer.url("/")).send().expect("no pin");
        assert!(again.is_reused());
    }
}

#[cfg(feature = "platform-verifier")]
mod platform {
    use super::*;

    #[test]
    fn the_platform_trusts_what_it_has_and_what_was_added() {
        // SPEC C20
        let tls = TlsConfig::new()
            .platform_verifier(true)
            .add_root_pem(ca_pem().as_bytes())
            .expect("good PEM");
        fetch(&tls, &TlsOptions::default()).expect("added");
        for certificate in [
            Certificate::Untrusted,
            Certificate::Expired,
            Certificate::WrongHost,
        ] {
            let error = refused(&tls, &TlsOptions::new(certificate));
            assert_eq!(error.kind(), Kind::Certificate, "{certificate:?}");
        }
        let pinned = tls.clone().pin_sha256([7; 32]);
        let error = refused(&pinned, &TlsOptions::default());
        assert_eq!(error.kind(), Kind::Fingerprint);
        // Off again, the root is still trusted.
        let tls = tls.platform_verifier(false);
        fetch(&tls, &TlsOptions::default()).expect("added");
    }

    #[test]
    fn what_the_platform_cannot_do_is_an_error() {
        let list = revocation_list(Revoker::Root, &[], true);
        let platform = || trusting().platform_verifier(true);
        for tls in [
            platform().danger_accept_invalid_hostnames(true),
            platform().add_crl(list.as_bytes()).expect("a list"),
        ] {
            let error = fetch(&tls, &TlsOptions::default()).expect_err("cannot be");
            assert_eq!(
                (error.kind(), error.phase()),
                (Kind::Tls, Some(Phase::Request))
            );
        }
    }
}
