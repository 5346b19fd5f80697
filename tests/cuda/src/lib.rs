//! What the tests of the GPU share. Run by cargo, they use the stand-in libraries, and are simulations; their
//! programs run by themselves use the machine's own GPU.

use tapegrad::{Device, Result};

/// The GPU under test.
///
/// # Errors
/// Device, where there is none.
pub fn gpu() -> Result<Device> {
    Device::cuda(0)
}
