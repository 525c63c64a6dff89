//! Rebuilds the tests when a file is added to the folder of generated tests, which no list names. Cargo only watches the files of
//! the last build, so without this a new file, and its tests, would be ignored until another file changes.

fn main() {
    println!("cargo::rerun-if-changed=tests/it/domains");
}
