//! Every example ends with a check against a known answer: they are run as a user runs them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the programs that `cargo test` builds of `examples/`.
fn programs() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    test.ancestors().nth(2).expect("tests are in deps").join("examples")
}

/// Runs an example, which must end well and, where it takes `--plot`, draw.
fn run(name: &str, draws: bool) {
    let folder = std::env::temp_dir().join(format!("tapegrad-example-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the picture");
    let picture = folder.join("picture.svg");
    let mut command = Command::new(programs().join(name));
    if draws {
        command.arg("--plot").arg(&picture);
    }
    let out = command.current_dir(&folder).output().unwrap_or_else(|e| panic!("{name}: {e}"));
    let drawn = std::fs::read_to_string(&picture).unwrap_or_default();
    std::fs::remove_dir_all(&folder).expect("the folder was there");
    let (told, wrong) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{name} failed\n{told}\n{wrong}");
    assert!(!draws || drawn.contains("</svg>"), "{name} drew nothing\n{told}");
}

macro_rules! examples {
    ($($name:ident $draws:literal,)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name), $draws);
        })*

        /// What is in the folder is listed here, and in the gallery.
        #[test]
        fn all_are_run() {
            let listed = [$(stringify!($name)),*];
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
            let gallery = std::fs::read_to_string(folder.join("README.md")).expect("a gallery");
            for entry in std::fs::read_dir(&folder).expect("the examples") {
                let path = entry.expect("a file").path();
                let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
                let program = path.extension().is_some_and(|e| e == "rs") || path.join("main.rs").exists();
                if program {
                    assert!(listed.contains(&name.as_str()) || name == "gpu_speedup", "{name} is not run");
                    assert!(gallery.contains(&format!("--example {name}")), "{name} is not in the gallery");
                }
            }
        }
    };
}

// Which name, and whether it draws. A GPU's speed is no example's to check here: gpu_speedup needs one.
examples! {
    bilevel true,
    bundle_adjustment true,
    constrained false,
    curve_fit true,
    custom_op true,
    gaussian_process true,
    least_squares true,
    logistic_regression true,
    matrix_completion true,
    neural_net true,
    optimal_control true,
    quickstart false,
    reaction_diffusion true,
}
