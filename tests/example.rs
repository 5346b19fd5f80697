//! The least squares example as a user runs it: what it prints, draws and refuses.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use tapegrad::cuda;

/// A folder that is gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("tapegrad-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Runs the example with its plot drawn here.
    fn run(&self, arguments: &[&str]) -> Output {
        // Beside the tests' own folder, where cargo builds the examples before any test runs.
        let here = std::env::current_exe().unwrap();
        let example = here.ancestors().nth(2).unwrap().join("examples/least_squares");
        let example = example.with_extension(std::env::consts::EXE_EXTENSION);
        assert!(example.exists(), "build it first: cargo build --release --example least_squares");
        let mut command = Command::new(example);
        command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
        if !arguments.contains(&"--plot") {
            command.arg("--plot").arg(self.0.join("plot.svg"));
        }
        command.output().unwrap()
    }

    /// What a run that succeeds prints.
    fn prints(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.run(arguments);
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }

    /// The one line with which a run fails.
    fn refuses(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.run(arguments);
        assert_eq!(status.code(), Some(1), "{}", String::from_utf8_lossy(&stdout));
        let message = String::from_utf8(stderr).unwrap();
        assert_eq!(message.lines().count(), 1, "{message}");
        message.trim_end().strip_prefix("error: ").expect("an error").to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The numbers of the line that begins with this name.
fn numbers(text: &str, name: &str) -> Vec<f64> {
    let line = text.lines().find(|l| l.split_whitespace().next() == Some(name));
    let cells = line.unwrap_or_else(|| panic!("no line {name} in\n{text}")).split_whitespace().skip(1);
    cells.filter_map(|c| c.parse().ok()).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What statisticians' programs give for the diabetes data, with columns in units of their standard
/// deviations (Efron, Hastie, Johnstone and Tibshirani, Least Angle Regression, 2004).
const DIABETES: [(&str, f64); 12] = [
    ("(intercept)", 152.13348416),
    ("age", -0.47612079),
    ("sex", -11.40686692),
    ("bmi", 24.72654886),
    ("bp", 15.42940413),
    ("s1", -37.67995261),
    ("s2", 22.67616277),
    ("s3", 4.80613814),
    ("s4", 8.42203936),
    ("s5", 35.73444577),
    ("s6", 3.21667372),
    ("residual", 1263985.78563334),
];

#[test]
fn both_solvers_find_the_coefficients_of_the_diabetes_data() {
    let folder = Folder::new();
    let text = folder.prints(&[]);
    for (name, expected) in DIABETES {
        let found = numbers(&text, name);
        assert_eq!(found.len(), 3, "closed form, gradient descent and L-BFGS:\n{text}");
        for x in found {
            assert!((x - expected).abs() <= 1e-6 * expected.abs(), "{name}: {x} instead of {expected}");
        }
    }
    assert!(!text.contains("did not reach"), "{text}");
    let r2 = numbers(&text, "R^2");
    assert!(r2.iter().all(|r| (r - 0.5177484).abs() < 1e-6), "{r2:?}");
    let plot = std::fs::read_to_string(folder.0.join("plot.svg")).unwrap();
    assert!(plot.starts_with("<svg") && plot.matches("<polyline").count() >= 2);
}

#[test]
fn each_solver_alone_and_single_precision() {
    let folder = Folder::new();
    for solver in ["gd", "lbfgs"] {
        let text = folder.prints(&["--solver", solver]);
        assert_eq!(numbers(&text, "bmi").len(), 2, "{text}");
        let text = folder.prints(&["--solver", solver, "--dtype", "f32"]);
        for x in numbers(&text, "bmi") {
            assert!((x - 24.72654886).abs() < 1e-3, "{text}");
        }
    }
}

#[test]
fn random_problems_repeat_by_their_seed() {
    let folder = Folder::new();
    let residual = |seed| {
        let text = folder.prints(&["--rows", "300", "--cols", "7", "--seed", seed]);
        assert!(!text.contains("did not reach"), "{text}");
        numbers(&text, "residual")
    };
    let [a, b, c] = ["1", "1", "2"].map(residual);
    assert_eq!(a, b);
    assert_ne!(a, c);
    assert!(a.iter().all(|r| (r - a[0]).abs() <= 1e-6 * a[0]), "{a:?}");
}

#[test]
fn more_columns_than_rows_have_the_smallest_solution() {
    let folder = Folder::new();
    let text = folder.prints(&["--rows", "8", "--cols", "20"]);
    for k in 0..20 {
        let x = numbers(&text, &format!("x{k}"));
        assert!(x.iter().all(|v| (v - x[0]).abs() < 1e-5), "{text}");
    }
}

/// The format of version 1.0, as NumPy documents it.
fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.bytes());
    file.extend(data);
    file
}

#[test]
fn numpy_files() {
    let folder = Folder::new();
    // y = 3 x0 - 2 x1 + 1
    let rows = [[0.0, 1.0], [1.0, 0.0], [2.0, 5.0], [3.0, 3.0], [4.0, -1.0]];
    let cells: Vec<f64> = rows.iter().flat_map(|[a, b]| [*a, *b, 3.0 * a - 2.0 * b + 1.0]).collect();
    let bytes: Vec<u8> = cells.iter().flat_map(|x| x.to_le_bytes()).collect();
    let file = folder.file("table.npy", npy("<f8", "(5, 3)", &bytes));
    let printed = folder.prints(&["--input", text(&file)]);
    assert!(printed.contains("x2 of"), "{printed}");
    assert!(numbers(&printed, "residual").iter().all(|r| r.abs() < 1e-10), "{printed}");
    let single: Vec<u8> = cells.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect();
    let file = folder.file("single.npy", npy("<f4", "(5, 3)", &single));
    assert!(folder.prints(&["--input", text(&file), "--target", "x0"]).contains("x0 of"));

    let refused = |content: Vec<u8>| folder.refuses(&["--input", text(&folder.file("bad.npy", content))]);
    let message = refused(npy("<f8", "(5, 3)", &bytes[..80]));
    assert!(message.starts_with("load_npy: ") && message.contains("bad.npy: "), "{message}");
    let message = refused(npy("<f8", "(1152921504606846976, 3)", &bytes));
    assert!(message.starts_with("load_npy: ") && message.contains("bad.npy: "), "{message}");
    let message = refused(npy("<i8", "(5, 3)", &bytes));
    assert!(message.contains("bad.npy: ") && message.contains("load it as i64"), "{message}");
    let message = refused(npy("<f8", "(15,)", &bytes));
    assert!(message.contains("bad.npy has 1 dimensions: rows and columns are needed"), "{message}");
    let message = refused(npy("<f8", "(0, 3)", &[]));
    assert!(message.contains("bad.npy is empty: its shape is [0, 3]"), "{message}");
    let mut with_nan = cells.clone();
    with_nan[7] = f64::NAN;
    let message =
        refused(npy("<f8", "(5, 3)", &with_nan.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>()));
    assert!(message.contains("bad.npy, row [2], column x1: NaN is not a finite number"), "{message}");
}

#[test]
fn bad_tables_are_named_by_file_row_and_column() {
    let folder = Folder::new();
    for (content, message) in [
        ("", "bad.csv is empty"),
        ("a,b,y\n", "bad.csv has no rows below its header"),
        ("a,b,y\n1,2,3\n4,5\n", "bad.csv, line 3: column y is missing: 2 cells of 3"),
        ("a,b,y\n1,2,3,4\n", "bad.csv, line 2: 4 cells, but the header names 3 columns"),
        ("a,b,y\n1,2,3\n4,five,6\n", "bad.csv, line 3, column b: \"five\" is not a number"),
        ("a,b,y\n1,,3\n", "bad.csv, line 2, column b: the cell is empty"),
        ("a,b,y\n1,NaN,3\n", "bad.csv, line 2, column b: NaN is not a finite number"),
        ("a,b,y\n1,2,inf\n", "bad.csv, line 2, column y: inf is not a finite number"),
        ("a,b,y\n1,2,3\n1,4,5\n1,0,2\n", "bad.csv, column a: constant, so that it cannot be standardised"),
        ("a,b,y\n1,2,3\n0,4,3\n", "bad.csv, column y: constant, so that it cannot be standardised"),
        ("1,2,3\n4,5,6\n", "bad.csv, line 1: the columns need names, but here are numbers"),
        ("a,a,y\n1,2,3\n", "bad.csv, line 1: two columns are named a"),
        ("a,,y\n1,2,3\n", "bad.csv, line 1: column number 2 has no name"),
        ("y\n1\n2\n", "bad.csv has the single column y: nothing to explain it by"),
    ] {
        let file = folder.file("bad.csv", content);
        let found = folder.refuses(&["--input", text(&file)]);
        assert!(found.ends_with(message), "{found} instead of {message}");
    }
    let found = folder.refuses(&["--input", text(&folder.file("bad.csv", b"a,b,y\n1,\xff\xfe,3\n"))]);
    assert!(found.contains("bad.csv, line 2, column b:"), "{found}");
    let found = folder.refuses(&["--input", "no/such/file.csv"]);
    assert!(found.starts_with("no/such/file.csv cannot be read: "), "{found}");
    let found = folder.refuses(&["--input", text(&folder.file("table.txt", "a,b\n1,2\n"))]);
    assert!(found.ends_with("table.txt is neither a .csv nor a .npy file"), "{found}");
    let file = folder.file("good.csv", "a,b,y\n1,2,3\n3,1,4\n5,7,9\n");
    let found = folder.refuses(&["--input", text(&file), "--target", "z"]);
    assert!(found.ends_with("good.csv has no column \"z\": there are a, b, y"), "{found}");
}

#[test]
fn what_cannot_be_done_is_said_before_the_work() {
    let folder = Folder::new();
    // A GPU that is not there is told of before the table is.
    let found = folder.refuses(&["--device", "cuda:99", "--input", "no/such/file.csv"]);
    assert!(found.starts_with("Device::cuda: ") && !found.contains("file.csv"), "{found}");
    if !cuda::is_available() {
        let found = folder.refuses(&["--device", "cuda"]);
        assert!(found.starts_with("Device::cuda: "), "{found}");
    }
    let found = folder.refuses(&["--rows", "0"]);
    assert!(found.contains("there must be at least one of each"), "{found}");
    let huge = usize::MAX.to_string();
    let found = folder.refuses(&["--rows", &huge, "--cols", &huge]);
    assert!(found.contains("randn"), "{found}");
    let found = folder.refuses(&["--rows", "1000000000000", "--cols", "10"]);
    assert!(found.contains("randn"), "{found}");
    let found = folder.refuses(&["--rows", "5", "--cols", "1", "--plot", "chart.bmp"]);
    assert!(found.contains("chart.bmp: plots are drawn as .svg files"), "{found}");
    // Arguments that clap refuses end with its own exit code.
    for arguments in [
        &["--solver", "newton"][..],
        &["--dtype", "f16"],
        &["--device", "gpu"],
        &["--device", "cuda:"],
        &["--device", "cuda:one"],
        &["--rows", "-1"],
    ] {
        assert_eq!(folder.run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
