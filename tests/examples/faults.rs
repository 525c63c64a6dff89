//! Prints the table of `docs/faults.md`; `cargo xtask faults` runs it.
#![expect(clippy::print_stdout, reason = "what it prints is its result")]

#[tokio::main]
async fn main() {
    println!("| situation | answers | slowest | others | slowest of the others | works again after |");
    println!("|---|---|---|---|---|---|");
    for finding in tests::faults::all().await {
        println!("{finding}");
    }
    println!("{} <!-- domain: upload -->", tests::uploads::store_silent().await); // domain: upload
}
