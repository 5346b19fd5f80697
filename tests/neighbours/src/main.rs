//! tapegrad's side of the tests with its neighbours in Python; run.sh calls it between theirs.

mod files;

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["files", folder] => files::check(Path::new(folder)),
        _ => Err("usage: tapegrad-neighbours files FOLDER".into()),
    }
}
