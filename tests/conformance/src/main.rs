//! Plays one recorded job through miohttp: JSON on the standard input, JSON on
//! the standard output (README.md tells how, and what the words mean).
//!
//! It knows no case by its number. What a job asks for and miohttp cannot do
//! is answered with `unsupported`, which counts as failed.

use std::io::Read;
use std::process::ExitCode;

use crate::job::Job;

mod client;
mod job;
mod outcome;

fn main() -> ExitCode {
    match play() {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("adapter: {error}");
            ExitCode::FAILURE
        }
    }
}

fn play() -> Result<serde_json::Value, Box<dyn std::error::Error>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let job: Job = serde_json::from_str(&text)?;
    Ok(match job.unsupported() {
        Some(reason) => serde_json::json!({ "unsupported": reason }),
        None => client::run(&job)?,
    })
}
