//! Configuration only; what it does to a handshake is tested beside the session.

use super::*;

fn own_certificate() -> (rcgen::Certificate, rcgen::KeyPair) {
    let made = rcgen::generate_simple_self_signed(vec!["client.test".to_owned()]).unwrap();
    (made.cert, made.signing_key)
}

#[test]
fn defaults_verify_and_offer_http_1_1() {
    // SPEC C20, S24
    let client = Client::build(&Settings::default()).unwrap();
    assert_eq!(client.config().alpn_protocols, [b"http/1.1".to_vec()]);
    assert!(client.config().enable_sni);
    assert!(!client.config().client_auth_cert_resolver.has_certs());
}

#[test]
fn switches_reach_the_configuration() {
    let client = Client::build(&Settings {
        sni: false,
        alpn: false,
        ..Settings::default()
    })
    .unwrap();
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
fn nothing_to_trust_is_a_fault() {
    let mut settings = Settings {
        builtin_roots: false,
        ..Settings::default()
    };
    assert!(matches!(
        Client::build(&settings),
        Err(ConfigFault::NoRoots)
    ));
    settings.verify = false;
    assert!(Client::build(&settings).is_ok());
}

#[test]
fn unparsable_root_is_a_fault() {
    let settings = Settings {
        extra_roots: vec![CertificateDer::from(b"not DER".to_vec())],
        ..Settings::default()
    };
    let fault = Client::build(&settings).unwrap_err();
    assert!(matches!(fault, ConfigFault::Root(_)));
    assert!(fault.source().is_some());
}

#[test]
fn pem_gives_every_certificate() {
    let (first, _) = own_certificate();
    let (second, key) = own_certificate();
    let text = format!("{}{}{}", first.pem(), key.serialize_pem(), second.pem());
    let found = certificates_from_pem(text.as_bytes()).unwrap();
    assert_eq!(found, [first.der().clone(), second.der().clone()]);
}

#[test]
fn pem_around_no_certificate_is_a_fault() {
    let (good, _) = own_certificate();
    let text = format!(
        "{}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        good.pem()
    );
    let fault = certificates_from_pem(text.as_bytes()).unwrap_err();
    assert!(matches!(fault, ConfigFault::Root(_)) && fault.source().is_some());
}

#[test]
fn pem_without_a_certificate_is_a_fault() {
    let (_, key) = own_certificate();
    for text in ["", "plain text", &key.serialize_pem()] {
        assert!(matches!(
            certificates_from_pem(text.as_bytes()),
            Err(ConfigFault::NoCertificate)
        ));
    }
    let broken = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
    for text in [broken, "-----BEGIN CERTIFICATE-----\nAAAA\n"] {
        assert!(matches!(
            certificates_from_pem(text.as_bytes()),
            Err(ConfigFault::Pem(_))
        ));
    }
}
