//! The program `luc`.

use std::process::ExitCode;

use clap::Parser as _;
use luc::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            luc::steps::say(&format!("luc: starting the runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(luc::run::run(cli)) {
        Ok(()) if luc::steps::all_printed() => ExitCode::SUCCESS,
        // That was said when it happened.
        Ok(()) => ExitCode::FAILURE,
        Err(error) => {
            luc::steps::say(&format!("luc: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
