//! Postcall: post-call survey webhooks become call feedback at Plivo, and nothing is lost on the
//! way. This page is the map of the house; `docs/semantics.md` says what exactly happens to an
//! answer.
//!
//! # The story in one breath
//!
//! A **Webhook** arrives at the public door. Its **Source** knows how it signs and how it speaks.
//! Once verified it is read into **Answers** about one call. All that one caller answered to one
//! **Survey** about one call, for one account, is a **Submission**; a hook starts one or adds to
//! it. It is kept in the **Store** (on disk, synced) and only then is the sender thanked. When the
//! submission is due, the survey's rules turn its answers into **Feedback**: a rating, issues,
//! notes. A **Courier** takes what is due, hands it to the **Destination** on behalf of an
//! **Account**, and writes down the **Verdict** of each **Attempt**. A submission ends
//! **Delivered** or **Ignored**; one that cannot go on lies **Dead**, with its reason, until a
//! further answer re-opens it or a person mends the cause and replays it by hand (**Triage**), or
//! gives it up: **Discarded**.
//!
//! # The promise
//!
//! 1. A 200 with the header `Postcall-Submission` means that the hook is on disk and will be found
//!    again after a power cut.
//! 2. Every accepted submission is in exactly one state, and the states add up:
//!    `accepted = collecting + pending + delivered + ignored + dead + discarded`.
//! 3. No request that the Feedback API must refuse ever leaves: [`domain::Feedback`] cannot be
//!    built unlawful.
//! 4. Delivery is at least once, said aloud: if the process dies between Plivo's 201 and its own
//!    commit, Plivo hears it twice.
//! 5. The caller's call is never harmed: the answer is quick, and every 200 to an IVR is valid
//!    XML.
//!
//! # Layers
//!
//! Dependencies point only downward: a module may use the modules that its row of the table names,
//! all of them in rows above its own. `tests/it/architecture.rs` reads the table and holds the code
//! to it; a new dependency is a decision, made here. Nor do files depend on each other in a cycle.
//!
//! ```text
//!  layer 7                                main.rs
//!  layer 6                                  cli/             one verb, one file
//!  layer 5                                app.rs             puts the parts together; runs; reloads; drains
//!  layer 4              settings/                          http/
//!                 layers → places → checked          public door · private door
//!  layer 3          ingest.rs              triage/              delivery/
//!             IN: verify, read, keep    BY HAND: find,      OUT: lease, map, submit,
//!                                       replay, discard          settle
//!  layer 2     source/ ....... survey/ ....... store/ ........ destination/     telemetry/
//!             who sends, how     what is asked,   the durable     who is told,    what the outside
//!             they sign, speak   what it means    ledger          their answer    may see
//!  layer 1     domain/  the nouns; no clock, no I/O, no async             simulator/  an honest stranger
//! ```
//!
//! | module | may use |
//! |---|---|
//! | domain | – |
//! | simulator | – |
//! | submission | domain |
//! | account | domain |
//! | source | domain |
//! | survey | domain, submission |
//! | store | domain, submission, account |
//! | destination | domain |
//! | telemetry | domain, submission, account, store |
//! | ingest | domain, submission, account, source, survey, store, telemetry |
//! | triage | domain, submission, account, survey, store, telemetry |
//! | delivery | domain, submission, account, survey, store, destination, telemetry |
//! | http | domain, submission, account, telemetry, ingest, triage |
//! | settings | domain, submission, account, source, survey, store, destination, telemetry, delivery |
//! | app | domain, submission, account, source, survey, store, destination, telemetry, ingest, triage, delivery, http, settings |
//! | cli | domain, simulator, submission, account, source, survey, store, destination, telemetry, triage, http, settings, app |
//! | main | cli |
//!
//! # The path of one hook
//!
//! ```text
//! POST /hooks/ivr
//!   http/hooks           body within its limits → Webhook                                (actix ends here)
//!   ingest               source.verify(hook)    → VerifiedWebhook      401 · 415 · 400, nothing stored
//!                        source.read(verified)  → call, answers, fields, hang-up, opt-out, id
//!                                                  400, nothing stored · none of ours: 200, skipped
//!   store.accept         hook, answers and submission in one transaction, one sync for all that
//!                        waited; it asks the CompletionPolicy that ingest handed over: due when? An id
//!                        that is known for other bytes: 401, nothing stored
//!   ingest               replies.answer(all answers so far) → what the call does next
//!   http/hooks           200 and that reply, or the source's one
//! ─────────────── the commit is the promise; below here nobody waits ───────────────
//!   delivery/courier     woken by the commit or the clock: store.lease(what is due)
//!   survey.map(answers)  → Feedback | Ignore(why) | Dead(why), and the Trace of what spoke
//!   store.begin          the attempt is written down before its first byte leaves; from here on the
//!                        submission takes no more answers
//!   destination          submit → Verdict and Reply
//!   domain/retry         next(tried, verdict, now, jitter) → Delivered | RetryAt | Dead | Hold
//!   store.settle         with the lease's fencing token: a lost lease is told, not overwritten
//! ```
//!
//! # What is deliberately so
//!
//! - **Verified before read, and the type carries the proof**: only a signature scheme makes a
//!   [`source::VerifiedWebhook`], and reading takes nothing else.
//! - **One trait of weight, [`store::Store`]**, with a contract suite that any backend must pass.
//!   [`submission::CompletionPolicy`] and [`store::Observer`] are its two small companions.
//! - **Errors live in the room that raises them.** There is no program-wide error type and no
//!   application state that everybody holds.
//! - **The store records decisions and never makes them**; [`domain::RetryPolicy`] decides and
//!   never waits. Time and jitter are arguments.
//! - **An attempt begins on disk.** `begin` is a step of its own between lease and submit: until it
//!   a submission stays open to answers, and after a crash the ledger knows what may have arrived.
//! - **awc's client cannot leave its thread**, so delivery runs on one of its own.
//! - **No metric label comes from a request**: names come from the settings, the rest from enums.
//! - **Settings come into force whole**: `app/reload` gives new ones to ingest, delivery and telemetry,
//!   or to none of them; what is built in at the start wants a restart, and says so.
//! - **What is done by hand is done in one place**: the API and the command line say the same words to
//!   [`triage`], and where no service runs the command line asks the ledger through it.
//! - **The tools rehearse, they do not imitate**: `explain` and `test` verify, read and map with the
//!   code that serves; only the ledger is played, in memory (`cli/rehearsal`).

pub mod account;
pub mod app;
pub mod cli;
pub mod delivery;
pub mod destination;
pub mod domain;
pub mod http;
pub mod ingest;
pub mod settings;
pub mod simulator;
pub mod source;
pub mod store;
pub mod submission;
pub mod survey;
pub mod telemetry;
pub mod triage;
