//! The public test data for cookies: how lines are parsed and sent back, dates,
//! and public suffixes. The variable `MIOHTTP_CONFORMANCE` names the folder
//! that has it as `http-state/` (default: `../shared/conformance`); where there
//! is none, the tests say so and pass.

use std::path::Path;

use serde_json::Value;

use super::at;
use crate::cookie::domain::{is_public_suffix, site};
use crate::cookie::{CookieJar, date, parse};

/// Cases of 2011 that RFC 6265bis decides in another way, with the clause.
const DIFFERENT: &[(&str, &str)] = &[
    // A NUL and a CR in the value, where the cases cut the line.
    (
        "DISABLED_CHROMIUM0022",
        "§5.6 step 1: a control character, no cookie",
    ),
    (
        "DISABLED_CHROMIUM0023",
        "§5.6 step 1: a control character, no cookie",
    ),
];

fn data(name: &str) -> Option<String> {
    let folder = std::env::var_os("MIOHTTP_CONFORMANCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance"),
        Into::into,
    );
    let path = folder.join("http-state").join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            eprintln!("skipped: {}: {error}", path.display());
            None
        }
    }
}

fn list(text: &str) -> Vec<Value> {
    // One of the files begins with its licence, in comments.
    let start = text.find("\n[").map_or(0, |newline| newline + 1);
    serde_json::from_str(text.get(start..).unwrap_or_default()).expect("the data is JSON")
}

fn texts(value: &Value) -> Vec<&str> {
    let all = value.as_array().expect("a list");
    all.iter()
        .map(|text| text.as_str().expect("text"))
        .collect()
}

#[test]
fn every_parser_case() {
    // SPEC K2, K3, K4, K5, K7, K8
    let Some(text) = data("parser.json") else {
        return;
    };
    let cases = list(&text);
    assert!(cases.len() > 100);
    let mut wrong = Vec::new();
    for case in &cases {
        let name = case["test"].as_str().expect("a name");
        let base = format!(
            "http://home.example.org:8888/cookie-parser?{}",
            name.to_ascii_lowercase()
        );
        let jar = CookieJar::new();
        for line in texts(&case["received"]) {
            // Not as header values: some of the lines could be none.
            if let Some(cookie) = parse::parse(line.as_bytes(), at(0)) {
                jar.add_at(cookie, Some(&super::url(&base)), at(0));
            }
        }
        let to = match case["sent-to"].as_str() {
            Some(to) => super::url(&base).join(to).expect("a URL"),
            None => super::url("http://home.example.org:8888/cookie-parser-result"),
        };
        let header = jar.header_at(&to, at(1));
        let got = header.map_or(String::new(), |value| {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        });
        let pair = |cookie: &Value| {
            let part = |key: &str| cookie[key].as_str().expect("text").to_owned();
            format!("{}={}", part("name"), part("value"))
        };
        let sent = case["sent"].as_array().expect("a list");
        let want = sent.iter().map(pair).collect::<Vec<_>>().join("; ");
        let different = DIFFERENT.iter().find(|(case, _)| *case == name);
        match different {
            None if got != want => wrong.push(format!("{name}: {got:?}, not {want:?}")),
            Some(_) if got == want => wrong.push(format!("{name} is no exception any more")),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_date() {
    // SPEC K5
    for file in ["examples.json", "bsd-examples.json"] {
        let Some(text) = data(file) else { return };
        let cases = list(&text);
        assert!(cases.len() > 10);
        for case in &cases {
            let date = case["test"].as_str().expect("a date");
            // What is expected is a date of the one form that leaves no doubt.
            let want = case["expected"].as_str().map(|text| {
                let parsed = date::parse(text.as_bytes());
                parsed.unwrap_or_else(|| panic!("{text} is a date"))
            });
            assert_eq!(date::parse(date.as_bytes()), want, "{date}");
        }
    }
}

#[test]
fn every_public_suffix() {
    // SPEC K9
    let Some(text) = data("test_psl.txt") else {
        return;
    };
    let mut count = 0;
    for line in text.lines().filter(|line| line.starts_with("check")) {
        let inner = line
            .strip_prefix("checkPublicSuffix(")
            .and_then(|rest| rest.strip_suffix(");"))
            .expect("the form of a check");
        let (host, want) = inner.split_once(", ").expect("two arguments");
        let unquote = |text: &str| text.trim_matches('\'').to_owned();
        let want = (want != "null").then(|| ascii(&unquote(want)));
        let host = unquote(host);
        let got = match host.as_str() {
            // No host, and a host with an empty label, have none.
            "null" => None,
            host if host.starts_with('.') => None,
            host => registrable(&ascii(host)),
        };
        assert_eq!(got, want, "{line}");
        count += 1;
    }
    assert!(count > 70, "{count}");
}

/// As hosts of URLs are: in lower case and in ASCII.
fn ascii(host: &str) -> String {
    let url = super::url(&format!("http://{host}/"));
    url.host_str().expect("a host").to_owned()
}

fn registrable(host: &str) -> Option<String> {
    (!is_public_suffix(host)).then(|| site(host).to_owned())
}
