//! Makes `cargo test -p CRATE` use what `cargo test --workspace` has built.
//!
//! Cargo builds a dependency with the features that the *selected* packages ask for. Tests of one crate alone would therefore
//! build nearly a hundred dependencies a second time, with fewer features. Every crate of the workspace has this one as a
//! dev-dependency, and this one asks for the features that the whole workspace has, so that there is one set.
//!
//! There is no code in it, and nothing of it is in a release: dev-dependencies do not count there (the binary has all
//! features anyway).
//!
//! # When a dependency's features change
//!
//! `cargo xtask ci --only architecture` names the crates that differ and the features that are missing here.
