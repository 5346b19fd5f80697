//! cuFFT: the few of its functions that this crate calls, and the plans that it made so far.

use super::blas::PerGpu;
use crate::element::{DType, Float};
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::capturing::Permit;
use crate::gpu::context::Gpu;
use crate::gpu::libraries::{Library, require};
use cudarc::cufft::sys::{self, cufftHandle, cufftResult, cufftType};
use std::ffi::{c_int, c_longlong};
use std::ptr::null_mut;

/// Plans that are kept for each GPU; beyond them all are made anew.
const MOST_PLANS: usize = 64;

/// What goes in and comes out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Complex numbers both, the sign of the exponent being plus where `inverse`.
    Complex { inverse: bool },
    /// Real numbers in, the first n / 2 + 1 complex ones out.
    FromReal,
    /// The way back; what goes in is lost.
    ToReal,
}

/// The transforms of `count` lines of `n` numbers, one behind another.
#[derive(Clone, Copy)]
pub(super) struct Transform {
    pub kind: Kind,
    pub n: usize,
    pub count: usize,
}

/// A plan for one type, length and number of lines; where it is to work is told at each call.
struct Plan {
    key: (cufftType, usize, usize),
    raw: cufftHandle,
    work: usize,
    /// A captured graph may hold what belongs to the plan: it then stays as long as the process.
    captured: bool,
}

static PLANS: PerGpu<Vec<Plan>> = PerGpu::new();

impl Transform {
    /// From the numbers at one address to another; complex numbers may stay where they are.
    pub(super) fn run<T: Float>(self, gpu: &'static Gpu, op: &'static str, from: u64, to: u64) -> Result<()> {
        require(op, Library::Cufft)?;
        gpu.bind(op)?;
        let mut plans = PLANS.get(gpu, || Ok(Vec::new()))?;
        let key = (self.form(T::DTYPE), self.n, self.count);
        let place = match plans.iter().position(|plan| plan.key == key) {
            Some(place) => place,
            None => {
                make_room(&mut plans, gpu, op)?;
                plans.push(Plan::new(op, key)?);
                plans.len() - 1
            }
        };
        let plan = &mut plans[place];
        plan.captured |= gpu.is_capturing();
        let work = gpu.allocate(op, plan.work)?;
        gpu.count_launch();
        // SAFETY: the memory has the sizes of the plan, and is freed in the stream's order, as is that in which the plan works;
        // the stream outlives the call, and the lock of the plans is held.
        unsafe {
            check(op, "cufftSetStream", sys::cufftSetStream(plan.raw, gpu.stream().cast()))?;
            check(op, "cufftSetWorkArea", sys::cufftSetWorkArea(plan.raw, work.pointer() as *mut _))?;
            let (call, status) = self.execute(T::DTYPE, plan.raw, from, to);
            check(op, call, status)
        }
    }

    fn form(self, dtype: DType) -> cufftType {
        use cufftType::*;
        match (self.kind, dtype) {
            (Kind::Complex { .. }, DType::F32) => CUFFT_C2C,
            (Kind::Complex { .. }, _) => CUFFT_Z2Z,
            (Kind::FromReal, DType::F32) => CUFFT_R2C,
            (Kind::FromReal, _) => CUFFT_D2Z,
            (Kind::ToReal, DType::F32) => CUFFT_C2R,
            (Kind::ToReal, _) => CUFFT_Z2D,
        }
    }

    /// # Safety
    /// The addresses hold what the plan is for.
    unsafe fn execute(
        self,
        dtype: DType,
        plan: cufftHandle,
        from: u64,
        to: u64,
    ) -> (&'static str, cufftResult) {
        macro_rules! call {
            ($name:ident $(, $direction:expr)?) => {
                // SAFETY: the caller's.
                (stringify!($name), unsafe { sys::$name(plan, from as *mut _, to as *mut _ $(, $direction)?) })
            };
        }
        match (self.kind, dtype) {
            (Kind::Complex { inverse }, DType::F32) => call!(cufftExecC2C, direction(inverse)),
            (Kind::Complex { inverse }, _) => call!(cufftExecZ2Z, direction(inverse)),
            (Kind::FromReal, DType::F32) => call!(cufftExecR2C),
            (Kind::FromReal, _) => call!(cufftExecD2Z),
            (Kind::ToReal, DType::F32) => call!(cufftExecC2R),
            (Kind::ToReal, _) => call!(cufftExecZ2D),
        }
    }
}

/// The sign of the exponent.
fn direction(inverse: bool) -> c_int {
    if inverse { 1 } else { -1 }
}

/// Forgets the plans that may be forgotten, where there are many.
fn make_room(plans: &mut Vec<Plan>, gpu: &'static Gpu, op: &'static str) -> Result<()> {
    // While a graph is captured nothing can be waited for: then there are more for a time.
    if gpu.is_capturing() || plans.iter().filter(|plan| !plan.captured).count() < MOST_PLANS {
        return Ok(());
    }
    // What the plans have begun ends first.
    gpu.synchronize(op)?;
    plans.retain(|plan| plan.captured);
    Ok(())
}

impl Plan {
    fn new(op: &'static str, key: (cufftType, usize, usize)) -> Result<Self> {
        let _permit = Permit::within_capture();
        let mut raw = 0;
        // SAFETY: the GPU's context is bound, and `raw` is written.
        check(op, "cufftCreate", unsafe { sys::cufftCreate(&mut raw) })?;
        // From here on it is destroyed where it cannot be made.
        let mut plan = Plan { key, raw, work: 0, captured: false };
        let (form, n, count) = key;
        let (mut n, count) = (n as c_longlong, count as c_longlong);
        // SAFETY: the plan exists; the length is read, the bytes of work are written, and no embedding means lines one behind another.
        unsafe {
            check(op, "cufftSetAutoAllocation", sys::cufftSetAutoAllocation(raw, 0))?;
            let (none, work) = (null_mut(), &mut plan.work);
            let status = sys::cufftMakePlanMany64(raw, 1, &mut n, none, 1, 0, none, 1, 0, form, count, work);
            check(op, "cufftMakePlanMany64", status)?;
        }
        Ok(plan)
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: the plan exists, and what it began is done; an error could not be told to anyone.
        _ = unsafe { sys::cufftDestroy(self.raw) };
    }
}

fn check(op: &'static str, call: &str, status: cufftResult) -> Result<()> {
    match status {
        cufftResult::CUFFT_SUCCESS => Ok(()),
        _ => Err(Error::new(ErrorKind::Device, op, format!("{call} failed with {status:?}"))),
    }
}
