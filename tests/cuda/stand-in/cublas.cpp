// The stand-in cuBLAS: plain loops on host memory, with the argument checks of the real one.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "dense.h"
#include "library.h"

using dense::View;
using sim::all_on_device;
using sim::extent;

namespace {

enum Status { SUCCESS = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, EXECUTION_FAILED = 13, INTERNAL_ERROR = 14, NOT_SUPPORTED = 15 };
enum Side { LEFT = 0, RIGHT = 1 };
constexpr int TF32_MATH = 3;
constexpr int R_32F = 0, R_64F = 1;

struct Handle {
    void* stream = nullptr;
    int math = 0;
    bool device_scalars = false;
};

Handle* of(void* handle) { return static_cast<Handle*>(handle); }

template <class Work> int submit(Handle* h, const char* name, Work work) {
    std::function<void()> f = work;
    int e = sim_submit(h->stream, name, &f);
    return e == 0 ? SUCCESS : e >= 900 ? INTERNAL_ERROR : EXECUTION_FAILED;
}

// A scalar argument: read now from the host, or by the work from the device.
template <class T> struct Scalar {
    const T* device;
    T value;
    Scalar(Handle* h, const T* p) : device(h->device_scalars ? p : nullptr), value(h->device_scalars ? T(0) : *p) {}
    T get() const { return device ? *device : value; }
    bool is_zero() const { return !device && value == 0; }
};

bool valid_op(int op) { return op >= 0 && op <= 2; }
bool bad_ld(int64_t ld, int64_t rows) { return ld < std::max<int64_t>(1, rows); }

float to_tf32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if ((bits & 0x7f800000u) != 0x7f800000u) bits = (bits + 0x1000u) & ~0x1fffu;
    memcpy(&x, &bits, 4);
    return x;
}
double to_tf32(double x) { return x; }

// op(A) without gaps.
template <class T> std::vector<T> packed(int op, const T* a, int64_t rows, int64_t cols, int64_t ld, bool tf32) {
    std::vector<T> out(size_t(rows * cols));
    for (int64_t j = 0; j < cols; j++)
        for (int64_t i = 0; i < rows; i++) {
            T x = op ? a[j + i * ld] : a[i + j * ld];
            out[size_t(i + j * rows)] = tf32 ? to_tf32(x) : x;
        }
    return out;
}

// ---- products -----------------------------------------------------------------------------------------

template <class T>
int gemm(void* handle, const char* name, int opa, int opb, int64_t m, int64_t n, int64_t k, const T* alpha, const T* a, int64_t lda,
         int64_t stride_a, const T* b, int64_t ldb, int64_t stride_b, const T* beta, T* c, int64_t ldc, int64_t stride_c, int64_t batch,
         bool tf32) {
    Handle* h = of(handle);
    if (!h) return NOT_INITIALIZED;
    if (!valid_op(opa) || !valid_op(opb) || m < 0 || n < 0 || k < 0 || batch < 0 || !alpha || !beta) return INVALID_VALUE;
    if (bad_ld(lda, opa ? k : m) || bad_ld(ldb, opb ? n : k) || bad_ld(ldc, m)) return INVALID_VALUE;
    if (m == 0 || n == 0 || batch == 0) return SUCCESS;
    Scalar<T> scale(h, alpha), keep(h, beta);
    int64_t last = batch - 1;
    bool read = k > 0 && !scale.is_zero();
    if (!all_on_device(name, {{a, read ? extent(opa ? k : m, opa ? m : k, lda) + last * stride_a : 0, sizeof(T)},
                              {b, read ? extent(opb ? n : k, opb ? k : n, ldb) + last * stride_b : 0, sizeof(T)},
                              {c, extent(m, n, ldc) + last * stride_c, sizeof(T)}}))
        return EXECUTION_FAILED;
    return submit(h, name, [=] {
        T x = scale.get(), y = keep.get();
        std::vector<T> sum(static_cast<size_t>(m));
        for (int64_t s = 0; s < batch; s++) {
            std::vector<T> pa, pb;
            if (k > 0 && x != 0) {
                pa = packed(opa, a + s * stride_a, m, k, lda, tf32);
                pb = packed(opb, b + s * stride_b, k, n, ldb, tf32);
            }
            for (int64_t j = 0; j < n; j++) {
                std::fill(sum.begin(), sum.end(), T(0));
                for (int64_t l = 0; l < k && !pa.empty(); l++) {
                    const T* col = &pa[size_t(l * m)];
                    T factor = pb[size_t(l + j * k)];
                    for (int64_t i = 0; i < m; i++) sum[size_t(i)] += col[i] * factor;
                }
                T* out = c + s * stride_c + j * ldc;
                // C is not read when beta is 0: it may hold anything.
                for (int64_t i = 0; i < m; i++) out[i] = y == 0 ? x * sum[size_t(i)] : x * sum[size_t(i)] + y * out[i];
            }
        }
    });
}

template <class T>
int gemv(void* handle, const char* name, int op, int64_t m, int64_t n, const T* alpha, const T* a, int64_t lda, int64_t stride_a, const T* x,
         int64_t incx, int64_t stride_x, const T* beta, T* y, int64_t incy, int64_t stride_y, int64_t batch) {
    Handle* h = of(handle);
    if (!h) return NOT_INITIALIZED;
    if (!valid_op(op) || m < 0 || n < 0 || batch < 0 || !alpha || !beta || bad_ld(lda, m) || incx == 0 || incy == 0) return INVALID_VALUE;
    int64_t rows = op ? n : m, cols = op ? m : n;
    if (m == 0 || n == 0 || batch == 0) return SUCCESS;
    Scalar<T> scale(h, alpha), keep(h, beta);
    int64_t last = batch - 1;
    bool read = !scale.is_zero();
    if (!all_on_device(name, {{a, read ? extent(m, n, lda) + last * stride_a : 0, sizeof(T)},
                              {x, read ? (cols - 1) * std::abs(incx) + 1 + last * stride_x : 0, sizeof(T)},
                              {y, (rows - 1) * std::abs(incy) + 1 + last * stride_y, sizeof(T)}}))
        return EXECUTION_FAILED;
    return submit(h, name, [=] {
        T p = scale.get(), q = keep.get();
        for (int64_t s = 0; s < batch; s++) {
            const T* from = x + s * stride_x + (incx < 0 ? (1 - cols) * incx : 0);
            T* to = y + s * stride_y + (incy < 0 ? (1 - rows) * incy : 0);
            for (int64_t i = 0; i < rows; i++) {
                T sum = 0;
                if (p != 0)
                    for (int64_t j = 0; j < cols; j++) sum += a[s * stride_a + (op ? j + i * lda : i + j * lda)] * from[j * incx];
                to[i * incy] = q == 0 ? p * sum : p * sum + q * to[i * incy];
            }
        }
    });
}

template <class T> int dot(void* handle, const char* name, int64_t n, const T* x, int64_t incx, const T* y, int64_t incy, T* result) {
    Handle* h = of(handle);
    if (!h) return NOT_INITIALIZED;
    if (!result) return INVALID_VALUE;
    // A result on the host needs a synchronisation, which a capture cannot hold.
    if (!h->device_scalars && sim_is_capturing(h->stream)) return EXECUTION_FAILED;
    if (!all_on_device(name, {{x, n > 0 ? (n - 1) * std::abs(incx) + 1 : 0, sizeof(T)},
                              {y, n > 0 ? (n - 1) * std::abs(incy) + 1 : 0, sizeof(T)},
                              {result, h->device_scalars, sizeof(T)}}))
        return EXECUTION_FAILED;
    return submit(h, name, [=] {
        T sum = 0;
        for (int64_t i = 0; i < n; i++) sum += x[incx < 0 ? (i + 1 - n) * incx : i * incx] * y[incy < 0 ? (i + 1 - n) * incy : i * incy];
        *result = sum;
    });
}

template <class T>
int geam(void* handle, const char* name, int opa, int opb, int64_t m, int64_t n, const T* alpha, const T* a, int64_t lda, const T* beta,
         const T* b, int64_t ldb, T* c, int64_t ldc) {
    Handle* h = of(handle);
    if (!h) return NOT_INITIALIZED;
    if (!valid_op(opa) || !valid_op(opb) || m < 0 || n < 0 || !alpha || !beta) return INVALID_VALUE;
    if (bad_ld(lda, opa ? n : m) || bad_ld(ldb, opb ? n : m) || bad_ld(ldc, m)) return INVALID_VALUE;
    if ((c == a && (opa || lda != ldc)) || (c == b && (opb || ldb != ldc))) return INVALID_VALUE;  // in place
    if (m == 0 || n == 0) return SUCCESS;
    Scalar<T> p(h, alpha), q(h, beta);
    if (!all_on_device(name, {{a, p.is_zero() ? 0 : extent(opa ? n : m, opa ? m : n, lda), sizeof(T)},
                              {b, q.is_zero() ? 0 : extent(opb ? n : m, opb ? m : n, ldb), sizeof(T)},
                              {c, extent(m, n, ldc), sizeof(T)}}))
        return EXECUTION_FAILED;
    return submit(h, name, [=] {
        T x = p.get(), y = q.get();
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i < m; i++) {
                T sum = x == 0 ? 0 : x * a[opa ? j + i * lda : i + j * lda];
                c[i + j * ldc] = y == 0 ? sum : sum + y * b[opb ? j + i * ldb : i + j * ldb];
            }
    });
}

// ---- systems ------------------------------------------------------------------------------------------

bool bad_triangle(int side, int uplo, int op, int diag, int64_t m, int64_t n, int64_t lda, int64_t ldb) {
    return (side != LEFT && side != RIGHT) || uplo < 0 || uplo > 1 || !valid_op(op) || diag < 0 || diag > 1 || m < 0 || n < 0 ||
           bad_ld(lda, side == LEFT ? m : n) || bad_ld(ldb, m);
}

template <class T> void trsm_one(int side, int uplo, int op, int diag, int64_t m, int64_t n, T alpha, const T* a, int64_t lda, T* b, int64_t ldb) {
    int64_t order = side == LEFT ? m : n;
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < m; i++) b[i + j * ldb] = alpha == 0 ? 0 : alpha * b[i + j * ldb];
    if (alpha == 0) return;
    View<const T> tri{a, order, order, lda};
    if (side == LEFT) return dense::solve_triangular<T>(uplo, op, diag, tri, {b, m, n, ldb});
    // X op(A) = B is op(A)' X' = B'.
    std::vector<T> t(size_t(m * n));
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < m; i++) t[size_t(j + i * n)] = b[i + j * ldb];
    dense::solve_triangular<T>(uplo, !op, diag, tri, {t.data(), n, m, n});
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < m; i++) b[i + j * ldb] = t[size_t(j + i * n)];
}

template <class T>
int trsm(void* handle, const char* name, int side, int uplo, int op, int diag, int64_t m, int64_t n, const T* alpha, const T* a, int64_t lda,
         T* b, int64_t ldb) {
    Handle* h = of(handle);
    if (!h) return NOT_INITIALIZED;
    if (!alpha || bad_triangle(side, uplo, op, diag, m, n, lda, ldb)) return INVALID_VALUE;
    if (m == 0 || n == 0) return SUCCESS;
    Scalar<T> scale(h, alpha);
    int64_t order = side == LEFT ? m : n;
    if (!all_on_device(name, {{a, scale.is_zero() ? 0 : extent(order, order, lda), sizeof(T)}, {b, extent(m, n, ldb), sizeof(T)}}))
        return EXECUTION_FAILED;
    return submit(h, name, [=] { trsm_one(side, uplo, op, diag, m, n, scale.get(), a, lda, b, ldb); });
}

// An array of matrices on the device, itself in device memory. While capturing, it is not written yet.
template <class P> bool pointers_on_device(Handle* h, const char* name, const P* array, int64_t batch, int64_t elements) {
    if (!all_on_device(name, {{array, batch, sizeof(P)}})) return false;
    for (int64_t i = 0; i < batch && !sim_is_capturing(h->stream); i++)
        if (!all_on_device(name, {{array[i], elements, sizeof(**array)}})) return false;
    return true;
}

template <class T>
int trsm_batched(void* handle, const char* name, int side, int uplo, int op, int diag, int64_t m, int64_t n, const T* alpha,
                 const T* const* a, int64_t lda, T* const* b, int64_t ldb, int64_t batch) {
    Handle* h = of(handle);
    if (!h) return NOT_INITIALIZED;
    if (!alpha || batch < 0 || bad_triangle(side, uplo, op, diag, m, n, lda, ldb)) return INVALID_VALUE;
    if (m == 0 || n == 0 || batch == 0) return SUCCESS;
    Scalar<T> scale(h, alpha);
    int64_t order = side == LEFT ? m : n;
    if (!pointers_on_device(h, name, a, batch, extent(order, order, lda)) || !pointers_on_device(h, name, b, batch, extent(m, n, ldb)))
        return EXECUTION_FAILED;
    return submit(h, name, [=] {
        for (int64_t i = 0; i < batch; i++) trsm_one(side, uplo, op, diag, m, n, scale.get(), a[i], lda, b[i], ldb);
    });
}

template <class T> int getrf_batched(void* handle, const char* name, int64_t n, T* const* a, int64_t lda, int* pivots, int* info, int64_t batch) {
    Handle* h = of(handle);
    if (!h) return NOT_INITIALIZED;
    if (n < 0 || batch < 0 || bad_ld(lda, n)) return INVALID_VALUE;
    if (batch == 0) return SUCCESS;
    if (!pointers_on_device(h, name, a, batch, extent(n, n, lda)) ||
        !all_on_device(name, {{pivots, pivots ? n * batch : 0, sizeof(int)}, {info, batch, sizeof(int)}}))
        return EXECUTION_FAILED;
    return submit(h, name, [=] {
        for (int64_t i = 0; i < batch; i++) info[i] = dense::lu<T>({a[i], n, n, lda}, pivots ? pivots + i * n : nullptr);
    });
}

// Unlike elsewhere, info is one number on the host.
template <class T>
int getrs_batched(void* handle, const char* name, int op, int64_t n, int64_t columns, const T* const* a, int64_t lda, const int* pivots,
                  T* const* b, int64_t ldb, int* info, int64_t batch) {
    Handle* h = of(handle);
    if (!h) return NOT_INITIALIZED;
    if (!info) return INVALID_VALUE;
    *info = !valid_op(op) ? -1 : n < 0 ? -2 : columns < 0 ? -3 : bad_ld(lda, n) ? -5 : bad_ld(ldb, n) ? -8 : batch < 0 ? -10 : 0;
    if (*info) return INVALID_VALUE;
    if (n == 0 || columns == 0 || batch == 0) return SUCCESS;
    if (!pointers_on_device(h, name, a, batch, extent(n, n, lda)) || !pointers_on_device(h, name, b, batch, extent(n, columns, ldb)) ||
        !all_on_device(name, {{pivots, pivots ? n * batch : 0, sizeof(int)}}))
        return EXECUTION_FAILED;
    return submit(h, name, [=] {
        for (int64_t i = 0; i < batch; i++)
            dense::lu_solve<T>({a[i], n, n, lda}, pivots ? pivots + i * n : nullptr, op, {b[i], n, columns, ldb});
    });
}

}  // namespace

// ---- handles ------------------------------------------------------------------------------------------

API int cublasCreate_v2(void** handle) {
    if (!handle) return INVALID_VALUE;
    if (sim_context_status()) return NOT_INITIALIZED;
    *handle = new Handle;
    return SUCCESS;
}
API int cublasDestroy_v2(void* handle) {
    if (!handle) return NOT_INITIALIZED;
    delete of(handle);
    return SUCCESS;
}
API int cublasSetStream_v2(void* handle, void* stream) {
    if (!handle) return NOT_INITIALIZED;
    of(handle)->stream = stream;
    return SUCCESS;
}
API int cublasGetStream_v2(void* handle, void** stream) {
    if (!handle) return NOT_INITIALIZED;
    *stream = of(handle)->stream;
    return SUCCESS;
}
API int cublasGetVersion_v2(void* handle, int* version) {
    if (!handle) return NOT_INITIALIZED;
    *version = 130000;
    return SUCCESS;
}
API int cublasSetWorkspace_v2(void* handle, void* workspace, size_t bytes) {
    if (!handle) return NOT_INITIALIZED;
    return bytes == 0 || sim_is_device_memory(workspace, bytes) ? SUCCESS : INVALID_VALUE;
}
API int cublasSetMathMode(void* handle, int mode) {
    if (!handle) return NOT_INITIALIZED;
    if (mode < 0 || (mode & 15) > 8) return INVALID_VALUE;
    of(handle)->math = mode;
    return SUCCESS;
}
API int cublasGetMathMode(void* handle, int* mode) {
    if (!handle) return NOT_INITIALIZED;
    *mode = of(handle)->math;
    return SUCCESS;
}
API int cublasSetPointerMode_v2(void* handle, int mode) {
    if (!handle) return NOT_INITIALIZED;
    if (mode < 0 || mode > 1) return INVALID_VALUE;
    of(handle)->device_scalars = mode;
    return SUCCESS;
}
API int cublasSetAtomicsMode(void* handle, int mode) {
    if (!handle) return NOT_INITIALIZED;
    return mode == 0 || mode == 1 ? SUCCESS : INVALID_VALUE;
}

API const char* cublasGetStatusName(int status) {
    switch (status) {
        case SUCCESS: return "CUBLAS_STATUS_SUCCESS";
        case NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
        case INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
        case EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
        case INTERNAL_ERROR: return "CUBLAS_STATUS_INTERNAL_ERROR";
        case NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
        default: return "unknown";
    }
}
API const char* cublasGetStatusString(int status) { return cublasGetStatusName(status); }

// ---- the calls, for float (S) and double (D) ------------------------------------------------------------

static bool tf32(void* handle) { return handle && (of(handle)->math & 15) == TF32_MATH; }

#define FOR_TYPE(X, T)                                                                                                                 \
    API int cublas##X##gemm_v2(void* h, int opa, int opb, int m, int n, int k, const T* alpha, const T* a, int lda, const T* b, int ldb, \
                               const T* beta, T* c, int ldc) {                                                                         \
        return gemm<T>(h, "cublas" #X "gemm", opa, opb, m, n, k, alpha, a, lda, 0, b, ldb, 0, beta, c, ldc, 0, 1, tf32(h));             \
    }                                                                                                                                  \
    API int cublas##X##gemmStridedBatched(void* h, int opa, int opb, int m, int n, int k, const T* alpha, const T* a, int lda,          \
                                          long long sa, const T* b, int ldb, long long sb, const T* beta, T* c, int ldc, long long sc,  \
                                          int batch) {                                                                                 \
        return gemm<T>(h, "cublas" #X "gemmStridedBatched", opa, opb, m, n, k, alpha, a, lda, sa, b, ldb, sb, beta, c, ldc, sc, batch,  \
                       tf32(h));                                                                                                       \
    }                                                                                                                                  \
    API int cublas##X##gemv_v2(void* h, int op, int m, int n, const T* alpha, const T* a, int lda, const T* x, int incx, const T* beta, \
                               T* y, int incy) {                                                                                       \
        return gemv<T>(h, "cublas" #X "gemv", op, m, n, alpha, a, lda, 0, x, incx, 0, beta, y, incy, 0, 1);                             \
    }                                                                                                                                  \
    API int cublas##X##gemvStridedBatched(void* h, int op, int m, int n, const T* alpha, const T* a, int lda, long long sa, const T* x, \
                                          int incx, long long sx, const T* beta, T* y, int incy, long long sy, int batch) {            \
        return gemv<T>(h, "cublas" #X "gemvStridedBatched", op, m, n, alpha, a, lda, sa, x, incx, sx, beta, y, incy, sy, batch);        \
    }                                                                                                                                  \
    API int cublas##X##dot_v2(void* h, int n, const T* x, int incx, const T* y, int incy, T* result) {                                  \
        return dot<T>(h, "cublas" #X "dot", n, x, incx, y, incy, result);                                                              \
    }                                                                                                                                  \
    API int cublas##X##geam(void* h, int opa, int opb, int m, int n, const T* alpha, const T* a, int lda, const T* beta, const T* b,    \
                            int ldb, T* c, int ldc) {                                                                                  \
        return geam<T>(h, "cublas" #X "geam", opa, opb, m, n, alpha, a, lda, beta, b, ldb, c, ldc);                                     \
    }                                                                                                                                  \
    API int cublas##X##trsm_v2(void* h, int side, int uplo, int op, int diag, int m, int n, const T* alpha, const T* a, int lda, T* b,  \
                               int ldb) {                                                                                              \
        return trsm<T>(h, "cublas" #X "trsm", side, uplo, op, diag, m, n, alpha, a, lda, b, ldb);                                       \
    }                                                                                                                                  \
    API int cublas##X##trsmBatched(void* h, int side, int uplo, int op, int diag, int m, int n, const T* alpha, const T* const* a,      \
                                   int lda, T* const* b, int ldb, int batch) {                                                         \
        return trsm_batched<T>(h, "cublas" #X "trsmBatched", side, uplo, op, diag, m, n, alpha, a, lda, b, ldb, batch);                 \
    }                                                                                                                                  \
    API int cublas##X##getrfBatched(void* h, int n, T* const* a, int lda, int* pivots, int* info, int batch) {                          \
        return getrf_batched<T>(h, "cublas" #X "getrfBatched", n, a, lda, pivots, info, batch);                                         \
    }                                                                                                                                  \
    API int cublas##X##getrsBatched(void* h, int op, int n, int columns, const T* const* a, int lda, const int* pivots, T* const* b,    \
                                    int ldb, int* info, int batch) {                                                                   \
        return getrs_batched<T>(h, "cublas" #X "getrsBatched", op, n, columns, a, lda, pivots, b, ldb, info, batch);                    \
    }
FOR_TYPE(S, float)
FOR_TYPE(D, double)

API int cublasGemmStridedBatchedEx(void* h, int opa, int opb, int m, int n, int k, const void* alpha, const void* a, int type_a, int lda,
                                   long long sa, const void* b, int type_b, int ldb, long long sb, const void* beta, void* c, int type_c,
                                   int ldc, long long sc, int batch, int compute, int) {
    constexpr int F32 = 68, F32_PEDANTIC = 69, F32_TF32 = 77, F64 = 70, F64_PEDANTIC = 71;
    auto run = [&](auto one, bool reduced) {
        using T = decltype(one);
        auto p = [](const void* v) { return static_cast<const T*>(v); };
        return gemm<T>(h, "cublasGemmEx", opa, opb, m, n, k, p(alpha), p(a), lda, sa, p(b), ldb, sb, p(beta), static_cast<T*>(c), ldc, sc,
                       batch, reduced);
    };
    if (type_a != type_b || type_b != type_c) return NOT_SUPPORTED;
    if (type_c == R_32F && (compute == F32 || compute == F32_PEDANTIC || compute == F32_TF32))
        return run(0.0f, compute == F32_TF32 || (compute == F32 && tf32(h)));
    if (type_c == R_64F && (compute == F64 || compute == F64_PEDANTIC)) return run(0.0, false);
    return NOT_SUPPORTED;
}

API int cublasGemmEx(void* h, int opa, int opb, int m, int n, int k, const void* alpha, const void* a, int type_a, int lda, const void* b,
                     int type_b, int ldb, const void* beta, void* c, int type_c, int ldc, int compute, int algorithm) {
    return cublasGemmStridedBatchedEx(h, opa, opb, m, n, k, alpha, a, type_a, lda, 0, b, type_b, ldb, 0, beta, c, type_c, ldc, 0, 1, compute,
                                      algorithm);
}
// ---- the same with sizes of 64 bits ---------------------------------------------------------------------

typedef int64_t i64;
#define FOR_TYPE_64(X, T)                                                                                 \
    API int cublas##X##gemv_v2_64(void* h, int op, i64 m, i64 n, const T* alpha, const T* a, i64 lda,     \
                                  const T* x, i64 incx, const T* beta, T* y, i64 incy) {                  \
        return gemv<T>(h, "cublas" #X "gemv", op, m, n, alpha, a, lda, 0, x, incx, 0, beta, y, incy, 0,   \
                       1);                                                                                \
    }                                                                                                     \
    API int cublas##X##trsm_v2_64(void* h, int side, int uplo, int op, int diag, i64 m, i64 n,            \
                                  const T* alpha, const T* a, i64 lda, T* b, i64 ldb) {                   \
        return trsm<T>(h, "cublas" #X "trsm", side, uplo, op, diag, m, n, alpha, a, lda, b, ldb);         \
    }                                                                                                     \
    API int cublas##X##trsmBatched_64(void* h, int side, int uplo, int op, int diag, i64 m, i64 n,        \
                                      const T* alpha, const T* const* a, i64 lda, T* const* b, i64 ldb,   \
                                      i64 batch) {                                                        \
        return trsm_batched<T>(h, "cublas" #X "trsmBatched", side, uplo, op, diag, m, n, alpha, a, lda,   \
                               b, ldb, batch);                                                            \
    }
FOR_TYPE_64(S, float)
FOR_TYPE_64(D, double)

API int cublasGemmStridedBatchedEx_64(void* h, int opa, int opb, i64 m, i64 n, i64 k, const void* alpha,
                                      const void* a, int type_a, i64 lda, long long sa, const void* b,
                                      int type_b, i64 ldb, long long sb, const void* beta, void* c,
                                      int type_c, i64 ldc, long long sc, i64 batch, int compute,
                                      int algorithm) {
    return cublasGemmStridedBatchedEx(h, opa, opb, int(m), int(n), int(k), alpha, a, type_a, int(lda), sa, b,
                                      type_b, int(ldb), sb, beta, c, type_c, int(ldc), sc, int(batch),
                                      compute, algorithm);
}
