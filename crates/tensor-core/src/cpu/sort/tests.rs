//! Against a stable sort of the standard library.

use super::sort;
use crate::array::Array;
use crate::cpu::random::uniform;
use crate::element::Number;
use crate::error::Result;
use std::cmp::Ordering;
use std::ops::Range;

/// Numbers from 0 to 1.
fn numbers(n: usize, seed: u64) -> Vec<f64> {
    let mut numbers = vec![0.0; n];
    uniform(&mut numbers, seed, 0);
    numbers
}

/// NaN after everything, and the two zeros equal.
fn compare<T: Number>(a: T, b: T) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// The order of a line by a stable sort of the standard library.
fn expected<T: Number>(line: &[T], descending: bool) -> Vec<i64> {
    let mut places: Vec<i64> = (0..line.len() as i64).collect();
    places.sort_by(|&i, &j| {
        let (a, b) = (line[i as usize], line[j as usize]);
        if descending { compare(b, a) } else { compare(a, b) }
    });
    places
}

fn same<T: Number>(a: T, b: T) -> bool {
    // The sign of zero too.
    format!("{a:?}") == format!("{b:?}")
}

fn check<T: Number>(line: &[T], descending: bool, part: Range<usize>) -> Result<()> {
    let x = Array::from_slice(line, &[line.len()])?;
    let (values, order) = sort("test", &x, 0, descending, part.clone())?;
    let places = &expected(line, descending)[part];
    assert_eq!(order.to_vec(), places, "{} elements", line.len());
    assert!(values.to_vec().iter().zip(places).all(|(&value, &place)| same(value, line[place as usize])));
    Ok(())
}

/// All, the first, the last, some and one.
fn check_parts<T: Number>(line: &[T]) -> Result<()> {
    let n = line.len();
    for descending in [false, true] {
        for part in [0..n, 0..n / 3, n - n / 4..n, n / 3..n / 2, n / 2..(n / 2 + 1).min(n)] {
            check(line, descending, part)?;
        }
    }
    Ok(())
}

/// Elements that repeat, lie close together, are the ends of the range, or no numbers.
fn doubles(n: usize, seed: u64) -> [Vec<f64>; 4] {
    let draws = numbers(n, seed);
    let normal = draws.iter().map(|&u| (u - 0.5) * 8.0).collect();
    let few = draws.iter().map(|&u| (u * 5.0).floor() - 2.0).collect();
    let close = draws.iter().map(|&u| 1.0 + (u * 300.0).floor() * f64::EPSILON).collect();
    let odd = |u: f64| match (u * 40.0) as usize {
        0 => f64::INFINITY,
        1 => f64::NEG_INFINITY,
        2 => f64::NAN,
        3 => -f64::NAN,
        4 | 5 => -0.0,
        6 | 7 => 0.0,
        8 => f64::MIN_POSITIVE / 4.0,
        9 => -f64::MAX,
        _ => u,
    };
    [normal, few, close, draws.iter().map(|&u| odd(u)).collect()]
}

#[test]
fn every_length_is_stable() -> Result<()> {
    for n in (0..=300).chain([1000, 4097, 40_000]) {
        for x in doubles(n, n as u64) {
            check_parts(&x)?;
            check_parts(&x.iter().map(|&x| x as f32).collect::<Vec<_>>())?;
            check_parts(&x.iter().map(|&x| (x * 1e18) as i64).collect::<Vec<_>>())?;
        }
    }
    check_parts(&[i64::MAX, i64::MIN, 0, i64::MAX, -1, i64::MIN])
}

#[test]
fn what_words_do_not_tell_apart() -> Result<()> {
    // The whole range, and in it many elements that differ by their last bits.
    for n in [3, 70, 5000, 150_000] {
        let mut x: Vec<f64> =
            numbers(n, 1).iter().map(|&u| 1.0 + (u * 5000.0).floor() * f64::EPSILON).collect();
        (x[0], x[n - 1]) = (f64::MAX, -f64::MAX);
        check_parts(&x)?;
        let mut x: Vec<i64> = numbers(n, 2).iter().map(|&u| (u * 1e6) as i64).collect();
        (x[0], x[n - 1]) = (i64::MAX, i64::MIN);
        check_parts(&x)?;
    }
    Ok(())
}

#[test]
fn every_dimension_of_every_layout() -> Result<()> {
    let shape = [7, 33, 12];
    let x = Array::from_vec(numbers(7 * 33 * 12, 3), &shape)?;
    let views = [
        x.clone(),
        x.permute("test", &[2, 0, 1])?,
        x.slice("test", 1, 32, -2, 16)?,
        x.slice("test", 0, 3, 1, 1)?.expand("test", &[5, 33, 12])?,
    ];
    for x in views {
        for dim in 0..3 {
            let (values, order) = sort("test", &x, dim, true, 0..x.shape()[dim])?;
            let (few, few_places) = sort("test", &x, dim, true, 0..x.shape()[dim].min(3))?;
            assert!(values.layout().is_contiguous() && order.layout().is_contiguous());
            let others: Vec<usize> = (0..3).filter(|&k| k != dim).collect();
            for i in 0..x.shape()[others[0]] {
                for j in 0..x.shape()[others[1]] {
                    let line = |x: &Array<f64>| -> Result<Vec<f64>> {
                        Ok(x.select("test", others[1], j)?.select("test", others[0], i)?.to_vec())
                    };
                    let places = |x: &Array<i64>| -> Result<Vec<i64>> {
                        Ok(x.select("test", others[1], j)?.select("test", others[0], i)?.to_vec())
                    };
                    let expected = expected(&line(&x)?, true);
                    assert_eq!(places(&order)?, expected);
                    assert_eq!(places(&few_places)?, expected[..few.shape()[dim]]);
                    let (all, few) = (line(&values)?, line(&few)?);
                    assert!(all.iter().zip(&expected).all(|(&v, &p)| v == line(&x).unwrap()[p as usize]));
                    assert_eq!(few, all[..few.len()]);
                }
            }
        }
    }
    Ok(())
}

#[test]
fn the_same_for_every_number_of_threads() {
    let sorted = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut all = Vec::new();
            for shape in [[1, 300_000], [3000, 100], [3, 100_000]] {
                for x in doubles(300_000, 9) {
                    let x = Array::from_vec(x, &shape).unwrap();
                    for part in [0..shape[1], 5..50] {
                        let (values, order) = sort("test", &x, 1, false, part).unwrap();
                        all.push((
                            values.to_vec().iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
                            order.to_vec(),
                        ));
                    }
                }
            }
            all
        })
    };
    let one = sorted(1);
    assert!(one == sorted(2) && one == sorted(3));
}
