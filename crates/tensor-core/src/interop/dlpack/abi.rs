//! The structures of DLPack 1, as its header `dlpack.h` lays them out in memory.

use crate::element::DType;
use std::ffi::c_void;
use std::fmt;

/// The version of the protocol a tensor was made for.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DLPackVersion {
    /// Another major version has another layout, of which only the deleter may be used.
    pub major: u32,
    /// A larger minor version has more codes.
    pub minor: u32,
}

/// Where the elements are.
///
/// ```
/// use tapegrad::cuda;
/// use tapegrad::dlpack::{CUDA, DLDevice};
/// assert_eq!(DLDevice { device_type: CUDA, device_id: 1 }.to_string(), "cuda:1");
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DLDevice {
    /// The kind of device: [`CPU`], [`CUDA`], [`CUDA_HOST`] or another.
    pub device_type: i32,
    /// Which one of its kind.
    pub device_id: i32,
}

/// The host's memory.
pub const CPU: i32 = 1;
/// Memory of an NVIDIA GPU.
pub const CUDA: i32 = 2;
/// Memory of the host that CUDA has pinned.
pub const CUDA_HOST: i32 = 3;

impl fmt::Display for DLDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.device_type {
            CPU | CUDA_HOST => f.write_str("cpu"),
            CUDA => write!(f, "cuda:{}", self.device_id),
            other => write!(f, "number {} of DLPack's device type {other}", self.device_id),
        }
    }
}

/// The type of the elements.
///
/// ```
/// use tapegrad::DType;
/// use tapegrad::dlpack::DLDataType;
/// assert_eq!(DLDataType::from(DType::F64), DLDataType { code: 2, bits: 64, lanes: 1 });
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DLDataType {
    /// 0 for signed integers, 1 for unsigned ones, 2 for floats, 6 for truth values, and others.
    pub code: u8,
    /// Bits of one lane.
    pub bits: u8,
    /// Lanes of one element; 1 for all types but vectors.
    pub lanes: u16,
}

impl DLDataType {
    /// The type that tapegrad has for it, if any.
    ///
    /// ```
    /// use tapegrad::{DType, dlpack::DLDataType};
    /// assert_eq!(DLDataType { code: 2, bits: 32, lanes: 1 }.element(), Some(DType::F32));
    /// assert_eq!(DLDataType { code: 0, bits: 32, lanes: 1 }.element(), None);
    /// ```
    pub fn element(self) -> Option<DType> {
        [DType::F32, DType::F64, DType::I64, DType::Bool].into_iter().find(|&t| DLDataType::from(t) == self)
    }
}

impl From<DType> for DLDataType {
    fn from(dtype: DType) -> Self {
        let (code, bits) = match dtype {
            DType::F32 => (2, 32),
            DType::F64 => (2, 64),
            DType::I64 => (0, 64),
            DType::Bool => (6, 8),
        };
        DLDataType { code, bits, lanes: 1 }
    }
}

impl fmt::Display for DLDataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            0 => write!(f, "int{}", self.bits)?,
            1 => write!(f, "uint{}", self.bits)?,
            2 => write!(f, "float{}", self.bits)?,
            4 => write!(f, "bfloat{}", self.bits)?,
            5 => write!(f, "complex{}", self.bits)?,
            6 => f.write_str("bool")?,
            code => write!(f, "DLPack's type {code} of {} bits", self.bits)?,
        }
        if self.lanes == 1 { Ok(()) } else { write!(f, " in {} lanes", self.lanes) }
    }
}

/// A strided tensor in memory that it does not own.
#[repr(C)]
#[derive(Debug)]
pub struct DLTensor {
    /// The memory; null where there are no elements.
    pub data: *mut c_void,
    /// Where the memory is.
    pub device: DLDevice,
    /// The number of dimensions.
    pub ndim: i32,
    /// The type of the elements.
    pub dtype: DLDataType,
    /// The sizes of the dimensions, `ndim` of them.
    pub shape: *mut i64,
    /// Steps between neighbours along each dimension, in elements, `ndim` of them; null for row-major, before
    /// version 1.2.
    pub strides: *mut i64,
    /// Where the first element lies after `data`, in bytes.
    pub byte_offset: u64,
}

/// A tensor and what keeps its memory, as exchanged before version 1: a capsule named `dltensor`.
#[repr(C)]
#[derive(Debug)]
pub struct DLManagedTensor {
    /// The tensor.
    pub dl_tensor: DLTensor,
    /// The owner's own.
    pub manager_ctx: *mut c_void,
    /// Gives the tensor back to its owner; to be called once.
    pub deleter: Option<unsafe extern "C" fn(*mut DLManagedTensor)>,
}

/// A tensor and what keeps its memory, as exchanged since version 1: a capsule named `dltensor_versioned`.
#[repr(C)]
#[derive(Debug)]
pub struct DLManagedTensorVersioned {
    /// The version of the protocol.
    pub version: DLPackVersion,
    /// The owner's own.
    pub manager_ctx: *mut c_void,
    /// Gives the tensor back to its owner; to be called once.
    pub deleter: Option<unsafe extern "C" fn(*mut DLManagedTensorVersioned)>,
    /// [`READ_ONLY`], and others.
    pub flags: u64,
    /// The tensor.
    pub dl_tensor: DLTensor,
}

/// The flag of memory that must not be written.
pub const READ_ONLY: u64 = 1;
/// The version that tapegrad speaks.
pub const VERSION: DLPackVersion = DLPackVersion { major: 1, minor: 1 };

const _: () = {
    // What a C compiler gives for 64-bit machines, on which Python's extensions run.
    if size_of::<usize>() == 8 {
        assert!(size_of::<DLTensor>() == 48 && size_of::<DLManagedTensor>() == 64);
        assert!(size_of::<DLManagedTensorVersioned>() == 80);
    }
};
