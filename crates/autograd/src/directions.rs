//! Tangents that are zero for all but some of many directions.
//!
//! Of the directions along the elements of variables each meets few operations, and the zeros of the others need not be
//! computed. Where two operands change along directions of their own, the tangent of the result is one beside the other,
//! since it is linear in them.

use crate::node::{Cotangent, Node};
use crate::tensor::Tensor;
use smallvec::{SmallVec, smallvec};
use std::ops::Range;
use tensor_core::shape::Dims;
use tensor_core::{Array, DType, Device, Float, Layout, Result, compiled_once, kernels};

/// The tangents of a tensor for many directions, or for one.
#[derive(Clone, Default)]
pub(crate) enum Directions {
    #[default]
    Zero,
    All(Cotangent),
    /// For some, in their order; zero for the others.
    Pieces(Vec<Piece>),
}

/// The tangents for some directions, one behind another.
#[derive(Clone)]
pub(crate) struct Piece {
    pub of: Range<usize>,
    pub tangent: Tangent,
}

#[derive(Clone)]
pub(crate) enum Tangent {
    Known(Cotangent),
    /// Rows of the identity: not written down before they are read.
    Identity(Box<Identity>),
}

/// Directions along an element each, from `first` on, of a tensor of this shape.
#[derive(Clone)]
pub(crate) struct Identity {
    pub dtype: DType,
    pub device: Device,
    pub shape: Dims,
    pub first: usize,
}

/// Pieces that are kept apart: more would cost more than the zeros between them.
const PIECES: usize = 4;

impl Directions {
    /// Those of nothing are zero.
    pub fn of(tangent: Option<Cotangent>) -> Self {
        tangent.map_or(Directions::Zero, Directions::All)
    }

    fn pieces(self, many: usize) -> Vec<Piece> {
        match self {
            Directions::Zero => Vec::new(),
            Directions::All(tangent) => vec![Piece { of: 0..many, tangent: Tangent::Known(tangent) }],
            Directions::Pieces(pieces) => pieces,
        }
    }

    /// For each of `many`, with the zeros; None where all are zero.
    pub fn whole(self, many: usize) -> Result<Option<Cotangent>> {
        match self {
            Directions::Zero => Ok(None),
            Directions::All(tangent) => Ok(Some(tangent)),
            Directions::Pieces(mut pieces) => within(&mut pieces, &(0..many)),
        }
    }
}

impl Piece {
    fn cotangent(self) -> Result<Cotangent> {
        match self.tangent {
            Tangent::Known(tangent) => Ok(tangent),
            Tangent::Identity(of) => match of.dtype {
                DType::F32 => {
                    Ok(Cotangent::new(identity::<f32>(of.device, &of.shape, of.first, self.of.len())?))
                }
                _ => Ok(Cotangent::new(identity::<f64>(of.device, &of.shape, of.first, self.of.len())?)),
            },
        }
    }
}

compiled_once! {
    /// Rows `first` and so on of the identity, each in this shape.
    pub(crate) fn identity<T: Float>(device: Device, shape: &[usize], first: usize, rows: usize) -> Result<Tensor<T>> {
        let n: usize = shape.iter().product();
        let lead = |first: usize| -> Dims { [first].iter().chain(shape).copied().collect() };
        if n == 1 {
            return Ok(Tensor::constant(Array::repeat_on(device, &lead(rows), T::ONE)?));
        }
        // Ones at (0, first), (1, first + 1), and so on.
        let places = Layout::row_major(Dims::from_slice(&[rows, n])).diagonal(first as isize, [0, 1]);
        let ones = Array::repeat_on(device, places.shape(), T::ONE)?;
        Tensor::constant(kernels::embed("jacobian", &[rows, n], &places, &ones)?).reshaped(lead(rows))
    }
}

/// Those of elements at some places of a tensor, where its own are rows of the identity: None where the rule has to tell.
fn at_places(pieces: &mut [Piece], node: &Node) -> Option<Directions> {
    let [Piece { of, tangent: Tangent::Identity(identity) }] = pieces else { return None };
    let places = node.rule.places(node.parents.first()?.as_ref()?.shape())?;
    if places.numel() == 0 {
        return Some(Directions::Zero);
    }
    let (mut low, mut high) = (places.offset() as isize, places.offset() as isize);
    for (&d, &step) in places.shape().iter().zip(&places.strides()) {
        let last = (d as isize - 1) * step;
        (low, high) = (low + last.min(0), high + last.max(0));
    }
    let first = identity.first.max(low as usize);
    let last = (identity.first + of.len()).min(high as usize + 1);
    if first >= last {
        return Some(Directions::Zero);
    }
    let start = of.start + first - identity.first;
    (*of, identity.first) = (start..start + last - first, first);
    places.is_contiguous().then(|| {
        let shape = Dims::from_slice(places.shape());
        let part = Identity { shape, first: first - low as usize, ..*identity.clone() };
        Directions::Pieces(vec![Piece { of: of.clone(), tangent: Tangent::Identity(Box::new(part)) }])
    })
}

/// The ranges in which the tangents of inputs are taken together: as few as hold them all and do not overlap.
fn ranges(inputs: &[Vec<Piece>], apart: bool) -> SmallVec<[Range<usize>; 2]> {
    let mut ranges: SmallVec<[Range<usize>; 2]> = inputs.iter().flatten().map(|t| t.of.clone()).collect();
    if let [first, rest @ ..] = &ranges[..]
        && rest.iter().all(|range| range == first)
    {
        ranges.truncate(1);
        return ranges;
    }
    ranges.sort_unstable_by_key(|range| range.start);
    let mut found: SmallVec<[Range<usize>; 2]> = SmallVec::new();
    for range in ranges {
        match found.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => found.push(range),
        }
    }
    match &found[..] {
        [first, .., last] if !apart || found.len() > PIECES => smallvec![first.start..last.end],
        _ => found,
    }
}

/// The tangents for the directions of a range, zeros where there is no piece; None where there is none at all.
fn within(pieces: &mut Vec<Piece>, range: &Range<usize>) -> Result<Option<Cotangent>> {
    if let [piece] = &pieces[..]
        && piece.of == *range
    {
        return pieces.pop().map(Piece::cotangent).transpose();
    }
    let inside = |piece: &&Piece| range.start <= piece.of.start && piece.of.end <= range.end;
    let part = |piece: &Piece| Ok((piece.of.start - range.start, piece.clone().cotangent()?));
    let parts = pieces.iter().filter(inside).map(part).collect::<Result<SmallVec<[_; 2]>>>()?;
    match &parts[..] {
        [] => Ok(None),
        [(0, whole)] if whole.shape().first() == Some(&range.len()) => Ok(Some(whole.clone())),
        parts => Cotangent::among_zeros(parts, range.len()).map(Some),
    }
}

/// The tangent of a node's output for those of its inputs, for so many directions.
type Pushforward<'a> = dyn Fn(SmallVec<[Option<Cotangent>; 2]>, usize) -> Result<Option<Cotangent>> + 'a;

/// The tangents of a node's output for those of its inputs, by its rule, where some are of some directions alone.
pub(crate) fn pushed(
    node: &Node,
    inputs: SmallVec<[Directions; 2]>,
    many: usize,
    one_output: bool,
    rule: &Pushforward<'_>,
) -> Result<Directions> {
    let mut inputs: SmallVec<[Vec<Piece>; 2]> = inputs.into_iter().map(|t| t.pieces(many)).collect();
    if let [input] = &mut inputs[..]
        && let Some(found) = at_places(input, node)
    {
        return Ok(found);
    }
    // What one input alone brings costs an operation for each piece; what several bring is so many operations anyway.
    let several = inputs.iter().filter(|t| !t.is_empty()).count() > 1;
    let mut found = Vec::new();
    for of in ranges(&inputs, several && one_output) {
        let t = inputs.iter_mut().map(|t| within(t, &of)).collect::<Result<_>>()?;
        if let Some(tangent) = rule(t, of.len())? {
            if of == (0..many) {
                return Ok(Directions::All(tangent));
            }
            found.push(Piece { of, tangent: Tangent::Known(tangent) });
        }
    }
    Ok(if found.is_empty() { Directions::Zero } else { Directions::Pieces(found) })
}

#[cfg(test)]
mod tests {
    use crate::{Tensor, jacobian, jvp, vjp_batched};
    use tensor_core::{Float, Result};

    /// The Jacobian of few columns beside the one that is put together of rows.
    fn same_by_rows<T: Float>(f: impl Fn(&Tensor<T>) -> Result<Tensor<T>>, x: &Tensor<T>) -> Result<()> {
        let columns = jacobian(&f, x)?;
        let y = f(x)?;
        assert!(crate::functional::are_few(x.numel(), y.numel()));
        let seeds = super::identity::<T>(y.device(), y.shape(), 0, y.numel())?;
        let (_, rows) = vjp_batched(&f, x, &seeds)?;
        let shape: Vec<usize> = y.shape().iter().chain(x.shape()).copied().collect();
        assert!(columns.allclose(&rows.reshape(shape)?, 1e-5, 1e-5)?);
        Ok(())
    }

    #[test]
    fn each_direction_meets_what_depends_on_it() -> Result<()> {
        let t = Tensor::rand([40]);
        let x = Tensor::from([0.3, 1.2, -0.7, 0.9, 2.0]);
        let at = |x: &Tensor, i: isize| x.select(0, i);
        // Elements one by one, in pairs that overlap, backwards, and not at all.
        same_by_rows(|x| Ok((-(&t * at(x, 1)?)).exp() * at(x, 0)? + (&t * at(x, 3)? + at(x, 4)?).sin()), &x)?;
        same_by_rows(
            |x| {
                let (a, b) = (x.narrow(0, 0, 3)?, x.narrow(0, 1, 3)?);
                (&t * a.try_mul(&b)?.sum()).try_mul(&(b.exp().sum() * &t + at(x, 4)?))
            },
            &x,
        )?;
        same_by_rows(|x| (x.flip([0])?.narrow(0, 1, 2)?.prod() * &t).try_add(&(at(x, 0)? * at(x, 0)?)), &x)?;
        same_by_rows(|x| Tensor::cat(&[&(&t * at(x, 2)?), &x.detach(), &t, &(&t * 2.0)], 0), &x)?;
        // More operands than are kept apart.
        same_by_rows(
            |x| Tensor::stack(&(0..5).map(|i| Ok(&t * at(x, i)?)).collect::<Result<Vec<_>>>()?, 0),
            &x,
        )?;
        // Of two dimensions, transposed, and several outputs at once.
        let m = Tensor::from([[0.5, 0.1], [-0.2, 0.8]]);
        same_by_rows(|m| Ok(m.t()?.row(1)?.unsqueeze(1)? * &t + m.row(0)?.select(0, 1)?), &m)?;
        let single = Tensor::from([0.3_f32, 1.2]);
        let t: Tensor<f32> = t.cast();
        same_by_rows(|x| (&t * x.select(0, 1)?).try_add(&x.select(0, 0)?), &single)
    }

    #[test]
    fn can_be_differentiated_again() -> Result<()> {
        let t = Tensor::rand([20]);
        let f = |x: &Tensor| (&t * x.select(0, 1)?).sin().try_mul(&x.select(0, 0)?);
        let x = Tensor::from([0.4, 1.3]);
        let second = jacobian(|x: &Tensor| jacobian(f, x), &x)?;
        let v = Tensor::from([0.7, -0.2]);
        let (_, slope) = jvp(|x: &Tensor| Ok(jvp(f, x, &v)?.1), &x, &v)?;
        let product = second.try_mul(&v)?.sum_dim(2, false)?.try_mul(&v)?.sum_dim(1, false)?;
        assert!(product.allclose(&slope, 1e-12, 1e-12)?);
        Ok(())
    }
}
