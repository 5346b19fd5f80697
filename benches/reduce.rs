//! Reductions, softmax and its like, scans, places and sorting, beside NumPy, PyTorch and others.
//! benches/rows says how they are measured; the ids here are `reduce/<row>/<f64|f32>/<forward|gradient>/<n>`.

mod rows;

use rows::{BOTH, Prepare, Row, Shape, What, Works, measure, named, normal, rows_of, sizes};
use tapegrad::prelude::*;

const ROW_LENGTHS: [usize; 5] = [2, 8, 16, 100, 10_000];

fn reductions<T: Float>() -> Works<T> {
    let whole: [(&str, Prepare<T>); _] = [
        ("sum", |s| normal(&[s], |x| Ok(x[0].sum()))),
        ("mean", |s| normal(&[s], |x| Ok(x[0].mean()))),
        ("std", |s| normal(&[s], |x| Ok(x[0].std()))),
        ("var", |s| normal(&[s], |x| Ok(x[0].var()))),
        ("max", |s| normal(&[s], |x| x[0].max())),
    ];
    let of_rows: [(&str, Prepare<T>); _] = [
        ("sum", |s| normal(&[s], |x| x[0].sum_dim(1, false))),
        ("mean", |s| normal(&[s], |x| x[0].mean_dim(1, false))),
        ("std", |s| normal(&[s], |x| x[0].std_dim(1, false))),
        ("var", |s| normal(&[s], |x| x[0].var_dim(1, false))),
        ("max", |s| normal(&[s], |x| x[0].amax(1, false))),
    ];
    let of_columns: [(&str, Prepare<T>); _] = [
        ("sum", |s| normal(&[s], |x| x[0].sum_dim(0, false))),
        ("mean", |s| normal(&[s], |x| x[0].mean_dim(0, false))),
        ("std", |s| normal(&[s], |x| x[0].std_dim(0, false))),
        ("var", |s| normal(&[s], |x| x[0].var_dim(0, false))),
        ("max", |s| normal(&[s], |x| x[0].amax(0, false))),
    ];
    let mut works = named(Shape::Vector, "", whole);
    for length in ROW_LENGTHS {
        works.extend(named(Shape::Rows(length), &format!(" of rows of {length}"), of_rows));
    }
    works.extend(named(Shape::Rows(100), " of columns", of_columns));
    works
}

fn softmax<T: Float>() -> Works<T> {
    let softmax: [(&str, Prepare<T>); _] = [
        ("softmax", |s| normal(&[s], |x| x[0].softmax(1))),
        ("log_softmax", |s| normal(&[s], |x| x[0].log_softmax(1))),
        ("logsumexp", |s| normal(&[s], |x| x[0].logsumexp(1, false))),
        ("cross_entropy", |s| {
            let classes = places(s[1], &s[..1]);
            normal(&[s], move |x| x[0].cross_entropy(&classes))
        }),
    ];
    named(Shape::Rows(100), " of rows of 100", softmax)
}

fn places(high: usize, shape: &[usize]) -> Tensor<i64> {
    Tensor::randint(0, high as i64, shape).unwrap()
}

fn orders<T: Float>() -> Works<T> {
    let vectors: [(&str, Prepare<T>); _] = [
        ("cumsum", |s| normal(&[s], |x| x[0].cumsum(0))),
        ("scatter_add", |s| {
            let index = places(s[0], s);
            normal(&[s, s], move |x| x[0].scatter_add(0, &index, &x[1]))
        }),
        ("sort", |s| normal(&[s], |x| Ok(x[0].sort(0, false)?.0))),
    ];
    let of_rows: [(&str, Prepare<T>); _] = [
        ("cumsum", |s| normal(&[s], |x| x[0].cumsum(1))),
        ("gather", |s| {
            let index = places(s[1], s);
            normal(&[s], move |x| x[0].gather(1, &index))
        }),
        ("index_select", |s| {
            let index = places(s[0], &s[..1]);
            normal(&[s], move |x| x[0].index_select(0, &index))
        }),
        ("sort", |s| normal(&[s], |x| Ok(x[0].sort(1, false)?.0))),
    ];
    [named(Shape::Vector, "", vectors), named(Shape::Rows(100), " of rows of 100", of_rows)].concat()
}

fn all<T: Float>() -> Vec<Row> {
    let mut rows = rows_of::<T>("reduce", &[What::Forward], &sizes(), [reductions(), orders()].concat());
    rows.extend(rows_of::<T>("reduce", &BOTH, &sizes(), softmax()));
    rows
}

fn main() {
    measure([all::<f64>(), all::<f32>()]);
}
