//! Configuration only; what it does to a handshake is tested beside the session,
//! and with real peers in `tests/tls*.rs`.

use std::error::Error as _;

use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use rustls::pki_types::CertificateDer;

use super::pem::private_key;
use super::*;
use crate::error::Pin;

fn own_certificate() -> (rcgen::Certificate, KeyPair) {
    let made = rcgen::generate_simple_self_signed(vec!["client.test".to_owned()]).unwrap();
    (made.cert, made.signing_key)
}

fn build(change: impl FnOnce(&mut Settings)) -> Result<Client, ConfigFault> {
    let mut settings = Settings::default();
    change(&mut settings);
    Client::build(&settings)
}

#[test]
fn defaults_verify_and_offer_http_1_1() {
    // SPEC C20, S24
    let client = Client::build(&Settings::default()).unwrap();
    assert_eq!(client.config().alpn_protocols, [b"http/1.1".to_vec()]);
    assert!(client.config().enable_sni);
    assert!(!client.config().client_auth_cert_resolver.has_certs());
    assert!(!client.is_foreign());
}

#[test]
fn switches_reach_the_configuration() {
    // SPEC C20
    let client = build(|settings| {
        settings.sni = false;
        settings.alpn.clear();
    });
    let client = client.unwrap();
    assert!(client.config().alpn_protocols.is_empty());
    assert!(!client.config().enable_sni);
}

#[test]
fn identity_not_content_makes_clients_equal() {
    let settings = Settings::default();
    let first = Client::build(&settings).unwrap();
    let second = Client::build(&settings).unwrap();
    let copy = first.clone();
    assert_eq!(first, copy);
    assert_ne!(first, second);
}

#[test]
fn what_cannot_be_together_is_a_fault() {
    // SPEC C20, C21
    assert!(matches!(
        build(|s| s.builtin_roots = false),
        Err(ConfigFault::NoRoots)
    ));
    assert!(
        build(|s| {
            s.builtin_roots = false;
            s.verify(false);
        })
        .is_ok()
    );
    assert!(matches!(
        build(|s| {
            s.min_version = TlsVersion::V13;
            s.max_version = TlsVersion::V12;
        }),
        Err(ConfigFault::NoVersion)
    ));
    for name in [Vec::new(), vec![b'x'; 256]] {
        assert!(matches!(
            build(|s| s.alpn.push(name)),
            Err(ConfigFault::Alpn)
        ));
    }
    assert!(build(|s| s.alpn.push(vec![b'x'; 255])).is_ok());
    assert!(matches!(
        build(|s| s.pins_only(true)),
        Err(ConfigFault::NoPins)
    ));
    assert!(
        build(|s| {
            s.pins_only(true);
            s.pin(Pin::Spki([0; 32]));
        })
        .is_ok()
    );
}

#[test]
fn what_was_made_elsewhere_is_foreign_and_stays_as_it_is() {
    // SPEC C20
    let made = Arc::clone(build(|_| {}).unwrap().config());
    let mut settings = Settings::from_prepared(Arc::clone(&made));
    let client = Client::build(&settings).unwrap();
    assert!(Arc::ptr_eq(client.config(), &made) && client.is_foreign());
    // A pin beside it would be lost.
    settings.touched();
    settings.pin(Pin::Spki([0; 32]));
    assert!(matches!(Client::build(&settings), Err(ConfigFault::Mixed)));
}

#[test]
fn a_log_of_keys_is_opened_first_and_is_foreign() {
    let folder = std::env::temp_dir();
    assert!(matches!(
        build(|s| s.log_keys(folder.clone())),
        Err(ConfigFault::File(path, _)) if path == folder
    ));
    let path = folder.join(format!("miohttp-keys-{}", std::process::id()));
    assert!(build(|s| s.log_keys(path.clone())).unwrap().is_foreign());
    std::fs::remove_file(path).unwrap();
}

#[test]
fn unparsable_root_is_a_fault() {
    let fault = build(|s| s.extra_roots = vec![CertificateDer::from(b"not DER".to_vec())]);
    let fault = fault.unwrap_err();
    assert!(matches!(fault, ConfigFault::Root(1, _)));
    assert!(fault.source().is_some());
}

#[test]
fn pem_gives_every_certificate() {
    let (first, _) = own_certificate();
    let (second, key) = own_certificate();
    let text = format!("{}{}{}", first.pem(), key.serialize_pem(), second.pem());
    let found = certificates_from_pem(text.as_bytes()).unwrap();
    assert_eq!(found, [first.der().clone(), second.der().clone()]);
    let found = certificates(text.as_bytes()).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(certificates(second.der()).unwrap(), [second.der().clone()]);
    // An explanation may stand before it, as openssl writes one.
    let text = format!("0 s:CN = client.test\n{}", first.pem());
    assert_eq!(certificates(text.as_bytes()).unwrap().len(), 1);
}

#[test]
fn pem_around_no_certificate_is_a_fault() {
    let (good, _) = own_certificate();
    let text = format!(
        "{}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        good.pem()
    );
    let fault = certificates_from_pem(text.as_bytes()).unwrap_err();
    assert!(matches!(fault, ConfigFault::Root(2, _)) && fault.source().is_some());
    assert!(fault.to_string().contains("number 2"), "{fault}");
}

#[test]
fn pem_without_a_certificate_is_a_fault() {
    let (_, key) = own_certificate();
    for text in ["", "plain text", &key.serialize_pem()] {
        assert!(matches!(
            certificates_from_pem(text.as_bytes()),
            Err(ConfigFault::NoCertificate)
        ));
        assert!(matches!(
            revocation_lists(text.as_bytes()),
            Err(ConfigFault::NoRevocationList)
        ));
    }
    let broken = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
    for text in [broken, "-----BEGIN CERTIFICATE-----\nAAAA\n"] {
        assert!(matches!(
            certificates_from_pem(text.as_bytes()),
            Err(ConfigFault::Pem(_))
        ));
    }
    let list = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
    for damaged in [list.as_bytes(), b"\x30\x03\x02\x01\x00"] {
        let fault = revocation_lists(damaged).unwrap_err();
        assert!(matches!(fault, ConfigFault::RevocationList(_)), "{fault}");
        assert!(fault.source().is_some());
    }
}

#[test]
fn a_key_has_to_be_that_of_its_certificate() {
    // SPEC C20
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &PKCS_ECDSA_P384_SHA384,
        &PKCS_ED25519,
    ] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = rcgen::CertificateParams::new(["client.test".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (other, _) = own_certificate();
        let (chain, pem) = (certificate.pem(), key.serialize_pem());
        let own = Key::new(chain.as_bytes(), pem.as_bytes()).unwrap();
        let client = build(|s| s.identity(own)).unwrap();
        assert!(client.config().client_auth_cert_resolver.has_certs());
        // Both in one text, with another key behind it, and in DER.
        let text = format!("{pem}{chain}{}{}", other.pem(), pem);
        assert_eq!(Key::new(text.as_bytes(), text.as_bytes()).unwrap().len(), 2);
        Key::new(certificate.der(), &key.serialize_der()).unwrap();

        let fault = Key::new(other.pem().as_bytes(), pem.as_bytes())
            .err()
            .unwrap();
        assert_eq!(
            fault.to_string(),
            "the private key does not belong to the certificate"
        );
    }
}

#[test]
fn what_is_no_key_says_so() {
    let (certificate, _) = own_certificate();
    let section = |label: &str, inside: &str| {
        format!("-----BEGIN {label}-----\n{inside}\n-----END {label}-----\n")
    };
    let old = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA";
    for (key, expected) in [
        (certificate.pem(), "no private key in the PEM text"),
        (String::new(), "no private key in the PEM text"),
        (
            section("ENCRYPTED PRIVATE KEY", "AAAA"),
            "the private key is encrypted: decrypt it first",
        ),
        (
            section("RSA PRIVATE KEY", old),
            "the private key is encrypted: decrypt it first",
        ),
        (section("PRIVATE KEY", "!!!"), "malformed PEM"),
        (
            section("PRIVATE KEY", "AAAA"),
            "unusable client certificate or private key",
        ),
        ("\x30\x01".to_owned(), "no private key in the PEM text"),
    ] {
        let fault = Key::new(certificate.pem().as_bytes(), key.as_bytes()).err();
        assert_eq!(fault.unwrap().to_string(), expected, "{key}");
    }
    assert!(matches!(private_key(b"\x30\x00"), Err(ConfigFault::NoKey)));
}
