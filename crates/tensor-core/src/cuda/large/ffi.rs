//! cuSOLVER: the few of its functions that this crate calls. Every matrix is column-major here, those of a batch
//! lie one after another, and what the routines tell of a failure stays on the GPU: an `i32` for each matrix.

use crate::cuda::blas::PerGpu;
use crate::element::{DType, Float};
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::capturing::Permit;
use crate::gpu::context::Gpu;
use crate::gpu::libraries::{Library, has, require};
use cudarc::cusolver::sys::{self, cublasFillMode_t, cudaDataType_t, cusolverEigMode_t, cusolverStatus_t};
use cudarc::driver::sys::CUstream;
use std::ffi::{c_int, c_schar, c_void};
use std::ptr::null_mut;

struct Handle {
    raw: sys::cusolverDnHandle_t,
    params: sys::cusolverDnParams_t,
    stream: CUstream,
}

// SAFETY: a handle may be used from every thread, by one at a time, which its lock sees to.
unsafe impl Send for Handle {}

static HANDLES: PerGpu<Handle> = PerGpu::new();

/// Where cuSOLVER keeps what it needs on its way, on the GPU and on the host.
struct Work {
    device: *mut c_void,
    device_bytes: usize,
    host: *mut c_void,
    host_bytes: usize,
}

/// Runs the routine `name` for each of `count` matrices, on the stream of this thread: `sizes` asks how much memory
/// one needs on the GPU and on the host, and `run` treats the matrix with a number.
fn for_each(
    gpu: &'static Gpu,
    op: &'static str,
    name: &'static str,
    count: usize,
    sizes: impl FnOnce(&Handle, &mut usize, &mut usize) -> cusolverStatus_t,
    run: impl Fn(&Handle, &Work, usize) -> cusolverStatus_t,
) -> Result<()> {
    require(op, Library::Cusolver)?;
    gpu.bind(op)?;
    let mut handle = HANDLES.get(gpu, || Handle::new(op))?;
    let stream = gpu.stream();
    if stream != handle.stream {
        // SAFETY: the stream outlives the calls on it.
        check(op, "cusolverDnSetStream", unsafe { sys::cusolverDnSetStream(handle.raw, stream.cast()) })?;
        handle.stream = stream;
    }
    let (mut device_bytes, mut host_bytes) = (0, 0);
    check(op, name, sizes(&handle, &mut device_bytes, &mut host_bytes))?;
    let device = gpu.allocate(op, device_bytes)?;
    // In words, so that any number may lie in it.
    let mut host: Vec<u64> = Vec::new();
    let words = host_bytes.div_ceil(8);
    host.try_reserve_exact(words).map_err(|_| Error::out_of_memory(op, host_bytes))?;
    host.resize(words, 0);
    let (device, host) = (device.pointer() as *mut _, host.as_mut_ptr().cast());
    let work = Work { device, device_bytes, host, host_bytes };
    for i in 0..count {
        gpu.count_launch();
        check(op, name, run(&handle, &work, i))?;
    }
    Ok(())
}

impl Handle {
    fn new(op: &'static str) -> Result<Self> {
        let _permit = Permit::within_capture();
        let (mut raw, mut params) = (null_mut(), null_mut());
        // SAFETY: the GPU's context is bound, and both are written.
        unsafe {
            check(op, "cusolverDnCreate", sys::cusolverDnCreate(&mut raw))?;
            check(op, "cusolverDnCreateParams", sys::cusolverDnCreateParams(&mut params))?;
        }
        Ok(Handle { raw, params, stream: null_mut() })
    }
}

fn check(op: &'static str, call: &str, status: cusolverStatus_t) -> Result<()> {
    if status == cusolverStatus_t::CUSOLVER_STATUS_SUCCESS {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Device, op, format!("{call} failed with {status:?}")))
}

fn data_type<T: Float>() -> cudaDataType_t {
    if T::DTYPE == DType::F32 { cudaDataType_t::CUDA_R_32F } else { cudaDataType_t::CUDA_R_64F }
}

/// The address of the `i`th of things of `size` elements.
fn place<T: Float>(first: u64, i: usize, size: usize) -> *mut c_void {
    (first + (i * size * size_of::<T>()) as u64) as *mut c_void
}

fn info_of(info: u64, i: usize) -> *mut c_int {
    (info + 4 * i as u64) as *mut c_int
}

/// A size for the functions that have no form with 64 bits.
fn int(op: &'static str, size: usize) -> Result<c_int> {
    c_int::try_from(size)
        .map_err(|_| Error::argument(op, format!("a size of {size} is too large for cuSOLVER")))
}

// SAFETY of all calls below: the operands have the sizes that are passed, as have the workspaces, which cuSOLVER
// itself was asked for; memory on the GPU is freed in the stream's order, and what lies on the host is done with
// when a call returns.

/// [`for_each`] of a routine for any type, and of the function that asks for its workspace. Both take the handle, the
/// arguments given for matrix `i`, but what is behind `run` the routine alone, and the workspace; those for many
/// matrices in one call take their number at the end.
macro_rules! for_each {
    (
        $gpu:ident, $op:ident, $routine:ident, $sizes:ident, $count:expr, $info:ident;
        $i:ident: $($x:expr),+ $(; run $only:expr; $($behind:expr),+)? $(; batch $batch:expr)?
    ) => {{
        let sizes = |h: &Handle, device: &mut usize, host: &mut usize| {
            let $i = 0;
            // SAFETY: see above.
            unsafe { sys::$sizes(h.raw, h.params, $($x,)+ $($($behind,)+)? device, host $(, $batch)?) }
        };
        let run = |h: &Handle, w: &Work, $i: usize| {
            let info = info_of($info, $i);
            let Work { device, device_bytes, host, host_bytes } = *w;
            // SAFETY: see above.
            unsafe {
                sys::$routine(
                    h.raw, h.params, $($x,)+ $($only, $($behind,)+)?
                    device, device_bytes, host, host_bytes, info $(, $batch)?
                )
            }
        };
        for_each($gpu, $op, stringify!($routine), $count, sizes, run)
    }};
}

/// Calls a function in its form for f32 or for f64.
macro_rules! of_type {
    ($T:ident: $single:ident, $double:ident; $($x:expr),+) => {
        match $T::DTYPE {
            DType::F32 => sys::$single($($x),+),
            _ => sys::$double($($x),+),
        }
    };
}

const UPPER: cublasFillMode_t = cublasFillMode_t::CUBLAS_FILL_MODE_UPPER;
const VECTORS: cusolverEigMode_t = cusolverEigMode_t::CUSOLVER_EIG_MODE_VECTOR;

/// P A = L U in place, with pivots of 8 bytes.
pub(super) fn getrf<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    [m, n]: [usize; 2],
    count: usize,
    (a, step): (u64, usize),
    pivots: u64,
    info: u64,
) -> Result<()> {
    let (t, rows, columns) = (data_type::<T>(), m as i64, n as i64);
    let pivots_of = |i: usize| (pivots + (8 * i * m.min(n)) as u64) as *mut i64;
    for_each!(gpu, op, cusolverDnXgetrf, cusolverDnXgetrf_bufferSize, count, info; i:
        rows, columns, t, place::<T>(a, i, step), rows; run pivots_of(i); t
    )
}

/// A = U^T U in place, from and in the upper triangle.
pub(super) fn potrf<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    n: usize,
    count: usize,
    a: u64,
    info: u64,
) -> Result<()> {
    let (t, order) = (data_type::<T>(), n as i64);
    for_each!(gpu, op, cusolverDnXpotrf, cusolverDnXpotrf_bufferSize, count, info; i:
        UPPER, order, t, place::<T>(a, i, n * n), order, t
    )
}

/// [`potrf`] of many small matrices, whose addresses are at `a`.
pub(super) fn potrf_batched<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    n: usize,
    count: usize,
    a: u64,
    info: u64,
) -> Result<()> {
    let (n, count, info) = (int(op, n)?, int(op, count)?, info as *mut c_int);
    let nothing = |_: &Handle, _: &mut usize, _: &mut usize| cusolverStatus_t::CUSOLVER_STATUS_SUCCESS;
    for_each(gpu, op, "cusolverDnpotrfBatched", 1, nothing, |h, _, _| {
        // SAFETY: see above.
        unsafe {
            of_type!(T: cusolverDnSpotrfBatched, cusolverDnDpotrfBatched;
                h.raw, UPPER, n, a as *mut _, n, info, count
            )
        }
    })
}

/// A = V diag(w) V^T from the upper triangle; V takes the place of A.
pub(super) fn syevd<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    n: usize,
    count: usize,
    a: u64,
    w: u64,
    info: u64,
) -> Result<()> {
    let (t, order) = (data_type::<T>(), n as i64);
    for_each!(gpu, op, cusolverDnXsyevd, cusolverDnXsyevd_bufferSize, count, info; i:
        VECTORS, UPPER, order, t, place::<T>(a, i, n * n), order, t, place::<T>(w, i, n), t
    )
}

/// [`syevd`] of many matrices in one call; false where cuSOLVER is older than CUDA 12.6 and has none.
pub(super) fn syev_batched<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    n: usize,
    count: usize,
    a: u64,
    w: u64,
    info: u64,
) -> Result<bool> {
    require(op, Library::Cusolver)?;
    if !has(Library::Cusolver, c"cusolverDnXsyevBatched") {
        return Ok(false);
    }
    let (t, order) = (data_type::<T>(), n as i64);
    let done = for_each!(gpu, op, cusolverDnXsyevBatched, cusolverDnXsyevBatched_bufferSize, 1, info; i:
        VECTORS, UPPER, order, t, place::<T>(a, i, n * n), order, t, place::<T>(w, i, n), t; batch count as i64
    );
    done.map(|()| true)
}

/// The thin A = U diag(s) V^T of m x n matrices, m >= n; A is lost.
pub(super) fn gesvd<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    [m, n]: [usize; 2],
    count: usize,
    a: u64,
    [u, s, vt]: [u64; 3],
    info: u64,
) -> Result<()> {
    let (t, rows, columns) = (data_type::<T>(), m as i64, n as i64);
    let thin = b'S' as c_schar;
    for_each!(gpu, op, cusolverDnXgesvd, cusolverDnXgesvd_bufferSize, count, info; i:
        thin, thin, rows, columns, t, place::<T>(a, i, m * n), rows, t, place::<T>(s, i, n),
        t, place::<T>(u, i, m * n), rows, t, place::<T>(vt, i, n * n), columns, t
    )
}

/// A = Q R of m x n matrices that lie `step` elements apart: R, the reflectors below it, and their factors `tau`.
pub(super) fn geqrf<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    [m, n]: [usize; 2],
    count: usize,
    (a, step): (u64, usize),
    tau: u64,
    info: u64,
) -> Result<()> {
    let (t, rows, columns) = (data_type::<T>(), m as i64, n as i64);
    for_each!(gpu, op, cusolverDnXgeqrf, cusolverDnXgeqrf_bufferSize, count, info; i:
        rows, columns, t, place::<T>(a, i, step), rows, t, place::<T>(tau, i, m.min(n)), t
    )
}

/// The first `k` columns of Q from `reflectors` of them, which these take the place of.
pub(super) fn orgqr<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    [m, k, reflectors]: [usize; 3],
    count: usize,
    (a, step): (u64, usize),
    tau: u64,
    info: u64,
) -> Result<()> {
    let (rows, columns, used) = (int(op, m)?, int(op, k)?, int(op, reflectors)?);
    let sizes = |h: &Handle, device: &mut usize, _: &mut usize| {
        let (a, tau, mut elements) = (a as *const c_void, tau as *const c_void, 0);
        // SAFETY: see above.
        let status = unsafe {
            of_type!(T: cusolverDnSorgqr_bufferSize, cusolverDnDorgqr_bufferSize;
                h.raw, rows, columns, used, a.cast(), rows, tau.cast(), &mut elements
            )
        };
        *device = elements.max(0) as usize * size_of::<T>();
        status
    };
    for_each(gpu, op, "cusolverDnorgqr", count, sizes, |h, w, i| {
        let (a, tau, info) = (place::<T>(a, i, step), place::<T>(tau, i, reflectors), info_of(info, i));
        let elements = (w.device_bytes / size_of::<T>()) as c_int;
        // SAFETY: see above.
        unsafe {
            of_type!(T: cusolverDnSorgqr, cusolverDnDorgqr;
                h.raw, rows, columns, used, a.cast(), rows, tau.cast(), w.device.cast(), elements, info
            )
        }
    })
}
