//! Pages of the console, as HTML, and the session that opens them.
//!
//! A page is a function from what [`admin`](crate::admin) says to markup: it knows no request and decides
//! nothing. `maud` escapes every text by its type; what senders and callers said is isolated besides
//! (`layout::said`), so that no mark in it can turn the words around it.

mod assets;
mod chart;
mod figures;
mod filter;
mod layout;
mod pages;
mod session;
mod timeline;

pub use assets::{Asset, asset};
pub use filter::{Filter, link};
pub use layout::{Shell, Tab, document};
pub use pages::accounts::{Accounts, accounts};
pub use pages::audit::audit;
pub use pages::bulk_replay::{BulkReplay, OPTIONS as REPLAY_OPTIONS, bulk_replay};
pub use pages::call::call;
pub use pages::discard::discard;
pub use pages::erase::erase;
pub use pages::insights::{InsightsView, insights};
pub use pages::login::{Login, login, refresh};
pub use pages::overview::{Overview, overview};
pub use pages::playground::{Playground, playground};
pub use pages::problem::problem;
pub use pages::quarantine::{Quarantine, quarantine};
pub use pages::replay::{ReplayPreview, replay};
pub use pages::setup::{Setup, SourceSetup, setup};
pub use pages::submission::{Reading, is_open, submission};
pub use pages::submissions::{Submissions, submissions};
pub use session::{SESSION_COOKIE, SESSION_SECONDS, Session, issue, session_of};

/// A part of a page, or all of it.
pub use maud::Markup;
