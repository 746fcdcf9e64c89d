use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::client::http;
use super::request::REPLY_MAX;

/// Posts bytes to one address that has nothing to do with feedback. It is bound to the thread that made it, because
/// awc's client is.
pub struct Poster {
    http: awc::Client,
    url: String,
    content_type: &'static str,
    timeout: Duration,
}

impl Poster {
    /// A request may take `timeout`, from connecting to the last byte of the response.
    pub fn new(url: String, content_type: &'static str, timeout: Duration) -> Self {
        // One request at a time.
        let http = http(timeout, 1);
        Self { http, url, content_type, timeout }
    }

    /// Posts with these headers.
    ///
    /// # Errors
    /// Why it was not taken, in words: no response in time, or a status that is no success.
    pub async fn post(
        &self,
        headers: &[(String, SecretString)],
        body: Vec<u8>,
    ) -> Result<(), String> {
        let posted = tokio::time::timeout(self.timeout, self.exchange(headers, body)).await;
        posted.unwrap_or_else(|_| Err("no response in time".to_owned()))
    }

    async fn exchange(
        &self,
        headers: &[(String, SecretString)],
        body: Vec<u8>,
    ) -> Result<(), String> {
        let mut request = self.http.post(&self.url).content_type(self.content_type);
        for (name, value) in headers {
            request = request.insert_header((name.as_str(), value.expose_secret()));
        }
        let mut response = request.send_body(body).await.map_err(|error| error.to_string())?;
        // What it says does not matter.
        let _ = response.body().limit(REPLY_MAX).await;
        let status = response.status();
        if status.is_success() { Ok(()) } else { Err(format!("the response is {status}")) }
    }
}
