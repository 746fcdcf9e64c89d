-- Webhooks whose signature no known secret verifies, kept for a while in case a secret changes. They
-- are untrusted: nothing reads them but the verification that is tried again.
CREATE TABLE quarantine (
    id          BLOB    NOT NULL PRIMARY KEY,
    source      TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    method      TEXT    NOT NULL,
    path        TEXT    NOT NULL,
    query       TEXT,
    -- One `name: value` a line.
    headers     BLOB    NOT NULL,
    body        BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
