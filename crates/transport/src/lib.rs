//! Connections: limits on their number, timeouts, and graceful shutdown.
//!
//! Every listener of the product, such as the API's, uses this crate. All it knows of HTTP/1.1
//! is that a head ends with an empty line.
//!
//! | type | purpose |
//! |---|---|
//! | [`Listener`] | accepts connections, with limits in total and per address; the longest idle one is closed to make room |
//! | [`Connection`] | the socket: writes time out if the client reads nothing, and one request is passed on at a time |
//! | [`ConnectionState`], [`Turn`] | reports of the application about a connection: a request begins, its body was read, its response is complete |
//! | [`Stop`] | graceful shutdown: announced with `Connection: close`; then idle connections are closed after a last read |
//!
//! # Why one request at a time
//!
//! An HTTP/1.1 client may send its next requests before it has read a response (pipelining). A server that reads them all keeps
//! their heads, and their responses, in memory for as long as the client wants; `actix-http` does. Here a head is passed on
//! after the application has finished the previous response, and nothing is read while the client does
//! not read. The bounded buffers of the operating system make the client wait (backpressure).
#![forbid(unsafe_code)]

mod connection;
mod head;
mod listener;
mod registry;
mod state;

pub use connection::Connection;
pub use listener::{Accepted, Listener, Stop};
pub use registry::Limits;
pub use state::{BodyLength, ConnectionState, Timeouts, Turn};
