use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};

use super::super::api::{drop_from, erase_call, submission_id, verify_again};
use super::super::origin::only;
use super::super::probes::AdminListener;
use super::access::path_after_login;
use super::form::Form;
use super::page::PageRequest;
use super::respond::{PageError, see_other};
use super::views::{
    bulk_preview, bulk_request, call_id, erase_page, login_page, replay_page, replay_request,
    submission_page,
};
use crate::admin::{
    AdminApi, AdminError, BulkReplayRequest, EraseResult, QuarantineDrop, QuarantineRetried,
    QuarantineRetry, ReplayRequest,
};
use crate::console::{self, Filter, Login, SESSION_COOKIE, SESSION_SECONDS};
use crate::domain::Name;

type Answer = Result<HttpResponse, PageError>;

pub(super) async fn login(
    request: HttpRequest,
    form: Form,
    listener: web::Data<AdminListener>,
) -> Answer {
    let next = path_after_login(form.get("next"));
    let token = form.get("token").trim();
    let Some(role) = listener.api.gate.tokens().role_of(token.as_bytes()) else {
        tracing::debug!("a login to the console failed: neither token of the settings was sent");
        return Ok(login_page(StatusCode::FORBIDDEN, &Login { next, is_wrong: true }));
    };
    let now = listener.console.clock.now();
    let nonce = listener.console.random.uuid_v7(now);
    let session = console::issue(&token.into(), role, now, nonce);
    let secure = if is_encrypted(request.headers()) { "; Secure" } else { "" };
    let cookie = format!(
        "{SESSION_COOKIE}={session}; Path=/console; Max-Age={SESSION_SECONDS}; HttpOnly; SameSite=Strict{secure}"
    );
    tracing::info!(?role, "a session of the console began");
    let mut response = see_other(next);
    let cookie = cookie.try_into().expect("it is ASCII");
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Whether TLS ends in front of this listener, as the browser or a proxy says.
fn is_encrypted(headers: &HeaderMap) -> bool {
    only(headers, header::ORIGIN).is_some_and(|origin| origin.starts_with(b"https://"))
        || headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https")
}

pub(super) async fn logout() -> HttpResponse {
    let cookie = format!("{SESSION_COOKIE}=; Path=/console; Max-Age=0; HttpOnly; SameSite=Strict");
    let mut response = see_other("/console/login");
    let cookie = cookie.try_into().expect("it is ASCII");
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response
}

pub(super) async fn replay(page: PageRequest, path: web::Path<String>, form: Form) -> Answer {
    let id = submission_id(&path)?;
    let shown = form.get("shown").to_owned();
    let request = replay_request(&form.into());
    let preview = ReplayRequest { dry_run: true, ..request };
    // Meanwhile answers may have come, or the settings changed.
    if page.listener.admin().replay_one(id, preview).await?.digest() != shown {
        let warning = "Nothing was replayed: it has changed since it was shown, or the service has restarted. Look again.";
        return replay_page(&page, id, preview, Some(warning)).await;
    }
    page.listener.run(async move |admin| admin.replay_one(id, request).await).await?;
    Ok(see_other(&format!("/console/submissions/{}?done=replayed", id.0)))
}

/// Replays a page of what is found, if the number of its dry run was typed and it would still come to what was
/// shown: meanwhile others may have died, or the settings changed.
pub(super) async fn bulk_replay(page: PageRequest, form: Form) -> Answer {
    let number = form.get("number").trim().parse::<u32>().ok();
    let shown = form.get("shown").to_owned();
    let mut fields = Filter::from(form);
    fields.pairs.retain(|(key, _)| key != "number" && key != "shown");
    let (preview, filter) = bulk_request(fields, page.listener.console.clock.now())?;
    let found = page.listener.admin().replay(&preview).await?;
    let expected = found.replayed;
    if number != Some(expected) {
        let warning = format!(
            "Nothing was replayed: {expected} would be now, and another number was typed. Look again."
        );
        return bulk_preview(&page, &preview, &filter, None, Some(&warning)).await;
    }
    if shown != found.digest() {
        let warning = "Nothing was replayed: what is found has changed since it was shown, or the service has restarted. Look again.";
        return bulk_preview(&page, &preview, &filter, None, Some(warning)).await;
    }
    let request = BulkReplayRequest { dry_run: false, ..preview.clone() };
    let replayed = page.listener.run(async move |admin| admin.replay(&request).await).await;
    let result = match replayed {
        Ok(result) => result,
        Err(error @ AdminError::TooSoon { .. }) => {
            let warning = format!("Nothing was replayed: {error}.");
            return bulk_preview(&page, &preview, &filter, None, Some(&warning)).await;
        }
        Err(error) => return Err(error.into()),
    };
    let replayed = result.replayed.to_string();
    Ok(see_other(&match &result.next_cursor {
        Some(cursor) => {
            filter.link("/console/replay", &[("cursor", cursor), ("replayed", &replayed)])
        }
        None => "/console/submissions?done=replayed-all".to_owned(),
    }))
}

pub(super) async fn erase(page: PageRequest, path: web::Path<String>, form: Form) -> Answer {
    let call = call_id(&path)?;
    if form.get("confirmation").trim() != call.as_str() {
        let warning = "Nothing was erased: the id that was typed is not that of this call.";
        return Ok(erase_page(&page, &call, Some(warning)));
    }
    let EraseResult { erased, quarantined } = erase_call(&page.listener, call).await?;
    let counts = [("erased", erased.to_string()), ("quarantined", quarantined.to_string())];
    let pairs = counts.iter().map(|(key, count)| (*key, count.as_str()));
    Ok(see_other(&console::link("/console/submissions", pairs)))
}

pub(super) async fn discard(page: PageRequest, path: web::Path<String>, form: Form) -> Answer {
    let id = submission_id(&path)?;
    let reason = form.get("reason").to_owned();
    page.listener.run(async move |admin| admin.discard_one(id, &reason).await).await?;
    Ok(see_other(&format!("/console/submissions/{}?done=discarded", id.0)))
}

/// Shows the numbers of a submission, after it is recorded that they are.
pub(super) async fn reveal(page: PageRequest, path: web::Path<String>, _: Form) -> Answer {
    let id = submission_id(&path)?;
    let session = page.visitor.session;
    page.listener.run(async move |admin| admin.reveal(id, session).await).await?;
    let inspection = page.listener.api.admin.inspect(id).await?;
    Ok(submission_page(&page, &inspection, true))
}

pub(super) async fn pause(page: PageRequest, path: web::Path<String>, form: Form) -> Answer {
    let account = account(&path)?;
    let reason = form.get("reason").to_owned();
    page.listener.run(async move |admin| admin.pause(&account, &reason).await).await?;
    Ok(see_other("/console/accounts?done=paused"))
}

pub(super) async fn resume(page: PageRequest, path: web::Path<String>, _: Form) -> Answer {
    let account = account(&path)?;
    let resumed = page.listener.run(async move |admin| admin.resume(&account).await).await?;
    let done = if resumed.was_paused { "resumed" } else { "none" };
    Ok(see_other(&format!("/console/accounts?done={done}")))
}

fn account(path: &str) -> Result<Name, PageError> {
    path.parse().map_err(|_| AdminError::unknown_account().into())
}

pub(super) async fn retry_quarantine(page: PageRequest, form: Form) -> Answer {
    let request = QuarantineRetry {
        source: source(&form),
        current_survey: form.is_checked("current_survey"),
    };
    let QuarantineRetried { accepted, rejected, waiting, source_changed } =
        verify_again(&page.listener, request).await?;
    let counts = [
        ("accepted", accepted),
        ("rejected", rejected),
        ("waiting", waiting),
        ("source_changed", source_changed),
    ];
    let counts = counts.map(|(key, count)| (key, count.to_string()));
    let pairs = counts.iter().map(|(key, count)| (*key, count.as_str()));
    Ok(see_other(&console::link("/console/quarantine", pairs)))
}

pub(super) async fn drop_quarantine(page: PageRequest, form: Form) -> Answer {
    if !form.is_checked("confirmed") {
        let detail = "confirm that dropping is final: what these callers said is lost";
        return Err(PageError::new(StatusCode::BAD_REQUEST, detail));
    }
    // Nothing is dropped that was not shown.
    let newest = form.get("newest").parse().map_err(|_| {
        let detail = "newest: expected the id of the latest webhook that the page has shown";
        PageError::new(StatusCode::BAD_REQUEST, detail)
    })?;
    drop_from(&page.listener, QuarantineDrop { id: None, source: source(&form) }, Some(newest))?;
    Ok(see_other("/console/quarantine?done=dropped"))
}

fn source(form: &Form) -> Option<String> {
    Some(form.get("source")).filter(|source| !source.is_empty()).map(str::to_owned)
}
