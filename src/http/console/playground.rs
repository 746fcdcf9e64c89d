use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::child::ChildError;
use super::form::Form;
use super::page::{PageRequest, Special};
use super::respond::PageError;
use super::views::call_id;
use crate::admin::{Mask, PlaygroundRequest, Role};
use crate::console::{self, Playground, Tab};

type Answer = Result<HttpResponse, PageError>;

/// Most bytes of its form.
pub(super) const FORM_MAX: usize = 256 * 1024;

pub(super) async fn show(page: PageRequest) -> Answer {
    let config = page.listener.console.config();
    let rules = &config.playground.rules;
    let webhooks = match page.get("call") {
        Some(call) => of_call(&page, call).await?,
        None => config.playground.webhooks.clone(),
    };
    let untried = Playground::untried(rules, &webhooks, page.role());
    Ok(answer(&page, StatusCode::OK, &untried))
}

/// The webhooks of a call, for an operator to try other rules with. To show its numbers would be a reveal.
async fn of_call(page: &PageRequest, call: &str) -> Result<String, PageError> {
    let call = call_id(call)?;
    if page.role() == Role::Viewer {
        let detail = "you are logged in with admin.viewer_token, which tries no webhooks of a call";
        return Err(PageError::new(StatusCode::FORBIDDEN, detail));
    }
    let found = page.listener.api.admin.inspect_call(&call).await?;
    let (steps, left_out) = found.steps(&call);
    if steps.is_empty() {
        let detail =
            "no webhook of this call is stored as a text: it is not known, or was purged or erased";
        return Err(PageError::new(StatusCode::NOT_FOUND, detail));
    }
    let note = match left_out {
        0 => String::new(),
        count => format!("# {count} more webhooks of the call are left out.\n"),
    };
    Ok(format!("# Call {call}, with other digits in long numbers.\n{note}{steps}"))
}

pub(super) async fn run(page: PageRequest, form: Form) -> Answer {
    let config = page.listener.console.config();
    // A browser sends each line with both characters; a page cannot hold the character 0.
    let text = |name| form.get(name).replace("\r\n", "\n").replace('\0', "\u{fffd}");
    let (rules, webhooks) = (text("rules"), text("webhooks"));
    // Rules may take answers apart, so that nothing masks what they make of them.
    let stored = match form.is_checked("calls") && page.role() == Role::Operator {
        true => Some(page.listener.api.admin.stored_calls().await?),
        false => None,
    };
    let request = PlaygroundRequest {
        rules: rules.clone(),
        webhooks: webhooks.clone(),
        sections: config.playground.sections.clone(),
        calls: stored.as_ref().map(|it| it.to_map()).unwrap_or_default(),
    };
    let ended = page.listener.console.children.run(&request).await;
    let mut shown = Playground::untried(&rules, &webhooks, page.role());
    let status = match ended {
        Ok(mut result) => {
            let after = std::mem::take(&mut result.calls);
            let stored = stored.filter(|_| result.faults.is_empty());
            shown.differences = stored.map(|it| it.differences(after));
            shown.differences.iter_mut().flatten().for_each(Mask::mask);
            shown.result = Some(result);
            StatusCode::OK
        }
        Err(error) => {
            shown.warning = Some(error.to_string());
            match error {
                ChildError::UnderWay => StatusCode::SERVICE_UNAVAILABLE,
                ChildError::NotStarted(_) => StatusCode::INTERNAL_SERVER_ERROR,
                ChildError::TooLong | ChildError::TooMuch | ChildError::Failed => {
                    StatusCode::UNPROCESSABLE_ENTITY
                }
            }
        }
    };
    Ok(answer(&page, status, &shown))
}

fn answer(page: &PageRequest, status: StatusCode, shown: &Playground<'_>) -> HttpResponse {
    let special = Special { tab: Some(Tab::Playground), ..Special::default() };
    let mut response = page.answer("Playground", special, &console::playground(shown));
    *response.status_mut() = status;
    response
}
