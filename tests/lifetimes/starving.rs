//! Wherever memory runs out, the answer is an error: every operation runs with its first large stretch of memory
//! refused, with its second, and so on to the last.

use crate::allocator::refuse;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tapegrad::linalg::{IterativeOptions, PinvOptions, SparseJacobian, Triangle, cg, lsqr, vander};
use tapegrad::prelude::*;
use tapegrad::{
    Reduce, checkpoint, gradcheck, gradgradcheck, jvp_batched, kernels, linalg, memory, tape, vjp_batched,
};

/// What operations work on: small enough to be quick, and large enough that every buffer may be refused.
struct Data {
    /// Vectors of 5000 elements between 0.1 and 0.9.
    v: Tensor,
    w: Tensor,
    single: Tensor<f32>,
    /// Places in them.
    index: Tensor<i64>,
    /// Far from singular: 64 x 64 and symmetric, and 110 x 110.
    m: Tensor,
    s: Tensor,
    large: Tensor,
    tall: Tensor,
    /// Ten matrices of 24 x 24, and their symmetric parts.
    batch: Tensor,
    sym: Tensor,
    /// A band of 3 in 4000 rows, its values, and a matrix of it. Its pattern is ordered once: what faer takes for that
    /// without asking was asked for just before.
    places: Tensor<i64>,
    band: Tensor,
    ordered: SparseTensor,
    /// 5000 ones as serde's JSON.
    json: String,
}

/// Rows of the sparse matrix.
const ROWS: usize = 4000;

impl Data {
    fn new() -> Result<Self> {
        manual_seed(4);
        let uniform = |n: usize| Tensor::rand([n]) * 0.8 + 0.1;
        let m = Tensor::rand([64, 64]) + Tensor::eye(64) * 40.0;
        let large = Tensor::rand([110, 110]) + Tensor::eye(110) * 70.0;
        let batch = Tensor::rand([10, 24, 24]) + Tensor::eye(24) * 20.0;
        let n = ROWS as i64;
        let rows = Tensor::cat(&[&arange(0, n, 1)?, &arange(0, n - 1, 1)?, &arange(1, n, 1)?], 0)?;
        let columns = Tensor::cat(&[&arange(0, n, 1)?, &arange(1, n, 1)?, &arange(0, n - 1, 1)?], 0)?;
        let count = rows.numel();
        let heavy = Tensor::cat(&[&Tensor::full([ROWS], 5.0), &Tensor::full([count - ROWS], -1.0)], 0)?;
        let places = Tensor::stack(&[&rows, &columns], 0)?;
        let ordered = SparseTensor::coo(&places, &heavy, [ROWS, ROWS])?.to_csr()?;
        Ok(Data {
            v: uniform(5000),
            w: uniform(5000),
            single: uniform(9000).cast(),
            index: Tensor::randint(0, 5000, [5000])?,
            s: m.try_add(&m.t()?)?,
            m,
            large,
            tall: Tensor::rand([100, 60]),
            sym: batch.try_add(&batch.mt()?)?,
            batch,
            places,
            band: heavy,
            ordered,
            json: format!("{{\"dtype\":\"f64\",\"shape\":[5000],\"data\":[{}1]}}", "1,".repeat(4999)),
        })
    }

    /// The same with every number a variable.
    fn tracked(&self) -> Data {
        let leaf = |x: &Tensor| x.detach().requires_grad();
        Data {
            v: leaf(&self.v),
            w: leaf(&self.w),
            single: self.single.detach().requires_grad(),
            index: self.index.clone(),
            m: leaf(&self.m),
            s: leaf(&self.s),
            large: leaf(&self.large),
            tall: leaf(&self.tall),
            batch: leaf(&self.batch),
            sym: leaf(&self.sym),
            places: self.places.clone(),
            band: leaf(&self.band),
            ordered: self.ordered.clone(),
            json: self.json.clone(),
        }
    }

    fn sparse(&self) -> Result<SparseTensor> {
        SparseTensor::coo(&self.places, &self.band, [ROWS, ROWS])
    }

    /// Of a pattern that solvers know.
    fn known(&self) -> Result<SparseTensor> {
        self.ordered.with_values(&self.band)
    }

    fn rhs(&self) -> Result<Tensor> {
        self.v.narrow(0, 0, ROWS)
    }

    fn mask(&self) -> Result<Tensor<bool>> {
        self.v.gt(0.5)
    }
}

type Operation = fn(&Data) -> Result<Tensor>;

/// Operations whose values are taken, and, where they depend on the data, their gradients.
const OPERATIONS: &[(&str, Operation)] = &[
    // Elements.
    ("exp", |d| Ok(d.v.exp())),
    ("chain", |d| Ok((d.v.sin() * 0.5 + 1.0).sqrt().tanh())),
    ("f32", |d| Ok(d.single.log1p().cast())),
    ("powf", |d| Ok(d.v.powf(1.5))),
    ("lgamma", |d| Ok(d.v.lgamma())),
    ("gelu", |d| Ok(d.v.gelu())),
    ("clamp", |d| Ok(d.v.clamp(0.2, 0.7))),
    ("add", |d| d.v.try_add(&d.w)),
    ("mul", |d| d.v.try_mul(&d.w)),
    ("div", |d| d.v.try_div(&d.w)),
    ("pow", |d| d.v.pow(&d.w)),
    ("hypot", |d| d.v.hypot(&d.w)),
    ("maximum", |d| d.v.maximum(&d.w)),
    ("remainder", |d| d.v.remainder(&d.w)),
    ("floor_divide", |d| d.v.floor_divide(&d.w)),
    ("broadcast", |d| d.v.reshape([50, 100])?.try_mul(&d.w.narrow(0, 0, 100)?)),
    ("where_cond", |d| d.mask()?.where_cond(&d.v, &d.w)),
    ("masked_fill", |d| d.v.masked_fill(&d.mask()?, 0.0)),
    ("cast", |d| Ok(d.v.cast::<f32>().cast())),
    ("to_type", |d| Ok((&d.v * 9.0).to_type::<i64>().to_type())),
    ("isclose", |d| Ok(d.v.isclose(&d.w, 0.1, 0.1)?.to_type())),
    ("assign", |d| {
        let mut x = d.v.clone();
        x += 1.0;
        x *= &d.w;
        x /= 2.0;
        Ok(x)
    }),
    // Reductions.
    ("sum_dim", |d| d.v.reshape([100, 50])?.sum_dim(0, false)),
    ("sum of columns", |d| d.v.repeat([20, 1])?.sum_dim(0, false)),
    ("mean_dim", |d| d.v.reshape([50, 100])?.mean_dim(1, true)),
    ("var", |d| Ok(d.v.var())),
    ("std_dim", |d| d.v.reshape([5, 1000])?.std_dim(0, false)),
    ("amax", |d| d.v.reshape([5, 1000])?.amax(0, false)),
    ("max_dim", |d| Ok(d.v.reshape([2500, 2])?.max_dim(1, false)?.0)),
    ("argmax", |d| Ok(d.v.reshape([2500, 2])?.argmax(1, false)?.to_type())),
    ("median", |d| d.v.median()),
    ("median_dim", |d| Ok(d.v.reshape([2500, 2])?.median_dim(1, false)?.0)),
    ("quantile", |d| d.v.quantile(0.3, 0)),
    ("prod", |d| Ok((&d.v + 0.5).prod())),
    ("prod_dim", |d| d.v.reshape([4, 1250])?.prod_dim(0, false)),
    ("cumsum", |d| d.v.cumsum(0)),
    ("cumprod", |d| (&d.v + 0.5).cumprod(0)),
    ("prod_dim beyond the range", |d| (d.v.reshape([2, 2500])? * 1e200).prod_dim(0, false)),
    ("cumprod beyond the range", |d| d.v.cumprod(0)),
    ("cummax", |d| Ok(d.v.cummax(0)?.0)),
    ("cummin", |d| Ok(d.v.reshape([50, 100])?.t()?.cummin(1)?.0)),
    ("logsumexp", |d| d.v.reshape([5, 1000])?.logsumexp(0, false)),
    ("softmax", |d| d.v.softmax(0)),
    ("log_softmax", |d| d.v.log_softmax(0)),
    ("vector_norm", |d| d.v.reshape([1000, 5])?.vector_norm(3.0, 0, false)),
    ("count_nonzero", |d| Ok(d.mask()?.reshape([2500, 2])?.count_nonzero_dim(1, false)?.to_type())),
    ("all_dim", |d| Ok(d.mask()?.repeat([8])?.reshape([20_000, 2])?.all_dim(1, false)?.to_type())),
    ("mse_loss", |d| d.v.mse_loss(&d.w)),
    ("huber_loss", |d| d.v.huber_loss(&d.w, 0.2)),
    ("bce", |d| d.v.binary_cross_entropy_with_logits(&d.w.detach())),
    ("cross_entropy", |d| {
        d.v.reshape([2500, 2])?.cross_entropy(d.mask()?.narrow(0, 0, 2500)?.to_type::<i64>())
    }),
    // Order and places.
    ("sort", |d| Ok(d.v.sort(0, true)?.0)),
    ("sort of columns", |d| Ok(d.v.reshape([2500, 2])?.sort(0, false)?.0)),
    ("argsort", |d| Ok(d.v.argsort(0, false)?.to_type())),
    ("topk", |d| Ok(d.v.topk(100, 0, true)?.0)),
    ("searchsorted", |d| Ok(d.v.detach().sort(0, false)?.0.searchsorted(&d.w.detach(), true)?.to_type())),
    ("gather", |d| d.v.gather(0, &d.index)),
    ("scatter_add", |d| d.v.scatter_add(0, &d.index, &d.w)),
    ("scatter_reduce", |d| d.v.scatter_reduce(0, &d.index, &d.w, Reduce::Prod, true)),
    ("index_select", |d| d.v.reshape([500, 10])?.index_select(0, &d.index.remainder(Tensor::scalar(500))?)),
    ("index_put", |d| d.v.index_put(&d.index, &d.w, false)),
    ("index_put, added", |d| d.v.index_put(&d.index, &d.w, true)),
    ("masked_select", |d| d.v.masked_select(&d.mask()?)),
    ("nonzero", |d| Ok(d.mask()?.reshape([50, 100])?.nonzero().to_type())),
    // Shapes.
    ("contiguous", |d| Ok(d.v.reshape([50, 100])?.t()?.contiguous())),
    ("reshape", |d| d.v.reshape([50, 100])?.t()?.reshape([5000])),
    ("cat", |d| Tensor::cat(&[&d.v, &d.w], 0)),
    ("stack", |d| Tensor::stack(&[&d.v, &d.w], 1)),
    ("roll", |d| d.v.roll(7, 0)),
    ("repeat", |d| d.v.repeat([2])),
    ("pad", |d| d.v.pad([3, 4], 1.0)),
    ("slice", |d| d.v.slice(s![..;-2])),
    ("diag_embed", |d| d.v.narrow(0, 0, 60)?.diag_embed(1)),
    ("diagonal", |d| d.m.diagonal(0, 0, 1)),
    ("tril", |d| d.m.tril(0)),
    ("triu of a batch", |d| d.batch.triu(1)),
    ("split", |d| d.v.split(1, 0)?.pop().map_or(Ok(Tensor::zeros([1])), Ok)),
    ("meshgrid", |d| Ok(Tensor::meshgrid(&[&d.v, &d.w.narrow(0, 0, 2)?])?.remove(0))),
    // New ones.
    ("arange", |_| Ok(arange(0, 5000, 2)?.to_type())),
    ("linspace", |_| linspace(0.0, 1.0, 5000)),
    ("rand", |_| Ok(Tensor::rand([5000]) + Tensor::randn([5000]))),
    ("randint", |_| Ok(Tensor::randint(0, 9, [5000])?.to_type())),
    ("randperm", |_| Ok(Tensor::randperm(5000)?.to_type())),
    ("eye", |_| Ok(Tensor::eye(70))),
    ("new", |_| Tensor::new(&vec![vec![1.0; 100]; 50])),
    // Products.
    ("mm", |d| d.m.mm(&d.s)),
    ("mm, transposed", |d| d.large.t()?.mm(&d.large)),
    ("mv", |d| d.v.repeat([200, 1])?.mv(&d.w)),
    ("mv, transposed", |d| d.v.repeat([200, 1])?.t()?.mv(&d.w.narrow(0, 0, 200)?)),
    ("mv, strided", |d| d.v.slice(s![..;2])?.expand([40, 2500])?.mv(&d.w.slice(s![..;2])?)),
    ("matmul of batches", |d| d.batch.matmul(&d.sym)),
    ("dot", |d| d.v.dot(&d.w)),
    ("outer", |d| d.v.narrow(0, 0, 100)?.outer(&d.w.narrow(0, 0, 100)?)),
    ("kron", |d| linalg::kron(&d.v.narrow(0, 0, 100)?, &d.w.narrow(0, 0, 100)?)),
    ("einsum", |d| linalg::einsum("ij,kj,k->ik", &[&d.m, &d.s, &d.v.narrow(0, 0, 64)?])),
    ("multi_dot", |d| linalg::multi_dot(&[&d.m, &d.s, &d.m])),
    ("cross", |d| linalg::cross(&d.v.narrow(0, 0, 4500)?.reshape([-1, 3])?, &d.w.narrow(0, 0, 3)?, -1)),
    ("least_squares_loss", |d| least_squares_loss(&d.v.repeat([60, 1])?, &d.w, &d.v.narrow(0, 0, 60)?)),
    ("vander", |d| vander(&d.v.narrow(0, 0, 100)?, 50, true)),
    ("toeplitz", |d| linalg::toeplitz(&d.v.narrow(0, 0, 100)?, &d.w.narrow(0, 0, 100)?)),
    ("block_diag", |d| linalg::block_diag(&[&d.m, &d.tall])),
    // Matrices.
    ("inverse", |d| d.m.inverse()),
    ("inverse of a batch", |d| d.batch.inverse()),
    ("det", |d| d.m.det()),
    ("det of a batch", |d| d.batch.det()),
    ("slogdet", |d| Ok(d.large.slogdet()?.1)),
    ("solve", |d| d.m.solve(&d.s)),
    ("solve for one", |d| d.large.solve(&d.v.narrow(0, 0, 110)?)),
    ("solve of a batch", |d| d.batch.solve(&d.sym)),
    ("lu", |d| Ok(linalg::lu(&d.m)?.2)),
    ("lu_solve", |d| {
        let (p, l, u) = linalg::lu(&d.m)?;
        linalg::lu_solve(&p, &l, &u, &d.s)
    }),
    ("cholesky", |d| d.s.cholesky(false)),
    ("cholesky, upper", |d| d.s.cholesky(true)),
    ("cholesky of a batch", |d| d.sym.cholesky(false)),
    ("cholesky_ex", |d| Ok(linalg::cholesky_ex(&d.sym, false)?.0)),
    ("cholesky_jitter", |d| Ok(linalg::cholesky_jitter(&d.s, 1e-3)?.0)),
    ("cholesky_solve", |d| linalg::cholesky_solve(&d.s.cholesky(false)?, &d.m, false)),
    ("solve_triangular", |d| linalg::solve_triangular(&d.m, &d.s, Triangle::LOWER)),
    ("qr", |d| Ok(d.tall.qr()?.0)),
    ("qr_complete", |d| Ok(linalg::qr_complete(&d.tall.detach())?.0)),
    ("qr of a batch", |d| Ok(d.batch.qr()?.1)),
    ("svd", |d| Ok(d.tall.svd()?.0)),
    ("svd of a batch", |d| Ok(d.batch.svd()?.2)),
    ("svdvals", |d| d.large.svdvals()),
    ("eigh", |d| Ok(d.s.eigh()?.1)),
    ("eigh of large ones", |d| Ok(d.large.try_add(&d.large.t()?)?.eigh()?.1)),
    ("eigh of a batch", |d| Ok(d.sym.eigh()?.1)),
    ("eigvalsh", |d| d.s.eigvalsh()),
    ("pinv", |d| d.tall.pinv()),
    ("pinv, hermitian", |d| linalg::pinv_with(&d.s, PinvOptions { hermitian: true, ..Default::default() })),
    ("lstsq", |d| linalg::lstsq(&d.tall, &d.v.narrow(0, 0, 100)?, None)),
    ("matrix_exp", |d| linalg::matrix_exp(&(&d.m * 0.1))),
    ("matrix_power", |d| linalg::matrix_power(&d.m, -3)),
    ("symmetric_exp", |d| linalg::symmetric_exp(&(&d.s * 0.01))),
    ("symmetric_power", |d| linalg::symmetric_power(&d.s, 0.5)),
    ("spectral_projector", |d| linalg::spectral_projector(&d.s, 90.0)),
    ("cond", |d| linalg::cond(&d.large)),
    ("matrix_rank", |d| Ok(linalg::matrix_rank(&d.tall, None)?.to_type())),
    ("nuclear norm", |d| d.large.matrix_norm(linalg::MatrixNorm::Nuclear)),
    ("2-norm", |d| d.large.matrix_norm(2.0)),
    ("cg", |d| {
        let options = IterativeOptions::default();
        Ok(cg(&d.sparse()?, &d.rhs()?, options)?.x)
    }),
    ("lsqr", |d| {
        let options = IterativeOptions::default();
        Ok(lsqr(&d.sparse()?, &d.rhs()?, options)?.x)
    }),
    // Sparse matrices.
    ("sparse coo", |d| Ok(d.sparse()?.coalesce()?.values().clone())),
    ("sparse csr", |d| Ok(d.sparse()?.to_csr()?.values().clone())),
    ("sparse csc", |d| d.sparse()?.to_csc()?.mv(&d.rhs()?)),
    ("sparse mv", |d| d.sparse()?.mv(&d.rhs()?)),
    ("sparse mv, transposed", |d| d.sparse()?.to_csr()?.t()?.mv(&d.rhs()?)),
    ("sparse mm", |d| d.sparse()?.to_csr()?.mm(&d.rhs()?.reshape([-1, 1])?.repeat([1, 20])?)),
    ("sparse mm_sparse", |d| Ok(d.sparse()?.to_csr()?.mm_sparse(&d.sparse()?.to_csr()?)?.values().clone())),
    ("sparse add", |d| Ok(d.sparse()?.try_add(&d.sparse()?.t()?)?.values().clone())),
    ("sparse sum_dim", |d| d.sparse()?.sum_dim(1)),
    ("sparse mul_dense", |d| Ok(d.sparse()?.mul_dense(&d.rhs()?.expand([ROWS, ROWS])?)?.values().clone())),
    ("sparse solve", |d| d.known()?.solve(&d.rhs()?)),
    ("sparse solve for many", |d| d.known()?.solve(&d.rhs()?.reshape([-1, 1])?.repeat([1, 3])?)),
    ("sparse cholesky_solve", |d| d.sparse()?.cholesky_solve(&d.rhs()?)),
    ("sparse lstsq", |d| d.known()?.lstsq(&d.rhs()?)),
    ("sparse from_dense", |d| SparseTensor::from_dense(&d.m.tril(0)?)?.to_dense()),
    ("sparse eye", |d| SparseTensor::eye(ROWS)?.mv(&d.rhs()?)),
    ("sparse jacobian", |d| {
        let f = |x: &Tensor| x.square().try_mul(&x.roll(1, 0)?);
        let x = d.v.narrow(0, 0, 200)?;
        Ok(SparseJacobian::detect(f, &x)?.evaluate(f, &x)?.values().clone())
    }),
    ("sparse jacobian of a pattern", |d| {
        let plan = SparseJacobian::new(&d.sparse()?.detach())?;
        let f = |x: &Tensor| d.sparse()?.detach().mv(&x.square());
        Ok(plan.evaluate(f, &d.rhs()?)?.values().clone())
    }),
    // Transforms.
    ("checkpoint", |d| checkpoint(|x| Ok(x[0].sin() * &x[1]), &[&d.v, &d.w])),
    ("value_and_grad", |d| Ok(value_and_grad(|x: &Tensor| Ok(x.sin().sum()), &d.v)?.1)),
    ("hvp", |d| hvp(|x: &Tensor| Ok(x.sin().sum()), &d.v, &d.w)),
    ("jvp", |d| Ok(jvp(|x: &Tensor| x.cumsum(0), &d.v, &d.w)?.1)),
    ("jacobian", |d| jacobian(|x: &Tensor| Ok(x.sin()), &d.v.narrow(0, 0, 60)?)),
    ("hessian", |d| hessian(|x: &Tensor| Ok(x.sin().prod()), &d.v.narrow(0, 0, 60)?)),
    ("vjp_batched", |d| Ok(vjp_batched(|x| Ok(x.sin()), &d.v, &d.w.reshape([1, 5000])?)?.1)),
    ("jvp_batched", |d| Ok(jvp_batched(|x| Ok(x.sin()), &d.v, &d.w.reshape([1, 5000])?)?.1)),
    ("gradcheck", |d| {
        let x = [d.v.detach().narrow(0, 0, 20)?];
        gradcheck(|x| x[0].outer(&x[0]), &x)?;
        gradgradcheck(|x| Ok(x[0].sin().sum()), &x)?;
        Ok(Tensor::zeros([1]))
    }),
    // In and out.
    ("to_vec", |d| Ok(Tensor::from(d.v.reshape([50, 100])?.t()?.to_vec()))),
    ("to_vec in order", |d| Ok(Tensor::from(d.v.to_vec()))),
    ("into_vec", |d| Ok(Tensor::from(d.v.clone().into_vec()))),
    ("ndarray", |d| {
        let turned = d.v.detach().reshape([50, 100])?.t()?.into_ndarray();
        Tensor::from_ndarray_view(turned.view())
    }),
    ("from_slice", |d| Tensor::from_slice(&d.v.to_vec(), [5000])),
    ("print", |d| {
        let text = d.v.to_string();
        Ok(Tensor::scalar(text.len() as f64))
    }),
    ("serde", |d| {
        serde_json::to_writer(std::io::sink(), &d.v.detach().reshape([50, 100])?.t()?)
            .map_err(Error::other)?;
        serde_json::from_str::<Tensor>(&d.json).map_err(Error::other)
    }),
    ("positions", |d| Ok(Tensor::from(kernels::positions("test", d.mask()?.array())?).to_type())),
];

/// Operations that are differentiated twice.
const TWICE: &[&str] = &[
    "chain", "pow", "cumprod", "softmax", "gather", "mm", "least_squares_loss", "det", "solve", "cholesky",
    "qr", "svd", "eigh", "pinv", "symmetric_exp", "sparse mv", "sparse solve", "checkpoint",
];

/// Whether an error says that there was no memory, also where another library has wrapped it.
fn lacks_memory(error: &(impl Display + ?Sized)) -> bool {
    error.to_string().contains("no memory for")
}

/// Runs `f` with every number of its large allocations refused, alone and with all that follow: the complaints.
fn starve(name: &str, f: &dyn Fn() -> Result<()>) -> Vec<String> {
    let mut complaints = Vec::new();
    if let Err(e) = f() {
        return vec![format!("{name} with all memory: {e}")];
    }
    for alone in [true, false] {
        let mut k = 1;
        loop {
            memory::trim();
            let last = if alone { k } else { usize::MAX };
            let (outcome, asked) = refuse(k, last, || catch_unwind(AssertUnwindSafe(|| memory::try_run(f))));
            match outcome {
                Ok(Ok(())) => {}
                Ok(Err(e)) if lacks_memory(&e) => {}
                Ok(Err(e)) => complaints.push(format!("{name}, allocation {k}: {e}")),
                Err(_) => complaints.push(format!("{name}, allocation {k}: a panic")),
            }
            if asked < k {
                break;
            }
            k += 1;
        }
    }
    complaints
}

#[test]
fn running_out_of_memory_is_an_error_everywhere() {
    let _alone = crate::alone();
    let data = Data::new().unwrap();
    let hook = std::panic::take_hook();
    // Operations that return no result say so by a panic, hundreds of times here.
    std::panic::set_hook(Box::new(|_| ()));
    let (nodes, mut complaints) = (tape::nodes(), Vec::new());
    for (name, f) in OPERATIONS {
        complaints.extend(starve(name, &|| f(&data).map(drop)));
        let slopes = |create_graph: bool| -> Result<()> {
            let own = data.tracked();
            let y = f(&own)?;
            if !y.is_tracked() {
                return Ok(());
            }
            if !create_graph {
                return y.sum().backward();
            }
            let all =
                [&own.v, &own.w, &own.m, &own.s, &own.large, &own.tall, &own.batch, &own.sym, &own.band];
            let options = GradOptions { create_graph, ..Default::default() };
            for g in grad_with(&y.sum(), all, options)?.into_iter().flatten().filter(Tensor::is_tracked) {
                g.square().sum().backward_with(None, true)?;
            }
            Ok(())
        };
        complaints.extend(starve(&format!("{name}, first order"), &|| slopes(false)));
        if TWICE.contains(name) {
            complaints.extend(starve(&format!("{name}, second order"), &|| slopes(true)));
        }
    }
    std::panic::set_hook(hook);
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
    assert_eq!(tape::nodes(), nodes, "what was recorded has gone");
    assert!(TWICE.iter().all(|t| OPERATIONS.iter().any(|(name, _)| name == t)));
}
