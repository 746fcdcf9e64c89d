//! Open files: each connection is one, and where none is left neither senders, deliveries nor the store
//! get theirs.

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::settings::Settings;

/// What the store, the event queues, the log and lookups of names want, with some to spare.
const REST: u64 = 128;

/// Too few for the connections that the settings allow.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{wanted} open files are wanted, of which public.connections {connections}, and this process may have {limit}: {}raise the hard limit (ulimit -Hn, LimitNOFILE of systemd, --ulimit nofile of a container)",
    lower(*.wanted, *.connections, *.limit)
)]
pub struct TooFew {
    wanted: u64,
    connections: u64,
    limit: u64,
}

/// Most connections of the admin listener: a scraper, probes and operators.
pub const ADMIN_CONNECTIONS: usize = 64;

/// Raises the soft limit of this process to the hard one, which it need not ask anybody for. The soft one is
/// low, often 1024, for programs that use select. Returns the limit that holds; none is infinite.
pub fn raise_limit() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    let (old, hard) = (limit.current, limit.maximum);
    if old != hard {
        limit.current = hard;
        match setrlimit(Resource::Nofile, limit) {
            Ok(()) => tracing::debug!(old, new = hard, "the limit of open files is raised"),
            // Where it is unlimited, some systems want a number.
            Err(error) => {
                tracing::warn!(%error, old, "the limit of open files could not be raised")
            }
        }
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// # Errors
/// Where senders alone could use up what the rest of the service needs.
pub fn check(limit: u64, settings: &Settings) -> Result<(), TooFew> {
    let deliveries = settings.delivery.max_concurrency.saturating_mul(settings.accounts.len());
    let connections = settings.public.connections as u64;
    let wanted = connections + (ADMIN_CONNECTIONS + deliveries) as u64 + REST;
    if wanted <= limit { Ok(()) } else { Err(TooFew { wanted, connections, limit }) }
}

/// What the settings can do about it, if anything.
fn lower(wanted: u64, connections: u64, limit: u64) -> String {
    match connections.checked_sub(wanted - limit) {
        Some(possible @ 1..) => format!("set public.connections to at most {possible}, or "),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_open_files_are_told_with_what_would_be_right() {
        let error = TooFew { wanted: 1200, connections: 1024, limit: 1024 };
        insta::assert_snapshot!(error, @"1200 open files are wanted, of which public.connections 1024, and this process may have 1024: set public.connections to at most 848, or raise the hard limit (ulimit -Hn, LimitNOFILE of systemd, --ulimit nofile of a container)");
        let error = TooFew { wanted: 1200, connections: 1024, limit: 100 };
        insta::assert_snapshot!(error, @"1200 open files are wanted, of which public.connections 1024, and this process may have 100: raise the hard limit (ulimit -Hn, LimitNOFILE of systemd, --ulimit nofile of a container)");
    }
}
