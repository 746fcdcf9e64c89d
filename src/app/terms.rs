//! What the settings say, in the words of the rooms that they set up.

use std::sync::Arc;

use super::answer_xml::answer_xml;
use crate::admin::AdminConfig;
use crate::delivery::{self, DeliveryConfig};
use crate::destination::Timeouts;
use crate::domain::Name;
use crate::http::{self, AdminTokens, ConsoleConfig, PlaygroundConfig, SourceSetup};
use crate::ingest::IngestError;
use crate::settings::Settings;
use crate::source::{Scheme, Source};
use crate::survey::{Labels, SettingsMapper, Survey};
use crate::telemetry::{FieldLabels, LabelSets};

/// Who may use the admin listener.
pub(super) fn admin_tokens(settings: &Settings) -> AdminTokens {
    let admin = &settings.admin;
    AdminTokens { token: admin.token.clone(), viewer_token: admin.viewer_token.clone() }
}

/// What the console shows of the settings.
pub(super) fn of_console(settings: &Settings) -> ConsoleConfig {
    let setup = |source: &Arc<Source>| {
        let survey = settings.surveys.get(&source.survey);
        let has_replies = settings.replies.contains_key(&source.name);
        let xml = match survey {
            Some(survey) if matches!(source.signature, Scheme::Plivo(_)) => {
                answer_xml(source, survey, has_replies, None).map(|it| (it.xml, it.notes))
            }
            _ => Err("its sender is not Plivo, which alone runs XML".to_owned()),
        };
        SourceSetup {
            source: source.name.to_string(),
            url: source.address(),
            account: source.account.name.to_string(),
            survey: source.survey.to_string(),
            schemes: source.signature.labels().iter().map(ToString::to_string).collect(),
            xml,
        }
    };
    ConsoleConfig {
        environment: settings.admin.environment.clone(),
        setups: settings.sources.values().map(setup).collect(),
        playground: PlaygroundConfig {
            rules: settings.excerpt.surveys.clone(),
            webhooks: first_webhooks(settings),
            sections: settings.excerpt.sections.clone(),
        },
    }
}

/// Webhooks that a caller of Plivo may cause, one for each question of a survey.
fn first_webhooks(settings: &Settings) -> String {
    let mut sources = settings.sources.values();
    let Some(source) = sources.find(|it| matches!(it.signature, Scheme::Plivo(_))) else {
        return String::new();
    };
    let questions = settings.surveys[&source.survey].questions().enumerate();
    let webhook = |(at, question): (usize, &Name)| {
        format!(
            "- {{ source: {}, form: \"CallUUID=c-1&Digits=1\", query: \"question={question}\", at: {}s }}\n",
            source.name, at
        )
    };
    questions.map(webhook).collect()
}

pub(super) fn label_sets(settings: &Settings) -> LabelSets {
    let schemes = |source: &Source| source.signature.labels();
    LabelSets {
        sources: settings.sources.iter().map(|(name, s)| (name.clone(), schemes(s))).collect(),
        surveys: settings.surveys.keys().cloned().collect(),
        fields: settings.surveys.iter().map(|(name, it)| (name.clone(), labels(it))).collect(),
        answers: settings.surveys.iter().flat_map(|(name, it)| answers(name, it)).collect(),
        accounts: settings.accounts.keys().cloned().collect(),
        rejections: IngestError::rejections().chain(http::REJECTIONS).collect(),
    }
}

/// The labels that metrics have for a survey's fields.
fn labels(survey: &Survey) -> FieldLabels {
    survey.labels().iter().map(|field| (field.clone(), Labels::metric_label(field))).collect()
}

/// The answers that are counted, by question.
fn answers(name: &Name, survey: &Survey) -> Vec<(Name, Name, Vec<String>)> {
    let counted = survey.counted_answers().map(|(question, answers)| {
        let answers = answers.into_iter().map(str::to_owned).collect();
        (name.clone(), question.clone(), answers)
    });
    counted.collect()
}

pub fn of_delivery(settings: &Settings) -> DeliveryConfig {
    let delivery = &settings.delivery;
    DeliveryConfig {
        mapper: mapper(settings),
        destinations: settings.accounts.clone(),
        options: delivery::Options {
            timeouts: Timeouts { connect: delivery.connect_timeout, exchange: delivery.timeout },
            max_concurrency: delivery.max_concurrency,
            rate: delivery.rate,
            probe_interval: delivery.probe_interval,
            retry: delivery.retry,
        },
        retention: settings.store.retention,
        surveys: settings.survey_digests.clone(),
    }
}

/// Mapping by these settings.
pub fn mapper(settings: &Settings) -> Arc<SettingsMapper> {
    Arc::new(SettingsMapper {
        surveys: settings.surveys.clone(),
        accounts: settings.accounts.keys().cloned().collect(),
        on_unknown_result: settings.delivery.retry.on_unknown_result,
    })
}

/// Configuration of operator actions.
pub fn of_admin(settings: &Settings) -> AdminConfig {
    AdminConfig {
        mapper: mapper(settings),
        rate: settings.delivery.rate,
        traces: settings.tracing.otlp.is_some(),
    }
}

/// Says through which sources a stranger could walk in.
pub(super) fn warn_of_open_sources(settings: &Settings) {
    for (name, source) in &settings.sources {
        let schemes = source.signature.labels();
        if !source.signature.vouches_for_answers() {
            tracing::warn!(
                source = %name,
                ?schemes,
                "anyone who knows or overhears this source's address can send answers to it"
            );
        }
    }
}
