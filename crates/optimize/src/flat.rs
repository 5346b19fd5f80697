//! Parameters of any structure as one vector of numbers on the host, which solvers work on, and back.

use autograd::Tensor;
use tensor_core::{Device, Error, Result};

/// Elements of one batch of vectors, whose products are formed together.
const BATCH: usize = 1 << 14;

/// The shapes and the device of a structure's tensors.
#[derive(Clone, Debug)]
pub(crate) struct Flat {
    shapes: Vec<Vec<usize>>,
    device: Device,
}

impl Flat {
    /// Of the tensors that `op` was given.
    pub(crate) fn of(op: &'static str, tensors: &[Tensor]) -> Result<Self> {
        let device = tensors.first().map_or(Device::Cpu, Tensor::device);
        if let Some(other) = tensors.iter().find(|x| x.device() != device) {
            let message = format!("parameters on {device} and on {}: move all to one device", other.device());
            return Err(Error::new(tensor_core::ErrorKind::Device, op, message));
        }
        Ok(Flat { shapes: tensors.iter().map(|x| x.shape().to_vec()).collect(), device })
    }

    /// Elements of all tensors.
    pub(crate) fn numel(&self) -> usize {
        self.shapes.iter().map(|shape| shape.iter().product::<usize>()).sum()
    }

    /// Constants of these shapes around the elements of `x`, tensor by tensor, each in row-major order.
    pub(crate) fn tensors(&self, x: &[f64]) -> Result<Vec<Tensor>> {
        let mut rest = x;
        let mut tensors = Vec::with_capacity(self.shapes.len());
        for shape in &self.shapes {
            let (part, after) = rest.split_at(shape.iter().product());
            let tensor = Tensor::from_slice(part, shape)?;
            tensors.push(if self.device == Device::Cpu { tensor } else { tensor.to_device(&self.device)? });
            rest = after;
        }
        Ok(tensors)
    }

    /// A matrix, row by row, by its products with many vectors: those of the identity, which a first dimension counts.
    pub(crate) fn matrix(&self, products: impl Fn(&Vec<Tensor>) -> Result<Vec<Tensor>>) -> Result<Vec<f64>> {
        let n = self.numel();
        let at_once = (BATCH / n.max(1)).clamp(1, n.max(1));
        let mut all = Vec::with_capacity(n * n);
        for start in (0..n).step_by(at_once) {
            let many = at_once.min(n - start);
            let mut directions = Vec::with_capacity(self.shapes.len());
            let mut before = 0;
            for shape in &self.shapes {
                let count: usize = shape.iter().product();
                let mut rows = vec![0.0; many * count];
                for i in start.max(before)..(start + many).min(before + count) {
                    rows[(i - start) * count + i - before] = 1.0;
                }
                let shape: Vec<usize> = std::iter::once(many).chain(shape.iter().copied()).collect();
                directions.push(Tensor::from_vec(rows, shape)?.to_device(&self.device)?);
                before += count;
            }
            let found: Vec<Vec<f64>> = products(&directions)?.iter().map(Tensor::to_vec).collect();
            for row in 0..many {
                for block in &found {
                    let count = block.len() / many;
                    all.extend_from_slice(&block[row * count..(row + 1) * count]);
                }
            }
        }
        Ok(all)
    }

    /// Which element of which tensor is element `i` of the vector, in words.
    pub(crate) fn place(&self, mut i: usize) -> String {
        for (k, shape) in self.shapes.iter().enumerate() {
            let count: usize = shape.iter().product();
            if i < count {
                let mut index = vec![0; shape.len()];
                for (at, &size) in index.iter_mut().zip(shape).rev() {
                    (*at, i) = (i % size, i / size);
                }
                return match self.shapes.len() {
                    1 => format!("{index:?}"),
                    _ => format!("{index:?} of tensor {k}"),
                };
            }
            i -= count;
        }
        format!("element {i}")
    }
}

/// Writes the elements of the tensors one after another.
pub(crate) fn write(tensors: &[Tensor], out: &mut [f64]) {
    let mut rest = out;
    for x in tensors {
        let (part, after) = rest.split_at_mut(x.numel());
        match x.array().as_slice() {
            Some(slice) => part.copy_from_slice(slice),
            None => part.copy_from_slice(&x.array().to_vec()),
        }
        rest = after;
    }
}

/// The elements of a tensor on the host that an operation has made, and which so lie one after another.
pub(crate) fn elements(x: &Tensor) -> &[f64] {
    x.array().as_slice().expect("the result of an operation is contiguous")
}

/// The elements of the tensors one after another.
pub(crate) fn values(tensors: &[Tensor]) -> Vec<f64> {
    let mut out = vec![0.0; tensors.iter().map(Tensor::numel).sum()];
    write(tensors, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() -> Result<()> {
        let tensors = [Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).t()?, Tensor::scalar(7.0)];
        let flat = Flat::of("minimize", &tensors)?;
        let x = values(&tensors);
        assert_eq!((flat.numel(), &x[..]), (7, &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0, 7.0][..]));
        let back = flat.tensors(&x)?;
        assert_eq!((back[0].shape(), back[0].to_vec()), (&[3, 2][..], tensors[0].to_vec()));
        assert_eq!(back[1].item()?, 7.0);
        // Twice the identity, whose rows have one element of one tensor each.
        let double = |rows: &Vec<Tensor>| Ok(rows.iter().map(|row| row * 2.0).collect());
        let twice: Vec<f64> = (0..49).map(|i| if i % 8 == 0 { 2.0 } else { 0.0 }).collect();
        assert_eq!(flat.matrix(double)?, twice);
        assert_eq!((flat.place(3), flat.place(6)), ("[1, 1] of tensor 0".into(), "[] of tensor 1".into()));
        Ok(())
    }
}
