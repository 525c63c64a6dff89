//! Prints the table of `docs/load.md` for the binary that is named; `cargo xtask load` runs it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what it prints is its result")]

use std::path::Path;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let Some(binary) = std::env::args().nth(1) else {
        eprintln!("usage: load BINARY");
        return ExitCode::FAILURE;
    };
    println!("| meanwhile | answers | connections | before | during | peak | after | a login |");
    println!("|---|---|---|---|---|---|---|---|");
    for row in tests::load::table(Path::new(&binary)).await {
        println!("{row}");
    }
    ExitCode::SUCCESS
}
