//! Invalid and malicious requests: the response is a documented problem, never a 5xx, and the server continues to run.

mod bodies;
mod browsers;
mod canaries;
mod panics;
mod passwords;
mod routes;
mod wire;
