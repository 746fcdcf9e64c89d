use std::fmt::Display;
use std::str::FromStr;

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};

use super::page::{PageRequest, Special};
use super::respond::PageError;
use crate::admin::{Insights, InsightsQuery};
use crate::console::{self, Filter, InsightsView, Tab};

/// Seconds between two looks, and days that are shown unless the query says more.
const REFRESH: u32 = 60;
const DAYS: u16 = 30;

/// Most days that are shown.
const DAYS_MAX: u16 = 400;

pub(super) async fn insights(mut page: PageRequest) -> Result<HttpResponse, PageError> {
    let query = query(&page.query)?;
    if let Some(known) = page.unchanged(Insights::today(page.listener.console.clock.now())) {
        return Ok(known);
    }
    let insights = found(&page, &query).await?;
    let (accounts, surveys) = page.listener.api.admin.names();
    let content = console::insights(&InsightsView {
        filter: &page.query,
        days: query.days,
        insights: &insights,
        accounts: &accounts,
        surveys: &surveys,
    });
    let special =
        Special { tab: Some(Tab::Insights), refresh: Some(REFRESH), ..Special::default() };
    Ok(page.answer("Insights", special, &content))
}

pub(super) async fn csv(page: PageRequest) -> Result<HttpResponse, PageError> {
    let query = query(&page.query)?;
    let csv = found(&page, &query).await?.csv(query.by.as_ref());
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"insights.csv\""))
        .body(csv))
}

async fn found(page: &PageRequest, query: &InsightsQuery) -> Result<Insights, PageError> {
    let now = page.listener.console.clock.now();
    Ok(page.listener.api.admin.insights(query, now).await?)
}

fn query(filter: &Filter) -> Result<InsightsQuery, PageError> {
    const KEYS: [&str; 4] = ["survey", "account", "by", "days"];
    let invalid = |detail: String| PageError::new(StatusCode::BAD_REQUEST, detail);
    if let Some((key, _)) = filter.pairs.iter().find(|(key, _)| !KEYS.contains(&key.as_str())) {
        let known = KEYS.join(", ");
        return Err(invalid(format!("unknown parameter {key:?}; known here: {known}")));
    }
    let days = match filter.get("days").map(str::parse) {
        None => DAYS,
        Some(Ok(days @ 1..=DAYS_MAX)) => days,
        Some(_) => return Err(invalid(format!("days: expected 1 to {DAYS_MAX}"))),
    };
    Ok(InsightsQuery {
        survey: parsed(filter, "survey").map_err(invalid)?,
        account: parsed(filter, "account").map_err(invalid)?,
        by: parsed(filter, "by").map_err(invalid)?,
        days,
    })
}

fn parsed<T: FromStr<Err: Display>>(filter: &Filter, key: &str) -> Result<Option<T>, String> {
    filter.get(key).map(|text| text.parse().map_err(|error| format!("{key}: {error}"))).transpose()
}
