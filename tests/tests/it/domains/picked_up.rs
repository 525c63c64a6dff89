//! Tests that no file of this folder is missing in the binary. This file always exists, because `automod` fails for an empty folder.

use std::path::Path;
use std::process::Command;

/// The full names of the tests in this binary.
fn compiled() -> Vec<String> {
    let listed = Command::new(std::env::current_exe().unwrap()).args(["--list", "--format=terse"]).output();
    let text = String::from_utf8(listed.unwrap().stdout).unwrap();
    text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

#[test]
fn every_file_of_the_folder_has_its_tests_in_this_binary() {
    let compiled = compiled();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/domains");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
        let module = format!("domains::{}::", file.file_stem().unwrap().to_str().unwrap());
        let found = compiled.iter().any(|test| test.starts_with(&module));
        assert!(found, "{} is not in this build, or has no test", file.display());
    }
}
