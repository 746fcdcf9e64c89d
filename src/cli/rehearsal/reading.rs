use crate::domain::{CallUuid, Identity, Report, Reported};
use crate::source::{Refused, Source, VerifiedHook};
use crate::survey::Survey;

/// What a hook says, with every question named.
pub(super) struct Read {
    pub call: CallUuid,
    pub report: Report,
    pub identity: Option<Identity>,
}

/// As the intake does it. `None` where the hook is none of the source's business.
pub(super) fn read(
    source: &Source,
    hook: &VerifiedHook,
    survey: &Survey,
) -> Result<Option<Read>, Refused> {
    let reading = source.read(hook)?;
    let first = || survey.first_question().as_str().to_owned();
    let answers = vec![Reported {
        question: reading.question.unwrap_or_else(first),
        answer: reading.answer,
        reader: "form:Digits".to_owned(),
    }];
    let report = Report { answers, ..Report::default() };
    Ok(Some(Read { call: reading.call, report, identity: None }))
}
