//! One file for each generated domain. All files in the folder are part of the tests, without a list.

automod::dir!("tests/it/domains");
