//! cuBLAS: the few of its functions that this crate calls. Every matrix is column-major here.

use crate::element::{DType, Float};
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::allocation::Allocation;
use crate::gpu::capturing::Permit;
use crate::gpu::context::Gpu;
use crate::gpu::libraries::{Library, require};
use cudarc::cublas::sys::{self, cublasOperation_t, cublasStatus_t};
use cudarc::driver::sys::CUstream;
use std::ffi::c_int;
use std::ptr::{from_ref, null_mut};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

static ALLOW_TF32: AtomicBool = AtomicBool::new(false);

/// Whether products of `f32` matrices may round the factors to TF32, whose fractions have 10 bits of the 23: the
/// tensor cores are then several times as fast. Off at first; it holds for the whole process.
pub fn set_allow_tf32(allow: bool) {
    ALLOW_TF32.store(allow, Relaxed);
}

/// See [`set_allow_tf32`].
pub fn allow_tf32() -> bool {
    ALLOW_TF32.load(Relaxed)
}

/// What a library keeps for each GPU, one thread at a time: made at first use, it lives as long as the process.
pub(super) struct PerGpu<H: 'static>(Mutex<Vec<(usize, &'static Mutex<H>)>>);

impl<H> PerGpu<H> {
    pub(super) const fn new() -> Self {
        PerGpu(Mutex::new(Vec::new()))
    }

    pub(super) fn get(&self, gpu: &Gpu, make: impl FnOnce() -> Result<H>) -> Result<MutexGuard<'static, H>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().find(|(ordinal, _)| *ordinal == gpu.ordinal()).map(|(_, handle)| *handle);
        let handle = match found {
            Some(handle) => handle,
            None => {
                let handle: &'static Mutex<H> = Box::leak(Box::new(Mutex::new(make()?)));
                all.push((gpu.ordinal(), handle));
                handle
            }
        };
        drop(all);
        Ok(handle.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Handle {
    raw: sys::cublasHandle_t,
    /// Without one of its own, cuBLAS takes other memory on every stream, and cannot be captured.
    workspace: Allocation,
    stream: CUstream,
}

// SAFETY: a handle may be used from every thread, by one at a time, which its lock sees to.
unsafe impl Send for Handle {}

static HANDLES: PerGpu<Handle> = PerGpu::new();

/// What NVIDIA recommends for Hopper.
const WORKSPACE: usize = 32 << 20;

/// Runs a call on the stream of this thread.
fn with_handle(
    gpu: &'static Gpu,
    op: &'static str,
    call: impl FnOnce(sys::cublasHandle_t) -> (&'static str, cublasStatus_t),
) -> Result<()> {
    require(op, Library::Cublas)?;
    gpu.bind(op)?;
    let mut handle = HANDLES.get(gpu, || Handle::new(gpu, op))?;
    handle.follow(gpu, op)?;
    gpu.count_launch();
    let (name, status) = call(handle.raw);
    check(op, name, status)
}

impl Handle {
    fn new(gpu: &'static Gpu, op: &'static str) -> Result<Self> {
        let _permit = Permit::within_capture();
        let workspace = gpu.allocate(op, WORKSPACE)?;
        let mut raw = null_mut();
        // SAFETY: the GPU's context is bound, and `raw` is written.
        check(op, "cublasCreate", unsafe { sys::cublasCreate_v2(&mut raw) })?;
        Ok(Handle { raw, workspace, stream: null_mut() })
    }

    /// Makes the handle use the stream on which this thread's work goes.
    fn follow(&mut self, gpu: &Gpu, op: &'static str) -> Result<()> {
        let stream = gpu.stream();
        if stream == self.stream {
            return Ok(());
        }
        // SAFETY: the stream outlives the calls on it, and the workspace the handle; the work of all streams runs
        // in order, so that they can share it. A change of streams takes the workspace away.
        unsafe {
            check(op, "cublasSetStream", sys::cublasSetStream_v2(self.raw, stream.cast()))?;
            let place = self.workspace.pointer() as *mut _;
            check(op, "cublasSetWorkspace", sys::cublasSetWorkspace_v2(self.raw, place, WORKSPACE))?;
        }
        self.stream = stream;
        Ok(())
    }
}

fn check(op: &'static str, call: &str, status: cublasStatus_t) -> Result<()> {
    if status == cublasStatus_t::CUBLAS_STATUS_SUCCESS {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Device, op, format!("{call} failed with {status:?}")))
}

/// The function for `f32` or for `f64`, with its name for errors.
macro_rules! call {
    ($T:ty, $single:ident, $double:ident, $($argument:expr),+ $(,)?) => {
        match <$T>::DTYPE {
            DType::F32 => (stringify!($single), sys::$single($($argument),+)),
            _ => (stringify!($double), sys::$double($($argument),+)),
        }
    };
}

/// A column-major matrix on the GPU.
#[derive(Clone, Copy)]
pub(super) struct Matrix {
    /// The address of the first element.
    pub pointer: u64,
    /// The distance between columns, at least 1 and no less than there are rows.
    pub leading: usize,
    /// The distance to the next matrix of a batch; 0 repeats one that is only read.
    pub step: isize,
}

fn operation(transposed: bool) -> cublasOperation_t {
    if transposed { cublasOperation_t::CUBLAS_OP_T } else { cublasOperation_t::CUBLAS_OP_N }
}

/// C = beta C + alpha A B for a batch; each factor may be transposed.
pub(super) struct Gemm<T> {
    /// The rows of C, its columns, and the columns of A.
    pub size: [usize; 3],
    pub count: usize,
    pub alpha: T,
    pub a: Matrix,
    pub a_transposed: bool,
    pub b: Matrix,
    pub b_transposed: bool,
    pub beta: T,
    pub c: Matrix,
}

impl<T: Float> Gemm<T> {
    pub(super) fn run(&self, gpu: &'static Gpu, op: &'static str) -> Result<()> {
        use sys::{cublasComputeType_t::*, cudaDataType::*};
        let (dtype, compute) = match (T::DTYPE, allow_tf32()) {
            (DType::F32, false) => (CUDA_R_32F, CUBLAS_COMPUTE_32F),
            (DType::F32, true) => (CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32),
            _ => (CUDA_R_64F, CUBLAS_COMPUTE_64F),
        };
        let [m, n, k] = self.size.map(|d| d as i64);
        let Gemm { a, b, c, .. } = self;
        with_handle(gpu, op, |handle| {
            // SAFETY: the operands are as the caller says, and are freed in the stream's order; the numbers are
            // read before the call returns.
            let status = unsafe {
                sys::cublasGemmStridedBatchedEx_64(
                    handle,
                    operation(self.a_transposed),
                    operation(self.b_transposed),
                    m,
                    n,
                    k,
                    from_ref(&self.alpha).cast(),
                    a.pointer as *const _,
                    dtype,
                    a.leading as i64,
                    a.step as i64,
                    b.pointer as *const _,
                    dtype,
                    b.leading as i64,
                    b.step as i64,
                    from_ref(&self.beta).cast(),
                    c.pointer as *mut _,
                    dtype,
                    c.leading as i64,
                    c.step as i64,
                    self.count as i64,
                    compute,
                    sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
                )
            };
            ("cublasGemmStridedBatchedEx_64", status)
        })
    }
}

/// A vector on the GPU.
#[derive(Clone, Copy)]
pub(super) struct Vector {
    /// The address of the first element.
    pub pointer: u64,
    /// The distance between elements, at least 1.
    pub step: usize,
}

/// y = beta y + alpha A x, or alpha A^T x, for A of `size`.
pub(super) struct Gemv<T> {
    pub size: [usize; 2],
    pub alpha: T,
    pub a: Matrix,
    pub transposed: bool,
    pub x: Vector,
    pub beta: T,
    pub y: Vector,
}

impl<T: Float> Gemv<T> {
    pub(super) fn run(&self, gpu: &'static Gpu, op: &'static str) -> Result<()> {
        let [m, n] = self.size.map(|d| d as i64);
        let (alpha, beta) = (from_ref(&self.alpha), from_ref(&self.beta));
        let Gemv { a, x, y, .. } = self;
        // SAFETY: as for `Gemm`.
        with_handle(gpu, op, |handle| unsafe {
            call!(
                T,
                cublasSgemv_v2_64,
                cublasDgemv_v2_64,
                handle,
                operation(self.transposed),
                m,
                n,
                alpha.cast(),
                a.pointer as *const _,
                a.leading as i64,
                x.pointer as *const _,
                x.step as i64,
                beta.cast(),
                y.pointer as *mut _,
                y.step as i64,
            )
        })
    }
}

/// Triangular systems X op(M) = B, solved in place, for M of order `n` and B with `k` rows.
#[derive(Clone, Copy)]
pub(super) struct Triangles {
    pub upper: bool,
    pub transposed: bool,
    /// Whether the diagonal counts as ones and is not read.
    pub unit: bool,
    pub n: usize,
    pub k: usize,
}

/// The arguments that say what triangle, and from which side.
type Form = (sys::cublasSideMode_t, sys::cublasFillMode_t, cublasOperation_t, sys::cublasDiagType_t);

impl Triangles {
    /// And the rows and columns of B, with the distance of its columns. One row may as well be one column.
    fn form(self) -> (Form, i64, i64) {
        use sys::{cublasDiagType_t::*, cublasFillMode_t::*, cublasSideMode_t::*};
        let column = self.k == 1;
        let side = if column { CUBLAS_SIDE_LEFT } else { CUBLAS_SIDE_RIGHT };
        let triangle = if self.upper { CUBLAS_FILL_MODE_UPPER } else { CUBLAS_FILL_MODE_LOWER };
        let diagonal = if self.unit { CUBLAS_DIAG_UNIT } else { CUBLAS_DIAG_NON_UNIT };
        let form = (side, triangle, operation(self.transposed != column), diagonal);
        let (n, k) = (self.n as i64, self.k as i64);
        if column { (form, n, 1) } else { (form, k, n) }
    }

    /// For the matrices at these addresses.
    pub(super) fn solve<T: Float>(self, gpu: &'static Gpu, op: &'static str, m: u64, b: u64) -> Result<()> {
        let ((side, triangle, operation, diagonal), rows, columns) = self.form();
        let (one, order) = (from_ref(&T::ONE), self.n as i64);
        // SAFETY: as for `Gemm`.
        with_handle(gpu, op, |handle| unsafe {
            call!(
                T,
                cublasStrsm_v2_64,
                cublasDtrsm_v2_64,
                handle,
                side,
                triangle,
                operation,
                diagonal,
                rows,
                columns,
                one.cast(),
                m as *const _,
                order,
                b as *mut _,
                rows,
            )
        })
    }

    /// For `count` matrices each, whose addresses are at these addresses.
    pub(super) fn solve_batched<T: Float>(
        self,
        gpu: &'static Gpu,
        op: &'static str,
        count: usize,
        m: u64,
        b: u64,
    ) -> Result<()> {
        let ((side, triangle, operation, diagonal), rows, columns) = self.form();
        let (one, order) = (from_ref(&T::ONE), self.n as i64);
        // SAFETY: as for `Gemm`.
        with_handle(gpu, op, |handle| unsafe {
            call!(
                T,
                cublasStrsmBatched_64,
                cublasDtrsmBatched_64,
                handle,
                side,
                triangle,
                operation,
                diagonal,
                rows,
                columns,
                one.cast(),
                m as *const _,
                order,
                b as *const _,
                rows,
                count as i64,
            )
        })
    }
}

/// P A = L U in place for `count` matrices whose addresses are at `a`, with pivots and what went wrong as `i32`.
pub(super) fn getrf_batched<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    n: usize,
    count: usize,
    a: u64,
    pivots: u64,
    info: u64,
) -> Result<()> {
    let too_large = |_| Error::argument(op, format!("a batch of {count} is too large for cuBLAS"));
    let (n, count) = (n as c_int, c_int::try_from(count).map_err(too_large)?);
    // SAFETY: as for `Gemm`.
    with_handle(gpu, op, |handle| unsafe {
        call!(
            T, cublasSgetrfBatched, cublasDgetrfBatched, handle, n, a as *const _, n, pivots as *mut _,
            info as *mut _, count,
        )
    })
}
