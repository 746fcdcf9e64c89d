use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use awc::error::SendRequestError;
use awc::http::{StatusCode, header};
use awc::{ClientRequest, Connector};
use futures_util::StreamExt;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::DeskError;
use crate::destination;
use crate::domain::Name;
use crate::submission::SubmissionId;
use crate::triage::{
    Accounts, ApiProblem, DiscardPage, Discarded, Discarding, Erased, Erasing, Exporting, Format,
    Holding, Listed, Paging, ReplayPage, Replayed, Replaying, Resumed, Shown, ShownAccount,
    ShownTotals, Sought,
};

/// A door that is there answers at once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Until an answer begins: a page of a replay waits for the disk, and for hooks before it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Most of an answer, in bytes: one submission with the bodies of a few hundred hooks.
const ANSWER_MAX: usize = 64 * 1024 * 1024;

/// A running service, behind the API on its private door.
pub(in crate::cli) struct Service {
    http: awc::Client,
    /// Of its private door, without a slash at the end.
    root: String,
    token: Option<SecretString>,
}

impl Service {
    pub fn at(root: &str, token: Option<SecretString>) -> anyhow::Result<Self> {
        let root = root.trim_end_matches('/').to_owned();
        if !root.starts_with("http://") && !root.starts_with("https://") {
            return Err(anyhow!(
                "{root:?} is no address of a service: write it as http://127.0.0.1:9090"
            ));
        }
        let connector = Connector::new()
            .rustls_0_23(Arc::new(destination::tls()))
            .timeout(CONNECT_TIMEOUT)
            .handshake_timeout(CONNECT_TIMEOUT);
        let http = awc::Client::builder()
            .connector(connector)
            .disable_redirects()
            .timeout(ANSWER_TIMEOUT)
            .finish();
        Ok(Self { http, root, token })
    }

    pub async fn list(&self, sought: &Sought, paging: &Paging) -> Result<Listed, DeskError> {
        let query = [pairs(sought), pairs(paging)].concat();
        self.get("submissions", &query).await
    }

    pub async fn show(&self, id: SubmissionId) -> Result<Shown, DeskError> {
        self.get(&format!("submissions/{id}"), &[]).await
    }

    pub async fn replay_one(
        &self,
        id: SubmissionId,
        how: Replaying,
    ) -> Result<Replayed, DeskError> {
        self.post(&format!("submissions/{id}/replay"), &how).await
    }

    pub async fn replay(&self, page: &ReplayPage) -> Result<Replayed, DeskError> {
        self.post("replay", page).await
    }

    pub async fn discard_one(
        &self,
        id: SubmissionId,
        how: &Discarding,
    ) -> Result<Discarded, DeskError> {
        self.post(&format!("submissions/{id}/discard"), how).await
    }

    pub async fn discard(&self, page: &DiscardPage) -> Result<Discarded, DeskError> {
        self.post("discard", page).await
    }

    pub async fn erase(&self, whom: &Erasing) -> Result<Erased, DeskError> {
        self.post("erase", whom).await
    }

    pub async fn export(
        &self,
        sought: &Sought,
        format: Format,
        out: &mut impl Write,
    ) -> Result<(), DeskError> {
        let query = [pairs(sought), pairs(&Exporting { format })].concat();
        let mut answer = self.answer(self.asked("export", &query)?, None).await?;
        while let Some(part) = answer.next().await {
            let part = part.map_err(|error| anyhow!("the export broke off: {error}"))?;
            out.write_all(&part).map_err(anyhow::Error::from)?;
        }
        Ok(())
    }

    pub async fn accounts(&self) -> Result<Accounts, DeskError> {
        self.get("accounts", &[]).await
    }

    pub async fn hold(&self, account: &Name, why: &Holding) -> Result<ShownAccount, DeskError> {
        self.post(&format!("accounts/{account}/hold"), why).await
    }

    pub async fn resume(&self, account: &Name) -> Result<Resumed, DeskError> {
        self.post(&format!("accounts/{account}/resume"), &serde_json::json!({})).await
    }

    pub async fn totals(&self) -> Result<ShownTotals, DeskError> {
        self.get("totals", &[]).await
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(String, String)],
    ) -> Result<T, DeskError> {
        self.read(self.answer(self.asked(path, query)?, None).await?).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        said: &impl Serialize,
    ) -> Result<T, DeskError> {
        let body = serde_json::to_string(said).context("writing what is wanted")?;
        let request = self.http.post(self.url(path)).content_type("application/json");
        self.read(self.answer(request, Some(body)).await?).await
    }

    fn asked(&self, path: &str, query: &[(String, String)]) -> anyhow::Result<ClientRequest> {
        self.http.get(self.url(path)).query(&query).context("writing what is sought")
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.root)
    }

    /// One that says yes.
    async fn answer(
        &self,
        request: ClientRequest,
        body: Option<String>,
    ) -> Result<Answer, DeskError> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        };
        let sent = match body {
            Some(body) => request.send_body(body).await,
            None => request.send().await,
        };
        let answer = sent.map_err(|error| match error {
            SendRequestError::Connect(error) => anyhow!(
                "no service answers at {}: {error}; say --service URL, or --ledger FILE where it does \
                 not run",
                self.root
            ),
            error => anyhow!("asking {}: {error}", self.root),
        })?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(self.refusal(answer).await)
    }

    async fn read<T: DeserializeOwned>(&self, mut answer: Answer) -> Result<T, DeskError> {
        let read = answer.json().limit(ANSWER_MAX).await;
        Ok(read.map_err(|error| anyhow!("{} answers what is not understood: {error}", self.root))?)
    }

    /// Why it says no, in its own words where it has some.
    async fn refusal(&self, mut answer: Answer) -> DeskError {
        let status = answer.status();
        let wait = answer
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| Some(Duration::from_secs(value.to_str().ok()?.trim().parse().ok()?)));
        let Ok(problem) = answer.json::<ApiProblem>().await else {
            return anyhow!("{} answers {status}, and is no Postcall of this release", self.root)
                .into();
        };
        let ApiProblem { title, detail, .. } = problem;
        match status {
            StatusCode::TOO_MANY_REQUESTS => {
                DeskError::TooSoon { wait: wait.unwrap_or(Duration::from_secs(1)) }
            }
            StatusCode::NOT_FOUND | StatusCode::CONFLICT => DeskError::Refused(detail),
            StatusCode::UNAUTHORIZED => {
                anyhow!("{}: {detail}; --token-file names the file that holds the token", self.root)
                    .into()
            }
            _ => anyhow!("{}: {title}: {detail}", self.root).into(),
        }
    }
}

type Answer = awc::ClientResponse;

/// What is set of it, as a query says it.
fn pairs(said: &impl Serialize) -> Vec<(String, String)> {
    let Ok(Value::Object(said)) = serde_json::to_value(said) else { return Vec::new() };
    let text = |value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    said.into_iter().map(|(key, value)| (key, text(value))).collect()
}
