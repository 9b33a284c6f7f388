//! The relay under virtual time.

mod bad_input;
mod commands;
mod dialogs;
mod limits;
mod media_path;
mod property;
mod timeouts;
mod world;
