//! miohttp beside other HTTP clients and the bare socket loop.
//!
//! ```text
//! main ── run: rounds of ── child: one client, one workload, in a process of its own
//!   │                          │ clients: one module each; messages: those of WebSockets
//!   │                          ▼
//!   └── report, plot        server: the same for all, in a process of its own
//! ```
//!
//! Each round runs each client once, so that what drifts on the machine drifts
//! under all of them, and a client is compared with the limit of its own round.

#![forbid(unsafe_code)]

mod apart;
mod args;
mod bare_tls;
mod child;
mod clients;
mod messages;
mod meter;
mod network;
mod plan;
mod plot;
mod repeat;
mod report;
mod run;
mod server;
mod usage;

use std::process::ExitCode;

use args::Command;

/// Whatever goes wrong; only ever printed.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Outcome = Result<(), Error>;

fn main() -> ExitCode {
    let done = match args::parse() {
        Ok(Command::Help) => {
            print!("{}", args::HELP);
            Ok(())
        }
        Ok(Command::Serve { folder }) => server::run(&folder),
        Ok(Command::Nginx { folder }) => server::become_nginx(&folder),
        Ok(Command::Child(task)) => child::run(&task),
        Ok(Command::Measure(options)) => measure(&options),
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &args::Options) -> Outcome {
    network::enter_own()?;
    let samples = run::run(options)?;
    let report = report::Report::new(&samples, options)?;
    print!("{}", report.table());
    if let Some(file) = &options.json {
        std::fs::write(file, report.json()?)?;
    }
    if let Some(file) = &options.plot {
        std::fs::write(file, plot::svg(&report))?;
    }
    Ok(())
}
