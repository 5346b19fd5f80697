//! Sums of products in Einstein's notation, and the products that it writes in a line.

use crate::product::bmm;
use autograd::{AsTensor, Listed, Tensor, body_once};
use std::fmt;
use tensor_core::shape::Integer;
use tensor_core::{AtCaller, Error, Float, Result};

const EINSUM: &str = "einsum";

/// A dimension's name: a letter, or the place of one of the dimensions that `...` stands for, counted
/// from the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Letter(char),
    Ellipsis(usize),
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Label::Letter(c) => write!(f, "`{c}`"),
            Label::Ellipsis(k) => write!(f, "dimension {} of `...`, counted from its last,", k + 1),
        }
    }
}

/// A tensor and the names of its dimensions.
struct Operand<T: Float> {
    tensor: Tensor<T>,
    labels: Vec<Label>,
}

/// The sum of products that `equation` says, as NumPy's and PyTorch's `einsum` have it: a letter for
/// each dimension of each tensor, `->`, and those of the result; dimensions that the result does not
/// name are summed over. Without `->` the result has the letters that occur once, in alphabetical
/// order. `...` stands for further dimensions, which broadcast, and a letter that one tensor has twice
/// for its diagonal. Two tensors at a time are contracted, by matrix products, the pair with the fewest
/// multiplications first.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::linalg::einsum;
/// let (a, b) = (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([5.0, 6.0]));
/// assert_eq!(einsum("ij,j->i", &[&a, &b])?.to_vec(), [17.0, 39.0]);
/// assert_eq!(einsum("ii", &[&a])?.item()?, 5.0);
/// assert_eq!(einsum("ij,j,i->", &[&a, &b, &b])?.item()?, 319.0);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Argument, for an equation that cannot be read; shape, where it does not fit the tensors, or sizes
/// under one letter differ (1 broadcasts).
#[track_caller]
pub fn einsum<T: Float>(equation: &str, tensors: impl IntoIterator<Item: AsTensor<T>>) -> Result<Tensor<T>> {
    let tensors = Listed::new(tensors);
    body_once!(
        T: Float,
        [equation, &tensors.tensors()],
        |equation: &str, tensors: &[&Tensor<T>]| -> Result<Tensor<T>> {
            contract_all(equation, tensors).called(EINSUM)
        }
    )
}

fn contract_all<T: Float>(equation: &str, tensors: &[&Tensor<T>]) -> Result<Tensor<T>> {
    let (inputs, output) = parse(equation, tensors)?;
    let mut sizes: Vec<(Label, usize)> = Vec::new();
    for (labels, tensor) in inputs.iter().zip(tensors) {
        for (&label, &d) in labels.iter().zip(tensor.shape()) {
            match sizes.iter_mut().find(|(l, _)| *l == label) {
                None => sizes.push((label, d)),
                Some((_, n)) if *n == 1 => *n = d,
                Some((_, n)) if *n == d || d == 1 => {}
                Some((_, n)) => {
                    let message =
                        format!("{equation}: {label} is {n} and {d}: the sizes must be equal, or 1");
                    return Err(Error::shape(EINSUM, message));
                }
            }
        }
    }
    let size = |label: Label| sizes.iter().find(|(l, _)| *l == label).map_or(1, |s| s.1);
    let mut operands: Vec<Operand<T>> = Vec::new();
    for (labels, tensor) in inputs.into_iter().zip(tensors) {
        operands.push(plain(Operand { tensor: (*tensor).clone(), labels }, &size)?);
    }
    while operands.len() > 1 {
        // The pair with the fewest multiplications.
        let pairs = (1..operands.len()).flat_map(|j| (0..j).map(move |i| (i, j)));
        let cost = |&(i, j): &(usize, usize)| -> f64 {
            let (a, b) = (&operands[i].labels, &operands[j].labels);
            let only = b.iter().filter(|l| !a.contains(l));
            a.iter().chain(only).map(|&l| size(l) as f64).product()
        };
        let Some((i, j)) = pairs.min_by(|p, q| cost(p).total_cmp(&cost(q))) else { break };
        let (b, a) = (operands.swap_remove(j), operands.swap_remove(i));
        let kept = |l: &Label| output.contains(l) || operands.iter().any(|o| o.labels.contains(l));
        // The one that has the result's last dimension goes to the right, so that this runs along memory.
        let last = output.iter().rev().find(|l| a.labels.contains(l) != b.labels.contains(l));
        let (a, b) = if last.is_some_and(|l| a.labels.contains(l)) { (b, a) } else { (a, b) };
        let product = contract(a, b, &kept)?;
        operands.push(product);
    }
    let Some(last) = operands.pop() else {
        return Err(Error::argument(EINSUM, "no tensor is given: at least one is needed"));
    };
    let Operand { tensor, labels } = summed(last, &|l| output.contains(l))?;
    tensor.permute(places(&labels, &output))
}

/// Where each of `wanted` is among `labels`.
fn places(labels: &[Label], wanted: &[Label]) -> Vec<isize> {
    wanted.iter().filter_map(|w| labels.iter().position(|l| l == w)).map(|k| k as isize).collect()
}

/// The labels of the inputs and of the output.
fn parse<T: Float>(equation: &str, tensors: &[&Tensor<T>]) -> Result<(Vec<Vec<Label>>, Vec<Label>)> {
    let text: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (left, right) = match text.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (&text[..], None),
    };
    let terms: Vec<&str> = left.split(',').collect();
    if terms.len() != tensors.len() {
        let message = format!("{equation}: {} terms for {} tensors", terms.len(), tensors.len());
        return Err(Error::shape(EINSUM, message));
    }
    let mut inputs = Vec::new();
    let mut widest = 0;
    for (term, tensor) in terms.iter().zip(tensors) {
        let named = letters(equation, term)?.iter().filter(|l| l.is_some()).count();
        let more = tensor.ndim().checked_sub(named).filter(|&n| n == 0 || term.contains("..."));
        let Some(more) = more else {
            let message =
                format!("{equation}: {term:?} does not name the dimensions of shape {:?}", tensor.shape());
            return Err(Error::shape(EINSUM, message));
        };
        widest = widest.max(more);
        inputs.push(labels(equation, term, more)?);
    }
    let output = match right {
        Some(term) => labels(equation, term, if term.contains("...") { widest } else { 0 })?,
        None => {
            let all: Vec<Label> = inputs.iter().flatten().copied().collect();
            let mut once: Vec<char> = all
                .iter()
                .filter(|l| all.iter().filter(|m| m == l).count() == 1)
                .filter_map(|l| if let Label::Letter(c) = l { Some(*c) } else { None })
                .collect();
            once.sort_unstable();
            let ellipsis = (0..widest).rev().map(Label::Ellipsis);
            ellipsis.chain(once.into_iter().map(Label::Letter)).collect()
        }
    };
    for (k, label) in output.iter().enumerate() {
        let known = inputs.iter().any(|labels| labels.contains(label));
        if !known || output[..k].contains(label) {
            let message = format!("{equation}: the result must name {label} once, and an input must have it");
            return Err(Error::argument(EINSUM, message));
        }
    }
    Ok((inputs, output))
}

/// The letters of a term, None for `...`.
fn letters(equation: &str, term: &str) -> Result<Vec<Option<char>>> {
    let mut found = Vec::new();
    for (k, part) in term.split("...").enumerate() {
        if k > 0 {
            found.push(None);
        }
        for c in part.chars() {
            if !c.is_alphabetic() {
                let message = format!("{equation}: {c:?} is neither a letter nor `...`, `,` or `->`");
                return Err(Error::argument(EINSUM, message));
            }
            found.push(Some(c));
        }
    }
    if found.iter().filter(|l| l.is_none()).count() > 1 {
        return Err(Error::argument(EINSUM, format!("{equation}: {term:?} has `...` more than once")));
    }
    Ok(found)
}

/// The labels of a term whose `...` stands for `more` dimensions.
fn labels(equation: &str, term: &str, more: usize) -> Result<Vec<Label>> {
    let mut all = Vec::new();
    for letter in letters(equation, term)? {
        match letter {
            Some(c) => all.push(Label::Letter(c)),
            None => all.extend((0..more).rev().map(Label::Ellipsis)),
        }
    }
    Ok(all)
}

/// Diagonals for labels that occur twice, and no dimension that only broadcasts.
fn plain<T: Float>(o: Operand<T>, size: &impl Fn(Label) -> usize) -> Result<Operand<T>> {
    let Operand { mut tensor, mut labels } = o;
    let mut k = 0;
    while k < labels.len() {
        let label = labels[k];
        if tensor.shape()[k] == 1 && size(label) != 1 {
            tensor = tensor.select(k as isize, 0)?;
            labels.remove(k);
        } else if let Some(again) = (k + 1..labels.len()).find(|&j| labels[j] == label) {
            if tensor.shape()[again] == 1 {
                tensor = tensor.select(again as isize, 0)?;
                labels.remove(again);
            } else {
                tensor = tensor.diagonal(0, k as isize, again as isize)?;
                labels.remove(again);
                labels.remove(k);
                labels.push(label);
            }
        } else {
            k += 1;
        }
    }
    Ok(Operand { tensor, labels })
}

/// The sum over the dimensions that are not kept.
fn summed<T: Float>(o: Operand<T>, kept: &impl Fn(&Label) -> bool) -> Result<Operand<T>> {
    let gone: Vec<isize> = (0..o.labels.len()).filter(|&k| !kept(&o.labels[k])).map(|k| k as isize).collect();
    if gone.is_empty() {
        return Ok(o);
    }
    let labels = o.labels.iter().copied().filter(kept).collect();
    Ok(Operand { tensor: o.tensor.sum_dim(&gone, false)?, labels })
}

/// The product of two operands, summed over what is not kept: [batch, left, sum] by
/// [batch, sum, right].
fn contract<T: Float>(a: Operand<T>, b: Operand<T>, kept: &impl Fn(&Label) -> bool) -> Result<Operand<T>> {
    let a = summed(a, &|l: &Label| kept(l) || b.labels.contains(l))?;
    let b = summed(b, &|l: &Label| kept(l) || a.labels.contains(l))?;
    let (mut batch, mut left, mut sum) = (Vec::new(), Vec::new(), Vec::new());
    for &l in &a.labels {
        match (b.labels.contains(&l), kept(&l)) {
            (true, true) => batch.push(l),
            (true, false) => sum.push(l),
            (false, _) => left.push(l),
        }
    }
    let right: Vec<Label> = b.labels.iter().copied().filter(|l| !a.labels.contains(l)).collect();
    let size = |o: &Operand<T>, labels: &[Label]| -> Vec<usize> {
        places(&o.labels, labels).iter().map(|&k| o.tensor.shape()[k as usize]).collect()
    };
    let shape = [size(&a, &batch), size(&a, &left), size(&b, &right)].concat();
    let grouped = |o: &Operand<T>, groups: [&[Label]; 3]| {
        let count = |labels: &[Label]| size(o, labels).iter().product::<usize>();
        let order = places(&o.labels, &groups.concat());
        o.tensor.permute(order)?.reshape(groups.map(count))
    };
    let (x, y) = (grouped(&a, [&batch, &left, &sum])?, grouped(&b, [&batch, &sum, &right])?);
    // Without a sum it is no matrix product: elements times elements, broadcast.
    let product = if sum.is_empty() { x.try_mul(&y)? } else { bmm(&x, &y)? };
    Ok(Operand { tensor: product.reshape(shape)?, labels: [batch, left, right].concat() })
}

/// The Kronecker product: every element of `a` times the whole of `b`, side by side.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let k = linalg::kron(&Tensor::from([[1.0, 2.0]]), &Tensor::from([[1.0], [3.0]]))?;
/// assert_eq!((k.shape(), k.to_vec()), (&[2, 2][..], vec![1.0, 2.0, 3.0, 6.0]));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Out of memory.
#[track_caller]
pub fn kron<T: Float>(a: &Tensor<T>, b: &Tensor<T>) -> Result<Tensor<T>> {
    body_once!(T: Float, [a, b], |a: &Tensor<T>, b: &Tensor<T>| -> Result<Tensor<T>> {
        let rank = a.ndim().max(b.ndim());
        let padded = |t: &Tensor<T>| [vec![1; rank - t.ndim()], t.shape().to_vec()].concat();
        let (m, n) = (padded(a), padded(b));
        let spread = |sizes: &[usize], first: bool| -> Vec<usize> {
            sizes.iter().flat_map(|&d| if first { [d, 1] } else { [1, d] }).collect()
        };
        let product = a.reshape(spread(&m, true))?.try_mul(&b.reshape(spread(&n, false))?)?;
        product.reshape(m.iter().zip(&n).map(|(m, n)| m * n).collect::<Vec<_>>())
    })
}

/// The sum of products over the last `n` dimensions of `a` and the first `n` of `b`.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::linalg::tensordot;
/// let (a, b) = (Tensor::ones([2, 3, 4]), Tensor::ones([3, 4, 5]));
/// let c = tensordot(&a, &b, 2)?;
/// assert_eq!((c.shape(), c.get([0, 0])?), (&[2, 5][..], 12.0));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where there are fewer dimensions, or their sizes differ.
#[track_caller]
pub fn tensordot<T: Float>(a: &Tensor<T>, b: &Tensor<T>, n: impl Integer) -> Result<Tensor<T>> {
    let n = n.to_size("tensordot").at_caller()?;
    body_once!(T: Float, [a, b, n], |a: &Tensor<T>, b: &Tensor<T>, n: usize| -> Result<Tensor<T>> {
        let parts = a
            .ndim()
            .checked_sub(n)
            .filter(|_| n <= b.ndim())
            .map(|k| (a.shape().split_at(k), b.shape().split_at(n)));
        let Some(((left, inner), (_, right))) = parts.filter(|((_, inner), (other, _))| inner == other) else {
            let message = format!(
                "the last {n} dimensions of {:?} and the first {n} of {:?} do not match",
                a.shape(),
                b.shape()
            );
            return Err(Error::shape("tensordot", message));
        };
        let count = |sizes: &[usize]| sizes.iter().product::<usize>();
        let product =
            bmm(&a.reshape([1, count(left), count(inner)])?, &b.reshape([1, count(inner), count(right)])?)?;
        product.reshape([left, right].concat())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_dimension_of_a_result_runs_along_memory() {
        for (equation, shapes) in [
            ("kij,nkj->nki", [&[3, 4, 5][..], &[6, 3, 5]]),
            ("ij,jk->ki", [&[3, 4], &[4, 5]]),
            ("ij,kj->ik", [&[3, 4], &[5, 4]]),
            ("i,j->ji", [&[3], &[4]]),
        ] {
            let [a, b] = shapes.map(|shape| Tensor::<f64>::ones(shape));
            let y = einsum(equation, &[&a, &b]).unwrap();
            assert_eq!(y.array().layout().strides().last(), Some(&1), "{equation}");
        }
    }
}
