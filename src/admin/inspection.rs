//! What became of a call: its submissions, and what the settings in force now would make of each.

use super::difference::Difference;
use super::error::Result;
use super::masking::Mask;
use super::service::AdminService;
use super::views::SubmissionDetailView;
use crate::domain::CallUuid;
use crate::store::SubmissionDetail;
use crate::submission::{ActionOutcome, SubmissionId};

/// One submission in full.
#[derive(Debug, Clone)]
pub struct Inspection {
    pub detail: SubmissionDetailView,
    /// What the settings in force now would make of it; none once its answers are purged.
    pub today: Option<Difference>,
}

/// The submissions about one call.
#[derive(Debug, Clone)]
pub struct CallInspection {
    pub submissions: Vec<Inspection>,
    /// How many more there are than are shown.
    pub truncated: usize,
}

/// Most submissions about one call that are shown at once: it has one for each survey and account.
const SUBMISSIONS_MAX: usize = 10;

impl AdminService {
    /// One submission with what the settings in force now would make of it.
    ///
    /// # Errors
    /// There is no such submission, or the store cannot be read.
    pub async fn inspect(&self, id: SubmissionId) -> Result<Inspection> {
        let found = self.store().find(id).await?;
        Ok(self.inspection(found.ok_or(ActionOutcome::Unknown)?))
    }

    /// The submissions about a call, without those that were erased.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn inspect_call(&self, call: &CallUuid) -> Result<CallInspection> {
        let ids = self.store().of_call(call.clone()).await?;
        let truncated = ids.len().saturating_sub(SUBMISSIONS_MAX);
        let mut submissions = Vec::new();
        for id in ids.into_iter().take(SUBMISSIONS_MAX) {
            let found = self.store().find(id).await?;
            submissions.extend(found.map(|it| self.inspection(it)));
        }
        Ok(CallInspection { submissions, truncated })
    }

    fn inspection(&self, found: SubmissionDetail) -> Inspection {
        let config = self.config();
        let today = Difference::today(&found.submission, self.now(), &*config.mapper);
        let survey = config.mapper.surveys.get(&found.submission.survey).cloned();
        Inspection {
            detail: SubmissionDetailView::of(found, survey.as_deref(), config.traces),
            today,
        }
    }
}

impl Mask for Inspection {
    fn mask(&mut self) {
        self.detail.mask();
        self.today.iter_mut().for_each(Mask::mask);
    }
}

impl Mask for CallInspection {
    fn mask(&mut self) {
        self.submissions.iter_mut().for_each(Mask::mask);
    }
}
