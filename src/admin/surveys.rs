use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::Name;
use crate::survey::Survey;

/// The surveys of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SurveyList {
    /// By name.
    pub surveys: Vec<SurveyView>,
}

/// Names of what is known about a call by a survey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SurveyView {
    pub survey: String,
    /// In the order in which they are declared.
    pub questions: Vec<String>,
    /// In the order in which they are declared.
    pub fields: Vec<String>,
}

impl SurveyView {
    pub(super) fn of(name: &Name, survey: &Survey) -> Self {
        Self {
            survey: name.to_string(),
            questions: survey.questions().map(ToString::to_string).collect(),
            fields: survey.fields().iter().map(ToString::to_string).collect(),
        }
    }
}
