//! Files of kernels, the types that each is compiled for, and the functions that were made of them so far.
//!
//! The kernels of [`map`](super::map) are written from formulas as they are met, and are no files.

use crate::element::DType;
use crate::error::Result;
use crate::gpu::context::{Function, Gpu};
use std::collections::HashMap;
use std::ffi::CStr;
use std::hash::Hash;
use std::sync::{OnceLock, PoisonError, RwLock};

/// What every source begins with.
pub(crate) const PRELUDE: &str = include_str!("kernels/prelude.cu");

/// A file of kernels, compiled for each of its variants.
pub(crate) struct Family {
    pub text: &'static str,
    /// The kernels in the file.
    pub kernels: &'static [&'static CStr],
    pub variants: &'static [Variant],
}

/// What a file is compiled for: its type `T`, and its `OPERATION`, where it has one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Variant {
    pub dtype: DType,
    pub operation: &'static str,
}

impl Variant {
    pub const fn of(dtype: DType) -> Self {
        Variant { dtype, operation: "" }
    }

    pub const fn with(dtype: DType, operation: &'static str) -> Self {
        Variant { dtype, operation }
    }
}

/// The name of a type in CUDA C++.
pub(crate) fn type_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "float",
        DType::F64 => "double",
        DType::I64 => "i64",
        DType::Bool => "bool",
    }
}

impl Family {
    /// The complete source of a variant.
    fn source(&self, variant: Variant) -> String {
        let operation = match variant.operation {
            "" => String::new(),
            name => format!("#define OPERATION {name}\n"),
        };
        format!("{PRELUDE}\ntypedef {} T;\n{operation}{}", type_name(variant.dtype), self.text)
    }

    /// The function of a kernel of this file, compiled on first use.
    ///
    /// # Errors
    /// Device, where the kernel cannot be compiled or loaded.
    pub fn function(
        &'static self,
        op: &'static str,
        gpu: &'static Gpu,
        variant: Variant,
        kernel: &'static CStr,
    ) -> Result<Function> {
        debug_assert!(
            self.variants.contains(&variant) && self.kernels.contains(&kernel),
            "{kernel:?} {variant:?}"
        );
        static FUNCTIONS: Functions<(usize, usize, Variant, &'static CStr)> = Functions::new();
        // A family is a static: its address is its identity.
        let key = (gpu.ordinal(), std::ptr::from_ref(self) as usize, variant, kernel);
        FUNCTIONS.get(&key, || gpu.module(op, &self.source(variant))?.function(op, kernel))
    }
}

/// Functions by what they were made for.
pub(crate) struct Functions<K>(OnceLock<RwLock<HashMap<K, Function>>>);

impl<K: Hash + Eq + Clone> Functions<K> {
    pub const fn new() -> Self {
        Functions(OnceLock::new())
    }

    /// The function of `key`, made on first use.
    pub fn get(&self, key: &K, make: impl FnOnce() -> Result<Function>) -> Result<Function> {
        let map = self.0.get_or_init(RwLock::default);
        if let Some(&function) = map.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return Ok(function);
        }
        // Two threads may make it at once: both are the same, and one stays.
        let function = make()?;
        Ok(*map.write().unwrap_or_else(PoisonError::into_inner).entry(key.clone()).or_insert(function))
    }
}
