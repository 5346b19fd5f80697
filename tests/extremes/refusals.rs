//! Absurd arguments: an error before work begins.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use tapegrad::linalg::{SparseJacobian, Triangle, block_diag, einsum, kron, toeplitz, vander};
use tapegrad::prelude::*;
use tapegrad::{
    Array, Layout, PrintOptions, gradcheck, gradgradcheck, jvp_batched, kernels, linalg, memory, random,
    shape::Dims, vjp_batched, with_print_options,
};

/// For what does not return a `Result`.
fn done<R>(_: R) -> Result<()> {
    Ok(())
}

type Case = (&'static str, fn() -> Result<()>);

/// What an absurd call may take.
const QUICK: Duration = Duration::from_secs(2);

/// The answer of `f`, with a panic of memory running out as its error; any other panic, and taking long, is a complaint.
fn answer(name: &str, f: impl FnOnce() -> Result<()>) -> std::result::Result<Result<()>, String> {
    let start = Instant::now();
    let outcome =
        catch_unwind(AssertUnwindSafe(|| memory::try_run(f))).map_err(|_| format!("{name}: a panic"))?;
    let took = start.elapsed();
    if took > QUICK { Err(format!("{name}: {took:?}")) } else { Ok(outcome) }
}

/// A vector of 2^`log` elements that takes the memory of one.
fn long(log: u32) -> Tensor {
    Tensor::scalar(0.5).expand([1usize << log]).unwrap()
}

/// Results that no memory holds: the error comes before the work.
const TOO_LARGE: &[Case] = &[
    ("vander, 2^33", || vander(&Tensor::from([2.0, 3.0]), 1usize << 33, false).map(drop)),
    ("vander, 2^45 decreasing", || vander(&Tensor::from([2.0f32]), 1usize << 45, true).map(drop)),
    ("vander, usize::MAX", || vander(&Tensor::ones([3, 2]), usize::MAX, false).map(drop)),
    ("vander of 2^57", || vander(&long(57), 2, false).map(drop)),
    ("split", || long(58).split(1, 0).map(drop)),
    ("split, i64", || Tensor::scalar(1i64).expand([3, 1usize << 50])?.split(2, 1).map(drop)),
    ("chunk", || long(58).chunk(usize::MAX, 0).map(drop)),
    ("chunk, 2^40", || long(58).chunk(1usize << 40, 0).map(drop)),
    ("gather", || {
        let index = Tensor::scalar(0i64).expand([1usize << 57])?;
        Tensor::from([1.0, 2.0]).gather(0, &index).map(drop)
    }),
    ("gather of a matrix", || {
        long(57)
            .reshape([1 << 27, 1 << 30])?
            .gather(0, &Tensor::scalar(0i64).expand([2, 1 << 30])?.repeat([1 << 10, 1])?)
            .map(drop)
    }),
    ("index_select", || {
        let index = Tensor::scalar(0i64).expand([1usize << 57])?;
        Tensor::from([1.0, 2.0]).index_select(0, &index).map(drop)
    }),
    ("index_put", || long(57).index_put(Tensor::from([0]), Tensor::from([1.0]), false).map(drop)),
    ("scatter_add", || long(57).scatter_add(0, Tensor::from([0]), &Tensor::from([1.0])).map(drop)),
    ("masked_select", || long(57).masked_select(&long(57).gt(0.0)?).map(drop)),
    ("nonzero", || done(long(57).nonzero())),
    ("sort", || long(57).sort(0, false).map(drop)),
    ("topk", || long(57).topk(3, 0, true).map(drop)),
    ("median", || long(57).median().map(drop)),
    ("quantile", || long(57).quantile(0.5, 0).map(drop)),
    ("searchsorted", || Tensor::from([1.0, 2.0]).searchsorted(&long(57), false).map(drop)),
    ("cumsum", || long(57).cumsum(0).map(drop)),
    ("cumprod", || long(57).cumprod(0).map(drop)),
    ("cummax", || long(57).cummax(0).map(drop)),
    ("exp", || done(long(57).exp())),
    ("to_vec", || done(long(57).to_vec())),
    ("into_vec", || done(long(57).into_vec())),
    ("contiguous", || done(long(57).contiguous())),
    ("reshape", || {
        long(57)
            .reshape([1 << 30, 1 << 27])?
            .try_add(&Tensor::zeros([1 << 10, 1, 1]))?
            .reshape([-1])
            .map(drop)
    }),
    ("repeat", || Tensor::from([1.0]).repeat([usize::MAX]).map(drop)),
    ("repeat, 2^57", || {
        Tensor::from([1.0, 2.0]).repeat([1usize << 57, 1])?.try_mul(&Tensor::from([1.0, 2.0])).map(drop)
    }),
    ("pad, isize::MAX", || Tensor::from([1.0]).pad([isize::MAX, isize::MAX], 0.0).map(drop)),
    ("pad, 2^57", || Tensor::from([1.0]).pad((1i64 << 57, 0), 0.0).map(drop)),
    ("cat of many", || {
        let x = long(59).reshape([1, 1usize << 59])?;
        Tensor::cat(&[&x; 20], 1).map(drop)
    }),
    ("cat, 2^64", || Tensor::cat(&vec![&long(59); 32], 0).map(drop)),
    ("stack", || Tensor::stack(&[&long(57); 4], 0).map(drop)),
    ("meshgrid", || Tensor::meshgrid(&[&long(40), &long(40)]).map(drop)),
    ("diag_embed", || Tensor::from([1.0]).diag_embed(isize::MIN).map(drop)),
    ("diag_embed, 2^40", || Tensor::from([1.0]).diag_embed(1i64 << 40).map(drop)),
    ("tril", || Tensor::scalar(1.0).expand([1usize << 28, 1 << 28])?.tril(0).map(drop)),
    ("triu", || Tensor::scalar(1.0).expand([1usize << 31, 1 << 20])?.triu(isize::MIN).map(drop)),
    ("outer", || long(30).outer(&long(30)).map(drop)),
    ("kron", || kron(&long(30), &long(30)).map(drop)),
    ("toeplitz", || toeplitz(&long(30), &long(30)).map(drop)),
    ("block_diag", || {
        let x = Tensor::scalar(1.0).expand([1, 1usize << 60])?;
        block_diag(&[&x; 17]).map(drop)
    }),
    ("block_diag, 2^30", || {
        block_diag(&[&Tensor::scalar(1.0).expand([1usize << 15, 1 << 15])?; 40]).map(drop)
    }),
    ("einsum", || einsum("i,j->ij", &[&long(31), &long(31)]).map(drop)),
    ("mm", || Tensor::scalar(1.0).expand([1usize << 30, 2])?.mm(&Tensor::ones([2, 1 << 10])).map(drop)),
    ("arange", || arange(0i64, i64::MAX, 1).map(drop)),
    ("arange, 2^50", || arange(0.0, (1u64 << 50) as f64, 1.0).map(drop)),
    ("linspace", || linspace(0.0, 1.0, usize::MAX).map(drop)),
    ("linspace, 2^45", || linspace(0.0f32, 1.0, 1usize << 45).map(drop)),
    ("eye", || done(Tensor::eye(1usize << 31))),
    ("eye, usize::MAX", || done(Tensor::eye(usize::MAX))),
    ("randperm", || Tensor::randperm(usize::MAX).map(drop)),
    ("randperm, 2^44", || Tensor::randperm(1usize << 44).map(drop)),
    ("rand", || done(Tensor::rand([1usize << 50]))),
    ("randint", || Tensor::randint(0, 2, [1usize << 50]).map(drop)),
    ("zeros", || done(Tensor::zeros([usize::MAX, 3]))),
    ("full", || Tensor::try_full([1usize << 55], 1.0f32).map(drop)),
    ("inverse", || Tensor::scalar(1.0).expand([1usize << 25, 1 << 25])?.inverse().map(drop)),
    ("cholesky", || Tensor::scalar(1.0).expand([1usize << 25, 1 << 25])?.cholesky(false).map(drop)),
    ("qr", || linalg::qr_complete(&Tensor::scalar(1.0).expand([1usize << 30, 1])?).map(drop)),
    ("svd", || Tensor::scalar(1.0).expand([1usize << 25, 1 << 25])?.svd().map(drop)),
    ("eigh", || Tensor::scalar(1.0).expand([1usize << 25, 1 << 25])?.eigh().map(drop)),
    ("sparse eye", || SparseTensor::eye(1usize << 60).map(drop)),
    ("sparse to_dense", || sparse([1 << 30, 1 << 29])?.to_dense().map(drop)),
    ("sparse to_csr", || sparse([1 << 60, 2])?.to_csr().map(drop)),
    ("sparse mv", || sparse([1 << 50, 2])?.mv(&Tensor::ones([2])).map(drop)),
    ("sparse mm", || sparse([4, 1 << 50])?.t()?.mm(&Tensor::ones([4, 2])).map(drop)),
    ("sparse jacobian", || SparseJacobian::new(&sparse([1 << 40, 1 << 20])?).map(drop)),
    ("random::rand", || random::rand::<f32>(&[1 << 58]).map(drop)),
    ("Array::zeros", || Array::<bool>::zeros(&[1 << 59]).map(drop)),
    ("print in full", || {
        let text = with_print_options(PrintOptions::full(), || long(57).to_string());
        assert!(text.len() < 200, "{text}");
        Err(Error::argument("print", "shortened"))
    }),
];

/// One element in a matrix of this shape.
fn sparse(shape: [usize; 2]) -> Result<SparseTensor> {
    SparseTensor::coo(&Tensor::from([[1], [1]]), &Tensor::from([2.0]), shape)
}

#[test]
fn what_no_memory_holds_is_refused_before_the_work() {
    let mut complaints = Vec::new();
    for (name, f) in TOO_LARGE {
        match answer(name, f) {
            Ok(Err(e)) if *name == "print in full" || matches!(e.kind(), ErrorKind::OutOfMemory { .. }) => {}
            Ok(Err(e)) => complaints.push(format!("{name}: {e:?}")),
            Ok(Ok(())) => complaints.push(format!("{name}: an answer")),
            Err(complaint) => complaints.push(complaint),
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// One element that stands for 2^57 is reduced at once, to what as many elements would give.
#[test]
fn reductions_of_what_is_repeated() -> Result<()> {
    let start = Instant::now();
    let n = (1u64 << 57) as f64;
    assert_eq!(long(57).sum().item()?, 0.5 * n);
    assert_eq!((long(57).mean().item()?, long(57).max()?.item()?), (0.5, 0.5));
    let flags = Tensor::scalar(true).expand([1usize << 58])?;
    assert!(flags.all() && flags.any());
    assert_eq!(long(57).argmax(0, false)?.item()?, 0);
    let x = Tensor::from([[1.0], [f64::NAN], [-2.0]]).expand([3, 1usize << 50])?;
    let sums = x.sum_dim(1, false)?.to_vec();
    assert_eq!((sums[0], sums[2]), ((1u64 << 50) as f64, -2.0 * (1u64 << 50) as f64));
    assert!(sums[1].is_nan());
    assert_eq!(x.argmax(0, false).err().map(|e| e.op()), Some("argmax"));
    assert_eq!(x.narrow(1, 0, 5)?.argmax(0, false)?.to_vec(), [1; 5]);
    assert_eq!(Tensor::scalar(3i64).expand([5usize, 1 << 55])?.amax(1, false)?.to_vec(), [3; 5]);
    for n in [1usize, 2, 3, 5, 100, 1023] {
        let expanded = Tensor::from([0.1, 7.0, -3.0]).expand([n, 2, 3])?;
        let copied = expanded.contiguous();
        for dims in [&[0][..], &[1], &[0, 1], &[0, 2], &[0, 1, 2]] {
            let (a, b) = (expanded.sum_dim(dims, false)?, copied.sum_dim(dims, false)?);
            assert!(a.allclose(&b, 1e-14, 1e-14)?, "{n} {dims:?}");
            assert_eq!(expanded.amax(dims, true)?.to_vec(), copied.amax(dims, true)?.to_vec());
        }
    }
    assert!(start.elapsed() < QUICK);
    Ok(())
}

/// Vandermonde matrices are what they were: powers by powers of two.
#[test]
fn vandermonde_matrices_of_any_width() -> Result<()> {
    let x = Tensor::from([2.0, -3.0, 0.0, 0.5]).requires_grad();
    for n in [2, 3, 5, 8, 13] {
        let (up, down) = (vander(&x, n, false)?, vander(&x, n, true)?);
        for (i, base) in x.to_vec().into_iter().enumerate() {
            for k in 0..n {
                assert_eq!(up.get([i as isize, k as isize])?, base.powi(k));
                assert_eq!(down.get([i as isize, (n - 1 - k) as isize])?, base.powi(k));
            }
        }
        let slope = grad(&up.sum(), [&x])?.remove(0).unwrap();
        let expected = |base: f64| (1..n).map(|k| f64::from(k) * base.powi(k - 1)).sum::<f64>();
        assert_eq!(slope.to_vec(), x.to_vec().into_iter().map(expected).collect::<Vec<_>>(), "{n}");
    }
    Ok(())
}

/// None that a machine could really have.
const SIZES: [usize; 9] = [0, 1, 2, 3, (1 << 42) - 1, 1 << 42, 1 << 57, isize::MAX as usize, usize::MAX];
const OFFSETS: [isize; 13] =
    [isize::MIN, isize::MIN + 1, -(1 << 57), -(1 << 42), -3, -2, -1, 0, 1, 2, 1 << 42, 1 << 57, isize::MAX];
const NUMBERS: [f64; 10] =
    [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 0.0, -1.0, 0.5, 5e-324, 1e300];

/// Tensors of every kind: without dimensions, without elements, with NaN, matrices, batches, variables.
fn tensors() -> Vec<Tensor> {
    vec![
        Tensor::scalar(2.0),
        Tensor::zeros([0]),
        Tensor::from([1.0, f64::NAN, 3.0]),
        Tensor::zeros([0, 3]),
        Tensor::from([[2.0, 1.0], [1.0, 3.0]]),
        Tensor::from([[2.0, 1.0], [1.0, 3.0]]).requires_grad(),
        Tensor::from([[1.0, f64::INFINITY, 0.0]]),
        Tensor::ones([2, 2, 2]).t().unwrap_or_else(|_| Tensor::ones([2, 3, 3])),
        Tensor::from([[1.0, 2.0], [3.0, 4.0]]).requires_grad().t().unwrap(),
    ]
}

/// Calls with every combination of absurd sizes, offsets and numbers: whatever they answer, they do so at once, and
/// without a panic.
#[test]
fn absurd_arguments_are_answered() {
    let mut complaints = Vec::new();
    let mut check = |name: String, f: &dyn Fn() -> Result<()>| {
        if let Err(complaint) = answer(&name, f) {
            complaints.push(complaint);
        }
    };
    type OfSize = fn(&Tensor, usize) -> Result<()>;
    let of_sizes: [(&str, OfSize); 14] = [
        ("narrow length", |x, n| x.narrow(0, 0, n).map(drop)),
        ("split", |x, n| x.split(n, 0).map(drop)),
        ("chunk", |x, n| x.chunk(n, -1).map(drop)),
        ("topk", |x, n| x.topk(n, 0, true).map(drop)),
        ("repeat", |x, n| x.repeat([n, 1, 1]).map(drop)),
        ("expand", |x, n| x.expand([n, 2, 2]).map(drop)),
        ("reshape", |x, n| x.reshape([n, 2]).map(drop)),
        ("view", |x, n| x.view([2, n]).map(drop)),
        ("tensordot", |x, n| linalg::tensordot(x, x, n).map(drop)),
        ("Array::select", |x, n| x.array().select("select", n, n).map(drop)),
        ("Array::slice", |x, n| x.array().slice("slice", n % 3, n, n as isize, n).map(drop)),
        ("Array::permute", |x, n| x.array().permute("permute", &[n, 0]).map(drop)),
        ("Array::insert_dim", |x, n| x.array().insert_dim("insert_dim", n).map(drop)),
        ("Array::from_memory", |_, n| {
            Array::from_memory(vec![1.0, 2.0], &[n, n], &[n as isize, 1], n).map(drop)
        }),
    ];
    type OfOffset = fn(&Tensor, isize) -> Result<()>;
    let of_offsets: [(&str, OfOffset); 44] = [
        ("narrow", |x, k| x.narrow(k, k, 1).map(drop)),
        ("narrow from", |x, k| x.narrow(0, k, 1).map(drop)),
        ("select", |x, k| x.select(0, k).map(drop)),
        ("select dim", |x, k| x.select(k, 0).map(drop)),
        ("get", |x, k| x.get([k, k]).map(drop)),
        ("row", |x, k| x.row(k).map(drop)),
        ("slice", |x, k| x.slice(s![k.., ..k]).map(drop)),
        ("slice to", |x, k| x.slice(s![..k]).map(drop)),
        ("slice by", |x, k| if k == 0 { Ok(()) } else { x.slice(s![..;k]).map(drop) }),
        ("flip", |x, k| x.flip(k).map(drop)),
        ("roll", |x, k| x.roll(k, 0).map(drop)),
        ("roll dim", |x, k| x.roll(1, k).map(drop)),
        ("pad", |x, k| x.pad([k, k], 0.0).map(drop)),
        ("pad one", |x, k| x.pad([0, k], 0.0).map(drop)),
        ("diagonal", |x, k| x.diagonal(k, 0, 1).map(drop)),
        ("diagonal dims", |x, k| x.diagonal(0, k, 0).map(drop)),
        ("diag_embed", |x, k| x.diag_embed(k).map(drop)),
        ("diag", |x, k| x.diag(k).map(drop)),
        ("tril", |x, k| x.tril(k).map(drop)),
        ("triu", |x, k| x.triu(k).map(drop)),
        ("cumsum", |x, k| x.cumsum(k).map(drop)),
        ("cumprod", |x, k| x.cumprod(k).map(drop)),
        ("cummax", |x, k| x.cummax(k).map(drop)),
        ("sort", |x, k| x.sort(k, true).map(drop)),
        ("topk", |x, k| x.topk(1, k, true).map(drop)),
        ("quantile", |x, k| x.quantile(0.5, k).map(drop)),
        ("median_dim", |x, k| x.median_dim(k, false).map(drop)),
        ("argmax", |x, k| x.argmax(k, true).map(drop)),
        ("max_dim", |x, k| x.max_dim(k, false).map(drop)),
        ("sum_dim", |x, k| x.sum_dim([k, 0], false).map(drop)),
        ("var_dim", |x, k| x.var_dim(k, false).map(drop)),
        ("softmax", |x, k| x.softmax(k).map(drop)),
        ("vector_norm", |x, k| x.vector_norm(3.0, k, false).map(drop)),
        ("gather", |x, k| x.gather(k, Tensor::full([1, 1], k as i64)).map(drop)),
        ("scatter_add", |x, k| x.scatter_add(0, Tensor::full([1], k as i64), &Tensor::ones([1])).map(drop)),
        ("index_select", |x, k| x.index_select(k, Tensor::full([2], k as i64)).map(drop)),
        ("index_put", |x, k| x.index_put(Tensor::full([2], k as i64), Tensor::ones([1]), true).map(drop)),
        ("cat", |x, k| Tensor::cat(&[x, x], k).map(drop)),
        ("stack", |x, k| Tensor::stack(&[x, x], k).map(drop)),
        ("unsqueeze", |x, k| x.unsqueeze(k).map(drop)),
        ("squeeze", |x, k| x.squeeze(k).map(drop)),
        ("transpose", |x, k| x.transpose(k, 0).map(drop)),
        ("permute", |x, k| x.permute([k, 0]).map(drop)),
        ("reshape", |x, k| x.reshape([k, -1]).map(drop)),
    ];
    type OfNumber = fn(&Tensor, f64) -> Result<()>;
    let of_numbers: [(&str, OfNumber); 17] = [
        ("quantile", |x, c| x.quantile(c, 0).map(drop)),
        ("vector_norm", |x, c| x.vector_norm(c, 0, false).map(drop)),
        ("matrix_norm", |x, c| x.matrix_norm(c).map(drop)),
        ("var_with", |x, c| x.var_with(0, false, c).map(drop)),
        ("clamp", |x, c| done(x.clamp(c, -c))),
        ("powf", |x, c| done(x.powf(c))),
        ("elu", |x, c| done(x.elu(c))),
        ("huber_loss", |x, c| x.huber_loss(x, c).map(drop)),
        ("isclose", |x, c| x.isclose(x, c, c).map(drop)),
        ("arange", |_, c| arange(0.0, c, 1.0).map(drop)),
        ("arange from", |_, c| arange(c, c + 3.0, 1.0).map(drop)),
        ("arange by", |_, c| arange(0.0, 1.0, c).map(drop)),
        ("linspace", |_, c| linspace(-c, c, 5).map(drop)),
        ("matrix_rank", |x, c| linalg::matrix_rank(x, Some(c)).map(drop)),
        ("lstsq", |x, c| linalg::lstsq(x, x, Some(c)).map(drop)),
        ("cholesky_jitter", |x, c| linalg::cholesky_jitter(x, c).map(drop)),
        ("symmetric_power", |x, c| linalg::symmetric_power(x, c).map(drop)),
    ];
    for (i, x) in tensors().iter().enumerate() {
        for n in SIZES {
            for (name, f) in of_sizes {
                check(format!("{name} {n} of tensor {i}"), &|| f(x, n));
            }
        }
        for k in OFFSETS {
            for (name, f) in of_offsets {
                check(format!("{name} {k} of tensor {i}"), &|| f(x, k));
            }
        }
        for c in NUMBERS {
            for (name, f) in of_numbers {
                check(format!("{name} {c} of tensor {i}"), &|| f(x, c));
            }
        }
    }
    for (low, high) in
        [(i64::MIN, i64::MAX), (3, 3), (i64::MAX, i64::MIN), (0, 1 << 53), (i64::MAX - 1, i64::MAX)]
    {
        check(format!("randint {low} {high}"), &|| Tensor::randint(low, high, [3]).map(drop));
        for step in [i64::MIN, -1, 0, 1, i64::MAX] {
            check(format!("arange {low} {high} {step}"), &|| arange(low, high, step).map(drop));
        }
    }
    for n in [i32::MIN, i32::MAX, -1, 0] {
        check(format!("matrix_power {n}"), &|| linalg::matrix_power(&(Tensor::eye(2) * 1.5), n).map(drop));
    }
    check("solve_triangular".into(), &|| {
        linalg::solve_triangular(&Tensor::zeros([0, 0]), &Tensor::zeros([0]), Triangle::UPPER).map(drop)
    });
    let outside = Layout::strided(Dims::from_slice(&[2]), &[isize::MAX], usize::MAX);
    let x = Array::from_vec(vec![1.0, 2.0], &[2]).unwrap();
    check("embed".into(), &|| kernels::embed("embed", &[3], &outside, &x).map(drop));
    assert_eq!(kernels::embed("embed", &[3], &outside, &x).err().unwrap().kind(), ErrorKind::Shape);
    let other = Layout::row_major(Dims::from_slice(&[3]));
    assert_eq!(kernels::embed("embed", &[3], &other, &x).err().unwrap().kind(), ErrorKind::Shape);
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// Inputs and outputs without elements, alone and beside others, in every transform.
#[test]
fn transforms_of_nothing() -> Result<()> {
    let (one, none) = (Tensor::ones([1]), Tensor::zeros([0]));
    let f = |x: &[Tensor; 2]| Ok(x[0].expand([10])? + x[1].sum());
    let [a, b] = jacobian(f, &[one.clone(), none.clone()])?;
    assert_eq!((a.shape(), b.shape()), (&[10, 1][..], &[10, 0][..]));
    assert_eq!(a.to_vec(), [1.0; 10]);

    let sizes = [0usize, 1, 2, 7, 40];
    for n in sizes {
        for m in sizes {
            let x = Tensor::full([n], 0.5);
            let beside = Tensor::zeros([0, 3]);
            // m elements, each the sum of squares.
            let wide = |x: &Tensor| x.square().sum().expand([m]);
            let pair = |x: &[Tensor; 2]| Ok(x[0].square().sum().expand([m])? * (x[1].sum() + 1.0));
            let scalar = |x: &Tensor| Ok(x.square().sum());
            let both = |x: &[Tensor; 2]| Ok(x[0].square().sum() * (x[1].sum() + 1.0));
            let xs = [x.clone(), beside.clone()];

            let j = jacobian(wide, &x)?;
            assert_eq!((j.shape(), j.to_vec()), (&[m, n][..], vec![1.0; m * n]));
            let [j, none] = jacobian(pair, &xs)?;
            assert_eq!((j.shape(), none.shape()), (&[m, n][..], &[m, 0, 3][..]));
            assert_eq!(j.to_vec(), vec![1.0; m * n]);
            let turned = jacobian(|x: &[Tensor; 2]| Ok([x[1].clone(), wide(&x[0])?]), &xs)?;
            assert_eq!(turned[0][0].shape(), [0, 3, n]);
            assert_eq!(turned[0][1].shape(), [0, 3, 0, 3]);
            assert_eq!(turned[1][0].shape(), [m, n]);

            let (value, g) = value_and_grad(both, &xs)?;
            assert_eq!((value.item()?, g[0].shape(), g[1].shape()), (0.25 * n as f64, &[n][..], &[0, 3][..]));
            let (y, g) = vjp(pair, &xs, &Tensor::ones([m]))?;
            assert_eq!((y.shape(), g[0].to_vec(), g[1].shape()), (&[m][..], vec![m as f64; n], &[0, 3][..]));
            let (y, d) = jvp(pair, &xs, &[Tensor::ones([n]), beside.clone()])?;
            assert_eq!((y.shape(), d.to_vec()), (&[m][..], vec![n as f64; m]));
            let h = hessian(scalar, &x)?;
            assert_eq!((h.shape(), h.sum().item()?), (&[n, n][..], 2.0 * n as f64));
            let h = hessian(both, &xs)?;
            assert_eq!(
                (h[0][0].shape(), h[0][1].shape(), h[1][1].shape()),
                (&[n, n][..], &[n, 0, 3][..], &[0, 3, 0, 3][..])
            );
            let p = hvp(both, &xs, &[Tensor::ones([n]), beside.clone()])?;
            assert_eq!((p[0].to_vec(), p[1].shape()), (vec![2.0; n], &[0, 3][..]));

            for rows in [0usize, 1, 3] {
                let (_, g) = vjp_batched(wide, &x, &Tensor::ones([rows, m]))?;
                assert_eq!((g.shape(), g.to_vec()), (&[rows, n][..], vec![m as f64; rows * n]));
                let (_, d) = jvp_batched(wide, &x, &Tensor::ones([rows, n]))?;
                assert_eq!((d.shape(), d.to_vec()), (&[rows, m][..], vec![n as f64; rows * m]));
                let leaf = x.clone().requires_grad();
                let options = GradOptions {
                    batched: true,
                    cotangent: Some(Tensor::ones([rows, m])),
                    ..Default::default()
                };
                let g = grad_with(&wide(&leaf)?, [&leaf], options)?.remove(0).unwrap();
                assert_eq!((g.shape(), g.sum().item()?), (&[rows, n][..], (rows * n * m) as f64));
            }

            gradcheck(|x| wide(&x[0]), std::slice::from_ref(&x))?;
            gradcheck(|x| Ok(x[0].square().sum().expand([m])? * (x[1].sum() + 1.0)), &xs)?;
            gradgradcheck(|x| wide(&x[0]), std::slice::from_ref(&x))?;
            gradgradcheck(|x| Ok(x[0].square().sum().expand([m])? * (x[1].sum() + 1.0)), &xs)?;

            let plan = SparseJacobian::detect(wide, &x)?;
            let j = plan.evaluate(wide, &x)?;
            assert_eq!((j.shape(), j.nnz()), (vec![m, n], m * n));
            let nothing = |_: &Tensor| Ok(Tensor::zeros([m]));
            assert_eq!(SparseJacobian::detect(nothing, &x)?.evaluate(nothing, &x)?.nnz(), 0);
        }
    }
    Ok(())
}

/// Printing takes whatever options there are.
#[test]
fn printing_with_absurd_options() {
    let tensors = [
        Tensor::from([1.0, 1e300, 5e-324]),
        Tensor::from([0.5, f64::NAN]),
        Tensor::ones([30, 40]),
        Tensor::zeros([0, 3]),
        Tensor::scalar(1.25),
    ];
    let integers = Tensor::from([1i64, i64::MIN]);
    let absurd = [0, 1, 3, 1074, 65_535, 65_536, 1 << 31, isize::MAX as usize, usize::MAX];
    for n in absurd {
        let default = PrintOptions::default();
        let all = [
            PrintOptions { precision: n, ..default },
            PrintOptions { precision: n, scientific: Some(true), ..default },
            PrintOptions { precision: n, scientific: Some(false), ..default },
            PrintOptions { edge_items: n, threshold: 5, ..default },
            PrintOptions { threshold: n, ..default },
            PrintOptions { line_width: n, ..default },
            PrintOptions { precision: n, threshold: n, edge_items: n, line_width: n, scientific: None },
        ];
        for options in all {
            with_print_options(options, || {
                for x in &tensors {
                    let text = x.to_string();
                    assert!(
                        text.starts_with("tensor(") && text.len() < 5 << 20,
                        "{options:?}: {}",
                        text.len()
                    );
                }
                assert!(integers.to_string().starts_with("tensor("));
            });
        }
    }
    // No digit is lost at the bound: 2^-1074 has 1074 of them.
    let exact = with_print_options(PrintOptions { precision: usize::MAX, ..PrintOptions::default() }, || {
        Tensor::from([0.1]).to_string()
    });
    assert!(exact.contains("0.1000000000000000055511151231257827021181583404541015625000"));
    // What would take gigabytes is shortened, whatever the options: here 2^57 and 2^40 elements.
    let shown = PrintOptions { threshold: 5, edge_items: usize::MAX, ..PrintOptions::default() };
    for options in [shown, PrintOptions::full()] {
        for x in [long(57), long(40).reshape([1 << 20, 1 << 20]).unwrap(), long(40).reshape([2; 40]).unwrap()]
        {
            assert!(with_print_options(options, || x.to_string()).len() < 1000);
        }
    }
}

/// An operation, the line of its call, and the operation itself.
type Called = (&'static str, u32, fn(Tensor));

/// An error, and a panic of an operator, names the line that ran out of memory.
#[test]
fn running_out_names_the_users_line() {
    let wide = || Tensor::scalar(1.0).expand([1usize << 57]).unwrap();
    let cases: [Called; 12] = [
        ("add", line!(), |mut x| x += 1.0),
        ("sub", line!(), |mut x| x -= &x.clone()),
        ("mul", line!(), |mut x| x *= Tensor::scalar(2.0)),
        ("div", line!(), |mut x| x /= 3.0),
        ("add", line!(), |x| drop(x + 1.0)),
        ("mul", line!(), |x| drop(&x * &x)),
        ("exp", line!(), |x| drop(x.exp())),
        ("to_vec", line!(), |x| drop(x.to_vec())),
        ("to_vec", line!(), |x| drop(x.into_vec())),
        ("contiguous", line!(), |x| drop(x.contiguous())),
        ("to_vec", line!(), |x| drop(x.array().to_vec())),
        ("nonzero", line!(), |x| drop(x.nonzero())),
    ];
    for (op, line, f) in cases {
        let run = || {
            f(wide());
            Ok(())
        };
        let e = memory::try_run(run).unwrap_err();
        let at = e.location().expect(op);
        assert!(matches!(e.kind(), ErrorKind::OutOfMemory { .. }), "{e}");
        assert_eq!((at.file(), at.line()), (file!(), line), "{op}: {e}");
    }
    // What found no memory is as it was.
    let mut x = wide();
    let add = || {
        x += 1.0;
        Ok(())
    };
    memory::try_run(add).unwrap_err();
    assert_eq!(x.shape(), [1usize << 57]);
}
