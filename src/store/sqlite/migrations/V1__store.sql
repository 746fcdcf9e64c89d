-- Times are microseconds since 1970 in UTC; ids are UUIDs as 16 bytes; states and reasons are the
-- words that the metrics and the tools use.

-- Everything one caller answered to one survey about one call, for one account. What is searched or
-- ordered by is a column; the rest is the document, as JSON.
CREATE TABLE submissions (
    -- accepted_at * 1000 plus a counter, so that the table is in the order of acceptance.
    seq              INTEGER PRIMARY KEY,
    id               BLOB    NOT NULL UNIQUE,
    account          TEXT    NOT NULL,
    survey           TEXT    NOT NULL,
    -- NULL once it was erased or purged.
    call             TEXT,
    state            TEXT    NOT NULL,
    reason           TEXT,
    accepted_at      INTEGER NOT NULL,
    due_at           INTEGER NOT NULL,
    -- While an attempt is in flight: when its lease ends, by the store's clock.
    lease_until      INTEGER,
    -- Grows with each claim: a claim whose lease was lost settles nothing.
    fence            INTEGER NOT NULL,
    -- When this offer fell due; NULL before its first attempt.
    due_since        INTEGER,
    settled_at       INTEGER,
    -- How much is kept, where retention may touch it: 2 everything, 1 all but bodies and texts, 0 its
    -- id and its outcome. NULL while it waits and where it is dead.
    retention        INTEGER,
    purged_at        INTEGER,
    -- CRC-32 of all other columns: a row that another program, or the disk, has changed is not believed.
    checksum         INTEGER NOT NULL,
    -- Last: a long one continues on other pages.
    document         TEXT    NOT NULL
) STRICT;

-- What waits and is not in flight, by when it is due.
CREATE INDEX submissions_due ON submissions (account, due_at)
    WHERE settled_at IS NULL AND lease_until IS NULL;
-- What waits for another attempt, by when it fell due.
CREATE INDEX submissions_retried ON submissions (account, due_since)
    WHERE settled_at IS NULL AND lease_until IS NULL AND due_since IS NOT NULL;
CREATE INDEX submissions_leased ON submissions (lease_until) WHERE lease_until IS NOT NULL;
-- What retention may touch.
CREATE INDEX submissions_retained ON submissions (retention, settled_at) WHERE retention IS NOT NULL;
-- What an operator looks for among many. (`state IN` with more than two would have SQLite make a
-- temporary table at each change of a row.)
CREATE INDEX submissions_failed ON submissions (state)
    WHERE state = 'ignored' OR state = 'dead' OR state = 'discarded';

-- Documents of submissions that were found changed, as they were found.
CREATE TABLE corrupt_documents (
    submission INTEGER NOT NULL PRIMARY KEY,
    document   BLOB    NOT NULL
) STRICT;

-- Webhooks that brought something new, as they came; those of a submission are neighbours.
CREATE TABLE webhooks (
    submission  INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    id          BLOB    NOT NULL,
    source      TEXT    NOT NULL,
    outcome     TEXT    NOT NULL,
    method      TEXT    NOT NULL,
    query       TEXT,
    -- NULL once retention removed query and body.
    body        BLOB,
    PRIMARY KEY (submission, received_at, id)
) STRICT, WITHOUT ROWID;

-- Ids that senders gave their webhooks, for as long as a duplicate is recognised by them: the SHA-256
-- of what was sent, and the submission that it was about.
CREATE TABLE idempotency_keys (
    source     TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    digest     BLOB    NOT NULL,
    submission BLOB    NOT NULL,
    used_at    INTEGER NOT NULL,
    -- 0 where it is known as long as its submission: the sender's signature covers no time, and a
    -- repeat could bring an earlier answer back.
    expires    INTEGER NOT NULL,
    PRIMARY KEY (source, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (used_at) WHERE expires = 1;
CREATE INDEX idempotency_keys_lasting ON idempotency_keys (submission) WHERE expires = 0;

-- Whether and why deliveries of accounts are or were paused, as JSON.
CREATE TABLE pauses (
    account TEXT NOT NULL PRIMARY KEY,
    pause   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Pairs of account and survey that have submissions: with them the submissions of a call are found by
-- their ids, without an index of calls.
CREATE TABLE scopes (
    account TEXT NOT NULL,
    survey  TEXT NOT NULL,
    PRIMARY KEY (account, survey)
) STRICT, WITHOUT ROWID;

-- How many submissions there are in each state, changed in the transactions that change them.
CREATE TABLE state_counts (
    only       INTEGER PRIMARY KEY CHECK (only = 1),
    accepted   INTEGER NOT NULL DEFAULT 0,
    collecting INTEGER NOT NULL DEFAULT 0,
    pending    INTEGER NOT NULL DEFAULT 0,
    delivered  INTEGER NOT NULL DEFAULT 0,
    ignored    INTEGER NOT NULL DEFAULT 0,
    dead       INTEGER NOT NULL DEFAULT 0,
    discarded  INTEGER NOT NULL DEFAULT 0
) STRICT;

INSERT INTO state_counts (only) VALUES (1);

-- How many submissions were deleted, by the state they ended in: they stay in the counts.
CREATE TABLE deleted_counts (
    state       TEXT    NOT NULL PRIMARY KEY,
    submissions INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How many settled submissions are alike, changed in the transactions that settle them. `field` is empty
-- in the rows of all submissions; in those of a field, `value` is what the submissions have in it.
CREATE TABLE tallies (
    field   TEXT    NOT NULL,
    -- The day of acceptance in UTC, in days since 1970.
    day     INTEGER NOT NULL,
    survey  TEXT    NOT NULL,
    account TEXT    NOT NULL,
    value   TEXT    NOT NULL,
    state   TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    -- In hundredths; 0 for none.
    rating  INTEGER NOT NULL,
    -- By name, with a comma between two.
    issues  TEXT    NOT NULL,
    -- Where the issues come from.
    origin  TEXT    NOT NULL,
    n       INTEGER NOT NULL,
    PRIMARY KEY (field, day, survey, account, value, state, reason, rating, issues, origin)
) STRICT, WITHOUT ROWID;

-- The values of the fields of each survey, which are found one after the other.
CREATE INDEX tallies_by_value ON tallies (field, survey, value);

-- When the rules of a survey were first those with this digest, for charts of what callers say.
CREATE TABLE survey_revisions (
    survey TEXT    NOT NULL,
    since  INTEGER NOT NULL,
    digest TEXT    NOT NULL,
    PRIMARY KEY (survey, since)
) STRICT, WITHOUT ROWID;

-- Written large and emptied again to find out whether a disk that was full has room once more.
CREATE TABLE write_probe (
    only   INTEGER PRIMARY KEY CHECK (only = 1),
    filler BLOB NOT NULL
) STRICT;

-- The time that retention trusted when it was last recorded, now and then, and what the wall clock
-- showed: whether that was set while no process ran.
CREATE TABLE clock (
    only           INTEGER PRIMARY KEY CHECK (only = 1),
    trusted_at     INTEGER NOT NULL,
    wall_at        INTEGER NOT NULL,
    -- How long processes had watched the wall clock since it was set; NULL where it was believed.
    unconfirmed_us INTEGER
) STRICT;

-- Webhooks whose signature no known secret verifies, kept for a while in case a secret changes. They
-- are untrusted: nothing reads them but the verification that is tried again.
CREATE TABLE quarantine (
    id          BLOB    NOT NULL PRIMARY KEY,
    source      TEXT    NOT NULL,
    -- Those of the source when it arrived.
    account     TEXT    NOT NULL,
    survey      TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    method      TEXT    NOT NULL,
    path        TEXT    NOT NULL,
    query       TEXT,
    -- One `name: value` a line.
    headers     BLOB    NOT NULL,
    body        BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

-- If the file is a spool: which database its webhooks wait for, and those webhooks as JSON, in the order of
-- arrival.
CREATE TABLE spool_owner (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    database BLOB NOT NULL
) STRICT;

CREATE TABLE spooled (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    request BLOB NOT NULL
) STRICT;

-- Those of them that are not what was written, as they were found.
CREATE TABLE spooled_corrupt (
    seq     INTEGER PRIMARY KEY,
    request BLOB NOT NULL
) STRICT;
