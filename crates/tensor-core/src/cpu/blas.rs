//! Large products and factorisations by the BLAS and LAPACK that the program links, feature `blas`.
//!
//! The library's matrices are column-major: what it is given is the transpose of a row-major matrix.

#[cfg(feature = "blas")]
pub use linked::{FROM, LU_FROM, routines};

#[cfg(feature = "blas")]
mod linked {
    use crate::element::{EachFloat, Float, ForFloat};
    use crate::heap::work;
    use cblas_sys::{CBLAS_LAYOUT, CBLAS_TRANSPOSE};
    use std::ffi::c_char;

    /// The smallest order for which the library is asked.
    pub const FROM: usize = 256;
    /// The same for LU, in which our own is as fast at 512.
    pub const LU_FROM: usize = 768;

    /// What a routine may take: OpenBLAS keeps the jobs of all its threads there, half a megabyte for each level of
    /// its recursions, which a thread of the program's need not have.
    const STACK: usize = 64 << 20;

    /// Runs a routine on a stack of its own; None where the system has no thread for it.
    fn call(routine: impl FnOnce() + Send) -> Option<()> {
        std::thread::scope(|scope| {
            std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, routine).ok()?.join().ok()
        })
    }

    /// What a routine says of the matrix; None where it refused an argument, and has done nothing.
    fn answer(info: i32) -> Option<i32> {
        (info >= 0).then_some(info)
    }

    /// A dimension as LAPACK counts it; None for larger ones.
    fn int(n: usize) -> Option<i32> {
        i32::try_from(n).ok()
    }

    /// A matrix as CBLAS wants it: whether it is read by columns, and the distance of lines.
    fn lines(rows: usize, cols: usize, [row, col]: [isize; 2]) -> Option<(CBLAS_TRANSPOSE, i32)> {
        let line = |step: isize, length: usize| {
            usize::try_from(step).ok().filter(|&step| step >= length.max(1)).and_then(int)
        };
        if col == 1 {
            return line(row, cols).map(|step| (CBLAS_TRANSPOSE::CblasNoTrans, step));
        }
        (row == 1).then(|| line(col, rows)).flatten().map(|step| (CBLAS_TRANSPOSE::CblasTrans, step))
    }

    /// A matrix, and its strides of rows and columns.
    type Strided<'a, T> = (&'a [T], [isize; 2]);
    /// See [`Routines::gemm`].
    type Gemm<T> = fn([usize; 3], T, Strided<'_, T>, Strided<'_, T>, &mut [T]) -> bool;
    /// See [`Routines::gesdd`].
    type Gesdd<T> = fn(&mut [T], usize, usize, &mut [T], &mut [T], &mut [T]) -> Option<i32>;

    /// The routines of one type. `None`, or `false`, where the library cannot be asked.
    pub struct Routines<T> {
        /// out += alpha A B, for A `m x k` and B `k x n` with strides of rows and columns.
        pub gemm: Gemm<T>,
        /// `getrf` of a column-major matrix of order n: the pivots count from one; the order of the first zero pivot,
        /// or 0.
        pub getrf: fn(&mut [T], usize, &mut [i32]) -> Option<i32>,
        /// `potrf` in the upper triangle of a column-major matrix: the first minor that is not positive, or 0.
        pub potrf: fn(&mut [T], usize) -> Option<i32>,
        /// `syevd`: the vectors take the place of the symmetric matrix; 0 where it converged.
        pub syevd: fn(&mut [T], usize, &mut [T]) -> Option<i32>,
        /// `gesdd` of a column-major matrix `m x n`, thin: U, s and V^T, column-major; 0 where it converged.
        pub gesdd: Gesdd<T>,
    }

    struct RoutinesOf;

    impl ForFloat for RoutinesOf {
        type Of<T: Float> = Routines<T>;
    }

    static ROUTINES: EachFloat<RoutinesOf> = EachFloat { f32: single::ROUTINES, f64: double::ROUTINES };

    /// The routines of a type.
    pub fn routines<T: Float>() -> &'static Routines<T> {
        T::of_floats(&ROUTINES)
    }

    macro_rules! library {
        ($name:ident: $T:ident $gemm:ident $getrf:ident $potrf:ident $syevd:ident $gesdd:ident) => {
            mod $name {
                use super::*;

                pub const ROUTINES: Routines<$T> = Routines { gemm, getrf, potrf, syevd, gesdd };

                fn gemm(
                    [m, k, n]: [usize; 3],
                    alpha: $T,
                    (a, a_strides): (&[$T], [isize; 2]),
                    (b, b_strides): (&[$T], [isize; 2]),
                    out: &mut [$T],
                ) -> bool {
                    let reach = |rows: usize, cols: usize, [row, col]: [isize; 2]| {
                        (rows - 1) * row.unsigned_abs() + (cols - 1) * col.unsigned_abs()
                    };
                    let (Some((ta, lda)), Some((tb, ldb))) = (lines(m, k, a_strides), lines(k, n, b_strides))
                    else {
                        return false;
                    };
                    let (Some(mi), Some(ki), Some(ni)) = (int(m), int(k), int(n)) else { return false };
                    assert!(m > 0 && k > 0 && n > 0 && out.len() == m * n);
                    assert!(reach(m, k, a_strides) < a.len() && reach(k, n, b_strides) < b.len());
                    let layout = CBLAS_LAYOUT::CblasRowMajor;
                    // SAFETY: the last elements that the strides reach are inside the slices, and `out` holds
                    // m n elements.
                    let done = call(|| unsafe {
                        cblas_sys::$gemm(
                            layout,
                            ta,
                            tb,
                            mi,
                            ni,
                            ki,
                            alpha,
                            a.as_ptr(),
                            lda,
                            b.as_ptr(),
                            ldb,
                            1.0,
                            out.as_mut_ptr(),
                            ni,
                        );
                    });
                    done.is_some()
                }

                fn getrf(a: &mut [$T], n: usize, pivots: &mut [i32]) -> Option<i32> {
                    assert!(a.len() == n * n && pivots.len() == n);
                    let (order, mut info) = (int(n)?, 0);
                    // SAFETY: the matrix and the pivots have the sizes that are told.
                    call(|| unsafe {
                        lapack_sys::$getrf(
                            &order,
                            &order,
                            a.as_mut_ptr(),
                            &order,
                            pivots.as_mut_ptr(),
                            &mut info,
                        );
                    })?;
                    answer(info)
                }

                fn potrf(a: &mut [$T], n: usize) -> Option<i32> {
                    assert!(a.len() == n * n);
                    let (order, mut info) = (int(n)?, 0);
                    // SAFETY: the matrix has the size that is told.
                    call(|| unsafe {
                        lapack_sys::$potrf(&(b'U' as c_char), &order, a.as_mut_ptr(), &order, &mut info);
                    })?;
                    answer(info)
                }

                fn syevd(a: &mut [$T], n: usize, w: &mut [$T]) -> Option<i32> {
                    assert!(a.len() == n * n && w.len() == n);
                    let (order, mut info) = (int(n)?, 0);
                    let (mut work, mut integers) = (vec![0.0; 1], vec![0; 1]);
                    // First for the sizes of the working memory, then in earnest.
                    for lengths in [None, Some(())] {
                        let sizes = match lengths {
                            None => [-1, -1],
                            Some(()) => {
                                let size = [work[0] as usize, usize::try_from(integers[0]).ok()?];
                                (work, integers) = (work::vector(size[0], 0.0), work::vector(size[1], 0));
                                [int(size[0])?, int(size[1])?]
                            }
                        };
                        // SAFETY: the matrix, the values and the working memory have the sizes that are told.
                        call(|| unsafe {
                            lapack_sys::$syevd(
                                &(b'V' as c_char),
                                &(b'U' as c_char),
                                &order,
                                a.as_mut_ptr(),
                                &order,
                                w.as_mut_ptr(),
                                work.as_mut_ptr(),
                                &sizes[0],
                                integers.as_mut_ptr(),
                                &sizes[1],
                                &mut info,
                            );
                        })?;
                    }
                    answer(info)
                }

                fn gesdd(
                    a: &mut [$T],
                    m: usize,
                    n: usize,
                    u: &mut [$T],
                    s: &mut [$T],
                    vt: &mut [$T],
                ) -> Option<i32> {
                    let k = m.min(n);
                    assert!(a.len() == m * n && u.len() == m * k && s.len() == k && vt.len() == k * n);
                    let (mi, ni, ki, mut info) = (int(m)?, int(n)?, int(k)?, 0);
                    let (mut work, mut integers) = (vec![0.0; 1], work::vector(8 * k, 0));
                    for lengths in [None, Some(())] {
                        let size = match lengths {
                            None => -1,
                            Some(()) => {
                                work = work::vector(work[0] as usize, 0.0);
                                int(work.len())?
                            }
                        };
                        // SAFETY: the matrices, the values and the working memory have the sizes that are told.
                        call(|| unsafe {
                            lapack_sys::$gesdd(
                                &(b'S' as c_char),
                                &mi,
                                &ni,
                                a.as_mut_ptr(),
                                &mi,
                                s.as_mut_ptr(),
                                u.as_mut_ptr(),
                                &mi,
                                vt.as_mut_ptr(),
                                &ki,
                                work.as_mut_ptr(),
                                &size,
                                integers.as_mut_ptr(),
                                &mut info,
                            );
                        })?;
                    }
                    answer(info)
                }
            }
        };
    }
    library!(single: f32 cblas_sgemm sgetrf_ spotrf_ ssyevd_ sgesdd_);
    library!(double: f64 cblas_dgemm dgetrf_ dpotrf_ dsyevd_ dgesdd_);
}
