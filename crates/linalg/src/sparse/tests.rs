use super::*;
use crate::{IterativeOptions, MatrixFree, Triangle, cg, lsqr, solve_triangular};
use autograd::{check_op, grad, value_and_grad};
use tensor_core::ErrorKind;

/// A 3 x 4 pattern in no order, with a place named twice.
fn scattered<T: Float>(values: &Tensor<T>) -> Result<SparseTensor<T>> {
    let indices = Tensor::from([[0, 1, 1, 2, 0, 2], [2, 0, 2, 1, 2, 3]]);
    SparseTensor::coo(&indices, values, [3, 4])
}

/// A square pattern whose matrices, with these values in -2 to 2, are far from singular.
fn dominant(values: &Tensor) -> Result<SparseTensor> {
    let indices = Tensor::from([[0, 0, 1, 1, 2, 2, 3, 3], [0, 2, 1, 3, 2, 1, 3, 0]]);
    let heavy = Tensor::from([9.0, 0.0, 9.0, 0.0, 9.0, 0.0, 9.0, 0.0]);
    SparseTensor::coo(&indices, &values.try_add(&heavy.to_device(&values.device())?)?, [4, 4])
}

/// The dense matrix, for references.
fn dense(a: Result<SparseTensor>) -> Result<Tensor> {
    a?.to_dense()
}

#[test]
fn products_with_dense_operands() -> Result<()> {
    type Layout = fn(SparseTensor) -> Result<SparseTensor>;
    let layouts: [Layout; 5] =
        [Ok, |a| a.coalesce(), |a| a.to_csr(), |a| a.to_csc(), |a| a.t()?.to_csr()?.t()];
    for to in layouts {
        check_op(|x| to(scattered(&x[0])?)?.mv(&x[1]), &[&[6], &[4]])
            .reference(|x| crate::mv(&dense(scattered(&x[0]))?, &x[1]))
            .run()?;
        check_op(|x| to(scattered(&x[0])?)?.t()?.mv(&x[1]), &[&[6], &[3]])
            .reference(|x| crate::mv(&dense(scattered(&x[0]))?.t()?, &x[1]))
            .run()?;
        for columns in [0, 1, 3] {
            check_op(|x| to(scattered(&x[0])?)?.mm(&x[1]), &[&[6], &[4, columns]])
                .reference(|x| crate::mm(&dense(scattered(&x[0]))?, &x[1]))
                .run()?;
            check_op(|x| to(scattered(&x[0])?)?.t()?.mm(&x[1]), &[&[6], &[3, columns]])
                .reference(|x| crate::mm(&dense(scattered(&x[0]))?.t()?, &x[1]))
                .run()?;
        }
    }
    check_op(|x| scattered(&x[0])?.mv(&x[1]), &[&[6], &[4]]).single(|x| scattered(&x[0])?.mv(&x[1])).run()?;
    let empty = |x: &[Tensor]| {
        let none = Tensor::from_vec(vec![], [2, 0])?;
        SparseTensor::coo(&none, &Tensor::zeros_on(&x[0].device(), [0])?, [0, 3])?.mv(&x[0])
    };
    check_op(empty, &[&[3]]).run().map(drop)
}

#[test]
fn products_of_sparse_matrices() -> Result<()> {
    let product = |a: SparseTensor, b: SparseTensor| a.mm_sparse(&b)?.to_dense();
    let reference = |x: &[Tensor]| crate::mm(&dense(scattered(&x[0]))?, &dense(dominant(&x[1]))?);
    check_op(|x| product(scattered(&x[0])?, dominant(&x[1])?), &[&[6], &[8]]).reference(reference).run()?;
    check_op(|x| product(scattered(&x[0])?.to_csc()?, dominant(&x[1])?.to_csc()?), &[&[6], &[8]])
        .reference(reference)
        .run()?;
    check_op(|x| product(scattered(&x[0])?.t()?, scattered(&x[1])?.to_csr()?), &[&[6], &[6]])
        .reference(|x| crate::mm(&dense(scattered(&x[0]))?.t()?, &dense(scattered(&x[1]))?))
        .run()
        .map(drop)
}

#[test]
fn conversions_sums_and_arithmetic() -> Result<()> {
    check_op(|x| scattered(&x[0])?.to_dense(), &[&[6]]).run()?;
    check_op(|x| Ok(scattered(&x[0])?.coalesce()?.values().clone()), &[&[6]]).run()?;
    check_op(|x| Ok(scattered(&x[0])?.to_csc()?.values().clone()), &[&[6]]).run()?;
    check_op(|x| SparseTensor::from_dense(&(&x[0] + 3.0))?.mv(&x[1]), &[&[2, 3], &[3]]).run()?;
    check_op(|x| scattered(&x[0])?.sum_dim(1), &[&[6]])
        .reference(|x| dense(scattered(&x[0]))?.sum_dim(1, false))
        .run()?;
    check_op(|x| scattered(&x[0])?.to_csr()?.sum_dim(0), &[&[6]])
        .reference(|x| dense(scattered(&x[0]))?.sum_dim(0, false))
        .run()?;
    check_op(|x| scattered(&x[0])?.scale(&x[1])?.to_dense(), &[&[6], &[]]).run()?;
    check_op(|x| scattered(&x[0])?.mul_dense(&x[1])?.to_dense(), &[&[6], &[3, 4]])
        .reference(|x| dense(scattered(&x[0]))?.try_mul(&x[1]))
        .run()?;
    let sum = |x: &[Tensor]| {
        let other = scattered(&x[1])?.to_csr()?;
        (&(&scattered(&x[0])?.to_csc()? + &other) - &(&other * 0.5)).to_dense()
    };
    check_op(sum, &[&[6], &[6]])
        .reference(|x| Ok(dense(scattered(&x[0]))? + dense(scattered(&x[1]))? * 0.5))
        .run()
        .map(drop)
}

#[test]
fn more_and_fewer_dimensions() -> Result<()> {
    let indices = Tensor::from([[0, 1, 1, 0], [2, 0, 0, 1], [0, 3, 3, 1]]);
    let cube = |v: &Tensor| SparseTensor::coo(&indices, v, [2, 3, 4]);
    check_op(|x| cube(&x[0])?.to_dense(), &[&[4]]).run()?;
    check_op(|x| cube(&x[0])?.coalesce()?.permute([2, 0, 1])?.to_dense(), &[&[4]])
        .reference(|x| cube(&x[0])?.to_dense()?.permute([2, 0, 1]))
        .run()?;
    check_op(|x| cube(&x[0])?.sum_dim([0, 2]), &[&[4]])
        .reference(|x| cube(&x[0])?.to_dense()?.sum_dim([0, 2], false))
        .run()?;
    check_op(|x| (&cube(&x[0])? + &cube(&x[1])?).to_dense(), &[&[4], &[4]]).run()?;
    let a = cube(&Tensor::from([1.0, 2.0, 3.0, 4.0]))?;
    assert_eq!((a.is_coalesced()?, a.coalesce()?.nnz(), a.coalesce()?.is_coalesced()?), (false, 3, true));
    assert_eq!(a.mv(&Tensor::ones([3])).unwrap_err().kind(), ErrorKind::Shape);
    Ok(())
}

#[test]
fn direct_solutions() -> Result<()> {
    for b in [&[4][..], &[4, 2]] {
        check_op(|x| dominant(&x[0])?.solve(&x[1]), &[&[8], b])
            .reference(|x| crate::solve(&dense(dominant(&x[0]))?, &x[1]))
            .run()?;
        check_op(|x| dominant(&x[0])?.t()?.solve(&x[1]), &[&[8], b])
            .reference(|x| crate::solve(&dense(dominant(&x[0]))?.t()?, &x[1]))
            .run()?;
        let symmetric = |v: &Tensor| -> Result<SparseTensor> {
            let a = dominant(v)?;
            a.try_add(&a.t()?)
        };
        check_op(|x| symmetric(&x[0])?.cholesky_solve(&x[1]), &[&[8], b])
            .reference(|x| crate::solve(&dense(symmetric(&x[0]))?, &x[1]))
            .run()?;
    }
    // Four equations for three unknowns.
    let tall = |v: &Tensor| -> Result<SparseTensor> {
        let indices = Tensor::from([[0, 1, 2, 3, 3, 0], [0, 1, 2, 0, 1, 2]]);
        let heavy = Tensor::from([6.0, 6.0, 6.0, 0.0, 0.0, 0.0]).to_device(&v.device())?;
        SparseTensor::coo(&indices, &v.try_add(&heavy)?, [4, 3])
    };
    for b in [&[4][..], &[4, 2]] {
        check_op(|x| tall(&x[0])?.lstsq(&x[1]), &[&[6], b])
            .reference(|x| crate::lstsq(&dense(tall(&x[0]))?, &x[1], None))
            .run()?;
        check_op(|x| tall(&x[0])?.t()?.to_csr()?.t()?.lstsq(&x[1]), &[&[6], b])
            .reference(|x| crate::lstsq(&dense(tall(&x[0]))?, &x[1], None))
            .run()?;
    }
    Ok(())
}

#[test]
fn what_cannot_be_solved_is_an_error() -> Result<()> {
    let b = Tensor::ones([2]);
    let matrix = |rows: [[f64; 2]; 2]| SparseTensor::from_dense(&Tensor::from(rows));
    let kind = |x: Result<Tensor>| x.unwrap_err().kind();
    for singular in
        [[[1.0, 2.0], [2.0, 4.0]], [[0.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]], [[0.0; 2]; 2]]
    {
        let a = matrix(singular)?;
        assert_eq!(kind(a.solve(&b)), ErrorKind::Singular { batch: 0 }, "{singular:?}");
        assert_eq!(kind(a.lstsq(&b)), ErrorKind::Singular { batch: 0 }, "{singular:?}");
        assert!(matches!(kind(a.cholesky_solve(&b)), ErrorKind::NotPositiveDefinite { .. }), "{singular:?}");
    }
    let indefinite = matrix([[1.0, 2.0], [2.0, 1.0]])?;
    assert!(matches!(kind(indefinite.cholesky_solve(&b)), ErrorKind::NotPositiveDefinite { .. }));
    assert!(matches!(
        cg(&indefinite, &Tensor::from([1.0, -1.0]), IterativeOptions::default()).unwrap_err().kind(),
        ErrorKind::NotPositiveDefinite { .. }
    ));
    assert_eq!(kind(matrix([[f64::NAN, 0.0], [0.0, 1.0]])?.solve(&b)), ErrorKind::Argument);
    assert_eq!(kind(matrix([[1.0, 0.0], [0.0, 1.0]])?.solve(&Tensor::ones([3]))), ErrorKind::Shape);
    assert_eq!(kind(scattered(&Tensor::ones([6]))?.solve(&b)), ErrorKind::Shape);
    assert_eq!(kind(scattered(&Tensor::ones([6]))?.lstsq(&b)), ErrorKind::Shape);
    let few = IterativeOptions { max_iterations: Some(1), ..Default::default() };
    let a = Tensor::from([[3.0, 1.0], [1.0, 2.0]]);
    assert_eq!(cg(&a, &b, few).unwrap_err().kind(), ErrorKind::NotConverged);
    assert_eq!(lsqr(&a, &b, few).unwrap_err().kind(), ErrorKind::NotConverged);
    assert_eq!(cg(&Tensor::ones([2, 3]), &b, few).unwrap_err().kind(), ErrorKind::Shape);
    Ok(())
}

#[test]
fn iterations_and_their_derivatives() -> Result<()> {
    let exact = IterativeOptions { tolerance: 1e-14, ..Default::default() };
    let definite = |x: &Tensor| crate::mm(x, &x.t()?)?.try_add(&(Tensor::eye_on(&x.device(), 3)? * 9.0));
    check_op(|x| Ok(cg(&definite(&x[0])?, &x[1], exact)?.x), &[&[3, 3], &[3]])
        .reference(|x| crate::solve(&definite(&x[0])?, &x[1]))
        .run()?;
    let free = |a: Tensor| MatrixFree::new([3, 3], move |x: &Tensor| crate::mv(&a, x));
    check_op(|x| Ok(cg(&free(definite(&x[0])?), &x[1], exact)?.x), &[&[3, 3], &[3]])
        .reference(|x| crate::solve(&definite(&x[0])?, &x[1]))
        .run()?;
    let tall = |x: &Tensor| {
        let rows = Tensor::cat(
            &[&(Tensor::eye_on(&x.device(), 3)? * 9.0), &Tensor::zeros_on(&x.device(), [2, 3])?],
            0,
        )?;
        x.try_add(&rows)
    };
    check_op(|x| Ok(lsqr(&tall(&x[0])?, &x[1], exact)?.x), &[&[5, 3], &[5]])
        .reference(|x| crate::lstsq(&tall(&x[0])?, &x[1], None))
        .run()?;
    // A^T by the derivative of A, for an operator that holds what an operation made.
    let free = |a: Tensor| MatrixFree::new([5, 3], move |x: &Tensor| crate::mv(&a, x));
    check_op(|x| Ok(lsqr(&free(tall(&x[0])?), &x[1], exact)?.x), &[&[5, 3], &[5]])
        .reference(|x| crate::lstsq(&tall(&x[0])?, &x[1], None))
        .run()?;
    let damped = IterativeOptions { damp: 2.0, ..exact };
    check_op(|x| Ok(lsqr(&x[0], &x[1], damped)?.x), &[&[2, 3], &[2]])
        .reference(|x| {
            let normal = crate::mm(&x[0].t()?, &x[0])?.try_add(&(Tensor::eye(3) * 4.0))?;
            crate::solve(&normal, &crate::mv(&x[0].t()?, &x[1])?)
        })
        .run()?;
    check_op(
        |x| Ok(cg(&dominant(&x[0])?.t()?.mm_sparse(&dominant(&x[0])?)?, &x[1], exact)?.x),
        &[&[8], &[4]],
    )
    .run()?;
    // A solution ends with the product of the residual that it reports; a gradient takes one more solution, and two
    // products to make the steps cancel.
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let a = (Tensor::eye(3) * 2.0 + Tensor::ones([3, 3])).requires_grad();
    let (counter, b) = (count.clone(), Tensor::from([1.0, 2.0, -1.0]));
    let counted = MatrixFree::new([3, 3], move |x: &Tensor| {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        crate::mv(&a, x)
    });
    let found = cg(&counted, &b, exact)?;
    let forward = count.swap(0, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(forward, found.iterations + 3);
    found.x.sum().backward()?;
    assert!(count.load(std::sync::atomic::Ordering::Relaxed) <= forward + 2);
    // The shortest of many solutions.
    let wide = Tensor::from([[1.0, 1.0, 0.0], [0.0, 0.0, 2.0]]);
    let x = lsqr(&wide, &Tensor::from([2.0, 2.0]), exact)?.x;
    assert!(x.try_sub(&Tensor::ones([3]))?.abs().max()?.item()? < 1e-12);
    Ok(())
}

#[test]
fn gradients_are_restricted_to_the_pattern() -> Result<()> {
    // Nothing of this shape could be stored: 8 TB.
    let n = 1_000_000;
    let a = SparseTensor::eye(n)?;
    let values = a.values().clone().requires_grad();
    let a = a.with_values(&values)?;
    let x = Tensor::full([n, 2], 3.0).requires_grad();
    let loss = a.mm(&x)?.square().sum();
    let g = grad(&loss, [&values, &x])?;
    assert_eq!(g[0].as_ref().unwrap().get([n as isize - 1])?, 36.0);
    assert_eq!(g[1].as_ref().unwrap().get([0, 0])?, 6.0);
    let (sum, slope) = value_and_grad(
        |v: &Tensor| Ok(a.with_values(v)?.mm_sparse(&a.detach())?.solve(&Tensor::ones([n]))?.sum()),
        &a.values().detach(),
    )?;
    assert_eq!((sum.item()?, slope.shape(), slope.get([7])?), (n as f64, &[n][..], -1.0));
    assert_eq!(a.t()?.sum_dim(0)?.numel(), n);
    Ok(())
}

#[test]
fn large_products_agree_with_small_ones() -> Result<()> {
    // Large enough for threads, for every way a product is formed; reference in plain loops.
    let (m, n, each) = (3000usize, 2000usize, 25usize);
    let column = |i: usize, e: usize| (i * 7919 + e * e * 31 + e) % n;
    let indices: Vec<i64> = (0..m * each)
        .map(|k| (k / each) as i64)
        .chain((0..m * each).map(|k| column(k / each, k % each) as i64))
        .collect();
    let number = |k: usize| ((k * 37 % 101) as f64 - 50.0) / 64.0;
    let values = Tensor::from_vec((0..m * each).map(number).collect(), [m * each])?;
    let a = SparseTensor::coo(&Tensor::from_vec(indices, [2, m * each])?, &values, [m, n])?;
    for k in [1, 3, 20] {
        let x: Vec<f64> = (0..n * k).map(|i| number(i + 5)).collect();
        let y: Vec<f64> = (0..m * k).map(|i| number(i + 9)).collect();
        let (mut ax, mut aty, mut sampled) = (vec![0.0; m * k], vec![0.0; n * k], vec![0.0; m * each]);
        for (e, sampled) in sampled.iter_mut().enumerate() {
            let (i, j) = (e / each, column(e / each, e % each));
            for c in 0..k {
                ax[i * k + c] += number(e) * x[j * k + c];
                aty[j * k + c] += number(e) * y[i * k + c];
                *sampled += y[i * k + c] * x[j * k + c];
            }
        }
        let (x, y) = (Tensor::from_vec(x, [n, k])?, Tensor::from_vec(y, [m, k])?);
        let near = |a: &Tensor, b: Vec<f64>| a.to_vec().iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-10);
        for a in [a.clone(), a.to_csr()?, a.to_csc()?] {
            assert!(near(&a.mm(&x)?, ax.clone()), "{:?} {k}", a.layout());
            assert!(near(&a.t()?.mm(&y)?, aty.clone()), "{:?} {k}", a.layout());
        }
        let leaf = values.clone().requires_grad();
        a.with_values(&leaf)?.mm(&x)?.try_mul(&y)?.sum().backward()?;
        assert!(near(&leaf.grad().unwrap(), sampled));
    }
    Ok(())
}

#[test]
fn wrong_places_are_errors() -> Result<()> {
    let ones = Tensor::ones([2]);
    let kind = |a: Result<SparseTensor>| a.unwrap_err().kind();
    let coo = |rows: [i64; 2]| SparseTensor::coo(&Tensor::from([rows, [0, 0]]), &ones, [3, 4]);
    assert_eq!(kind(coo([0, 3])), ErrorKind::Index);
    assert_eq!(kind(coo([-1, 0])), ErrorKind::Index);
    assert_eq!(kind(SparseTensor::coo(&Tensor::from([[0, 1]]), &ones, [3, 4])), ErrorKind::Shape);
    assert_eq!(kind(SparseTensor::coo(&Tensor::from([[0], [1]]), &ones, [3, 4])), ErrorKind::Shape);
    let csr = |starts: [i64; 3], columns: [i64; 2]| {
        SparseTensor::csr(Tensor::from(starts), Tensor::from(columns), &ones, [2, 3])
    };
    assert!(csr([0, 1, 2], [2, 0]).is_ok());
    for (starts, columns) in [
        ([0, 1, 3], [0, 1]),
        ([1, 1, 2], [0, 1]),
        ([0, 2, 1], [0, 1]),
        ([0, 3, 2], [0, 1]),
        ([0, 2, 2], [1, 1]),
        ([0, 2, 2], [1, 0]),
        ([0, 1, 2], [0, 3]),
        ([0, 1, 2], [0, -1]),
    ] {
        assert_eq!(kind(csr(starts, columns)), ErrorKind::Index, "{starts:?} {columns:?}");
    }
    assert_eq!(
        kind(SparseTensor::csr(Tensor::from([0, 2]), Tensor::from([0, 1]), &ones, [2, 3])),
        ErrorKind::Shape
    );
    // Sizes that nothing could hold are refused, not tried.
    let huge = SparseTensor::coo(&Tensor::from([[0, 5], [1, 2]]), &ones, [usize::MAX, 1 << 40])?;
    assert_eq!(huge.coalesce().unwrap_err().kind(), ErrorKind::Argument);
    let far = SparseTensor::coo(&Tensor::from([[0, 5], [1, 2]]), &ones, [1usize << 50, 1 << 10])?;
    assert!(matches!(far.to_csr().unwrap_err().kind(), ErrorKind::OutOfMemory { .. }));
    assert!(matches!(
        far.t()?.mv(&Tensor::ones([1]).expand([1isize << 50])?).unwrap_err().kind(),
        ErrorKind::OutOfMemory { .. }
    ));
    Ok(())
}

#[test]
fn prints_as_pytorch_does() -> Result<()> {
    let a = SparseTensor::from_dense(&Tensor::from([[0.0, 2.0], [3.0, 0.0]]))?;
    assert_eq!(
        a.to_string(),
        "tensor(indices=tensor([[0, 1],\n                       [1, 0]]),\n       values=tensor([2., 3.]),\n       \
         size=(2, 2), nnz=2, layout=sparse_coo)"
    );
    assert_eq!(
        a.to_csr()?.to_string(),
        "tensor(crow_indices=tensor([0, 1, 2]),\n       col_indices=tensor([1, 0]),\n       \
         values=tensor([2., 3.]),\n       size=(2, 2), nnz=2, layout=sparse_csr)"
    );
    Ok(())
}

#[test]
fn jacobians_by_colour() -> Result<()> {
    // Each value depends on its neighbours: three diagonals.
    let f = |x: &Tensor| {
        let n = x.numel();
        let (left, right) = (x.pad([1, 0], 0.0)?.narrow(0, 0, n)?, x.pad([0, 1], 0.0)?.narrow(0, 1, n)?);
        (x * x * x - left.sin()).try_mul(&right.cos())
    };
    let x = Tensor::from_vec((0..40).map(|i| 0.1 * i as f64).collect(), [40])?;
    let plan = SparseJacobian::detect(f, &x)?;
    // A value knows one copy of each of its neighbours.
    assert_eq!((plan.passes(), plan.nnz()), (1, 118));
    let reference = autograd::jacobian(f, &x)?;
    let error = plan.evaluate(f, &x)?.to_dense()?.try_sub(&reference)?.abs().max()?.item()?;
    assert!(error < 1e-12, "{error}");
    // Given, and differentiated in turn.
    let ones = autograd::jacobian(f, &(&x + 0.05))?;
    let given = SparseJacobian::new(&SparseTensor::from_dense(&ones)?)?;
    assert_eq!(given.passes(), 3);
    check_op(|v| given.evaluate(f, &v[0])?.to_dense(), &[&[40]])
        .reference(|v| autograd::jacobian(f, &v[0]))
        .run()?;
    // One dense row: by columns, few directions; all in one column: by rows.
    let wide = |x: &Tensor| Tensor::cat(&[&x.square(), &x.sum().unsqueeze(0)?], 0);
    let tall = |x: &Tensor| x.square().try_mul(&x.select(0, 0)?);
    for f in [&wide as &dyn Fn(&Tensor) -> Result<Tensor>, &tall] {
        let plan = SparseJacobian::detect(f, &x)?;
        assert_eq!(plan.passes(), 2);
        let error = plan.evaluate(f, &x)?.to_dense()?.try_sub(&autograd::jacobian(f, &x)?)?;
        assert!(error.abs().max()?.item()? < 1e-12);
        let linear = autograd::linearize(f, &x)?;
        let error = plan.evaluate_linearized(&linear)?.to_dense()?.try_sub(&autograd::jacobian(f, &x)?)?;
        assert!(error.abs().max()?.item()? < 1e-12);
    }
    // Where it was linearised as a function of something else.
    check_op(|v| given.evaluate_linearized(&autograd::linearize(f, &v[0])?)?.to_dense(), &[&[40]])
        .reference(|v| autograd::jacobian(f, &v[0]))
        .run()?;
    for other in
        [autograd::linearize(f, &Tensor::ones([3]))?, autograd::linearize(|x: &Tensor| Ok(x.sum()), &x)?]
    {
        assert_eq!(plan.evaluate_linearized(&other).unwrap_err().kind(), ErrorKind::Shape);
    }
    assert_eq!(plan.evaluate(f, &Tensor::ones([3])).unwrap_err().kind(), ErrorKind::Shape);
    assert_eq!(plan.evaluate(|x| Ok(x.sum()), &x).unwrap_err().kind(), ErrorKind::Shape);
    let constant = SparseJacobian::detect(|_| Ok(Tensor::ones([3])), &x)?;
    assert_eq!((constant.nnz(), constant.evaluate(|_| Ok(Tensor::ones([3])), &x)?.shape()), (0, vec![3, 40]));
    Ok(())
}

/// Functions that begin with copies of what they are given, of 12 elements, and how many passes their Jacobians take.
#[test]
fn jacobians_behind_copies() -> Result<()> {
    let at = |places: &[i64]| Tensor::from(places.to_vec());
    let (first, second) = (at(&[0, 1, 0, 2, -2, 0]), at(&[3, 0, 1, 1, 2, 0]));
    let twins = at(&[0, 1, 1, 0]);
    type Function<'a> = &'a dyn Fn(&Tensor) -> Result<Tensor>;
    let functions: [(&str, usize, Function<'_>); 10] = [
        ("rows of a table", 2, &|x| {
            let x = x.reshape([4, 3])?;
            let (a, b) = (x.index_select(0, &first)?, x.index_select(0, &second)?);
            Tensor::stack([(&a * &b).sum_dim(1, false)?, (a - b).square().sum_dim(1, false)?], 1)
        }),
        ("columns of it", 1, &|x| {
            let a = x.reshape([3, 4])?.index_select(1, &first)?;
            Tensor::cat([a.narrow(0, 0, 2)?.exp().sum_dim(0, false)?, a.sin().sum_dim(0, false)?], 0)
        }),
        ("what is read twice", 1, &|x| {
            (x.narrow(0, 0, 8)? * x.narrow(0, 4, 8)?).try_add(&x.narrow(0, 0, 8)?.square())
        }),
        ("a copy and what it was made of", 2, &|x| {
            let pairs = x.reshape([6, 2])?.index_select(0, &twins)?;
            pairs.sin().try_mul(&pairs.select(1, 0)?.unsqueeze(1)?)
        }),
        ("stretched", 1, &|x| {
            let (a, b) = (x.narrow(0, 0, 3)?.unsqueeze(1)?, x.narrow(0, 3, 9)?.reshape([3, 3])?);
            a.expand([3, 3])?.try_mul(&b.t()?)?.sin().sum_dim(1, false)
        }),
        ("windows", 1, &|x| x.unfold(0, 3, 2)?.cos().sum_dim(1, false)),
        ("a diagonal, between zeros", 1, &|x| {
            let a = x.narrow(0, 0, 4)?.diag_embed(0)?;
            (a + x.narrow(0, 2, 4)?.diag_embed(1)?.narrow(-2, 0, 4)?.narrow(-1, 0, 4)?)
                .cos()
                .sum_dim(1, false)
        }),
        ("gathered", 1, &|x| {
            let a = x.reshape([3, 4])?.gather(1, Tensor::from([[0, 0], [3, 1], [2, 2]]))?;
            Ok(a.select(1, 0)? * a.select(1, 1)?)
        }),
        ("copies alone", 1, &|x| x.index_select(0, &first)),
        ("a zero that was put beside", 1, &|x| {
            let shifted = x.pad([1, 0], 0.0)?.narrow(0, 0, 12)?;
            (x - &shifted).square().try_mul(&shifted.exp())
        }),
    ];
    let x = (0..12).map(|i| 0.3 + 0.1 * f64::from(i)).collect::<Vec<_>>();
    let x = Tensor::from(x);
    for (name, passes, f) in functions {
        let plan = SparseJacobian::detect(f, &x)?.checked(true);
        assert_eq!(plan.passes(), passes, "{name}");
        let reference = |x: &Tensor| autograd::jacobian(f, x)?.reshape([f(x)?.numel(), 12]);
        assert_eq!(plan.nnz(), reference(&x)?.nonzero().shape()[0], "{name}");
        check_op(|v| plan.evaluate(f, &v[0])?.to_dense(), &[&[12]]).reference(|v| reference(&v[0])).run()?;
    }
    // What is chosen may change, as long as the pattern holds it.
    let chosen = std::cell::RefCell::new(at(&[0, 1, 2, 0]));
    let f = |x: &Tensor| Ok(x * x.index_select(0, &*chosen.borrow())?.square().sum());
    let x = Tensor::from([0.5, 1.0, 2.0]);
    let plan = SparseJacobian::detect(f, &x)?.checked(true);
    chosen.replace(at(&[2, 1, 0, 1]));
    assert!(plan.evaluate(f, &x)?.to_dense()?.allclose(&autograd::jacobian(f, &x)?, 1e-14, 0.0)?);
    Ok(())
}

#[test]
fn triangular_systems() -> Result<()> {
    type Layout = fn(SparseTensor) -> Result<SparseTensor>;
    let layouts: [Layout; 4] = [Ok, |a| a.to_csr(), |a| a.to_csc(), |a| a.t()?.to_csr()?.t()];
    for to in layouts {
        for (upper, unit) in [(false, false), (true, false), (false, true), (true, true)] {
            let triangle = Triangle { upper, unit };
            for side in [&[4][..], &[4, 3], &[4, 0]] {
                check_op(|x| to(dominant(&x[0])?)?.solve_triangular(&x[1], triangle), &[&[8], side])
                    .reference(|x| solve_triangular(&dense(dominant(&x[0]))?, &x[1], triangle))
                    .run()?;
                check_op(|x| to(dominant(&x[0])?)?.t()?.solve_triangular(&x[1], triangle), &[&[8], side])
                    .reference(|x| solve_triangular(&dense(dominant(&x[0]))?.t()?, &x[1], triangle))
                    .run()?;
            }
        }
    }
    let single = |x: &[Tensor<f32>]| {
        let indices = Tensor::from([[0, 1, 1], [0, 0, 1]]);
        let values = x[0].square() + 1.0;
        SparseTensor::coo(&indices, &values, [2, 2])?.solve_triangular(&x[1], Triangle::LOWER)
    };
    let double = |x: &[Tensor]| {
        let indices = Tensor::from([[0, 1, 1], [0, 0, 1]]);
        let values = x[0].square() + 1.0;
        SparseTensor::coo(&indices, &values, [2, 2])?.solve_triangular(&x[1], Triangle::LOWER)
    };
    check_op(double, &[&[3], &[2]]).single(single).run()?;
    Ok(())
}

#[test]
fn triangles_without_a_solution() -> Result<()> {
    let a = SparseTensor::from_dense(&Tensor::from([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 5.0, 3.0]]))?;
    let b = Tensor::ones([3]);
    let e = a.solve_triangular(&b, Triangle::LOWER).unwrap_err();
    assert_eq!((e.kind(), e.op()), (ErrorKind::Singular { batch: 0 }, "solve_triangular"));
    assert!(e.to_string().contains("row 1"), "{e}");
    assert!(a.t()?.solve_triangular(&b, Triangle::UPPER).unwrap_err().to_string().contains("row 1"));
    let unit = Triangle { upper: false, unit: true };
    assert_eq!(a.solve_triangular(&b, unit)?.to_vec(), [1.0, -1.0, 6.0]);
    assert_eq!(a.solve_triangular(&Tensor::ones([2]), unit).unwrap_err().kind(), ErrorKind::Shape);
    let nan = SparseTensor::from_dense(&Tensor::from([[1.0, 1.0], [f64::NAN, 1.0]]))?;
    let b = Tensor::ones([2]);
    assert_eq!(nan.solve_triangular(&b, Triangle::LOWER).unwrap_err().kind(), ErrorKind::Argument);
    assert_eq!(nan.solve_triangular(&b, Triangle::UPPER)?.to_vec(), [0.0, 1.0]);
    Ok(())
}
