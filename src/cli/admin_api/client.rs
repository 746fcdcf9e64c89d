use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result as Anyhow, anyhow};
use async_trait::async_trait;
use awc::error::SendRequestError;
use awc::http::{StatusCode, header};
use awc::{ClientRequest, Connector};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::admin::{
    AccountList, AccountView, AdminApi, AdminError, ApiProblem, BulkDiscardRequest,
    BulkReplayRequest, DiscardResult, EraseResult, Paging, QuarantineDrop, QuarantineDropped,
    QuarantineList, QuarantineRetried, QuarantineRetry, QuarantinedDetail, RejectionList,
    ReplayRequest, ReplayResult, Result, ResumeResult, SubmissionDetailView, SubmissionPage,
    SubmissionQuery, SurveyList,
};
use crate::destination;
use crate::domain::{CallUuid, Name};
use crate::submission::{StateCounts, SubmissionId};

/// A listener that is there accepts at once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Until a response begins: a page of a replay waits for the disk, and for webhooks before it.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

/// Most bytes of a response: one submission with the bodies of a few hundred webhooks.
const RESPONSE_MAX: usize = 64 * 1024 * 1024;

/// The operator actions of a running service, through the API on its admin listener.
pub(in crate::cli) struct Client {
    http: awc::Client,
    /// URL of its admin listener, without a slash at the end.
    root: String,
    token: Option<SecretString>,
}

type Response = awc::ClientResponse;

impl Client {
    pub fn new(root: &str, token: Option<SecretString>) -> Anyhow<Self> {
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
            .timeout(RESPONSE_TIMEOUT)
            .finish();
        Ok(Self { http, root, token })
    }

    pub async fn rejections(&self) -> Result<RejectionList> {
        self.get("rejections", Vec::new()).await
    }

    pub async fn quarantine(&self) -> Result<QuarantineList> {
        self.get("quarantine", Vec::new()).await
    }

    pub async fn quarantined(&self, id: Uuid) -> Result<QuarantinedDetail> {
        self.get(&format!("quarantine/{id}"), Vec::new()).await
    }

    pub async fn retry_quarantine(&self, request: &QuarantineRetry) -> Result<QuarantineRetried> {
        self.post("quarantine/retry", request).await
    }

    pub async fn drop_quarantine(&self, request: &QuarantineDrop) -> Result<QuarantineDropped> {
        self.post("quarantine/drop", request).await
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: Vec<(String, String)>,
    ) -> Result<T> {
        let request = self.http.get(self.url(path)).query(&query);
        let request = request.map_err(|error| AdminError::Service(error.to_string()))?;
        self.read(self.signed(request).send().await).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.read(self.signed(self.http.post(self.url(path))).send_json(body).await).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.root)
    }

    fn signed(&self, request: ClientRequest) -> ClientRequest {
        match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        }
    }

    async fn read<T: DeserializeOwned>(
        &self,
        sent: std::result::Result<Response, SendRequestError>,
    ) -> Result<T> {
        let root = &self.root;
        let mut response = sent.map_err(|error| {
            AdminError::Service(match error {
                SendRequestError::Connect(error) => format!(
                    "no service answers at {root}: {error}; say --admin-url URL, or --store FILE \
                     where it does not run"
                ),
                error => format!("asking {root}: {error}"),
            })
        })?;
        if !response.status().is_success() {
            return Err(self.problem(response).await);
        }
        response.json().limit(RESPONSE_MAX).await.map_err(|error| {
            AdminError::Service(format!("{root} answers what is not understood: {error}"))
        })
    }

    /// The error that the service answered with.
    async fn problem(&self, mut response: Response) -> AdminError {
        let (root, status) = (&self.root, response.status());
        let wait = response
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| Some(Duration::from_secs(value.to_str().ok()?.trim().parse().ok()?)));
        let Ok(ApiProblem { title, detail, .. }) = response.json().await else {
            let answer = format!("{root} answers {status}, and is no Postcall of this release");
            return AdminError::Service(answer);
        };
        match status {
            StatusCode::TOO_MANY_REQUESTS => {
                AdminError::TooSoon { wait: wait.unwrap_or(Duration::from_secs(1)) }
            }
            StatusCode::BAD_REQUEST => AdminError::Invalid(detail),
            StatusCode::NOT_FOUND => AdminError::NotFound(detail),
            StatusCode::CONFLICT => AdminError::Conflict(detail),
            StatusCode::UNAUTHORIZED => AdminError::Service(format!(
                "{root}: {detail}; --token-file names the file that holds the token"
            )),
            _ => AdminError::Service(format!("{root}: {title}: {detail}")),
        }
    }
}

#[async_trait(?Send)]
impl AdminApi for Client {
    async fn list(&self, query: &SubmissionQuery, paging: &Paging) -> Result<SubmissionPage> {
        self.get("submissions", [pairs(query), pairs(paging)].concat()).await
    }

    async fn show(&self, id: SubmissionId) -> Result<SubmissionDetailView> {
        self.get(&format!("submissions/{id}"), Vec::new()).await
    }

    async fn replay_one(&self, id: SubmissionId, options: ReplayRequest) -> Result<ReplayResult> {
        self.post(&format!("submissions/{id}/replay"), &options).await
    }

    async fn replay(&self, request: &BulkReplayRequest) -> Result<ReplayResult> {
        self.post("replay", request).await
    }

    async fn discard_one(&self, id: SubmissionId, comment: &str) -> Result<DiscardResult> {
        self.post(&format!("submissions/{id}/discard"), &json!({ "reason": comment })).await
    }

    async fn discard(&self, request: &BulkDiscardRequest) -> Result<DiscardResult> {
        self.post("discard", request).await
    }

    async fn erase(&self, call: &CallUuid) -> Result<EraseResult> {
        self.post("erase", &json!({ "call": call.as_str() })).await
    }

    async fn accounts(&self) -> Result<AccountList> {
        self.get("accounts", Vec::new()).await
    }

    async fn pause(&self, account: &Name, comment: &str) -> Result<AccountView> {
        self.post(&format!("accounts/{account}/pause"), &json!({ "reason": comment })).await
    }

    async fn resume(&self, account: &Name) -> Result<ResumeResult> {
        self.post(&format!("accounts/{account}/resume"), &json!({})).await
    }

    async fn surveys(&self) -> Result<SurveyList> {
        self.get("surveys", Vec::new()).await
    }

    async fn totals(&self) -> Result<StateCounts> {
        self.get("totals", Vec::new()).await
    }
}

/// The keys that are set, for a query string.
fn pairs(keys: &impl Serialize) -> Vec<(String, String)> {
    let Ok(Value::Object(keys)) = serde_json::to_value(keys) else { return Vec::new() };
    let text = |value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    keys.into_iter().map(|(key, value)| (key, text(value))).collect()
}
