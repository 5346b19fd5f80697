//! Jacobians of residuals that come in blocks, each of a few rows of the parameters: bundle adjustment, pose graphs, fits of
//! many small curves. All blocks are one tensor, so that one batched pass gives their Jacobians.

use super::SparseTensor;
use super::jacobian::spread;
use autograd::{Tensor, jvp_batched, no_grad, vjp, vjp_batched};
use tensor_core::kernels::sparse::Pattern;
use tensor_core::shape::Integer;
use tensor_core::{Array, AtCaller, Error, Float, Result, compiled_once, memory};

const OP: &str = "block_jacobian";

/// How the sparse Jacobian of a function is computed that is made of many blocks of residuals, where each block depends on
/// some rows of some matrices of parameters, and the indices of these rows are known: a camera and a point for each
/// observation, two poses for each edge.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::linalg::BlockJacobian;
/// // Springs between three points in the plane: the length of each beside its rest length.
/// let points = Tensor::from([[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]]);
/// let (from, to) = (Tensor::from([0, 1]), Tensor::from([1, 2]));
/// let plan = BlockJacobian::new(1, &[([3, 2], &from), ([3, 2], &to)])?.same_parameter(0, 1)?;
/// let lengths = |ends: &[Tensor]| (&ends[1] - &ends[0]).vector_norm(2.0, 0, true);
/// let (residuals, j) = plan.evaluate(lengths, &[&points])?;
/// assert_eq!(residuals.to_vec(), [5.0, 4.0]);
/// assert_eq!(j.to_dense()?.to_vec(), [-0.6, -0.8, 0.6, 0.8, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Clone)]
pub struct BlockJacobian {
    /// The matrix of parameters and its rows for each argument of the function.
    arguments: Vec<Argument>,
    blocks: usize,
    rows: usize,
    pattern: Option<Pattern>,
    checked: bool,
}

#[derive(Clone)]
struct Argument {
    shape: [usize; 2],
    index: Tensor<i64>,
    /// The number of the matrix among those that are given.
    parameter: usize,
}

impl BlockJacobian {
    /// Blocks of `rows` residuals. For each argument of the function: the shape `[n, width]` of its matrix of parameters,
    /// and for each block the index of the row that it depends on. The matrices are different ones unless
    /// [`same_parameter`](BlockJacobian::same_parameter) says otherwise.
    ///
    /// # Errors
    /// Argument, without arguments; shape, where the indices are not vectors of one length; index, for one that is not a
    /// row.
    #[track_caller]
    pub fn new(rows: impl Integer, arguments: &[([usize; 2], &Tensor<i64>)]) -> Result<Self> {
        let plan = || {
            let rows = rows.to_size(OP)?;
            let Some((_, first)) = arguments.first() else {
                return Err(Error::argument(OP, "no arguments: name the parameters that a block depends on"));
            };
            let blocks = first.numel();
            for (k, (shape, index)) in arguments.iter().enumerate() {
                if index.shape() != [blocks] {
                    let message = format!(
                        "the indices of argument {k} have shape {:?}: one for each of {blocks} blocks is needed",
                        index.shape()
                    );
                    return Err(Error::shape(OP, message));
                }
                if let Some(i) = index.to_vec().into_iter().find(|&i| i < 0 || i as usize >= shape[0]) {
                    let message = format!("index {i} of argument {k} is no row of shape {shape:?}");
                    return Err(Error::index(OP, message));
                }
            }
            let argument = |(parameter, &(shape, index)): (usize, &([usize; 2], &Tensor<i64>))| Argument {
                shape,
                index: index.clone(),
                parameter,
            };
            let arguments = arguments.iter().enumerate().map(argument).collect();
            let checked = cfg!(debug_assertions);
            BlockJacobian { arguments, blocks, rows, pattern: None, checked }.planned()
        };
        plan().at_caller()
    }

    /// Has argument `other` of the function taken from the same matrix of parameters as argument `first`, an earlier one:
    /// [`evaluate`](BlockJacobian::evaluate) is then given one matrix less.
    ///
    /// # Errors
    /// Argument, where `first` is not before `other`, or there is no such argument; shape, where they differ in shape.
    #[track_caller]
    pub fn same_parameter(mut self, first: impl Integer, other: impl Integer) -> Result<Self> {
        let (first, other) = (first.to_size(OP).at_caller()?, other.to_size(OP).at_caller()?);
        if first >= other || other >= self.arguments.len() {
            let message = format!(
                "argument {other} cannot be taken from argument {first}: name an earlier one of {}",
                self.arguments.len()
            );
            return Err(Error::argument(OP, message).at_caller());
        }
        let (a, b) = (self.arguments[first].shape, self.arguments[other].shape);
        if a != b {
            let message = format!("arguments {first} and {other} have parameters of shapes {a:?} and {b:?}");
            return Err(Error::shape(OP, message).at_caller());
        }
        let (old, new) = (self.arguments[other].parameter, self.arguments[first].parameter);
        for argument in &mut self.arguments {
            match argument.parameter {
                p if p == old => argument.parameter = new,
                p if p > old => argument.parameter = p - 1,
                _ => {}
            }
        }
        self.planned().at_caller()
    }

    /// The plan with its pattern: rows block by block, columns matrix by matrix.
    fn planned(mut self) -> Result<Self> {
        let parameters = self.shapes();
        let mut starts: Vec<usize> = vec![0];
        for [n, width] in &parameters {
            starts.push(starts[starts.len() - 1] + n * width);
        }
        let count = self.blocks * self.rows * self.width();
        let (mut rows, mut columns) = (memory::room(OP, count)?, memory::room(OP, count)?);
        let indices: Vec<Vec<i64>> = self.arguments.iter().map(|a| a.index.to_vec()).collect();
        for block in 0..self.blocks {
            for row in 0..self.rows {
                for (argument, index) in self.arguments.iter().zip(&indices) {
                    let [_, width] = argument.shape;
                    let first = starts[argument.parameter] as i64 + index[block] * width as i64;
                    rows.extend(std::iter::repeat_n((block * self.rows + row) as i64, width));
                    columns.extend(first..first + width as i64);
                }
            }
        }
        let [rows, columns] = [Array::from_vec(rows, &[count])?, Array::from_vec(columns, &[count])?];
        let shape = [self.blocks * self.rows, starts[parameters.len()]];
        self.pattern = Some(Pattern::from_coordinates(OP, &rows, &columns, shape)?);
        Ok(self)
    }

    /// The shapes of the matrices of parameters.
    fn shapes(&self) -> Vec<[usize; 2]> {
        let mut shapes: Vec<[usize; 2]> = Vec::new();
        for argument in &self.arguments {
            if argument.parameter == shapes.len() {
                shapes.push(argument.shape);
            }
        }
        shapes
    }

    /// Parameters that a block depends on.
    fn width(&self) -> usize {
        self.arguments.iter().map(|a| a.shape[1]).sum()
    }

    /// Whether every evaluation compares the blocks with one more backward pass, an error where a block depends on the
    /// parameters of another one. A debug build does so unless told otherwise here, a release build does not.
    #[must_use]
    pub fn checked(self, checked: bool) -> Self {
        BlockJacobian { checked, ..self }
    }

    /// The residuals of `f`, `[rows, blocks]`, and their Jacobian: a row for each residual, block by block, and a column for
    /// each parameter, matrix by matrix; a place that two arguments of a block share is named twice, and its values add up.
    /// `f` gets the parameters of all blocks for each argument, `[width, blocks]`, and computes each block by itself: blocks
    /// are the last dimension, so that what is done with one parameter of all of them is one long loop. Differentiable in turn.
    ///
    /// # Errors
    /// What `f` returns; shape, where its value or a parameter has another shape than the plan.
    #[track_caller]
    pub fn evaluate<T: Float>(
        &self,
        f: impl Fn(&[Tensor<T>]) -> Result<Tensor<T>>,
        parameters: &[&Tensor<T>],
    ) -> Result<(Tensor<T>, SparseTensor<T>)> {
        evaluated(self, &f, parameters).at_caller()
    }
}

/// Residuals of rows of each matrix of parameters.
type Residuals<'a, T> = dyn Fn(&[Tensor<T>]) -> Result<Tensor<T>> + 'a;

compiled_once! {
    fn evaluated<T: Float>(
        plan: &BlockJacobian,
        f: &Residuals<'_, T>,
        parameters: &[&Tensor<T>],
    ) -> Result<(Tensor<T>, SparseTensor<T>)> {
        let (shapes, rows, blocks, width) = (plan.shapes(), plan.rows, plan.blocks, plan.width());
        if parameters.len() != shapes.len() {
            let message = format!("{} matrices of parameters for a plan of {}", parameters.len(), shapes.len());
            return Err(Error::shape(OP, message));
        }
        if let Some(k) = (0..shapes.len()).find(|&k| parameters[k].shape() != shapes[k]) {
            let message = format!("parameters {k} have shape {:?}: {:?} is planned", parameters[k].shape(), shapes[k]);
            return Err(Error::shape(OP, message));
        }
        let device = parameters[0].device();
        let gather = |argument: &Argument| {
            parameters[argument.parameter].t()?.index_select(1, argument.index.to_device(&device)?)
        };
        let gathered = plan.arguments.iter().map(gather).collect::<Result<Vec<_>>>()?;
        let x = Tensor::cat(&gathered, 0)?;
        let by_residuals = |x: &Tensor<T>| {
            let mut start = 0;
            let part = |argument: &Argument| {
                start += argument.shape[1];
                x.narrow(0, start - argument.shape[1], argument.shape[1])
            };
            let y = f(&plan.arguments.iter().map(part).collect::<Result<Vec<_>>>()?)?;
            if y.shape() == [rows, blocks] {
                return Ok(y);
            }
            let message = format!("the value has shape {:?}: {:?} is planned", y.shape(), [rows, blocks]);
            Err(Error::shape(OP, message))
        };
        // Ones for the same residual, or parameter, of all blocks.
        let ones = |n: usize| Tensor::eye_on(&device, n)?.unsqueeze(2)?.expand([n, n, blocks]);
        let (y, jacobians) = if rows <= width {
            let (y, lines) = vjp_batched(by_residuals, &x, &ones(rows)?)?;
            (y, lines.reshape([rows, width, blocks])?)
        } else {
            let (y, columns) = jvp_batched(by_residuals, &x, &ones(width)?)?;
            (y, columns.reshape([width, rows, blocks])?.transpose(0, 1)?)
        };
        if plan.checked {
            compare(&by_residuals, &x, &jacobians)?;
        }
        let pattern = plan.pattern.clone().ok_or_else(|| Error::argument(OP, "a plan without a pattern"))?;
        Ok((y, SparseTensor::of(pattern, jacobians.permute([2, 0, 1])?.flatten())))
    }

    /// An error where the gradient for random cotangents is not what the blocks, each by itself, make of them.
    fn compare<T: Float>(
        f: &dyn Fn(&Tensor<T>) -> Result<Tensor<T>>,
        x: &Tensor<T>,
        jacobians: &Tensor<T>,
    ) -> Result<()> {
        let [rows, blocks] = [jacobians.shape()[0], jacobians.shape()[2]];
        let u = memory::collect(OP, (0..(rows * blocks) as u64).map(|i| T::of(1e3 * spread(i))))?;
        let u = Tensor::from_vec(u, [rows, blocks])?.to_device(&x.device())?;
        let (_, whole) = no_grad(|| vjp(|x: &Tensor<T>| f(x), &x.detach(), &u))?;
        let (jacobians, u) = (jacobians.detach(), u.unsqueeze(1)?);
        let by_blocks = (&jacobians * &u).sum_dim(0, false)?;
        let bound = ((jacobians * u).abs().sum_dim(0, false)? + whole.abs()) * T::EPSILON.sqrt();
        let wrong = (whole - by_blocks).abs().gt(&bound)?.nonzero().to_vec();
        match wrong.get(1) {
            None => Ok(()),
            Some(block) => {
                let message = format!(
                    "the parameters of block {block} are not its own alone: compute each block from its own rows"
                );
                Err(Error::argument(OP, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::{jacobian, value_and_grad};

    /// Two residuals of a row of `a` and a row of `b`, or more.
    fn residuals(rows: usize) -> impl Fn(&[Tensor]) -> Result<Tensor> {
        move |x| {
            let (a, b) = (&x[0], &x[1]);
            let first = a.row(0)?.sin() * b.row(1)? + b.row(0)?;
            let second = (a * a).sum_dim(0, false)? * b.row(2)?;
            Tensor::stack((0..rows).map(|k| if k % 2 == 0 { &first * (k + 1) } else { second.clone() }), 0)
        }
    }

    fn dense(rows: usize, index: [&Tensor<i64>; 2], a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let all = |x: &Tensor| {
            let (a, b) = (x.narrow(0, 0, 4)?.reshape([2, 2])?, x.narrow(0, 4, 9)?.reshape([3, 3])?);
            let gathered = [a.index_select(0, index[0])?.t()?, b.index_select(0, index[1])?.t()?];
            Ok(residuals(rows)(&gathered)?.t()?.flatten())
        };
        jacobian(all, &Tensor::cat([a.flatten(), b.flatten()], 0)?)
    }

    #[test]
    fn agrees_with_the_dense_jacobian() -> Result<()> {
        let (a, b) = (Tensor::rand([2, 2]), Tensor::rand([3, 3]));
        let index = [&Tensor::from([0, 1, 1, 0, 1]), &Tensor::from([2, 0, 1, 2, 2])];
        // Fewer residuals than parameters, and more.
        for rows in [1, 2, 8] {
            let plan = BlockJacobian::new(rows, &[([2, 2], index[0]), ([3, 3], index[1])])?.checked(true);
            let (y, j) = plan.evaluate(residuals(rows), &[&a, &b])?;
            assert_eq!(y.shape(), [rows, 5]);
            let gathered = [a.index_select(0, index[0])?.t()?, b.index_select(0, index[1])?.t()?];
            assert!(y.allclose(&residuals(rows)(&gathered)?, 1e-14, 0.0)?);
            assert!(j.to_dense()?.allclose(&dense(rows, index, &a, &b)?, 1e-13, 1e-15)?, "{rows} rows");
        }
        Ok(())
    }

    #[test]
    fn can_be_differentiated() -> Result<()> {
        let (a, b) = (Tensor::rand([2, 2]), Tensor::rand([3, 3]));
        let index = [&Tensor::from([0, 1, 1]), &Tensor::from([2, 0, 1])];
        let plan = BlockJacobian::new(2, &[([2, 2], index[0]), ([3, 3], index[1])])?;
        let sparse = |a: &Tensor| Ok(plan.evaluate(residuals(2), &[a, &b])?.1.values().square().sum());
        let (size, slope) = value_and_grad(sparse, &a)?;
        let (wanted, wanted_slope) = value_and_grad(|a| Ok(dense(2, index, a, &b)?.square().sum()), &a)?;
        assert!(size.allclose(&wanted, 1e-13, 0.0)? && slope.allclose(&wanted_slope, 1e-12, 0.0)?);
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_an_error() -> Result<()> {
        let index = Tensor::from([0, 1]);
        let plan = BlockJacobian::new(1, &[([2, 2], &index)])?.checked(true);
        let x = Tensor::rand([2, 2]);
        let mixed = plan.evaluate(|x| Ok(x[0].narrow(0, 0, 1)? * x[0].sum()), &[&x]).unwrap_err();
        assert!(mixed.to_string().contains("block 0"), "{mixed}");
        assert!(plan.evaluate(|x| Ok(x[0].clone()), &[&x]).unwrap_err().to_string().contains("[1, 2]"));
        assert!(plan.evaluate(|x| Ok(x[0].clone()), &[&Tensor::rand([3, 2])]).is_err());
        assert!(BlockJacobian::new(1, &[([1, 2], &index)]).err().unwrap().to_string().contains("index 1"));
        assert!(BlockJacobian::new(1, &[]).is_err());
        let two = BlockJacobian::new(1, &[([2, 2], &index), ([2, 3], &index)])?;
        assert!(two.clone().same_parameter(0, 1).is_err() && two.same_parameter(1, 0).is_err());
        Ok(())
    }
}
