//! Postcall from outside: one test binary, one subject a file.

mod store_contract;
