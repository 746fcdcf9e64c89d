//! Faults and warnings of the settings, for a terminal, for a script and for GitHub's annotations.

use std::path::Path;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use crate::settings::Diagnostic;

/// Each diagnostic in one line, with the line of the file and a caret below it.
pub(super) fn rendered(diagnostics: &[Diagnostic], has_colour: bool) -> String {
    let renderer = if has_colour { Renderer::styled() } else { Renderer::plain() };
    let group = |diagnostic: &Diagnostic| {
        let title = Level::ERROR.no_name().primary_title(diagnostic.to_string());
        match (&diagnostic.location, &diagnostic.source) {
            (Some(location), Some(source)) => title.element(
                Snippet::source(source.text.clone())
                    .line_start(location.line)
                    .annotation(AnnotationKind::Primary.span(source.start..source.end)),
            ),
            _ => Group::with_title(title),
        }
    };
    let all = diagnostics.iter().map(|diagnostic| renderer.render(&[group(diagnostic)]));
    all.collect::<Vec<_>>().join("\n")
}

/// What is wrong, as a script reads it: the faults, or a message, with the file that it is about.
pub(super) fn to_json(faults: &[Diagnostic], message: Option<&str>, file: Option<&Path>) -> Value {
    let faults = faults.iter().map(diagnostic_to_json);
    let message = message.map(|message| {
        json!({
            "file": file,
            "line": null,
            "column": null,
            "key": null,
            "message": message,
            "suggestion": null,
        })
    });
    json!({ "valid": false, "diagnostics": faults.chain(message).collect::<Vec<_>>() })
}

fn diagnostic_to_json(diagnostic: &Diagnostic) -> Value {
    let Diagnostic { location, path, message, suggestion, .. } = diagnostic;
    json!({
        "file": location.as_ref().and_then(|location| location.file.as_ref()),
        "line": location.as_ref().map(|location| location.line),
        "column": location.as_ref().map(|location| location.column),
        "key": path,
        "message": message,
        "suggestion": suggestion,
    })
}

/// Workflow commands that GitHub Actions shows at the line of the file, one a line.
pub(super) fn annotations(faults: &[Diagnostic], message: Option<&str>) -> Vec<String> {
    let faults = faults.iter().map(|fault| annotation("error", fault));
    faults.chain(message.map(|message| format!("::error::{}", escaped(message)))).collect()
}

/// `severity` is `error` or `warning`.
pub(super) fn annotation(severity: &str, diagnostic: &Diagnostic) -> String {
    let unplaced = Diagnostic { location: None, ..diagnostic.clone() };
    let message = escaped(&unplaced.to_string());
    let Some(location) = &diagnostic.location else { return format!("::{severity}::{message}") };
    let file = location.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    let file = escaped(&file).replace(':', "%3A").replace(',', "%2C");
    let (line, column) = (location.line, location.column);
    format!("::{severity} file={file},line={line},col={column}::{message}")
}

/// The message of a workflow command, which ends with its line.
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::settings::Location;

    #[test]
    fn an_annotation_escapes_what_would_end_its_file_or_its_message() {
        let location = Location { file: Some(PathBuf::from("a:b,c%.yaml")), line: 3, column: 5 };
        let diagnostic = Diagnostic {
            location: Some(location),
            path: "delivery.rate".to_owned(),
            message: "100%\nwrong".to_owned(),
            suggestion: Some("x".to_owned()),
            source: None,
        };
        assert_eq!(
            annotation("error", &diagnostic),
            "::error file=a%3Ab%2Cc%25.yaml,line=3,col=5::delivery.rate: 100%25%0Awrong; did you mean `x`?"
        );
        let unplaced = Diagnostic { location: None, ..diagnostic };
        assert_eq!(
            annotation("warning", &unplaced),
            "::warning::delivery.rate: 100%25%0Awrong; did you mean `x`?"
        );
    }
}
