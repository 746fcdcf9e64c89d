//! Postcall from outside: one test binary, one subject a file.

mod bad_input;
mod delivery;
mod house;
mod logs;
mod settings;
mod signatures;
mod simulator;
mod store_contract;
mod verdicts;
mod wire;
mod world;
