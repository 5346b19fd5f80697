//! The GPU's kernels and memory against the CPU. Run by cargo on a machine with a C++ compiler, the GPU is the
//! stand-in, and everything here is a simulation; run by itself, the program takes the machine's own GPU.

#[cfg(stand_in)]
mod exchange;
#[cfg(stand_in)]
mod fourier;
#[cfg(stand_in)]
mod map;
#[cfg(stand_in)]
mod memory;
mod no_driver;
#[cfg(stand_in)]
mod reductions;
#[cfg(stand_in)]
mod sparse;

/// Held by each test that meets the GPU: its memory is counted for the whole process.
#[cfg(stand_in)]
fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Every kernel that the registry lists compiles and loads, and so is among those that NVRTC is given.
#[cfg(stand_in)]
#[test]
fn simulated_registry() -> tapegrad::Result<()> {
    let _alone = alone();
    let device = tapegrad_cuda_tests::gpu()?;
    assert!(tapegrad::cuda::prepare(&device)? > 100);
    assert!(tapegrad::cuda::properties(&device)?.multiprocessors > 0);
    Ok(())
}
