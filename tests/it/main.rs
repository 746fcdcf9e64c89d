//! Postcall from outside: one test binary, one subject a file.

mod alerts;
mod api;
mod architecture;
mod assembly;
mod bad_input;
mod by_hand;
mod connections;
mod conversations;
mod crash;
mod dashboard;
mod delivery;
mod doctor;
mod faults;
#[cfg(feature = "flaws")]
mod flaws;
mod holds;
mod logs;
mod oracle;
mod power_cut;
mod presets;
mod process;
mod readme;
mod reload;
mod schema;
mod senders;
mod settings;
mod shutdown;
mod signatures;
mod simulator;
mod store_contract;
mod survey_faults;
mod surveys_proof;
mod tools;
mod verdicts;
mod wire;
mod world;
