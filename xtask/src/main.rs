//! Chores of the workspace, as a program: `cargo xtask tidy | ci | fix | bench`.
//!
//! It reads the source tree and runs cargo; it is no part of the product and nothing depends on it.
//! People and `make test` call it.
#![allow(
    clippy::print_stdout,
    reason = "this program's output is for the terminal"
)]

mod bench;
mod ci;
mod fix;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use workspace::Workspace;

/// Chores of the workspace.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check what compilers do not: crate graph, headers, sizes, names, links, paths.
    Tidy,
    /// Everything a change must pass: format, lints, tidy, licences, tests.
    Ci,
    /// Repair what can be repaired by machine, and say what is left.
    Fix,
    /// Measure; without a name, list what can be measured.
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = Workspace::find().and_then(|workspace| match arguments.chore {
        Chore::Tidy => tidy::run(&workspace),
        Chore::Ci => ci::run(&workspace),
        Chore::Fix => fix::run(&workspace),
        Chore::Bench(arguments) => bench::run(&workspace, &arguments),
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
