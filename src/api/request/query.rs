//! What is added to the URL's query.

use url::{Position, form_urlencoded};

use super::RequestBuilder;
#[cfg(feature = "json")]
use crate::api::pairs;
use crate::call::escape_target;
use crate::error::Error;

impl RequestBuilder {
    /// Adds `name=value`, encoded, behind the URL's own query (SPEC Q3). A
    /// redirect does not take it along.
    pub fn query_pair(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let mut pair = form_urlencoded::Serializer::new(String::new());
        pair.append_pair(name.as_ref(), value.as_ref());
        self.append(&pair.finish());
        self
    }

    /// Adds pairs, a map or a struct, encoded, behind the URL's own query
    /// (SPEC Q3). A value is text, a number or a truth value; a list of these
    /// stands for a pair each, and nothing (`None`) for no pair. A redirect does
    /// not take any of it along.
    ///
    /// What is something else, a map as a value for one, is an error at the
    /// verb.
    ///
    /// ```
    /// let session = miohttp::Session::new();
    /// let request = session
    ///     .get("http://example.com/")
    ///     .query(&[("page", 2), ("size", 50)])
    ///     .query(&[("tag", ["new", "cheap"])]);
    /// # drop(request);
    /// ```
    #[cfg(feature = "json")]
    pub fn query(mut self, pairs: &(impl serde_core::Serialize + ?Sized)) -> Self {
        match pairs::encode(pairs) {
            Ok(query) => self.append(&query),
            Err(error) => {
                let mistake = Error::invalid_request("the query cannot be encoded");
                return self.mistaken(mistake.with_source(error));
            }
        }
        self
    }

    /// Adds this behind the URL's own query as it is, where a server wants
    /// another encoding than the usual one (SPEC Q3). Only what no request line
    /// can hold is percent-encoded: spaces and control characters, `#`, and what
    /// is not ASCII, as UTF-8. CR, LF and NUL are an error at the verb
    /// (SPEC H9). A redirect does not take it along.
    ///
    /// [`Response::url`](crate::Response::url) shows the query as the URL
    /// standard spells it, which may differ.
    ///
    /// ```
    /// let session = miohttp::Session::new();
    /// // Sent as `GET /find?a='b'|c`.
    /// let request = session.get("http://example.com/find").raw_query("a='b'|c");
    /// # drop(request);
    /// ```
    pub fn raw_query(mut self, query: impl AsRef<str>) -> Self {
        let query = query.as_ref();
        if query.contains(['\r', '\n', '\0']) {
            let mistake = Error::invalid_request("the query contains what may not be sent");
            return self.mistaken(mistake);
        }
        if let Ok(url) = &self.url
            && !query.is_empty()
        {
            let target = &url[Position::BeforePath..Position::AfterQuery];
            let target = target.to_owned();
            self.extra().target.get_or_insert(target);
        }
        self.append(query);
        self
    }

    /// Appends to the URL, and to the target in its stead.
    fn append(&mut self, query: &str) {
        let Ok(url) = &mut self.url else {
            return;
        };
        if query.is_empty() {
            return;
        }
        if let Some(extra) = &mut self.extra
            && let Some(target) = &mut extra.target
        {
            match url.query() {
                None => target.push('?'),
                Some("") => {}
                Some(_) => target.push('&'),
            }
            escape_target(query, target);
        }
        match url.query() {
            None | Some("") => url.set_query(Some(query)),
            Some(own) => {
                let all = format!("{own}&{query}");
                url.set_query(Some(&all));
            }
        }
    }
}
