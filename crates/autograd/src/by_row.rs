//! A Jacobian by one walk back, where the results are rows of data that do not mix.
//!
//! The residual of each of m observations depends on all parameters, but on its own row of the data alone. Pulled back,
//! the cotangents of all m are then as large as one: each lies in its own row. Only where a row meets what all rows
//! share, a parameter that is broadcast, they part, and nothing is summed over rows that would have to be told apart.
//! It is what per-example gradients are made of (Goodfellow, "Efficient per-example gradient computations", 2015).

use crate::forward::Forward;
use crate::mode::{self, Mode};
use crate::node::{Context, Cotangent, Edge, Part};
use crate::op::{Kept, Op};
use crate::tensor::Tensor;
use tensor_core::shape::Dims;
use tensor_core::{Element, Layout, Result};

/// The cotangents of one tensor for many results, one for each.
pub enum ByRow<C> {
    /// Each lies in its own row of the tensor, whose first dimensions, so many, count the results.
    Own(C, usize),
    /// Of a tensor that all results share: one after another along a first dimension.
    All(C),
}

/// What an operation answers of `N` inputs: nothing where rows mix.
pub type Parted<T, const N: usize> = Option<[Option<ByRow<Tensor<T>>>; N]>;

/// Where a rule delivers them; see [`Rule::by_row`](crate::node::Rule::by_row).
pub(crate) type OutByRow<'a> = &'a mut dyn FnMut(usize, ByRow<Cotangent>) -> Result<()>;

/// The cotangents of an operation's inputs for that of the output, whose first `lead` dimensions count results; false where
/// rows mix, or nobody knows.
pub(crate) fn of_op<T: Element, U: Element, const N: usize>(
    op: &dyn Op<T, N, U>,
    kept: &Kept<'_, T, U>,
    g: Cotangent,
    lead: usize,
    out: OutByRow<'_>,
) -> Result<bool> {
    if op.elementwise() {
        let shape = Dims::from_slice(g.shape());
        return parted(kept.context, &shape, lead, op.vjp(kept, g.tensor())?, out);
    }
    if let [Some(parent)] = kept.context.parents
        && let Some(places) = op.places(parent.shape())
    {
        let apart = keep_rows(&places, parent.shape(), lead);
        if apart {
            let part = Part { value: g, places, shape: Dims::from_slice(parent.shape()) };
            out(0, ByRow::Own(Cotangent::Part(Box::new(part)), lead))?;
        }
        return Ok(apart);
    }
    let Some(found) = op.by_row(kept, g.tensor(), lead)? else { return Ok(false) };
    for (i, found) in found.into_iter().enumerate() {
        match found {
            Some(ByRow::Own(g, lead)) => out(i, ByRow::Own(Cotangent::new(g), lead))?,
            Some(ByRow::All(g)) => out(i, ByRow::All(Cotangent::new(g)))?,
            None => {}
        }
    }
    Ok(true)
}

/// The cotangent of the only input of an operation whose rows are those of its output: by the rule as it is.
pub(crate) fn as_it_is<T: Element>(
    op: &dyn Op<T, 1>,
    kept: &Kept<'_, T>,
    g: Tensor<T>,
    lead: Option<usize>,
) -> Result<Parted<T, 1>> {
    let Some(lead) = lead else { return Ok(None) };
    Ok(Some(op.vjp(kept, g)?.map(|g| g.map(|g| ByRow::Own(g, lead)))))
}

/// What an elementwise rule gave, in the shape of the output: summed over what was broadcast within rows, and as it is
/// where an input was broadcast over rows.
pub(crate) fn parted<T: Element>(
    context: &Context<'_>,
    shape: &[usize],
    lead: usize,
    grads: impl IntoIterator<Item = Option<Tensor<T>>>,
    out: OutByRow<'_>,
) -> Result<bool> {
    let rows = &shape[..lead];
    for (i, g) in grads.into_iter().enumerate() {
        let (Some(g), Some(edge)) = (g, &context.parents[i]) else { continue };
        let of = edge.shape();
        if g.shape() != shape || of.len() > shape.len() {
            return Ok(false);
        }
        if of.len() == shape.len() && of[..lead] == *rows {
            out(i, ByRow::Own(Cotangent::new(g).sum_to(lead, &of[lead..])?, lead))?;
            continue;
        }
        // The dimensions of the input that stand under those that count results.
        let under = (lead + of.len()).saturating_sub(shape.len());
        if of[..under].iter().any(|&d| d != 1) {
            return Ok(false);
        }
        let count = [rows.iter().product()];
        let each: Tensor<T> = Cotangent::new(g).sum_to(lead, &of[under..])?.tensor();
        let each = each.reshaped(count.iter().chain(of).copied().collect())?;
        out(i, ByRow::All(Cotangent::new(each)))?;
    }
    Ok(true)
}

/// Whether the elements of `shape` at these places lie in the row, counted by the first `lead` dimensions, in which they are
/// put.
fn keep_rows(places: &Layout, shape: &[usize], lead: usize) -> bool {
    let whole = Layout::row_major(Dims::from_slice(shape));
    let size: usize = shape.get(lead..).map_or(0, |rest| rest.iter().product());
    let same = |d: usize| {
        shape[d] == places.shape()[d] && (shape[d] == 1 || whole.strides()[d] == places.strides()[d])
    };
    if size == 0 || places.ndim() < lead || !(0..lead).all(same) {
        return false;
    }
    // Where the first row's elements are.
    let first = (0..lead).fold(places.clone(), |row, _| row.slice(0, 0, 1, 1).remove_dim(0));
    first.bounds().is_some_and(|(_, last)| last < size)
}

impl Forward {
    /// The derivatives of each of the `m` elements of result `k`, whose cotangents are `ones`, with respect to each variable,
    /// along a first dimension, and None where they are zero; nothing where rows mix, or where directions pushed forward cost
    /// less.
    pub(crate) fn by_row(
        &self,
        k: usize,
        ones: Cotangent,
        variables: &[&Edge],
    ) -> Result<Option<Vec<Option<Cotangent>>>> {
        let Some(top) = self.results[k].filter(|_| !mode::is_detecting()) else { return Ok(None) };
        let _mode = Mode::rules(false);
        let m: usize = ones.shape().iter().product();
        let numel = |edge: &Edge| edge.shape().iter().product::<usize>();
        let n: usize = variables.iter().map(|x| numel(x)).sum();
        // Below what all rows share there are m cotangents, where directions are as many as elements of the variables.
        let mut room = n * self.steps.iter().filter_map(|step| step.edge.as_ref()).map(numel).sum::<usize>();
        let mut pending: Vec<Pending> = vec![Pending::default(); top + 1];
        pending[top].own = Some((ones.clone(), ones.shape().len()));
        let mut found: Vec<Option<Cotangent>> = vec![None; variables.len()];
        for place in (0..=top).rev() {
            let (Pending { own, all }, step) = (std::mem::take(&mut pending[place]), &self.steps[place]);
            let node = match &step.node {
                Ok(node) => node,
                Err(variable) => {
                    let own = own.map(|(own, _)| own.whole()?.in_rows(m)).transpose()?;
                    found[*variable] = added(all.map(Cotangent::whole).transpose()?, own)?;
                    continue;
                }
            };
            let context = |many| Context {
                parents: &node.parents,
                own: None,
                many,
                only: None,
                since: 0,
                outputs: &[],
            };
            if let Some((g, lead)) = own {
                let mut even = true;
                let apart = node.rule.by_row(&context(None), g.whole()?, lead, &mut |i, g| {
                    let Some(to) = step.inputs[i].map(|place| &mut pending[place]) else { return Ok(()) };
                    match g {
                        ByRow::All(g) => to.all = added(to.all.take(), Some(g))?,
                        ByRow::Own(g, lead) => {
                            let (sum, same) =
                                to.own.take().map_or((None, lead), |(sum, lead)| (Some(sum), lead));
                            even &= same == lead;
                            to.own = added(sum, Some(g))?.map(|sum| (sum, lead));
                        }
                    }
                    Ok(())
                })?;
                if !apart || !even {
                    return Ok(None);
                }
            }
            if let Some(g) = all {
                let cost = m * step.edge.as_ref().map_or(0, numel);
                if cost > room {
                    return Ok(None);
                }
                room -= cost;
                node.rule.vjp(&context(Some(m)), g.whole()?, &mut |i, g| {
                    let Some(to) = step.inputs[i].map(|place| &mut pending[place]) else { return Ok(()) };
                    to.all = added(to.all.take(), Some(g))?;
                    Ok(())
                })?;
            }
        }
        Ok(Some(found))
    }
}

/// What a tensor has received: row by row, with the number of dimensions that count rows, and for each result.
#[derive(Clone, Default)]
struct Pending {
    own: Option<(Cotangent, usize)>,
    all: Option<Cotangent>,
}

fn added(sum: Option<Cotangent>, g: Option<Cotangent>) -> Result<Option<Cotangent>> {
    Ok(match (sum, g) {
        (Some(sum), Some(g)) => Some(sum.plus(g)?),
        (sum, g) => sum.or(g),
    })
}

#[cfg(test)]
mod tests {
    use crate::functional::{Evaluation, Transform, between, by_row, rows};
    use crate::{Tensor, fused, jacobian, linearize};
    use tensor_core::Result;

    type Model<'a> = &'a dyn Fn(&[Tensor; 3]) -> Result<Tensor>;

    /// A number, a vector of 3, and a vector of 7, for 7 rows of data.
    fn at() -> [Tensor; 3] {
        let number = |i: usize| (1.3 * i as f64).sin();
        [
            Tensor::scalar(0.7),
            Tensor::from([0.2, -0.4, 0.9]),
            Tensor::from((0..7).map(number).collect::<Vec<_>>()),
        ]
    }

    /// The Jacobian by one walk back, where that is one; compared with that of a batch of cotangents.
    fn in_one_walk(f: Model<'_>) -> Result<bool> {
        let x = at();
        let transform = Transform::begin();
        let variables = transform.variables(&x)?;
        let y = Evaluation::new(&transform, &variables, || f(&[0, 1, 2].map(|i| variables[i].clone())))?;
        let forward = between(&y.ys, &variables, false)?;
        let Some(found) = by_row(&forward, 0, &y.ys[0], &variables)? else { return Ok(false) };
        for (found, expected) in found.iter().zip(rows(&y.ys[0], &variables, false)?) {
            assert_eq!(found.shape(), expected.shape());
            assert!(found.allclose(&expected, 1e-14, 1e-14)?, "{found:?} {expected:?}");
        }
        Ok(true)
    }

    #[test]
    fn rows_that_stay_apart() -> Result<()> {
        let t = crate::linspace(0.1, 2.0, 7)?;
        let data = crate::linspace(-1.0, 1.0, 21)?.reshape([7, 3])?;
        let gauss = fused(|[x, c, w]| (-((x - c) / w).square()).exp());
        let models: [(&str, Model<'_>); 12] = [
            ("numbers broadcast", &|[a, ..]| Ok((a * &t).sin() * a + &t)),
            ("elements of a vector", &|[a, b, _]| {
                Ok(a * (b.select(0, 0)? * &t).exp() + b.select(0, 2)? * b.select(0, 1)?)
            }),
            ("peaks, summed", &|[a, b, _]| ((t.unsqueeze(1)? - b).square() * a).exp().sum_dim(1, false)),
            ("peaks, averaged", &|[a, b, _]| {
                ((t.unsqueeze(1)? - b) * a).tanh().mean_dim(1, true)?.squeeze(1)
            }),
            ("a row broadcast", &|[_, b, _]| (&data * b.unsqueeze(0)?).sum_dim(1, false)),
            ("columns of the data", &|[a, b, _]| {
                let z = &data * b;
                Ok(z.select(1, 0)? * a + z.select(1, 2)?.exp())
            }),
            ("several values for each row", &|[a, ..]| Ok((&data * a).sin() * a)),
            ("flattened", &|[a, _, _]| Ok((&data * a).sin().flatten())),
            ("a variable of its own for each row", &|[a, _, c]| Ok((a * &t + c).exp() * c)),
            ("stretched", &|[a, b, _]| (a * b).expand([7, 3])?.try_mul(&data)?.sum_dim(-1, false)),
            ("a fused expression", &|[a, b, _]| gauss.call([&t, a, &b.select(0, 2)?])),
            ("used twice", &|[a, ..]| {
                let z = (&t * a).sin();
                Ok(&z * &z + z.cos() * a)
            }),
        ];
        for (name, f) in models {
            assert!(in_one_walk(f)?, "{name}");
        }
        Ok(())
    }

    #[test]
    fn rows_that_mix() -> Result<()> {
        let t = crate::linspace(0.1, 2.0, 7)?;
        let data = crate::linspace(-1.0, 1.0, 21)?.reshape([7, 3])?;
        let models: [(&str, Model<'_>); 6] = [
            ("columns with parameters of their own", &|[a, b, _]| Ok((&data * b).sin() * a)),
            ("neighbours", &|[a, _, c]| Ok((c * a).sin().flip([0])? * &t)),
            ("a sum over rows", &|[a, ..]| {
                let z = a * &t;
                Ok(&z / z.sum() * &z)
            }),
            ("a cumulative sum", &|[a, ..]| (a * &t).exp().cumsum(0)),
            ("as many columns as rows", &|[a, ..]| {
                let z = (a * &t).unsqueeze(0)?.expand([7, 7])?;
                z.t()?.exp().sum_dim(0, false)
            }),
            ("shifted", &|[a, ..]| Ok((a * &t).narrow(0, 1, 6)?.sin() * 2.0)),
        ];
        for (name, f) in models {
            // Whatever way is taken, the numbers are right.
            let (x, by_one) = (at(), in_one_walk(f)?);
            for (found, expected) in linearize(f, &x)?.jacobian()?.iter().zip(jacobian(f, &x)?.iter()) {
                assert!(found.allclose(expected, 1e-13, 1e-13)?, "{name} {by_one}");
            }
        }
        Ok(())
    }
}
