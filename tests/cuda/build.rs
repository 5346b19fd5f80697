//! Builds the stand-in libraries and lets the tests of this package find them: cargo hands the variables set here
//! to the tests it runs.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=stand-in");
    println!("cargo::rerun-if-env-changed=CXX");
    println!("cargo::rustc-check-cfg=cfg(stand_in)");
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let libraries = Path::new(&out).join("stand-in");
    let built = Command::new("sh").arg("stand-in/build.sh").arg(&libraries).status();
    if built.is_ok_and(|status| status.success()) {
        println!("cargo::rustc-cfg=stand_in");
        println!("cargo::rustc-env=TAPEGRAD_CUDA_PATH={}", libraries.display());
        // What is compiled for the stand-in stays beside it.
        println!("cargo::rustc-env=TAPEGRAD_CACHE={}", libraries.join("cache").display());
        // Blocks of their exact size, so that the guard pages behind them are met.
        println!("cargo::rustc-env=TAPEGRAD_CUDA_POOL=off");
    } else {
        println!("cargo::warning=no C++ compiler: the simulated tests of the GPU are left out");
    }
}
