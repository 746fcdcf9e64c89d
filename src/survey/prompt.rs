/// What a caller hears when a question is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// In whatever language the caller is called in.
    Text(String),
    /// By language, in the order of the settings; at least one.
    ByLanguage(Vec<(String, String)>),
}

/// There is no text, or no single one, for what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPrompt {
    #[error("it has prompts in {0}: name one with --language")]
    Several(String),
    #[error("it has no prompt in {language}: there is one in {known}")]
    Language { language: String, known: String },
}

impl Prompt {
    /// Most characters of one text: a caller listens for a minute.
    pub const LENGTH_MAX: usize = 1000;

    /// Whether a text is the name of a language, such as `en-US`, `arb` or `en-GB-WLS`.
    pub fn is_language(text: &str) -> bool {
        let mut parts = text.split('-');
        let first = parts.next().unwrap_or_default();
        let is_region = |part: &str| {
            (2..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_uppercase())
        };
        (2..=3).contains(&first.len())
            && first.bytes().all(|b| b.is_ascii_lowercase())
            && parts.clone().count() <= 2
            && parts.all(is_region)
    }

    /// The text, and its language if one is known.
    ///
    /// # Errors
    /// There is none in that language, or there are several and none is named.
    pub fn text<'a>(
        &'a self,
        language: Option<&'a str>,
    ) -> Result<(Option<&'a str>, &'a str), NoPrompt> {
        let texts = match self {
            Prompt::Text(text) => return Ok((language, text)),
            Prompt::ByLanguage(texts) => texts,
        };
        let known = || {
            let languages: Vec<_> = texts.iter().map(|(language, _)| language.as_str()).collect();
            languages.join(", ")
        };
        match (language, &texts[..]) {
            (None, [(language, text)]) => Ok((Some(language), text)),
            (None, _) => Err(NoPrompt::Several(known())),
            (Some(language), texts) => {
                let found = texts.iter().find(|(known, _)| known.eq_ignore_ascii_case(language));
                let (language, text) = found.ok_or_else(|| NoPrompt::Language {
                    language: language.to_owned(),
                    known: known(),
                })?;
                Ok((Some(language), text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompt_is_spoken_in_the_language_that_is_asked_for() {
        let text = Prompt::Text("How?".to_owned());
        assert_eq!(text.text(None), Ok((None, "How?")));
        assert_eq!(text.text(Some("en-GB")), Ok((Some("en-GB"), "How?")));
        let of = |languages: &[&str]| {
            let texts = languages.iter().map(|it| ((*it).to_owned(), format!("in {it}")));
            Prompt::ByLanguage(texts.collect())
        };
        assert_eq!(of(&["es-ES"]).text(None), Ok((Some("es-ES"), "in es-ES")));
        let both = of(&["en-US", "es-ES"]);
        assert_eq!(both.text(Some("ES-es")), Ok((Some("es-ES"), "in es-ES")));
        let several = both.text(None).unwrap_err().to_string();
        assert_eq!(several, "it has prompts in en-US, es-ES: name one with --language");
        let missing = both.text(Some("fr-FR")).unwrap_err().to_string();
        assert_eq!(missing, "it has no prompt in fr-FR: there is one in en-US, es-ES");
    }

    #[test]
    fn prompt_language_is_written_as_plivo_writes_it() {
        for language in ["en-US", "es-ES", "arb", "cmn-CN", "en-GB-WLS"] {
            assert!(Prompt::is_language(language), "{language}");
        }
        for text in ["", "en", "en-us", "EN-US", "en_US", "en-", "english", "en-US-X-Y"] {
            assert_eq!(Prompt::is_language(text), text == "en", "{text}");
        }
    }
}
