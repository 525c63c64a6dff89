//! Uploads: files of users. Their bytes go straight from the client to an object store and back, with presigned URLs;
//! this domain keeps the facts about them and decides who may do what.
//!
//! Six rooms, the same in every domain:
//!
//! | room | what is in it | who sees it |
//! |---|---|---|
//! | `model` | the table as sea-orm knows it | this crate |
//! | `repository` | the queries; every one starts at the living rows, but those of quota and purge | this crate |
//! | [`dto`] | what goes in and out, with its rules | everyone |
//! | [`service`] | the rules; takes a session and the storage, gives DTOs | everyone |
//! | [`error`] | every way to fail | everyone |
//! | [`event`] | what others may want to know | everyone |
//!
//! and five more here: [`storage`] (the object store, over S3, with URLs that are made without waiting), [`files`]
//! (the kernel's port to files, for other domains), [`settings`] (what the operator decides), `media` (names of types, and of
//! files of a type), `content` (whether bytes are what they were declared to be).
//!
//! # The life of an upload
//!
//! 1. [`create`](service::UploadService::create): a row that is `pending`, and a presigned PUT under which length, type, SHA-256 (when
//!    given) and `If-None-Match: *` are signed. The store refuses whatever differs, and a second PUT.
//! 2. The client sends the bytes to the store.
//! 3. [`complete`](service::UploadService::complete): the object is looked at in the store; if it is what was declared, the row becomes
//!    `completed`. Nothing can be downloaded before.
//! 4. [`delete`](service::UploadService::delete) hides the row; [`purge`](service::UploadService::purge) removes object and row after a grace period,
//!    and what was begun and never completed.
//!
//! # Rules that hold everywhere
//!
//! The quota counts every row that an owner has in the table, with its declared size: pending, completed, and deleted
//! until purged. A presigned PUT cannot be called back, so whatever has a row may have an object. Deleting therefore
//! frees space only when [`purge`](service::UploadService::purge) has removed the object: after the grace period of what was completed,
//! and for what was not a grace period after its URL expired. How many may be pending is counted in the same way.
//!
//! Object keys are random and never made from a file name. Other people's uploads are not there (404), except that anyone,
//! signed in or not, may read and download a completed public one as long as its owner's account is in use. The store is
//! never asked while a transaction is open. Nothing is served inline that a browser could run.
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
