//! Where the elements of its argument enter a function: what its first operations, which only copy, make of them.
//!
//! A function of data chooses first: slices, gathers, broadcasts. With respect to what it chose, each copy for itself, the
//! Jacobian has fewer rows in common with each column than with respect to the argument, and each of its columns belongs to an
//! element of that. So fewer cotangents show all of it: residuals that each know one camera of few have as many as a residual
//! has values, and not as many as a camera has residuals.

use crate::create::arange_on;
use crate::forward::Forward;
use crate::linearize::{Linearized, Recording};
use crate::params::Params;
use crate::tensor::Tensor;
use std::sync::{Arc, OnceLock};
use tensor_core::{Array, Float, Result, compiled_once};

/// A linearised function with respect to the tensors through which the elements of its argument enter.
#[doc(hidden)]
pub struct Entries<T: Float, Q> {
    pub function: Linearized<T, Vec<Tensor<T>>, Q>,
    /// For each element of each of these tensors the number of the element of the argument that it is, counted from one; 0 where
    /// it is a zero between them.
    pub numbers: Vec<Array<i64>>,
}

impl Forward {
    /// The steps that operations other than copies read, or that are results, as far as they are copies of the first
    /// variable, and the number of the element behind each of theirs.
    fn entries(&self, numbers: &Array<i64>) -> Vec<(usize, Array<i64>)> {
        let mut copies: Vec<Option<Array<i64>>> = Vec::with_capacity(self.steps.len());
        let mut read = vec![false; self.steps.len()];
        for step in &self.steps {
            let copy = match (&step.node, &step.inputs[..]) {
                (Err(_), _) => Some(numbers.clone()),
                (Ok(node), &[Some(of)]) => copies[of].as_ref().and_then(|of| node.rule.copied(of)?.ok()),
                _ => None,
            };
            if copy.is_none() {
                step.inputs.iter().flatten().for_each(|&of| read[of] = true);
            }
            copies.push(copy);
        }
        self.results.iter().flatten().for_each(|&of| read[of] = true);
        let entries = copies.into_iter().enumerate().zip(read).filter(|(_, read)| *read);
        entries.filter_map(|((place, copy), _)| Some((place, copy?))).collect()
    }
}

compiled_once! {
    /// The tensors through which elements of the only variable enter, and the numbers of these elements.
    fn entered<T: Float>(recording: &Recording<T>) -> Result<Vec<(Tensor<T>, Array<i64>)>> {
        let (forward, variable) = (recording.forward()?, &recording.variables[0]);
        let numbers = arange_on(&variable.device(), 1, variable.numel() as i64 + 1, 1)?.reshape(variable.shape())?;
        let tensor = |(place, numbers): (usize, Array<i64>)| {
            let edge = forward.steps[place].edge.as_ref().or(variable.edge()).cloned();
            // Products read where it is in the graph, not its value.
            let value = Array::repeat_on(variable.device(), numbers.shape(), T::ZERO)?;
            Ok((Tensor::from_parts(value, edge), numbers))
        };
        forward.entries(numbers.array()).into_iter().map(tensor).collect()
    }
}

impl<T: Float, Q: Params<T>> Linearized<T, Tensor<T>, Q> {
    /// The same function of the tensors through which the elements of its argument enter.
    ///
    /// # Errors
    /// Out of memory.
    #[doc(hidden)]
    pub fn entries(&self) -> Result<Entries<T, Q>> {
        let (variables, numbers): (Vec<_>, _) = entered(&self.recording)?.into_iter().unzip();
        let x = Arc::new(variables.iter().map(Tensor::detach).collect());
        let Recording { ys, nested, .. } = &*self.recording;
        let recording = Recording {
            variables,
            ys: ys.clone(),
            nested: *nested,
            symmetric: false,
            forward: OnceLock::new(),
        };
        let function = Linearized { recording: Arc::new(recording), x, value: self.value.clone() };
        Ok(Entries { function, numbers })
    }
}
