//! burn, on its backend for CPUs, flex, and on the one before it, ndarray, with their default features.

use crate::measure::{Row, Run};
use crate::shape::{BOTH, SIZES, Shape, What};
use burn_tensor::{DType, Device, Distribution, IndexingUpdateOp, Int, Tensor, activation, s};
use std::hint::black_box;

const DTYPES: &[DType] = &[DType::F64, DType::F32];

type Function<const D: usize> = dyn Fn(&[Tensor<D>]) -> Tensor<D>;

/// Operands, all of which a gradient is taken with respect to, and what is done with them.
struct Work<const D: usize> {
    operands: Vec<Tensor<D>>,
    f: Box<Function<D>>,
}

/// Draws the operands, for the shape of the first.
type Prepare<const D: usize> = fn(&Draw, &[usize]) -> Work<D>;

/// Draws operands of a type.
struct Draw {
    device: Device,
    dtype: DType,
}

impl Draw {
    fn drawn<const D: usize>(&self, shape: &[usize], distribution: Distribution) -> Tensor<D> {
        let shape: [usize; D] = shape.try_into().expect("shapes have the rank of the work");
        Tensor::random(shape, distribution, (&self.device, self.dtype))
    }

    fn normal<const D: usize>(&self, shape: &[usize]) -> Tensor<D> {
        self.drawn(shape, Distribution::Normal(0.0, 1.0))
    }

    /// Between 0.1 and 3.1.
    fn positive<const D: usize>(&self, shape: &[usize]) -> Tensor<D> {
        self.drawn(shape, Distribution::Uniform(0.1, 3.1))
    }

    /// Indices below this.
    fn places<const D: usize>(&self, high: usize, shape: &[usize]) -> Tensor<D, Int> {
        let device = Draw { device: self.device.clone(), dtype: DType::F64 };
        device.drawn::<D>(shape, Distribution::Uniform(0.0, high as f64)).int()
    }

    fn linspace(&self, low: f64, high: f64, n: usize) -> Tensor<1> {
        let at = |i| low + (high - low) * i as f64 / (n - 1) as f64;
        let points: Vec<f64> = (0..n).map(at).collect();
        Tensor::from_data(points.as_slice(), (&self.device, self.dtype))
    }
}

fn work<const D: usize>(
    operands: impl IntoIterator<Item = Tensor<D>>,
    f: impl Fn(&[Tensor<D>]) -> Tensor<D> + 'static,
) -> Work<D> {
    Work { operands: operands.into_iter().collect(), f: Box::new(f) }
}

/// A work on one operand.
fn of<const D: usize>(x: Tensor<D>, f: impl Fn(Tensor<D>) -> Tensor<D> + 'static) -> Work<D> {
    work([x], move |x| f(x[0].clone()))
}

fn started<const D: usize>(Work { operands, f }: Work<D>, what: What) -> Run {
    match what {
        What::Forward => Box::new(move || {
            black_box(f(&operands));
        }),
        What::Gradient => {
            let operands: Vec<Tensor<D>> = operands.into_iter().map(Tensor::require_grad).collect();
            Box::new(move || {
                let gradients = f(&operands).sum().backward();
                let gradient = |x: &Tensor<D>| x.grad(&gradients).expect("every operand has a gradient");
                black_box(operands.iter().map(gradient).collect::<Vec<_>>());
            })
        }
    }
}

/// Where a work is measured.
#[derive(Clone, Copy)]
struct Rows<'a> {
    dtypes: &'a [DType],
    shape: Shape,
    whats: &'a [What],
    sizes: &'a [usize],
}

/// A backend under its name.
type Backend = (&'static str, fn() -> Device);

fn rows_of<const D: usize>(
    (side, device): Backend,
    name: &str,
    Rows { dtypes, shape, whats, sizes }: Rows,
    prepare: Prepare<D>,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for &dtype in dtypes {
        for &what in whats {
            for (n, shape) in sizes.iter().map(|&n| (n, shape.of(n))).filter(|(_, s)| s[0] > 0) {
                let id = format!("{name}/{}/{}/{n}", dtype.name(), what.name());
                rows.push(Row::new(side, id, move || {
                    let device = match what {
                        What::Forward => device(),
                        What::Gradient => device().autodiff(),
                    };
                    started(prepare(&Draw { device, dtype }, &shape), what)
                }));
            }
        }
    }
    rows
}

/// Rows of several works that are measured at the same.
fn group<const D: usize>(
    backend: Backend,
    (group, suffix): (&str, &str),
    rows: Rows,
    works: &[(&str, Prepare<D>)],
) -> Vec<Row> {
    let rows_of = |&(name, prepare): &(&str, Prepare<D>)| {
        rows_of(backend, &format!("{group}/{name}{suffix}"), rows, prepare)
    };
    works.iter().flat_map(rows_of).collect()
}

/// A copy in the order of rows, where there would be a view.
fn copied(x: Tensor<2>) -> Tensor<2> {
    let (device, dtype) = (x.device(), x.dtype());
    Tensor::from_data(x.into_data(), (&device, dtype))
}

fn elementwise(backend: Backend) -> Vec<Row> {
    let vectors: [(&str, Prepare<1>); _] = [
        ("x * 2.5", |d, s| of(d.normal(s), |x| x * 2.5)),
        ("x + y", |d, s| work([d.normal(s), d.normal(s)], |x| x[0].clone() + x[1].clone())),
        ("exp", |d, s| of(d.normal(s), Tensor::exp)),
        ("log", |d, s| of(d.positive(s), Tensor::log)),
        ("tanh", |d, s| of(d.normal(s), Tensor::tanh)),
        ("sigmoid", |d, s| of(d.normal(s), activation::sigmoid)),
        ("sin", |d, s| of(d.normal(s), Tensor::sin)),
        ("cos", |d, s| of(d.normal(s), Tensor::cos)),
        ("erf", |d, s| of(d.normal(s), Tensor::erf)),
        ("x ** 2.3", |d, s| of(d.positive(s), |x| x.powf_scalar(2.3))),
        ("gelu", |d, s| of(d.normal(s), activation::gelu)),
        ("softplus", |d, s| of(d.normal(s), |x| activation::softplus(x, 1.0))),
    ];
    let squares: [(&str, Prepare<2>); _] = [
        ("m + row", |d, s| work([d.normal(s), d.normal(&[1, s[1]])], |x| x[0].clone() + x[1].clone())),
        ("m + column", |d, s| work([d.normal(s), d.normal(&[s[0], 1])], |x| x[0].clone() + x[1].clone())),
        ("s + s.t()", |d, s| of(d.normal(s), |x| x.clone() + x.t())),
    ];
    let copies: [(&str, Prepare<2>); _] = [
        ("s.t() copied", |d, s| of(d.normal(s), |x| copied(x.t()))),
        ("cat of s and s2", |d, s| work([d.normal(s), d.normal(s)], |x| Tensor::cat(x.to_vec(), 0))),
        ("s.flip(1) copied", |d, s| of(d.normal(s), |x| copied(x.flip([1])))),
        ("s[:, ::2] copied", |d, s| of(d.normal(s), |x| copied(x.slice(s![.., ..;2])))),
    ];
    let rows = Rows { dtypes: DTYPES, shape: Shape::Vector, whats: &BOTH, sizes: SIZES };
    let of_squares = Rows { shape: Shape::Square, ..rows };
    let mut found = group(backend, ("elementwise", ""), rows, &vectors);
    found.extend(group(backend, ("elementwise", ""), of_squares, &squares));
    found.extend(group(backend, ("elementwise", ""), Rows { whats: &BOTH[..1], ..of_squares }, &copies));
    found
}

/// There is no std.
fn reductions(backend: Backend) -> Vec<Row> {
    let whole: [(&str, Prepare<1>); _] = [
        ("sum", |d, s| of(d.normal(s), Tensor::sum)),
        ("mean", |d, s| of(d.normal(s), Tensor::mean)),
        ("var", |d, s| of(d.normal(s), |x| x.var(0))),
        ("max", |d, s| of(d.normal(s), Tensor::max)),
    ];
    let of_rows: [(&str, Prepare<2>); _] = [
        ("sum", |d, s| of(d.normal(s), |x| x.sum_dim(1))),
        ("mean", |d, s| of(d.normal(s), |x| x.mean_dim(1))),
        ("var", |d, s| of(d.normal(s), |x| x.var(1))),
        ("max", |d, s| of(d.normal(s), |x| x.max_dim(1))),
    ];
    let of_columns: [(&str, Prepare<2>); _] = [
        ("sum", |d, s| of(d.normal(s), |x| x.sum_dim(0))),
        ("mean", |d, s| of(d.normal(s), |x| x.mean_dim(0))),
        ("var", |d, s| of(d.normal(s), |x| x.var(0))),
        ("max", |d, s| of(d.normal(s), |x| x.max_dim(0))),
    ];
    let rows = Rows { dtypes: DTYPES, shape: Shape::Vector, whats: &BOTH[..1], sizes: SIZES };
    let mut found = group(backend, ("reduce", ""), rows, &whole);
    for n in [2, 8, 16, 100, 10_000] {
        let rows = Rows { shape: Shape::Rows(n), ..rows };
        found.extend(group(backend, ("reduce", &format!(" of rows of {n}")), rows, &of_rows));
    }
    let rows = Rows { shape: Shape::Rows(100), ..rows };
    found.extend(group(backend, ("reduce", " of columns"), rows, &of_columns));
    found
}

fn cross_entropy(logits: Tensor<2>, classes: Tensor<2, Int>) -> Tensor<2> {
    // As burn-nn's CrossEntropyLoss does it.
    activation::log_softmax(logits, 1).gather(1, classes).mean().neg().unsqueeze()
}

fn softmax_and_orders(backend: Backend) -> Vec<Row> {
    let softmax: [(&str, Prepare<2>); _] = [
        ("softmax", |d, s| of(d.normal(s), |x| activation::softmax(x, 1))),
        ("log_softmax", |d, s| of(d.normal(s), |x| activation::log_softmax(x, 1))),
        ("cross_entropy", |d, s| {
            let classes = d.places::<2>(s[1], &[s[0], 1]);
            of(d.normal(s), move |x| cross_entropy(x, classes.clone()))
        }),
    ];
    let vectors: [(&str, Prepare<1>); _] = [
        ("cumsum", |d, s| of(d.normal(s), |x| x.cumsum(0))),
        ("scatter_add", |d, s| {
            let index = d.places::<1>(s[0], s);
            work([d.normal(s), d.normal(s)], move |x| {
                x[0].clone().scatter(0, index.clone(), x[1].clone(), IndexingUpdateOp::Add)
            })
        }),
        ("sort", |d, s| of(d.normal(s), |x| x.sort_with_indices(0).0)),
    ];
    let of_rows: [(&str, Prepare<2>); _] = [
        ("cumsum", |d, s| of(d.normal(s), |x| x.cumsum(1))),
        ("gather", |d, s| {
            let index = d.places::<2>(s[1], s);
            of(d.normal(s), move |x| x.gather(1, index.clone()))
        }),
        ("index_select", |d, s| {
            let index = d.places::<1>(s[0], &s[..1]);
            of(d.normal(s), move |x| x.select(0, index.clone()))
        }),
        ("sort", |d, s| of(d.normal(s), |x| x.sort_with_indices(1).0)),
    ];
    let rows = Rows { dtypes: DTYPES, shape: Shape::Rows(100), whats: &BOTH, sizes: SIZES };
    let forward = Rows { whats: &BOTH[..1], ..rows };
    let mut found = group(backend, ("reduce", " of rows of 100"), rows, &softmax);
    found.extend(group(backend, ("reduce", " of rows of 100"), forward, &of_rows));
    found.extend(group(backend, ("reduce", ""), Rows { shape: Shape::Vector, ..forward }, &vectors));
    found
}

fn engine(backend: Backend) -> Vec<Row> {
    let gradient = |name: &str, sizes: &[usize], prepare: Prepare<1>| {
        let rows = Rows { dtypes: &DTYPES[..1], shape: Shape::Vector, whats: &BOTH[1..], sizes };
        rows_of(backend, name, rows, prepare)
    };
    let works = [
        gradient("engine/w x + b", &[1], |d, s| {
            let x = d.normal::<1>(s);
            work([d.normal(s), d.normal(s)], move |w| w[0].clone() * x.clone() + w[1].clone())
        }),
        gradient("engine/1000 sin", &[1], |d, s| of(d.normal(s), |x| (0..1000).fold(x, |y, _| y.sin()))),
        gradient("engine/100 multiply-adds", &[10], |d, s| {
            let (a, b) = (d.linspace(0.9, 1.1, s[0]), d.linspace(-0.1, 0.1, s[0]));
            of(d.linspace(0.1, 1.0, s[0]), move |v| (0..100).fold(v, |z, _| z * a.clone() + b.clone()))
        }),
        gradient("derivatives/Rosenbrock", &[200, 1000], |d, s| {
            of(d.linspace(-1.2, 1.3, s[0]), |x| {
                let n = x.dims()[0] - 1;
                let (head, tail) = (x.clone().narrow(0, 0, n), x.narrow(0, 1, n));
                (tail - head.clone().square()).square() * 100.0 + (head.neg() + 1.0).square()
            })
        }),
    ];
    works.into_iter().flatten().collect()
}

fn least_squares(backend: Backend) -> Vec<Row> {
    let sizes = &[3, 10, 30, 100, 300, 1000];
    let rows = Rows { dtypes: DTYPES, shape: Shape::Rows(1), whats: &BOTH[1..], sizes };
    rows_of(backend, "least_squares/least squares", rows, |draw, s| {
        let d = s[0];
        let (a, y) = (draw.normal::<2>(&[10 * d, d]), draw.normal::<2>(&[10 * d, 1]));
        of(draw.normal(s), move |x| (y.clone() - a.clone().matmul(x)).square())
    })
}

fn perceptron(backend: Backend) -> Vec<Row> {
    let rows = Rows { dtypes: &DTYPES[1..], shape: Shape::Rows(1), whats: &BOTH, sizes: &[128] };
    rows_of(backend, "elementwise/perceptron 784-256-10", rows, |d, images| {
        let (x, classes) = (d.normal::<2>(&[images[0], 784]), d.places::<2>(10, &[images[0], 1]));
        let weights = [[784, 256], [1, 256], [256, 10], [1, 10]].map(|s| d.normal::<2>(&s) * 0.05);
        work(weights, move |w| {
            let hidden = activation::relu(x.clone().matmul(w[0].clone()) + w[1].clone());
            cross_entropy(hidden.matmul(w[2].clone()) + w[3].clone(), classes.clone())
        })
    })
}

pub fn rows() -> Vec<Row> {
    #[expect(deprecated, reason = "what its users have until they move")]
    let backends: [Backend; _] = [("burn", Device::flex), ("burn_ndarray", Device::ndarray)];
    let parts = [elementwise, perceptron, reductions, softmax_and_orders, engine, least_squares];
    backends.into_iter().flat_map(|backend| parts.into_iter().flat_map(move |part| part(backend))).collect()
}
