//! The operations by name: how each is called with PyTorch's names for its inputs and arguments.

mod call;
mod value;

pub use call::Call;
pub use value::{DEVICE, Difference, Layout, Tolerance, Value, compare, malformed, tensor};

use ndarray::SliceInfoElem;
use tapegrad::prelude::*;

/// One operation: from the inputs and arguments to the outputs.
pub type Run = fn(&Call) -> Result<Vec<Value>>;

/// The operation of this name; None where the library does not have it.
pub fn op(name: &str) -> Option<Run> {
    let run: Run = match name {
        // Elementwise.
        "abs" => |c| one(c.input()?.abs()),
        "neg" => |c| one(c.input()?.neg()),
        "sign" => |c| one(c.input()?.sign()),
        "exp" => |c| one(c.input()?.exp()),
        "expm1" => |c| one(c.input()?.expm1()),
        "log" => |c| one(c.input()?.log()),
        "exp2" => |c| one(c.input()?.exp2()),
        "log2" => |c| one(c.input()?.log2()),
        "log10" => |c| one(c.input()?.log10()),
        "log1p" => |c| one(c.input()?.log1p()),
        "rsqrt" => |c| one(c.input()?.rsqrt()),
        "tan" => |c| one(c.input()?.tan()),
        "asin" => |c| one(c.input()?.asin()),
        "acos" => |c| one(c.input()?.acos()),
        "atan" => |c| one(c.input()?.atan()),
        "asinh" => |c| one(c.input()?.asinh()),
        "acosh" => |c| one(c.input()?.acosh()),
        "atanh" => |c| one(c.input()?.atanh()),
        "erf" => |c| one(c.input()?.erf()),
        "erfc" => |c| one(c.input()?.erfc()),
        "lgamma" => |c| one(c.input()?.lgamma()),
        "digamma" => |c| one(c.input()?.digamma()),
        "softplus" => |c| one(c.input()?.softplus()),
        "floor" => |c| one(c.input()?.floor()),
        "ceil" => |c| one(c.input()?.ceil()),
        "trunc" => |c| one(c.input()?.trunc()),
        "round" => |c| one(c.input()?.round()),
        "sqrt" => |c| one(c.input()?.sqrt()),
        "square" => |c| one(c.input()?.square()),
        "reciprocal" => |c| one(c.input()?.reciprocal()),
        "sin" => |c| one(c.input()?.sin()),
        "cos" => |c| one(c.input()?.cos()),
        "sinh" => |c| one(c.input()?.sinh()),
        "cosh" => |c| one(c.input()?.cosh()),
        "tanh" => |c| one(c.input()?.tanh()),
        "sigmoid" => |c| one(c.input()?.sigmoid()),
        "relu" => |c| one(c.input()?.relu()),
        "pow_scalar" => |c| one(c.input()?.powf(c.number("exponent")?)),
        "add" => |c| one(c.input()?.try_add(c.float("other")?)?),
        "sub" => |c| one(c.input()?.try_sub(c.float("other")?)?),
        "mul" => |c| one(c.input()?.try_mul(c.float("other")?)?),
        "div" => |c| one(c.input()?.try_div(c.float("other")?)?),
        "pow" => |c| one(c.input()?.pow(c.float("other")?)?),
        "maximum" => |c| one(c.input()?.maximum(c.float("other")?)?),
        "minimum" => |c| one(c.input()?.minimum(c.float("other")?)?),
        "atan2" => |c| one(c.input()?.atan2(c.float("other")?)?),
        "hypot" => |c| one(c.input()?.hypot(c.float("other")?)?),
        "xlogy" => |c| one(c.input()?.xlogy(c.float("other")?)?),
        "logaddexp" => |c| one(c.input()?.logaddexp(c.float("other")?)?),
        "remainder" => |c| one(c.input()?.remainder(c.float("other")?)?),
        "clamp" => |c| {
            one(c.input()?.clamp(c.number_or("min", f64::NEG_INFINITY)?, c.number_or("max", f64::INFINITY)?))
        },
        "masked_fill" => |c| one(c.input()?.masked_fill(c.mask("mask")?, c.number("value")?)?),
        "masked_select" => |c| one(c.input()?.masked_select(c.mask("mask")?)?),
        "where" => |c| one(c.mask("condition")?.where_cond(c.input()?, c.float("other")?)?),

        // Reductions; no dim at all stands for every one.
        "sum" => |c| reduce(c, |x| Ok(x.sum()), |x, dims, keepdim| x.sum_dim(dims, keepdim)),
        "mean" => |c| reduce(c, |x| Ok(x.mean()), |x, dims, keepdim| x.mean_dim(dims, keepdim)),
        "amax" => |c| reduce(c, |x| x.max(), |x, dims, keepdim| x.amax(dims, keepdim)),
        "amin" => |c| reduce(c, |x| x.min(), |x, dims, keepdim| x.amin(dims, keepdim)),
        "var" => |c| one(c.input()?.var_with(&c.dims("dim")?, c.flag("keepdim")?, c.correction()?)?),
        "std" => |c| one(c.input()?.std_with(&c.dims("dim")?, c.flag("keepdim")?, c.correction()?)?),
        "max_dim" => |c| two(c.input()?.max_dim(c.int("dim")?, c.flag("keepdim")?)?),
        "prod" => |c| reduce(c, |x| Ok(x.prod()), |x, dims, keepdim| x.prod_dim(dims, keepdim)),
        "logsumexp" => |c| one(c.input()?.logsumexp(&c.dims("dim")?, c.flag("keepdim")?)?),
        "vector_norm" => {
            |c| one(c.input()?.vector_norm(c.number_or("ord", 2.0)?, &c.dims("dim")?, c.flag("keepdim")?)?)
        }
        "argmax" => |c| one(c.input()?.argmax(c.int("dim")?, c.flag("keepdim")?)?),
        "argmin" => |c| one(c.input()?.argmin(c.int("dim")?, c.flag("keepdim")?)?),
        "cumsum" => |c| one(c.input()?.cumsum(c.int("dim")?)?),
        "cumprod" => |c| one(c.input()?.cumprod(c.int("dim")?)?),
        "softmax" => |c| one(c.input()?.softmax(c.int("dim")?)?),
        "log_softmax" => |c| one(c.input()?.log_softmax(c.int("dim")?)?),
        "sort" => |c| two(c.input()?.sort(c.int_or("dim", -1)?, c.flag("descending")?)?),
        "topk" => {
            |c| two(c.input()?.topk(c.size("k")?, c.int_or("dim", -1)?, c.flag_or("largest", true)?)?)
        }

        // Losses.
        "mse_loss" => |c| one(c.input()?.mse_loss(c.float("target")?)?),
        "huber_loss" => |c| one(c.input()?.huber_loss(c.float("target")?, c.number_or("delta", 1.0)?)?),
        "binary_cross_entropy_with_logits" => {
            |c| one(c.input()?.binary_cross_entropy_with_logits(c.float("target")?)?)
        }
        "cross_entropy" => |c| one(c.input()?.cross_entropy(c.integers("target")?)?),

        // Shapes.
        "flip" => |c| one(c.input()?.flip(&c.dims("dims")?)?),
        "roll" => |c| one(c.input()?.roll(c.dims("shifts")?, c.dims("dims")?)?),
        "repeat" => |c| one(c.input()?.repeat(c.sizes("repeats")?)?),
        "pad" => |c| one(c.input()?.pad(&c.dims("pad")?, c.number_or("value", 0.0)?)?),
        "diagonal" => |c| {
            one(c.input()?.diagonal(c.int_or("offset", 0)?, c.int_or("dim1", 0)?, c.int_or("dim2", 1)?)?)
        },
        "diag_embed" => |c| one(c.input()?.diag_embed(c.int_or("offset", 0)?)?),
        "tril" => |c| one(c.input()?.tril(c.int_or("diagonal", 0)?)?),
        "triu" => |c| one(c.input()?.triu(c.int_or("diagonal", 0)?)?),
        "reshape" => |c| one(c.input()?.reshape(c.dims("shape")?)?),
        "permute" => |c| one(c.input()?.permute(&c.dims("dims")?)?),
        "transpose" => |c| one(c.input()?.transpose(c.int("dim0")?, c.int("dim1")?)?),
        "t" => |c| one(c.input()?.t()?),
        "squeeze" => squeeze,
        "unsqueeze" => |c| one(c.input()?.unsqueeze(c.int("dim")?)?),
        "expand" => |c| one(c.input()?.expand(c.dims("shape")?)?),
        "cat" => |c| one(Tensor::cat(&c.floats()?, c.int_or("dim", 0)?)?),
        "stack" => |c| one(Tensor::stack(&c.floats()?, c.int_or("dim", 0)?)?),

        // Parts.
        "narrow" => |c| one(c.input()?.narrow(c.int("dim")?, c.int("start")?, c.size("length")?)?),
        "select" => |c| one(c.input()?.select(c.int("dim")?, c.int("index")?)?),
        "slice" => slice,
        "index_select" => |c| one(c.input()?.index_select(c.int("dim")?, c.integers("index")?)?),
        "gather" => |c| one(c.input()?.gather(c.int("dim")?, c.integers("index")?)?),
        "scatter_add" => {
            |c| one(c.input()?.scatter_add(c.int("dim")?, c.integers("index")?, c.float("src")?)?)
        }
        "index_put" => |c| one(c.input()?.index_put(c.integers("index")?, c.float("values")?, true)?),

        // Products.
        "einsum" => |c| one(linalg::einsum(&c.text("equation")?, &c.floats()?)?),
        "kron" => |c| one(c.input()?.kron(c.float("other")?)?),
        "cross" => |c| one(c.input()?.cross(c.float("other")?, c.int_or("dim", -1)?)?),
        "tensordot" => |c| one(c.input()?.tensordot(c.float("other")?, c.size("dims")?)?),
        "trace" => |c| one(c.input()?.trace()?),
        "dot" => |c| one(c.input()?.dot(c.float("tensor")?)?),
        "outer" => |c| one(c.input()?.outer(c.float("vec2")?)?),
        "mv" => |c| one(c.input()?.mv(c.float("vec")?)?),
        "mm" => |c| one(c.input()?.mm(c.float("mat2")?)?),
        "bmm" => |c| one(c.input()?.bmm(c.float("mat2")?)?),
        "matmul" => |c| one(c.input()?.matmul(c.float("other")?)?),
        "addmv" => |c| one(c.input()?.addmv(c.float("mat")?, c.float("vec")?, c.beta()?, c.alpha()?)?),
        "addmm" => |c| one(c.input()?.addmm(c.float("mat1")?, c.float("mat2")?, c.beta()?, c.alpha()?)?),
        "baddbmm" => {
            |c| one(c.input()?.baddbmm(c.float("batch1")?, c.float("batch2")?, c.beta()?, c.alpha()?)?)
        }

        // Sparse matrices.
        "sparse_mv" => |c| one(sparse(c)?.mv(c.float("vec")?)?),
        "sparse_mm" => |c| one(sparse(c)?.mm(c.float("mat2")?)?),
        "sparse_to_dense" => |c| one(sparse(c)?.to_dense()?),

        // Linear algebra.
        "inverse" => |c| one(c.input()?.inverse()?),
        "det" => |c| one(c.input()?.det()?),
        "slogdet" => |c| two(c.input()?.slogdet()?),
        "logdet" => |c| one(c.input()?.logdet()?),
        "pinv" => |c| one(c.input()?.pinv()?),
        "solve" => |c| one(c.input()?.solve(c.float("other")?)?),
        "cholesky" => |c| one(linalg::cholesky(&symmetric(c)?, false)?),
        "cholesky_upper" => |c| one(linalg::cholesky(&symmetric(c)?, true)?),
        "cholesky_solve" => |c| {
            one(linalg::cholesky_solve(&linalg::cholesky(&symmetric(c)?, false)?, c.float("other")?, false)?)
        },
        "solve_triangular" => |c| {
            let triangle = linalg::Triangle { upper: c.flag("upper")?, unit: false };
            one(linalg::solve_triangular(c.input()?, c.float("other")?, triangle)?)
        },
        "eigvalsh" => |c| one(linalg::eigvalsh(&symmetric(c)?)?),
        "eigh_exp" => |c| {
            let (w, v) = linalg::eigh(&symmetric(c)?)?;
            one(v.try_mul(&(w * 0.3).exp().unsqueeze(-2)?)?.matmul(&v.mt()?)?)
        },
        "symmetric_exp" => |c| one(linalg::symmetric_exp(&(symmetric(c)? * 0.3))?),
        "svdvals" => |c| one(linalg::svdvals(c.input()?)?),
        "svd_truncated" => |c| {
            let (u, s, vt) = linalg::svd(c.input()?)?;
            let rank = c.int("rank")? as usize;
            let scaled = u.narrow(-1, 0, rank)?.try_mul(&s.narrow(-1, 0, rank)?.unsqueeze(-2)?)?;
            one(scaled.matmul(&vt.narrow(-2, 0, rank)?)?)
        },
        "qr" => |c| two(linalg::qr(c.input()?)?),
        "lstsq" => |c| one(linalg::lstsq(c.input()?, c.float("other")?, None)?),
        "cond" => |c| one(linalg::cond(c.input()?)?),
        "matrix_rank" => |c| one(linalg::matrix_rank(c.input()?, None)?),
        "matrix_exp" => |c| one(linalg::matrix_exp(c.input()?)?),
        "matrix_power" => |c| one(linalg::matrix_power(c.input()?, c.int("n")? as i32)?),
        "matrix_norm" => |c| one(linalg::matrix_norm(c.input()?, norm(c)?)?),
        "least_squares_loss" => |c| one(least_squares_loss(c.float("mat")?, c.input()?, c.float("target")?)?),
        _ => return None,
    };
    Some(run)
}

/// The sparse matrix of these places and values.
fn sparse(c: &Call) -> Result<linalg::SparseTensor> {
    linalg::SparseTensor::coo(c.integers("indices")?, c.float("values")?, c.sizes("size")?)
}

/// The symmetric part of the input.
fn symmetric(c: &Call) -> Result<Tensor> {
    let a = c.input()?;
    Ok((a + a.mt()?) * 0.5)
}

fn norm(c: &Call) -> Result<linalg::MatrixNorm> {
    use linalg::MatrixNorm::*;
    Ok(match c.text("ord") {
        Ok(name) => match &name[..] {
            "fro" => Frobenius,
            "nuc" => Nuclear,
            "inf" => Order(f64::INFINITY),
            _ => Order(f64::NEG_INFINITY),
        },
        Err(_) => Order(c.int("ord")? as f64),
    })
}

fn one(output: impl Into<Value>) -> Result<Vec<Value>> {
    Ok(vec![output.into()])
}

fn two((a, b): (impl Into<Value>, impl Into<Value>)) -> Result<Vec<Value>> {
    Ok(vec![a.into(), b.into()])
}

/// A reduction of the whole tensor, or over the dimensions of the argument `dim`.
fn reduce(
    c: &Call,
    whole: fn(&Tensor) -> Result<Tensor>,
    over: fn(&Tensor, &[isize], bool) -> Result<Tensor>,
) -> Result<Vec<Value>> {
    let (x, dims, keepdim) = (c.input()?, c.dims("dim")?, c.flag("keepdim")?);
    one(if dims.is_empty() && !keepdim { whole(x)? } else { over(x, &dims, keepdim)? })
}

fn squeeze(c: &Call) -> Result<Vec<Value>> {
    let dims = c.dims("dim")?;
    one(if dims.is_empty() { c.input()?.squeeze_all() } else { c.input()?.squeeze(&dims)? })
}

/// A range of one dimension. PyTorch cuts ends outside of the dimension off, which ndarray's
/// ranges, those of the library, do not allow.
fn slice(c: &Call) -> Result<Vec<Value>> {
    let (x, dim) = (c.input()?, c.int_or("dim", 0)?);
    let n = x.size(dim)? as isize;
    let start = c.int_or("start", 0)?.clamp(-n, n);
    let end = c.int_or("end", n)?.clamp(-n, n);
    let whole = SliceInfoElem::Slice { start: 0, end: None, step: 1 };
    let mut ranges = vec![whole; x.ndim()];
    let k = if dim < 0 { dim + x.ndim() as isize } else { dim };
    ranges[k as usize] = SliceInfoElem::Slice { start, end: Some(end), step: c.int_or("step", 1)? };
    one(x.slice(ranges)?)
}
