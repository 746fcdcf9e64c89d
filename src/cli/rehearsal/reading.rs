use crate::domain::{CallUuid, Identity, Report, Reported};
use crate::source::{ReadAnswer, Refused, Source, VerifiedHook};
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
    let Some(reading) = source.read(hook)? else { return Ok(None) };
    let mut answers: Vec<Reported> = Vec::new();
    for ReadAnswer { question, answer, reader } in reading.answers {
        let question = question.unwrap_or_else(|| survey.first_question().as_str().to_owned());
        if answers.iter().all(|known| known.question != question) {
            answers.push(Reported { question, answer, reader });
        }
    }
    let report = Report {
        answers,
        fields: reading.fields,
        hung_up: reading.hung_up,
        opted_out: reading.opted_out,
    };
    Ok(Some(Read { call: reading.call, report, identity: reading.identity }))
}
