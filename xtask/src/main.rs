//! Repository tasks: `cargo xtask tidy`, `conformance [--strict]`, `errors [--check]`.
//!
//! **Invariant: a task either changes only the document it names or changes nothing, and its exit
//! code says whether the repository is in order.** Left to others: everything that a compiler or
//! lint already checks.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command line tool answers on stdout")]

mod circles;
mod conformance;
mod errors;
mod files;
mod graph;
mod links;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask tidy | conformance [--strict] | errors [--check]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["tidy"] => tidy::run(),
        ["conformance"] => conformance::run(false),
        ["conformance", "--strict"] => conformance::run(true),
        ["errors"] => errors::write(),
        ["errors", "--check"] => errors::check(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(64);
        }
    };
    match outcome {
        Ok(problems) if problems.is_empty() => ExitCode::SUCCESS,
        Ok(problems) => {
            for problem in &problems {
                println!("{problem}");
            }
            println!("{} problem(s)", problems.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(70)
        }
    }
}
