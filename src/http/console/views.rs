use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use super::super::api::{quarantined_of, rejections_of, submission_id};
use super::super::probes::AdminListener;
use super::access::path_after_login;
use super::form::pairs;
use super::page::{PageRequest, Special};
use super::respond::{PageError, html, see_other};
use crate::admin::{
    self, AdminError, BulkReplayRequest, EraseResult, Inspection, Mask, Paging, ReplayPayload,
    ReplayRequest, SubmissionQuery,
};
use crate::console::{
    self, Accounts, BulkReplay, Filter, Login, Overview, Quarantine, Reading, ReplayPreview, Setup,
    Shell, Submissions, Tab,
};
use crate::domain::CallUuid;
use crate::submission::SubmissionId;

type Answer = Result<HttpResponse, PageError>;

/// Seconds between two looks at a call that is not settled, at a list, and at anything else.
const UNSETTLED: u32 = 2;
const LIST: u32 = 5;
const REST: u32 = 15;

/// Parameters of pages that are no part of a search: they say what was done before.
const DONE: [&str; 3] = ["done", "erased", "quarantined"];

pub(super) async fn to_overview() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/console/")).finish()
}

pub(super) async fn asset(name: web::Path<String>) -> Answer {
    let asset = console::asset(&name).ok_or_else(|| {
        PageError::new(StatusCode::NOT_FOUND, "no such file: it is of another release")
    })?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, format!("{}; charset=utf-8", asset.content_type)))
        .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(asset.bytes))
}

pub(super) async fn login(request: HttpRequest, listener: web::Data<AdminListener>) -> Answer {
    let pairs = pairs(request.query_string())?;
    let filter = Filter { pairs };
    let next = path_after_login(filter.get("next").unwrap_or_default());
    if listener.api.gate.tokens().token.is_none() {
        // There is nothing to log in with, and no need.
        return Ok(see_other(next));
    }
    Ok(login_page(StatusCode::OK, &Login { next, is_wrong: false }))
}

pub(super) fn login_page(status: StatusCode, login: &Login<'_>) -> HttpResponse {
    let shell = Shell {
        title: "Log in",
        environment: None,
        role: None,
        has_session: false,
        tab: None,
        refresh: None,
    };
    html(status, &console::document(&shell, &console::login(login)))
}

pub(super) async fn overview(mut page: PageRequest) -> Answer {
    let ingest = &page.listener.api.ingest;
    let (quarantined, rejections) = (ingest.quarantine().list().len(), rejections_of(ingest));
    if let Some(known) = page.unchanged((quarantined, &rejections)) {
        return Ok(known);
    }
    let admin = page.listener.admin();
    let counts = admin.totals().await?;
    let mut accounts = admin.accounts().await?;
    accounts.mask();
    let config = page.listener.console.config();
    let sources: Vec<_> = config.setups.iter().map(|it| it.source.clone()).collect();
    let content = console::overview(&Overview {
        counts: &counts,
        accounts: &accounts.accounts,
        sources: &sources,
        quarantined,
        rejections: &rejections,
    });
    Ok(page.answer("Overview", special(Tab::Overview, LIST), &content))
}

/// The form in the head of every page.
pub(super) async fn find_call(page: PageRequest) -> Answer {
    let call = call_id(page.get("call").unwrap_or_default().trim())?;
    Ok(see_other(&format!("/console/calls/{call}")))
}

pub(super) async fn call(mut page: PageRequest, path: web::Path<String>) -> Answer {
    let call = call_id(&path)?;
    if let Some(known) = page.unchanged(()) {
        return Ok(known);
    }
    let mut found = page.listener.api.admin.inspect_call(&call).await?;
    found.mask();
    let now = page.listener.console.clock.now();
    let content = console::call(call.as_str(), &found, page.role(), now);
    let is_open = |it: &Inspection| console::is_open(&it.detail.submission);
    // A webhook of a call that is not known may come at any moment, and so may a late one.
    let counts_down = found.submissions.iter().any(is_open);
    let is_unsettled = found.submissions.is_empty() || counts_down;
    let refresh = if is_unsettled { UNSETTLED } else { REST };
    let title = format!("Call {call}");
    let special = Special { counts_down, ..special(Tab::Submissions, refresh) };
    Ok(page.answer(&title, special, &content))
}

pub(super) async fn erase(page: PageRequest, path: web::Path<String>) -> Answer {
    Ok(erase_page(&page, &call_id(&path)?, None))
}

/// The question before a call is erased, and a warning where it was not answered right.
pub(super) fn erase_page(
    page: &PageRequest,
    call: &CallUuid,
    warning: Option<&str>,
) -> HttpResponse {
    let content = console::erase(call.as_str(), warning);
    let special = Special { tab: Some(Tab::Submissions), ..Special::default() };
    let mut response = page.answer("Erase", special, &content);
    if warning.is_some() {
        *response.status_mut() = StatusCode::CONFLICT;
    }
    response
}

pub(super) async fn audit(page: PageRequest) -> Answer {
    let content = console::audit(&page.listener.api.admin.recent_actions());
    Ok(page.answer("Operator actions", special(Tab::Audit, LIST), &content))
}

pub(super) async fn setup(mut page: PageRequest, source: web::Path<String>) -> Answer {
    let mut rejections = rejections_of(&page.listener.api.ingest);
    rejections.retain(|it| it.source == *source);
    if let Some(known) = page.unchanged(&rejections) {
        return Ok(known);
    }
    let config = page.listener.console.config();
    let setup = config.setups.iter().find(|it| it.source == *source).ok_or_else(|| {
        PageError::new(StatusCode::NOT_FOUND, "the settings have no source with this name")
    })?;
    let query = SubmissionQuery { source: Some(setup.source.clone()), ..Default::default() };
    let paging = Paging { cursor: None, limit: Some(ARRIVED) };
    let mut arrived = page.listener.admin().list(&query, &paging).await?;
    arrived.mask();
    let content = console::setup(&Setup {
        setup,
        submissions: &arrived.submissions,
        rejections: &rejections,
    });
    let title = format!("Set up {}", setup.source);
    Ok(page.answer(&title, special(Tab::Overview, UNSETTLED), &content))
}

/// Submissions of a source that its setup shows.
const ARRIVED: u32 = 5;

pub(super) async fn submissions(mut page: PageRequest) -> Answer {
    let now = page.listener.console.clock.now();
    let (query, paging, filter) = search(&page.query, now)?;
    // The last 24 hours are others at each look.
    if let Some(known) = page.unchanged(&query) {
        return Ok(known);
    }
    let mut found = page.listener.admin().list(&query, &paging).await?;
    found.mask();
    let (accounts, surveys) = page.listener.api.admin.names();
    let erased = erased(&page.query);
    let content = console::submissions(&Submissions {
        filter: &filter,
        looked_back_to: found.next_cursor.as_deref().and_then(admin::cursor_time),
        page: &found,
        replayed: query.replayed_state(),
        accounts: &accounts,
        surveys: &surveys,
        role: page.role(),
        notice: erased.as_deref().or(page.notice()),
    });
    // What is further back hardly changes.
    let refresh = if paging.cursor.is_none() { LIST } else { REST };
    Ok(page.answer("Submissions", special(Tab::Submissions, refresh), &content))
}

/// What was erased of a call, as the address of the page says.
fn erased(query: &Filter) -> Option<String> {
    let count = |key| query.get(key)?.parse::<u32>().ok();
    let result = EraseResult { erased: count("erased")?, quarantined: count("quarantined")? };
    Some(match result.counts() {
        None => "Nothing was erased: nothing is stored about the call.".to_owned(),
        Some(counts) => format!("Erased: {counts}."),
    })
}

pub(super) async fn submission(mut page: PageRequest, path: web::Path<String>) -> Answer {
    let id = submission_id(&path)?;
    if let Some(known) = page.unchanged(()) {
        return Ok(known);
    }
    let mut inspection = page.listener.api.admin.inspect(id).await?;
    inspection.mask();
    Ok(submission_page(&page, &inspection, false))
}

/// The page of a submission, with its numbers or without.
pub(super) fn submission_page(
    page: &PageRequest,
    inspection: &Inspection,
    is_revealed: bool,
) -> HttpResponse {
    let content = console::submission(&Reading {
        inspection,
        role: page.role(),
        is_revealed,
        now: page.listener.console.clock.now(),
        notice: page.notice(),
    });
    let submission = &inspection.detail.submission;
    let counts_down = console::is_open(submission);
    let refresh = if counts_down { UNSETTLED } else { REST };
    // It came by a POST: there is nothing to ask for again.
    let refresh = (!is_revealed).then_some(refresh);
    let special = Special { tab: Some(Tab::Submissions), refresh, counts_down };
    page.answer(&format!("Submission {}", submission.id), special, &content)
}

pub(super) async fn replay(page: PageRequest, path: web::Path<String>) -> Answer {
    let request = ReplayRequest { dry_run: true, ..replay_request(&page.query) };
    replay_page(&page, submission_id(&path)?, request, None).await
}

/// The page of a replay of one: a dry run, and a warning where a confirmation did nothing.
pub(super) async fn replay_page(
    page: &PageRequest,
    id: SubmissionId,
    request: ReplayRequest,
    warning: Option<&str>,
) -> Answer {
    let admin = page.listener.admin();
    let mut submission = admin.show(id).await?;
    submission.mask();
    let mut digest = String::new();
    let difference = match admin.replay_one(id, request).await {
        Ok(mut result) => {
            digest = result.digest();
            result.mask();
            result.differences.pop().ok_or_else(|| "nothing would change".to_owned())
        }
        Err(AdminError::Conflict(reason)) => Err(reason),
        Err(error) => return Err(error.into()),
    };
    let content = console::replay(&ReplayPreview {
        submission: &submission.submission,
        request,
        digest: &digest,
        role: page.role(),
        difference: difference.as_ref().map_err(Clone::clone),
        warning,
    });
    let special = Special { tab: Some(Tab::Submissions), ..Special::default() };
    let mut response = page.answer("Replay", special, &content);
    if warning.is_some() {
        *response.status_mut() = StatusCode::CONFLICT;
    }
    Ok(response)
}

/// How to replay, as the fields of the form say.
pub(super) fn replay_request(form: &Filter) -> ReplayRequest {
    let payload = match form.get("payload") {
        Some("last") => ReplayPayload::Last,
        _ => ReplayPayload::Remapped,
    };
    let include_delivered = form.get("include_delivered") == Some("true");
    ReplayRequest { payload, include_delivered, dry_run: false }
}

pub(super) async fn bulk_replay(page: PageRequest) -> Answer {
    let mut pairs = page.query.pairs.clone();
    let replayed = pairs.iter().position(|(key, _)| key == "replayed").map(|at| pairs.remove(at).1);
    let replayed: Option<u32> = replayed.and_then(|count| count.parse().ok());
    let notice = replayed.map(|count| format!("{count} are due again. This is the next page."));
    let (request, filter) = bulk_request(Filter { pairs }, page.listener.console.clock.now())?;
    bulk_preview(&page, &request, &filter, notice.as_deref(), None).await
}

/// The page of a replay of many: always a dry run, and a warning where a confirmation did nothing.
pub(super) async fn bulk_preview(
    page: &PageRequest,
    request: &BulkReplayRequest,
    filter: &Filter,
    notice: Option<&str>,
    warning: Option<&str>,
) -> Answer {
    let mut result = page.listener.admin().replay(request).await?;
    let digest = result.digest();
    result.mask();
    let content = console::bulk_replay(&BulkReplay {
        filter,
        request,
        digest: &digest,
        role: page.role(),
        looked_back_to: result.next_cursor.as_deref().and_then(admin::cursor_time),
        result: &result,
        notice,
        warning,
    });
    let special = Special { tab: Some(Tab::Submissions), ..Special::default() };
    let mut response = page.answer("Replay", special, &content);
    if warning.is_some() {
        *response.status_mut() = StatusCode::CONFLICT;
    }
    Ok(response)
}

/// A dry run of a page, as the fields of the form say, and its search as links have it.
pub(super) fn bulk_request(
    query: Filter,
    now: jiff::Timestamp,
) -> Result<(BulkReplayRequest, Filter), PageError> {
    let is_option = |(key, _): &(String, String)| console::REPLAY_OPTIONS.contains(&key.as_str());
    let (options, conditions) = query.pairs.into_iter().partition(is_option);
    let options = Filter { pairs: options };
    let (conditions, paging, mut filter) = search(&Filter { pairs: conditions }, now)?;
    let ReplayRequest { payload, include_delivered, .. } = replay_request(&options);
    let request = BulkReplayRequest {
        search: conditions,
        payload,
        include_delivered,
        only_changed: options.get("only_changed") == Some("true"),
        dry_run: true,
        cursor: paging.cursor,
        limit: Some(paging.limit.unwrap_or(BULK)),
    };
    filter.pairs.extend(options.pairs);
    Ok((request, filter))
}

/// Submissions that one page of a replay looks at.
const BULK: u32 = 100;

pub(super) async fn discard(page: PageRequest, path: web::Path<String>) -> Answer {
    let found = page.listener.admin().show(submission_id(&path)?).await?;
    let content = console::discard(&found.submission);
    let special = Special { tab: Some(Tab::Submissions), ..Special::default() };
    Ok(page.answer("Discard", special, &content))
}

pub(super) async fn accounts(mut page: PageRequest) -> Answer {
    if let Some(known) = page.unchanged(()) {
        return Ok(known);
    }
    let mut list = page.listener.admin().accounts().await?;
    list.mask();
    let content = console::accounts(&Accounts {
        accounts: &list.accounts,
        role: page.role(),
        notice: page.notice(),
    });
    Ok(page.answer("Accounts", special(Tab::Accounts, LIST), &content))
}

pub(super) async fn quarantine(page: PageRequest) -> Answer {
    let ingest = &page.listener.api.ingest;
    let webhooks = quarantined_of(ingest);
    let mut sources: Vec<_> = webhooks.iter().map(|it| it.source.clone()).collect();
    sources.dedup();
    let retried = retried(&page.query);
    let content = console::quarantine(&Quarantine {
        webhooks: &webhooks,
        rejections: &rejections_of(ingest),
        sources: &sources,
        role: page.role(),
        notice: retried.as_deref().or(page.notice()),
    });
    Ok(page.answer("Quarantine", special(Tab::Quarantine, LIST), &content))
}

/// What became of quarantined webhooks that were verified again, as the address of the page says.
fn retried(query: &Filter) -> Option<String> {
    let count = |key| query.get(key)?.parse::<u64>().ok();
    Some(format!(
        "Verified again: {} accepted, {} rejected, {} still waiting, {} of a source that has changed.",
        count("accepted")?,
        count("rejected")?,
        count("waiting")?,
        count("source_changed")?
    ))
}

fn special(tab: Tab, refresh: u32) -> Special {
    Special { tab: Some(tab), refresh: Some(refresh), ..Special::default() }
}

pub(super) fn call_id(text: &str) -> Result<CallUuid, PageError> {
    text.parse().map_err(|error| PageError::new(StatusCode::NOT_FOUND, format!("{error}")))
}

/// A search by the keys of the API, whose times may be written as on the command line; and the search as its
/// links have it.
fn search(
    query: &Filter,
    now: jiff::Timestamp,
) -> Result<(SubmissionQuery, Paging, Filter), PageError> {
    let invalid = |detail: String| PageError::new(StatusCode::BAD_REQUEST, detail);
    let mut conditions = serde_json::Map::new();
    let (mut paging, mut filter) = (Paging::default(), Filter::default());
    for (key, value) in &query.pairs {
        match key.as_str() {
            key if DONE.contains(&key) => {}
            "cursor" => paging.cursor = Some(value.clone()),
            "limit" => {
                let limit = value.parse();
                paging.limit =
                    Some(limit.map_err(|_| invalid("limit: expected a whole number".to_owned()))?);
            }
            key if SubmissionQuery::KEYS.contains(&key) => {
                let value = match key {
                    "since" | "until" => {
                        let at = admin::time(value.trim(), now);
                        at.map_err(|error| invalid(format!("{key}: {error}")))?.to_string()
                    }
                    _ => value.trim().to_owned(),
                };
                if conditions.insert(key.to_owned(), Value::String(value)).is_some() {
                    return Err(invalid(format!("{key} is given twice")));
                }
            }
            key => {
                let known = [&SubmissionQuery::KEYS[..], &Paging::KEYS].concat().join(", ");
                return Err(invalid(format!("unknown parameter {key:?}; known here: {known}")));
            }
        }
        if key != "cursor" && !DONE.contains(&key.as_str()) {
            filter.pairs.push((key.clone(), value.clone()));
        }
    }
    let conditions = serde_json::from_value(Value::Object(conditions));
    Ok((conditions.map_err(|error| invalid(error.to_string()))?, paging, filter))
}
