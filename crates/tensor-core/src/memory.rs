//! What the CPU buffers take, what the cache holds, and how a caller survives running out.

pub use crate::heap::buffer::trim;
pub use crate::heap::count::{Copies, Stats, reset_peak, stats};
pub use crate::heap::vectors::{ask, collect, grow, room, vector};
pub use crate::heap::work::try_run;

use crate::device::Device;
use crate::error::Result;
#[cfg(feature = "cuda")]
use crate::gpu::context::Gpu;

/// As [`stats`], for any device.
///
/// ```
/// use tapegrad::{Device, memory};
/// assert!(memory::stats_on(&Device::Cpu).is_ok());
/// ```
///
/// # Errors
/// Device, where it cannot be used.
pub fn stats_on(device: &Device) -> Result<Stats> {
    match *device {
        Device::Cpu => Ok(stats()),
        #[cfg(feature = "cuda")]
        Device::Cuda(ordinal) => Ok(Gpu::get("memory::stats_on", ordinal)?.stats()),
        #[cfg(not(feature = "cuda"))]
        gpu => gpu.usable("memory::stats_on").map(|_| Stats::default()),
    }
}

/// As [`trim`], for any device.
///
/// ```
/// use tapegrad::{Device, memory};
/// assert!(memory::trim_on(&Device::Cpu).is_ok());
/// ```
///
/// # Errors
/// Device, where it cannot be used.
pub fn trim_on(device: &Device) -> Result<()> {
    match *device {
        Device::Cpu => trim(),
        #[cfg(feature = "cuda")]
        Device::Cuda(ordinal) => Gpu::get("memory::trim_on", ordinal)?.trim("memory::trim_on")?,
        #[cfg(not(feature = "cuda"))]
        gpu => drop(gpu.usable("memory::trim_on")?),
    }
    Ok(())
}

/// As [`reset_peak`], for any device.
///
/// ```
/// use tapegrad::{Device, memory};
/// assert!(memory::reset_peak_on(&Device::Cpu).is_ok());
/// ```
///
/// # Errors
/// Device, where it cannot be used.
pub fn reset_peak_on(device: &Device) -> Result<()> {
    match *device {
        Device::Cpu => reset_peak(),
        #[cfg(feature = "cuda")]
        Device::Cuda(ordinal) => Gpu::get("memory::reset_peak_on", ordinal)?.reset_peak(),
        #[cfg(not(feature = "cuda"))]
        gpu => drop(gpu.usable("memory::reset_peak_on")?),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::heap::{count, work};
    use crate::{Array, OrRaise};
    use faer::dyn_stack::StackReq;
    use std::hint::black_box;
    use std::panic::{catch_unwind, resume_unwind};

    #[test]
    fn running_out_is_an_error_of_try_run_and_other_panics_go_on() {
        let huge = || Err::<Result<()>, _>(Error::out_of_memory("exp", 1 << 60)).or_raise();
        let e = try_run(huge).unwrap_err();
        assert_eq!((e.op(), e.kind()), ("exp", ErrorKind::OutOfMemory { bytes: 1 << 60 }));
        let other = || try_run(|| -> Result<()> { panic!("mine") });
        assert!(catch_unwind(other).is_err());
    }

    #[test]
    fn a_failure_that_was_caught_is_not_that_of_a_later_panic() {
        let lacking = || Err::<(), _>(Error::out_of_memory("exp", 1 << 60)).or_raise();
        let later = |panic: fn() -> Result<()>| {
            let run = || {
                assert!(catch_unwind(lacking).is_err());
                panic()
            };
            catch_unwind(|| try_run(run)).unwrap_err()
        };
        assert_eq!(later(|| panic!("mine")).downcast_ref(), Some(&"mine"));
        let numbered = later(|| panic!("mine: {}", black_box(1)));
        assert_eq!(numbered.downcast_ref(), Some(&"mine: 1".to_string()));
        // What was caught and raised again is the failure still.
        let again = || -> Result<()> { resume_unwind(catch_unwind(lacking).unwrap_err()) };
        assert_eq!(try_run(again).unwrap_err().op(), "exp");
    }

    #[test]
    fn kernels_end_with_an_error_on_any_thread_and_say_nothing() {
        let huge = || work::kernel("mm", || Ok(work::vector(usize::MAX / 16, 1.0f64).len()));
        assert!(matches!(huge().unwrap_err().kind(), ErrorKind::OutOfMemory { .. }));
        let far = work::kernel("mm", || Ok(rayon::join(|| 1, || work::collect(0..usize::MAX / 16).len()).1));
        assert_eq!(far.unwrap_err().op(), "mm");
        let outside = try_run(|| Ok(work::stack(StackReq::new::<f64>(1 << 56)).len()));
        assert!(matches!(outside.unwrap_err().kind(), ErrorKind::OutOfMemory { .. }));
        assert!(catch_unwind(|| work::kernel("mm", || -> Result<()> { panic!("mine") })).is_err());
    }

    #[test]
    fn what_the_machine_does_not_have_is_refused() {
        assert!(count::could_have(1 << 20) && !count::could_have(1 << 60));
        assert!(ask::<f64>("example", &[1 << 40]).is_err() && ask::<f64>("example", &[1 << 10]).is_ok());
        assert!(ask::<[f64; 100]>("example", &[1 << 58]).is_err());
        let mut v = room::<u8>("example", 3).unwrap();
        v.extend([1, 2, 3]);
        grow("example", &mut v, 1).unwrap();
        assert!(grow("example", &mut v, usize::MAX).is_err() && v == [1, 2, 3]);
    }

    #[test]
    fn a_size_nobody_has_is_an_error() {
        let e = Array::<f64>::zeros(&[1 << 50]).unwrap_err();
        assert!(matches!(e.kind(), ErrorKind::OutOfMemory { .. }), "{e}");
    }
}
