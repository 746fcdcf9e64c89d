//! Postcall: post-call survey webhooks become call feedback at Plivo, and nothing is lost on the way.
//! This page is the architecture; `docs/semantics.md` says exactly what happens to an answer.
//!
//! # In one paragraph
//!
//! A **webhook** arrives at the public listener. Its **source** defines how it is signed and where
//! its answers are. Once it is verified, what it says of a call is **extracted** and merged into a
//! **submission**: everything one caller answered to one **survey** about one call, for one account.
//! The **store** has it on disk, synced, before the sender gets its 200. When the submission is due,
//! the dispatcher **claims** it: the survey's rules map its answers to **feedback** (a rating, issues,
//! notes), and the attempt is on disk before its first byte leaves. The **destination** classifies the
//! response as a **verdict**, and the submission is settled: **delivered**, **ignored**, due again, or
//! **dead** with its reason, until a further answer re-opens it or an operator replays or discards it.
//!
//! # Guarantees
//!
//! 1. A 200 with the header `Postcall-Submission` means that the webhook is on disk and is found again
//!    after a power cut.
//! 2. Every accepted submission is in exactly one state, and the counts add up:
//!    `accepted = collecting + pending + delivered + ignored + dead + discarded`.
//! 3. No request that the Feedback API must reject ever leaves: [`domain::Feedback`] cannot be built
//!    invalid.
//! 4. Delivery is at least once: if the process dies between Plivo's 201 and its own commit, Plivo gets
//!    the feedback twice.
//! 5. The caller's call is never harmed: the answer is quick, and every 200 to an IVR is valid XML.
//!
//! # Layers
//!
//! Dependencies point only downward: a module may use the modules that its row of the table names,
//! all of them in rows above its own. `tests/it/architecture.rs` reads the table and holds the code
//! to it; a new dependency is a decision, made here. Nor do files depend on each other in a cycle.
//!
//! ```text
//!  7                                    main.rs
//!  6                                      cli/              one command, one file
//!  5                                     app.rs             builds, runs, reloads and drains the parts
//!  4              settings/                              http/
//!         merge → located tree → checked         public listener · admin listener · console/ pages
//!  3          ingest.rs                 admin/                 delivery/
//!      verify, extract, receive   find, replay, discard   claim, send, settle
//!  2     source/ ........ survey/ ........ store/ ........ destination/       telemetry/
//!      who sends, how  what is asked,   durability      builds requests,     metrics, logs, spans
//!      they sign       what it means                    classifies responses
//!  1          submission/  the aggregate and its transitions     account/  pause and probe rules
//!  0     clock.rs  time     random.rs  jitter, ids     sync.rs  threads     domain/  value types     simulator/  a stand-in of Plivo
//! ```
//!
//! | module | may use |
//! |---|---|
//! | clock | – |
//! | random | – |
//! | sync | – |
//! | domain | – |
//! | simulator | – |
//! | account | domain |
//! | submission | domain, account |
//! | source | domain |
//! | survey | domain, submission |
//! | store | clock, sync, domain, account, submission |
//! | destination | domain |
//! | telemetry | domain, account, submission, store |
//! | ingest | clock, sync, domain, submission, source, survey, store, telemetry |
//! | admin | clock, domain, account, submission, survey, store, telemetry |
//! | delivery | clock, random, domain, account, submission, survey, store, destination, telemetry |
//! | console | domain, submission, admin |
//! | http | clock, random, domain, submission, telemetry, ingest, admin, console |
//! | settings | domain, account, submission, source, survey, store, destination, telemetry, delivery |
//! | app | clock, random, domain, account, submission, source, survey, store, destination, telemetry, ingest, admin, delivery, http, settings |
//! | cli | clock, random, domain, simulator, account, submission, source, survey, store, destination, telemetry, admin, http, settings, app |
//! | main | cli |
//!
//! # The path of one webhook
//!
//! ```text
//! POST /hooks/ivr
//!   http/webhooks          body within its limits → Webhook                        (actix ends here)
//!   ingest                 source.verify → VerifiedWebhook     401 · 415 · 400, nothing stored
//!                          source.read → call, answers, fields, hang-up, opt-out, idempotency key
//!                                                      400, nothing stored · filtered out: 200, skipped
//!   store.receive          Submission::receive merges it; webhook, submission and key in one
//!                          transaction, one sync for everything that waited. A key that is known with
//!                          another payload: 401, nothing stored
//!   ingest                 replies.answer(all answers so far) → what the call does next
//!   http/webhooks          200 and that reply, or the source's one
//! ──────────────── the commit is the promise; below here no sender waits ────────────────
//!   delivery/dispatcher    woken by a commit or the clock: store.claim(what is due)
//!     Submission::claim    survey.map(answers) → feedback, or ignored, or dead; and the trace of what
//!                          decided. With feedback the attempt starts: from here on answers are late
//!   destination            request, response → verdict
//!   delivery/account_state RetryPolicy and what is known of the account → decision
//!   store.settle           Submission::settle, with the fencing token of the claim: a claim whose lease
//!                          has expired changes nothing
//! ```
//!
//! # Decisions
//!
//! - **Policy in one pure place**: what happens to a submission is a function of
//!   [`submission::Submission`], what pauses an account one of [`account::Pause`]. The store runs them
//!   in its transactions; `explain`, `test` and dry runs call the same ones.
//! - **A store may be shared**: on PostgreSQL every replica takes webhooks, one at a time claims of an
//!   account, and a row lock decides between two that touch the same submission.
//! - **One submission is one row**: columns that are searched by, and a versioned JSON document. Raw
//!   webhooks and idempotency keys are tables of their own, because retention drops them first.
//! - **A batch is the unit of the store**: a working set of submissions, written once at its end, with
//!   one sync before anything in it is acknowledged.
//! - **What callers say is tallied when it is settled**: the cells of a submission follow from it alone, and a
//!   transaction writes by how much they change, so that no page counts.
//! - **A claim is an attempt**: mapping and start are one transaction, so there is nothing between them
//!   that could go stale.
//! - **What destroys goes by a trusted time**, which does not believe a clock that was just set; what
//!   delivers goes by the wall clock.
//! - **Verified before extracted, by type**: only a signature scheme makes a
//!   [`source::VerifiedWebhook`], and extraction takes nothing else.
//! - **Errors are in the module that raises them.** There is no program-wide error type and no
//!   application state that everything holds.
//! - **Time and jitter are arguments** of everything that decides, and there is one [`clock::Clock`] and
//!   one [`random::Random`], made by the command line and handed in everywhere: a test moves the one by
//!   hand and seeds the other.
//! - **A listener serves from our own socket**, which tells of every byte, so that a connection that keeps it
//!   waiting can be closed, and those that wait longest make room for callers: `http/bounds` decides.
//! - **awc's client cannot leave its thread**, so delivery runs on one of its own.
//! - **What a changed secret may verify is kept apart**: `ingest/quarantine`, in memory, with a copy in the
//!   store that is written beside the path of a webhook.
//! - **A span is made when it has ended**, of what is known then, and named by the id of what it is about: nothing is
//!   carried along or stored for it, but the trace of a sender that named one.
//! - **No metric label comes from a request**: names come from the settings, the rest from enums.
//! - **Settings come into force as a whole**: `app/reload` gives new ones to ingest, delivery, admin and
//!   telemetry, or to none of them; what is built in at the start needs a restart, and says so.
//! - **One API for operator actions**, [`admin::AdminApi`]: the HTTP handlers call it, and the command
//!   line has it as a client of a running service or on the store of one that does not run. The pages of
//!   [`console`] are rendered from the same service, by Rust alone: no Node, no file from elsewhere.
//! - **Rules that someone is still writing run in a child process**: the playground of the console starts this
//!   program again (`cli/playground`), with neither environment nor secrets, and ends it after two seconds.

pub mod account;
pub mod admin;
pub mod app;
pub mod cli;
pub mod clock;
pub mod console;
pub mod delivery;
pub mod destination;
pub mod domain;
pub mod http;
pub mod ingest;
pub mod random;
pub mod settings;
pub mod simulator;
pub mod source;
pub mod store;
pub mod submission;
pub mod survey;
mod sync;
pub mod telemetry;
