// The stand-in cuSOLVER (dense): plain algorithms in host memory. Workspaces are demanded and scribbled
// over, so that sharing one wrongly shows. Capture is refused.
#include <cstring>
#include <initializer_list>
#include <limits>
#include <vector>

#include "dense.h"
#include "library.h"

using dense::Matrix;
using dense::View;
using sim::all_on_device;
using sim::extent;
using sim::Touched;

namespace {

enum Status { SUCCESS = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 3, EXECUTION_FAILED = 6, INTERNAL_ERROR = 7, NOT_SUPPORTED = 9 };
constexpr int R_32F = 0, R_64F = 1;
constexpr size_t HOST_WORK = 256;

struct Handle {
    void* stream = nullptr;
    int deterministic = 1;
};

struct JacobiInfo {
    int sort = 1, max_sweeps = 100, sweeps = 0;
    double tolerance = 0, residual = 0;
};

Handle* of(void* handle) { return static_cast<Handle*>(handle); }

bool bad_ld(int64_t ld, int64_t rows) { return ld < std::max<int64_t>(1, rows); }

// Bytes of device workspace for a problem of this size.
template <class T> size_t work_bytes(int64_t m, int64_t n) { return (size_t(std::max<int64_t>(m, 1)) * size_t(std::max<int64_t>(n, 1)) + 64) * sizeof(T); }

struct Workspace {
    void* device;
    size_t device_bytes;
    void* host = nullptr;
    size_t host_bytes = 0;
};

// Checks workspace and matrices, then runs. `host_work`: this call asks for host workspace too.
template <class Work>
int run(void* handle, const char* name, Workspace given, size_t needed, bool host_work, std::initializer_list<Touched> touched, Work work) {
    Handle* h = of(handle);
    if (given.device_bytes < needed || (host_work && given.host_bytes < HOST_WORK)) return INVALID_VALUE;
    if (sim_is_capturing(h->stream)) return INTERNAL_ERROR;
    if (!all_on_device(name, touched) || !all_on_device(name, {{given.device, int64_t(needed), 1}})) return EXECUTION_FAILED;
    std::function<void()> f = [=] {
        if (needed) memset(given.device, 0x5A, needed);
        if (host_work) memset(given.host, 0x5A, HOST_WORK);
        work();
    };
    return sim_submit(h->stream, name, &f) ? EXECUTION_FAILED : SUCCESS;
}

// Calls with T = float or double as the types say; they all have to be the same.
template <class Call> int by_type(void* handle, std::initializer_list<int> types, Call call) {
    if (!handle) return NOT_INITIALIZED;
    for (int t : types)
        if (t != *types.begin()) return INVALID_VALUE;
    switch (*types.begin()) {
        case R_32F: return call(0.0f);
        case R_64F: return call(0.0);
        default: return NOT_SUPPORTED;
    }
}

template <class T> int sizes(size_t* device, size_t* host, int64_t m, int64_t n, bool host_work) {
    *device = work_bytes<T>(m, n);
    *host = host_work ? HOST_WORK : 0;
    return SUCCESS;
}

template <class T> T* as(void* p) { return static_cast<T*>(p); }
template <class T> const T* as(const void* p) { return static_cast<const T*>(p); }

// ---- the routines -------------------------------------------------------------------------------------

template <class T> void fill_nan(View<T> a) {
    for (int64_t j = 0; j < a.cols; j++)
        for (int64_t i = 0; i < a.rows; i++) a(i, j) = std::numeric_limits<T>::quiet_NaN();
}

// Reads one triangle. Without vectors, A is destroyed.
template <class T> int eigen_one(bool vectors, bool upper, View<T> a, T* w) {
    int64_t n = a.rows;
    Matrix<double> m(n, n);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < n; i++) m(i, j) = double((i <= j) == upper ? a(i, j) : a(j, i));
    std::vector<double> values;
    bool ok = dense::symmetric_eigen(m, values);
    std::transform(values.begin(), values.end(), w, [](double x) { return T(x); });
    if (ok && vectors) dense::write(m, a);
    else fill_nan(a);
    return ok ? 0 : int(n);
}

template <class T> int eigen(void* handle, const char* name, int jobz, int uplo, int64_t n, T* a, int64_t lda, T* w, Workspace work,
                             bool host_work, int* info, int64_t batch) {
    if (!handle) return NOT_INITIALIZED;
    if (jobz < 0 || jobz > 1 || uplo < 0 || uplo > 1 || n < 0 || batch < 0 || bad_ld(lda, n)) return INVALID_VALUE;
    int64_t stride = lda * n, last = std::max<int64_t>(batch - 1, 0);
    return run(handle, name, work, work_bytes<T>(n, n * std::max<int64_t>(batch, 1)), host_work,
               {{a, extent(n, n, lda) + last * stride, sizeof(T)}, {w, n * batch, sizeof(T)}, {info, batch, sizeof(int)}}, [=] {
                   for (int64_t s = 0; s < batch; s++) info[s] = eigen_one<T>(jobz, uplo, {a + s * stride, n, n, lda}, w + s * n);
               });
}

// How the three families of singular value routines differ in what they return.
struct SvdShape {
    int64_t u_columns, v_columns;  // 0: not asked for
    bool v_transposed;
    bool overwrites_a;  // A holds no input afterwards
};

template <class T>
int svd(void* handle, const char* name, SvdShape shape, int64_t m, int64_t n, T* a, int64_t lda, T* s, T* u, int64_t ldu, T* v, int64_t ldv,
        Workspace work, bool host_work, int* info, int64_t batch) {
    int64_t k = std::min(m, n), last = std::max<int64_t>(batch - 1, 0);
    bool full = shape.u_columns > k || shape.v_columns > k;
    int64_t v_rows = shape.v_transposed ? shape.v_columns : n, v_cols = shape.v_transposed ? n : shape.v_columns;
    if (!shape.v_columns) v_rows = v_cols = 0;
    int64_t stride_a = lda * n, stride_u = ldu * shape.u_columns, stride_v = ldv * v_cols;
    return run(handle, name, work, work_bytes<T>(m, n * std::max<int64_t>(batch, 1)), host_work,
               {{a, extent(m, n, lda) + last * stride_a, sizeof(T)},
                {s, k * batch, sizeof(T)},
                {u, shape.u_columns ? extent(m, shape.u_columns, ldu) + last * stride_u : 0, sizeof(T)},
                {v, v_cols ? extent(v_rows, v_cols, ldv) + last * stride_v : 0, sizeof(T)},
                {info, batch, sizeof(int)}},
               [=] {
                   for (int64_t b = 0; b < batch; b++) {
                       View<T> view{a + b * stride_a, m, n, lda};
                       Matrix<double> left(0, 0), right(0, 0);
                       std::vector<double> values;
                       bool ok = dense::svd(dense::read(view), full, left, values, right);
                       std::transform(values.begin(), values.end(), s + b * k, [](double x) { return T(x); });
                       if (shape.overwrites_a) fill_nan(view);
                       if (shape.u_columns) dense::write<T>(left, {u + b * stride_u, m, shape.u_columns, ldu});
                       if (v_cols) dense::write<T>(right, {v + b * stride_v, v_rows, v_cols, ldv}, shape.v_transposed);
                       info[b] = ok ? 0 : int(k + 1);
                   }
               });
}

template <class T>
int jacobi_svd(void* handle, const char* name, int jobz, int econ, int64_t m, int64_t n, T* a, int64_t lda, T* s, T* u, int64_t ldu, T* v,
               int64_t ldv, Workspace work, bool host_work, int* info, int64_t batch) {
    if (!handle) return NOT_INITIALIZED;
    if (jobz < 0 || jobz > 1 || m < 0 || n < 0 || batch < 0 || bad_ld(lda, m)) return INVALID_VALUE;
    if (jobz && (bad_ld(ldu, m) || bad_ld(ldv, n))) return INVALID_VALUE;
    int64_t k = std::min(m, n);
    SvdShape shape = {jobz ? (econ ? k : m) : 0, jobz ? (econ ? k : n) : 0, false, true};
    return svd(handle, name, shape, m, n, a, lda, s, u, ldu, v, ldv, work, host_work, info, batch);
}

template <class T>
int gesvd(void* handle, signed char jobu, signed char jobvt, int64_t m, int64_t n, T* a, int64_t lda, T* s, T* u, int64_t ldu, T* vt,
          int64_t ldvt, Workspace work, int* info) {
    auto columns = [](signed char job, int64_t all, int64_t least) { return job == 'A' ? all : job == 'S' ? least : job == 'N' ? 0 : -1; };
    int64_t k = std::min(m, n), of_u = columns(jobu, m, k), of_v = columns(jobvt, n, k);
    if (of_u < 0 || of_v < 0) return NOT_SUPPORTED;  // 'O', in place
    if (n < 0 || m < n || bad_ld(lda, m)) return INVALID_VALUE;  // as the real one: no wide matrices
    if ((of_u && bad_ld(ldu, m)) || (of_v && bad_ld(ldvt, of_v))) return INVALID_VALUE;
    return svd<T>(handle, "cusolverDnXgesvd", {of_u, of_v, true, true}, m, n, a, lda, s, u, ldu, vt, ldvt, work, true, info, 1);
}

template <class T>
int orgqr(void* handle, const char* name, int64_t m, int64_t n, int64_t k, T* a, int64_t lda, const T* tau, Workspace work, int* info) {
    if (!handle) return NOT_INITIALIZED;
    if (n < 0 || m < n || k < 0 || k > n || bad_ld(lda, m)) return INVALID_VALUE;
    return run(handle, name, work, work_bytes<T>(1, n), false,
               {{a, extent(m, n, lda), sizeof(T)}, {tau, k, sizeof(T)}, {info, 1, sizeof(int)}}, [=] {
                   Matrix<T> q(m, n);
                   for (int64_t i = 0; i < n; i++) q(i, i) = 1;
                   dense::apply_q<T>({a, m, n, lda}, tau, k, false, {q.v.data(), m, n, m});
                   for (int64_t j = 0; j < n; j++) std::copy_n(q.column(j), m, a + j * lda);
                   *info = 0;
               });
}

template <class T>
int ormqr(void* handle, const char* name, int side, int op, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* tau, T* c,
          int64_t ldc, Workspace work, int* info) {
    if (!handle) return NOT_INITIALIZED;
    bool left = side == 0;
    int64_t order = left ? m : n;
    if (side < 0 || side > 1 || op < 0 || op > 2 || m < 0 || n < 0 || k < 0 || k > order || bad_ld(lda, order) || bad_ld(ldc, m)) return INVALID_VALUE;
    return run(handle, name, work, work_bytes<T>(1, left ? n : m), false,
               {{a, extent(order, k, lda), sizeof(T)}, {tau, k, sizeof(T)}, {c, extent(m, n, ldc), sizeof(T)}, {info, 1, sizeof(int)}}, [=] {
                   View<const T> q{a, order, k, lda};
                   *info = 0;
                   if (left) return dense::apply_q<T>(q, tau, k, op, {c, m, n, ldc});
                   // C Q is (Q' C')'.
                   Matrix<T> t(n, m);
                   for (int64_t j = 0; j < n; j++)
                       for (int64_t i = 0; i < m; i++) t(j, i) = c[i + j * ldc];
                   dense::apply_q<T>(q, tau, k, !op, {t.v.data(), n, m, n});
                   for (int64_t j = 0; j < n; j++)
                       for (int64_t i = 0; i < m; i++) c[i + j * ldc] = t(j, i);
               });
}

template <class T> int work_elements(void* handle, int* elements, int64_t m, int64_t n) {
    if (!handle) return NOT_INITIALIZED;
    if (m < 0 || n < 0) return INVALID_VALUE;
    *elements = int(work_bytes<T>(m, n) / sizeof(T));
    return SUCCESS;
}

template <class T> Workspace elements_of(T* work, int count) { return {work, size_t(std::max(count, 0)) * sizeof(T)}; }

}  // namespace

// ---- handles ------------------------------------------------------------------------------------------

API int cusolverDnCreate(void** handle) {
    if (sim_context_status()) return NOT_INITIALIZED;
    *handle = new Handle;
    return SUCCESS;
}
API int cusolverDnDestroy(void* handle) {
    if (!handle) return NOT_INITIALIZED;
    delete of(handle);
    return SUCCESS;
}
API int cusolverDnSetStream(void* handle, void* stream) {
    if (!handle) return NOT_INITIALIZED;
    of(handle)->stream = stream;
    return SUCCESS;
}
API int cusolverDnGetStream(void* handle, void** stream) {
    if (!handle) return NOT_INITIALIZED;
    *stream = of(handle)->stream;
    return SUCCESS;
}
API int cusolverDnSetDeterministicMode(void* handle, int mode) {
    if (!handle) return NOT_INITIALIZED;
    if (mode != 1 && mode != 2) return INVALID_VALUE;
    of(handle)->deterministic = mode;
    return SUCCESS;
}
API int cusolverDnGetDeterministicMode(void* handle, int* mode) {
    if (!handle) return NOT_INITIALIZED;
    *mode = of(handle)->deterministic;
    return SUCCESS;
}
API int cusolverGetVersion(int* version) {
    *version = 12000;
    return SUCCESS;
}

API int cusolverDnCreateParams(void** params) {
    *params = new int(0);
    return SUCCESS;
}
API int cusolverDnDestroyParams(void* params) {
    delete static_cast<int*>(params);
    return SUCCESS;
}
API int cusolverDnSetAdvOptions(void* params, int function, int algorithm) {
    return params && function >= 0 && function <= 4 && algorithm >= 0 && algorithm <= 2 ? SUCCESS : INVALID_VALUE;
}

#define JACOBI_INFO(name, Name)                                                         \
    API int cusolverDnCreate##Name##Info(void** info) {                                 \
        *info = new JacobiInfo;                                                         \
        return SUCCESS;                                                                 \
    }                                                                                   \
    API int cusolverDnDestroy##Name##Info(void* info) {                                 \
        delete static_cast<JacobiInfo*>(info);                                          \
        return SUCCESS;                                                                 \
    }                                                                                   \
    API int cusolverDnX##name##SetTolerance(void* info, double tolerance) {             \
        static_cast<JacobiInfo*>(info)->tolerance = tolerance;                          \
        return SUCCESS;                                                                 \
    }                                                                                   \
    API int cusolverDnX##name##SetMaxSweeps(void* info, int sweeps) {                   \
        static_cast<JacobiInfo*>(info)->max_sweeps = sweeps;                            \
        return sweeps > 0 ? SUCCESS : INVALID_VALUE;                                    \
    }                                                                                   \
    API int cusolverDnX##name##SetSortEig(void* info, int sort) {                       \
        static_cast<JacobiInfo*>(info)->sort = sort;                                    \
        return sort == 0 || sort == 1 ? SUCCESS : INVALID_VALUE;                        \
    }                                                                                   \
    API int cusolverDnX##name##GetResidual(void* handle, void* info, double* residual) { \
        *residual = static_cast<JacobiInfo*>(info)->residual;                           \
        return handle ? SUCCESS : NOT_INITIALIZED;                                      \
    }                                                                                   \
    API int cusolverDnX##name##GetSweeps(void* handle, void* info, int* sweeps) {       \
        *sweeps = static_cast<JacobiInfo*>(info)->sweeps;                               \
        return handle ? SUCCESS : NOT_INITIALIZED;                                      \
    }
JACOBI_INFO(gesvdj, Gesvdj)
JACOBI_INFO(syevj, Syevj)

// ---- the 64-bit calls ---------------------------------------------------------------------------------

API int cusolverDnXgetrf_bufferSize(void* h, void*, int64_t m, int64_t n, int type, const void*, int64_t lda, int compute, size_t* device, size_t* host) {
    if (m < 0 || n < 0 || bad_ld(lda, m)) return INVALID_VALUE;
    return by_type(h, {type, compute}, [&](auto t) { return sizes<decltype(t)>(device, host, m, n, false); });
}
API int cusolverDnXgetrf(void* h, void*, int64_t m, int64_t n, int type, void* a, int64_t lda, int64_t* pivots, int compute, void* device,
                         size_t device_bytes, void* host, size_t host_bytes, int* info) {
    if (m < 0 || n < 0 || bad_ld(lda, m)) return INVALID_VALUE;
    return by_type(h, {type, compute}, [&](auto t) {
        using T = decltype(t);
        return run(h, "cusolverDnXgetrf", {device, device_bytes, host, host_bytes}, work_bytes<T>(m, n), false,
                   {{a, extent(m, n, lda), sizeof(T)}, {pivots, pivots ? std::min(m, n) : 0, 8}, {info, 1, sizeof(int)}},
                   [=] { *info = dense::lu<T>({as<T>(a), m, n, lda}, pivots); });
    });
}
API int cusolverDnXgetrs(void* h, void*, int op, int64_t n, int64_t columns, int type, const void* a, int64_t lda, const int64_t* pivots,
                         int type_b, void* b, int64_t ldb, int* info) {
    if (op < 0 || op > 2 || n < 0 || columns < 0 || bad_ld(lda, n) || bad_ld(ldb, n)) return INVALID_VALUE;
    return by_type(h, {type, type_b}, [&](auto t) {
        using T = decltype(t);
        return run(h, "cusolverDnXgetrs", {}, 0, false,
                   {{a, extent(n, n, lda), sizeof(T)}, {b, extent(n, columns, ldb), sizeof(T)}, {pivots, pivots ? n : 0, 8}, {info, 1, sizeof(int)}}, [=] {
                       dense::lu_solve<T>({as<T>(a), n, n, lda}, pivots, op, {as<T>(b), n, columns, ldb});
                       *info = 0;
                   });
    });
}

API int cusolverDnXpotrf_bufferSize(void* h, void*, int uplo, int64_t n, int type, const void*, int64_t lda, int compute, size_t* device, size_t* host) {
    if (uplo < 0 || uplo > 1 || n < 0 || bad_ld(lda, n)) return INVALID_VALUE;
    return by_type(h, {type, compute}, [&](auto t) { return sizes<decltype(t)>(device, host, n, n, false); });
}
API int cusolverDnXpotrf(void* h, void*, int uplo, int64_t n, int type, void* a, int64_t lda, int compute, void* device, size_t device_bytes,
                         void* host, size_t host_bytes, int* info) {
    if (uplo < 0 || uplo > 1 || n < 0 || bad_ld(lda, n)) return INVALID_VALUE;
    return by_type(h, {type, compute}, [&](auto t) {
        using T = decltype(t);
        return run(h, "cusolverDnXpotrf", {device, device_bytes, host, host_bytes}, work_bytes<T>(n, n), false,
                   {{a, extent(n, n, lda), sizeof(T)}, {info, 1, sizeof(int)}}, [=] { *info = dense::cholesky<T>(uplo, {as<T>(a), n, n, lda}); });
    });
}
API int cusolverDnXpotrs(void* h, void*, int uplo, int64_t n, int64_t columns, int type, const void* a, int64_t lda, int type_b, void* b,
                         int64_t ldb, int* info) {
    if (uplo < 0 || uplo > 1 || n < 0 || columns < 0 || bad_ld(lda, n) || bad_ld(ldb, n)) return INVALID_VALUE;
    return by_type(h, {type, type_b}, [&](auto t) {
        using T = decltype(t);
        return run(h, "cusolverDnXpotrs", {}, 0, false,
                   {{a, extent(n, n, lda), sizeof(T)}, {b, extent(n, columns, ldb), sizeof(T)}, {info, 1, sizeof(int)}}, [=] {
                       View<const T> factor{as<T>(a), n, n, lda};
                       View<T> x{as<T>(b), n, columns, ldb};
                       dense::solve_triangular(bool(uplo), bool(uplo), false, factor, x);
                       dense::solve_triangular(bool(uplo), !uplo, false, factor, x);
                       *info = 0;
                   });
    });
}

API int cusolverDnXgeqrf_bufferSize(void* h, void*, int64_t m, int64_t n, int type, const void*, int64_t lda, int type_tau, const void*, int compute,
                                    size_t* device, size_t* host) {
    if (m < 0 || n < 0 || bad_ld(lda, m)) return INVALID_VALUE;
    return by_type(h, {type, type_tau, compute}, [&](auto t) { return sizes<decltype(t)>(device, host, m, n, false); });
}
API int cusolverDnXgeqrf(void* h, void*, int64_t m, int64_t n, int type, void* a, int64_t lda, int type_tau, void* tau, int compute, void* device,
                         size_t device_bytes, void* host, size_t host_bytes, int* info) {
    if (m < 0 || n < 0 || bad_ld(lda, m)) return INVALID_VALUE;
    return by_type(h, {type, type_tau, compute}, [&](auto t) {
        using T = decltype(t);
        return run(h, "cusolverDnXgeqrf", {device, device_bytes, host, host_bytes}, work_bytes<T>(m, n), false,
                   {{a, extent(m, n, lda), sizeof(T)}, {tau, std::min(m, n), sizeof(T)}, {info, 1, sizeof(int)}}, [=] {
                       dense::qr<T>({as<T>(a), m, n, lda}, as<T>(tau));
                       *info = 0;
                   });
    });
}

API int cusolverDnXsyevd_bufferSize(void* h, void*, int, int, int64_t n, int type, const void*, int64_t lda, int type_w, const void*, int compute,
                                    size_t* device, size_t* host) {
    if (n < 0 || bad_ld(lda, n)) return INVALID_VALUE;
    return by_type(h, {type, type_w, compute}, [&](auto t) { return sizes<decltype(t)>(device, host, n, n, true); });
}
API int cusolverDnXsyevd(void* h, void*, int jobz, int uplo, int64_t n, int type, void* a, int64_t lda, int type_w, void* w, int compute, void* device,
                         size_t device_bytes, void* host, size_t host_bytes, int* info) {
    return by_type(h, {type, type_w, compute}, [&](auto t) {
        using T = decltype(t);
        return eigen<T>(h, "cusolverDnXsyevd", jobz, uplo, n, as<T>(a), lda, as<T>(w), {device, device_bytes, host, host_bytes}, true, info, 1);
    });
}
API int cusolverDnXsyevBatched_bufferSize(void* h, void*, int, int, int64_t n, int type, const void*, int64_t lda, int type_w, const void*, int compute,
                                          size_t* device, size_t* host, int64_t batch) {
    if (n < 0 || batch < 0 || bad_ld(lda, n)) return INVALID_VALUE;
    return by_type(h, {type, type_w, compute},
                   [&](auto t) { return sizes<decltype(t)>(device, host, n, n * std::max<int64_t>(batch, 1), true); });
}
API int cusolverDnXsyevBatched(void* h, void*, int jobz, int uplo, int64_t n, int type, void* a, int64_t lda, int type_w, void* w, int compute,
                               void* device, size_t device_bytes, void* host, size_t host_bytes, int* info, int64_t batch) {
    return by_type(h, {type, type_w, compute}, [&](auto t) {
        using T = decltype(t);
        return eigen<T>(h, "cusolverDnXsyevBatched", jobz, uplo, n, as<T>(a), lda, as<T>(w), {device, device_bytes, host, host_bytes}, true, info, batch);
    });
}

API int cusolverDnXgesvd_bufferSize(void* h, void*, signed char, signed char, int64_t m, int64_t n, int type, const void*, int64_t lda, int type_s,
                                    const void*, int type_u, const void*, int64_t, int type_v, const void*, int64_t, int compute, size_t* device, size_t* host) {
    if (n < 0 || m < n || bad_ld(lda, m)) return INVALID_VALUE;
    return by_type(h, {type, type_s, type_u, type_v, compute}, [&](auto t) { return sizes<decltype(t)>(device, host, m, n, true); });
}
API int cusolverDnXgesvd(void* h, void*, signed char jobu, signed char jobvt, int64_t m, int64_t n, int type, void* a, int64_t lda, int type_s, void* s,
                         int type_u, void* u, int64_t ldu, int type_v, void* vt, int64_t ldvt, int compute, void* device, size_t device_bytes,
                         void* host, size_t host_bytes, int* info) {
    return by_type(h, {type, type_s, type_u, type_v, compute}, [&](auto t) {
        using T = decltype(t);
        return gesvd<T>(h, jobu, jobvt, m, n, as<T>(a), lda, as<T>(s), as<T>(u), ldu, as<T>(vt), ldvt, {device, device_bytes, host, host_bytes}, info);
    });
}

API int cusolverDnXgesvdp_bufferSize(void* h, void*, int, int, int64_t m, int64_t n, int type, const void*, int64_t lda, int type_s, const void*,
                                     int type_u, const void*, int64_t, int type_v, const void*, int64_t, int compute, size_t* device, size_t* host) {
    if (m < 0 || n < 0 || bad_ld(lda, m)) return INVALID_VALUE;
    return by_type(h, {type, type_s, type_u, type_v, compute}, [&](auto t) { return sizes<decltype(t)>(device, host, m, n, true); });
}
// Returns V itself, and the size of its perturbation on the host.
API int cusolverDnXgesvdp(void* h, void*, int jobz, int econ, int64_t m, int64_t n, int type, void* a, int64_t lda, int type_s, void* s, int type_u,
                          void* u, int64_t ldu, int type_v, void* v, int64_t ldv, int compute, void* device, size_t device_bytes, void* host,
                          size_t host_bytes, int* info, double* perturbation) {
    if (perturbation) *perturbation = 0;
    return by_type(h, {type, type_s, type_u, type_v, compute}, [&](auto t) {
        using T = decltype(t);
        return jacobi_svd<T>(h, "cusolverDnXgesvdp", jobz, econ, m, n, as<T>(a), lda, as<T>(s), as<T>(u), ldu, as<T>(v), ldv,
                             {device, device_bytes, host, host_bytes}, true, info, 1);
    });
}

// ---- the calls for float (S) and double (D) -------------------------------------------------------------

static constexpr int BATCHED_LIMIT = 32;

#define FOR_TYPE(X, T)                                                                                                                      \
    API int cusolverDn##X##orgqr_bufferSize(void* h, int m, int n, int k, const T*, int lda, const T*, int* count) {                         \
        if (n < 0 || m < n || k < 0 || k > n || bad_ld(lda, m)) return INVALID_VALUE;                                                        \
        return work_elements<T>(h, count, 1, n);                                                                                            \
    }                                                                                                                                       \
    API int cusolverDn##X##orgqr(void* h, int m, int n, int k, T* a, int lda, const T* tau, T* work, int count, int* info) {                  \
        return orgqr<T>(h, "cusolverDn" #X "orgqr", m, n, k, a, lda, tau, elements_of(work, count), info);                                   \
    }                                                                                                                                       \
    API int cusolverDn##X##ormqr_bufferSize(void* h, int side, int, int m, int n, int, const T*, int, const T*, const T*, int, int* count) {  \
        return work_elements<T>(h, count, 1, side == 0 ? n : m);                                                                            \
    }                                                                                                                                       \
    API int cusolverDn##X##ormqr(void* h, int side, int op, int m, int n, int k, const T* a, int lda, const T* tau, T* c, int ldc, T* work,  \
                                 int count, int* info) {                                                                                    \
        return ormqr<T>(h, "cusolverDn" #X "ormqr", side, op, m, n, k, a, lda, tau, c, ldc, elements_of(work, count), info);                 \
    }                                                                                                                                       \
    API int cusolverDn##X##gesvdj_bufferSize(void* h, int, int, int m, int n, const T*, int, const T*, const T*, int, const T*, int,         \
                                             int* count, void*) {                                                                           \
        return work_elements<T>(h, count, m, n);                                                                                            \
    }                                                                                                                                       \
    API int cusolverDn##X##gesvdj(void* h, int jobz, int econ, int m, int n, T* a, int lda, T* s, T* u, int ldu, T* v, int ldv, T* work,     \
                                  int count, int* info, void* params) {                                                                     \
        if (!params) return INVALID_VALUE;                                                                                                  \
        return jacobi_svd<T>(h, "cusolverDn" #X "gesvdj", jobz, econ, m, n, a, lda, s, u, ldu, v, ldv, elements_of(work, count), false,      \
                             info, 1);                                                                                                      \
    }                                                                                                                                       \
    API int cusolverDn##X##gesvdjBatched_bufferSize(void* h, int, int m, int n, const T*, int, const T*, const T*, int, const T*, int,       \
                                                    int* count, void*, int batch) {                                                         \
        return work_elements<T>(h, count, m, int64_t(n) * std::max(batch, 1));                                                              \
    }                                                                                                                                       \
    API int cusolverDn##X##gesvdjBatched(void* h, int jobz, int m, int n, T* a, int lda, T* s, T* u, int ldu, T* v, int ldv, T* work,        \
                                         int count, int* info, void* params, int batch) {                                                   \
        if (!params || m > BATCHED_LIMIT || n > BATCHED_LIMIT) return INVALID_VALUE;                                                         \
        return jacobi_svd<T>(h, "cusolverDn" #X "gesvdjBatched", jobz, 0, m, n, a, lda, s, u, ldu, v, ldv, elements_of(work, count), false,  \
                             info, batch);                                                                                                  \
    }                                                                                                                                       \
    API int cusolverDn##X##syevj_bufferSize(void* h, int, int, int n, const T*, int, const T*, int* count, void*) {                          \
        return work_elements<T>(h, count, n, n);                                                                                            \
    }                                                                                                                                       \
    API int cusolverDn##X##syevj(void* h, int jobz, int uplo, int n, T* a, int lda, T* w, T* work, int count, int* info, void* params) {     \
        if (!params) return INVALID_VALUE;                                                                                                  \
        return eigen<T>(h, "cusolverDn" #X "syevj", jobz, uplo, n, a, lda, w, elements_of(work, count), false, info, 1);                     \
    }                                                                                                                                       \
    API int cusolverDn##X##syevjBatched_bufferSize(void* h, int, int, int n, const T*, int, const T*, int* count, void*, int batch) {        \
        return work_elements<T>(h, count, n, int64_t(n) * std::max(batch, 1));                                                              \
    }                                                                                                                                       \
    API int cusolverDn##X##syevjBatched(void* h, int jobz, int uplo, int n, T* a, int lda, T* w, T* work, int count, int* info,              \
                                        void* params, int batch) {                                                                          \
        if (!params) return INVALID_VALUE;                                                                                                  \
        return eigen<T>(h, "cusolverDn" #X "syevjBatched", jobz, uplo, n, a, lda, w, elements_of(work, count), false, info, batch);          \
    }
FOR_TYPE(S, float)
FOR_TYPE(D, double)

// ---- Cholesky factors of many matrices ------------------------------------------------------------------

#define POTRF_BATCHED(X, T)                                                                               \
    API int cusolverDn##X##potrfBatched(void* h, int uplo, int n, T** a, int lda, int* info, int batch) { \
        if (!h) return NOT_INITIALIZED;                                                                   \
        if (uplo < 0 || uplo > 1 || n < 0 || batch < 0 || bad_ld(lda, n)) return INVALID_VALUE;           \
        return run(h, "cusolverDnpotrfBatched", {}, 0, false,                                             \
                   {{a, batch, sizeof(T*)}, {info, batch, sizeof(int)}}, [=] {                            \
            for (int i = 0; i < batch; i++) info[i] = dense::cholesky<T>(uplo, {a[i], n, n, lda});        \
        });                                                                                               \
    }
POTRF_BATCHED(S, float)
POTRF_BATCHED(D, double)
