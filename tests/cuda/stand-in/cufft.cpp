// The stand-in cuFFT: transforms along one dimension by their definition, with the argument checks of the real one. Workspaces are
// demanded and scribbled over, and so is what a transform to real numbers reads.
#include <cmath>
#include <complex>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <map>
#include <mutex>
#include <vector>

#include "library.h"

using sim::all_on_device;

namespace {

enum Status {
    SUCCESS = 0,
    INVALID_PLAN = 1,
    INVALID_TYPE = 3,
    INVALID_VALUE = 4,
    INTERNAL_ERROR = 5,
    EXEC_FAILED = 6,
    SETUP_FAILED = 7,
    INVALID_SIZE = 8,
    UNALIGNED_DATA = 9,
    NO_WORKSPACE = 13,
    NOT_IMPLEMENTED = 14
};
enum Type { C2C = 0x29, R2C = 0x2a, C2R = 0x2c, Z2Z = 0x69, D2Z = 0x6a, Z2D = 0x6c };

struct Plan {
    void* stream = nullptr;
    void* work = nullptr;
    bool allocates = true;
    bool made = false;
    int type = 0;
    int64_t n = 0, count = 0;
    size_t work_bytes() const { return allocates ? 0 : size_t(n * count + 16) * 8; }
};

std::mutex lock;
std::map<int, Plan> plans;
int next_plan = 1;

// A copy of the plan, so that the work needs no lock.
bool find(int handle, Plan* out) {
    std::lock_guard<std::mutex> guard(lock);
    auto it = plans.find(handle);
    if (it == plans.end()) return false;
    *out = it->second;
    return true;
}

template <class Change> int change(int handle, Change f) {
    std::lock_guard<std::mutex> guard(lock);
    auto it = plans.find(handle);
    return it == plans.end() ? int(INVALID_PLAN) : f(it->second);
}

using Number = std::complex<double>;

// e^(sign 2 pi i k / n) for all k.
std::vector<Number> roots(int64_t n, int sign) {
    std::vector<Number> w(static_cast<size_t>(n));
    for (int64_t k = 0; k < n; k++) w[size_t(k)] = std::polar(1.0, sign * 2 * M_PI * double(k) / double(n));
    return w;
}

// The first `outputs` sums over t of x_t w^(k t).
std::vector<Number> sums(const std::vector<Number>& x, const std::vector<Number>& w, int64_t outputs) {
    size_t n = x.size();
    std::vector<Number> y;
    for (size_t k = 0; k < size_t(outputs); k++) {
        Number sum = 0;
        for (size_t t = 0; t < n; t++) sum += x[t] * w[k * t % n];
        y.push_back(sum);
    }
    return y;
}

// A plan's memory is checked, and the work is put on its stream.
template <class In, class Out, class Line>
int run(const char* name, int type, In* from, Out* to, int64_t in, int64_t out, size_t pair, const Plan& plan, Line line) {
    if (!plan.made || plan.type != type) return plan.made ? int(INVALID_TYPE) : int(INVALID_PLAN);
    if (!from || !to) return INVALID_VALUE;
    // Real numbers are read and written in pairs as well.
    if (reinterpret_cast<uintptr_t>(from) % pair || reinterpret_cast<uintptr_t>(to) % pair) return UNALIGNED_DATA;
    size_t bytes = plan.work_bytes();
    if (bytes && !plan.work) return NO_WORKSPACE;
    if (!all_on_device(name, {{from, in * plan.count, sizeof(In)}, {to, out * plan.count, sizeof(Out)}, {plan.work, int64_t(bytes), 1}}))
        return EXEC_FAILED;
    void* work = plan.work;
    int64_t count = plan.count;
    std::function<void()> f = [=] {
        if (bytes) memset(work, 0x5A, bytes);
        for (int64_t i = 0; i < count; i++) line(from + i * in, to + i * out);
    };
    int e = sim_submit(plan.stream, name, &f);
    return e == 0 ? SUCCESS : e >= 900 ? INTERNAL_ERROR : EXEC_FAILED;
}

template <class T> int complex_lines(int handle, const char* name, int type, std::complex<T>* from, std::complex<T>* to, int direction) {
    Plan plan;
    if (!find(handle, &plan)) return INVALID_PLAN;
    if (direction != 1 && direction != -1) return INVALID_VALUE;
    int64_t n = plan.n;
    return run(name, type, from, to, n, n, 2 * sizeof(T), plan, [=](std::complex<T>* x, std::complex<T>* y) {
        auto out = sums(std::vector<Number>(x, x + n), roots(n, direction), n);
        for (int64_t k = 0; k < n; k++) y[k] = std::complex<T>(out[size_t(k)]);
    });
}

template <class T> int from_real(int handle, const char* name, int type, T* from, std::complex<T>* to) {
    Plan plan;
    if (!find(handle, &plan)) return INVALID_PLAN;
    int64_t n = plan.n, half = n / 2 + 1;
    return run(name, type, from, to, n, half, 2 * sizeof(T), plan, [=](T* x, std::complex<T>* y) {
        auto out = sums(std::vector<Number>(x, x + n), roots(n, -1), half);
        for (int64_t k = 0; k < half; k++) y[k] = std::complex<T>(out[size_t(k)]);
    });
}

template <class T> int to_real(int handle, const char* name, int type, std::complex<T>* from, T* to) {
    Plan plan;
    if (!find(handle, &plan)) return INVALID_PLAN;
    int64_t n = plan.n, half = n / 2 + 1;
    return run(name, type, from, to, half, n, 2 * sizeof(T), plan, [=](std::complex<T>* x, T* y) {
        std::vector<Number> whole(static_cast<size_t>(n));
        for (int64_t k = 0; k < half; k++) {
            whole[size_t(k)] = Number(x[k]);
            if (k) whole[size_t(n - k)] = std::conj(Number(x[k]));
        }
        bool real = x[0].imag() == 0 && (n % 2 || x[half - 1].imag() == 0);
        auto out = sums(whole, roots(n, 1), n);
        for (int64_t t = 0; t < n; t++) y[t] = real ? T(out[size_t(t)].real()) : std::numeric_limits<T>::quiet_NaN();
        if (static_cast<void*>(y) != x) memset(static_cast<void*>(x), 0x5A, size_t(half) * sizeof(*x));
    });
}

}  // namespace

API int cufftCreate(int* handle) {
    if (!handle) return INVALID_VALUE;
    if (sim_context_status()) return SETUP_FAILED;
    std::lock_guard<std::mutex> guard(lock);
    plans[*handle = next_plan++];
    return SUCCESS;
}

API int cufftDestroy(int handle) {
    std::lock_guard<std::mutex> guard(lock);
    return plans.erase(handle) ? SUCCESS : INVALID_PLAN;
}

API int cufftSetAutoAllocation(int handle, int automatic) {
    return change(handle, [=](Plan& plan) {
        // Once it is made, the memory is taken.
        if (plan.made) return int(INVALID_PLAN);
        plan.allocates = automatic != 0;
        return int(SUCCESS);
    });
}

API int cufftMakePlanMany64(int handle, int rank, long long* n, long long* inembed, long long, long long, long long* onembed, long long,
                            long long, int type, long long batch, size_t* work) {
    return change(handle, [=](Plan& plan) {
        if (plan.made) return int(INVALID_PLAN);
        if (!n || !work) return int(INVALID_VALUE);
        if (rank != 1 || inembed || onembed) return int(NOT_IMPLEMENTED);
        if (*n < 1 || batch < 1) return int(INVALID_SIZE);
        for (int known : {C2C, R2C, C2R, Z2Z, D2Z, Z2D})
            if (type == known) {
                plan.type = type, plan.n = *n, plan.count = batch, plan.made = true;
                *work = plan.work_bytes();
                return int(SUCCESS);
            }
        return int(INVALID_TYPE);
    });
}

API int cufftSetStream(int handle, void* stream) {
    return change(handle, [=](Plan& plan) {
        plan.stream = stream;
        return int(SUCCESS);
    });
}

API int cufftSetWorkArea(int handle, void* work) {
    return change(handle, [=](Plan& plan) {
        if (!plan.made) return int(INVALID_PLAN);
        plan.work = work;
        return int(SUCCESS);
    });
}

API int cufftExecC2C(int plan, std::complex<float>* in, std::complex<float>* out, int direction) {
    return complex_lines(plan, "cufftExecC2C", C2C, in, out, direction);
}
API int cufftExecZ2Z(int plan, std::complex<double>* in, std::complex<double>* out, int direction) {
    return complex_lines(plan, "cufftExecZ2Z", Z2Z, in, out, direction);
}
API int cufftExecR2C(int plan, float* in, std::complex<float>* out) { return from_real(plan, "cufftExecR2C", R2C, in, out); }
API int cufftExecD2Z(int plan, double* in, std::complex<double>* out) { return from_real(plan, "cufftExecD2Z", D2Z, in, out); }
API int cufftExecC2R(int plan, std::complex<float>* in, float* out) { return to_real(plan, "cufftExecC2R", C2R, in, out); }
API int cufftExecZ2D(int plan, std::complex<double>* in, double* out) { return to_real(plan, "cufftExecZ2D", Z2D, in, out); }
