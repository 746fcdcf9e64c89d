use maud::{Markup, html};

use super::super::layout::{notice, said, time};
use crate::admin::{AccountView, PauseView, Role};

/// What the page of accounts shows.
pub struct Accounts<'a> {
    pub accounts: &'a [AccountView],
    pub role: Role,
    pub notice: Option<&'a str>,
}

/// Accounts, why some are paused, and what resumes them.
pub fn accounts(it: &Accounts<'_>) -> Markup {
    html! {
        h1 { "Accounts" }
        (notice(it.notice))
        @for account in it.accounts { (section(account, it.role)) }
        @if it.accounts.is_empty() { p { "The settings have no account." } }
    }
}

fn section(account: &AccountView, role: Role) -> Markup {
    let name = &account.account;
    let base = format!("/console/accounts/{name}");
    html! {
        section id={ "a-" (name) } data-live aria-labelledby={ "t-" (name) } {
            h2 id={ "t-" (name) } {
                (name) " "
                @if account.pause.is_some() { span.state data-state="dead" { "paused" } }
                @else { span.state data-state="delivered" { "delivering" } }
            }
            @if !account.in_settings {
                p.warning { "The settings do not have it: what waits for it will be dead as unmapped." }
            }
            dl.facts {
                @if let Some(pause) = &account.pause {
                    div { dt { "Cause" } dd { (pause.cause.label()) } }
                    div { dt { "Since" } dd { (time(pause.since)) } }
                    @if let Some(status) = pause.status { div { dt { "Plivo’s status" } dd { (status) } } }
                    div { dt { "Detail" } dd { (said(&pause.detail)) } }
                }
                div {
                    dt { "Waiting" }
                    dd {
                        @if account.waiting {
                            a href={ "/console/submissions?state=pending&account=" (name) } { "yes" }
                        } @else { "no" }
                    }
                }
            }
            @if role == Role::Operator {
                @if account.pause.is_some() {
                    form action={ (base) "/resume" } method="post" { button { "Resume " (name) } }
                }
                // A pause of another cause may end by itself.
                @if !account.pause.as_ref().is_some_and(PauseView::is_by_operator) {
                    form.confirm action={ (base) "/pause" } method="post" {
                        div.field {
                            label for={ "r-" (name) } { "Reason to pause " (name) }
                            input id={ "r-" (name) } name="reason" required maxlength="500" autocomplete="off";
                        }
                        button { "Pause " (name) }
                    }
                }
            }
        }
    }
}
