//! Tells cargo to look into the folder whose files no list names. Cargo knows the files of the last build, so a new one would
//! not be seen, and its tests would not run, until something else changed.

fn main() {
    println!("cargo::rerun-if-changed=tests/it/domains");
}
