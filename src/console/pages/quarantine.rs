use maud::{Markup, html};

use super::super::layout::{notice, said, time};
use crate::admin::{QuarantinedView, RejectionView, Role};

/// What the page of the quarantine shows.
pub struct Quarantine<'a> {
    pub webhooks: &'a [QuarantinedView],
    /// The latest first.
    pub rejections: &'a [RejectionView],
    /// Sources that have webhooks in quarantine.
    pub sources: &'a [String],
    pub role: Role,
    pub notice: Option<&'a str>,
}

/// Webhooks that no known secret verifies, and the last that were rejected.
pub fn quarantine(it: &Quarantine<'_>) -> Markup {
    html! {
        h1 { "Quarantine" }
        (notice(it.notice))
        section #waiting data-live aria-labelledby="t-waiting" {
            h2 #t-waiting { "Waiting for a secret" }
            p.hint { "Nothing in these is believed. They are verified again when a secret changes." }
            @if it.webhooks.is_empty() { p { "None." } } @else { (webhooks(it.webhooks)) }
        }
        @if it.role == Role::Operator && !it.webhooks.is_empty() {
            section aria-labelledby="t-actions" {
                h2 #t-actions { "Actions" }
                form.confirm action="/console/quarantine/retry" method="post" {
                    (of_source("retry-source", it.sources))
                    label {
                        input type="checkbox" name="current_survey" value="true";
                        " also receive those whose source had another account or survey then"
                    }
                    button { "Verify again" }
                }
                form.confirm action="/console/quarantine/drop" method="post" {
                    (of_source("drop-source", it.sources))
                    @if let Some(newest) = it.webhooks.iter().map(|it| it.id).max() {
                        input type="hidden" name="newest" value=(newest);
                    }
                    label {
                        input type="checkbox" name="confirmed" value="true" required;
                        " dropping is final: what these callers said is lost"
                    }
                    button { "Drop" }
                }
            }
        }
        section #rejections data-live aria-labelledby="t-rejections" {
            h2 #t-rejections { "Last rejections" }
            @if it.rejections.is_empty() { p { "None since the start." } } @else { (rejections(it.rejections)) }
        }
    }
}

fn of_source(id: &str, sources: &[String]) -> Markup {
    html! {
        div.field {
            label for=(id) { "Source" }
            select id=(id) name="source" {
                option value="" { "all" }
                @for source in sources { option value=(source) { (source) } }
            }
        }
    }
}

fn webhooks(webhooks: &[QuarantinedView]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Quarantined webhooks" {
            table {
                thead {
                    tr {
                        th scope="col" { "Received" }
                        th scope="col" { "Source" }
                        th scope="col" { "Reason" }
                        th scope="col" { "Survey" }
                        th scope="col" { "Account" }
                        th scope="col" { "Removed" }
                    }
                }
                tbody {
                    @for it in webhooks {
                        tr {
                            td { (time(it.received_at)) }
                            td { (it.source) }
                            td { (it.reason) }
                            td { (it.survey) }
                            td { (it.account) }
                            td { (time(it.expires_at)) }
                        }
                    }
                }
            }
        }
    }
}

fn rejections(rejections: &[RejectionView]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Rejected webhooks" {
            table {
                thead {
                    tr {
                        th scope="col" { "Arrived" }
                        th scope="col" { "Source" }
                        th scope="col" { "Reason" }
                        th scope="col" { "Signed address" }
                        th scope="col" { "Host called" }
                        th scope="col" { "Quarantine" }
                    }
                }
                tbody {
                    @for it in rejections {
                        tr {
                            td { (time(it.at)) }
                            td { (it.source) }
                            td { (it.reason) }
                            td { (it.method) " " (said(&it.url)) }
                            td { @if let Some(host) = &it.host { (said(host)) } }
                            td { (it.quarantine.as_deref().unwrap_or("no")) }
                        }
                    }
                }
            }
        }
    }
}
