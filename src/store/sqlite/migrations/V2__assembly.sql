-- Where in its hook an answer was found; when it was last heard, where that is later than first.
ALTER TABLE answers ADD COLUMN reader TEXT NOT NULL DEFAULT '';
ALTER TABLE answers ADD COLUMN again_at INTEGER;

-- Which parts of the survey spoke when it was last mapped, as JSON.
ALTER TABLE submissions ADD COLUMN trace TEXT;
-- There is something in `told`; where there is not, nobody has to look.
ALTER TABLE submissions ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
-- During the attempt that is under way something was said that has to be sent as well: when that
-- will be due.
ALTER TABLE submissions ADD COLUMN resend_at INTEGER;

-- What hooks told beside answers: the value of a `field`, by its name; `hang_up` and `opt_out` have
-- neither name nor value. Of several values of a field the first that arrived counts. Late ones
-- came after the submission was closed.
CREATE TABLE told (
    submission  INTEGER NOT NULL REFERENCES submissions (seq),
    kind        TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    hook        BLOB    NOT NULL,
    value       TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    late        INTEGER NOT NULL,
    PRIMARY KEY (submission, kind, name, hook)
) STRICT, WITHOUT ROWID;

-- What senders call their hooks, for as long as a repeat is to be known by it: the SHA-256 of what
-- was sent, and the id of the submission that it was about.
CREATE TABLE seen (
    source     TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    digest     BLOB    NOT NULL,
    submission BLOB    NOT NULL,
    seen_at    INTEGER NOT NULL,
    PRIMARY KEY (source, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX seen_by_age ON seen (seen_at);
