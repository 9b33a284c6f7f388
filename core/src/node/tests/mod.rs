//! A whole node under virtual time, its peers written as text.

mod anchored;
mod calls;
mod capacity;
mod flows;
mod forking;
mod health;
mod property;
mod routes;
mod sessions;
mod stateless;
mod timers;
mod validation;
mod world;
