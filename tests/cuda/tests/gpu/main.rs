//! The GPU's kernels and memory against the CPU. Run by cargo on a machine with a C++ compiler, the GPU is the
//! stand-in, and everything here is a simulation; run by itself, the program takes the machine's own GPU.

#[cfg(stand_in)]
mod map;
#[cfg(stand_in)]
mod memory;
mod no_driver;

/// Every kernel that the registry lists compiles and loads, and so is among those that NVRTC is given.
#[cfg(stand_in)]
#[test]
fn simulated_registry() -> tapegrad::Result<()> {
    let device = tapegrad_cuda_tests::gpu()?;
    assert!(tapegrad::cuda::prepare(&device)? > 100);
    assert!(tapegrad::cuda::properties(&device)?.multiprocessors > 0);
    Ok(())
}
