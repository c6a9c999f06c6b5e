use url::Url;

use super::*;
use crate::auth::challenge::challenges;

fn digest(field: &[u8]) -> Result<Digest, &'static str> {
    let all = challenges(field);
    let [challenge] = &all[..] else {
        panic!("{all:?}");
    };
    Digest::read(&challenge.params)
}

struct Case {
    login: &'static str,
    password: &'static str,
    cnonce: &'static str,
    method: &'static str,
    target: &'static str,
    body: Option<&'static [u8]>,
}

impl Case {
    fn answer(&self, challenge: &str) -> Result<String, &'static str> {
        let signer = Signer {
            login: self.login,
            password: self.password,
            count: 1,
            cnonce: self.cnonce,
        };
        let mut pieces = self
            .body
            .unwrap_or_default()
            .chunks(3)
            .map(Bytes::from_static);
        let mut message = Message {
            method: self.method,
            url: &Url::parse("http://h.test/").unwrap(),
            target: self.target.as_bytes(),
            body: match self.body {
                Some(_) => Some(&mut pieces),
                None => None,
            },
        };
        let answer = digest(challenge.as_bytes())?.answer(signer, &mut message)?;
        Ok(String::from_utf8(answer).unwrap())
    }

    /// One parameter of the answer, as it stands there.
    fn param(&self, challenge: &str, name: &str) -> String {
        let answer = self.answer(challenge).unwrap();
        let params = answer.strip_prefix("Digest ").unwrap();
        let found = params.split(", ").find_map(|param| {
            let (n, value) = param.split_once('=')?;
            (n == name).then(|| value.trim_matches('"').to_owned())
        });
        found.unwrap_or_else(|| panic!("no {name} in {answer}"))
    }
}

/// RFC 7616 §3.9.1.
const MUFASA: Case = Case {
    login: "Mufasa",
    password: "Circle of Life",
    cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    method: "GET",
    target: "/dir/index.html",
    body: None,
};

const MUFASAS: &str = r#"Digest realm="http-auth@example.org",
    nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;

fn mufasas(rest: &str) -> String {
    // No line break survives in a field.
    format!("{MUFASAS}, {rest}").replace('\n', " ")
}

#[test]
fn the_examples_of_rfc_7616_come_out() {
    // SPEC A7; RFC 7616 §3.9.1
    let answer = MUFASA.answer(&mufasas(r#"qop="auth, auth-int", algorithm=SHA-256"#));
    assert_eq!(
        answer.unwrap(),
        "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", \
         nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
         uri=\"/dir/index.html\", \
         response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\", \
         algorithm=SHA-256, opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\", \
         qop=auth, nc=00000001, cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\""
    );
    let response = MUFASA.param(&mufasas("qop=auth, algorithm=MD5"), "response");
    assert_eq!(response, "8ca523f5e9506fed4657c9700eebdbec");
    // §3.9.2, with the hashes of erratum 4897.
    let doe = Case {
        login: "J\u{e4}s\u{f8}n Doe",
        password: "Secret, or not?",
        cnonce: "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
        target: "/doe.json",
        ..MUFASA
    };
    let challenge = r#"Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256,
        nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
        opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8"#
        .replace('\n', " ");
    let response = "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5";
    assert_eq!(doe.param(&challenge, "response"), response);
    assert_eq!(
        doe.param(&challenge, "username*"),
        "UTF-8''J%C3%A4s%C3%B8n%20Doe"
    );
    let hashed = format!("{challenge}, userhash=true");
    assert_eq!(doe.param(&hashed, "response"), response);
    assert_eq!(doe.param(&hashed, "userhash"), "true");
    assert_eq!(
        doe.param(&hashed, "username"),
        "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
    );
    // A server that does not say UTF-8 may not know of the extended form.
    let plain = challenge.replace("charset", "x");
    assert_eq!(doe.param(&plain, "username"), doe.login);
}

#[test]
fn the_examples_of_rfc_2617_and_2069_come_out() {
    // SPEC A7; RFC 2617 §3.5
    let case = Case {
        password: "Circle Of Life",
        cnonce: "0a4f113b",
        ..MUFASA
    };
    let challenge = r#"Digest realm="testrealm@host.com",
        nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#
        .replace('\n', " ");
    let response = case.param(&format!("{challenge}, qop=\"auth,auth-int\""), "response");
    assert_eq!(response, "6629fae49393a05397450978507c4ef1");
    // RFC 2069 §2.4 with its erratum 749: no qop, so neither count nor cnonce.
    let case = Case {
        password: "CircleOfLife",
        ..case
    };
    let answer = case.answer(&challenge).unwrap();
    assert!(answer.contains("response=\"1949323746fe6a43ef61f9606e7febea\""));
    for absent in ["qop", "nc=", "cnonce", "algorithm", "userhash"] {
        assert!(!answer.contains(absent), "{answer}");
    }
}

#[test]
fn every_algorithm_is_known_with_and_without_its_session() {
    // SPEC A7; the responses were computed by another program.
    for (name, response) in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("md5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("MD5-sess", "e783283f46242139c486a698fec7211d"),
        ("SHA", "e99f244f9069203415f7e8b7bd25b4b2ad3e2a7f"),
        ("SHA-SESS", "649077d815fe82c6a1bbc3e7330a9ec78d8f8c2c"),
        (
            "SHA-256",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
        (
            "SHA256-sess",
            "2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7",
        ),
        (
            "SHA-512-256",
            "430d05014cecc49cab6fbe03176d41a1da86cbfe24a16580e22aaad928d960d0",
        ),
        (
            "SHA-512-256-sess",
            "3f2a34f923c38b0fb26dce2fdfc2ce326c23cecf86fbb1444f3e51fbbc2cb92e",
        ),
        (
            "SHA512",
            "27d9ebedb4e86595d8b99152ce456620c8e47c48afbd771dbc4468bb758ca66e\
             7312383d49ad044219d4a2c5c218e66c584fa00b2728798bcff9435825eed0ad",
        ),
        (
            "SHA-512-sess",
            "5bc820f8c0e5cf83d5ff0a673af99c13a028be576c765c41f23d4fb46722a447\
             50a331317b0b8646d55243e0c06cbacf64cc061404459769fbedddb0ecfacc5f",
        ),
    ] {
        let challenge = mufasas(&format!("qop=auth, algorithm=\"{name}\""));
        assert_eq!(MUFASA.param(&challenge, "response"), response, "{name}");
        // The answer repeats it as it was spelled, and never in quotes.
        let answer = MUFASA.answer(&challenge).unwrap();
        assert!(answer.contains(&format!("algorithm={name}, ")), "{answer}");
    }
    // Without a qop the secret of a session has to be told all the same.
    let challenge = mufasas("algorithm=MD5-sess");
    let response = MUFASA.param(&challenge, "response");
    assert_eq!(response, "37a7f42db2090a3fcac4e26e747d4fc8");
    assert_eq!(MUFASA.param(&challenge, "cnonce"), MUFASA.cnonce);
}

#[test]
fn auth_int_signs_the_body() {
    // SPEC A7
    let case = Case {
        body: Some(b"the body"),
        ..MUFASA
    };
    for (algorithm, response) in [
        ("MD5", "ac1b8f0d57548cdc9ee94ba471b17da9"),
        (
            "SHA-256",
            "ff0784d98a40418d1b535c35a085d1916ff98eee4400a4d7ded8546e437b2dcb",
        ),
    ] {
        let challenge = mufasas(&format!("qop=\"auth-int\", algorithm={algorithm}"));
        assert_eq!(case.param(&challenge, "response"), response);
        assert_eq!(case.param(&challenge, "qop"), "auth-int");
        // A body that nobody can see cannot be signed.
        assert!(MUFASA.answer(&challenge).unwrap_err().contains("auth-int"));
    }
    for (offered, chosen) in [
        ("auth", "auth"),
        ("auth-int,auth", "auth"),
        (" crazy , AUTH-INT ", "auth-int"),
        ("crazy,\tauth", "auth"),
    ] {
        let challenge = mufasas(&format!("qop=\"{offered}\""));
        assert_eq!(case.param(&challenge, "qop"), chosen, "{offered}");
    }
}

#[test]
fn quotes_and_backslashes_go_there_and_back() {
    // SPEC A7: hashed without their escapes, sent with them.
    let case = Case {
        login: "\\user\"",
        password: "password",
        target: "/1229",
        ..MUFASA
    };
    let challenge = r#"Digest realm="testrealm", nonce="1053604145""#;
    let answer = case.answer(challenge).unwrap();
    assert!(
        answer.starts_with(r#"Digest username="\\user\"", "#),
        "{answer}"
    );
    let response = "f2694d426040712584c156d3de72b8d6";
    assert_eq!(case.param(challenge, "response"), response);
    let answer = MUFASA
        .answer(r#"Digest realm="a\"\\b", nonce="\n""#)
        .unwrap();
    assert!(answer.contains(r#"realm="a\"\\b", nonce="n""#), "{answer}");
    // Bytes that are no UTF-8 are bytes.
    let digest = digest(b"Digest realm=\"\xe4\", nonce=1").unwrap();
    assert_eq!(digest.realm, b"\xe4");
}

#[test]
fn what_cannot_be_answered_is_said() {
    // SPEC A7
    for (challenge, why) in [
        ("Digest", "realm"),
        ("Digest realm=a", "nonce"),
        ("Digest nonce=a", "realm"),
        ("Digest realm=a, nonce=\"\"", "empty"),
        ("Digest realm=a, nonce=b, algorithm=MD6", "algorithm"),
        ("Digest realm=a, nonce=b, algorithm=-sess", "algorithm"),
        ("Digest realm=a, nonce=b, qop=token", "qop"),
        ("Digest realm=a, nonce=\"b", "damaged"),
        ("Digest realm=a, @, nonce=b", "damaged"),
    ] {
        let refused = digest(challenge.as_bytes()).unwrap_err();
        assert!(refused.contains(why), "{challenge}: {refused}");
    }
    assert!(digest(b"Digest realm=\"\", nonce=b, qop=\"\"").is_ok());
}

/// Cut anywhere, a challenge is answered only where what was lost is optional.
#[test]
fn no_cut_challenge_is_answered_with_half_a_value() {
    // SPEC A7
    let whole = mufasas(r#"algorithm="SHA-256", qop="auth""#);
    let nonce = digest(whole.as_bytes()).unwrap().nonce;
    for end in "Digest ".len()..whole.len() {
        let all = challenges(&whole.as_bytes()[..end]);
        let Some(first) = all.first() else { continue };
        if let Ok(digest) = Digest::read(&first.params) {
            assert_eq!(digest.nonce, nonce, "{end}");
        }
    }
}
