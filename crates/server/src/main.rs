//! The binary `ashlar`.

use std::process::ExitCode;

use app_kit::program;
use server::PRODUCT;

fn main() -> ExitCode {
    program::run(&PRODUCT)
}
