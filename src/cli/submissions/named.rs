use std::fmt::Write;

use anyhow::anyhow;

use crate::admin::{AdminApi, AdminError, PAGE_MAX, Paging, SubmissionQuery, SubmissionView};
use crate::cli::failure::Failure;
use crate::domain::CallUuid;
use crate::submission::SubmissionId;

/// A submission as an operator names it: its id, the beginning of its id, or the id of its call.
#[derive(Debug, Clone)]
pub(super) struct Named(CallUuid);

/// Shortest beginning of an id, in characters: a typing error of fewer names anything.
const PREFIX_MIN: usize = 4;

/// Shortest beginning that names one submission if not all are looked through, in characters: 32 bits.
const DISTINCT_MIN: usize = 8;

/// How many submissions, the latest first, are looked through for the beginning of an id.
const LOOKED_THROUGH: usize = 10_000;

/// Most candidates that an error lists.
const LISTED: usize = 10;

/// Reads it from the command line.
pub(super) fn named(text: &str) -> Result<Named, &'static str> {
    text.parse()
        .map(Named)
        .map_err(|_| "expected the id of a submission, its beginning, or the id of a call")
}

impl Named {
    /// The one submission that is meant.
    ///
    /// # Errors
    /// None is, or several are; the store cannot be asked.
    pub async fn find(&self, api: &dyn AdminApi) -> Result<SubmissionId, Failure> {
        let text = self.0.as_str();
        // A sender knows the ids of its submissions and may name a call so: an id is first an id.
        let (of_call, _) = self.of_call(api).await?;
        if let Ok(id) = text.parse().map(SubmissionId) {
            let is_known = async || !matches!(api.show(id).await, Err(AdminError::NotFound(_)));
            // If there is no such submission, what is done with it says so.
            if of_call.is_empty() || is_known().await {
                return Ok(id);
            }
        }
        if !of_call.is_empty() {
            return only(text, &of_call);
        }
        let prefix = text.to_ascii_lowercase();
        let is_prefix = prefix.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        let (found, are_all) = match is_prefix && prefix.len() >= PREFIX_MIN {
            true => beginning_with(api, &prefix).await?,
            false => (Vec::new(), true),
        };
        if !are_all && !found.is_empty() && prefix.len() < DISTINCT_MIN {
            return Err(anyhow!(
                "{text:?} may begin the id of an earlier submission too: expected the first \
                 {DISTINCT_MIN} characters or more, since there are more than {LOOKED_THROUGH} submissions"
            )
            .into());
        }
        only(text, &found)
    }

    async fn of_call(&self, api: &dyn AdminApi) -> Result<(Vec<SubmissionView>, bool), Failure> {
        let query =
            SubmissionQuery { call: Some(self.0.to_string()), ..SubmissionQuery::default() };
        Ok(all(api, &query, |_| true).await?)
    }
}

/// Those that are named, in their order.
///
/// # Errors
/// Of the first that is not one submission.
pub(super) async fn find_all(
    named: &[Named],
    api: &dyn AdminApi,
) -> Result<Vec<SubmissionId>, Failure> {
    let mut ids = Vec::new();
    for named in named {
        ids.push(named.find(api).await?);
    }
    Ok(ids)
}

async fn beginning_with(
    api: &dyn AdminApi,
    prefix: &str,
) -> Result<(Vec<SubmissionView>, bool), Failure> {
    Ok(all(api, &SubmissionQuery::default(), |it| it.id.starts_with(prefix)).await?)
}

/// Those of a search that are wanted, among the latest, and whether all were looked through.
async fn all(
    api: &dyn AdminApi,
    query: &SubmissionQuery,
    is_wanted: impl Fn(&SubmissionView) -> bool,
) -> crate::admin::Result<(Vec<SubmissionView>, bool)> {
    let (mut found, mut cursor) = (Vec::new(), None);
    for _ in 0..LOOKED_THROUGH.div_ceil(PAGE_MAX as usize) {
        let page = api.list(query, &Paging { cursor, limit: Some(PAGE_MAX) }).await?;
        found.extend(page.submissions.into_iter().filter(&is_wanted));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    Ok((found, cursor.is_none()))
}

fn only(text: &str, found: &[SubmissionView]) -> Result<SubmissionId, Failure> {
    match found {
        [] => Err(anyhow!(
            "no submission {text:?}: expected its id, the first {PREFIX_MIN} characters of it or more \
             (of the latest {LOOKED_THROUGH} submissions), or the id of its call"
        )
        .into()),
        [one] => one.id.parse().map(SubmissionId).map_err(|error| anyhow!("{error}").into()),
        several => Err(anyhow!("{}", candidates(text, several)).into()),
    }
}

fn candidates(text: &str, several: &[SubmissionView]) -> String {
    let mut list = format!("{text:?} means {} submissions; say the id of one:", several.len());
    for it in several.iter().take(LISTED) {
        let call = it.call.as_deref().unwrap_or("call not kept any more");
        let (id, state) = (&it.id, it.state.label());
        let _ = write!(list, "\n  {id}  {call}  {}/{}  {state}", it.account, it.survey);
    }
    if let more @ 1.. = several.len().saturating_sub(LISTED) {
        let _ = write!(list, "\n  and {more} more");
    }
    list
}
