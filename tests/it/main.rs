//! Postcall from outside: one test binary, one subject a file.

mod settings;
mod store_contract;
