//! A whole node under virtual time, its peers written as text.

mod calls;
mod forking;
mod routes;
mod stateless;
mod timers;
mod validation;
mod world;
