//! Names the packages that are missing where MPI cannot be built; mpi-sys, which gives up there, does not.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=MPICC");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_MPI").is_none() || cfg!(windows) {
        return;
    }
    // As the build script of mpi-sys looks for it.
    let mpicc = env::var("MPICC").unwrap_or_else(|_| "mpicc".into());
    let compiles = Command::new(&mpicc).arg("-show").output().is_ok_and(|output| output.status.success());
    let described =
        Command::new("pkg-config").args(["--exists", "mpich"]).status().is_ok_and(|s| s.success());
    if !compiles && !described {
        println!(
            "cargo::error=the feature mpi needs an MPI library, and `{mpicc} -show` does not run: on Debian and Ubuntu \
             install libopenmpi-dev, openmpi-bin and libclang-dev; on a cluster load its MPI module, or set MPICC to its \
             compiler; without the feature every process is a group of one"
        );
    }
}
