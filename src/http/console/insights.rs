use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};

use super::page::{PageRequest, Special};
use super::respond::PageError;
use crate::admin::InsightsQuery;
use crate::console::{self, Filter, InsightsView, Tab};

/// Seconds between two looks.
const REFRESH: u32 = 60;

pub(super) async fn insights(mut page: PageRequest) -> Result<HttpResponse, PageError> {
    let query = query(&page.query)?;
    if let Some(known) = page.unchanged(()) {
        return Ok(known);
    }
    let insights = page.listener.api.admin.insights(&query).await?;
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
    let csv = page.listener.api.admin.insights_table(&query).await?.csv();
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"insights.csv\""))
        .body(csv))
}

fn query(filter: &Filter) -> Result<InsightsQuery, PageError> {
    let keys = InsightsQuery::KEYS;
    if let Some((key, _)) = filter.pairs.iter().find(|(key, _)| !keys.contains(&key.as_str())) {
        let known = keys.join(", ");
        let detail = format!("unknown parameter {key:?}; known here: {known}");
        return Err(PageError::new(StatusCode::BAD_REQUEST, detail));
    }
    Ok(InsightsQuery::read(|key| filter.get(key))?)
}
