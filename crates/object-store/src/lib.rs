//! The S3 endpoint that runs inside the server's process, so that `cargo run` needs no other service.
//!
//! It implements S3 for the AWS SDK and for browsers with presigned URLs, on one directory, for one bucket
//! and one access key. An external S3 can replace it by configuration, without a change in the API.
//!
//! # Design
//!
//! | module | purpose |
//! |---|---|
//! | `server` | the listeners, one for clients and one for the server itself, over [`transport`] |
//! | `front` | in front of s3s: CORS, security headers, and requests that must not reach s3s |
//! | `cors` | CORS |
//! | `access` | the key, and the rules on signatures that s3s leaves open |
//! | `s3` | `impl s3s::S3`: from S3 requests to the filesystem layer and back |
//! | `digest`, `body` | checksums, and request bodies with a minimum rate |
//! | `store` | the filesystem layer: atomic, durable, safe for several processes on one directory |
//!
//! The crate s3s brings the protocol: routing, XML, signature version 4 in header and query, expiry, chunked
//! bodies. What is *stored* is ours:
//!
//! - A key is never a path: its SHA-256 names the file, so `../../evil` is a key like any other.
//! - One file per object, bytes and metadata together: one rename publishes both. Bodies stream into a staging file,
//!   are synced, renamed, and the directory is synced before the client hears 200. `kill -9` at any moment leaves
//!   the old object or the new one, and the next start removes what was unfinished.
//! - `If-None-Match: *` is decided by the kernel (a rename that refuses to replace), so of two simultaneous uploads
//!   exactly one wins, even across processes.
//! - One key has one writer, the newest: of a presigned URL used twice at once the older request is refused. All
//!   unfinished bytes together have a bound.
//! - Length, content type and checksums that were signed must be what arrives. Every `x-amz-*` header of a request
//!   must be under its signature, or the holder of a presigned PUT could turn it into a copy of any other object; and
//!   so must `Content-Disposition`, `-Encoding`, `-Language` and `Expires`, which S3 serves with the object. A
//!   `Cache-Control` that a presigned URL does not sign is not stored.
//!
//! Not kept: versions, ACLs, tags, encryption, storage classes. A request that asks for them is answered
//! `NotImplemented` and not silently ignored.
//!
//! # Adding an operation
//!
//! 1. Override its method in `impl S3 for Protocol` (`s3/mod.rs`); until then s3s answers `NotImplemented`.
//! 2. Begin it with `Protocol::admit`, which checks bucket and region.
//! 3. Put the work with files into `store`, inside `store::blocking`; answer with `StoreError`, which knows its S3
//!    code.
//! 4. Anything under `x-amz-*` that is not supported is refused, not ignored.
//! 5. Test it in `tests/` with the real AWS SDK.
//!
//! # Logging
//!
//! s3s logs every refused request as an error, and at `debug` whole requests with their signatures. Run it with the
//! filter directive `s3s=off`: this crate logs what an operator needs under `object_store`.
#![forbid(unsafe_code)]

mod access;
mod body;
mod config;
mod cors;
mod digest;
mod error;
mod front;
mod s3;
mod server;
mod store;

pub use config::{CorsOrigins, ObjectStoreConfig, ObjectStoreLimits, ObjectStoreTimeouts};
pub use error::ObjectStoreError;
pub use server::ObjectStore;
