//! What is tried out in the playground, and what comes of it. A child process works it out: rules that are
//! being written may never end.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::difference::{After, Difference};
use super::error::Result;
use super::service::AdminService;
use crate::domain::Name;
use crate::store::SubmissionFilter;
use crate::submission::{Answers, InsightFilter, State, Submission};

/// Surveys that are tried out, as a child process reads them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct PlaygroundRequest {
    /// A `surveys:` section in YAML, and no other.
    pub rules: String,
    /// Webhooks in YAML, as the cases of `postcall test` have them; empty for none.
    pub webhooks: String,
    /// The other sections that they need, without a secret.
    pub sections: Value,
    /// Stored submissions that are mapped by these rules.
    pub calls: Vec<StoredCall>,
}

/// What a submission is mapped by.
#[derive(Debug, Serialize, Deserialize)]
pub struct StoredCall {
    pub account: Name,
    pub survey: Name,
    pub call: String,
    pub answers: Answers,
}

/// What came of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct PlaygroundResult {
    /// What is wrong; nothing else is worked out then.
    pub faults: Vec<PlaygroundFault>,
    /// From the webhooks to the replies, in order.
    pub steps: Vec<PlaygroundStep>,
    pub tables: Vec<DecisionTable>,
    /// The webhooks and what came of them as a file of cases for `postcall test`.
    pub case: Option<String>,
    /// What each of the stored submissions would come to, in their order.
    pub calls: Vec<After>,
}

/// Something that is wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlaygroundFault {
    pub part: PlaygroundPart,
    /// Where it is in the text of that part; the first is 1.
    pub place: Option<(usize, usize)>,
    /// With the path of the setting, and what would be right.
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaygroundPart {
    Rules,
    Webhooks,
}

/// One step of one webhook or one call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlaygroundStep {
    /// `extract`, `merge`, `map`, `request` or `reply`.
    pub step: String,
    /// Which webhook, or which call.
    pub subject: String,
    /// As `postcall explain` prints it.
    pub text: String,
}

/// What a survey comes to, as `postcall check` prints it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DecisionTable {
    pub survey: String,
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// How many rows there are beyond these.
    pub more_rows: u64,
    /// What is proved, what is guarded, and what the words of the table mean.
    pub notes: Vec<String>,
}

/// The submissions that a change of the rules is looked at with.
pub struct StoredCalls(Vec<Submission>);

/// How many are looked at.
const CALLS: usize = 200;

impl AdminService {
    /// The last submissions that are settled and whose answers are stored.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn stored_calls(&self) -> Result<StoredCalls> {
        // What still waits would come to something else whatever the rules.
        let settled = Some(InsightFilter::default());
        let filter = SubmissionFilter { insight: settled, ..SubmissionFilter::default() };
        let page = self.store().search(filter, None, CALLS).await?;
        let mut calls = page.submissions;
        calls.retain(|it| it.key().is_some() && it.state != State::Discarded);
        Ok(StoredCalls(calls))
    }
}

impl StoredCalls {
    /// As a child process reads them.
    pub fn to_map(&self) -> Vec<StoredCall> {
        let call = |it: &Submission| {
            let key = it.key()?;
            Some(StoredCall {
                account: key.account,
                survey: key.survey,
                call: key.call.to_string(),
                answers: it.answers().clone(),
            })
        };
        self.0.iter().filter_map(call).collect()
    }

    /// What would change if each came to this.
    pub fn differences(&self, after: Vec<After>) -> Vec<Difference> {
        let calls = self.0.iter().zip(after);
        calls.filter_map(|(it, after)| Some(Difference::to(it, &it.key()?, after))).collect()
    }
}
