-- Times are microseconds since 1970 in UTC; ids are UUIDs as 16 bytes; states and verdicts are the
-- words that the metrics and the tools use.

-- All that one caller answered to one survey about one call, for one account.
CREATE TABLE submissions (
    seq              INTEGER PRIMARY KEY,
    id               BLOB    NOT NULL UNIQUE,
    account          TEXT    NOT NULL,
    survey           TEXT    NOT NULL,
    call             TEXT    NOT NULL,
    state            TEXT    NOT NULL,
    reason           TEXT,
    detail           TEXT,
    accepted_at      INTEGER NOT NULL,
    due_at           INTEGER NOT NULL,
    settled_at       INTEGER,
    -- Grows with every new answer: a courier that decided on older answers is told so.
    version          INTEGER NOT NULL DEFAULT 1,
    -- Grows with every lease: a courier that lost its lease settles nothing.
    fence            INTEGER NOT NULL DEFAULT 0,
    leased_until     INTEGER,
    -- Attempts begun, and those of them that were spent.
    tries            INTEGER NOT NULL DEFAULT 0,
    attempts         INTEGER NOT NULL DEFAULT 0,
    first_attempt_at INTEGER,
    -- How long the account had been held in all when the first attempt began.
    held_before_us   INTEGER,
    -- An attempt is under way; an earlier one may have reached the destination. Either closes the
    -- submission to further answers.
    begun            INTEGER NOT NULL DEFAULT 0,
    reached          INTEGER NOT NULL DEFAULT 0,
    -- What the destination accepted.
    feedback         TEXT
) STRICT;

CREATE INDEX submissions_due ON submissions (account, due_at)
    WHERE state IN ('collecting', 'pending') AND leased_until IS NULL;
CREATE INDEX submissions_retried ON submissions (first_attempt_at)
    WHERE state IN ('collecting', 'pending') AND first_attempt_at IS NOT NULL;
CREATE INDEX submissions_leased ON submissions (leased_until) WHERE leased_until IS NOT NULL;

-- Every hook that said something new, as it came; those of a submission lie together.
CREATE TABLE hooks (
    submission  INTEGER NOT NULL REFERENCES submissions (seq),
    id          BLOB    NOT NULL,
    source      TEXT    NOT NULL,
    outcome     TEXT    NOT NULL,
    method      TEXT    NOT NULL,
    query       TEXT,
    body        BLOB    NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (submission, id)
) STRICT, WITHOUT ROWID;

-- Every distinct thing a caller said. No answer (NULL) is an answer: silence. Late ones came after
-- the submission was closed and count for nothing.
CREATE TABLE answers (
    submission  INTEGER NOT NULL REFERENCES submissions (seq),
    question    TEXT    NOT NULL,
    answer      TEXT,
    hook        BLOB    NOT NULL,
    received_at INTEGER NOT NULL,
    late        INTEGER NOT NULL,
    PRIMARY KEY (submission, question, hook)
) STRICT, WITHOUT ROWID;

-- One row for each attempt, written before its first byte leaves; no verdict means under way.
CREATE TABLE attempts (
    submission  INTEGER NOT NULL REFERENCES submissions (seq),
    number      INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    verdict     TEXT,
    status      INTEGER,
    api_id      TEXT,
    reply       TEXT,
    PRIMARY KEY (submission, number)
) STRICT, WITHOUT ROWID;

-- Accounts whose credentials or address the destination did not take. `since` is NULL once the
-- account resumed; the time spent held is kept, because it does not count as age.
CREATE TABLE holds (
    account  TEXT    NOT NULL PRIMARY KEY,
    since    INTEGER,
    probe_at INTEGER NOT NULL,
    status   INTEGER,
    detail   TEXT    NOT NULL,
    held_us  INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Written large and emptied again to find out whether a disk that was full has room once more.
CREATE TABLE ballast (
    only   INTEGER PRIMARY KEY CHECK (only = 1),
    filler BLOB NOT NULL
) STRICT;

-- How many submissions there are in each state, changed in the transactions that change them.
CREATE TABLE books (
    only       INTEGER PRIMARY KEY CHECK (only = 1),
    accepted   INTEGER NOT NULL DEFAULT 0,
    collecting INTEGER NOT NULL DEFAULT 0,
    pending    INTEGER NOT NULL DEFAULT 0,
    delivered  INTEGER NOT NULL DEFAULT 0,
    ignored    INTEGER NOT NULL DEFAULT 0,
    dead       INTEGER NOT NULL DEFAULT 0,
    discarded  INTEGER NOT NULL DEFAULT 0
) STRICT;

INSERT INTO books (only) VALUES (1);
