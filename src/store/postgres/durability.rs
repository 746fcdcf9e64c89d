//! Whether the server keeps what it has committed.

use tokio_postgres::Client;

use super::connection::{Statement, pipeline};
use super::error::PgError;
use super::options::OPEN_TIMEOUT;

/// Settings of the server that decide what a commit is worth.
struct Durability<'a> {
    /// `synchronous_commit`
    commit: &'a str,
    /// `synchronous_standby_names`
    standbys: &'a str,
    /// `fsync`
    fsync: &'a str,
}

impl Durability<'_> {
    /// What an operator has to know, in words.
    fn warnings(&self) -> Vec<&'static str> {
        let waits_for_standby = ["on", "remote_write", "remote_apply"].contains(&self.commit);
        let warnings = [
            (
                self.commit == "off" || self.fsync == "off",
                "the database acknowledges what is not on disk yet: webhooks that were answered 200 may \
                 be lost when it fails; set synchronous_commit and fsync to on",
            ),
            (
                self.standbys.is_empty() || !waits_for_standby,
                "the database waits for no standby: if a standby takes over, the last webhooks that were \
                 answered 200 may be lost; set synchronous_standby_names and synchronous_commit = on",
            ),
        ];
        warnings.into_iter().filter(|(holds, _)| *holds).map(|(_, words)| words).collect()
    }
}

/// Logs what is not as durable as a webhook's 200 says.
pub(super) async fn check(client: &Client) -> Result<(), PgError> {
    let settings = Statement::new(
        "SELECT current_setting('synchronous_commit'),
            coalesce(current_setting('synchronous_standby_names', true), ''),
            coalesce(current_setting('fsync', true), 'on')",
    );
    let rows = pipeline(client, &[settings], OPEN_TIMEOUT).await?;
    let row = &rows[0][0];
    let durability =
        Durability { commit: row.try_get(0)?, standbys: row.try_get(1)?, fsync: row.try_get(2)? };
    for warning in durability.warnings() {
        tracing::warn!("{warning}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_a_failure_can_lose_is_a_warning() {
        for (commit, standbys, fsync, count) in [
            ("on", "ANY 1 (*)", "on", 0),
            ("remote_apply", "b", "on", 0),
            ("on", "", "on", 1),
            ("local", "b", "on", 1),
            ("off", "b", "on", 2),
            ("on", "b", "off", 1),
            ("off", "", "off", 2),
        ] {
            let warnings = Durability { commit, standbys, fsync }.warnings();
            assert_eq!(warnings.len(), count, "{commit} {standbys:?} {fsync}: {warnings:?}");
        }
    }
}
