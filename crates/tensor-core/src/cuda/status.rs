//! What a kernel has to report: the smallest number that any of its threads offers.

use crate::error::Result;
use crate::gpu::allocation::Allocation;
use crate::gpu::context::Gpu;

/// A word on the GPU, all of its bits set until a kernel calls `report` (see prelude.cu).
pub(crate) struct Status(Allocation);

impl Status {
    /// # Errors
    /// Out of memory.
    pub fn new(gpu: &'static Gpu, op: &'static str) -> Result<Self> {
        let word = gpu.allocate(op, 8)?;
        gpu.fill(op, word.pointer(), 8, 0xff)?;
        Ok(Status(word))
    }

    /// The word's address, for the kernel.
    pub fn word(&self) -> u64 {
        self.0.pointer()
    }

    /// Waits for the kernel: the smallest number that was reported, None where nothing was.
    ///
    /// # Errors
    /// Device, where the work failed, or is being captured and cannot be waited for.
    pub fn first(self, op: &'static str) -> Result<Option<usize>> {
        let mut word = [0; 8];
        self.0.gpu().read(op, self.word(), &mut word)?;
        Ok(usize::try_from(u64::from_ne_bytes(word)).ok().filter(|&n| n != usize::MAX))
    }
}
