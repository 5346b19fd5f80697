//! What an optimizer keeps between steps, in safetensors files.

use autograd::{AnyTensor, Tensor, load_safetensors, safetensors_metadata, save_safetensors_with};
use std::path::Path;
use tensor_core::{Error, Float, Result, compiled_once};

/// Tensors by name, one for each parameter: None before its first step.
pub(super) type Buffers<'a, T> = [(&'static str, &'a mut Vec<Option<Tensor<T>>>)];

compiled_once! {
    /// Writes the buffers, and numbers beside them.
    pub(super) fn save<T: Float>(
        path: &Path,
        kind: &'static str,
        buffers: &Buffers<'_, T>,
        steps: &[u64],
        lr: f64,
    ) -> Result<()> {
        let mut all: Vec<(String, AnyTensor)> = Vec::new();
        for (name, tensors) in buffers {
            for (k, x) in tensors.iter().enumerate() {
                if let Some(x) = x {
                    all.push((format!("{k}.{name}"), AnyTensor::from(x.cpu())));
                }
            }
        }
        let steps: Vec<String> = steps.iter().map(u64::to_string).collect();
        let metadata = [("optimizer", kind.to_string()), ("steps", steps.join(" ")), ("lr", lr.to_string())];
        save_safetensors_with(path, all, metadata)
    }
}

compiled_once! {
    /// Reads what [`save`] wrote: the steps of each parameter, and the learning rate.
    pub(super) fn load<T: Float>(
        path: &Path,
        kind: &'static str,
        buffers: &mut Buffers<'_, T>,
    ) -> Result<(Vec<u64>, f64)> {
        let metadata = safetensors_metadata(path)?;
        let of = |key: &str| {
            let missing = || Error::file("load", path, format!("no {key} beside the tensors: the state of {kind} is needed"));
            metadata.get(key).ok_or_else(missing)
        };
        let found = of("optimizer")?;
        if found != kind {
            return Err(Error::file("load", path, format!("the state of {found}, not of {kind}")));
        }
        let damaged = |what: &str| Error::file("load", path, format!("{what} are not numbers"));
        let steps: Vec<u64> = of("steps")?
            .split_whitespace()
            .map(|step| step.parse().map_err(|_| damaged("steps")))
            .collect::<Result<_>>()?;
        let lr: f64 = of("lr")?.parse().map_err(|_| damaged("learning rates"))?;
        let tensors = load_safetensors(path)?;
        for (name, buffer) in buffers.iter_mut() {
            buffer.clear();
            for k in 0..steps.len() {
                let x = tensors.get(&format!("{k}.{name}"));
                buffer.push(x.map(|x| x.to::<T>()).transpose()?);
            }
        }
        Ok((steps, lr))
    }
}
