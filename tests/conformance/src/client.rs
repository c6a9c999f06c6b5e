//! The job, done: one session, its requests in their order.

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use miohttp::{
    Auth, BasicAuth, Body, Connector, Cookie, CookieJar, DigestAuth, Form, HeaderName, HeaderValue,
    Method, Netrc, NoProxy, Part, Proxy, RedirectPolicy, RequestBuilder, Session, Url, Version,
};
use serde_json::{Value, json};

use crate::job::{
    Credentials, Job, Number, Override, Preloaded, Request, from_bytes, to_bytes, to_text,
};
use crate::outcome;

pub fn run(job: &Job) -> Result<Value, Box<dyn Error>> {
    let jar = job.cookies.then(|| jar(job));
    let targets: Vec<Target> = job.requests.iter().map(|r| Target::new(job, r)).collect();
    let mut wallet = Wallet::default();
    let session = session(job, &targets, jar.clone(), &mut wallet)?;
    let mut results = Vec::new();
    for target in &targets {
        results.push(match build(&session, job, target, &mut wallet)?.send() {
            Ok(response) => outcome::of_response(response),
            Err(error) => outcome::of_error(&error),
        });
    }
    let mut answer = json!({ "results": results });
    if let Some(jar) = jar {
        answer["cookies"] = jar.all().iter().map(cookie).collect();
    }
    Ok(answer)
}

/// A request with the URL it is made to.
struct Target<'a> {
    request: &'a Request,
    url: String,
    overrides: Vec<Override>,
}

impl<'a> Target<'a> {
    /// The recorded client looks for cookies under an explicit `Host`, miohttp
    /// under the URL's host. So what such a job asks for, one server that is
    /// spoken to as another, is said with the URL and a resolver here.
    fn new(job: &Job, request: &'a Request) -> Self {
        let mut target = Self {
            request,
            url: to_text(&request.url),
            overrides: request.resolve.clone(),
        };
        let is_host = |header: &&(String, String)| header.0.eq_ignore_ascii_case("host");
        if let (true, Some(host), Ok(mut url)) = (
            job.cookies,
            request.headers.iter().find(is_host),
            Url::parse(&target.url),
        ) {
            let address = url.host_str().unwrap_or_default().to_owned();
            let port = url.port_or_known_default().unwrap_or_default();
            let name = host.1.split(':').next().unwrap_or_default();
            if url.set_host(Some(name)).is_ok() {
                let port = Number::Number(port);
                let entry = Override(name.to_owned(), port.clone(), address, port);
                target.overrides.push(entry);
                target.url = url.into();
            }
        }
        target
    }
}

fn session(
    job: &Job,
    targets: &[Target<'_>],
    jar: Option<CookieJar>,
    wallet: &mut Wallet,
) -> Result<Session, Box<dyn Error>> {
    let mut connector = Connector::builder();
    for entry in targets.iter().flat_map(|target| &target.overrides) {
        let address = entry.2.trim_matches(['[', ']']).parse()?;
        let to = SocketAddr::new(address, entry.3.port().unwrap_or_default());
        connector = connector.host_override(&entry.0, entry.1.port(), [to]);
    }
    let mut builder = Session::builder().connector(connector.build());
    if let Some(proxy) = proxy(job, wallet)? {
        builder = builder.proxy(proxy);
    }
    // For another scheme, `login` below looks there.
    let is_basic = |request: &Request| request.other_scheme().is_none();
    if let (Some(path), true) = (&job.netrc, job.requests.iter().all(is_basic)) {
        builder = builder.netrc(to_text(path));
    }
    let builder = match jar {
        Some(jar) => builder.cookie_jar(jar),
        None => builder.no_cookies(),
    };
    Ok(builder.build())
}

/// The proxy that the job names, or what the environment says of proxies.
fn proxy(job: &Job, wallet: &mut Wallet) -> Result<Option<Proxy>, Box<dyn Error>> {
    let mut proxy = match &job.proxy {
        Some(url) if !url.is_empty() => Proxy::all(to_text(url))?,
        _ if job.trust_env => Proxy::from_env(),
        _ => return Ok(None),
    };
    if let Some(credentials) = &job.proxy_auth {
        proxy = proxy.auth(wallet.auth(credentials));
    }
    if let Some(hosts) = &job.no_proxy {
        proxy = proxy.no_proxy(NoProxy::parse(hosts)?);
    }
    Ok(Some(proxy.tunnel(job.proxy_tunnel)))
}

/// As the recorded client has it: IP hosts have cookies, and loopback is as
/// good as encrypted.
fn jar(job: &Job) -> CookieJar {
    let mut builder = CookieJar::builder().allow_ip_hosts(true);
    for request in &job.requests {
        let Ok(url) = Url::parse(&to_text(&request.url)) else {
            continue;
        };
        if url.host_str() == Some("localhost") {
            builder = builder.treat_as_secure_origin(&url);
        }
    }
    let jar = builder.build();
    for preloaded in &job.cookie_preload {
        add(&jar, preloaded);
    }
    jar
}

fn add(jar: &CookieJar, preloaded: &Preloaded) {
    let mut line = to_bytes(&format!("{}={}", preloaded.name, preloaded.value));
    line.extend(to_bytes(&format!("; Path={}", preloaded.path)));
    let domain = preloaded.domain.trim_start_matches('.');
    if !preloaded.host_only {
        line.extend(to_bytes(&format!("; Domain={domain}")));
    }
    if preloaded.secure {
        line.extend_from_slice(b"; Secure");
    }
    if preloaded.http_only {
        line.extend_from_slice(b"; HttpOnly");
    }
    match preloaded.expires.parse::<u64>() {
        Ok(0) | Err(_) => {}
        Ok(at) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let left = at.saturating_sub(now.unwrap_or_default().as_secs());
            line.extend(format!("; Max-Age={left}").into_bytes());
        }
    }
    // A jar takes a Secure cookie from an encrypted host only.
    let origin = Url::parse(&format!("https://{domain}/"));
    if let (Some(cookie), Ok(origin)) = (Cookie::parse(&line), origin) {
        jar.add(cookie, Some(&origin));
    }
}

fn cookie(cookie: &Cookie) -> Value {
    let expires = cookie
        .expires()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_secs());
    json!({
        "domain": cookie.domain(),
        "path": cookie.path(),
        "secure": cookie.secure(),
        "name": from_bytes(cookie.name()),
        "value": from_bytes(cookie.value()),
        "expires": expires,
    })
}

fn build(
    session: &Session,
    job: &Job,
    target: &Target<'_>,
    wallet: &mut Wallet,
) -> Result<RequestBuilder, Box<dyn Error>> {
    let request = target.request;
    let method = Method::from_bytes(request.method.as_bytes())?;
    let (url, login) = login(job, target)?;
    let mut builder = session.request(method, url);
    builder = builder
        .redirects(redirects(request))
        .auto_decompress(request.decompress)
        .timeout(Duration::from_secs_f64(
            request.timeout.unwrap_or(job.timeout),
        ));
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(&to_bytes(name))?;
        builder = builder.header(name, HeaderValue::from_bytes(&to_bytes(value))?);
    }
    if let Some(body) = &request.body_base64 {
        let body = Body::bytes(STANDARD.decode(body)?);
        builder = builder.body(body);
    }
    if !request.form.is_empty() {
        builder = builder.multipart(form(request)?);
    }
    if let Some(content_type) = &request.content_type {
        builder = builder.header("content-type", content_type.as_str());
    }
    if request.chunked {
        builder = builder.header("transfer-encoding", "chunked");
    }
    if let Some(credentials) = request.auth.as_ref().or(login.as_ref()) {
        builder = builder.auth(wallet.auth(credentials));
    }
    if request.http_version.as_deref() == Some("1.0") {
        builder = builder.version(Version::HTTP_10);
    }
    Ok(builder)
}

fn redirects(request: &Request) -> RedirectPolicy {
    if !request.follow_redirects {
        return RedirectPolicy::None;
    }
    RedirectPolicy::Limit(u32::try_from(request.max_redirects).unwrap_or(u32::MAX))
}

/// The fields of a form; what has no type of its own goes without one, too.
fn form(request: &Request) -> Result<Form, Box<dyn Error>> {
    let mut form = Form::new();
    for field in &request.form {
        let value = STANDARD.decode(&field.value_base64)?;
        let mut part = Part::bytes(value);
        if let Some(name) = &field.filename {
            part = part.file_name(to_text(name));
        }
        if let Some(content_type) = &field.content_type {
            part = part.content_type(content_type);
        }
        form = form.part(to_text(&field.name), part);
    }
    Ok(form)
}

/// The login in the URL or in the netrc file, where it is for another scheme
/// than Basic, which both mean in miohttp; and the URL without it.
fn login(job: &Job, target: &Target<'_>) -> Result<(String, Option<Credentials>), Box<dyn Error>> {
    let mut url = target.url.clone();
    let (Some(scheme), Ok(mut parsed)) = (target.request.other_scheme(), Url::parse(&url)) else {
        return Ok((url, None));
    };
    let mut found = BasicAuth::from_url(&parsed);
    if found.is_some() {
        // No host has neither, and then there was nothing to find.
        let _ = parsed.set_username("");
        let _ = parsed.set_password(None);
        url = parsed.into();
    } else if let (Some(path), Some(host)) = (&job.netrc, parsed.host_str()) {
        found = Netrc::load(to_text(path))?.find(host);
    }
    let credentials = found.map(|basic| Credentials {
        scheme: scheme.to_owned(),
        user: basic.login().to_owned(),
        password: basic.password().to_owned(),
    });
    Ok((url, credentials))
}

/// Credentials of the job, each of them one value however often it is used:
/// they remember what a server has asked for.
#[derive(Default)]
struct Wallet(HashMap<[String; 3], Auth>);

impl Wallet {
    fn auth(&mut self, credentials: &Credentials) -> Auth {
        let (user, password) = (to_text(&credentials.user), to_text(&credentials.password));
        let key = [&credentials.scheme, &user, &password].map(Clone::clone);
        let make = || match credentials.scheme.as_str() {
            // The recorded client asks anew with each request, and sends the body
            // once it knows how to sign it.
            "digest" => DigestAuth::new(user, password)
                .preemptive(false)
                .ask_first(true)
                .into(),
            "any" => Auth::any(user, password),
            _ => Auth::basic(user, password),
        };
        self.0.entry(key).or_insert_with(make).clone()
    }
}
