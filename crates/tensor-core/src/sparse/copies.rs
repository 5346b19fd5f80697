//! What GPUs have copies of.

use crate::device::Device;
use crate::error::Result;
use std::sync::{Mutex, PoisonError};

/// What each GPU has a copy of.
pub(crate) struct Copies<V>(Mutex<Vec<(Device, V)>>);

impl<V: Clone> Copies<V> {
    pub(crate) const fn new() -> Self {
        Copies(Mutex::new(Vec::new()))
    }

    pub(crate) fn get(&self, device: Device, make: impl FnOnce() -> Result<V>) -> Result<V> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, copy)) = lock().iter().find(|(d, _)| *d == device) {
            return Ok(copy.clone());
        }
        let copy = make()?;
        lock().push((device, copy.clone()));
        Ok(copy)
    }
}
