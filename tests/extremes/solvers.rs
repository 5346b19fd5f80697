//! Least squares, iterative solvers and functions of matrices at their limits.
