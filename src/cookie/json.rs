//! The jar's own format: everything there is to know of its cookies, as JSON.
//!
//! ```json
//! {"version": 1, "cookies": [
//!   {"name": "sid", "value": "31d4", "domain": "example.com", "host_only": false,
//!    "path": "/", "expires": 1790000000, "secure": true, "http_only": true,
//!    "same_site": "lax", "partitioned": false}
//! ]}
//! ```
//!
//! Only name and value must be there. Without a domain a cookie is shared;
//! without an expiry, in seconds since 1970, it is the session's. A name or a
//! value that is not UTF-8 stands as `name_base64`, `value_base64`. Fields that
//! are not known are passed over, another version is an error.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::netscape::at;
use super::{Cookie, SameSite, parse};
use crate::saved::Malformed;

const VERSION: u64 = 1;

const SAME_SITE: [(&str, SameSite); 3] = [
    ("strict", SameSite::Strict),
    ("lax", SameSite::Lax),
    ("none", SameSite::None),
];

/// The file for these cookies, in their order: a line for each, so that a
/// change of one is a change of one line.
pub(super) fn write(cookies: &[Cookie]) -> Vec<u8> {
    let mut file = format!("{{\"version\": {VERSION}, \"cookies\": [").into_bytes();
    for (index, cookie) in cookies.iter().enumerate() {
        file.extend_from_slice(if index == 0 { b"\n" } else { b",\n" });
        // `Display` of a `Value` is its JSON.
        file.extend(write_cookie(cookie).to_string().into_bytes());
    }
    file.extend_from_slice(b"\n]}\n");
    file
}

fn write_cookie(cookie: &Cookie) -> Value {
    let mut map = Map::new();
    put_bytes(&mut map, "name", "name_base64", &cookie.name);
    put_bytes(&mut map, "value", "value_base64", &cookie.value);
    let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
    put("domain", cookie.domain.clone().into());
    put("host_only", cookie.host_only.into());
    put("path", cookie.path.clone().into());
    let seconds = cookie.expires.map(|at| {
        let since = at.duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap_or_default().as_secs()
    });
    put("expires", seconds.into());
    put("secure", cookie.secure.into());
    put("http_only", cookie.http_only.into());
    let same_site = SAME_SITE
        .iter()
        .find(|(_, of)| cookie.same_site == Some(*of))
        .map(|(word, _)| *word);
    put("same_site", same_site.into());
    put("partitioned", cookie.partitioned.into());
    map.into()
}

fn put_bytes(map: &mut Map<String, Value>, key: &str, coded: &str, bytes: &[u8]) {
    match str::from_utf8(bytes) {
        Ok(text) => map.insert(key.to_owned(), text.into()),
        Err(_) => map.insert(coded.to_owned(), STANDARD.encode(bytes).into()),
    };
}

/// The cookies of a file. What it says of them, nobody has checked yet.
pub(super) fn read(file: &[u8]) -> Result<Vec<Cookie>, Malformed> {
    // The parser's own words may repeat what stands there, so only its line is
    // told.
    let root: Value = serde_json::from_slice(file)
        .map_err(|error| Malformed::at(error.line(), "it is not JSON"))?;
    if root.get("version").and_then(Value::as_u64) != Some(VERSION) {
        return Err(Malformed::whole("it is not of version 1 of this format"));
    }
    let cookies = root.get("cookies").and_then(Value::as_array);
    let cookies = cookies.ok_or(Malformed::whole("it has no list of cookies"))?;
    cookies
        .iter()
        .map(|cookie| read_cookie(cookie).map_err(Malformed::whole))
        .collect()
}

fn read_cookie(value: &Value) -> Result<Cookie, &'static str> {
    let map = value.as_object().ok_or("a cookie is not an object")?;
    let name = bytes(map, "name", "name_base64")?;
    let value = bytes(map, "value", "value_base64")?;
    if !parse::is_valid_pair(&name, &value) {
        return Err("no header can carry the name and value of a cookie");
    }
    let mut cookie = Cookie::from_pair(name, value);
    if let Some(domain) = text(map, "domain")? {
        let domain = domain.strip_prefix('.').unwrap_or(domain);
        cookie.domain = Some(domain.to_ascii_lowercase());
    }
    cookie.host_only = flag(map, "host_only")?;
    if cookie.domain.as_deref().unwrap_or("-").is_empty()
        || (cookie.host_only && cookie.domain.is_none())
    {
        return Err("a cookie is for one host and does not name it");
    }
    if let Some(path) = text(map, "path")? {
        // The tab is the one that a Set-Cookie line may have there.
        if !path.starts_with('/') || path.contains(|c: char| c.is_ascii_control() && c != '\t') {
            return Err("the path of a cookie begins with no slash, or has a control character");
        }
        cookie.path = Some(path.to_owned());
    }
    cookie.expires = match map.get("expires") {
        None | Some(Value::Null) => None,
        Some(seconds) => Some(at(seconds
            .as_u64()
            .ok_or("the expiry of a cookie is not a number of seconds")?)),
    };
    cookie.secure = flag(map, "secure")?;
    cookie.http_only = flag(map, "http_only")?;
    cookie.partitioned = flag(map, "partitioned")?;
    cookie.same_site = match text(map, "same_site")? {
        None => None,
        Some(word) => {
            let known = SAME_SITE.iter().find(|(known, _)| *known == word);
            Some(known.ok_or("the same_site of a cookie is not known")?.1)
        }
    };
    Ok(cookie)
}

/// Text, or base64 under the other key.
fn bytes(map: &Map<String, Value>, key: &str, coded: &str) -> Result<Vec<u8>, &'static str> {
    if let Some(text) = text(map, key)? {
        return Ok(text.as_bytes().to_vec());
    }
    let coded = text(map, coded)?.ok_or("a cookie has no name or no value")?;
    STANDARD
        .decode(coded)
        .map_err(|_| "a cookie's name or value is not base64")
}

fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>, &'static str> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err("a field of a cookie is not text where it should be"),
    }
}

fn flag(map: &Map<String, Value>, key: &str) -> Result<bool, &'static str> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err("a flag of a cookie is neither true nor false"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_comes_back() {
        // SPEC K10
        let now = at(1_700_000_000);
        let lines: [&[u8]; 4] = [
            b"a=1; Domain=example.com; Path=/x; Max-Age=60; Secure; HttpOnly; SameSite=Lax",
            b"b=\"q\\\"\xc3\xa9\"; Partitioned; SameSite=None",
            b"\xff=\x80\xfe",
            b"c=; Path=/\xc3\xa9; SameSite=Strict",
        ];
        let mut cookies: Vec<Cookie> = lines
            .iter()
            .map(|line| parse::parse(line, now).unwrap())
            .collect();
        cookies[0].host_only = true;
        assert_eq!(read(&write(&cookies)).unwrap(), cookies);
        assert!(read(&write(&[])).unwrap().is_empty());
    }

    #[test]
    fn little_is_demanded() {
        // SPEC K10
        let file = br#"{"version": 1, "more": [], "cookies": [
            {"name": "a", "value": "", "domain": ".Example.com", "colour": "red"}]}"#;
        let cookie = read(file).unwrap().remove(0);
        assert_eq!(cookie.domain(), Some("example.com"));
        assert_eq!((cookie.path(), cookie.expires()), (None, None));
        assert!(!cookie.host_only() && !cookie.secure());
    }

    #[test]
    fn malformed_files() {
        // SPEC K10
        let cut = write(&[Cookie::from_pair(b"a".to_vec(), b"1".to_vec())]);
        for end in 0..cut.len() - 2 {
            let fault = read(&cut[..end]).unwrap_err();
            assert!(fault.line.is_some(), "{end}");
        }
        for cookie in [
            r#"[]"#,
            r#"{"name": "a"}"#,
            r#"{"value": "a"}"#,
            r#"{"name": 1, "value": ""}"#,
            r#"{"name": "", "value": ""}"#,
            r#"{"name": "a", "value": "x\r\ny: z"}"#,
            r#"{"name": "a", "value": ";"}"#,
            r#"{"name": "a", "value_base64": "%"}"#,
            r#"{"name": "a", "value_base64": "DQo="}"#,
            r#"{"name": "a", "value": "", "domain": ""}"#,
            r#"{"name": "a", "value": "", "host_only": true}"#,
            r#"{"name": "a", "value": "", "path": "x"}"#,
            r#"{"name": "a", "value": "", "path": "/\nx"}"#,
            r#"{"name": "a", "value": "", "expires": "soon"}"#,
            r#"{"name": "a", "value": "", "expires": -1}"#,
            r#"{"name": "a", "value": "", "secure": 1}"#,
            r#"{"name": "a", "value": "", "same_site": "sometimes"}"#,
        ] {
            let file = format!("{{\"version\": 1, \"cookies\": [{cookie}]}}");
            assert!(read(file.as_bytes()).is_err(), "{cookie}");
        }
        for file in [
            "[]",
            "{}",
            r#"{"version": 2, "cookies": []}"#,
            r#"{"version": 1}"#,
        ] {
            assert!(read(file.as_bytes()).is_err(), "{file}");
        }
        let deep = "[".repeat(100_000);
        assert!(read(deep.as_bytes()).is_err());
    }
}
