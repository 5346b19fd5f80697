// Dense linear algebra for the stand-in cuBLAS and cuSOLVER: plain algorithms on column-major matrices.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

namespace dense {

// A matrix that belongs to somebody else.
template <class T> struct View {
    T* p;
    int64_t rows, cols, ld;
    T& operator()(int64_t i, int64_t j) const { return p[i + j * ld]; }
};

// A matrix of its own, without gaps.
template <class T> struct Matrix {
    int64_t rows, cols;
    std::vector<T> v;
    Matrix(int64_t rows, int64_t cols) : rows(rows), cols(cols), v(size_t(rows * cols)) {}
    T& operator()(int64_t i, int64_t j) { return v[size_t(i + j * rows)]; }
    T operator()(int64_t i, int64_t j) const { return v[size_t(i + j * rows)]; }
    T* column(int64_t j) { return v.data() + j * rows; }
};

// The doubles of a matrix, transposed if asked.
template <class T> Matrix<double> read(View<T> a, bool transposed = false) {
    Matrix<double> m(transposed ? a.cols : a.rows, transposed ? a.rows : a.cols);
    for (int64_t j = 0; j < a.cols; j++)
        for (int64_t i = 0; i < a.rows; i++) (transposed ? m(j, i) : m(i, j)) = double(a(i, j));
    return m;
}

template <class T> void write(const Matrix<double>& m, View<T> a, bool transposed = false) {
    for (int64_t j = 0; j < a.cols; j++)
        for (int64_t i = 0; i < a.rows; i++) a(i, j) = T(transposed ? m(j, i) : m(i, j));
}

// ---- triangular systems, LU, Cholesky ---------------------------------------------------------------

// Solves op(A) X = B in place; only A's `upper` or lower triangle is read.
template <class T> void solve_triangular(bool upper, bool transposed, bool unit, View<const T> a, View<T> b) {
    int64_t n = b.rows;
    bool backward = upper != transposed;
    for (int64_t j = 0; j < b.cols; j++)
        for (int64_t s = 0; s < n; s++) {
            int64_t i = backward ? n - 1 - s : s;
            T x = b(i, j);
            for (int64_t k = backward ? i + 1 : 0; k < (backward ? n : i); k++) x -= (transposed ? a(k, i) : a(i, k)) * b(k, j);
            b(i, j) = unit ? x : x / a(i, i);
        }
}

template <class T> void swap_rows(View<T> a, int64_t i, int64_t k) {
    if (i == k) return;
    for (int64_t j = 0; j < a.cols; j++) std::swap(a(i, j), a(k, j));
}

// LU with partial pivoting, or without if `pivots` is null; pivots count from 1. Returns LAPACK's info.
template <class T, class P> int lu(View<T> a, P* pivots) {
    int info = 0;
    for (int64_t k = 0; k < std::min(a.rows, a.cols); k++) {
        if (pivots) {
            int64_t best = k;
            for (int64_t i = k + 1; i < a.rows; i++)
                if (std::abs(a(i, k)) > std::abs(a(best, k))) best = i;
            pivots[k] = P(best + 1);
            swap_rows(a, k, best);
        }
        if (a(k, k) == 0) {
            if (!info) info = int(k + 1);
            continue;
        }
        for (int64_t i = k + 1; i < a.rows; i++) a(i, k) /= a(k, k);
        for (int64_t j = k + 1; j < a.cols; j++)
            for (int64_t i = k + 1; i < a.rows; i++) a(i, j) -= a(i, k) * a(k, j);
    }
    return info;
}

template <class T, class P> void lu_solve(View<const T> a, const P* pivots, bool transposed, View<T> b) {
    int64_t n = b.rows;
    if (!transposed && pivots)
        for (int64_t i = 0; i < n; i++) swap_rows(b, i, int64_t(pivots[i]) - 1);
    solve_triangular(transposed, transposed, !transposed, a, b);
    solve_triangular(!transposed, transposed, transposed, a, b);
    if (transposed && pivots)
        for (int64_t i = n; i-- > 0;) swap_rows(b, i, int64_t(pivots[i]) - 1);
}

// Returns LAPACK's info: the first leading minor that is not positive.
template <class T> int cholesky(bool upper, View<T> a) {
    auto at = [&](int64_t i, int64_t j) -> T& { return upper ? a(j, i) : a(i, j); };  // i >= j
    for (int64_t j = 0; j < a.rows; j++) {
        T d = at(j, j);
        for (int64_t k = 0; k < j; k++) d -= at(j, k) * at(j, k);
        if (!(d > 0)) return int(j + 1);
        at(j, j) = std::sqrt(d);
        for (int64_t i = j + 1; i < a.rows; i++) {
            T x = at(i, j);
            for (int64_t k = 0; k < j; k++) x -= at(i, k) * at(j, k);
            at(i, j) = x / at(j, j);
        }
    }
    return 0;
}

// ---- Householder reflections: I - tau v v', v(0) = 1, the rest of v below the diagonal -----------------

template <class T> void reflect(View<const T> v, int64_t k, T tau, View<T> c) {
    for (int64_t j = 0; j < c.cols; j++) {
        T dot = c(k, j);
        for (int64_t i = k + 1; i < c.rows; i++) dot += v(i, k) * c(i, j);
        dot *= tau;
        c(k, j) -= dot;
        for (int64_t i = k + 1; i < c.rows; i++) c(i, j) -= v(i, k) * dot;
    }
}

template <class T> void qr(View<T> a, T* tau) {
    for (int64_t k = 0; k < std::min(a.rows, a.cols); k++) {
        T scale = 0, sum = 0;
        for (int64_t i = k + 1; i < a.rows; i++) scale = std::max(scale, std::abs(a(i, k)));
        tau[k] = 0;
        if (scale == 0) continue;
        scale = std::max(scale, std::abs(a(k, k)));
        for (int64_t i = k; i < a.rows; i++) sum += (a(i, k) / scale) * (a(i, k) / scale);
        T alpha = a(k, k), beta = -std::copysign(scale * std::sqrt(sum), alpha);
        tau[k] = (beta - alpha) / beta;
        for (int64_t i = k + 1; i < a.rows; i++) a(i, k) /= alpha - beta;
        a(k, k) = beta;
        reflect<T>({a.p, a.rows, a.cols, a.ld}, k, tau[k], {a.p + (k + 1) * a.ld, a.rows, a.cols - k - 1, a.ld});
    }
}

// C = Q C, or Q' C if transposed, for the first `count` reflections.
template <class T> void apply_q(View<const T> a, const T* tau, int64_t count, bool transposed, View<T> c) {
    for (int64_t s = 0; s < count; s++) {
        int64_t k = transposed ? s : count - 1 - s;
        reflect(a, k, tau[k], c);
    }
}

// ---- symmetric eigenvalues: tridiagonal form, then implicit QL ------------------------------------------

// Ascending eigenvalues in w, and eigenvectors in the columns of a. False: no convergence.
inline bool symmetric_eigen(Matrix<double>& a, std::vector<double>& w) {
    int64_t n = a.rows;
    w.assign(size_t(n), std::numeric_limits<double>::quiet_NaN());
    for (double x : a.v)
        if (!std::isfinite(x)) return false;
    std::vector<double> d(static_cast<size_t>(n)), e(static_cast<size_t>(n)), u(static_cast<size_t>(n)), p(static_cast<size_t>(n));
    Matrix<double> q(n, n);
    for (int64_t i = 0; i < n; i++) q(i, i) = 1;
    // Reflections that clear column k below its subdiagonal: A = H A H, Q = Q H.
    for (int64_t k = 0; k + 2 < n; k++) {
        double scale = 0, sum = 0, dot = 0;
        for (int64_t i = k + 2; i < n; i++) scale = std::max(scale, std::abs(a(i, k)));
        if (scale == 0) continue;
        scale = std::max(scale, std::abs(a(k + 1, k)));
        for (int64_t i = k + 1; i < n; i++) {
            u[size_t(i)] = a(i, k) / scale;
            sum += u[size_t(i)] * u[size_t(i)];
        }
        double beta = -std::copysign(std::sqrt(sum), u[size_t(k + 1)]);
        u[size_t(k + 1)] -= beta;
        double h = -1 / (beta * u[size_t(k + 1)]);  // 2 / u'u
        std::fill(p.begin(), p.end(), 0.0);
        for (int64_t j = k + 1; j < n; j++)
            for (int64_t i = k + 1; i < n; i++) p[size_t(i)] += h * a(i, j) * u[size_t(j)];
        for (int64_t i = k + 1; i < n; i++) dot += p[size_t(i)] * u[size_t(i)];
        for (int64_t i = k + 1; i < n; i++) p[size_t(i)] -= h / 2 * dot * u[size_t(i)];
        for (int64_t j = k + 1; j < n; j++)
            for (int64_t i = k + 1; i < n; i++) a(i, j) -= u[size_t(i)] * p[size_t(j)] + p[size_t(i)] * u[size_t(j)];
        a(k + 1, k) = scale * beta;
        std::fill(p.begin(), p.end(), 0.0);
        for (int64_t j = k + 1; j < n; j++)
            for (int64_t i = 0; i < n; i++) p[size_t(i)] += h * q(i, j) * u[size_t(j)];
        for (int64_t j = k + 1; j < n; j++)
            for (int64_t i = 0; i < n; i++) q(i, j) -= p[size_t(i)] * u[size_t(j)];
    }
    for (int64_t i = 0; i < n; i++) {
        d[size_t(i)] = a(i, i);
        if (i + 1 < n) e[size_t(i)] = a(i + 1, i);
    }
    const double eps = std::numeric_limits<double>::epsilon();
    for (int64_t l = 0; l < n; l++)
        for (int sweep = 0;; sweep++) {
            int64_t m = l;
            while (m + 1 < n && std::abs(e[size_t(m)]) > eps * (std::abs(d[size_t(m)]) + std::abs(d[size_t(m + 1)]))) m++;
            if (m == l) break;
            if (sweep == 60) return false;
            double g = (d[size_t(l + 1)] - d[size_t(l)]) / (2 * e[size_t(l)]), r = std::hypot(g, 1.0);
            g = d[size_t(m)] - d[size_t(l)] + e[size_t(l)] / (g + std::copysign(r, g));
            double s = 1, c = 1, shift = 0;
            int64_t i = m - 1;
            for (; i >= l; i--) {
                double f = s * e[size_t(i)], b = c * e[size_t(i)];
                r = std::hypot(f, g);
                e[size_t(i + 1)] = r;
                if (r == 0) {  // the matrix splits here
                    d[size_t(i + 1)] -= shift;
                    e[size_t(m)] = 0;
                    break;
                }
                s = f / r;
                c = g / r;
                g = d[size_t(i + 1)] - shift;
                r = (d[size_t(i)] - g) * s + 2 * c * b;
                shift = s * r;
                d[size_t(i + 1)] = g + shift;
                g = c * r - b;
                double *x = q.column(i), *y = q.column(i + 1);
                for (int64_t k = 0; k < n; k++) {
                    double t = y[k];
                    y[k] = s * x[k] + c * t;
                    x[k] = c * x[k] - s * t;
                }
            }
            if (i >= l) continue;
            d[size_t(l)] -= shift;
            e[size_t(l)] = g;
            e[size_t(m)] = 0;
        }
    std::vector<int64_t> order(static_cast<size_t>(n));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) { return d[size_t(i)] < d[size_t(j)]; });
    for (int64_t j = 0; j < n; j++) {
        w[size_t(j)] = d[size_t(order[size_t(j)])];
        std::copy_n(q.column(order[size_t(j)]), n, a.column(j));
    }
    return true;
}

// ---- singular values: one-sided Jacobi ----------------------------------------------------------------

// Fills columns `have`... of u with unit vectors orthogonal to all others.
inline void complete_basis(Matrix<double>& u, int64_t have) {
    for (int64_t j = have; j < u.cols; j++) {
        double* c = u.column(j);
        for (int64_t trial = 0; trial < u.rows; trial++) {
            std::fill_n(c, u.rows, 0.0);
            c[(j + trial) % u.rows] = 1;
            double norm = 0;
            for (int pass = 0; pass < 2; pass++) {
                for (int64_t k = 0; k < j; k++) {
                    double dot = std::inner_product(c, c + u.rows, u.column(k), 0.0);
                    for (int64_t i = 0; i < u.rows; i++) c[i] -= dot * u(i, k);
                }
                norm = std::sqrt(std::inner_product(c, c + u.rows, c, 0.0));
            }
            if (norm < 0.5 / std::sqrt(double(u.rows))) continue;  // one of the unit vectors must do better
            for (int64_t i = 0; i < u.rows; i++) c[i] /= norm;
            break;
        }
    }
}

// a = U diag(s) V', m >= n: s descending, U with `u_columns` columns, V square. False: no convergence.
inline bool tall_svd(Matrix<double> a, int64_t u_columns, Matrix<double>& u, std::vector<double>& s, Matrix<double>& v) {
    int64_t m = a.rows, n = a.cols;
    const double nan = std::numeric_limits<double>::quiet_NaN();
    s.assign(size_t(n), nan);
    u = Matrix<double>(m, u_columns);
    v = Matrix<double>(n, n);
    double largest = 0;
    for (double x : a.v) largest = std::isfinite(x) ? std::max(largest, std::abs(x)) : nan;
    if (!(largest < std::numeric_limits<double>::infinity())) {
        std::fill(u.v.begin(), u.v.end(), nan);
        std::fill(v.v.begin(), v.v.end(), nan);
        return false;
    }
    for (int64_t i = 0; i < n; i++) v(i, i) = 1;
    if (largest > 0)
        for (double& x : a.v) x /= largest;
    bool rotated = true;
    for (int sweep = 0; rotated && sweep < 60; sweep++) {
        rotated = false;
        for (int64_t p = 0; p < n; p++)
            for (int64_t q = p + 1; q < n; q++) {
                double *x = a.column(p), *y = a.column(q);
                double xx = 0, yy = 0, xy = 0;
                for (int64_t i = 0; i < m; i++) xx += x[i] * x[i], yy += y[i] * y[i], xy += x[i] * y[i];
                // What is left of dependent columns is rounding, and has no direction to be orthogonal in.
                if (std::abs(xy) <= 1e-15 * std::sqrt(xx) * std::sqrt(yy) || std::min(xx, yy) <= 1e-30 * std::max(xx, yy)) continue;
                rotated = true;
                double zeta = (yy - xx) / (2 * xy);
                double t = std::copysign(1 / (std::abs(zeta) + std::hypot(1.0, zeta)), zeta), c = 1 / std::hypot(1.0, t);
                auto rotate = [&](double* f, double* g, int64_t count) {
                    for (int64_t i = 0; i < count; i++) {
                        double h = f[i];
                        f[i] = c * h - c * t * g[i];
                        g[i] = c * t * h + c * g[i];
                    }
                };
                rotate(x, y, m);
                rotate(v.column(p), v.column(q), n);
            }
    }
    std::vector<double> norms(static_cast<size_t>(n));
    for (int64_t j = 0; j < n; j++) norms[size_t(j)] = std::sqrt(std::inner_product(a.column(j), a.column(j) + m, a.column(j), 0.0));
    std::vector<int64_t> order(static_cast<size_t>(n));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) { return norms[size_t(i)] > norms[size_t(j)]; });
    Matrix<double> sorted(n, n);
    int64_t have = 0;
    // Columns that are nothing but rounding have no direction of their own.
    double least = n ? norms[size_t(order[0])] * 1e-15 : 0;
    for (int64_t j = 0; j < n; j++) {
        int64_t from = order[size_t(j)];
        double norm = norms[size_t(from)];
        s[size_t(j)] = norm * (largest > 0 ? largest : 1);
        std::copy_n(v.column(from), n, sorted.column(j));
        if (j < u_columns && norm > least) {
            for (int64_t i = 0; i < m; i++) u(i, j) = a(i, from) / norm;
            have = j + 1;
        }
    }
    v = sorted;
    complete_basis(u, have);
    return !rotated;
}

// For any shape; `full`: square U and V, else min(m, n) columns each.
inline bool svd(const Matrix<double>& a, bool full, Matrix<double>& u, std::vector<double>& s, Matrix<double>& v) {
    int64_t m = a.rows, n = a.cols;
    if (m >= n) return tall_svd(a, full ? m : n, u, s, v);
    Matrix<double> t(n, m);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < m; i++) t(j, i) = a(i, j);
    return tall_svd(t, full ? n : m, v, s, u);
}

}  // namespace dense
