//! What an operator may set, read and checked as a whole before anything starts.
//!
//! The embedded `config/base.yaml`, the operator's file and `POSTCALL__SECTION__KEY` variables are
//! laid over each other by `config` ([`Settings::load`]) into one tree as written; that is read place
//! by place into values which need no second check. Whatever is wrong is reported at once, each fault
//! with its path and what would be right, none with a value in the place of a secret.
//!
//! What may stand where is described once, beside the reader of each section. The reader takes
//! nothing that is not described, and [`schema()`] tells editors the same.
//!
//! No one below `app` knows this room: it hands on the values of the rooms it sets up.

mod accounts;
mod brackets;
mod cursor;
mod delivery;
mod diagnostic;
mod environment;
mod error;
mod excerpt;
mod extractors;
mod hash;
mod issues;
mod last_accepted;
mod layers;
mod leading_zeros;
mod listeners;
mod located;
mod presets;
mod process;
mod questions;
mod ratings;
mod replies;
mod rules;
mod scalar_part;
mod schema;
mod secret;
mod secret_name;
mod section;
mod signatures;
mod source_line;
mod source_text;
mod sources;
mod spec;
mod store;
mod store_url;
mod surveys;
mod tracing;
mod variables;
mod warnings;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use delivery::{Delivery, LEASE_MARGIN};
pub use diagnostic::{Diagnostic, Location};
pub use environment::Environment;
pub use error::SettingsError;
pub use excerpt::Excerpt;
pub use hash::Fingerprint;
pub use last_accepted::Kept;
pub use listeners::{AdminListener, PublicListener};
pub use presets::names as preset_names;
pub use process::{Logs, Shutdown};
pub use schema::schema;
pub use source_line::SourceLine;
pub use store::{Spool, Store};
pub use store_url::StoreUrl;
pub use tracing::{Otlp, Tracing};
pub use warnings::Warnings;

use crate::destination::Destination;
use crate::domain::Name;
use crate::source::Source;
use crate::survey::{Replies, Survey};

pub(crate) use cursor::{Cursor, Table, all, parse_duration};
pub(crate) use diagnostic::Context;
pub(crate) use located::Located;
use section::Section;
use source_text::SourceText;
use sources::RefContext;
use spec::{Kind, Spec, key};
use warnings::Checked;

/// All that may be written.
static KIND: Kind = Kind::Table(&Spec::of(&[
    key("public", Kind::Table(PublicListener::SPEC), "The listener that senders call."),
    key(
        "admin",
        Kind::Table(AdminListener::SPEC),
        "The listener for metrics, probes and operators; never expose it with the public one.",
    ),
    key("store", Kind::Table(Store::SPEC), "The store."),
    key(
        "accounts",
        Kind::Named(&Kind::Table(&accounts::SPEC)),
        "The Plivo accounts whose calls are rated, by name.",
    )
    .needed(),
    key(
        "sources",
        Kind::Named(&Kind::Table(&sources::SPEC)),
        "Who sends webhooks, by name: /hooks/NAME.",
    )
    .needed(),
    key(
        "surveys",
        Kind::Named(&Kind::Table(&surveys::SPEC)),
        "What was asked and what it means, by name.",
    ),
    key("delivery", Kind::Table(Delivery::SPEC), "How feedback goes out."),
    key("shutdown", Kind::Table(Shutdown::SPEC), "What happens after SIGTERM."),
    key("logs", Kind::Table(Logs::SPEC), "The log."),
    key("tracing", Kind::Table(Tracing::SPEC), "Spans for a collector of OpenTelemetry."),
]));

/// All settings, checked.
#[derive(Debug)]
pub struct Settings {
    pub public: PublicListener,
    pub admin: AdminListener,
    pub store: Store,
    /// At least one.
    pub accounts: BTreeMap<Name, Destination>,
    /// At least one.
    pub sources: BTreeMap<Name, Arc<Source>>,
    /// Of the sources whose senders hear by what was answered so far.
    pub replies: BTreeMap<Name, Arc<Replies>>,
    pub surveys: BTreeMap<Name, Arc<Survey>>,
    pub delivery: Delivery,
    pub shutdown: Shutdown,
    pub logs: Logs,
    pub tracing: Tracing,
    /// Changes whenever a setting does; 12 hexadecimal digits. Secrets have no part in it.
    pub hash: String,
    pub fingerprint: Fingerprint,
    /// Of the rules of each survey: equal if answers get equal ratings.
    pub survey_digests: BTreeMap<Name, String>,
    /// What is written at `store.password`, whose place a service that runs cannot change.
    pub store_password: Fingerprint,
    /// What is written at `tracing.otlp`, likewise.
    pub tracing_otlp: Fingerprint,
    pub warnings: Warnings,
    /// What the playground of the console needs of them.
    pub excerpt: Excerpt,
    /// `None` if they come from no file.
    source_text: Option<SourceText>,
}

impl Settings {
    /// The embedded defaults, the file over them, the variables over both.
    ///
    /// # Errors
    /// The file cannot be read, or everything that is wrong with what it says.
    pub fn load(file: Option<&Path>, environment: Environment) -> Result<Self, SettingsError> {
        let text = file.map(layers::read_file).transpose()?.unwrap_or_default();
        Self::read(&text, file, environment)
    }

    /// As [`load`](Self::load), with the text of a file that need not exist.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn from_yaml(text: &str, environment: Environment) -> Result<Self, SettingsError> {
        Self::read(text, None, environment)
    }

    fn read(
        text: &str,
        file: Option<&Path>,
        environment: Environment,
    ) -> Result<Self, SettingsError> {
        let context = Context::of(file.map(Path::to_owned), environment).showing(text);
        let tree = match layers::lay(text, &KIND, &context) {
            Ok(tree) => tree,
            Err(error) => {
                context.add_not_yaml(error);
                return Err(SettingsError::Faults(context.into_sorted()));
            }
        };
        let settings = Self::at(&Cursor::root(&tree, &KIND, &context));
        let warned = context.empty();
        let missing_secrets = context.missing_secrets();
        match (context.into_sorted(), settings) {
            (faults, Some(mut settings)) if faults.is_empty() => {
                settings.warnings =
                    Warnings { missing_secrets, ..settings.warnings_of(&tree, &warned) };
                settings.excerpt = Excerpt::of(text, &tree);
                settings.source_text = file.map(|file| SourceText::new(file, text));
                Ok(settings)
            }
            (faults, _) => Err(SettingsError::Faults(faults)),
        }
    }

    /// The same settings, if a service may run with them.
    ///
    /// # Errors
    /// There are placeholders, and a listener that other hosts can reach.
    pub fn for_service(self) -> Result<Self, SettingsError> {
        if self.warnings.placeholders.is_empty() || !self.is_reachable() {
            return Ok(self);
        }
        Err(SettingsError::Faults(self.warnings.placeholders))
    }

    /// Whether a listener can be reached from other hosts.
    pub fn is_reachable(&self) -> bool {
        !self.public.listen.ip().is_loopback() || !self.admin.listen.ip().is_loopback()
    }

    fn warnings_of(&self, tree: &Located, context: &Context) -> Warnings {
        let Self { public, admin, accounts, sources, replies, surveys, .. } = self;
        let checked = Checked { public, admin, accounts, sources, replies, surveys, tree };
        Warnings::of(&checked, &KIND, context)
    }

    fn at(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let section = |name| table.need(name, "a table");

        let public = section("public").and_then(|cursor| PublicListener::at(&cursor));
        let admin = section("admin").and_then(|cursor| {
            let admin = AdminListener::at(&cursor)?;
            public.as_ref().map_or(Some(()), |public| admin.check(public, &cursor))?;
            Some(admin)
        });
        let store = section("store").and_then(|cursor| Store::at(&cursor));
        let delivery = section("delivery").and_then(|cursor| Delivery::read(&cursor));
        let shutdown = section("shutdown").and_then(|cursor| Shutdown::at(&cursor));
        let logs = section("logs").and_then(|cursor| Logs::at(&cursor));
        let tracing = section("tracing").and_then(|cursor| Tracing::at(&cursor));

        let accounts = named(some(section("accounts"), "account"), accounts::destination);
        let delay = delivery.as_ref().map_or(Duration::ZERO, |delivery| delivery.delay);
        let surveys =
            named(section("surveys"), |_, cursor| surveys::survey(cursor, delay).map(Arc::new));
        let refs = RefContext { public: public.as_ref(), accounts: &accounts, surveys: &surveys };
        let sources = named(some(section("sources"), "source"), |name, cursor| {
            sources::source(name, cursor, &refs).map(Arc::new)
        });
        if let Some(cursor) = table.get("surveys") {
            sources::check_fields(&cursor, &surveys, &sources);
        }
        let replies = replies::replies(section("sources"), &sources, &surveys);
        let tree = cursor.json();
        let surveys = complete(surveys)?;
        let digest = |name: &Name| hash::of_rules(&tree["surveys"][name.as_str()]);
        Some(Self {
            public: public?,
            admin: admin?,
            store: store?,
            accounts: complete(accounts)?,
            sources: complete(sources)?,
            replies: replies?,
            survey_digests: surveys.keys().map(|name| (name.clone(), digest(name))).collect(),
            surveys,
            delivery: delivery?,
            shutdown: shutdown?,
            logs: logs?,
            tracing: tracing?,
            hash: hash::shown(&tree),
            fingerprint: Fingerprint::of(&tree),
            store_password: Fingerprint::of(&tree["store"]["password"]),
            tracing_otlp: Fingerprint::of(&tree["tracing"]["otlp"]),
            warnings: Warnings::default(),
            excerpt: Excerpt::default(),
            source_text: None,
        })
    }
}

/// A section that must not be empty.
fn some<'a>(section: Option<Cursor<'a>>, of: &str) -> Option<Cursor<'a>> {
    let section = section?;
    if section.is_empty() && section.may_lack_entries(section.path()) {
        None
    } else if section.is_empty() {
        section.fault(format!("expected at least one {of}"))
    } else {
        Some(section)
    }
}

/// The entries of a section by name, `None` for each that is wrong.
fn named<T>(
    section: Option<Cursor<'_>>,
    read: impl Fn(Name, &Cursor<'_>) -> Option<T>,
) -> BTreeMap<Name, Option<T>> {
    let Some(section) = section else { return BTreeMap::new() };
    section.named().into_iter().map(|(name, cursor)| (name.clone(), read(name, &cursor))).collect()
}

fn complete<T>(entries: BTreeMap<Name, Option<T>>) -> Option<BTreeMap<Name, T>> {
    entries.into_iter().map(|(name, entry)| Some((name, entry?))).collect()
}
