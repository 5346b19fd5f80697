//! Copies between the host and a GPU, and between GPUs.
//!
//! Copies to and from ordinary memory go through pinned buffers: the GPU copies into one while the
//! host empties another. A copy to the GPU returns as soon as the host's part is done.

use super::context::Gpu;
use super::libraries::{Library, has};
use super::rings::{NO_TIMING, Ring, Slot};
use crate::error::Result;
use cudarc::driver::sys::{self, CUresult};
use std::ptr::{copy_nonoverlapping, null_mut};

impl Ring {
    /// The next buffer, once the copy before is done with it.
    fn take(&mut self, gpu: &Gpu, op: &'static str) -> Result<&mut Slot> {
        self.next = (self.next + 1) % self.slots.len();
        let slot = &mut self.slots[self.next];
        slot.wait(gpu, op)?;
        Ok(slot)
    }
}

impl Slot {
    fn wait(&mut self, gpu: &Gpu, op: &'static str) -> Result<()> {
        if self.pending {
            // SAFETY: the event lives as long as the process.
            gpu.check(op, "cuEventSynchronize", unsafe { sys::cuEventSynchronize(self.event) })?;
            self.pending = false;
        }
        Ok(())
    }

    /// After a copy into or out of the buffer was given to the stream.
    fn record(&mut self, gpu: &Gpu, op: &'static str) -> Result<()> {
        self.pending = true;
        // SAFETY: the event and the stream live as long as the process.
        gpu.check(op, "cuEventRecord", unsafe { sys::cuEventRecord(self.event, gpu.ordinary) })
    }
}

impl Gpu {
    /// Copies to the host, after all work before; waits.
    pub(crate) fn read(&self, op: &'static str, pointer: u64, into: &mut [u8]) -> Result<()> {
        if into.is_empty() {
            return Ok(());
        }
        self.refuse_capture(op)?;
        self.bind(op)?;
        self.transfers.to_host.count(into.len());
        let rings = &mut *self.transfers.to_host.rings();
        let (ring, size) = Ring::of(rings, into.len());
        let slots = ring.slots.len();
        if slots == 0 {
            // SAFETY: the caller's block has as many bytes as `into`, which outlives the copy: the
            // stream is waited for.
            let code = unsafe {
                sys::cuMemcpyDtoHAsync_v2(into.as_mut_ptr().cast(), pointer, into.len(), self.ordinary)
            };
            self.check(op, "cuMemcpyDtoHAsync", code)?;
            return self.synchronize(op);
        }
        let (bytes, total) = (into.len(), into.len().div_ceil(size));
        let (mut asked, first) = (0, ring.next + 1);
        for (i, piece) in into.chunks_mut(size).enumerate() {
            while asked < total && asked < i + slots {
                let offset = asked * size;
                let slot = ring.take(self, op)?;
                // SAFETY: the slot has `size` bytes and nothing else uses them; the caller's block
                // has `bytes`.
                let code = unsafe {
                    let length = size.min(bytes - offset);
                    let from = pointer + offset as u64;
                    sys::cuMemcpyDtoHAsync_v2(slot.memory.cast(), from, length, self.ordinary)
                };
                self.check(op, "cuMemcpyDtoHAsync", code)?;
                slot.record(self, op)?;
                asked += 1;
            }
            let slot = &mut ring.slots[(first + i) % slots];
            slot.wait(self, op)?;
            // SAFETY: the slot has `size` bytes, the piece no more, and they are apart.
            unsafe { copy_nonoverlapping(slot.memory, piece.as_mut_ptr(), piece.len()) };
        }
        Ok(())
    }

    /// Copies from the host. `from` may change at once; what runs later on the GPU sees the copy.
    pub(crate) fn write(&self, op: &'static str, pointer: u64, from: &[u8]) -> Result<()> {
        if from.is_empty() {
            return Ok(());
        }
        self.refuse_capture(op)?;
        self.bind(op)?;
        self.transfers.to_device.count(from.len());
        let rings = &mut *self.transfers.to_device.rings();
        let (ring, size) = Ring::of(rings, from.len());
        if ring.slots.is_empty() {
            // SAFETY: the caller's block has as many bytes as `from`, which outlives the copy: the
            // stream is waited for.
            let code = unsafe {
                sys::cuMemcpyHtoDAsync_v2(pointer, from.as_ptr().cast(), from.len(), self.ordinary)
            };
            self.check(op, "cuMemcpyHtoDAsync", code)?;
            return self.synchronize(op);
        }
        for (i, piece) in from.chunks(size).enumerate() {
            let slot = ring.take(self, op)?;
            // SAFETY: the slot has `size` bytes, the piece no more, and no copy uses them any more;
            // the caller's block has as many bytes as `from`.
            let code = unsafe {
                copy_nonoverlapping(piece.as_ptr(), slot.memory, piece.len());
                let to = pointer + (i * size) as u64;
                sys::cuMemcpyHtoDAsync_v2(to, slot.memory.cast(), piece.len(), self.ordinary)
            };
            self.check(op, "cuMemcpyHtoDAsync", code)?;
            slot.record(self, op)?;
        }
        Ok(())
    }

    /// Copies from another GPU, after the work of both before; the work of both after it waits.
    pub(crate) fn copy_from(
        &self,
        op: &'static str,
        to: u64,
        other: &Gpu,
        from: u64,
        bytes: usize,
    ) -> Result<()> {
        if self.ordinal() == other.ordinal() {
            return self.copy(op, to, from, bytes);
        }
        if bytes == 0 {
            return Ok(());
        }
        self.refuse_capture(op)?;
        other.grant(self.device);
        self.wait_for(op, other)?;
        self.bind(op)?;
        // SAFETY: both of the callers' blocks have so many bytes, and are freed in the order of their
        // own streams, which wait for each other.
        let code =
            unsafe { sys::cuMemcpyPeerAsync(to, self.context, from, other.context, bytes, self.ordinary) };
        if matches!(code, CUresult::CUDA_ERROR_INVALID_VALUE | CUresult::CUDA_ERROR_NOT_SUPPORTED) {
            return self.copy_by_host(op, to, other, from, bytes);
        }
        self.check(op, "cuMemcpyPeerAsync", code)?;
        other.wait_for(op, self)
    }

    /// Lets another GPU reach this one's pool, where the hardware can; copies do without it.
    fn grant(&self, device: sys::CUdevice) {
        let Some(pool) = self.pool.handle else { return };
        if ![c"cuDeviceCanAccessPeer", c"cuMemPoolSetAccess"].iter().all(|s| has(Library::Driver, s)) {
            return;
        }
        let mut reachable = 0;
        let location =
            sys::CUmemLocation { type_: sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE, id: device };
        let flags = sys::CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
        let access = sys::CUmemAccessDesc { location, flags };
        // SAFETY: both devices exist, the pool lives as long as the process, and one entry is read.
        unsafe {
            _ = sys::cuDeviceCanAccessPeer(&mut reachable, device, self.device);
            if reachable != 0 {
                _ = sys::cuMemPoolSetAccess(pool, &access, 1);
            }
        }
    }

    /// Where the driver has no copy between two GPUs.
    fn copy_by_host(&self, op: &'static str, to: u64, other: &Gpu, from: u64, bytes: usize) -> Result<()> {
        let mut host = vec![0; bytes.min(16 << 20)];
        for start in (0..bytes).step_by(host.len()) {
            let piece = host.len().min(bytes - start);
            other.read(op, from + start as u64, &mut host[..piece])?;
            self.write(op, to + start as u64, &host[..piece])?;
        }
        Ok(())
    }

    /// Makes this GPU's later work wait for the other's work so far.
    fn wait_for(&self, op: &'static str, other: &Gpu) -> Result<()> {
        other.bind(op)?;
        let mut event = null_mut();
        // SAFETY: the other's context is bound, and both streams live as long as the process. An event
        // may be destroyed while it is waited for.
        unsafe {
            other.check(op, "cuEventCreate", sys::cuEventCreate(&mut event, NO_TIMING))?;
            let recorded = sys::cuEventRecord(event, other.ordinary);
            let waits = match recorded {
                CUresult::CUDA_SUCCESS => sys::cuStreamWaitEvent(self.ordinary, event, 0),
                _ => CUresult::CUDA_SUCCESS,
            };
            _ = sys::cuEventDestroy_v2(event);
            other.check(op, "cuEventRecord", recorded)?;
            self.check(op, "cuStreamWaitEvent", waits)
        }
    }
}
