//! Whether the server keeps what it has committed.

use std::sync::{Mutex, PoisonError};

use tokio_postgres::Client;

use super::connection::{OPEN_TIMEOUT, Statement, pipeline};
use super::error::PgError;
use crate::store::durability_risk::DurabilityRisk;
use crate::store::observer::Observer;

/// Settings of the server that decide what a commit is worth.
#[derive(Clone, Copy)]
struct Durability<'a> {
    /// `synchronous_commit`
    commit: &'a str,
    /// `synchronous_standby_names`
    standbys: &'a str,
    /// `fsync`
    fsync: &'a str,
}

impl Durability<'_> {
    fn has(self, risk: DurabilityRisk) -> bool {
        match risk {
            DurabilityRisk::AsynchronousCommit => self.commit == "off" || self.fsync == "off",
            DurabilityRisk::NoSynchronousStandby => {
                let waits = ["on", "remote_write", "remote_apply"].contains(&self.commit);
                self.standbys.is_empty() || !waits
            }
        }
    }
}

/// What was found at the last connection: each may be to another server.
#[derive(Default)]
pub(super) struct Risks(Mutex<Option<Vec<DurabilityRisk>>>);

impl Risks {
    pub fn known(&self) -> Vec<DurabilityRisk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
    }

    /// Asks the server, and reports what is not as it was.
    pub async fn check(&self, client: &Client, observer: &dyn Observer) -> Result<(), PgError> {
        let settings = Statement::new(
            "SELECT current_setting('synchronous_commit'),
                coalesce(current_setting('synchronous_standby_names', true), ''),
                coalesce(current_setting('fsync', true), 'on')",
        );
        let rows = pipeline(client, &[settings], OPEN_TIMEOUT).await?;
        let row = &rows[0][0];
        let durability = Durability {
            commit: row.try_get(0)?,
            standbys: row.try_get(1)?,
            fsync: row.try_get(2)?,
        };
        let found: Vec<DurabilityRisk> =
            DurabilityRisk::ALL.into_iter().filter(|risk| durability.has(*risk)).collect();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref() != Some(&found) {
            found.iter().for_each(|risk| tracing::warn!(risk = risk.label(), "{}", risk.advice()));
            observer.durability_checked(&found);
            *known = Some(found);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_a_failure_can_lose_is_a_risk() {
        let [asynchronous, alone] = DurabilityRisk::ALL;
        for (commit, standbys, fsync, risks) in [
            ("on", "ANY 1 (*)", "on", vec![]),
            ("remote_apply", "b", "on", vec![]),
            ("on", "", "on", vec![alone]),
            ("local", "b", "on", vec![alone]),
            ("off", "b", "on", vec![asynchronous, alone]),
            ("on", "b", "off", vec![asynchronous]),
            ("off", "", "off", vec![asynchronous, alone]),
        ] {
            let durability = Durability { commit, standbys, fsync };
            let found: Vec<DurabilityRisk> =
                DurabilityRisk::ALL.into_iter().filter(|risk| durability.has(*risk)).collect();
            assert_eq!(found, risks, "{commit} {standbys:?} {fsync}");
        }
    }
}
