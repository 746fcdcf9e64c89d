use config::ConfigError;

/// Why a text is not a table in YAML, without any of the text: a secret may stand where it broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotYaml(pub(super) String);

impl From<ConfigError> for NotYaml {
    /// `config` and its parser quote what they read, so their words are not passed on: only those
    /// of a syntax error, which are fixed, and where it happened.
    fn from(error: ConfigError) -> Self {
        let ConfigError::FileParse { cause, .. } = error else {
            return Self("not YAML".to_owned());
        };
        if matches!(
            cause.downcast_ref::<Box<ConfigError>>().map(Box::as_ref),
            Some(ConfigError::Type { .. })
        ) {
            return Self("the whole is not a table of sections".to_owned());
        }
        let words = cause.to_string();
        let Some((what, (line, column))) = words
            .rsplit_once(" at byte ")
            .and_then(|(what, place)| Some((what, line_and_column(place)?)))
        else {
            return Self(
                "not YAML that settings can be read from: one document, every key a plain word \
                 (is a `{{ … }}` left over from a template?)"
                    .to_owned(),
            );
        };
        let what = if what.ends_with("duplicated key in mapping") {
            "a key stands twice in one table"
        } else {
            what
        };
        Self(format!("line {line}, column {column}: {what}"))
    }
}

/// From `BYTE line LINE column COLUMN`.
fn line_and_column(place: &str) -> Option<(usize, usize)> {
    let (line, column) = place.split_once(" line ")?.1.split_once(" column ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}
