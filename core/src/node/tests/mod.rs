//! A whole node under virtual time, its peers written as text.

mod calls;
mod world;
