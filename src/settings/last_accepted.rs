//! The settings that were accepted last, kept beside the store: a file that is refused must not keep the
//! service from starting again.
//!
//! The text is kept as it was written, so that secrets stay references to variables and files. Settings
//! with a secret in their text are not kept: it would get into backups of the store.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::diagnostic::Context;
use super::error::SettingsError;
use super::source_text::SourceText;
use super::{Environment, Settings, layers};

/// What the name of the database is followed by.
const SUFFIX: &str = ".settings.yaml";

/// What became of settings that were to be kept.
#[derive(Debug, PartialEq, Eq)]
pub enum Kept {
    Yes(PathBuf),
    /// They come from no file.
    NoFile,
    /// Neither the store nor a spool is a file that they could be kept beside.
    NoPlace,
    /// There is a secret in their text. What was kept before is removed.
    HasSecret,
}

impl Settings {
    /// Keeps the text of these settings beside their store or, if that is a database, beside their spool, readable
    /// by its owner alone.
    ///
    /// # Errors
    /// The file cannot be written; what was kept before stays.
    pub fn keep(&self) -> io::Result<Kept> {
        let Some(source) = &self.source_text else { return Ok(Kept::NoFile) };
        let file = self.store.url.file().or(self.store.spool.path.as_deref());
        let Some(file) = file else { return Ok(Kept::NoPlace) };
        let place = place(file);
        if source.has_secret(&super::KIND) {
            return match fs::remove_file(&place) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(Kept::HasSecret),
            };
        }
        let folder = place.parent().filter(|folder| *folder != Path::new(""));
        // Its mode is 0600. It takes the place of the other as a whole.
        let mut draft = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        draft.write_all(SourceText::head(&source.file).as_bytes())?;
        draft.write_all(source.text.as_bytes())?;
        draft.as_file().sync_all()?;
        draft.persist(&place)?;
        Ok(Kept::Yes(place))
    }

    /// The settings that were accepted last from this file, which is refused now; `None` if there are none
    /// that can be taken.
    pub fn last_accepted(file: &Path, environment: Environment) -> Option<Self> {
        let refused = layers::read_file(file).ok()?;
        let kept = layers::read_file(&place(&file_of(&refused, &environment)?)).ok()?;
        let text = kept.strip_prefix(&SourceText::head(file))?;
        Self::read(text, Some(file), environment).ok()
    }
}

impl SettingsError {
    /// Whether the file was read and is invalid.
    pub fn is_invalid(&self) -> bool {
        matches!(self, SettingsError::Faults(_))
    }
}

fn place(file: &Path) -> PathBuf {
    let mut place = OsString::from(file);
    place.push(SUFFIX);
    place.into()
}

/// The path of the store or of the spool in settings that are refused, whatever is wrong elsewhere in them.
fn file_of(text: &str, environment: &Environment) -> Option<PathBuf> {
    let lay = |text: &str| layers::lay(text, &super::KIND, &Context::of(None, environment.clone()));
    let tree = lay(text).or_else(|_| lay(&section_of(text, "store"))).ok()?;
    let store = tree.get("store")?;
    let url = store.get("url")?.json();
    match url.as_str()?.strip_prefix("sqlite:") {
        Some(path) => Some(PathBuf::from(path)),
        None => store.get("spool")?.get("path")?.json().as_str().map(PathBuf::from),
    }
}

/// The lines of one section of a text that is not YAML as a whole.
fn section_of(text: &str, name: &str) -> String {
    let is_inside = |line: &str| line.is_empty() || line.starts_with([' ', '\t', '#', '}']);
    let mut lines = text.lines().skip_while(|line| !line.starts_with(&format!("{name}:")));
    let first = lines.next().into_iter();
    first.chain(lines.take_while(|line| is_inside(line))).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const SETTINGS: &str = r#"
admin: { listen: "127.0.0.1:0" }
store:
  # where it is
  url: "sqlite:@folder@/calls.db"
accounts:
  main: { auth_id: MAXXXXXXXXXXXXXXXXXX, auth_token: { env: TOKEN } }
sources:
  form: { preset: generic-form, account: main, survey: quick, signature: { bearer: { env: TOKEN } } }
surveys:
  quick: { questions: [{ name: score, answers: 1-5 }], rating: { question: score } }
"#;

    fn environment() -> Environment {
        Environment::from_iter([("TOKEN", "a-token-of-twenty-bytes")])
    }

    /// A settings file in a folder of its own, accepted and kept.
    fn accepted(text: &str) -> (tempfile::TempDir, PathBuf, Kept) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("postcall.yaml");
        fs::write(&file, text.replace("@folder@", folder.path().to_str().unwrap())).unwrap();
        let settings = Settings::load(Some(&file), environment()).unwrap_or_else(|e| panic!("{e}"));
        let kept = settings.keep().unwrap();
        (folder, file, kept)
    }

    #[test]
    fn the_last_accepted_settings_are_found_whatever_is_wrong_with_the_file() {
        let (folder, file, kept) = accepted(SETTINGS);
        let place = folder.path().join("calls.db.settings.yaml");
        assert_eq!(kept, Kept::Yes(place.clone()));
        assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&file).unwrap();
        for (right, wrong) in [
            ("score }", "nothing }"),
            ("accounts:", "accounts: ]["),
            ("admin:", "\tadmin:"),
            ("surveys:", "surveys: {"),
        ] {
            assert!(text.contains(right));
            fs::write(&file, text.replace(right, wrong)).unwrap();
            assert!(Settings::load(Some(&file), environment()).is_err(), "{wrong}");
            let last = Settings::last_accepted(&file, environment());
            assert!(last.is_some_and(|last| last.surveys.len() == 1), "{wrong}");
        }
    }

    #[test]
    fn the_last_accepted_settings_are_beside_the_spool_of_a_database() {
        let on = |store: &str| {
            let lines = SETTINGS.replace("  # where it is\n", "");
            lines.replace(r#"url: "sqlite:@folder@/calls.db""#, store)
        };
        let spooled = on(
            r#"{ url: "postgres://postcall@localhost/postcall", spool: { path: "@folder@/spool.db" } }"#,
        );
        let spooled = spooled.replace("store:\n  {", "store: {");
        let (folder, file, kept) = accepted(&spooled);
        assert_eq!(kept, Kept::Yes(folder.path().join("spool.db.settings.yaml")));
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("score }", "nothing }")).unwrap();
        assert!(Settings::last_accepted(&file, environment()).is_some());

        let alone = on(r#"{ url: "postgres://postcall@localhost/postcall" }"#);
        let (_folder, file, kept) = accepted(&alone.replace("store:\n  {", "store: {"));
        assert_eq!(kept, Kept::NoPlace);
        assert!(Settings::last_accepted(&file, environment()).is_none());
    }

    #[test]
    fn the_last_accepted_settings_hold_no_secret() {
        let (folder, _, _) = accepted(SETTINGS);
        let place = folder.path().join("calls.db.settings.yaml");
        let kept = fs::read_to_string(place).unwrap();
        assert!(kept.contains("{ env: TOKEN }") && !kept.contains("a-token-of-twenty-bytes"));

        let written_out = SETTINGS
            .replace("auth_token: { env: TOKEN }", "auth_token: [{ value: another-token }]");
        let (folder, file, kept) = accepted(&written_out);
        assert_eq!(kept, Kept::HasSecret);
        assert!(!folder.path().join("calls.db.settings.yaml").exists());
        assert!(Settings::last_accepted(&file, environment()).is_none());
    }

    #[test]
    fn the_last_accepted_settings_may_have_a_key_value_that_is_no_secret() {
        let reply = SETTINGS.replace(
            "survey: quick, signature",
            "survey: quick, reply: { json: { value: thanks } }, signature",
        );
        let (folder, _, kept) = accepted(&reply);
        assert_eq!(kept, Kept::Yes(folder.path().join("calls.db.settings.yaml")));
    }

    #[test]
    fn the_last_accepted_settings_hold_no_secret_that_a_variable_replaces() {
        let (folder, file, _) = accepted(SETTINGS);
        let text = fs::read_to_string(&file).unwrap();
        let written_out =
            text.replace("auth_token: { env: TOKEN }", "auth_token: { value: written }");
        fs::write(&file, written_out).unwrap();
        let variable = "POSTCALL__ACCOUNTS__MAIN__AUTH_TOKEN__VALUE";
        let environment =
            Environment::from_iter([("TOKEN", "a-token-of-twenty-bytes"), (variable, "another")]);
        let settings = Settings::load(Some(&file), environment).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(settings.keep().unwrap(), Kept::HasSecret);
        assert!(!folder.path().join("calls.db.settings.yaml").exists());
    }

    #[test]
    fn the_last_accepted_settings_are_found_however_the_path_of_the_file_is_written() {
        let (folder, file, _) = accepted(SETTINGS);
        let last = |path: &Path| Settings::last_accepted(path, environment());
        let around = folder.path().join(".").join("..").join(folder.path().file_name().unwrap());
        assert!(last(&around.join("postcall.yaml")).is_some());
        let link = tempfile::tempdir().unwrap();
        let link = link.path().join("postcall");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        assert!(last(&link.join("postcall.yaml")).is_some());

        // As Kubernetes mounts a ConfigMap: each edit is in another folder, behind a link.
        let edit = folder.path().join("..2026_11_29");
        fs::create_dir(&edit).unwrap();
        fs::rename(&file, edit.join("postcall.yaml")).unwrap();
        std::os::unix::fs::symlink("..2026_11_29/postcall.yaml", &file).unwrap();
        assert!(last(&file).is_some());
    }

    #[test]
    fn the_last_accepted_settings_of_another_file_are_not_taken() {
        let (folder, file, _) = accepted(SETTINGS);
        let other = folder.path().join("other.yaml");
        fs::copy(&file, &other).unwrap();
        assert!(Settings::last_accepted(&file, environment()).is_some());
        assert!(Settings::last_accepted(&other, environment()).is_none());
    }
}
