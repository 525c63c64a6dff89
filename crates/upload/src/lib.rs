//! Uploads: files of users. Clients send files directly to an object store and download them from there, with presigned URLs; this
//! domain keeps their metadata and decides who may do what.
//!
//! Six modules, the same in every domain:
//!
//! | module | contents | visible to |
//! |---|---|---|
//! | `model` | the table as sea-orm knows it | this crate |
//! | `repository` | the queries, all of them on living rows except those of quota and purge | this crate |
//! | [`dto`] | requests and responses, with validation rules | everyone |
//! | [`service`] | the business rules: a struct with the storage, whose methods take a session and the principal, and return DTOs | everyone |
//! | [`error`] | the errors of its operations | everyone |
//! | [`event`] | the events that other domains can subscribe to | everyone |
//!
//! and five more here: [`storage`] (the object store, over S3, with URLs that are signed without waiting), [`files`] (the port to files
//! for other domains), [`settings`] (settings of the operator), `media` (names of media types, and of files), `content` (content
//! sniffing).
//!
//! # The life of an upload
//!
//! 1. [`create`](service::UploadService::create): a row that is `pending`, and a presigned PUT under which length, type, SHA-256 (when
//!    given) and `If-None-Match: *` are signed. The store refuses whatever differs, and a second PUT.
//! 2. The client sends the file to the store.
//! 3. [`complete`](service::UploadService::complete): the object is examined in the store; if it matches the declaration, the row
//!    becomes `completed`. Nothing can be downloaded before.
//! 4. [`delete`](service::UploadService::delete) hides the row; [`purge`](service::UploadService::purge) removes object and row after a grace period,
//!    and uploads that were never completed.
//!
//! # Rules that hold everywhere
//!
//! The quota counts every row that an owner has in the table, with its declared size: pending, completed, and deleted
//! until purged. A presigned PUT cannot be revoked, so every row may have an object. Deleting therefore frees space only
//! when [`purge`](service::UploadService::purge) has removed the object: after the grace period of a completed upload, and
//! of a pending one a grace period after its URL expired. Pending uploads are counted in the same way.
//!
//! Object keys are random and never made from a file name. Other people's uploads are not found (404), except that anyone,
//! signed in or not, may read and download a completed public one as long as its owner's account is active. The store is never asked
//! while a transaction is open. Nothing is served inline that a browser could execute.
//!
//! # Adding a type of file
//!
//! A line in [`UploadSettings`](settings::UploadSettings); one in the table of `media`, if it has several names or browsers show
//! it; and, unless the crate `infer` knows its first bytes, an arm in `content`.

mod content;
pub mod dto;
pub mod error;
pub mod event;
pub mod fields;
pub mod files;
mod media;
mod model;
mod repository;
pub mod service;
pub mod settings;
pub mod storage;
