//! candle, with its default features: products and some functions use rayon's threads.

use crate::measure::{Row, Run};
use crate::shape::{BOTH, SIZES, Shape, What};
use candle_core::{D, DType, Device, Result, Tensor, Var};
use candle_nn::{loss, ops};
use std::hint::black_box;

const DTYPES: &[DType] = &[DType::F64, DType::F32];

type Function = dyn Fn(&[Tensor]) -> Result<Tensor>;

/// Operands, all of which a gradient is taken with respect to, and what is done with them.
struct Work {
    operands: Vec<Tensor>,
    f: Box<Function>,
}

/// Draws the operands, for the shape of the first.
type Prepare = fn(Draw, &[usize]) -> Result<Work>;

/// Draws operands of a type.
#[derive(Clone, Copy)]
struct Draw(DType);

impl Draw {
    fn normal(self, shape: &[usize]) -> Result<Tensor> {
        match self.0 {
            DType::F64 => Tensor::randn(0.0, 1.0, shape, &Device::Cpu),
            _ => Tensor::randn(0_f32, 1.0, shape, &Device::Cpu),
        }
    }

    /// Between 0.1 and 3.1.
    fn positive(self, shape: &[usize]) -> Result<Tensor> {
        Tensor::rand(0.1, 3.1, shape, &Device::Cpu)?.to_dtype(self.0)
    }
}

/// Indices below this.
fn places(high: usize, shape: &[usize]) -> Result<Tensor> {
    Tensor::rand(0.0, high as f64, shape, &Device::Cpu)?.to_dtype(DType::I64)
}

fn linspace(low: f64, high: f64, n: usize) -> Result<Tensor> {
    let at = |i| low + (high - low) * i as f64 / (n - 1) as f64;
    Tensor::from_iter((0..n).map(at), &Device::Cpu)
}

fn work(
    operands: impl IntoIterator<Item = Result<Tensor>>,
    f: impl Fn(&[Tensor]) -> Result<Tensor> + 'static,
) -> Result<Work> {
    Ok(Work { operands: operands.into_iter().collect::<Result<_>>()?, f: Box::new(f) })
}

fn started(Work { operands, f }: Work, what: What) -> Result<Run> {
    let run: Run = match what {
        What::Forward => Box::new(move || {
            black_box(f(&operands).unwrap());
        }),
        What::Gradient => {
            let variables = operands.iter().map(Var::from_tensor).collect::<Result<Vec<_>>>()?;
            let operands: Vec<Tensor> = variables.iter().map(|v| v.as_tensor().clone()).collect();
            Box::new(move || {
                let gradients = f(&operands).and_then(|y| y.sum_all()?.backward()).unwrap();
                assert!(operands.iter().all(|x| gradients.get(x).is_some()), "every operand has a gradient");
                black_box(gradients);
            })
        }
    };
    Ok(run)
}

/// Where a work is measured.
struct Rows<'a> {
    dtypes: &'a [DType],
    shape: Shape,
    whats: &'a [What],
    sizes: &'a [usize],
}

fn rows_of(name: &str, Rows { dtypes, shape, whats, sizes }: Rows, prepare: Prepare) -> Vec<Row> {
    let mut rows = Vec::new();
    for &dtype in dtypes {
        for &what in whats {
            for (n, shape) in sizes.iter().map(|&n| (n, shape.of(n))).filter(|(_, s)| s[0] > 0) {
                let id = format!("{name}/{}/{}/{n}", dtype.as_str(), what.name());
                rows.push(Row::new("candle", id, move || {
                    prepare(Draw(dtype), &shape).and_then(|work| started(work, what)).unwrap()
                }));
            }
        }
    }
    rows
}

fn elementwise() -> Vec<Row> {
    let vectors: [(&str, Prepare); _] = [
        ("x * 2.5", |d, s| work([d.normal(s)], |x| &x[0] * 2.5)),
        ("x + y", |d, s| work([d.normal(s), d.normal(s)], |x| &x[0] + &x[1])),
        ("exp", |d, s| work([d.normal(s)], |x| x[0].exp())),
        ("log", |d, s| work([d.positive(s)], |x| x[0].log())),
        ("tanh", |d, s| work([d.normal(s)], |x| x[0].tanh())),
        ("sigmoid", |d, s| work([d.normal(s)], |x| ops::sigmoid(&x[0]))),
        ("sin", |d, s| work([d.normal(s)], |x| x[0].sin())),
        ("cos", |d, s| work([d.normal(s)], |x| x[0].cos())),
        ("erf", |d, s| work([d.normal(s)], |x| x[0].erf())),
        ("x ** 2.3", |d, s| work([d.positive(s)], |x| x[0].powf(2.3))),
        ("gelu", |d, s| work([d.normal(s)], |x| x[0].gelu_erf())),
    ];
    let squares: [(&str, Prepare); _] = [
        ("m + row", |d, s| work([d.normal(s), d.normal(&s[1..])], |x| x[0].broadcast_add(&x[1]))),
        ("m + column", |d, s| work([d.normal(s), d.normal(&[s[0], 1])], |x| x[0].broadcast_add(&x[1]))),
        ("s + s.t()", |d, s| work([d.normal(s)], |x| &x[0] + x[0].t()?)),
    ];
    let copies: [(&str, Prepare); _] = [
        ("s.t() copied", |d, s| work([d.normal(s)], |x| x[0].t()?.contiguous())),
        ("cat of s and s2", |d, s| work([d.normal(s), d.normal(s)], |x| Tensor::cat(x, 0))),
        ("s.flip(1) copied", |d, s| work([d.normal(s)], |x| x[0].flip(&[1])?.contiguous())),
    ];
    let mut rows = Vec::new();
    for (works, shape, whats) in [
        (&vectors[..], Shape::Vector, &BOTH[..]),
        (&squares, Shape::Square, &BOTH),
        (&copies, Shape::Square, &BOTH[..1]),
    ] {
        let rows_of = |&(name, prepare): &(&str, Prepare)| {
            rows_of(
                &format!("elementwise/{name}"),
                Rows { dtypes: DTYPES, shape, whats, sizes: SIZES },
                prepare,
            )
        };
        rows.extend(works.iter().flat_map(rows_of));
    }
    rows
}

/// There is no std, and the maximum of the whole has no gradient, which is not asked for.
fn reductions() -> Vec<Row> {
    let whole: [(&str, Prepare); _] = [
        ("sum", |d, s| work([d.normal(s)], |x| x[0].sum_all())),
        ("mean", |d, s| work([d.normal(s)], |x| x[0].mean_all())),
        ("var", |d, s| work([d.normal(s)], |x| x[0].var(0))),
        ("max", |d, s| work([d.normal(s)], |x| x[0].max_all())),
    ];
    let of_rows: [(&str, Prepare); _] = [
        ("sum", |d, s| work([d.normal(s)], |x| x[0].sum(1))),
        ("mean", |d, s| work([d.normal(s)], |x| x[0].mean(1))),
        ("var", |d, s| work([d.normal(s)], |x| x[0].var(1))),
        ("max", |d, s| work([d.normal(s)], |x| x[0].max(1))),
    ];
    let of_columns: [(&str, Prepare); _] = [
        ("sum", |d, s| work([d.normal(s)], |x| x[0].sum(0))),
        ("mean", |d, s| work([d.normal(s)], |x| x[0].mean(0))),
        ("var", |d, s| work([d.normal(s)], |x| x[0].var(0))),
        ("max", |d, s| work([d.normal(s)], |x| x[0].max(0))),
    ];
    let mut layouts = vec![(String::new(), Shape::Vector, whole)];
    layouts.extend([2, 8, 16, 100, 10_000].map(|n| (format!(" of rows of {n}"), Shape::Rows(n), of_rows)));
    layouts.push((" of columns".to_string(), Shape::Rows(100), of_columns));
    let rows_of = |(suffix, shape, works): (String, Shape, [(&str, Prepare); 4])| {
        works.map(|(name, f)| {
            rows_of(
                &format!("reduce/{name}{suffix}"),
                Rows { dtypes: DTYPES, shape, whats: &BOTH[..1], sizes: SIZES },
                f,
            )
        })
    };
    layouts.into_iter().flat_map(rows_of).flatten().collect()
}

fn softmax() -> Vec<Row> {
    // The one kernel for softmax has no gradient.
    let forward: [(&str, Prepare); _] =
        [("softmax of rows of 100", |d, s| work([d.normal(s)], |x| ops::softmax_last_dim(&x[0])))];
    let gradient: [(&str, Prepare); _] =
        [("softmax of rows of 100", |d, s| work([d.normal(s)], |x| ops::softmax(&x[0], 1)))];
    let both: [(&str, Prepare); _] = [
        ("log_softmax of rows of 100", |d, s| work([d.normal(s)], |x| ops::log_softmax(&x[0], 1))),
        ("logsumexp of rows of 100", |d, s| work([d.normal(s)], |x| x[0].log_sum_exp(1))),
        ("cross_entropy of rows of 100", |d, s| {
            let classes = places(s[1], &s[..1])?;
            work([d.normal(s)], move |x| loss::cross_entropy(&x[0], &classes))
        }),
    ];
    let mut rows = Vec::new();
    for (works, whats) in [(&forward[..], &BOTH[..1]), (&gradient, &BOTH[1..]), (&both, &BOTH)] {
        let rows_of = |&(name, prepare): &(&str, Prepare)| {
            rows_of(
                &format!("reduce/{name}"),
                Rows { dtypes: DTYPES, shape: Shape::Rows(100), whats, sizes: SIZES },
                prepare,
            )
        };
        rows.extend(works.iter().flat_map(rows_of));
    }
    rows
}

fn orders() -> Vec<Row> {
    let vectors: [(&str, Prepare); _] = [
        ("scatter_add", |d, s| {
            let index = places(s[0], s)?;
            work([d.normal(s), d.normal(s)], move |x| x[0].scatter_add(&index, &x[1], 0))
        }),
        ("sort", |d, s| work([d.normal(s)], |x| Ok(x[0].sort_last_dim(true)?.0))),
    ];
    let of_rows: [(&str, Prepare); _] = [
        ("cumsum of rows of 100", |d, s| work([d.normal(s)], |x| x[0].cumsum(1))),
        ("gather of rows of 100", |d, s| {
            let index = places(s[1], s)?;
            work([d.normal(s)], move |x| x[0].gather(&index, D::Minus1))
        }),
        ("index_select of rows of 100", |d, s| {
            let index = places(s[0], &s[..1])?;
            work([d.normal(s)], move |x| x[0].index_select(&index, 0))
        }),
        ("sort of rows of 100", |d, s| work([d.normal(s)], |x| Ok(x[0].sort_last_dim(true)?.0))),
    ];
    let mut rows = Vec::new();
    for (works, shape) in [(&vectors[..], Shape::Vector), (&of_rows, Shape::Rows(100))] {
        let rows_of = |&(name, prepare): &(&str, Prepare)| {
            rows_of(
                &format!("reduce/{name}"),
                Rows { dtypes: DTYPES, shape, whats: &BOTH[..1], sizes: SIZES },
                prepare,
            )
        };
        rows.extend(works.iter().flat_map(rows_of));
    }
    // By a product with a triangle of ones, which does not fit into memory for more elements.
    let cumsum: Prepare = |d, s| work([d.normal(s)], |x| x[0].cumsum(0));
    let at = Rows { dtypes: DTYPES, shape: Shape::Vector, whats: &BOTH[..1], sizes: &SIZES[..1] };
    rows.extend(rows_of("reduce/cumsum", at, cumsum));
    rows
}

/// The gradients of works on vectors.
fn gradients(name: &str, dtypes: &[DType], sizes: &[usize], prepare: Prepare) -> Vec<Row> {
    rows_of(name, Rows { dtypes, shape: Shape::Vector, whats: &BOTH[1..], sizes }, prepare)
}

fn engine() -> Vec<Row> {
    let gradient =
        |name: &str, sizes: &[usize], prepare: Prepare| gradients(name, &DTYPES[..1], sizes, prepare);
    [
        gradient("engine/w x + b", &[1], |d, _| {
            let x = d.normal(&[])?;
            work([d.normal(&[]), d.normal(&[])], move |w| (&w[0] * &x)? + &w[1])
        }),
        gradient("engine/1000 sin", &[1], |d, _| {
            work([d.normal(&[])], |x| (0..1000).try_fold(x[0].clone(), |y, _| y.sin()))
        }),
        gradient("engine/100 multiply-adds", &[10], |_, s| {
            let (a, b) = (linspace(0.9, 1.1, s[0])?, linspace(-0.1, 0.1, s[0])?);
            work([linspace(0.1, 1.0, s[0])], move |v| (0..100).try_fold(v[0].clone(), |z, _| (z * &a)? + &b))
        }),
        gradient("derivatives/Rosenbrock", &[200, 1000], |_, s| {
            work([linspace(-1.2, 1.3, s[0])], |x| {
                let n = x[0].dim(0)? - 1;
                let (head, tail) = (x[0].narrow(0, 0, n)?, x[0].narrow(0, 1, n)?);
                ((tail - head.sqr()?)?.sqr()? * 100.0)? + (head.neg()? + 1.0)?.sqr()?
            })
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn least_squares() -> Vec<Row> {
    let sizes = [3, 10, 30, 100, 300, 1000];
    gradients("least_squares/least squares", DTYPES, &sizes, |draw, s| {
        let d = s[0];
        let (a, y) = (draw.normal(&[10 * d, d])?, draw.normal(&[10 * d])?);
        work([draw.normal(&[d])], move |x| (&y - a.mv(&x[0])?)?.sqr())
    })
}

fn perceptron() -> Vec<Row> {
    let at = Rows { dtypes: &DTYPES[1..], shape: Shape::Vector, whats: &BOTH, sizes: &[128] };
    rows_of("elementwise/perceptron 784-256-10", at, |d, images| {
        let (x, classes) = (d.normal(&[images[0], 784])?, places(10, images)?);
        let shapes: [&[usize]; _] = [&[784, 256], &[256], &[256, 10], &[10]];
        work(shapes.map(|s| d.normal(s)? * 0.05), move |w| {
            let hidden = x.matmul(&w[0])?.broadcast_add(&w[1])?.relu()?;
            loss::cross_entropy(&hidden.matmul(&w[2])?.broadcast_add(&w[3])?, &classes)
        })
    })
}

pub fn rows() -> Vec<Row> {
    [elementwise(), perceptron(), reductions(), softmax(), orders(), engine(), least_squares()]
        .into_iter()
        .flatten()
        .collect()
}
