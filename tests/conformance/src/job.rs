//! The job, as the protocol has it. Text in it is latin-1: each character is
//! one byte.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(default)]
pub struct Job {
    pub timeout: f64,
    pub cookies: bool,
    pub cookie_preload: Vec<Preloaded>,
    pub proxy: Option<String>,
    pub proxy_auth: Option<Credentials>,
    pub proxy_tunnel: bool,
    /// Hosts without a proxy, in place of what the environment says of them.
    pub no_proxy: Option<String>,
    pub trust_env: bool,
    pub netrc: Option<String>,
    pub requests: Vec<Request>,
}

impl Default for Job {
    fn default() -> Self {
        Self {
            timeout: 8.0,
            cookies: false,
            cookie_preload: Vec::new(),
            proxy: None,
            proxy_auth: None,
            proxy_tunnel: false,
            no_proxy: None,
            trust_env: false,
            netrc: None,
            requests: Vec::new(),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Preloaded {
    pub name: String,
    pub value: String,
    pub domain: String,
    pub host_only: bool,
    pub path: String,
    pub secure: bool,
    pub http_only: bool,
    /// Seconds since 1970; "0" is a session cookie.
    pub expires: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Credentials {
    #[serde(rename = "type")]
    pub scheme: String,
    pub user: String,
    pub password: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body_base64: Option<String>,
    pub content_type: Option<String>,
    pub chunked: bool,
    pub form: Vec<Field>,
    pub follow_redirects: bool,
    /// -1 is without a limit.
    pub max_redirects: i64,
    pub decompress: bool,
    pub auth: Option<Credentials>,
    pub auth_type_for_url_userinfo: Option<String>,
    pub cookies: Vec<(String, String)>,
    pub resolve: Vec<Override>,
    pub http_version: Option<String>,
    pub path_as_is: bool,
    pub timeout: Option<f64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Field {
    pub name: String,
    pub value_base64: String,
    pub filename: Option<String>,
    pub content_type: Option<String>,
}

/// Host, port, address and port to connect to; the first two may be `*`.
#[derive(Deserialize, Clone, Debug)]
pub struct Override(pub String, pub Number, pub String, pub Number);

/// A port, which comes as a number or as text.
#[derive(Deserialize, Clone, Debug)]
#[serde(untagged)]
pub enum Number {
    Number(u16),
    Text(String),
}

impl Number {
    /// `None` for `*`.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Number(port) => Some(*port),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

impl Job {
    /// What of the job miohttp has no means for.
    pub fn unsupported(&self) -> Option<&'static str> {
        let as_is = self.requests.iter().any(|request| request.path_as_is);
        as_is.then_some("a path that is not normalised")
    }
}

impl Request {
    /// What a login in the URL or in the netrc file is for, if not for Basic.
    pub fn other_scheme(&self) -> Option<&str> {
        let scheme = self.auth_type_for_url_userinfo.as_deref();
        scheme.filter(|scheme| *scheme != "basic")
    }
}

/// The bytes that the characters of a job's text stand for.
pub fn to_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for char in text.chars() {
        match u8::try_from(char) {
            Ok(byte) => bytes.push(byte),
            // Outside of the protocol; UTF-8 is the likeliest meaning.
            Err(_) => bytes.extend(char.to_string().into_bytes()),
        }
    }
    bytes
}

/// The text of those bytes, where an interface wants text: UTF-8 if they are.
pub fn to_text(text: &str) -> String {
    String::from_utf8(to_bytes(text)).unwrap_or_else(|_| text.to_owned())
}

/// The way back: one character for each byte.
pub fn from_bytes(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}
