//! Postcall: post-call survey webhooks become call feedback at Plivo, and nothing is lost on the
//! way.

pub mod app;
pub mod cli;
pub mod delivery;
pub mod destination;
pub mod domain;
pub mod http;
pub mod intake;
pub mod settings;
pub mod simulator;
pub mod source;
pub mod store;
pub mod survey;
pub mod telemetry;
