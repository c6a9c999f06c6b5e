//! Which settings may share a connection: those that are the very same, and no
//! others, whatever they say (SPEC P1).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};

use super::*;
use crate::head::Fields;
use crate::job::{PoolKey, Route, Via};
use crate::tls::Client;

/// What the setters are given.
struct Material {
    identities: [(String, String); 2],
    lists: [String; 2],
    /// Holds a certificate.
    file: PathBuf,
    log: PathBuf,
}

impl Material {
    fn new() -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/support/keys");
        let log = format!("miohttp-keys-{}", std::process::id());
        Self {
            identities: [(); 2].map(|()| {
                let made = rcgen::generate_simple_self_signed(["client.test".to_owned()]);
                let made = made.unwrap();
                (made.cert.pem(), made.signing_key.serialize_pem())
            }),
            lists: [1, 2].map(revocation_list),
            file: folder.join("p521_cert.pem"),
            log: std::env::temp_dir().join(log),
        }
    }
}

impl Drop for Material {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.log);
    }
}

fn revocation_list(number: u64) -> String {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::CrlSign];
    let issuer = Issuer::new(params, KeyPair::generate().unwrap());
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2020, 1, 2),
        next_update: date_time_ymd(4000, 1, 1),
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(&issuer).unwrap().pem().unwrap()
}

type Setter = fn(TlsConfig, &mut Dice, &Material) -> TlsConfig;

/// Every setter by its name, with values that it may well have already.
const SETTERS: &[(&str, Setter)] = &[
    ("add_root_pem", |tls, dice, with| {
        let (chain, _) = dice.of(&with.identities);
        tls.add_root_pem(chain.as_bytes()).unwrap()
    }),
    ("add_root_der", |tls, dice, with| {
        let (chain, _) = dice.of(&with.identities);
        let der = certificates_from_pem(chain.as_bytes()).unwrap();
        tls.add_root_der(&der[0]).unwrap()
    }),
    ("add_root_file", |tls, _, with| {
        tls.add_root_file(&with.file).unwrap()
    }),
    ("builtin_roots", |tls, dice, _| {
        tls.builtin_roots(dice.coin())
    }),
    ("identity", |tls, dice, with| {
        let (chain, key) = dice.of(&with.identities);
        tls.identity(&Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap())
    }),
    ("identity_pem", |tls, dice, with| {
        let (chain, key) = dice.of(&with.identities);
        tls.identity_pem(chain.as_bytes(), key.as_bytes()).unwrap()
    }),
    ("pin", |tls, dice, _| {
        let digest = dice.digest();
        tls.pin(match dice.coin() {
            true => Pin::Certificate(digest),
            false => Pin::Spki(digest),
        })
    }),
    ("pin_sha256", |tls, dice, _| tls.pin_sha256(dice.digest())),
    ("pin_spki_sha256", |tls, dice, _| {
        tls.pin_spki_sha256(dice.digest())
    }),
    ("min_version", |tls, dice, _| {
        tls.min_version(*dice.of(&[TlsVersion::V12, TlsVersion::V13]))
    }),
    ("max_version", |tls, dice, _| {
        tls.max_version(*dice.of(&[TlsVersion::V12, TlsVersion::V13]))
    }),
    ("sni", |tls, dice, _| tls.sni(dice.coin())),
    ("resumption", |tls, dice, _| tls.resumption(dice.coin())),
    ("danger_accept_invalid_certs", |tls, dice, _| {
        tls.danger_accept_invalid_certs(dice.coin())
    }),
    ("danger_accept_invalid_hostnames", |tls, dice, _| {
        tls.danger_accept_invalid_hostnames(dice.coin())
    }),
    ("danger_pins_only", |tls, dice, _| {
        tls.danger_pins_only(dice.coin())
    }),
    ("alpn", |tls, dice, _| {
        let lists: [&[&str]; 3] = [&["http/1.1"], &[], &["x", "http/1.1"]];
        tls.alpn(*dice.of(&lists))
    }),
    ("add_crl", |tls, dice, with| {
        tls.add_crl(dice.of(&with.lists).as_bytes()).unwrap()
    }),
    ("crl_leaf_only", |tls, dice, _| {
        tls.crl_leaf_only(dice.coin())
    }),
    ("crl_allow_unknown", |tls, dice, _| {
        tls.crl_allow_unknown(dice.coin())
    }),
    ("crl_allow_expired", |tls, dice, _| {
        tls.crl_allow_expired(dice.coin())
    }),
    ("key_log_file", |tls, _, with| tls.key_log_file(&with.log)),
    #[cfg(feature = "platform-verifier")]
    ("platform_verifier", |tls, dice, _| {
        tls.platform_verifier(dice.coin())
    }),
    #[cfg(feature = "aws-lc-rs")]
    ("provider", |tls, dice, _| {
        use crate::CryptoProvider::{AwsLcRs, Ring};
        tls.provider(*dice.of(&[AwsLcRs, Ring]))
    }),
];

/// Not in the table: what may be a file of the user's own, and the setters of features
/// that this build may be without.
const OTHERS: [&str; 3] = ["key_log_from_env", "platform_verifier", "provider"];

#[test]
fn no_setter_is_forgotten_here() {
    let source = [include_str!("mod.rs"), include_str!("rare.rs")].concat();
    let mut names: Vec<&str> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub fn ")?.split_once("(self"))
        .map(|(name, _)| name.split('<').next().unwrap_or(name))
        .collect();
    assert!(names.contains(&"alpn") && names.contains(&"pin"));
    names.retain(|name| !SETTERS.iter().any(|(other, _)| other == name));
    names.retain(|name| !OTHERS.contains(name));
    assert!(names.is_empty(), "{names:?}");
}

/// Numbers without a pattern (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    fn of<'a, T>(&mut self, these: &'a [T]) -> &'a T {
        &these[self.below(these.len())]
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn digest(&mut self) -> [u8; 32] {
        *self.of(&[[1; 32], [2; 32]])
    }
}

/// Settings, with what was done to them and a number that clones alone share.
#[derive(Clone)]
struct Made {
    tls: TlsConfig,
    said: String,
    number: usize,
}

fn made() -> Vec<Made> {
    let (mut dice, with) = (Dice(11), Material::new());
    let prepared = || {
        let client = Client::build(&Settings::default()).unwrap();
        Arc::clone(client.config())
    };
    let shared = prepared();
    let beginnings = [
        TlsConfig::new(),
        TlsConfig::default(),
        // The same configuration twice is two, too, and another a third.
        TlsConfig::from_rustls(Arc::clone(&shared)),
        TlsConfig::from_rustls(shared),
        TlsConfig::from_rustls(prepared()),
    ];
    let mut all = Vec::new();
    let mut add = |tls, said| {
        let number = all.len();
        let one = Made { tls, said, number };
        all.push(one.clone());
        one
    };
    for tls in beginnings {
        add(tls, "as it is".to_owned());
    }
    // Each setter alone, twice over, and many of them together.
    let alone = SETTERS.iter().chain(SETTERS).map(|setter| vec![setter]);
    let alone: Vec<_> = alone.collect();
    let together = (0..200).map(|_| {
        let count = 2 + dice.below(4);
        (0..count).map(|_| dice.of(SETTERS)).collect::<Vec<_>>()
    });
    let together: Vec<_> = together.collect();
    let mut copies = Vec::new();
    for setters in alone.into_iter().chain(together) {
        let mut tls = TlsConfig::new();
        let mut said = String::new();
        for (name, set) in setters {
            // Some are made of settings that are somebody else's as well, or were.
            match dice.below(3) {
                0 => drop(add(tls.clone(), format!("{said} (before {name})"))),
                1 => drop(tls.source().client()),
                _ => {}
            }
            tls = set(tls, &mut dice, &with);
            said = format!("{said}.{name}");
        }
        let one = add(tls, said);
        if dice.coin() {
            copies.push(one);
        }
    }
    all.extend(copies);
    // The log is open from here on, or never.
    for one in &all {
        one.tls.source().prepare();
    }
    all
}

fn hash(key: &PoolKey) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn settings_share_with_their_clones_and_with_nobody_else() {
    // SPEC P1, C20, C21
    let made = made();
    let tunnel = || Via::Connect {
        fields: Fields::default(),
        login: None,
    };
    // Straight to a server, behind a proxy, and to the proxy itself.
    let keys = |client: &Client| {
        let some = || Some(client.clone());
        let to_proxy = |via| Route::new("p.test", 443, some(), via);
        let plain = Route::new("p.test", 80, None, tunnel());
        [
            PoolKey::new("a.test", 443, some()),
            PoolKey::for_server("a.test", 443, some(), Some("b.test")),
            PoolKey::routed("a.test", 443, some(), None, plain),
            PoolKey::routed("a.test", 80, None, None, to_proxy(tunnel())),
            PoolKey::routed("a.test", 80, None, None, to_proxy(Via::Forward)),
        ]
    };
    // Some contradict themselves, and open nothing.
    let usable: Vec<_> = made
        .iter()
        .filter_map(|one| Some((one, keys(&one.tls.source().client().ok()?))))
        .collect();
    let (mut equal, mut different) = (0, 0);
    for (number, (one, keys)) in usable.iter().enumerate() {
        for (other, others) in &usable[number..] {
            let same = one.number == other.number;
            let count = if same { &mut equal } else { &mut different };
            *count += 1;
            for (key, other_key) in keys.iter().zip(others) {
                let what = || format!("{} and {}", one.said, other.said);
                assert_eq!(key == other_key, same, "{}", what());
                assert_eq!(other_key == key, same, "{}", what());
                assert!(!same || hash(key) == hash(other_key), "{}", what());
            }
        }
    }
    let copies = equal - usable.len();
    assert!(
        usable.len() > 200 && copies > 50 && different > 20_000,
        "{} with {copies} copies",
        usable.len()
    );
}
