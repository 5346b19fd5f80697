//! One GPU: its context, the stream on which all its work runs in order, and its errors.

use super::blocks::Pool;
use super::capturing::{self, NON_BLOCKING, Permit};
use super::fault::{check, failure, is_fatal};
use super::libraries::{Library, has, require};
use super::rings::Transfers;
use crate::error::{Error, ErrorKind, Result};
use cudarc::driver::sys::{self, CUresult, CUstream};
use std::ffi::{CStr, c_int, c_void};
use std::ptr::{from_ref, null_mut};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

/// A GPU of this process. It is made at its first use and lives as long as the process, so that
/// nothing on it can outlive its context.
pub struct Gpu {
    ordinal: usize,
    pub(super) device: sys::CUdevice,
    pub(super) context: sys::CUcontext,
    pub(super) ordinary: CUstream,
    pub(super) pool: Pool,
    pub(super) transfers: Transfers,
    name: String,
    capability: (u32, u32),
    multiprocessors: u32,
    total_memory: usize,
    /// The most shared memory that a block can have.
    shared_limit: c_int,
    launches: AtomicU64,
    /// The first error after which CUDA refuses all further work.
    first_fault: OnceLock<String>,
}

// SAFETY: the handles of the CUDA driver may be used from every thread, and each is written once.
unsafe impl Send for Gpu {}
// SAFETY: as above; what changes lies in atomics and behind locks.
unsafe impl Sync for Gpu {}

static GPUS: Mutex<Vec<&'static Gpu>> = Mutex::new(Vec::new());

/// A loaded program; it stays loaded as long as the process.
#[derive(Clone, Copy)]
pub(crate) struct Module {
    handle: sys::CUmodule,
    gpu: &'static Gpu,
}

// SAFETY: a handle of the CUDA driver may be used from every thread.
unsafe impl Send for Module {}
// SAFETY: as above.
unsafe impl Sync for Module {}

/// A kernel of a [`Module`].
#[derive(Clone, Copy)]
pub(crate) struct Function {
    handle: sys::CUfunction,
    /// The bytes of its parameter, where the driver is new enough to tell.
    parameter: Option<usize>,
}

// SAFETY: a handle of the CUDA driver may be used from every thread.
unsafe impl Send for Function {}
// SAFETY: as above.
unsafe impl Sync for Function {}

/// From this many bytes on, a kernel must be allowed its dynamic shared memory: its static one counts towards
/// CUDA's limit of 48 KiB.
const SHARED_WITHOUT_ASKING: u32 = 32 << 10;

impl Gpu {
    /// How many GPUs there are; a driver that finds none is no error.
    pub(crate) fn count(op: &'static str) -> Result<usize> {
        require(op, Library::Driver)?;
        let mut count = 0;
        // SAFETY: the library has the functions, and `count` is written by the second.
        let (call, code) = unsafe {
            match sys::cuInit(0) {
                CUresult::CUDA_SUCCESS => ("cuDeviceGetCount", sys::cuDeviceGetCount(&mut count)),
                code => ("cuInit", code),
            }
        };
        match code {
            CUresult::CUDA_SUCCESS => Ok(count.max(0) as usize),
            CUresult::CUDA_ERROR_NO_DEVICE => Ok(0),
            code => Err(failure(op, call, code)),
        }
    }

    /// The GPU with this number.
    pub(crate) fn get(op: &'static str, ordinal: usize) -> Result<&'static Gpu> {
        let mut gpus = GPUS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gpu) = gpus.iter().find(|g| g.ordinal == ordinal) {
            return Ok(gpu);
        }
        let count = Gpu::count(op)?;
        if ordinal >= count {
            let there = match count {
                0 => "there is no CUDA device".into(),
                1 => "the only CUDA device is cuda:0".into(),
                n => format!("there are {n} CUDA devices, cuda:0 to cuda:{}", n - 1),
            };
            let message =
                format!("cuda:{ordinal} does not exist: {there} (CUDA_VISIBLE_DEVICES can hide some)");
            return Err(Error::new(ErrorKind::Device, op, message));
        }
        let gpu: &'static Gpu = Box::leak(Box::new(Gpu::start(op, ordinal)?));
        gpus.push(gpu);
        Ok(gpu)
    }

    fn start(op: &'static str, ordinal: usize) -> Result<Gpu> {
        let check = |call, code| check(op, call, code);
        let mut device = 0;
        // SAFETY: CUDA is initialised, the ordinal exists, and `device` is written.
        check("cuDeviceGet", unsafe { sys::cuDeviceGet(&mut device, ordinal as c_int) })?;
        let attribute = |attribute| {
            let mut value = 0;
            // SAFETY: the device exists, and `value` is written.
            let code = unsafe { sys::cuDeviceGetAttribute(&mut value, attribute, device) };
            check("cuDeviceGetAttribute", code).map(|()| value)
        };
        use sys::CUdevice_attribute_enum::*;
        let capability = (
            attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)? as u32,
            attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)? as u32,
        );
        let multiprocessors = attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)? as u32;
        let shared_limit = attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?;
        let pools = attribute(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED)? != 0;
        let mut name = [0; 256];
        let mut total_memory = 0;
        let (mut context, mut ordinary) = (null_mut(), null_mut());
        // SAFETY: the device exists, and each call writes what is handed to it; the name stays
        // within its 256 bytes.
        unsafe {
            check("cuDeviceGetName", sys::cuDeviceGetName(name.as_mut_ptr(), 255, device))?;
            check("cuDeviceTotalMem", sys::cuDeviceTotalMem_v2(&mut total_memory, device))?;
            // It is kept for the life of the process, also where what follows fails.
            check("cuDevicePrimaryCtxRetain", sys::cuDevicePrimaryCtxRetain(&mut context, device))?;
            check("cuCtxSetCurrent", sys::cuCtxSetCurrent(context))?;
        }
        let pool = Pool::start(op, device, pools)?;
        // SAFETY: the context is bound, and `ordinary` is written.
        check("cuStreamCreate", unsafe { sys::cuStreamCreate(&mut ordinary, NON_BLOCKING) })?;
        // SAFETY: the last byte of `name` was left 0.
        let name = unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned();
        Ok(Gpu {
            ordinal,
            device,
            context,
            ordinary,
            pool,
            transfers: Transfers::default(),
            name,
            capability,
            multiprocessors,
            total_memory,
            shared_limit,
            launches: AtomicU64::new(0),
            first_fault: OnceLock::new(),
        })
    }

    pub(crate) fn ordinal(&self) -> usize {
        self.ordinal
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The compute capability: (9, 0) of an H200.
    pub(crate) fn capability(&self) -> (u32, u32) {
        self.capability
    }

    pub(crate) fn multiprocessors(&self) -> u32 {
        self.multiprocessors
    }

    /// The bytes of its memory.
    pub(crate) fn total_memory(&self) -> usize {
        self.total_memory
    }

    /// The kernels launched or captured so far, and the replays of graphs.
    pub(crate) fn launches(&self) -> u64 {
        self.launches.load(Relaxed)
    }

    pub(crate) fn count_launch(&self) {
        self.launches.fetch_add(1, Relaxed);
    }

    /// Where this thread's work goes: the one stream, or that of its capture.
    #[inline]
    pub(crate) fn stream(&self) -> CUstream {
        capturing::capturing(from_ref(self).addr()).unwrap_or(self.ordinary)
    }

    /// Whether this thread's work on this GPU is being captured, so that no value can be read.
    #[inline]
    pub(crate) fn is_capturing(&self) -> bool {
        capturing::capturing(from_ref(self).addr()).is_some()
    }

    /// The error of every call after one that cost the GPU.
    #[inline]
    pub(super) fn alive(&self, op: &'static str) -> Result<()> {
        self.first_fault.get().map_or(Ok(()), |fault| Err(self.dead(op, fault)))
    }

    /// Before every call: makes the GPU's context this thread's. Another library of the program may
    /// have changed it, so nothing is remembered.
    #[inline]
    pub(crate) fn bind(&self, op: &'static str) -> Result<()> {
        self.alive(op)?;
        let mut current = null_mut();
        // SAFETY: CUDA is initialised, and `current` is written; the context lives as long as `self`.
        unsafe {
            self.check(op, "cuCtxGetCurrent", sys::cuCtxGetCurrent(&mut current))?;
            if current != self.context {
                self.check(op, "cuCtxSetCurrent", sys::cuCtxSetCurrent(self.context))?;
            }
        }
        Ok(())
    }

    /// The error of a call to CUDA, if it failed; the first after which the GPU is lost is kept.
    #[inline]
    pub(crate) fn check(&self, op: &'static str, call: &str, code: CUresult) -> Result<()> {
        if code == CUresult::CUDA_SUCCESS { Ok(()) } else { Err(self.failed(op, call, code)) }
    }

    #[cold]
    fn failed(&self, op: &'static str, call: &str, code: CUresult) -> Error {
        if !is_fatal(code) {
            return failure(op, call, code);
        }
        let fault = self.first_fault.get_or_init(|| format!("{call} reported {code:?} in `{op}`"));
        self.dead(op, fault)
    }

    #[cold]
    fn dead(&self, op: &'static str, fault: &str) -> Error {
        let message = format!(
            "cuda:{} is lost: {fault}, raised there or by an operation before it; the process must be \
             restarted (CUDA_LAUNCH_BLOCKING=1 makes the operation at fault report it itself)",
            self.ordinal
        );
        Error::new(ErrorKind::Device, op, message)
    }

    /// The error of an operation that waits for the GPU, which a captured one cannot.
    pub(crate) fn refuse_capture(&self, op: &'static str) -> Result<()> {
        if !capturing::capturing_any() {
            return Ok(());
        }
        let message = "cannot run inside of a captured graph, where no values exist: move it before or \
                       after the capture";
        Err(Error::new(ErrorKind::Device, op, message))
    }

    /// Waits until all work is done.
    pub(crate) fn synchronize(&self, op: &'static str) -> Result<()> {
        self.refuse_capture(op)?;
        self.bind(op)?;
        // SAFETY: the stream lives as long as `self`.
        self.check(op, "cuStreamSynchronize", unsafe { sys::cuStreamSynchronize(self.ordinary) })
    }

    /// Whether all work is done.
    pub(crate) fn is_idle(&self, op: &'static str) -> Result<bool> {
        self.bind(op)?;
        // SAFETY: the stream lives as long as `self`.
        match unsafe { sys::cuStreamQuery(self.ordinary) } {
            CUresult::CUDA_ERROR_NOT_READY => Ok(false),
            code => self.check(op, "cuStreamQuery", code).map(|()| true),
        }
    }

    /// What tells it from every other GPU, of whatever machine.
    pub(crate) fn uuid(&self, op: &'static str) -> Result<[u8; 16]> {
        let mut uuid = sys::CUuuid { bytes: [0; 16] };
        // SAFETY: the device exists, and `uuid` is written.
        let code = unsafe { sys::cuDeviceGetUuid_v2(&mut uuid, self.device) };
        self.check(op, "cuDeviceGetUuid", code)?;
        Ok(uuid.bytes.map(|b| b as u8))
    }

    /// Loads a program that [`compile`](crate::cuda::compile::compile) made.
    pub(crate) fn load(&'static self, op: &'static str, image: &[u8]) -> Result<Module> {
        if !image.starts_with(b"\x7fELF") && image.last() != Some(&0) {
            return Err(failure(op, "loading a program", CUresult::CUDA_ERROR_INVALID_IMAGE));
        }
        self.bind(op)?;
        let _permit = Permit::within_capture();
        let mut handle = null_mut();
        // SAFETY: the image is a CUBIN, which knows its size, or PTX with its final 0; `handle` is written.
        let code = unsafe { sys::cuModuleLoadData(&mut handle, image.as_ptr().cast()) };
        self.check(op, "cuModuleLoadData", code)?;
        Ok(Module { handle, gpu: self })
    }

    /// Launches a kernel. Every kernel takes one struct by value, all of whose fields are words of 8
    /// bytes: `words`. They must be all of it; a driver before CUDA 12.4 does not let that be checked.
    pub(crate) fn launch(
        &self,
        op: &'static str,
        function: Function,
        grid: [u32; 3],
        block: [u32; 3],
        shared: u32,
        words: &[u64],
    ) -> Result<()> {
        if function.parameter.is_some_and(|bytes| bytes != size_of_val(words)) {
            let message = format!(
                "a kernel takes {} bytes and was given {}; this is a bug, please report it",
                function.parameter.unwrap_or(0),
                size_of_val(words)
            );
            return Err(Error::new(ErrorKind::Device, op, message));
        }
        self.bind(op)?;
        if shared > SHARED_WITHOUT_ASKING {
            self.allow_shared(op, function)?;
        }
        let mut parameters: [*mut c_void; 1] = [words.as_ptr().cast_mut().cast()];
        // SAFETY: the function lives as long as the process; the driver copies the words, whose number
        // is the kernel's, before it returns.
        let code = unsafe {
            sys::cuLaunchKernel(
                function.handle,
                grid[0],
                grid[1],
                grid[2],
                block[0],
                block[1],
                block[2],
                shared,
                self.stream(),
                parameters.as_mut_ptr(),
                null_mut(),
            )
        };
        self.check(op, "cuLaunchKernel", code)?;
        self.count_launch();
        Ok(())
    }

    /// Allows the most there can be, and not what one launch needs: another thread may be between
    /// this and its own launch of the same kernel.
    #[cold]
    fn allow_shared(&self, op: &'static str, function: Function) -> Result<()> {
        use sys::CUfunction_attribute_enum::*;
        let own = attribute(function.handle, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES);
        let own = own.map_err(|code| self.failed(op, "cuFuncGetAttribute", code))?;
        // SAFETY: the function lives as long as the process.
        let code = unsafe {
            let most = self.shared_limit - own;
            sys::cuFuncSetAttribute(function.handle, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, most)
        };
        self.check(op, "cuFuncSetAttribute", code)
    }

    /// Sets every byte.
    pub(crate) fn fill(&self, op: &'static str, pointer: u64, bytes: usize, value: u8) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        self.bind(op)?;
        // SAFETY: the caller's block has so many bytes from the pointer on, and is freed in the
        // stream's order.
        let code = unsafe { sys::cuMemsetD8Async(pointer, value, bytes, self.stream()) };
        self.check(op, "cuMemsetD8Async", code)
    }

    /// Copies within this GPU.
    pub(crate) fn copy(&self, op: &'static str, to: u64, from: u64, bytes: usize) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        self.bind(op)?;
        // SAFETY: both of the caller's blocks have so many bytes, and are freed in the stream's order.
        let code = unsafe { sys::cuMemcpyDtoDAsync_v2(to, from, bytes, self.stream()) };
        self.check(op, "cuMemcpyDtoDAsync", code)
    }
}

impl Module {
    /// The kernel of this name.
    pub(crate) fn function(self, op: &'static str, name: &CStr) -> Result<Function> {
        let gpu = self.gpu;
        gpu.bind(op)?;
        let _permit = Permit::within_capture();
        let mut handle = null_mut();
        // SAFETY: the module is loaded, and `handle` is written.
        let code = unsafe { sys::cuModuleGetFunction(&mut handle, self.handle, name.as_ptr()) };
        gpu.check(op, &format!("cuModuleGetFunction of {}", name.to_string_lossy()), code)?;
        let (mut offset, mut bytes) = (0, 0);
        // SAFETY: the function is not called where the driver lacks it; the last two are written.
        let known = has(Library::Driver, c"cuFuncGetParamInfo")
            && unsafe { sys::cuFuncGetParamInfo(handle, 0, &mut offset, &mut bytes) }
                == CUresult::CUDA_SUCCESS;
        Ok(Function { handle, parameter: known.then_some(bytes) })
    }
}

fn attribute(function: sys::CUfunction, attribute: sys::CUfunction_attribute) -> Result<c_int, CUresult> {
    let mut value = 0;
    // SAFETY: the function lives as long as the process, and `value` is written.
    match unsafe { sys::cuFuncGetAttribute(&mut value, attribute, function) } {
        CUresult::CUDA_SUCCESS => Ok(value),
        code => Err(code),
    }
}
