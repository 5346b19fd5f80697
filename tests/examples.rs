//! Every example ends with a check against a known answer: they are run as a user runs them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the programs that `cargo test` builds of `examples/`.
fn programs() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    test.ancestors().nth(2).expect("tests are in deps").join("examples")
}

/// A folder for what an example writes, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("tapegrad-example-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for what the example writes");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing depends on it.
        _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs an example in a folder: what it told.
fn run(name: &str, folder: &Folder, arguments: &[&str]) -> String {
    let mut command = Command::new(programs().join(name));
    let out =
        command.args(arguments).current_dir(&folder.0).output().unwrap_or_else(|e| panic!("{name}: {e}"));
    let (told, wrong) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{name} failed\n{told}\n{wrong}");
    told.into_owned()
}

/// An example that needs no arguments, and draws where it takes `--plot`.
fn run_as_it_is(name: &str, draws: bool) {
    let folder = Folder::new(name);
    let told = run(name, &folder, if draws { &["--plot", "picture.svg"] } else { &[] });
    let drawn = std::fs::read_to_string(folder.0.join("picture.svg")).unwrap_or_default();
    assert!(!draws || drawn.contains("</svg>"), "{name} drew nothing\n{told}");
}

/// The solution, from 1 to 2 and a little more for the noise, of a problem in files.
#[test]
fn larger_than_memory() {
    let folder = Folder::new("larger_than_memory");
    run("larger_than_memory", &folder, &["make", "a.npy", "y.npy", "--rows", "20000", "--cols", "10"]);
    let told = run("larger_than_memory", &folder, &["solve", "a.npy", "y.npy", "--block", "65536"]);
    let line = told.lines().find(|line| line.starts_with("x ")).expect("a line of the solution");
    let ends: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!((ends[0] - 1.0).abs() < 0.02 && (ends[1] - 2.0).abs() < 0.02, "{told}");
}

macro_rules! examples {
    ($($name:ident $draws:literal,)*) => {
        $(#[test]
        fn $name() {
            run_as_it_is(stringify!($name), $draws);
        })*

        /// What is in the folder is listed here, and in the gallery.
        #[test]
        fn all_are_run() {
            let listed = [$(stringify!($name),)* "larger_than_memory", "gpu_speedup"];
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
            let gallery = std::fs::read_to_string(folder.join("README.md")).expect("a gallery");
            for entry in std::fs::read_dir(&folder).expect("the examples") {
                let path = entry.expect("a file").path();
                let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
                let program = path.extension().is_some_and(|e| e == "rs") || path.join("main.rs").exists();
                if program {
                    assert!(listed.contains(&name.as_str()), "{name} is not run");
                    assert!(gallery.contains(&format!("--example {name}")), "{name} is not in the gallery");
                }
            }
        }
    };
}

// Which name, and whether it draws. What gpu_speedup needs is not here: a GPU.
examples! {
    bilevel true,
    bundle_adjustment true,
    constrained false,
    curve_fit true,
    custom_op true,
    data_parallel true,
    gaussian_process true,
    least_squares true,
    logistic_regression true,
    matrix_completion true,
    neural_net true,
    optimal_control true,
    quickstart false,
    reaction_diffusion true,
}
