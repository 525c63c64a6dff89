//! Makes `cargo test -p CRATE` use what `cargo test --workspace` has built.
//!
//! Cargo builds a dependency with the features that the *selected* packages ask for. Tests of one crate alone would therefore
//! build nearly a hundred dependencies a second time, with fewer features. Every crate of the workspace has this one as a
//! dev-dependency, and this one asks for the features that the whole workspace has, so that there is one set.
//!
//! There is no code in it. The server has it as a normal dependency, so that what `cargo run` has built serves the tests too;
//! all packages in the list are in the binary anyway.
//!
//! # When a dependency's features change
//!
//! `cargo xtask ci --only architecture` names the crates that differ and the features that are missing here.
