-- What was offered, as JSON, and the far side's own word for what is wrong.
ALTER TABLE attempts ADD COLUMN feedback TEXT;
ALTER TABLE attempts ADD COLUMN error TEXT;

-- How often it was answered that the account is at fault while the account was not held.
ALTER TABLE submissions ADD COLUMN rejections INTEGER NOT NULL DEFAULT 0;
-- It was handed out last to find out whether its account, which was held, may resume.
ALTER TABLE submissions ADD COLUMN probe INTEGER NOT NULL DEFAULT 0;
-- A person wants it offered once more as the last attempt offered it.
ALTER TABLE submissions ADD COLUMN as_was INTEGER NOT NULL DEFAULT 0;
-- What is left of it: 2 everything, 1 all but the bodies of its hooks and the replies, 0 its id and
-- its outcome (the call is empty then).
ALTER TABLE submissions ADD COLUMN kept INTEGER NOT NULL DEFAULT 2;
ALTER TABLE submissions ADD COLUMN gone_at INTEGER;

-- In which order a person looks at them.
CREATE INDEX submissions_by_age ON submissions (accepted_at);
-- What a person looks for among many. (`state IN` with more than two would have SQLite make a
-- temporary table at each change of a row, for this index and the next.)
CREATE INDEX submissions_unlucky ON submissions (state, accepted_at)
    WHERE state = 'ignored' OR state = 'dead' OR state = 'discarded';
-- What may be dropped by age. What is dead is kept until a person decides.
CREATE INDEX submissions_settled ON submissions (kept, settled_at)
    WHERE state = 'delivered' OR state = 'ignored' OR state = 'discarded';

-- Why an account is held: misconfigured, unreachable, refusals or operator.
ALTER TABLE holds ADD COLUMN cause TEXT NOT NULL DEFAULT 'misconfigured';

-- What was done by hand, and why.
CREATE TABLE interventions (
    submission INTEGER NOT NULL REFERENCES submissions (seq),
    number     INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    action     TEXT    NOT NULL,
    detail     TEXT,
    PRIMARY KEY (submission, number)
) STRICT, WITHOUT ROWID;

-- Which surveys were answered for which accounts: with them the submissions of a call are found by
-- their ids.
CREATE TABLE asked (
    account TEXT NOT NULL,
    survey  TEXT NOT NULL,
    PRIMARY KEY (account, survey)
) STRICT, WITHOUT ROWID;

INSERT INTO asked SELECT DISTINCT account, survey FROM submissions;

-- How many submissions are known no more, by the state they ended in: they stay in the books.
CREATE TABLE dropped (
    state       TEXT    NOT NULL PRIMARY KEY,
    submissions INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
