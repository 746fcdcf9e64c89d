//! SQL of what is put right from time to time: rows of `due` that do not fit their submissions, and counts
//! of replicas that do not come back.

use tokio_postgres::types::Type;

use super::columns::limit;
use super::connection::Statement;
use super::replicas::now;

/// Submissions that are looked at in one transaction.
const PAGE: i64 = 5000;

/// Nothing here finds a submission that waits without a row of `due`: no claim would. Scalar, because a join may
/// compare each row with each.
pub(super) const MISFILED: &str = "SELECT seq FROM
    (SELECT s.seq FROM submissions AS s
        WHERE s.seq > $1 AND s.seq <= $2 AND s.settled_at IS NULL AND
            (SELECT TRUE FROM due
                WHERE due.seq = s.seq AND due.account = s.account
                AND due.due_at = s.due_at AND due.fence = s.fence
                AND due.due_since IS NOT DISTINCT FROM s.due_since
                AND due.lease_until IS NOT DISTINCT FROM s.lease_until LIMIT 1) IS NULL
    UNION ALL
    SELECT due.seq FROM due
        WHERE due.seq > $1 AND due.seq <= $2 AND
            (SELECT TRUE FROM submissions AS s
                WHERE s.seq = due.seq AND s.settled_at IS NULL LIMIT 1) IS NULL
    ) AS misfiled ORDER BY seq LIMIT $3";

/// A replica that has not said for an hour that it serves has gone, or has been stopped. If it wakes, it
/// has lost its name and ends.
const GONE: &str = concat!(
    "SELECT counts.slot FROM state_counts AS counts
        LEFT JOIN replicas ON replicas.slot = counts.slot
    WHERE counts.slot <> $1
        AND (replicas.slot IS NULL OR replicas.seen_at < ",
    now!(),
    " - 3600000000)
    ORDER BY counts.slot LIMIT 1"
);

const FOLD_COUNTS: &str = "WITH gone AS (DELETE FROM state_counts WHERE slot = $1 RETURNING *)
    INSERT INTO state_counts AS c
        (slot, accepted, collecting, pending, delivered, ignored, dead, discarded)
    SELECT $2, sum(accepted), sum(collecting), sum(pending), sum(delivered), sum(ignored), sum(dead),
            sum(discarded)
        FROM gone HAVING count(*) > 0
    ON CONFLICT (slot) DO UPDATE SET accepted = c.accepted + excluded.accepted,
        collecting = c.collecting + excluded.collecting, pending = c.pending + excluded.pending,
        delivered = c.delivered + excluded.delivered, ignored = c.ignored + excluded.ignored,
        dead = c.dead + excluded.dead, discarded = c.discarded + excluded.discarded";

const FOLD_DELETED: &str = "WITH gone AS (DELETE FROM deleted_counts WHERE slot = $1 RETURNING *)
    INSERT INTO deleted_counts AS c (slot, state, submissions)
    SELECT $2, state, sum(submissions) FROM gone GROUP BY state ORDER BY state
    ON CONFLICT (slot, state) DO UPDATE SET submissions = c.submissions + excluded.submissions";

/// A replica that has just come back under its name keeps its slot.
const FORGET: &str =
    concat!("DELETE FROM replicas WHERE slot = $1 AND seen_at < ", now!(), " - 3600000000");

/// The last of the next submissions, if there are more after it.
pub(super) fn page_after(seq: i64) -> Statement {
    Statement::new(
        "SELECT CASE WHEN count(*) = $2 THEN max(seq) END FROM
            (SELECT seq FROM submissions WHERE seq > $1 ORDER BY seq LIMIT $2) AS page",
    )
    .with(seq, Type::INT8)
    .with(PAGE, Type::INT8)
}

/// Submissions of a page that `due` does not have as they are, and rows of `due` for which none waits.
pub(super) fn misfiled(after: i64, until: i64, most: usize) -> Statement {
    Statement::new(MISFILED)
        .with(after, Type::INT8)
        .with(until, Type::INT8)
        .with(limit(most), Type::INT8)
}

/// The slot of a replica that has gone and whose counts are not folded yet.
pub(super) fn gone(slot: i64) -> Statement {
    Statement::new(GONE).with(slot, Type::INT8)
}

/// Adds the counts of a slot to this one's, and forgets its replica.
pub(super) fn fold(gone: i64, slot: i64) -> Vec<Statement> {
    let of_gone = |sql| Statement::new(sql).with(gone, Type::INT8);
    vec![
        of_gone(FOLD_COUNTS).with(slot, Type::INT8),
        of_gone(FOLD_DELETED).with(slot, Type::INT8),
        of_gone(FORGET),
    ]
}
