//! Measures the product beside the servers `limit` and `plain`, and prints the result. `cargo xtask bench` builds and runs it.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "what it prints is its result")]

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use bench::driver;
use bench::options::Options;
use bench::report::Report;
use bench::site::Binaries;
use clap::Parser;

/// Arguments of the driver.
#[derive(Debug, Parser)]
struct Arguments {
    /// The product's binary.
    product: PathBuf,
    /// Options of the run, as JSON.
    options: String,
}

fn main() -> Result<()> {
    let Arguments { product, options } = Arguments::parse();
    let options: Options = serde_json::from_str(&options).context("the options were not understood")?;
    // Before the run, which may overwrite the file.
    let earlier = options.compare.as_ref().map(|path| {
        let text = fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
        serde_json::from_str::<Report>(&text).with_context(|| format!("{} is no result", path.display()))
    });
    let earlier = earlier.transpose()?;
    let folder = std::env::current_exe().context("the folder of the servers is unknown")?;
    let server = |name: &str| folder.with_file_name(name);
    let binaries = Binaries { product: Some(product), limit: server("limit"), plain: server("plain") };
    let report = driver::run(&options, &binaries)?;
    print!("{report}");
    if let Some(earlier) = earlier {
        print!("\n{}", report.compared_with(&earlier));
    }
    Ok(())
}
