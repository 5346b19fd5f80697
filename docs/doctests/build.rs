//! Makes a doctest of every cell in the last column of docs/numpy-and-pytorch.md.

use std::fmt::Write;
use std::{env, fs};

const TABLE: &str = "../numpy-and-pytorch.md";
/// What the table says its names stand for.
const NAMES: &str = "\
# use tapegrad::{prelude::*, *};
# let x: Tensor = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
# let y: Tensor = Tensor::from([[0.5, 1.5, 2.5], [3.5, 4.5, 5.5]]);
# let a: Tensor = Tensor::from([[4.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 2.0]]);
# let b: Tensor = Tensor::stack(&[&a, &(&a + Tensor::eye(3))], 0)?;
# let (u, v): (Tensor, Tensor) = (Tensor::from([1.0, 2.0, 3.0]), Tensor::from([3.0, 2.0, 1.0]));
# let (m, i) = (x.gt(2.0)?, Tensor::from([0, 2]));
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed={TABLE}");
    let table = fs::read_to_string(TABLE)?;
    let mut cells = String::new();
    for (number, line) in table.lines().enumerate() {
        let row = line.replace("\\|", "\0");
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let ["", _, _, code, ""] = columns[..] else { continue };
        let Some(code) = code.strip_prefix('`').and_then(|c| c.strip_suffix('`')) else { continue };
        let code = code.replace('\0', "|");
        let line = number + 1;
        let path = format!(
            "# let file = std::env::temp_dir().join(format!(\"tapegrad-{{}}-{line}\", std::process::id()));\n\
             # let path = file.as_path();"
        );
        let end = "# ;\n# std::fs::remove_file(&file).ok();\n# Ok::<(), Box<dyn std::error::Error>>(())";
        writeln!(cells, "\nLine {line}:\n```\n{NAMES}{path}\n{code}\n{end}\n```")?;
    }
    fs::write(format!("{}/cells.md", env::var("OUT_DIR")?), cells)?;
    Ok(())
}
