//! Against the definitions, element by element.

use super::*;
use crate::cpu::random::uniform;

fn numbers(shape: &[usize], seed: u64) -> Array<f64> {
    let mut numbers = vec![0.0; shape.iter().product()];
    uniform(&mut numbers, seed, 0);
    Array::from_vec(numbers, shape).unwrap()
}

/// Indices from -n to below n.
fn indices(shape: &[usize], n: usize, seed: u64) -> Array<i64> {
    let places = numbers(shape, seed).to_vec().into_iter().map(|u| (u * 2.0 * n as f64) as i64 - n as i64);
    Array::from_vec(places.collect(), shape).unwrap()
}

/// The places in row-major order that the elements of `index` name in `shape`.
fn places(shape: &[usize], dim: usize, index: &Array<i64>) -> Vec<usize> {
    let strides = Layout::row_major(Dims::from_slice(shape)).strides();
    let of = |mut position: usize, i: i64| {
        let mut place = 0;
        for k in (0..shape.len()).rev() {
            let at = position % index.shape()[k];
            position /= index.shape()[k];
            let at = if k == dim { i.rem_euclid(shape[k] as i64) as usize } else { at };
            place += at * strides[k] as usize;
        }
        place
    };
    index.to_vec().into_iter().enumerate().map(|(k, i)| of(k, i)).collect()
}

/// Values, a dimension and an index.
type Case = (Array<f64>, usize, Array<i64>);

/// All kinds of them: vectors, rows, lines that are repeated, what is smaller than `x`.
fn cases() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (shape, smaller) in [
        (vec![1000], vec![70]),
        (vec![600_000], vec![400_000]),
        (vec![900, 100], vec![900, 100]),
        (vec![900, 100], vec![450, 77]),
        (vec![40, 30, 90], vec![40, 20, 90]),
        (vec![40, 30, 90], vec![11, 30, 3]),
        (vec![3, 30_000], vec![1, 70_000]),
        (vec![5000, 2], vec![5000, 2]),
        (vec![2, 1, 3], vec![2, 1, 3]),
    ] {
        for dim in 0..shape.len() {
            if (0..shape.len()).any(|k| k != dim && smaller[k] > shape[k]) {
                continue;
            }
            let (x, n) = (numbers(&shape, 1), shape[dim]);
            cases.push((x.clone(), dim, indices(&smaller, n, 2)));
            // One number for a line, and for whole slices.
            for narrow in 0..shape.len() {
                let mut few = smaller.clone();
                few[narrow] = 1;
                cases.push((x.clone(), dim, indices(&few, n, 3).expand("test", &smaller)?));
            }
            let mut line = vec![1; shape.len()];
            line[dim] = 60;
            let mut whole = shape.clone();
            whole[dim] = 60;
            cases.push((x.clone(), dim, indices(&line, n, 4).expand("test", &whole)?));
            cases.push((x.clone(), dim, indices(&[], n, 5).expand("test", &whole)?));
        }
    }
    Ok(cases)
}

/// The answers with one, two and three threads, which are the same.
fn on_pools<R: PartialEq + Send>(f: impl Fn() -> R + Sync) -> R {
    let on =
        |threads: usize| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(&f);
    let one = on(1);
    assert!(one == on(2) && one == on(3));
    one
}

#[test]
fn gathered_is_what_the_index_names() -> Result<()> {
    for (x, dim, index) in cases()? {
        let names = format!("{:?} at {:?} along {dim}", x.shape(), index.shape());
        let places = places(x.shape(), dim, &index);
        let values = x.to_vec();
        let expected: Vec<f64> = places.iter().map(|&p| values[p]).collect();
        let gathered = on_pools(|| gather("test", &x, dim, &index).unwrap().to_vec());
        assert!(gathered == expected, "{names}");
        // The same elements elsewhere in memory.
        let order: Dims = (0..x.ndim()).rev().collect();
        let turned =
            super::super::copy::copy("test", &x.permute("test", &order)?)?.permute("test", &order)?;
        assert!(gather("test", &turned, dim, &index)?.to_vec() == expected, "{names}, column after column");
    }
    Ok(())
}

#[test]
fn added_is_added_in_order() -> Result<()> {
    for (x, dim, index) in cases()? {
        let names = format!("{:?} at {:?} along {dim}", x.shape(), index.shape());
        let source = numbers(index.shape(), 7);
        let mut expected = x.to_vec();
        for (place, y) in places(x.shape(), dim, &index).into_iter().zip(source.to_vec()) {
            expected[place] += y;
        }
        let added = on_pools(|| scatter_add("test", x.clone(), dim, &index, &source).unwrap().to_vec());
        assert!(added == expected, "{names}");
    }
    Ok(())
}

#[test]
fn an_index_out_of_range_is_named() -> Result<()> {
    for (x, dim, index) in cases()? {
        let n = x.shape()[dim] as i64;
        for wrong in [n, -n - 1, i64::MAX, i64::MIN] {
            let mut numbers = index.to_vec();
            let middle = numbers.len() / 2;
            numbers[middle] = wrong;
            if middle + 1 < numbers.len() {
                numbers[middle + 1] = n + 5;
            }
            let index = Array::from_vec(numbers, index.shape())?;
            let start = format!("index {wrong} is out of range for dimension {dim}");
            let answers = [
                gather("test", &x, dim, &index),
                scatter_add("test", x.clone(), dim, &index, &Array::full(index.shape(), 1.0)?),
            ];
            for answer in answers {
                let message = answer.unwrap_err().to_string();
                assert!(message.contains(&start), "{message}");
            }
        }
    }
    let (none, one) = (Array::<f64>::zeros(&[0])?, Array::full(&[1], 0)?);
    assert!(gather("test", &none, 0, &one).is_err());
    assert!(scatter_add("test", none.clone(), 0, &one, &Array::full(&[1], 1.0)?).is_err());
    assert_eq!(gather("test", &none, 0, &Array::zeros(&[0])?)?.numel(), 0);
    assert_eq!(scatter_add("test", none, 0, &Array::zeros(&[0])?, &Array::zeros(&[0])?)?.numel(), 0);
    Ok(())
}

#[test]
fn positions_of_what_is_true() -> Result<()> {
    for n in [0, 1, 63, 64, 65, 1000, 16_384, 16_385, 200_000] {
        for share in [0.0, 0.01, 0.5, 1.0] {
            let mask: Vec<bool> = numbers(&[n], 3).to_vec().iter().map(|&u| u < share).collect();
            let expected: Vec<i64> = (0..n).filter(|&k| mask[k]).map(|k| k as i64).collect();
            let mask = Array::from_vec(mask, &[n])?;
            assert!(on_pools(|| positions("test", &mask).unwrap().to_vec()) == expected, "{share} of {n}");
        }
    }
    Ok(())
}

#[test]
fn places_in_what_is_sorted() -> Result<()> {
    let sorted = [f64::NEG_INFINITY, -1.0, -0.0, 0.0, 2.0, 2.0, f64::INFINITY, f64::NAN, f64::NAN];
    let values = [f64::NEG_INFINITY, -2.0, 0.0, -0.0, 1.0, 2.0, 3.0, f64::INFINITY, f64::NAN];
    let (sorted, values) = (Array::from_slice(&sorted, &[9])?, Array::from_slice(&values, &[9])?);
    assert_eq!(searchsorted("test", &sorted, &values, false)?.to_vec(), [0, 1, 2, 2, 4, 4, 6, 6, 7]);
    assert_eq!(searchsorted("test", &sorted, &values, true)?.to_vec(), [1, 1, 4, 4, 4, 6, 6, 7, 9]);
    Ok(())
}
