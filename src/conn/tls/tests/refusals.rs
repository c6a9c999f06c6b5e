//! How a session fails: certificates, names, garbage, forgeries, alerts.

use rustls::server::WebPkiClientVerifier;
use rustls::{AlertDescription, RootCertStore};

use super::*;
use crate::error::Kind;

#[test]
fn eof_during_the_handshake() {
    let mut session = TlsSession::new(&client(|_| {}), HOST).unwrap();
    session.queue_close_notify(); // nothing to say yet
    let fault = session.eof().unwrap_err();
    assert!(matches!(fault, TlsFault::Closed));
    assert_eq!(fault.to_string(), "closed during the TLS handshake");
    let again = session.process(&mut BytesMut::new(), NO_LIMIT);
    assert!(matches!(again, Err(TlsFault::Closed)));
}

fn refused(client: &Client, server: ServerConfig, name: &str) -> TlsFault {
    let mut pair = Pair::with_name(client, &Arc::new(server), name);
    let fault = pair.exchange().unwrap_err();
    // The alert goes out, and the server hears it.
    let mut alert = pair.session.outgoing();
    assert!(!alert.is_empty(), "{fault:?}");
    pair.server.read_tls(&mut alert).unwrap();
    let heard = pair.server.process_new_packets().unwrap_err();
    assert!(
        matches!(heard, rustls::Error::AlertReceived(_)),
        "{heard:?}"
    );
    fault
}

#[test]
fn bad_certificates_are_told_apart_from_other_faults() {
    // SPEC C20
    for (version, _) in BOTH_VERSIONS {
        let known = client(|s| only(s, version));
        let strange = client(|s| {
            only(s, version);
            s.extra_roots.clear();
            s.builtin_roots = true;
        });
        let expired = certificate(&[HOST], |p| p.not_after = rcgen::date_time_ymd(2001, 1, 1));
        let good = || server_config(certificate(&[HOST], |_| {}));
        for fault in [
            refused(&strange, good(), HOST),
            refused(&known, good(), "other.test"),
            refused(&known, good(), "127.0.0.1"),
            refused(&known, server_config(expired), HOST),
        ] {
            let error = fault.into_error();
            assert_eq!(error.kind(), Kind::Certificate, "{error:?}");
            assert!(std::error::Error::source(&error).is_some());
        }
    }
}

#[test]
fn verification_off_accepts_any_certificate_and_name() {
    // SPEC C20
    let expired = certificate(&["elsewhere.test"], |p| {
        p.not_after = rcgen::date_time_ymd(2001, 1, 1);
    });
    let server = Arc::new(server_config(expired));
    for (version, _) in BOTH_VERSIONS {
        let lenient = client(|s| {
            s.extra_roots.clear();
            s.verify(false);
            only(s, version);
        });
        Pair::connected(&lenient, &server);
    }
}

#[test]
fn a_server_that_wants_a_client_certificate_refuses_by_alert() {
    let mut roots = RootCertStore::empty();
    roots.add(authority().root.clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![certificate(&[HOST], |_| {})], server_key())
        .unwrap();
    let server = Arc::new(config);

    // TLS 1.3 refuses only after our side has finished: an alert, not our complaint.
    let fault = Pair::new(&client(|_| {}), &server).exchange().unwrap_err();
    assert!(matches!(
        fault,
        TlsFault::Alert(AlertDescription::CertificateRequired)
    ));
    assert_eq!(fault.into_error().kind(), Kind::Tls);
}

#[test]
fn addresses_are_names_too() {
    let server = plain_server();
    for name in ["127.0.0.1", "::1", "server.test.", "SERVER.test"] {
        let mut pair = Pair::with_name(&client(|_| {}), &server, name);
        pair.exchange().unwrap();
        assert!(!pair.session.is_handshaking(), "{name}");
    }
    for name in [
        "",
        ".",
        "a b",
        "[::1]",
        "ex\u{e4}mple.test",
        "a..b",
        "fe80::1%eth0",
    ] {
        let fault = TlsSession::new(&client(|_| {}), name).unwrap_err();
        assert!(
            matches!(&fault, TlsFault::BadName(bad) if bad == name),
            "{name}"
        );
    }
}

#[test]
fn garbage_instead_of_tls() {
    for garbage in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"\x16\x03\x03\xff\xff too long a record",
        b"\x16\x03\x03\x00\x00",
        b"\x17\x03\x03\x00\x05hello",
        &[0; 64],
        &[0xff; 64],
    ] {
        for step in [1, 7, 1000] {
            let mut session = TlsSession::new(&client(|_| {}), HOST).unwrap();
            let mut plain = BytesMut::new();
            let fault = deliver(&mut session, garbage, &mut plain, step).unwrap_err();
            assert!(
                matches!(fault, TlsFault::Handshake(_)),
                "{garbage:?}: {fault:?}"
            );
            assert!(session.process(&mut plain, NO_LIMIT).is_err());
            assert!(session.encrypt(b"x", NO_LIMIT).is_err());
            assert!(session.eof().is_err());
            assert!(!session.has_buffered());
        }
    }
}

#[test]
fn every_flipped_byte_of_the_flight_is_survived() {
    // Any result but a finished handshake or a hang will do, and no panic.
    let known = client(|s| s.resumption = false);
    let server = plain_server();
    let mut at = 0;
    loop {
        let mut pair = Pair::new(&known, &server);
        pair.flush();
        let mut wire = pair.server_output();
        // The records' version field is never looked at (RFC 8446 §5.1).
        let versions = version_offsets(&wire);
        let Some(byte) = wire.get_mut(at) else { break };
        *byte ^= 0x41;
        let result = deliver(&mut pair.session, &wire, &mut pair.plain, NO_LIMIT);
        let finished = result.is_ok() && !pair.session.is_handshaking();
        assert!(!finished || versions.contains(&at), "at {at}");
        assert!(pair.plain.is_empty());
        at += 1;
    }
    assert!(at > 500);
}

fn version_offsets(wire: &[u8]) -> Vec<usize> {
    let mut offsets = Vec::new();
    let mut start = 0;
    while let Some(&[_, _, _, high, low]) = wire.get(start..start + HEADER) {
        offsets.extend([start + 1, start + 2]);
        start += HEADER + usize::from(u16::from_be_bytes([high, low]));
    }
    offsets
}

#[test]
fn forged_record_is_fatal_and_alerted() {
    let mut pair = Pair::connected(&client(|_| {}), &plain_server());
    let mut wire = pair.server_sends(b"good");
    let mut forged = pair.server_sends(b"forged");
    *forged.last_mut().unwrap() ^= 1;
    wire.extend(forged);
    let fault = deliver(&mut pair.session, &wire, &mut pair.plain, NO_LIMIT).unwrap_err();
    assert!(matches!(
        fault,
        TlsFault::Record(rustls::Error::DecryptError)
    ));
    // What came before it was genuine.
    assert_eq!(pair.plain, &b"good"[..]);
    let again = pair.session.process(&mut pair.plain, NO_LIMIT);
    assert!(matches!(again, Err(TlsFault::Record(_))));
    let mut alert = pair.session.outgoing();
    pair.server.read_tls(&mut alert).unwrap();
    let heard = pair.server.process_new_packets();
    let expected = rustls::Error::AlertReceived(AlertDescription::BadRecordMac);
    assert_eq!(heard.unwrap_err(), expected);
}

#[test]
fn alert_of_the_server() {
    // No protocol in common (RFC 7301 §3.2).
    let mut config = server_config(certificate(&[HOST], |_| {}));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let server = Arc::new(config);
    let fault = Pair::new(&client(|_| {}), &server).exchange().unwrap_err();
    assert!(matches!(
        fault,
        TlsFault::Alert(AlertDescription::NoApplicationProtocol)
    ));
    let pair = Pair::connected(&client(|s| s.alpn.clear()), &server);
    assert_eq!(pair.session.connection.alpn_protocol(), None);
}

#[test]
fn a_protocol_that_is_not_spoken_ends_the_handshake() {
    // SPEC C20: RFC 7301 lets a server choose from what was offered, and a caller may
    // offer anything.
    for (version, _) in BOTH_VERSIONS {
        for (offered, refused) in [("h2", true), ("h3-29", true), ("x-amzn-http-ca", false)] {
            let mut config = server_config(certificate(&[HOST], |_| {}));
            config.alpn_protocols = vec![offered.as_bytes().to_vec()];
            let client = client(|s| {
                only(s, version);
                s.alpn = vec![offered.as_bytes().to_vec(), b"http/1.1".to_vec()];
            });
            let mut pair = Pair::new(&client, &Arc::new(config));
            match pair.exchange() {
                Ok(()) => assert!(!refused, "{offered}"),
                Err(fault) => {
                    assert!(refused, "{offered}");
                    let expected =
                        format!("the server chose \"{offered}\" by ALPN, which is not spoken here");
                    assert_eq!(fault.to_string(), expected);
                    assert!(pair.session.encrypt(b"GET", NO_LIMIT).is_err());
                }
            }
        }
    }
}

#[test]
fn connections_to_one_server_share_its_certificates() {
    // SPEC R9
    let (client, server) = (client(|_| {}), plain_server());
    let infos = [(); 3].map(|()| Pair::connected(&client, &server).session.info().unwrap());
    assert!(infos[1].is_resumed());
    for info in &infos {
        let first = &infos[0];
        let same = Arc::ptr_eq(&info.peer_certificates, &first.peer_certificates);
        assert!(same && info.peer_certificates().len() == 1);
        assert_eq!(info.cipher_suite(), "TLS_AES_256_GCM_SHA384");
        assert_eq!(info.key_exchange(), Some("x25519"));
    }
}

#[test]
fn handshake_flood_is_bounded() {
    // A 60 KiB Certificate promised and then sent in records of one byte each: every one
    // has to be kept until the message is whole.
    let mut pair = Pair::new(&client(|s| only(s, TlsVersion::V12)), &plain_server());
    pair.flush();
    let flight = pair.server_output();
    let hello = 5 + usize::from(u16::from_be_bytes([flight[3], flight[4]]));
    // In TLS 1.2 the ServerHello is a message of its own length; the rest is dropped.
    let message = 4 + usize::from(u16::from_be_bytes([flight[7], flight[8]]));
    let mut wire = vec![22, 3, 3, (message >> 8) as u8, message as u8];
    wire.extend(&flight[5..(5 + message).min(hello)]);
    deliver(&mut pair.session, &wire, &mut pair.plain, NO_LIMIT).unwrap();
    wire.clear();
    for byte in [11, 0, 0xf0, 0].into_iter().chain([0; 40_000]) {
        wire.extend([22, 3, 3, 0, 1, byte]);
    }
    let mut fed = 0;
    let fault = wire.chunks(4096).find_map(|piece| {
        fed += piece.len();
        deliver(&mut pair.session, piece, &mut pair.plain, NO_LIMIT).err()
    });
    assert!(matches!(fault, Some(TlsFault::Handshake(_))), "{fault:?}");
    assert!(fed > MAX_INBOUND && fed <= MAX_INBOUND + 2 * 4096);
}
