//! What nobody should send. The contract's problem each time, never a 5xx, and the server lives on.

mod bodies;
mod browsers;
mod canaries;
mod panics;
mod passwords;
mod routes;
mod wire;
