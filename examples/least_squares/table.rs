//! Reading a table of numbers from a CSV or NumPy file, every cell checked.

use crate::Result;
use std::collections::HashSet;
use std::path::Path;
use tapegrad::prelude::Tensor;

/// Named columns of finite numbers.
pub struct Table {
    /// Where the numbers came from, for messages.
    pub source: String,
    pub columns: Vec<String>,
    /// The cells, row after row.
    pub cells: Vec<f64>,
}

/// Reads the file, by what its name ends in.
pub fn read(path: &Path) -> Result<Table> {
    let source = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|e| format!("{source} cannot be read: {e}"))?;
    if bytes.is_empty() {
        return Err(format!("{source} is empty").into());
    }
    match path.extension().and_then(|e| e.to_str()) {
        Some("csv") => from_csv(source, &bytes),
        Some("npy") => from_npy(source, path),
        _ => Err(format!("{source} is neither a .csv nor a .npy file").into()),
    }
}

fn from_csv(source: String, bytes: &[u8]) -> Result<Table> {
    // `flexible`, because ragged rows get a message of our own; bytes rather than strings, because
    // text in another encoding should be named by its cell.
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(bytes);
    let columns = header(&source, reader.byte_headers()?)?;
    let mut cells = Vec::new();
    for row in reader.byte_records() {
        let row = row?;
        // The line in the file, counted as a text editor counts: the header is line 1.
        let line = row.position().map_or(0, |p| p.line());
        if row.len() != columns.len() {
            let (found, expected) = (row.len(), columns.len());
            let problem = match columns.get(found) {
                Some(missing) => format!("column {missing} is missing: {found} cells of {expected}"),
                None => format!("{found} cells, but the header names {expected} columns"),
            };
            return Err(format!("{source}, line {line}: {problem}").into());
        }
        for (cell, column) in row.iter().zip(&columns) {
            let x = number(cell).map_err(|e| format!("{source}, line {line}, column {column}: {e}"))?;
            cells.push(x);
        }
    }
    if cells.is_empty() {
        return Err(format!("{source} has no rows below its header").into());
    }
    Ok(Table { source, columns, cells })
}

/// The names of the columns, each there once.
fn header(source: &str, cells: &csv::ByteRecord) -> Result<Vec<String>> {
    let names: Vec<String> = cells.iter().map(|c| String::from_utf8_lossy(c).into_owned()).collect();
    // A file without a header would silently lose its first row.
    if names.iter().all(|name| number(name.as_bytes()).is_ok()) {
        return Err(format!("{source}, line 1: the columns need names, but here are numbers").into());
    }
    let mut seen = HashSet::new();
    for (k, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(format!("{source}, line 1: column number {} has no name", k + 1).into());
        }
        if !seen.insert(name) {
            return Err(format!("{source}, line 1: two columns are named {name}").into());
        }
    }
    Ok(names)
}

fn number(cell: &[u8]) -> Result<f64, String> {
    let text = String::from_utf8_lossy(cell);
    match text.parse::<f64>() {
        Ok(x) if x.is_finite() => Ok(x),
        Ok(_) => Err(format!("{text} is not a finite number")),
        Err(_) if text.is_empty() => Err("the cell is empty".to_string()),
        Err(_) => Err(format!("{text:?} is not a number")),
    }
}

fn from_npy(source: String, path: &Path) -> Result<Table> {
    // Whatever converts to f64 exactly; the error names the file, and says what to do.
    let x = Tensor::load_npy(path)?;
    let [rows, columns] = x.shape() else {
        return Err(format!("{source} has {} dimensions: rows and columns are needed", x.ndim()).into());
    };
    if x.numel() == 0 {
        return Err(format!("{source} is empty: its shape is [{rows}, {columns}]").into());
    }
    let cells = x.to_vec();
    if let Some(k) = cells.iter().position(|x| !x.is_finite()) {
        let (row, column) = (k / columns, k % columns);
        // NumPy's own indices: these are what one looks for in the array.
        let x = cells[k];
        return Err(format!("{source}, row [{row}], column x{column}: {x} is not a finite number").into());
    }
    Ok(Table { source, columns: (0..*columns).map(|k| format!("x{k}")).collect(), cells })
}
