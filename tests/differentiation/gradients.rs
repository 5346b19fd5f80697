//! Every operation's first and second derivatives against differences, over random shapes, layouts,
//! axes and values. A line of a table is an operation; each drawn case runs through the whole table.

use ndarray::SliceInfoElem;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError};
use std::fmt::Debug;
use tapegrad::prelude::*;
use tapegrad::{LossOptions, Reduce, Reduction, gradcheck, gradgradcheck};

/// Where a tensor's elements lie in memory.
#[derive(Clone, Copy, Debug)]
enum Layout {
    RowMajor,
    ColumnMajor,
    Backwards,
    EverySecond,
    /// The first element stands for all of its dimension: stride 0.
    Repeated,
}

const LAYOUTS: [Layout; 5] =
    [Layout::RowMajor, Layout::ColumnMajor, Layout::Backwards, Layout::EverySecond, Layout::Repeated];

/// A layout that leaves the elements distinct.
const DISTINCT: [Layout; 4] = [Layout::RowMajor, Layout::ColumnMajor, Layout::Backwards, Layout::EverySecond];

/// A tensor to come: its shape, its layout, and its elements as shares of a range.
#[derive(Clone, Debug)]
struct Drawn {
    shape: Vec<usize>,
    layout: Layout,
    shares: Vec<f64>,
}

impl Drawn {
    fn within(&self, low: f64, high: f64) -> Tensor {
        let values = self.shares.iter().map(|s| low + (high - low) * s).collect();
        let x = Tensor::from_vec(values, &self.shape[..]).unwrap();
        let reverse: Vec<isize> = (0..x.ndim() as isize).rev().collect();
        let steps = |step| vec![SliceInfoElem::Slice { start: 0, end: None, step }; x.ndim()];
        match self.layout {
            Layout::RowMajor => x,
            Layout::ColumnMajor => x.permute(&reverse).unwrap().contiguous().permute(&reverse).unwrap(),
            Layout::Backwards => x.slice(steps(-1)).unwrap().contiguous().slice(steps(-1)).unwrap(),
            Layout::EverySecond => Tensor::stack(&[&x, &(&x * f64::NAN)], -1).unwrap().select(-1, 0).unwrap(),
            Layout::Repeated if x.ndim() > 0 && self.shape[0] > 0 => {
                x.narrow(0, 0, 1).unwrap().expand(&self.shape[..]).unwrap()
            }
            Layout::Repeated => x,
        }
    }

    /// As [`Drawn::within`], in general position: far from singular where it is square, positive and
    /// without ties elsewhere.
    fn matrix(&self) -> Tensor {
        let x = self.within(-1.0, 1.0);
        let [.., rows, columns] = self.shape[..] else { panic!("a matrix") };
        let n = rows.min(columns) as f64;
        if rows == columns { x + Tensor::eye(rows) * (n + 1.0) } else { x }
    }
}

/// Distinct shares of a range, in random order: no two closer than the differences reach.
fn shares(n: usize) -> impl Strategy<Value = Vec<f64>> {
    Just((0..n).map(|k| (k as f64 + 0.4) / n as f64).collect::<Vec<_>>()).prop_shuffle()
}

fn drawn(shape: Vec<usize>, layouts: &'static [Layout]) -> impl Strategy<Value = Drawn> {
    (shares(shape.iter().product()), select(layouts)).prop_map(move |(shares, layout)| Drawn {
        shape: shape.clone(),
        layout,
        shares,
    })
}

/// A tensor of any shape up to rank 3.
fn any_shape(layouts: &'static [Layout]) -> impl Strategy<Value = Drawn> {
    vec(0..4usize, 0..4).prop_flat_map(move |shape| drawn(shape, layouts))
}

/// Tensors of these shapes.
fn of_shapes<const N: usize>(shapes: [Vec<usize>; N]) -> impl Strategy<Value = Vec<Drawn>> {
    shapes.into_iter().map(|s| drawn(s, &LAYOUTS).boxed()).collect::<Vec<_>>()
}

/// First and second derivatives agree with differences.
fn check(op: &str, inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) -> Result<(), TestCaseError> {
    let failed = |e: Error| TestCaseError::fail(format!("{op}: {e}"));
    gradcheck(&f, inputs).map_err(failed)?;
    gradgradcheck(&f, inputs).map_err(failed)?;
    many_at_once(&f, inputs).map_err(failed)
}

/// Two cotangents at once give what they give one by one, and so do the derivatives of that.
fn many_at_once(f: impl Fn(&[Tensor]) -> Result<Tensor>, inputs: &[Tensor]) -> Result<()> {
    let leaves: Vec<Tensor> = inputs.iter().map(|x| x.detach().requires_grad()).collect();
    let wrt: Vec<&Tensor> = leaves.iter().collect();
    let y = f(&leaves)?;
    let shape: Vec<usize> = [2].iter().chain(y.shape()).copied().collect();
    let u = Tensor::randn(shape);
    let pass = |cotangent: Tensor, batched| {
        let options =
            GradOptions { create_graph: true, cotangent: Some(cotangent), batched, ..Default::default() };
        grad_with(&y, &wrt, options)
    };
    let together = pass(u.clone(), true)?;
    let (first, second) = (pass(u.row(0)?, false)?, pass(u.row(1)?, false)?);
    let apart: Vec<Option<Tensor>> = first
        .iter()
        .zip(&second)
        .map(|pair| match pair {
            (Some(a), Some(b)) => Tensor::stack(&[a, b], 0).map(Some),
            _ => Ok(None),
        })
        .collect::<Result<_>>()?;
    alike(&together, &apart)?;
    let curved = |gradients: &[Option<Tensor>]| {
        let squares = gradients.iter().flatten().map(|g| g.square().sum());
        let sum = squares.reduce(|a, b| a + b).unwrap_or_else(|| Tensor::scalar(0.0));
        grad_with(&sum, &wrt, GradOptions { retain_graph: true, ..Default::default() })
    };
    alike(&curved(&together)?, &curved(&apart)?)
}

fn alike(a: &[Option<Tensor>], b: &[Option<Tensor>]) -> Result<()> {
    for (a, b) in a.iter().zip(b) {
        let same = match (a, b) {
            (Some(a), Some(b)) => a.shape() == b.shape() && a.allclose(b, 1e-9, 1e-9)?,
            (a, b) => a.is_none() && b.is_none(),
        };
        if !same {
            return Err(Error::argument("batched", format!("{a:?} instead of {b:?}")));
        }
    }
    Ok(())
}

type Unary = fn(&Tensor) -> Tensor;
type Binary = fn(&Tensor, &Tensor) -> Result<Tensor>;
type OverDims = fn(&Tensor, &[isize], bool) -> Result<Tensor>;
type Many = fn(&[Tensor]) -> Result<Tensor>;

/// Name, the range its elements are drawn from, the operation.
const UNARY: &[(&str, f64, f64, Unary)] = &[
    ("neg", -2.0, 2.0, |x| -x),
    ("abs of positive", 0.1, 2.0, |x| x.abs()),
    ("abs of negative", -2.0, -0.1, |x| x.abs()),
    ("sign", 0.1, 2.0, |x| x.sign()),
    ("exp", -2.0, 2.0, |x| x.exp()),
    ("expm1", -2.0, 2.0, |x| x.expm1()),
    ("log", 0.5, 3.0, |x| x.log()),
    ("sqrt", 0.5, 3.0, |x| x.sqrt()),
    ("square", -2.0, 2.0, |x| x.square()),
    ("reciprocal", 0.5, 3.0, |x| x.reciprocal()),
    ("powf 3", -2.0, 2.0, |x| x.powf(3.0)),
    ("powf 2", -2.0, 2.0, |x| x.powf(2.0)),
    ("powf -1.5", 0.5, 3.0, |x| x.powf(-1.5)),
    ("powf 0", -2.0, 2.0, |x| x.powf(0.0)),
    ("exp2", -2.0, 2.0, |x| x.exp2()),
    ("log2", 0.5, 3.0, |x| x.log2()),
    ("log10", 0.5, 3.0, |x| x.log10()),
    ("log1p", -0.5, 3.0, |x| x.log1p()),
    ("rsqrt", 0.5, 3.0, |x| x.rsqrt()),
    ("tan", -1.0, 1.0, |x| x.tan()),
    ("asin", -0.8, 0.8, |x| x.asin()),
    ("acos", -0.8, 0.8, |x| x.acos()),
    ("atan", -3.0, 3.0, |x| x.atan()),
    ("asinh", -3.0, 3.0, |x| x.asinh()),
    ("acosh", 1.5, 3.0, |x| x.acosh()),
    ("atanh", -0.8, 0.8, |x| x.atanh()),
    ("erf", -2.0, 2.0, |x| x.erf()),
    ("erfc", -2.0, 2.0, |x| x.erfc()),
    ("erfinv", -0.8, 0.8, |x| x.erfinv()),
    ("logit", 0.1, 0.9, |x| x.logit()),
    ("sinc", -3.0, 3.0, |x| x.sinc()),
    ("nan_to_num", -2.0, 2.0, |x| x.nan_to_num(0.0, None, None)),
    ("nansum", -2.0, 2.0, |x| x.masked_fill(&x.gt(1.0).unwrap(), f64::NAN).unwrap().nansum()),
    ("lgamma", 0.5, 4.0, |x| x.lgamma()),
    ("multigammaln", 1.5, 4.0, |x| x.multigammaln(3)),
    ("lgamma below 0", -0.9, -0.1, |x| x.lgamma()),
    ("digamma", 0.5, 4.0, |x| x.digamma()),
    ("polygamma", 0.5, 4.0, |x| x.polygamma(2) / 100.0),
    ("softplus", -4.0, 4.0, |x| x.softplus()),
    ("floor", 0.1, 0.9, |x| x.floor()),
    ("ceil", 0.1, 0.9, |x| x.ceil()),
    ("trunc", 0.1, 0.9, |x| x.trunc()),
    ("round", 0.6, 1.4, |x| x.round()),
    ("clamp, inside", -0.9, 0.9, |x| x.clamp(-1.0, 1.0)),
    ("clamp, outside", 1.1, 2.0, |x| x.clamp(-1.0, 1.0)),
    ("prod", 0.5, 1.5, |x| x.prod()),
    ("sin", -3.0, 3.0, |x| x.sin()),
    ("cos", -3.0, 3.0, |x| x.cos()),
    ("sinh", -2.0, 2.0, |x| x.sinh()),
    ("cosh", -2.0, 2.0, |x| x.cosh()),
    ("tanh", -2.0, 2.0, |x| x.tanh()),
    ("sigmoid", -4.0, 4.0, |x| x.sigmoid()),
    ("relu of positive", 0.1, 2.0, |x| x.relu()),
    ("relu of negative", -2.0, -0.1, |x| x.relu()),
    ("silu", -4.0, 4.0, |x| x.silu()),
    ("gelu", -3.0, 3.0, |x| x.gelu()),
    ("log_sigmoid", -4.0, 4.0, |x| x.log_sigmoid()),
    ("elu of positive", 0.1, 2.0, |x| x.elu(1.5)),
    ("elu of negative", -2.0, -0.1, |x| x.elu(1.5)),
    ("leaky_relu of positive", 0.1, 2.0, |x| x.leaky_relu(0.1)),
    ("leaky_relu of negative", -2.0, -0.1, |x| x.leaky_relu(0.1)),
    ("x + 2", -2.0, 2.0, |x| x + 2.0),
    ("2 - x", -2.0, 2.0, |x| 2.0 - x),
    ("x * 3", -2.0, 2.0, |x| x * 3.0),
    ("x / 3", -2.0, 2.0, |x| x / 3.0),
    ("3 / x", 0.5, 3.0, |x| 3.0 / x),
    ("owned chain", -2.0, 2.0, |x| (x.clone() * 2.0 + 1.0).sin() * 3.0 - 1.0),
    ("sum", -2.0, 2.0, |x| x.sum()),
    ("logsumexp of all", -2.0, 2.0, |x| match x.numel() {
        0 => x.sum(),
        _ => x.logsumexp((), false).unwrap(),
    }),
    ("softmax of a scalar too", -2.0, 2.0, |x| x.softmax(-1).unwrap()),
    ("flatten", -2.0, 2.0, |x| x.flatten()),
    ("contiguous", -2.0, 2.0, |x| x.contiguous()),
    ("squeeze_all", -2.0, 2.0, |x| x.squeeze_all()),
];

/// Losses that are not reduced, so that there may be none.
const EACH: LossOptions<'static> = LossOptions {
    reduction: Reduction::None,
    weight: None,
    pos_weight: None,
    ignore_index: None,
    label_smoothing: 0.0,
    log_target: false,
};

const BINARY: &[(&str, f64, f64, Binary)] = &[
    ("add", -2.0, 2.0, |x, y| x.try_add(y)),
    ("sub", -2.0, 2.0, |x, y| x.try_sub(y)),
    ("mul", -2.0, 2.0, |x, y| x.try_mul(y)),
    ("div", 0.5, 3.0, |x, y| x.try_div(y)),
    ("where_cond", -2.0, 2.0, |x, y| x.detach().lt(y.detach())?.where_cond(x, y)),
    ("maximum", -2.0, 2.0, |x, y| x.maximum(y)),
    ("minimum", -2.0, 2.0, |x, y| x.minimum(y)),
    ("atan2", 0.3, 2.0, |x, y| x.atan2(&-y)),
    ("hypot", 0.3, 2.0, |x, y| x.hypot(y)),
    ("pow", 0.5, 2.0, |x, y| x.pow(y)),
    ("xlogy", 0.5, 2.0, |x, y| x.xlogy(y)),
    ("logaddexp", -2.0, 2.0, |x, y| x.logaddexp(y)),
    ("remainder", 1.1, 1.9, |x, y| x.remainder(&(y * 0.5 + 4.0))),
    ("fmod", 1.1, 1.9, |x, y| (x * 4.1).fmod(&(y + 7.0))),
    ("floor_divide", 1.1, 1.9, |x, y| x.floor_divide(&(y + 7.0))),
    ("masked_fill", -2.0, 2.0, |x, y| x.try_add(y)?.masked_fill(&y.detach().gt(0.0)?, 3.0)),
    ("mse_loss", -2.0, 2.0, |x, y| Ok(if x.try_add(y)?.numel() == 0 { x.sum() } else { x.mse_loss(y)? })),
    ("lerp", -2.0, 2.0, |x, y| x.lerp(y, x.sin())),
    ("l1_loss", -2.0, 2.0, |x, y| (x + 5.0).l1_loss_with(y, EACH)),
    ("smooth_l1_loss", -2.0, 2.0, |x, y| (x + 9.0).smooth_l1_loss_with(y, 0.5, EACH)),
    ("kl_div", 0.5, 2.0, |x, y| x.kl_div_with(y, EACH)),
    ("kl_div, of logarithms", -2.0, 1.0, |x, y| x.kl_div_with(y, LossOptions { log_target: true, ..EACH })),
    ("binary_cross_entropy_with_logits, weighted", 0.1, 0.9, |x, y| {
        let options = LossOptions { pos_weight: Some(x), ..EACH };
        x.binary_cross_entropy_with_logits_with(y, options)
    }),
    ("x x", -2.0, 2.0, |x, y| (x * x).try_mul(&(x * y))),
];

const REDUCTIONS: &[(&str, OverDims)] = &[
    ("sum_dim", |x, dims, keepdim| x.sum_dim(dims, keepdim)),
    ("mean_dim", |x, dims, keepdim| x.mean_dim(dims, keepdim)),
    ("var_with", |x, dims, keepdim| x.var_with(dims, keepdim, 0.0)),
    ("prod_dim", |x, dims, keepdim| (x * 0.5 + 1.5).prod_dim(dims, keepdim)),
    ("logsumexp", |x, dims, keepdim| x.logsumexp(dims, keepdim)),
    ("vector_norm 1", |x, dims, keepdim| x.vector_norm(1.0, dims, keepdim)),
    ("vector_norm 2", |x, dims, keepdim| x.vector_norm(2.0, dims, keepdim)),
    ("vector_norm 3", |x, dims, keepdim| x.vector_norm(3.0, dims, keepdim)),
    ("vector_norm inf", |x, dims, keepdim| (x + 3.0).vector_norm(f64::INFINITY, dims, keepdim)),
    ("nansum_dim", |x, dims, keepdim| x.nansum_dim(dims, keepdim)),
    ("nanmean_dim", |x, dims, keepdim| x.nanmean_dim(dims, keepdim)),
    ("flip", |x, dims, _| x.flip(dims)),
    ("amax", |x, dims, keepdim| x.amax(dims, keepdim)),
    ("amin", |x, dims, keepdim| x.amin(dims, keepdim)),
];

/// Those that need two elements at least.
const SPREADS: &[(&str, Unary)] = &[
    ("mean", |x| x.mean()),
    ("var", |x| x.var()),
    ("std", |x| x.std()),
    ("max", |x| x.max().unwrap()),
    ("min", |x| x.min().unwrap()),
    ("median", |x| x.median().unwrap()),
    ("cumsum", |x| x.cumsum(-1).unwrap()),
    ("cumprod", |x| x.cumprod(0).unwrap()),
    ("softmax", |x| x.softmax(-1).unwrap()),
    ("log_softmax", |x| x.log_softmax(0).unwrap()),
    ("sort", |x| x.sort(0, false).unwrap().0),
    ("sort, descending", |x| x.sort(-1, true).unwrap().0),
    ("topk", |x| x.topk(2, -1, true).unwrap().0),
    ("topk, smallest", |x| x.topk(1, 0, false).unwrap().0),
    ("median_dim", |x| x.median_dim(0, true).unwrap().0),
    ("quantile", |x| x.quantile(0.4, -1).unwrap()),
    ("cummax", |x| x.cummax(0).unwrap().0),
    ("logcumsumexp", |x| x.logcumsumexp(-1).unwrap()),
    ("kthvalue", |x| x.kthvalue(2, 0, false).unwrap().0),
    ("diff", |x| x.diff(1, -1).unwrap()),
    ("trapezoid", |x| x.trapezoid(x.sin(), 0).unwrap()),
    ("cumulative_trapezoid", |x| x.cumulative_trapezoid(0.3, -1).unwrap()),
    ("normalize", |x| (x + 5.0).normalize(2.0, -1, 1e-12).unwrap()),
    ("cdist", |x| {
        let points = x.reshape([1, -1]).unwrap();
        points.cdist(&Tensor::cat(&[&(&points + 9.0), &points.sin()], 0).unwrap(), 2.0).unwrap()
    }),
    ("unfold", |x| x.unfold(-1, 2, 1).unwrap()),
    ("movedim", |x| x.movedim(0, -1).unwrap()),
    ("repeat_interleave", |x| x.repeat_interleave(2, -1).unwrap()),
    ("repeat_interleave, each", |x| x.narrow(0, 0, 2).unwrap().repeat_interleave([2, 1], 0).unwrap()),
    ("scatter", |x| x.scatter(0, &Tensor::full(x.shape(), 1), x.sin()).unwrap()),
    ("hstack", |x| Tensor::hstack(&[x, &x.sin()]).unwrap()),
    ("vstack", |x| Tensor::vstack(&[x, &x.sin()]).unwrap()),
    ("interp", |x| {
        let points = Tensor::from([-9.13, -1.07, 0.001, 1.21, 7.7]);
        x.interp(&points, &points.sin()).unwrap()
    }),
    // Of two variables where there are two observations of each.
    ("cov", |x| {
        x.reshape([if x.numel() > 2 && x.numel() % 2 == 0 { 2 } else { 1 }, -1]).unwrap().cov().unwrap()
    }),
    ("roll", |x| x.roll([1, -1], [0, -1]).unwrap()),
    ("repeat", |x| x.repeat(vec![2; x.ndim() + 1]).unwrap()),
    ("pad", |x| x.pad([1, -1], 0.5).unwrap()),
    ("index_select", |x| x.index_select(-1, Tensor::from([1, 0, -1, 1])).unwrap()),
    ("gather", |x| x.gather(0, Tensor::full(x.shape(), 1).narrow(0, 0, 1).unwrap()).unwrap()),
    ("scatter_add", |x| x.scatter_add(0, Tensor::full(x.shape(), -1), &x.sin()).unwrap()),
    ("scatter_reduce", |x| {
        x.scatter_reduce(0, Tensor::full(x.shape(), -1), &x.sin(), Reduce::Prod, true).unwrap()
    }),
    ("index_copy", |x| x.index_copy(-1, [1, 1], x.narrow(-1, 0, 2).unwrap().sin()).unwrap()),
    ("index_add", |x| x.index_add(-1, [1, 1], x.narrow(-1, 0, 2).unwrap().sin()).unwrap()),
    ("index_put", |x| x.index_put(Tensor::from([1, 1]), x.narrow(0, 0, 2).unwrap().sin(), false).unwrap()),
    ("index_put, accumulated", |x| {
        x.index_put(Tensor::from([1, 1]), x.narrow(0, 0, 2).unwrap().sin(), true).unwrap()
    }),
    ("masked_select", |x| x.masked_select(&x.detach().gt(0.0).unwrap()).unwrap()),
    ("diag_embed", |x| x.diag_embed(-1).unwrap()),
    ("huber_loss, near", |x| (x * 0.3).huber_loss(&x.detach().zeros_like(), 1.0).unwrap()),
    ("huber_loss, far", |x| (x + 4.0).huber_loss(&x.detach().zeros_like(), 1.0).unwrap()),
    ("binary_cross_entropy_with_logits", |x| {
        x.binary_cross_entropy_with_logits(&x.flip(0).unwrap().sigmoid()).unwrap()
    }),
    ("std_dim", |x| x.std_dim(-1, true).unwrap()),
    ("max_dim", |x| x.max_dim(-1, false).unwrap().0),
    ("min_dim", |x| x.min_dim(0, true).unwrap().0),
];

/// On [b, m, k], [b, k, n] and [b, m, n].
const PRODUCTS: &[(&str, Many)] = &[
    ("bmm", |x| x[0].bmm(&x[1])),
    ("bmm of transposed", |x| x[1].mt()?.bmm(&x[0].mt()?)),
    ("baddbmm", |x| x[2].baddbmm(&x[0], &x[1], 0.7, -1.3)),
    ("matmul", |x| x[0].matmul(&x[1])),
    ("matmul, batches broadcast", |x| x[0].unsqueeze(1)?.matmul(&x[1])),
    ("matmul by a matrix", |x| x[0].matmul(&x[1].select(0, 0)?)),
    ("matmul by a vector", |x| x[0].matmul(&x[1].select(0, 0)?.select(1, 0)?)),
    ("matmul of a vector", |x| x[0].select(0, 0)?.select(0, 0)?.matmul(&x[1])),
    ("mm", |x| x[0].select(0, 0)?.mm(&x[1].select(0, 0)?)),
    ("mm by its own transpose", |x| x[0].select(0, 0)?.mm(&x[0].select(0, 0)?.t()?)),
    ("addmm", |x| x[2].select(0, 0)?.addmm(&x[0].select(0, 0)?, &x[1].select(0, 0)?, -0.5, 2.0)),
    ("addmm of a row", |x| {
        x[2].select(0, 0)?.row(0)?.addmm(&x[0].select(0, 0)?, &x[1].select(0, 0)?, 1.0, 1.0)
    }),
    ("addmm without its first term", |x| {
        x[2].select(0, 0)?.addmm(&x[0].select(0, 0)?, &x[1].select(0, 0)?, 0.0, 1.0)
    }),
    ("mv", |x| x[0].select(0, 0)?.mv(&x[1].select(0, 0)?.select(1, 0)?)),
    ("addmv", |x| {
        let (y, a, v) = (x[2].select(0, 0)?, x[0].select(0, 0)?, x[1].select(0, 0)?);
        y.select(1, 0)?.addmv(&a, &v.select(1, 0)?, 0.3, 1.7)
    }),
    ("diagonal", |x| x[0].diagonal(0, -1, -2)),
    ("tril", |x| x[0].tril(-1)),
    ("triu", |x| x[0].triu(1)),
    ("einsum of a chain", |x| linalg::einsum("bij,bjk,bik->bi", &[&x[0], &x[1], &x[2]])),
    ("einsum to a sum", |x| linalg::einsum("bij,bjk->k", &[&x[0], &x[1]])),
    ("einsum, outer", |x| linalg::einsum("bij,ckl->bckl", &[&x[0], &x[1]])),
    ("einsum, dots", |x| linalg::einsum("...j,...jk->...k", &[&x[0].select(1, 0)?, &x[1]])),
    ("kron", |x| x[0].select(0, 0)?.kron(&x[1].select(0, 0)?)),
    ("tensordot", |x| x[0].tensordot(&x[1].transpose(0, 1)?, 1)),
    ("cross entropy", |x| {
        let rows = x[0].select(0, 0)?;
        rows.cross_entropy(Tensor::zeros_of::<i64>([rows.size(0)?]))
    }),
    ("cross entropy of images", |x| {
        let classes = Tensor::zeros_of::<i64>([x[0].size(0)?, x[0].size(2)?]);
        let options = LossOptions { label_smoothing: 0.1, ignore_index: Some(9), ..Default::default() };
        x[0].cross_entropy_with(&classes, options)
    }),
    ("conv1d", |x| {
        let options = linalg::Conv1dOptions { padding: 1, stride: 2, ..Default::default() };
        x[0].conv1d(&x[2].narrow(2, 0, 1)?, None, options)
    }),
    ("dot", |x| x[0].select(0, 0)?.row(0)?.dot(&x[1].select(0, 0)?.select(1, 0)?)),
    ("outer", |x| x[0].select(0, 0)?.row(0)?.outer(&x[2].select(0, 0)?.row(0)?)),
    ("least_squares_loss", |x| {
        let (a, v, y) = (x[0].select(0, 0)?, x[1].select(0, 0)?, x[2].select(0, 0)?);
        least_squares_loss(&a, &v.select(1, 0)?, &y.select(1, 0)?)
    }),
];

/// On a well-conditioned [b, n, n] and a [b, n, m].
const SQUARES: &[(&str, Many)] = &[
    ("inverse", |x| x[0].inverse()),
    ("inverse, not batched", |x| x[0].select(0, 0)?.inverse()),
    ("det", |x| Ok(x[0].det()? / 100.0)),
    ("det, not batched", |x| Ok(x[0].select(0, 0)?.det()? / 100.0)),
    ("slogdet", |x| Ok(x[0].slogdet()?.1)),
    ("logdet", |x| x[0].logdet()),
    ("solve", |x| x[0].solve(&x[1])),
    ("solve for a vector", |x| x[0].select(0, 0)?.solve(&x[1].select(0, 0)?.select(1, 0)?)),
    ("solve of the transpose", |x| x[0].mt()?.solve(&x[1])),
    ("pinv of a square", |x| x[0].pinv()),
    ("lstsq", |x| x[0].lstsq(&x[1], None)),
    ("solve_triangular", |x| x[0].solve_triangular(&x[1], linalg::Triangle::UPPER)),
    ("cholesky", |x| symmetric(&x[0])?.cholesky(false)),
    ("cholesky_solve", |x| symmetric(&x[0])?.cholesky(true)?.cholesky_solve(&x[1], true)),
    ("cholesky_jitter", |x| Ok(linalg::cholesky_jitter(&symmetric(&x[0])?, 1e-9)?.0)),
    ("lu, L", |x| Ok(linalg::lu(&x[0])?.1)),
    ("lu, U", |x| Ok(linalg::lu(&x[0])?.2)),
    ("pinv of a symmetric one", |x| {
        let options = linalg::PinvOptions { hermitian: true, ..Default::default() };
        linalg::pinv_with(&symmetric(&x[0])?, options)
    }),
    ("multi_dot", |x| linalg::multi_dot(&[&x[0].select(0, 0)?, &x[1].select(0, 0)?])),
    ("vander", |x| linalg::vander(&x[1], 3, true)),
    ("block_diag", |x| linalg::block_diag(&[&x[0].select(0, 0)?, &x[1].select(0, 0)?])),
    ("toeplitz", |x| linalg::toeplitz(&x[0].flatten(), &x[1].flatten())),
    ("svdvals", |x| x[0].svdvals()),
    ("A by its svd", |x| {
        let (u, s, vt) = x[0].svd()?;
        u.try_mul(&s.unsqueeze(-2)?)?.matmul(&vt)
    }),
    ("eigvalsh", |x| symmetric(&x[0])?.eigvalsh()),
    ("A by its eigh", |x| {
        let (w, v) = symmetric(&x[0])?.eigh()?;
        v.try_mul(&w.unsqueeze(-2)?)?.matmul(&v.mt()?)
    }),
    ("qr, Q", |x| Ok(x[0].qr()?.0)),
    ("qr, R", |x| Ok(x[0].qr()?.1)),
    ("matrix_power", |x| Ok(x[0].matrix_power(3)? / 100.0)),
    ("matrix_exp", |x| (&x[0] * 0.1).matrix_exp()),
    ("matrix_norm", |x| x[0].matrix_norm(linalg::MatrixNorm::Frobenius)),
    ("symmetric_log", |x| linalg::symmetric_log(&symmetric(&x[0])?)),
    ("symmetric_power", |x| linalg::symmetric_power(&symmetric(&x[0])?, 0.5)),
];

/// Positive definite, far from singular.
fn symmetric(a: &Tensor) -> Result<Tensor> {
    Ok((a + a.mt()?) * 0.5 + Tensor::eye(a.size(-1)?) * 2.0)
}

fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, ..Config::default() }
}

proptest::proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn of_one_tensor(x in any_shape(&LAYOUTS)) {
        for (op, low, high, f) in UNARY {
            check(op, &[x.within(*low, *high)], |x| Ok(f(&x[0])))?;
        }
        check("cast", &[x.within(-2.0, 2.0)], |x| {
            // To single precision and back: the difference of the two casts is exactly linear.
            let wide = x[0].cast::<f64>();
            wide.try_mul(&x[0])
        })?;
    }

    #[test]
    fn of_two_tensors_broadcast((x, y) in broadcasting()) {
        for (op, low, high, f) in BINARY {
            check(op, &[x.within(*low, *high), y.within(*low + 0.01, *high + 0.01)], |x| f(&x[0], &x[1]))?;
        }
    }

    #[test]
    fn reductions_over_any_dims(
        (x, dims, keepdim) in vec(1..4usize, 1..4).prop_flat_map(|shape| {
            let rank = shape.len();
            let dims = proptest::sample::subsequence((0..rank as isize).collect::<Vec<_>>(), 0..=rank);
            (drawn(shape, &DISTINCT), dims.prop_shuffle(), any::<bool>())
        }),
        negative in any::<bool>(),
    ) {
        let rank = x.shape.len() as isize;
        let dims: Vec<isize> = dims.iter().map(|d| if negative { d - rank } else { *d }).collect();
        for (op, f) in REDUCTIONS {
            check(op, &[x.within(-2.0, 2.0)], |x| f(&x[0], &dims, keepdim))?;
        }
    }

    #[test]
    fn reductions_of_two_or_more(x in vec(2..4usize, 1..4).prop_flat_map(|s| drawn(s, &DISTINCT))) {
        for (op, f) in SPREADS {
            check(op, &[x.within(-2.0, 2.0)], |x| Ok(f(&x[0])))?;
        }
    }

    #[test]
    fn views_in_chains((x, steps) in any_shape(&LAYOUTS).prop_flat_map(|x| (Just(x), vec(view(), 1..5)))) {
        check(&format!("{steps:?}"), &[x.within(-2.0, 2.0)], |x| {
            steps.iter().try_fold(x[0].clone(), |x, step| step.apply(&x))
        })?;
    }

    #[test]
    fn joined(
        tensors in (vec(1..3usize, 1..4), 1..4usize).prop_flat_map(|(s, n)| vec(drawn(s, &LAYOUTS), n)),
        at in any::<proptest::sample::Index>(),
    ) {
        let rank = tensors[0].shape.len();
        let inputs: Vec<Tensor> = tensors.iter().map(|t| t.within(-2.0, 2.0)).collect();
        let d = at.index(rank) as isize;
        check("cat", &inputs, |x| Tensor::cat(&x.iter().collect::<Vec<_>>(), d))?;
        check("cat, the first twice", &inputs, |x| {
            Tensor::cat(&x.iter().chain(&x[..1]).collect::<Vec<_>>(), d - rank as isize)
        })?;
        let d = at.index(rank + 1) as isize;
        check("stack", &inputs, |x| Tensor::stack(&x.iter().collect::<Vec<_>>(), d))?;
    }

    #[test]
    fn products(x in (1..3usize, 1..4usize, 1..4usize, 1..4usize).prop_flat_map(|(b, m, k, n)| {
        of_shapes([vec![b, m, k], vec![b, k, n], vec![b, m, n]])
    })) {
        let inputs: Vec<Tensor> = x.iter().map(|x| x.within(-1.5, 1.5)).collect();
        for (op, f) in PRODUCTS {
            check(op, &inputs, f)?;
        }
    }

    #[test]
    fn square_matrices(x in (1..3usize, 1..4usize, 1..3usize).prop_flat_map(|(b, n, m)| {
        of_shapes([vec![b, n, n], vec![b, n, m]])
    })) {
        for (op, f) in SQUARES {
            check(op, &[x[0].matrix(), x[1].within(-1.5, 1.5)], f)?;
        }
    }

    #[test]
    fn pinv_of_full_rank(x in (1..3usize, 1..4usize, 1..4usize).prop_flat_map(|(b, m, n)| {
        drawn(vec![b, m, n], &DISTINCT)
    })) {
        // Ones on the diagonal keep the smallest singular value away from zero.
        let [_, m, n] = x.shape[..] else { panic!("a batch of matrices") };
        let diagonal = Tensor::eye(m.max(n)).narrow(0, 0, m).unwrap().narrow(1, 0, n).unwrap();
        check("pinv", &[x.within(-0.3, 0.3) + diagonal * 2.0], |x| x[0].pinv())?;
    }

    #[test]
    fn pinv_of_rank_one((u, v) in (2..4usize, 2..4usize).prop_flat_map(|(m, n)| {
        (drawn(vec![m], &LAYOUTS), drawn(vec![n], &LAYOUTS))
    })) {
        // Through its factors, the rank stays what it is while they move.
        check("pinv", &[u.within(0.5, 1.5), v.within(0.5, 1.5)], |x| x[0].outer(&x[1])?.pinv())?;
    }
}

/// Two tensors whose shapes broadcast: dimensions of one are dropped from the front, or made 1.
fn broadcasting() -> impl Strategy<Value = (Drawn, Drawn)> {
    vec(0..4usize, 0..4)
        .prop_flat_map(|shape| {
            let part = |shape: Vec<usize>| {
                (vec(any::<bool>(), shape.len()), 0..=shape.len()).prop_map(move |(ones, skipped)| {
                    let sizes = shape.iter().zip(ones).map(|(&d, one)| if one { 1 } else { d });
                    sizes.skip(skipped).collect::<Vec<usize>>()
                })
            };
            (part(shape.clone()), part(shape))
        })
        .prop_flat_map(|(a, b)| (drawn(a, &LAYOUTS), drawn(b, &LAYOUTS)))
}

/// A view of whatever tensor it comes to: places and orders are reduced to those that it has.
#[derive(Clone, Debug)]
enum View {
    Reverse,
    Transpose(usize, usize),
    Unsqueeze(usize),
    Squeeze(usize),
    Reshape,
    Select(usize, usize),
    Narrow(usize, usize, usize),
    Slice(usize, isize),
    Expand(usize),
}

fn view() -> impl Strategy<Value = View> {
    prop_oneof![
        Just(View::Reverse),
        (0..9usize, 0..9usize).prop_map(|(a, b)| View::Transpose(a, b)),
        (0..9usize).prop_map(View::Unsqueeze),
        (0..9usize).prop_map(View::Squeeze),
        Just(View::Reshape),
        (0..9usize, 0..9usize).prop_map(|(d, k)| View::Select(d, k)),
        (0..9usize, 0..9usize, 0..9usize).prop_map(|(d, a, b)| View::Narrow(d, a, b)),
        (0..9usize, select(vec![-2isize, -1, 2, 3])).prop_map(|(d, step)| View::Slice(d, step)),
        (1..3usize).prop_map(View::Expand),
    ]
}

impl View {
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let rank = x.ndim();
        if rank == 0 {
            return x.unsqueeze(-1);
        }
        let size = |d: usize| x.shape()[d % rank];
        let dim = |d: usize| (d % rank) as isize;
        match *self {
            View::Reverse => x.permute((0..rank as isize).rev().collect::<Vec<_>>()),
            View::Transpose(a, b) => x.transpose(dim(a), dim(b)),
            View::Unsqueeze(d) => x.unsqueeze((d % (rank + 1)) as isize),
            View::Squeeze(d) => x.squeeze(dim(d)),
            View::Reshape if x.numel() > 0 => x.reshape([size(0) as isize, -1]),
            View::Select(d, k) if size(d) > 0 => x.select(dim(d), (k % size(d)) as isize),
            View::Narrow(d, a, b) => {
                let start = a % (size(d) + 1);
                x.narrow(dim(d), start as isize, b % (size(d) - start + 1))
            }
            View::Slice(d, step) => {
                let mut parts = vec![SliceInfoElem::Slice { start: 0, end: None, step: 1 }; rank];
                parts[d % rank] = SliceInfoElem::Slice { start: 0, end: None, step };
                x.slice(parts)
            }
            View::Expand(n) => x.expand(
                [n].into_iter().chain(x.shape().iter().copied()).map(|d| d as isize).collect::<Vec<_>>(),
            ),
            View::Reshape | View::Select(..) => Ok(x.flatten()),
        }
    }
}

/// The strategies draw what they say they draw.
#[test]
fn layouts_hold_the_same_values() {
    fn shown(x: impl Debug) -> String {
        format!("{x:?}")
    }
    let shares = vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6];
    for layout in DISTINCT {
        let x = Drawn { shape: vec![2, 3], layout, shares: shares.clone() }.within(0.0, 1.0);
        assert_eq!(shown(x.to_vec()), shown(&shares), "{layout:?}");
    }
}
