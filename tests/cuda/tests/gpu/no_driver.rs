//! Without CUDA on the machine: errors that say what is missing, and never a panic.

use std::process::Command;
use tapegrad::prelude::*;

const WITHIN: &str = "TAPEGRAD_TEST_WITHOUT_CUDA";

/// Runs the test below again in a process that is not told of the stand-in libraries.
#[test]
fn what_is_missing_is_named() {
    let program = std::env::current_exe().expect("a running test has a program");
    let out = Command::new(program)
        .args(["no_driver::within", "--exact", "--nocapture"])
        .env(WITHIN, "1")
        .env_remove("TAPEGRAD_CUDA_PATH")
        .output()
        .expect("the program runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
}

#[test]
fn within() {
    if std::env::var_os(WITHIN).is_none() || cuda::is_available() {
        return;
    }
    let x: Tensor = Tensor::from([1.0, 2.0]);
    let errors = [
        Device::cuda(0).map(|_| ()),
        cuda::device_count().map(|_| ()),
        x.cuda().map(|_| ()),
        x.to_device(&Device::Cuda(1)).map(|_| ()),
        Tensor::<f64>::zeros_on(&Device::Cuda(0), [2]).map(|_| ()),
        Tensor::rand_on::<f32>(&Device::Cuda(0), [2]).map(|_| ()),
        cuda::synchronize(&Device::Cuda(0)),
        tapegrad::memory::stats_on(&Device::Cuda(0)).map(|_| ()),
    ];
    for error in errors {
        let e = error.expect_err("there is no GPU");
        assert_eq!(e.kind(), ErrorKind::Device);
        let text = e.to_string();
        // A driver without a GPU says so; no driver is named by its files.
        assert!(text.contains("libcuda") || text.contains("device"), "{text}");
    }
    // What was on the CPU works on.
    assert_eq!((&x + &x).to_vec(), [2.0, 4.0]);
}
