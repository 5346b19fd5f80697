//! A tool for GradBench (<https://github.com/gradbench/gradbench>): messages of its protocol on standard input, answers on
//! standard output, one JSON object a line. Evals run on one thread, as GradBench asks of tools, unless the program is
//! given `--multithreaded`.

mod ba;
mod descent;
mod det;
mod gmm;
mod hello;
mod ht;
mod kmeans;
mod llsq;
mod lse;
mod lstm;
mod ode;
mod particle;
mod protocol;
mod saddle;

use protocol::{Eval, Outcome, respond};
use std::io::{BufRead, Write, stdin, stdout};

/// The eval of a module's name.
fn eval(module: &str) -> Option<Eval> {
    Some(match module {
        "ba" => ba::evaluate,
        "det" => det::evaluate,
        "gmm" => gmm::evaluate,
        "hello" => hello::evaluate,
        "ht" => ht::evaluate,
        "kmeans" => kmeans::evaluate,
        "llsq" => llsq::evaluate,
        "lse" => lse::evaluate,
        "lstm" => lstm::evaluate,
        "ode" => ode::evaluate,
        "particle" => particle::evaluate,
        "saddle" => saddle::evaluate,
        _ => return None,
    })
}

fn main() -> Outcome<()> {
    if !std::env::args().any(|argument| argument == "--multithreaded") {
        rayon::ThreadPoolBuilder::new().num_threads(1).build_global()?;
    }
    let mut answers = stdout().lock();
    for line in stdin().lock().lines() {
        let response = respond(&serde_json::from_str(&line?)?, eval)?;
        writeln!(answers, "{response}")?;
        answers.flush()?;
    }
    Ok(())
}
