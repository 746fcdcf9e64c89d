//! What an operator may set, read and checked as a whole before anything starts.
//!
//! The embedded `config/base.yaml`, the operator's file and `POSTCALL__SECTION__KEY` variables are
//! laid over each other ([`Settings::load`]) into one tree as written; that is read place by place
//! into values which need no second check. Whatever is wrong is reported at once, each fault with
//! its path and what would be right, none with anything that stands where a secret belongs.
//!
//! What may stand where is described once, beside the reader of each section. The reader takes
//! nothing that is not described, and [`schema()`] tells editors the same.
//!
//! Nobody below `app` knows this room: it hands on the values of the rooms it sets up.

mod accounts;
mod delivery;
mod doors;
mod environment;
mod error;
mod fault;
mod hash;
mod issues;
mod layers;
mod lines;
mod not_yaml;
mod presets;
mod process;
mod questions;
mod ratings;
mod readers;
mod replies;
mod rules;
mod schema;
mod secret;
mod shape;
mod signatures;
mod sources;
mod store;
mod surveys;
mod variables;
mod written;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use delivery::{Delivery, LEASE_MARGIN};
pub use doors::{PrivateDoor, PublicDoor};
pub use environment::Environment;
pub use error::SettingsError;
pub use fault::{Fault, Written};
pub use hash::Fingerprint;
pub use not_yaml::NotYaml;
pub use process::{Logs, Shutdown};
pub use schema::schema;
pub use store::Store;

use crate::destination::Destination;
use crate::domain::Name;
use crate::source::Source;
use crate::survey::{Replies, Survey};

use fault::Faults;
use layers::Layered;
use lines::Lines;
use shape::{Kind, Shape, key};
use sources::Surroundings;
use variables::Variables;
use written::Place;

/// All that may be written.
static KIND: Kind = Kind::Table(&Shape::of(&[
    key("public", Kind::Table(&PublicDoor::SHAPE), "The door that senders call."),
    key(
        "private",
        Kind::Table(&PrivateDoor::SHAPE),
        "The door for metrics, probes and operators; never expose it with the public one.",
    ),
    key("store", Kind::Table(&Store::SHAPE), "The ledger."),
    key(
        "accounts",
        Kind::Named(&Kind::Table(&accounts::SHAPE)),
        "The Plivo accounts whose calls are rated, by name.",
    )
    .needed(),
    key(
        "sources",
        Kind::Named(&Kind::Table(&sources::SHAPE)),
        "Who sends hooks, by name: /hooks/NAME.",
    )
    .needed(),
    key(
        "surveys",
        Kind::Named(&Kind::Table(&surveys::SHAPE)),
        "What was asked and what it means, by name.",
    ),
    key("delivery", Kind::Table(&Delivery::SHAPE), "How feedback goes out."),
    key("shutdown", Kind::Table(&Shutdown::SHAPE), "What happens after SIGTERM."),
    key("logs", Kind::Table(&Logs::SHAPE), "How the service speaks to its operator."),
]));

/// All settings, checked.
#[derive(Debug)]
pub struct Settings {
    pub public: PublicDoor,
    pub private: PrivateDoor,
    pub store: Store,
    /// At least one.
    pub accounts: BTreeMap<Name, Destination>,
    /// At least one.
    pub sources: BTreeMap<Name, Source>,
    /// Of the sources whose senders hear by what was answered so far.
    pub replies: BTreeMap<Name, Arc<Replies>>,
    pub surveys: BTreeMap<Name, Arc<Survey>>,
    pub delivery: Delivery,
    pub shutdown: Shutdown,
    pub logs: Logs,
    /// ChangedAnswerPolicy whenever a setting does; 12 hexadecimal digits. Secrets have no part in it.
    pub hash: String,
    pub fingerprint: Fingerprint,
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
        let faults = Faults::default();
        let Layered { tree, variables } =
            layers::lay(text, &environment, &faults).map_err(|source| {
                let file = file.unwrap_or(Path::new("the given text")).to_owned();
                SettingsError::NotYaml { file, source }
            })?;
        let settings = Self::at(&Place::root(&tree, &KIND, &faults), &Arc::new(environment));
        match (faults.into_vec(), settings) {
            (faults, Some(settings)) if faults.is_empty() => Ok(settings),
            (faults, _) => Err(SettingsError::Faults(placed(faults, &variables, text, file))),
        }
    }

    fn at(place: &Place<'_>, environment: &Arc<Environment>) -> Option<Self> {
        let table = place.table()?;
        let section = |name| table.need(name, "a table");

        let public = section("public").and_then(|place| PublicDoor::at(&place));
        let private = section("private")
            .and_then(|place| PrivateDoor::at(&place, public.as_ref(), environment));
        let store = section("store").and_then(|place| Store::at(&place));
        let delivery = section("delivery").and_then(|place| Delivery::at(&place));
        let shutdown = section("shutdown").and_then(|place| Shutdown::at(&place));
        let logs = section("logs").and_then(|place| Logs::at(&place));

        let accounts = named(some(section("accounts"), "account"), |name, place| {
            accounts::destination(name, place, environment)
        });
        let delay = delivery.as_ref().map_or(Duration::ZERO, |delivery| delivery.delay);
        let surveys =
            named(section("surveys"), |_, place| surveys::survey(place, delay).map(Arc::new));
        let surroundings = Surroundings {
            public: public.as_ref(),
            accounts: &accounts,
            surveys: &surveys,
            environment,
        };
        let sources = named(some(section("sources"), "source"), |name, place| {
            sources::source(name, place, &surroundings)
        });
        if let Some(place) = table.get("surveys") {
            sources::check_fields(&place, &surveys, &sources);
        }
        let replies = replies::replies(section("sources"), &sources, &surveys);
        Some(Self {
            public: public?,
            private: private?,
            store: store?,
            accounts: complete(accounts)?,
            sources: complete(sources)?,
            replies: replies?,
            surveys: complete(surveys)?,
            delivery: delivery?,
            shutdown: shutdown?,
            logs: logs?,
            hash: hash::shown(place.value()),
            fingerprint: Fingerprint::of(place.value()),
        })
    }
}

/// Each once, with the line or the variable that it comes from.
fn placed(
    mut faults: Vec<Fault>,
    variables: &Variables,
    text: &str,
    file: Option<&Path>,
) -> Vec<Fault> {
    let lines = Lines::of(text);
    for fault in &mut faults {
        if let Some(variable) = variables.setter(&fault.path) {
            fault.message.push_str(&format!(" (set by {variable})"));
        } else if let Some(line) = lines.nearest(&fault.path) {
            fault.written = Some(Written { file: file.map(Path::to_owned), line });
        }
    }
    faults.sort();
    faults.dedup();
    faults
}

/// A section that must not be empty.
fn some<'a>(section: Option<Place<'a>>, of: &str) -> Option<Place<'a>> {
    let section = section?;
    if section.is_empty() {
        section.fault(format!("expected at least one {of}"))
    } else {
        Some(section)
    }
}

/// The entries of a section by name, `None` for each that is wrong.
fn named<T>(
    section: Option<Place<'_>>,
    read: impl Fn(Name, &Place<'_>) -> Option<T>,
) -> BTreeMap<Name, Option<T>> {
    let Some(section) = section else { return BTreeMap::new() };
    section.entries().into_iter().map(|(name, place)| (name.clone(), read(name, &place))).collect()
}

fn complete<T>(entries: BTreeMap<Name, Option<T>>) -> Option<BTreeMap<Name, T>> {
    entries.into_iter().map(|(name, entry)| Some((name, entry?))).collect()
}
