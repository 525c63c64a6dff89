//! Connections from anywhere: taken within bounds, guarded against silence, and ended in order.
//!
//! Every listener of the product, the API's for one, stands on this crate. It knows the bytes
//! of HTTP/1.1 no further than that a head ends with an empty line.
//!
//! | type | what it is for |
//! |---|---|
//! | [`Listener`] | takes connections, so many in all and so many of one address; who has been idle longest makes room |
//! | [`Connection`] | the socket: fails when the other side reads nothing, and hands over one request at a time |
//! | [`Line`], [`Turn`] | what the application tells of a connection: a request begins, its body is read, its answer is over |
//! | [`Stop`] | the orderly end: "no more after this one", then closing whoever is silent after a last look |
//!
//! # Why one request at a time
//!
//! An HTTP/1.1 client may send its next requests before it has read an answer. A server that takes them all in keeps
//! their heads, and their answers, in memory for as long as the client likes; `actix-http` does. Here a head is handed
//! over when the answer before it is out of the application's hands, and nothing is read at all while the client does
//! not read. The operating system's buffers, which are bounded, tell the client to wait.
#![forbid(unsafe_code)]

mod connection;
mod head;
mod line;
mod listener;
mod places;

pub use connection::Connection;
pub use line::{BodyLength, Line, Turn};
pub use listener::{Listener, Stop};
pub use places::{Accepted, Limits, Patience};
