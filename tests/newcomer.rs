//! Programs as somebody types them who comes from NumPy or PyTorch: each was written before the library took it.

use std::collections::{BTreeMap, HashMap};
use tapegrad::prelude::*;

/// As a program of its own would be read: a value, or the error that `main` prints.
type Program = std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>;

// Shapes, dimensions and indices, in whatever integers are at hand.

#[test]
fn shapes_are_tuples() -> Program {
    let x = Tensor::zeros((2, 3));
    let y = Tensor::ones((2, 3, 4)).reshape((6, -1))?;
    assert_eq!((x.shape(), y.shape()), (&[2, 3][..], &[6, 4][..]));
    assert_eq!(Tensor::randn((5,)).numel() + Tensor::rand(4).numel() + Tensor::zeros(()).numel(), 10);
    Ok(())
}

#[test]
fn shapes_are_those_of_other_tensors() -> Program {
    let x = Tensor::randn([2, 3]);
    let y = Tensor::zeros(x.shape());
    let z = Tensor::full(x.shape().to_vec(), 7.0);
    assert_eq!((&y + &z).reshape([3, 2])?.sum().item()?, 42.0);
    Ok(())
}

#[test]
fn sizes_are_computed_in_i32() -> Program {
    let (rows, columns): (i32, i32) = (2, 3);
    let x = Tensor::zeros([rows, columns]);
    assert_eq!(x.expand((4, rows, columns))?.shape(), [4, 2, 3]);
    assert_eq!(Tensor::eye(rows).numel(), 4);
    Ok(())
}

#[test]
fn a_negative_size_is_refused() {
    let n = -2;
    let error = Tensor::try_zeros::<f64>((3, n)).unwrap_err();
    assert!(error.to_string().contains("-2"), "{error}");
}

#[test]
fn a_loop_over_columns_counts_in_usize() -> Program {
    let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    let mut total = 0.0;
    for j in 0..x.shape()[1] {
        total += x.select(1, j)?.sum().item()?;
    }
    assert_eq!(total, 10.0);
    Ok(())
}

#[test]
fn a_loop_over_rows_counts_in_i32() -> Program {
    let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    let rows = (0..2).map(|i| x.row(i)).collect::<Result<Vec<_>>>()?;
    assert_eq!(rows[1].to_vec(), [3.0, 4.0]);
    Ok(())
}

#[test]
fn a_window_moves() -> Program {
    let x = arange(0.0, 10.0, 1.0)?;
    let width = 3;
    let means: Vec<f64> = (0..x.numel() - width + 1)
        .map(|start| x.narrow(0, start, width)?.mean().item())
        .collect::<Result<_>>()?;
    assert_eq!(means[7], 8.0);
    Ok(())
}

#[test]
fn batches_are_narrowed() -> Program {
    let (x, size) = (Tensor::zeros((10, 2)), 4);
    let mut sizes = vec![];
    for start in (0..x.size(0)?).step_by(size) {
        let batch = x.narrow(0, start, size.min(x.size(0)? - start))?;
        sizes.push(batch.size(0)?);
    }
    assert_eq!(sizes, [4, 4, 2]);
    Ok(())
}

#[test]
fn dimensions_are_any_integers() -> Program {
    let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    let (a, b, c, d): (usize, isize, i32, i64) = (0, -1, 1, 0);
    assert_eq!(x.sum_dim(a, false)?.to_vec(), [4.0, 6.0]);
    assert_eq!(x.mean_dim(b, false)?.to_vec(), [1.5, 3.5]);
    assert_eq!(x.argmax(c, false)?.to_vec(), [1, 1]);
    assert_eq!(x.cumsum(d)?.to_vec(), [1.0, 2.0, 4.0, 6.0]);
    Ok(())
}

#[test]
fn several_dimensions_are_tuples_slices_and_vectors() -> Program {
    let x = Tensor::ones((2, 3, 4));
    let dims = vec![0usize, 2];
    assert_eq!(x.sum_dim((0, 2), false)?.shape(), [3]);
    assert_eq!(x.sum_dim(&dims, true)?.shape(), [1, 3, 1]);
    assert_eq!(x.sum_dim(&dims[..1], false)?.shape(), [3, 4]);
    assert_eq!(x.permute((2, 0, 1))?.shape(), [4, 2, 3]);
    assert_eq!(x.permute([2usize, 0, 1])?.shape(), [4, 2, 3]);
    Ok(())
}

#[test]
fn literals_need_no_annotation() -> Program {
    let x = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let y = Tensor::zeros([2, 3]);
    assert_eq!(x.sum_dim(0, false)?.shape(), [3]);
    assert_eq!(x.narrow(1, 1, 2)?.to_vec(), [2.0, 3.0, 5.0, 6.0]);
    assert_eq!((x.transpose(-1, 0)? + y.t()?).to_vec()[1], 4.0);
    Ok(())
}

#[test]
fn elements_are_read_at_tuples() -> Program {
    let mut x = Tensor::zeros((2, 2));
    let (i, j) = (1usize, 0usize);
    x.set((i, j), 5.0)?;
    assert_eq!(x.get((1, 0))? + x.get([i, j])?, 10.0);
    assert_eq!(x.row(1)?.get(0)?, 5.0);
    Ok(())
}

// Lists of indices.

#[test]
fn rows_are_taken_at_a_vector() -> Program {
    let x = Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    let order: Vec<usize> = vec![2, 0];
    assert_eq!(x.index_select(0, &order)?.to_vec(), [5.0, 6.0, 1.0, 2.0]);
    assert_eq!(x.index_select(0, order)?.shape(), [2, 2]);
    Ok(())
}

#[test]
fn rows_are_taken_at_ranges_and_arrays() -> Program {
    let x = Tensor::from([1.0, 2.0, 3.0, 4.0]);
    let n = x.numel();
    assert_eq!(x.index_select(0, 1..n)?.to_vec(), [2.0, 3.0, 4.0]);
    assert_eq!(x.index_select(0, 0..=1)?.to_vec(), [1.0, 2.0]);
    assert_eq!(x.index_select(0, [3, -4])?.to_vec(), [4.0, 1.0]);
    assert_eq!(x.gather(0, [1, 1])?.to_vec(), [2.0, 2.0]);
    Ok(())
}

#[test]
fn a_shuffled_epoch() -> Program {
    manual_seed(0);
    let x = arange(0.0, 6.0, 1.0)?;
    let order = Tensor::randperm(6)?;
    let mut seen = 0.0;
    for batch in order.chunk(3, 0)? {
        seen += x.index_select(0, &batch)?.sum().item()?;
    }
    assert_eq!(seen, 15.0);
    Ok(())
}

#[test]
fn rows_are_written_at_a_list() -> Program {
    let x = Tensor::zeros(4);
    let y = x.index_put([1, 3], Tensor::from([5.0, 7.0]), false)?;
    assert_eq!(y.to_vec(), [0.0, 5.0, 0.0, 7.0]);
    assert_eq!(x.scatter_add(0, vec![0, 0], &Tensor::ones(2))?.get(0)?, 2.0);
    Ok(())
}

#[test]
fn classes_are_a_vector() -> Program {
    let logits = Tensor::from([[2.0, 0.0], [0.0, 2.0]]);
    let loss = logits.cross_entropy(vec![0, 1])?;
    assert!((loss.item()? - (1.0 + (-2f64).exp()).ln()).abs() < 1e-12);
    Ok(())
}

#[test]
fn classes_are_shares() -> Program {
    let logits = Tensor::from([[2.0, 0.0], [0.0, 2.0]]);
    let shares = Tensor::from([[0.9, 0.1], [0.2, 0.8]]);
    let loss = logits.cross_entropy(&shares)?;
    assert!((loss.item()? - logits.cross_entropy([0, 1])?.item()? - 0.3).abs() < 1e-12);
    Ok(())
}

#[test]
fn the_largest_of_each_group() -> Program {
    let (values, groups) = (Tensor::from([3.0, 5.0, 4.0, 1.0]), [0, 1, 0, 1]);
    let largest = Tensor::zeros(2).scatter_reduce(0, groups, &values, tapegrad::Reduce::Amax, false)?;
    assert_eq!(largest.to_vec(), [4.0, 5.0]);
    Ok(())
}

#[test]
fn columns_are_written_and_split() -> Program {
    let x = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let y = x.index_copy(1, [0, 2], 0.0)?;
    assert_eq!(y.to_vec(), [0.0, 2.0, 0.0, 0.0, 5.0, 0.0]);
    let parts = x.split_with_sizes([1, 2], 1)?;
    assert_eq!(parts[1].to_vec(), [2.0, 3.0, 5.0, 6.0]);
    assert_eq!((x % 2.0).clamp_min(0.5).to_vec(), [1.0, 0.5, 1.0, 0.5, 1.0, 0.5]);
    Ok(())
}

#[test]
fn gradients_for_a_list_of_tensors() -> Program {
    let weights = vec![Tensor::from([1.0, 2.0]).requires_grad(), Tensor::from([3.0]).requires_grad()];
    let loss = weights.iter().map(|w| w.square().sum()).sum::<Tensor>();
    let slopes = grad(&loss, &weights)?;
    assert_eq!(slopes[1].as_ref().unwrap().to_vec(), [6.0]);
    Ok(())
}

// From and to Rust's own collections.

#[test]
fn iterators_are_collected() -> Program {
    let x: Tensor = (0..4).map(|i| f64::from(i) * 0.5).collect();
    let n = (0..3).collect::<Tensor<i64>>();
    assert_eq!((x.to_vec(), n.to_vec()), (vec![0.0, 0.5, 1.0, 1.5], vec![0, 1, 2]));
    Ok(())
}

#[test]
fn losses_are_summed() -> Program {
    let xs = [Tensor::from([1.0, 2.0]).requires_grad(), Tensor::from([3.0, 4.0]).requires_grad()];
    let total: Tensor = xs.iter().map(|x| x.square().sum()).sum();
    total.backward()?;
    assert_eq!(xs[1].grad().unwrap().to_vec(), [6.0, 8.0]);
    assert_eq!(xs.iter().sum::<Tensor>().to_vec(), [4.0, 6.0]);
    Ok(())
}

#[test]
fn tables_are_nested_vectors() -> Program {
    let rows = vec![vec![1.0, 2.0], vec![3.0, 4.0]];
    let x = Tensor::from(rows);
    assert_eq!(x.shape(), [2, 2]);
    let y: Tensor = vec![[1.0, 2.0], [3.0, 4.0]].into();
    assert_eq!((x - y).abs().sum().item()?, 0.0);
    Ok(())
}

#[test]
fn slices_become_tensors() -> Program {
    let data = [1.0, 2.0, 3.0, 4.0];
    assert_eq!(Tensor::from(&data[1..]).to_vec(), [2.0, 3.0, 4.0]);
    assert_eq!(Tensor::from(&data).to_vec(), data);
    assert_eq!(Tensor::from_vec(data.to_vec(), (2, 2))?.t()?.to_vec(), [1.0, 3.0, 2.0, 4.0]);
    Ok(())
}

#[test]
fn a_list_of_rows_is_stacked() -> Program {
    let rows: Vec<Tensor> = (0..3).map(|i| Tensor::full(2, f64::from(i))).collect();
    assert_eq!(Tensor::stack(&rows, 0)?.shape(), [3, 2]);
    assert_eq!(Tensor::cat(rows.iter().rev(), 0)?.to_vec(), [2.0, 2.0, 1.0, 1.0, 0.0, 0.0]);
    assert_eq!(Tensor::stack(rows, 1)?.shape(), [2, 3]);
    Ok(())
}

#[test]
fn tensors_are_joined_by_value_and_by_reference() -> Program {
    let (a, b) = (Tensor::from([1.0]), Tensor::from([2.0, 3.0]));
    assert_eq!(Tensor::cat(&[&a, &b], 0)?.to_vec(), [1.0, 2.0, 3.0]);
    assert_eq!(Tensor::cat([&b, &a], -1)?.to_vec(), [2.0, 3.0, 1.0]);
    assert_eq!(Tensor::cat([a, b], 0usize)?.numel(), 3);
    Ok(())
}

#[test]
fn rows_are_unbound() -> Program {
    let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    let [first, second] = &x.unbind(0)?[..] else { panic!("two rows") };
    assert_eq!((first * second).to_vec(), [3.0, 8.0]);
    for column in x.unbind(-1)? {
        assert_eq!(column.ndim(), 1);
    }
    Ok(())
}

#[test]
fn parts_are_split_by_any_integers() -> Program {
    let (x, parts) = (arange(0.0, 6.0, 1.0)?, 3i32);
    assert_eq!(x.chunk(parts, 0)?.len(), 3);
    assert_eq!(x.split(4, -1)?[1].to_vec(), [4.0, 5.0]);
    assert_eq!(x.repeat((2, 1))?.shape(), [2, 6]);
    assert_eq!(x.topk(2, 0, true)?.1.to_vec(), [5, 4]);
    assert_eq!(x.roll(1, 0)?.get(0)?, 5.0);
    assert_eq!(x.pad((1, 1), 0.0)?.numel(), 8);
    Ok(())
}

// Numbers where tensors stand.

#[test]
fn a_rectifier_is_a_maximum_with_zero() -> Program {
    let x = Tensor::from([-1.0, 2.0]).requires_grad();
    x.maximum(0.0)?.sum().backward()?;
    assert_eq!(x.grad().unwrap().to_vec(), [0.0, 1.0]);
    assert_eq!(x.minimum(0.5)?.to_vec(), [-1.0, 0.5]);
    Ok(())
}

#[test]
fn where_takes_numbers() -> Program {
    let x = Tensor::from([-1.0, 4.0]);
    let positive = x.gt(0.0)?;
    assert_eq!(positive.where_cond(&x, 0.0)?.to_vec(), [0.0, 4.0]);
    assert_eq!(positive.where_cond(1.0, &x)?.to_vec(), [-1.0, 1.0]);
    let signs: Tensor = positive.where_cond(1.0, -1.0)?;
    assert_eq!(signs.to_vec(), [-1.0, 1.0]);
    Ok(())
}

#[test]
fn masks_fill() -> Program {
    let scores = Tensor::from([1.0, 2.0, 3.0]);
    let masked = scores.masked_fill(&scores.ge(2.5)?, f64::NEG_INFINITY)?;
    assert_eq!(masked.softmax(0)?.get(2)?, 0.0);
    assert_eq!(scores.cast::<f32>().masked_fill(&scores.lt(2)?, 0)?.to_vec(), [0.0, 2.0, 3.0]);
    Ok(())
}

#[test]
fn powers_are_numbers() -> Program {
    let x = Tensor::from([1.0, -2.0]);
    assert_eq!(x.pow(2)?.to_vec(), [1.0, 4.0]);
    assert_eq!(x.powi(3).to_vec(), [1.0, -8.0]);
    assert_eq!(x.abs().pow(0.5)?.square().sum().round().item()?, 3.0);
    Ok(())
}

#[test]
fn comparisons_take_integers() -> Program {
    let x = Tensor::from([1.0, 2.0, 3.0]);
    assert_eq!(x.eq(2)?.to_vec(), [false, true, false]);
    assert_eq!(x.ge(Tensor::from([3.0, 2.0, 1.0]))?.count_nonzero(), 2);
    assert_eq!(x.ne(Tensor::scalar(2.0))?.count_nonzero(), 2);
    Ok(())
}

#[test]
fn remainders_take_numbers() -> Program {
    let n = Tensor::from([-7, 7]);
    assert_eq!(n.floor_divide(2)?.to_vec(), [-4, 3]);
    assert_eq!(n.remainder(2)?.to_vec(), [1, 1]);
    assert_eq!(Tensor::from([-7.0, 7.5]).fmod(2.0)?.to_vec(), [-1.0, 1.5]);
    Ok(())
}

#[test]
fn integers_have_extremes() -> Program {
    let n = Tensor::from([-3, 0, 9]);
    assert_eq!(n.clamp(0, 5).to_vec(), [0, 0, 5]);
    assert_eq!(n.maximum(Tensor::from([1, -1, 1]))?.to_vec(), [1, 0, 9]);
    assert_eq!(n.minimum(0)?.to_vec(), [-3, 0, 0]);
    Ok(())
}

#[test]
fn clamps_of_single_precision() -> Program {
    let x = Tensor::from([-2f32, 0.5, 2.0]);
    assert_eq!(x.clamp(-1.0, 1.0).to_vec(), [-1.0, 0.5, 1.0]);
    assert_eq!(x.clamp(0, 1).to_vec(), [0.0, 0.5, 1.0]);
    Ok(())
}

#[test]
fn masks_have_operators() -> Program {
    let x = Tensor::from([1.0, 2.0, 3.0]);
    let (low, high) = (x.gt(1.0)?, x.lt(3.0)?);
    assert_eq!((&low & &high).to_vec(), [false, true, false]);
    assert_eq!((&low | &high).to_vec(), [true; 3]);
    assert_eq!((!&low ^ high).to_vec(), [false, true, false]);
    assert_eq!((!low).count_nonzero(), 1);
    Ok(())
}

#[test]
fn integers_multiply_floats() -> Program {
    let x = Tensor::from([1.0, 2.0]);
    let y = 2 * &x + 1;
    assert_eq!((&y - 1 * &x).to_vec(), [2.0, 3.0]);
    assert_eq!((y / x.numel()).to_vec(), [1.5, 2.5]);
    assert_eq!((2 * Tensor::from([1, 2]) - 1).to_vec(), [1, 3]);
    assert_eq!((2 * Tensor::from([1f32, 2.0])).sum().item()?, 6.0);
    assert_eq!((1 - x / 2).to_vec(), [0.5, 0.0]);
    Ok(())
}

#[test]
fn code_over_both_precisions_multiplies_by_numbers() -> Program {
    fn energy<T: Float>(x: &Tensor<T>) -> Tensor<T> {
        let half = x.square() * 0.5 + 1.0;
        (half - 1) / 2.0
    }
    assert_eq!(energy(&Tensor::from([2.0])).to_vec(), [1.0]);
    assert_eq!(energy(&Tensor::from([2f32])).to_vec(), [1.0]);
    Ok(())
}

#[test]
fn code_over_both_precisions_compares_and_clamps() -> Program {
    fn hinge<T: Float>(x: &Tensor<T>) -> Result<Tensor<T>> {
        x.gt(0.0)?.where_cond(x, 0.0)?.maximum(0.5)?.pow(2)
    }
    assert_eq!(hinge(&Tensor::from([2f32, -1.0]))?.to_vec(), [4.0, 0.25]);
    assert_eq!(hinge(&Tensor::from([2.0, -1.0]))?.to_vec(), [4.0, 0.25]);
    Ok(())
}

#[test]
fn numbers_stay_in_single_precision() -> Program {
    let x = Tensor::from([1f32, 2.0]);
    let y = (&x * 0.1 + 1.0) / 2.0;
    assert_eq!((y - 0.5f32).sum().dtype(), DType::F32);
    let mut z = x;
    z *= 2.0;
    z += 1;
    assert_eq!(z.to_vec(), [3.0, 5.0]);
    Ok(())
}

#[test]
fn typed_constructors_are_those_of_the_type() -> Program {
    let x = Tensor::<f32>::zeros((2, 2)) + Tensor::<f32>::ones((2, 2)) + Tensor::<f32>::eye(2);
    assert_eq!(x.to_vec(), [2f32, 1.0, 1.0, 2.0]);
    assert_eq!(Tensor::<i64>::zeros(3).dtype(), DType::I64);
    assert_eq!(Tensor::<f32>::randn(3).dtype(), Tensor::<f32>::rand(3).dtype());
    Ok(())
}

#[test]
fn distances_take_numbers() -> Program {
    let x = Tensor::from([3.0, 0.0]);
    assert_eq!(x.hypot(4.0)?.to_vec(), [5.0, 4.0]);
    assert_eq!(x.atan2(1)?.get(1)?, 0.0);
    Ok(())
}

#[test]
fn elements_are_written_in_a_loop() -> Program {
    let n = 3;
    let mut hilbert = Tensor::zeros((n, n));
    for i in 0..n {
        for j in 0..n {
            hilbert.set((i, j), 1.0 / (i + j + 1) as f64)?;
        }
    }
    assert!((hilbert.det()?.item()? * 2160.0 - 1.0).abs() < 1e-9);
    Ok(())
}

// Formats.

#[test]
fn precision_is_that_of_the_format() -> Program {
    let x = Tensor::from([1.0, 0.123456]);
    assert_eq!(format!("{x:.2}"), "tensor([1.00, 0.12])");
    assert_eq!(format!("{:.1}", Tensor::scalar(0.25)), "tensor(0.2)");
    assert_eq!(format!("{x}"), "tensor([1.0000, 0.1235])");
    Ok(())
}

#[test]
fn exponents_and_widths_are_those_of_the_format() -> Program {
    let x = Tensor::from([1.0, 20.0]);
    assert_eq!(format!("{x:.1e}"), "tensor([1.0e+00, 2.0e+01])");
    assert_eq!(format!("{:>12}", Tensor::scalar(3)), "   tensor(3)");
    assert_eq!(format!("{:<12}|", Tensor::scalar(3)), "tensor(3)   |");
    Ok(())
}

#[test]
fn numbers_are_printed_alone() -> Program {
    let loss = Tensor::scalar(0.5).square();
    assert_eq!(format!("loss {:.3}", loss.item()?), "loss 0.250");
    Ok(())
}

// Derivatives.

#[test]
fn a_line_is_fitted() -> Program {
    let x = linspace(0.0, 1.0, 11)?;
    let y = 3 * &x + 1;
    let (mut a, mut b) = (Tensor::scalar(0.0), Tensor::scalar(0.0));
    for _ in 0..2000 {
        let (_, (da, db)) =
            value_and_grad(|(a, b)| Ok((a * &x + b - &y).pow(2)?.mean()), &(a.clone(), b.clone()))?;
        a -= 0.5 * da;
        b -= 0.5 * db;
    }
    assert!((a.item()? - 3.0).abs() < 1e-6 && (b.item()? - 1.0).abs() < 1e-6);
    Ok(())
}

#[test]
fn errors_of_files_go_through_a_closure() {
    let f = |x: &Tensor| {
        let text = std::fs::read_to_string("/no/such/file")?;
        let scale: f64 = text.trim().parse()?;
        Ok((x * scale).sum())
    };
    let error = value_and_grad(f, &Tensor::ones(2)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    let source = error.into_other().unwrap();
    assert_eq!(source.downcast_ref::<std::io::Error>().unwrap().kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn errors_of_numbers_go_through_a_closure() {
    let f = |x: &Tensor| {
        let n: usize = "many".parse()?;
        Ok((x * n).sum())
    };
    let error = value_and_grad(f, &Tensor::ones(2)).unwrap_err();
    assert!(error.into_other().unwrap().is::<std::num::ParseIntError>());
}

#[test]
fn errors_of_ones_own_go_through_a_closure() {
    #[derive(Debug, PartialEq)]
    struct Diverged(usize);
    impl std::fmt::Display for Diverged {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "diverged in step {}", self.0)
        }
    }
    impl std::error::Error for Diverged {}
    impl From<Diverged> for Error {
        fn from(error: Diverged) -> Error {
            Error::other(error)
        }
    }
    fn step(x: &Tensor) -> std::result::Result<Tensor, Diverged> {
        if x.numel() > 1 { Err(Diverged(3)) } else { Ok(x.clone()) }
    }
    let error = hessian(|x| Ok(step(x)?.sum()), &Tensor::ones(2)).unwrap_err();
    assert_eq!(error.to_string(), "diverged in step 3");
    assert_eq!(error.into_other().unwrap().downcast_ref(), Some(&Diverged(3)));
}

#[test]
fn boxed_errors_go_through_a_closure() {
    fn anything() -> std::result::Result<f64, Box<dyn std::error::Error + Send + Sync>> {
        Err("out of range".into())
    }
    let error = value_and_grad(|x: &Tensor| Ok(x.sum() * anything()?), &Tensor::ones(2)).unwrap_err();
    assert_eq!(error.to_string(), "out of range");
}

#[test]
fn a_model_has_fields_that_are_no_tensors() -> Program {
    #[derive(Clone)]
    struct Layer {
        weights: Tensor,
        bias: Tensor,
        name: String,
        slope: f64,
    }
    params!(Layer { weights, bias, .. });
    let layer = Layer { weights: Tensor::eye(2), bias: Tensor::zeros(2), name: "first".into(), slope: 0.5 };
    let x = Tensor::from([1.0, -1.0]);
    let loss = |l: &Layer| Ok((l.weights.mv(&x)? + &l.bias).leaky_relu(l.slope).sum());
    let (_, g) = value_and_grad(loss, &layer)?;
    assert_eq!((g.bias.to_vec(), g.name.as_str()), (vec![1.0, 0.5], "first"));
    Ok(())
}

#[test]
fn parameters_are_maps() -> Program {
    let mut weights = HashMap::new();
    weights.insert("w", Tensor::from([1.0, 2.0]));
    weights.insert("b", Tensor::scalar(3.0));
    let (_, g) = value_and_grad(|p: &HashMap<&str, Tensor>| Ok((&p["w"] * &p["b"]).sum()), &weights)?;
    assert_eq!((g["w"].to_vec(), g["b"].item()?), (vec![3.0, 3.0], 3.0));
    let ordered: BTreeMap<String, Tensor> = weights.into_iter().map(|(k, v)| (k.to_string(), v)).collect();
    let (_, g) = value_and_grad(|p: &BTreeMap<String, Tensor>| Ok(p["w"].square().sum()), &ordered)?;
    assert_eq!((g["w"].to_vec(), g["b"].item()?), (vec![2.0, 4.0], 0.0));
    Ok(())
}

#[test]
fn parameters_are_optional_and_many() -> Program {
    let p = (Tensor::scalar(2.0), None::<Tensor>, Some(Tensor::scalar(3.0)));
    let (_, g) =
        value_and_grad(|(a, b, c)| Ok(a * c.as_ref().unwrap() + b.clone().unwrap_or(0.0.into())), &p)?;
    assert_eq!((g.0.item()?, g.1.is_none(), g.2.unwrap().item()?), (3.0, true, 2.0));
    let t = || Tensor::scalar(1.0);
    let many = (t(), t(), t(), t(), t(), t(), t(), t());
    assert_eq!(value_and_grad(|p| Ok(&p.0 * &p.7), &many)?.1.7.item()?, 1.0);
    Ok(())
}

#[test]
fn a_step_down_the_gradient_of_a_structure() -> Program {
    let p = (Tensor::from([1.0, 2.0]), vec![Tensor::scalar(3.0)]);
    let (_, g) = value_and_grad(|(a, b)| Ok(a.square().sum() + &b[0]), &p)?;
    let next = params::zip_map(&p, &g, |p, g| Ok(p - 0.5 * g))?;
    assert_eq!((next.0.to_vec(), next.1[0].item()?), (vec![0.0, 0.0], 2.5));
    let doubled = params::map(&p, |p| Ok(p * 2))?;
    assert_eq!(doubled.1[0].item()?, 6.0);
    Ok(())
}

#[test]
fn a_structure_as_one_vector() -> Program {
    let p = [Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([[5.0]])];
    let flat = params::flatten(&p)?;
    assert_eq!(flat.to_vec(), [1.0, 2.0, 3.0, 4.0, 5.0]);
    let [a, b] = params::unflatten(&p, &(flat * 10))?;
    assert_eq!((a.shape(), b.to_vec()), (&[2, 2][..], vec![50.0]));
    Ok(())
}

#[test]
fn memory_is_saved_by_recomputing() -> Program {
    let x = Tensor::from([0.5, 1.0]).requires_grad();
    checkpoint(|x| Ok(x[0].sin().exp()), &[&x])?.sum().backward()?;
    let x = x.grad().unwrap().get(0)?;
    assert!((x - 0.5f64.sin().exp() * 0.5f64.cos()).abs() < 1e-12);
    Ok(())
}

// Linear algebra.

#[test]
fn sparse_matrices_have_diagonals() -> Program {
    let d =
        SparseTensor::diags([Tensor::full(3, -2.0), Tensor::ones(2), Tensor::ones(2)], [0, 1, -1], (3, 3))?;
    assert_eq!(d.mv(&Tensor::from([1.0, 2.0, 4.0]))?.to_vec(), [0.0, 1.0, -6.0]);
    Ok(())
}

#[test]
fn sparse_matrices_are_made_of_vectors() -> Program {
    let values = Tensor::from([1.0, 2.0, 3.0]);
    let (starts, columns): (Vec<i64>, Vec<i64>) = (vec![0, 1, 3], vec![2, 0, 1]);
    let s = SparseTensor::csr(starts, &columns, &values, (2, 3))?;
    assert_eq!(s.to_dense()?.to_vec(), [0.0, 0.0, 1.0, 2.0, 3.0, 0.0]);
    Ok(())
}

#[test]
fn products_of_lists() -> Program {
    let (a, b) = (Tensor::eye(2), Tensor::full((2, 2), 2.0));
    assert_eq!(linalg::einsum("ij,jk->ik", [&a, &b])?.sum().item()?, 8.0);
    assert_eq!(linalg::multi_dot(vec![a.clone(), b, a])?.sum().item()?, 8.0);
    Ok(())
}

#[test]
fn eigenvalues_of_a_correlation() -> Program {
    let r = 0.5;
    let a = Tensor::from(vec![vec![1.0, r], vec![r, 1.0]]);
    let smallest = a.eigvalsh()?.select(0, 0)?;
    assert!((smallest.item()? - 0.5).abs() < 1e-12);
    assert_eq!(a.solve(&Tensor::from(vec![1.5, 1.5]))?.round().to_vec(), [1.0, 1.0]);
    Ok(())
}

#[test]
fn a_network_learns_in_single_precision() -> Program {
    manual_seed(1);
    let x = Tensor::<f32>::from([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
    let y = Tensor::<f32>::from([[0.0], [1.0], [1.0], [0.0]]);
    let mut p = (Tensor::<f32>::randn((2, 8)), Tensor::<f32>::zeros(8), Tensor::<f32>::randn((8, 1)));
    let mut losses = vec![];
    for _ in 0..300 {
        let (loss, g) =
            value_and_grad(|(w, b, v)| Ok(((x.mm(w)? + b).tanh().mm(v)? - &y).pow(2)?.mean()), &p)?;
        losses.push(loss.item()?);
        p = params::zip_map(&p, &g, |p, g| Ok(p - g * 0.1))?;
    }
    assert!(losses[299] < losses[0] / 2.0, "{losses:?}");
    Ok(())
}

// Names.

/// Every name that NumPy, SciPy or PyTorch has and this library spells in another way is an alias in the documentation.
#[test]
fn a_search_for_other_names_finds_ours() -> Program {
    fn read(folder: &std::path::Path, text: &mut String) -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            match path.is_dir() {
                true => read(&path, text)?,
                false if path.extension().is_some_and(|e| e == "rs") => {
                    *text += &std::fs::read_to_string(&path)?
                }
                false => {}
            }
        }
        Ok(())
    }
    let mut text = String::new();
    for name in ["autograd", "linalg"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("crates").join(name).join("src");
        read(&folder, &mut text)?;
    }
    let known = |name: &str| {
        let alias = |line: &str| line.contains("doc(alias") && line.contains(&format!("\"{name}\""));
        text.contains(&format!("pub fn {name}(")) || text.lines().any(alias)
    };
    let names = "view inv norm concatenate concat argwhere expand_dims swapaxes ravel astype item tolist numpy from_numpy \
                 where clip take take_along_axis broadcast_to tile absolute invert power arcsin arctan2 average percentile \
                 expm determinant todense toarray to_sparse diags_array grad_and_value jacrev permutation normal uniform \
                 tensor array asarray empty identity array_split putmask matrix_transpose psi expit";
    let missing: Vec<&str> = names.split_whitespace().filter(|name| !known(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    Ok(())
}
