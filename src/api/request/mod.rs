//! A request being put together.

mod again;
mod charset;
mod compress;
mod options;
mod query;
#[cfg(feature = "websocket")]
mod websocket;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Version};
use url::Url;

pub(crate) use self::again::Configure;
use super::body::Driver;
use super::form::Form;
use super::pending::{Pending, wait_on};
use super::response::Response;
use super::send::Send;
use super::session::Session;
use super::upload::Body;
use crate::call::{Auth, Call, Extra, Request, RequestBody, Settings, TlsSource};
use crate::error::{Error, without_credentials};
use crate::handoff::slot::slot;
use crate::head::Fields;
use crate::job::ExchangeId;

/// A request being put together; [`send`](RequestBuilder::send) makes it.
///
/// Setters never fail; what is wrong comes out at the verb, as an error of
/// kind [`InvalidUrl`](crate::Kind::InvalidUrl) or
/// [`InvalidRequest`](crate::Kind::InvalidRequest). What is set here goes
/// before what the session has.
///
/// ```no_run
/// use std::time::Duration;
///
/// let session = miohttp::Session::new();
/// let response = session
///     .get("http://example.com/search")
///     .query_pair("q", "blocking http")
///     .header("accept-language", "en")
///     .timeout(Duration::from_secs(10))
///     .send()?;
/// # drop(response);
/// # Ok::<(), miohttp::Error>(())
/// ```
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    session: Session,
    method: Method,
    url: Result<Url, Error>,
    fields: Fields,
    body: Option<RequestBody>,
    auth: Option<Auth>,
    extra: Option<Box<Extra>>,
    /// Its own, once something is set here; the session's until then.
    settings: Option<Arc<Settings>>,
    tls: Option<TlsSource>,
    /// The first mistake; the verb reports it.
    mistake: Option<Error>,
}

impl RequestBuilder {
    pub(super) fn new(
        session: Session,
        method: Method,
        url: Result<Url, Error>,
        settings: Option<Arc<Settings>>,
    ) -> Self {
        Self {
            session,
            method,
            url,
            fields: Fields::default(),
            body: None,
            auth: None,
            extra: None,
            settings,
            tls: None,
            mistake: None,
        }
    }

    /// A mistake where it is none.
    pub(super) fn with_method(
        mut self,
        method: impl TryInto<Method, Error: Into<http::Error>>,
    ) -> Self {
        match method.try_into() {
            Ok(method) => self.method = standard(method),
            Err(error) => {
                let mistake = Error::invalid_request("the method is not a token");
                return self.mistaken(mistake.with_source(error.into()));
            }
        }
        self
    }

    /// Adds a header. It replaces the session's default of that name; repeats
    /// in one request are all sent (SPEC S4). CR, LF and NUL are refused
    /// (SPEC H9).
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        let Ok(name) = name.try_into() else {
            return self.mistaken(Error::invalid_request("a header name is not a token"));
        };
        match value.try_into() {
            Ok(value) => self.fields.append(name, value),
            Err(_) => {
                let message = format!("the value of header {name} contains what may not be sent");
                return self.mistaken(Error::invalid_request(message));
            }
        }
        self
    }

    /// Adds headers, repeats included (SPEC Q6).
    pub fn headers(mut self, headers: &HeaderMap) -> Self {
        for (name, value) in headers {
            self.fields.append(name.clone(), value.clone());
        }
        self
    }

    /// The request body. A request has one: a second, by this or by `json`, is
    /// an error at the verb (SPEC Q5).
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.with_body(body.into())
    }

    /// A form as `multipart/form-data`, whatever is in it (SPEC Q4, F2). With
    /// another body beside it the request is an error. A `Content-Type` header
    /// of the request would go before the form's own, without which no server
    /// can read it.
    ///
    /// ```no_run
    /// use miohttp::{Form, Session};
    ///
    /// let form = Form::new().text("title", "Rome").file("photo", "IMG_0042.jpeg");
    /// Session::new().post("http://example.com/album").multipart(form).send()?;
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn multipart(self, form: Form) -> Self {
        self.with_body(form.into_multipart())
    }

    /// Pairs, a map or a struct as `application/x-www-form-urlencoded`
    /// (SPEC Q4, B3): what [`query`](Self::query) takes, in a body. With another
    /// body beside it the request is an error. For files see
    /// [`multipart`](Self::multipart), and [`Body::form`] where nothing is
    /// serialized.
    ///
    /// ```
    /// let session = miohttp::Session::new();
    /// let login = [("user", "ada"), ("password", "hunter2")];
    /// let request = session.post("http://example.com/login").form(&login);
    /// # drop(request);
    /// ```
    #[cfg(feature = "json")]
    pub fn form(self, pairs: &(impl serde_core::Serialize + ?Sized)) -> Self {
        match crate::api::pairs::encode(pairs) {
            Ok(text) => self.with_body(Body::urlencoded(text)),
            Err(error) => {
                let mistake = Error::invalid_request("the form cannot be encoded");
                self.mistaken(mistake.with_source(error))
            }
        }
    }

    /// A JSON body, sent as `application/json`. With another body beside it the
    /// request is an error (SPEC Q5).
    ///
    /// ```no_run
    /// use std::collections::HashMap;
    ///
    /// let session = miohttp::Session::new();
    /// let order = HashMap::from([("tea", 2), ("milk", 1)]);
    /// let answer: HashMap<String, u32> =
    ///     session.post("http://example.com/orders").json(&order).send()?.json()?;
    /// # drop(answer);
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    #[cfg(feature = "json")]
    pub fn json(self, value: &(impl serde_core::Serialize + ?Sized)) -> Self {
        let written = match self.session.json_serializer() {
            None => serde_json::to_vec(value).map_err(Into::into),
            Some(write) => serde_json::to_value(value)
                .map_err(Into::into)
                .and_then(|value| write(&value)),
        };
        match written {
            Ok(json) => self.with_body(Body::typed(bytes::Bytes::from(json), "application/json")),
            Err(error) => {
                let mistake = Error::invalid_request("the JSON body cannot be serialized");
                self.mistaken(mistake.with_source(error))
            }
        }
    }

    fn with_body(mut self, body: Body) -> Self {
        if self.body.is_some() {
            return self.mistaken(Error::invalid_request("a request has one body"));
        }
        match body.into_request_body() {
            Ok(body) => self.body = Some(body),
            Err(mistake) => return self.mistaken(mistake),
        }
        self
    }

    /// Sends the request and blocks until the response head is there, redirects
    /// followed. Meanwhile this thread drives its connection by itself where
    /// that can be ([`caller_drives`](crate::ConnectorBuilder::caller_drives)).
    ///
    /// ```no_run
    /// use miohttp::Kind;
    ///
    /// match miohttp::Session::new().get("http://example.com/").send() {
    ///     Ok(response) => println!("{}", response.status()),
    ///     Err(error) if error.kind() == Kind::Dns => eprintln!("no such host: {error:#}"),
    ///     Err(error) => eprintln!("{error:#}"),
    /// }
    /// ```
    ///
    /// # Errors
    /// Any [`Kind`](crate::Kind) but those of bodies.
    pub fn send(self) -> Result<Response, Error> {
        wait_on(&mut self.begin(Driver::Caller)?)
    }

    /// Sends the request and returns at once. It makes progress by itself,
    /// redirects included, whether or not anybody waits.
    pub fn start_send(self) -> Pending<Response> {
        match self.begin(Driver::Reactor) {
            Ok(send) => Pending::new(send),
            Err(error) => Pending::failed(error),
        }
    }

    /// The one constructor of both verbs. They differ in who drives.
    fn begin(self, driver: Driver) -> Result<Send, Error> {
        self.session.usable()?;
        let settings = self.settings();
        let (version, compress) = (settings.version, settings.compress);
        let reading = settings.reading;
        let url = self.url?;
        if let Some(mistake) = self.mistake {
            return Err(mistake.with_url(&url));
        }
        if !matches!(version, Version::HTTP_11 | Version::HTTP_10) {
            let message = format!("{version:?} cannot be spoken");
            return Err(Error::invalid_request(message).with_url(&url));
        }
        let mut request = Request {
            method: self.method,
            url,
            fields: self.fields,
            body: self.body,
            auth: self.auth,
            extra: self.extra,
        };
        request
            .take_userinfo(self.session.context())
            .map_err(|error| error.with_url(&request.url))?;
        // S4: a name the request brings replaces the session's, repeats and all.
        request.fields.append_missing(self.session.fields());
        // A0: the session's come last, and yield to any other.
        if request.auth.is_none() && !request.fields.contains("authorization") {
            request.auth = self.session.auth_for(&request.url).cloned();
            request.find_auth(self.session.context());
        }
        charset::encode(&mut request).map_err(|error| error.with_url(&request.url))?;
        if let Some(compress) = compress {
            (compress.apply)(compress.encoding, &mut request, version)
                .map_err(|error| error.with_url(&request.url))?;
        }

        let connector = self.session.connector();
        let context = self.session.context().clone();
        let (sender, receiver) = slot();
        let now = Instant::now();
        let call = Call::new(request, self.settings, context, self.tls, now, sender);
        let is_waited = call.is_waited();
        let exchange = call.into_exchange().map_err(|(_, error)| error)?;
        let id = ExchangeId::next();
        let leased = match driver {
            Driver::Caller => connector.carry(id, exchange, now)?,
            Driver::Reactor => {
                connector.start(id, exchange)?;
                false
            }
        };
        Ok(Send::new(
            receiver,
            self.session,
            id,
            reading,
            driver,
            leased,
            is_waited,
        ))
    }

    fn settings(&self) -> &Settings {
        let own = self.settings.as_ref();
        self.session.context().settings_or(own)
    }

    fn set(&mut self) -> &mut Settings {
        let session = &self.session;
        let own = &mut self.settings;
        Settings::of_request(own.get_or_insert_with(|| session.context().settings().clone()))
    }

    fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    pub(super) fn mistaken(mut self, mistake: Error) -> Self {
        self.mistake.get_or_insert(mistake);
        self
    }
}

/// SPEC Q1: a method that is known everywhere, as it is written everywhere.
fn standard(method: Method) -> Method {
    const STANDARD: [Method; 9] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
        Method::CONNECT,
    ];
    let is_it = |known: &Method| known.as_str().eq_ignore_ascii_case(method.as_str());
    STANDARD.into_iter().find(is_it).unwrap_or(method)
}

/// With the feature `async`: awaiting a request sends it.
#[cfg(feature = "async")]
impl IntoFuture for RequestBuilder {
    type Output = Result<Response, Error>;
    type IntoFuture = Pending<Response>;

    fn into_future(self) -> Pending<Response> {
        self.start_send()
    }
}

impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder")
            .field("method", &self.method)
            .field(
                "url",
                &self
                    .url
                    .as_ref()
                    .ok()
                    .map(without_credentials)
                    .map(String::from),
            )
            .finish_non_exhaustive()
    }
}
