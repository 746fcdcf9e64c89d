//! Sends a signed request to a source and prints the response.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use awc::Connector;
use awc::http::Method as HttpMethod;

use super::Failure;
use super::payload::Payload;
use crate::destination;

/// Longer than a sender waits.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Prints status, the service's own headers and the body.
///
/// # Errors
/// There is no response, or it is not one to a webhook that is stored.
pub(super) fn post(signed: Payload, url: &str) -> Result<(), Failure> {
    actix_web::rt::System::new().block_on(async {
        let connector = Connector::new().rustls_0_23(Arc::new(destination::tls())).timeout(TIMEOUT);
        let client = awc::Client::builder()
            .connector(connector)
            .disable_redirects()
            .timeout(TIMEOUT)
            .finish();
        let method = signed.method.name().parse::<HttpMethod>().expect("a known method");
        let mut request = client.request(method, url);
        for (name, value) in &signed.headers {
            request = request.append_header((name.as_str(), value.as_str()));
        }
        let sent = request.send_body(signed.body).await;
        let mut response = sent.map_err(|error| anyhow!("cannot post to {url}: {error}"))?;
        let body = response.body().await.context("reading the response")?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", response.status())?;
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        for name in ["Postcall-Submission", "Postcall-Outcome", "Retry-After"] {
            if let Some(value) = header(name) {
                writeln!(out, "{name}: {value}")?;
            }
        }
        writeln!(out, "\n{}", String::from_utf8_lossy(&body).trim_end())?;
        let is_kept = response.status().is_success() && header("Postcall-Submission").is_some();
        // The printed response says why not.
        if is_kept { Ok(()) } else { Err(Failure::Printed(1)) }
    })
}
