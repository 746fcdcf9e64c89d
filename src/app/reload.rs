use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{open_files, terms};
use crate::admin::AdminService;
use crate::delivery::DeliveryConfig;
use crate::http::{ConsoleContext, Gate};
use crate::ingest::Ingest;
use crate::settings::{Fingerprint, Kept, Settings, SettingsError};
use crate::telemetry::{Metrics, ReloadResult, logs};

/// Settings that were read again while the service runs, or why there are none.
pub type Reread = Result<Settings, SettingsError>;

/// The parts of a running service that other settings can be given to.
pub(super) struct Live {
    pub(super) in_force: InForce,
    pub(super) ingest: Arc<Ingest>,
    pub(super) admin: Arc<AdminService>,
    pub(super) gate: Arc<Gate>,
    pub(super) console: Arc<ConsoleContext>,
    pub(super) terms: watch::Sender<Arc<DeliveryConfig>>,
    pub(super) metrics: Arc<Metrics>,
}

/// What is still to be known of settings that were given to the parts.
pub(super) struct InForce {
    fixed: [(&'static str, String); 13],
    fixed_secrets: [(&'static str, Fingerprint); 2],
    fingerprint: Fingerprint,
    hash: String,
    pub(super) announce: Duration,
}

impl Live {
    /// All of it comes into force, or nothing.
    pub(super) fn take(&mut self, reread: Reread) {
        let result = match reread {
            Ok(new) => self.take_well(new),
            Err(error) => {
                tell_faults(&error);
                ReloadResult::Rejected
            }
        };
        self.metrics.settings_read_again(result);
    }

    fn take_well(&mut self, new: Settings) -> ReloadResult {
        if new.fingerprint == self.in_force.fingerprint {
            // What they refer to may have changed nevertheless.
            self.ingest.read_secrets_anew();
            self.gate.read_secrets_anew();
            self.metrics.settings_are_stale(false);
            keep(&new);
            tracing::info!(settings = new.hash, "the settings say what is in force already");
            return ReloadResult::Unchanged;
        }
        let coming = InForce::of(&new);
        let keys = coming.needs_restart(&self.in_force);
        if !keys.is_empty() {
            tracing::error!(
                keys = keys.join(", "),
                "the settings were not reloaded, the old ones stay in force: these keys cannot \
                 change while the service runs; restart it, or set them back"
            );
            return ReloadResult::Rejected;
        }
        // More accounts want more connections of their own.
        if let Err(error) = open_files::check(open_files::raise_limit(), &new) {
            tracing::error!(%error, "the settings were not reloaded, the old ones stay in force");
            return ReloadResult::Rejected;
        }
        let (was, is) = (&self.in_force.hash, &coming.hash);
        tracing::info!(was, settings = is, "the settings were reloaded");
        terms::warn_of_open_sources(&new);
        keep(&new);

        // Metrics and the dispatcher come first: what the listeners let in meets a dispatcher that
        // knows its survey, and is counted where it belongs.
        self.metrics.settings_came_into_force(&terms::label_sets(&new), &new.hash);
        self.terms.send_replace(Arc::new(terms::of_delivery(&new)));
        self.admin.change(terms::of_admin(&new));
        self.gate.change(terms::admin_tokens(&new));
        self.console.change(terms::of_console(&new));
        logs::filter_by(&new.logs.filter);
        self.ingest.change(&new.sources, &new.surveys, &new.replies);
        self.metrics.settings_are_stale(false);
        self.in_force = coming;
        ReloadResult::Applied
    }
}

/// Keeps settings that are in force beside the store, for a start at which their file is refused.
pub(super) fn keep(settings: &Settings) {
    match settings.keep() {
        Ok(Kept::Yes(place)) => {
            tracing::debug!(file = %place.display(), "the accepted settings are kept");
        }
        Ok(Kept::NoFile) => {}
        Ok(Kept::NoPlace) => tracing::info!(
            "the accepted settings are not kept for a later start, because there is no spool that they could \
             be beside: if the file is invalid then, that start fails"
        ),
        Ok(Kept::HasSecret) => tracing::info!(
            "the accepted settings are not kept for a later start, because a secret is written in \
             them: use env or file in place of value"
        ),
        Err(error) => {
            tracing::warn!(%error, "the accepted settings could not be kept beside the store")
        }
    }
}

fn tell_faults(error: &SettingsError) {
    const REFUSED: &str = "the settings were not reloaded, the old ones stay in force";
    match error {
        SettingsError::Faults(faults) => {
            for fault in faults {
                tracing::error!(%fault, "{REFUSED}");
            }
        }
        other => tracing::error!(fault = logs::chain(other), "{REFUSED}"),
    }
}

impl InForce {
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            fixed: fixed(settings),
            fixed_secrets: fixed_secrets(settings),
            fingerprint: settings.fingerprint,
            hash: settings.hash.clone(),
            announce: settings.shutdown.drain_delay,
        }
    }

    /// The keys that a running service would have to be built again for.
    fn needs_restart(&self, old: &InForce) -> Vec<&'static str> {
        let plain = self.fixed.iter().zip(&old.fixed);
        let plain = plain.filter(|(new, old)| new != old).map(|((key, _), _)| *key);
        let secret = self.fixed_secrets.iter().zip(&old.fixed_secrets);
        let secret = secret.filter(|(new, old)| new != old).map(|((key, _), _)| *key);
        plain.chain(secret).collect()
    }
}

/// What is built in when the service starts, by key: sockets and their servers, the store, and how
/// the process speaks.
fn fixed(settings: &Settings) -> [(&'static str, String); 13] {
    let Settings { public, admin, store, delivery, shutdown, logs, .. } = settings;
    [
        ("public.listen", public.listen.to_string()),
        ("public.connections", public.connections.to_string()),
        ("public.body_timeout", format!("{:?}", public.body_timeout)),
        ("admin.listen", admin.listen.to_string()),
        ("store.url", format!("{:?}", store.url)),
        ("store.migrate_url", format!("{:?}", store.migrate_url)),
        ("store.ca_file", format!("{:?}", store.ca_file)),
        ("store.replica", format!("{:?}", store.replica)),
        ("store.spool", format!("{:?}", store.spool)),
        ("store.write_queue", store.write_queue.to_string()),
        // The store holds every lease to it.
        ("delivery.lease", format!("{:?}", delivery.lease)),
        ("shutdown.deadline", format!("{:?}", shutdown.deadline)),
        ("logs.format", format!("{:?}", logs.format)),
    ]
}

/// What is built in and has secrets, by key and by what is written there: a secret is read again from its
/// variable or file, and never from another one.
fn fixed_secrets(settings: &Settings) -> [(&'static str, Fingerprint); 2] {
    [("store.password", settings.store_password), ("tracing.otlp", settings.tracing_otlp)]
}

#[cfg(test)]
mod tests {
    //! A reload beside a listener's thread, with interleavings that `shuttle` decides.

    use shuttle::thread;

    use super::*;
    use crate::clock::Clock;
    use crate::domain::Name;
    use crate::random::Random;
    use crate::settings::Environment;
    use crate::store::sqlite::SqliteStore;
    use crate::store::{Receive, Store};

    /// How many interleavings are tried.
    const INTERLEAVINGS: usize = 60;

    const SETTINGS: &str = r#"
public: { listen: "127.0.0.1:0", url: https://surveys.example.com }
admin: { listen: "127.0.0.1:0" }
accounts:
  @name@: { auth_id: MAXXXXXXXXXXXXXXXXXX, auth_token: { value: a-token-made-up-for-this } }
sources:
  @name@: { preset: plivo, account: @name@, survey: @name@ }
surveys:
  @name@: { questions: [{ name: score, answers: 1-5 }], rating: { question: score } }
"#;

    fn settings(name: &str) -> Settings {
        let text = SETTINGS.replace("@name@", name);
        Settings::from_yaml(&text, Environment::default()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn live() -> Live {
        let settings = settings("old");
        let store: Arc<dyn Store> = Arc::new(SqliteStore::damaged("nowhere", "for a test"));
        let metrics = Arc::new(Metrics::new(&terms::label_sets(&settings), &settings.hash));
        let (clock, random) = (Clock::system(), Random::seeded(1));
        let (terms, _) = watch::channel(Arc::new(terms::of_delivery(&settings)));
        let admin = terms::of_admin(&settings);
        let admin = AdminService::new(store.clone(), admin, metrics.clone(), clock.clone());
        let console = ConsoleContext::new(clock.clone(), random, terms::of_console(&settings));
        let gate = Gate::new(true, terms::admin_tokens(&settings));
        let in_force = InForce::of(&settings);
        let Settings { sources, surveys, replies, .. } = settings;
        let receive: Arc<dyn Receive> = store;
        let ingest = Ingest::new(&sources, &surveys, &replies, receive, metrics.clone(), clock);
        Live {
            in_force,
            ingest: Arc::new(ingest),
            admin: Arc::new(admin),
            gate: Arc::new(gate),
            console: Arc::new(console),
            terms,
            metrics,
        }
    }

    /// What a listener lets in meets a dispatcher that knows its account and its survey, and a spool that knows
    /// the policy of its survey.
    #[test]
    fn a_source_comes_in_once_everything_behind_it_knows_its_survey_in_every_interleaving() {
        let explored = || {
            let mut live = live();
            let (ingest, terms) = (live.ingest.clone(), live.terms.subscribe());
            let listener = thread::spawn(move || {
                let new: Name = "new".parse().unwrap();
                let is_known = || {
                    let terms = terms.borrow().clone();
                    terms.mapper.surveys.contains_key(&new)
                        && terms.destinations.contains_key(&new)
                        && ingest.policy(&new).is_some()
                };
                for _ in 0..3 {
                    let is_let_in = ingest.endpoint("new").is_some();
                    assert!(!is_let_in || is_known(), "a webhook is let in too early");
                }
            });
            live.take(Ok(settings("new")));
            listener.join().unwrap();
            assert!(live.ingest.endpoint("old").is_none());
            assert!(live.ingest.endpoint("new").is_some());
        };
        let mut config = shuttle::Config::new();
        // Settings are read by functions that call themselves.
        config.stack_size = 4 * 1024 * 1024;
        let scheduler = shuttle::scheduler::RandomScheduler::new(INTERLEAVINGS);
        shuttle::Runner::new(scheduler, config).run(explored);
    }
}
