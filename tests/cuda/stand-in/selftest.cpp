// Proves the README's claims about the stand-in libraries: selftest OUTDIR, after build.sh.
#include <dlfcn.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

using std::string;
using std::vector;

static int failures;

#define CHECK(condition)                                                          \
    do {                                                                          \
        if (!(condition)) {                                                       \
            printf("  FAILED at line %d: %s\n", __LINE__, #condition);            \
            failures++;                                                           \
        }                                                                         \
    } while (0)

static string folder;

static void* library(const char* name) {
    void* l = dlopen((folder + "/" + name).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!l) {
        printf("%s\n", dlerror());
        exit(1);
    }
    return l;
}

// A call by name: call<int>(lib, "cuInit", 0u).
template <class R, class... A> R call(void* lib, const char* name, A... a) {
    void* f = dlsym(lib, name);
    if (!f) {
        printf("missing %s\n", name);
        exit(1);
    }
    return reinterpret_cast<R (*)(A...)>(f)(a...);
}

static void *cuda, *nvrtc, *cublas, *cufft, *cusolver;
static void* stream;

template <class... A> int cu(const char* name, A... a) { return call<int>(cuda, name, a...); }

// ---- helpers ----------------------------------------------------------------------------------------

static int compile(const string& source, vector<char>* image, string* log, vector<const char*> options = {}) {
    void* program;
    call<int>(nvrtc, "nvrtcCreateProgram", &program, source.c_str(), "test.cu", 0, (char**)nullptr, (char**)nullptr);
    int result = call<int>(nvrtc, "nvrtcCompileProgram", program, int(options.size()), options.data());
    size_t n;
    call<int>(nvrtc, "nvrtcGetProgramLogSize", program, &n);
    log->resize(n);
    call<int>(nvrtc, "nvrtcGetProgramLog", program, &(*log)[0]);
    if (result == 0) {
        call<int>(nvrtc, "nvrtcGetCUBINSize", program, &n);
        image->resize(n);
        call<int>(nvrtc, "nvrtcGetCUBIN", program, image->data());
    }
    call<int>(nvrtc, "nvrtcDestroyProgram", &program);
    return result;
}

static void* load(const string& source) {
    vector<char> image;
    string log;
    void* module = nullptr;
    if (compile(source, &image, &log) || cu("cuModuleLoadData", &module, image.data())) {
        printf("  compilation failed:\n%s\n", log.c_str());
        exit(1);
    }
    return module;
}

static void* function(void* module, const char* name) {
    void* f = nullptr;
    CHECK(cu("cuModuleGetFunction", &f, module, name) == 0);
    return f;
}

template <class Args> int launch(void* f, unsigned blocks, unsigned threads, Args args, unsigned shared = 0, void* on = stream) {
    void* params[] = {&args};
    return cu("cuLaunchKernel", f, blocks, 1u, 1u, threads, 1u, 1u, shared, on, (void**)params, (void**)nullptr);
}

template <class T> T* device(size_t n) {
    void* p = nullptr;
    CHECK(cu("cuMemAllocAsync", &p, n * sizeof(T), stream) == 0);
    return static_cast<T*>(p);
}
template <class T> T* device(const vector<T>& v) {
    T* p = device<T>(v.size());
    CHECK(cu("cuMemcpyHtoDAsync_v2", (void*)p, (const void*)v.data(), v.size() * sizeof(T), stream) == 0);
    return p;
}
template <class T> vector<T> host(const T* p, size_t n) {
    vector<T> v(n);
    CHECK(cu("cuMemcpyDtoHAsync_v2", (void*)v.data(), (const void*)p, n * sizeof(T), stream) == 0);
    return v;
}
static int drop(void* p) { return cu("cuMemFreeAsync", p, stream); }

// Runs `body` in a child process: its exit code, and what it printed to stderr.
static int in_child(const std::function<int()>& body, string* text) {
    int ends[2];
    if (pipe(ends)) exit(1);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        close(ends[0]);
        _exit(body());
    }
    close(ends[1]);
    char buffer[512];
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) text->append(buffer, size_t(n));
    close(ends[0]);
    int status;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void expect_end(const char* what, int code, const char* words, const std::function<int()>& body) {
    string text;
    int got = in_child(body, &text);
    bool ok = got == code && text.find(words) != string::npos;
    printf("  %s: %s  %s", what, ok ? "ok" : "FAILED", text.empty() ? "(no message)\n" : text.c_str());
    if (!ok) {
        printf("  expected exit code %d and \"%s\", got %d\n", code, words, got);
        failures++;
    }
}

// The best of several rounds: other work on the machine only ever adds to a round.
static double microseconds(int rounds, int repeat, const std::function<void()>& body) {
    double best = 1e30;
    for (int round = 0; round < rounds; round++) {
        auto start = std::chrono::steady_clock::now();
        for (int i = 0; i < repeat; i++) body();
        best = std::min(best, std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / repeat);
    }
    return best;
}

// ---- kernels ----------------------------------------------------------------------------------------

static const char* SOURCE = R"(
#ifndef TAPEGRAD_STAND_IN
#error the stand-in must say what it is
#endif
struct Vec { float* x; float* y; long long n; };

KERNEL(scale, Vec, 1024) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i < a.n) a.y[i] = 2 * a.x[i];
}
KERNEL(bounded, Vec, 128) { a.y[threadIdx.x] = a.x[threadIdx.x]; }
KERNEL(overrun, Vec, 1024) { if (threadIdx.x <= a.n) a.y[threadIdx.x] = 1; }
KERNEL(overrun_small, Vec, 1024) { reinterpret_cast<char*>(a.y)[a.n] = 1; }
KERNEL(vector_load, Vec, 1024) {
    float4 v = *reinterpret_cast<const float4*>(a.x);
    a.y[0] = v.x + v.w;
}
KERNEL(vector_store, Vec, 1024) { *reinterpret_cast<float4*>(a.y) = make_float4(1, 2, 3, 4); }
KERNEL(outside, Vec, 1024) {
    __shared__ float s[32];
    s[a.n] = 1;
    a.y[0] = s[a.n];
}
KERNEL(divide, Vec, 1024) { a.y[0] = float(7 / (a.n - 5)); }
KERNEL(recurse, Vec, 1024) {
    struct Deep { static float f(float* p, long long n) { float big[256]; big[n % 256] = *p; return n ? f(big, n - 1) + big[7] : big[0]; } };
    a.y[0] = Deep::f(a.x, a.n);
}

// Sum of a block by shared memory and by shuffles; both must agree.
template <class T> __device__ T warp_sum(T v) {
    for (int k = 16; k; k /= 2) v += __shfl_down_sync(0xffffffffu, v, k);
    return v;
}
KERNEL(block_sum, Vec, 1024) {
    DYNAMIC_SHARED(float, s);
    __shared__ double warps[32];
    unsigned t = threadIdx.x;
    float v = t < a.n ? a.x[blockIdx.x * a.n + t] : 0;
    s[t] = v;
    double w = warp_sum(double(v));
    if (t % 32 == 0) warps[t / 32] = w;
    __syncthreads();
    for (unsigned k = 512; k; k /= 2) {
        if (t < k && t + k < blockDim.x) s[t] += s[t + k];
        __syncthreads();
    }
    if (t == 0) {
        double sum = 0;
        for (unsigned i = 0; i < (blockDim.x + 31) / 32; i++) sum += warps[i];
        a.y[2 * blockIdx.x] = s[0];
        a.y[2 * blockIdx.x + 1] = float(sum);
    }
}
KERNEL(missing_barrier, Vec, 1024) {
    __shared__ float s[1024];
    unsigned t = threadIdx.x;
    s[t] = a.x[t];
    // __syncthreads() is missing
    a.y[t] = s[(t + blockDim.x - 1) % blockDim.x];  // the neighbour below: right in ascending order
}
KERNEL(divergent, Vec, 1024) {
    if (threadIdx.x % 2) __syncthreads();
    a.y[threadIdx.x] = 1;
    __syncthreads();
}
KERNEL(deadlock, Vec, 1024) {
    if (threadIdx.x == 3) __syncthreads();
    else __syncwarp();
}
KERNEL(trap, Vec, 1024) { if (threadIdx.x == 5) __trap(); }
KERNEL(early_return, Vec, 1024) {
    if (threadIdx.x >= a.n) return;
    __syncthreads();
    a.y[threadIdx.x] = __shfl_sync(0xffffffffu, a.x[threadIdx.x], 0);
    __syncthreads();
}

struct Words { unsigned* out; };
template <class T> __device__ T stale() {
    __shared__ T s[8];
    T old = s[3];
    s[3] = 0;
    return old;
}
KERNEL(poison, Words, 32) {
    __shared__ unsigned s[4];
    DYNAMIC_SHARED(unsigned, d);
    unsigned *o = a.out + blockIdx.x * 4, lane_25 = __shfl_sync(0xffffffffu, threadIdx.x, 25);
    if (threadIdx.x) return;
    o[0] = s[1], o[1] = d[0], o[2] = stale<unsigned>(), o[3] = lane_25;
    s[1] = d[0] = 0;
}
KERNEL(divergent_warp, Words, 32) {
    unsigned v;
    if (threadIdx.x < 16) v = __shfl_sync(0xffffffffu, 1u, 0);
    else v = __shfl_sync(0xffffffffu, 2u, 0);
    a.out[threadIdx.x] = v;
}
KERNEL(words, Words, 64) {
    unsigned t = threadIdx.x, lane = t % 32, full = 0xffffffffu, *o = a.out + t * 16;
    o[0] = __shfl_sync(full, t, 3);
    o[1] = __shfl_up_sync(full, t, 1);
    o[2] = __shfl_down_sync(full, t, 2, 8);
    o[3] = __shfl_xor_sync(full, t, 5);
    o[4] = __ballot_sync(full, lane % 3 == 0);
    o[5] = unsigned(__any_sync(full, lane == 31)) + 2 * unsigned(__all_sync(full, lane < 31)) + 4 * unsigned(__all_sync(full, 1));
    unsigned half = lane < 16 ? 0xffffu : 0xffff0000u;
    o[6] = __shfl_xor_sync(half, t, 1);
    o[7] = unsigned(__syncthreads_count(t < 5));
    o[8] = unsigned(__double2(double(__shfl_sync(full, double(t) / 4, 9)) * 4));
    o[9] = unsigned(__shfl_sync(full, (unsigned long long)t << 40, 2) >> 40);
    o[10] = atomicAdd(a.out + 64 * 16, 1u);
    o[11] = __umulhi(0x80000000u, 6u) + unsigned(__clz(1)) + unsigned(__ffs(8)) + unsigned(__popc(255u));
    o[12] = unsigned(__umul64hi(1ull << 63, 10ull)) + unsigned(__float_as_int(1.0f));
    o[13] = unsigned(warp_min(int(lane) + 7));
    o[14] = unsigned(2147483647 + int(lane)) ;
    o[15] = unsigned(min(3, 5) + max(2.0f, 4.0f) + sizeof(exp(1.0f)) + sizeof(fmin(1.0f, 2.0f)) + fma(2.0f, 3.0f, 4.0f) + rsqrt(0.25));
}
)";

static string source() {
    string s = SOURCE;
    // Helpers of `words`, ahead of it.
    string helpers = "__device__ __forceinline__ double __double2(double v) { return v; }\n"
                     "template <class T> __device__ T warp_min(T v) { for (int k = 16; k; k /= 2) v = min(v, __shfl_xor_sync(0xffffffffu, v, k)); return v; }\n";
    return s.insert(s.find("struct Words"), helpers);
}

struct Vec {
    float *x, *y;
    long long n;
};

static void* module;

// ---- the tests --------------------------------------------------------------------------------------

static void test_compiler() {
    printf("NVRTC\n");
    vector<char> image;
    string log;
    CHECK(compile("struct A { int n; };\nKERNEL(k, A, 1) {\n  undefined_name = a.n;\n}\n", &image, &log) == 6);
    CHECK(log.find("test.cu:3") != string::npos && log.find("undefined_name") != string::npos);
    CHECK(compile("struct A { double* p; }; KERNEL(k, A, 1) { a.p[0] = INFINITY; }", &image, &log) == 6);
    CHECK(compile("double f(double); struct A { double* p; }; KERNEL(k, A, 1) { *a.p = f(*a.p); }", &image, &log) == 6);
    CHECK(compile("struct A { int* p; }; KERNEL(k, A, 1) { a.p[0] = N + M; }", &image, &log,
                  {"--gpu-architecture=sm_90", "-DN=3", "-D", "M=4", "--use_fast_math"}) == 0);
    // Two threads at once, and the image in two modules at once.
    vector<std::thread> threads;
    vector<int> results(2);
    for (int i = 0; i < 2; i++)
        threads.emplace_back([&results, i] {
            vector<char> other;
            string text;
            results[size_t(i)] = compile("struct A { int* p; }; KERNEL(k, A, 1) { *a.p = 1; }", &other, &text);
        });
    for (auto& t : threads) t.join();
    CHECK(results[0] == 0 && results[1] == 0);
    void *first, *second, *f;
    CHECK(cu("cuModuleLoadData", &first, image.data()) == 0 && cu("cuModuleLoadData", &second, image.data()) == 0);
    CHECK(cu("cuModuleUnload", first) == 0 && cu("cuModuleUnload", first) == 400);
    int* out = device<int>(1);
    CHECK(launch(f = function(second, "k"), 1, 1, out) == 0 && host(out, 1)[0] == 7);
    CHECK(cu("cuModuleGetFunction", &f, second, "memcpy") == 500);
    CHECK(cu("cuModuleUnload", second) == 0 && launch(f, 1, 1, out) == 400);
    // Damaged and foreign images are refused.
    image[image.size() / 2] ^= 1;
    CHECK(cu("cuModuleLoadData", &first, image.data()) == 200);
    image[9] = 0;
    CHECK(cu("cuModuleLoadData", &first, image.data()) == 209);
    image[0] = 0;
    CHECK(cu("cuModuleLoadData", &first, image.data()) == 200);
    drop(out);
}

static void test_kernels() {
    printf("kernels\n");
    for (int seed = -1; seed < 3; seed++) {
        call<void>(cuda, "sim_set_seed", long(seed));
        const int n = 1000;
        vector<float> x(n);
        for (int i = 0; i < n; i++) x[size_t(i)] = float(i % 17);
        float *dx = device(x), *dy = device<float>(n);
        CHECK(launch(function(module, "scale"), 4, 256, Vec{dx, dy, n}) == 0);
        auto y = host(dy, n);
        for (int i = 0; i < n; i++) CHECK(y[size_t(i)] == 2 * x[size_t(i)]);
        for (unsigned threads : {1u, 20u, 32u, 50u, 256u, 1000u}) {
            CHECK(launch(function(module, "block_sum"), 1, threads, Vec{dx, dy, (long long)threads}, threads * 4) == 0);
            float sum = 0;
            for (unsigned i = 0; i < threads; i++) sum += x[i];
            auto got = host(dy, 2);
            CHECK(got[0] == sum && got[1] == sum);
        }
        CHECK(launch(function(module, "early_return"), 2, 64, Vec{dx, dy, 40}) == 0);
        CHECK(host(dy, 40)[33] == x[32]);
        unsigned* o = device(vector<unsigned>(64 * 16 + 1));
        CHECK(launch(function(module, "words"), 1, 64, o) == 0);
        auto w = host(o, 64 * 16 + 1);
        for (unsigned t = 0; t < 64; t++) {
            unsigned l = t % 32, base = t - l, *r = &w[t * 16];
            CHECK(r[0] == base + 3 && r[1] == (l ? t - 1 : t) && r[2] == (l % 8 < 6 ? t + 2 : t) && r[3] == (t ^ 5));
            CHECK(r[4] == 0x49249249u && r[5] == 5 && r[6] == (t ^ 1) && r[7] == 5 && r[8] == base + 9 && r[9] == base + 2);
            CHECK(r[11] == 3 + 31 + 4 + 8 && r[12] == 5 + 0x3f800000u && r[13] == 7 && r[14] == 2147483647u + l && r[15] == 3 + 4 + 4 + 4 + 10 + 2);
        }
        CHECK(w[64 * 16] == 64);
        CHECK(launch(function(module, "poison"), 2, 20, o, 16) == 0);
        CHECK(host(o, 8) == vector<unsigned>(8, 0xA5A5A5A5u));
        drop(dx), drop(dy), drop(o);
    }
    call<void>(cuda, "sim_set_seed", -1L);
}

static void test_refusals() {
    printf("refusals\n");
    float* y = device<float>(256);
    void* f = function(module, "scale");
    Vec v{y, y, 0};
    CHECK(launch(f, 1, 1025, v) == 1 && launch(f, 0, 1, v) == 1 && launch(f, 1, 1, v, 49153) == 1);
    CHECK(launch(function(module, "bounded"), 1, 129, v) == 1);
    CHECK(cu("cuFuncSetAttribute", f, 8, 232449) == 1 && cu("cuFuncSetAttribute", f, 8, 100000) == 0);
    CHECK(launch(f, 1, 1, v, 100000) == 0 && launch(f, 1, 1, v, 100001) == 1);
    void *p, *none;
    CHECK(cu("cuMemAllocAsync", &p, size_t(2) << 40, stream) == 2);
    CHECK(cu("cuModuleGetFunction", &none, module, "nope") == 500);
    char here[16];
    CHECK(cu("cuMemcpyHtoDAsync_v2", (void*)here, (const void*)here, size_t(4), stream) == 1);
    CHECK(cu("cuMemcpyDtoHAsync_v2", (void*)here, (const void*)(y + 255), size_t(8), stream) == 1);
    CHECK(cu("cuMemsetD32Async", (void*)(y + 250), 7u, size_t(7), stream) == 1);
    CHECK(cu("cuMemsetD32Async", (void*)(y + 250), 7u, size_t(6), stream) == 0);
    CHECK(drop(y + 1) == 1 && drop(here) == 1);
    // Without a context, nothing but the context calls work.
    std::thread([y] {
        CHECK(drop(y) == 201);
        void* q;
        CHECK(cu("cuMemAllocAsync", &q, size_t(4), stream) == 201);
    }).join();
    CHECK(drop(y) == 0 && drop(y) == 1);
    int value;
    CHECK(cu("cuFuncGetAttribute", &value, 0, function(module, "bounded")) == 0 && value == 128);
    CHECK(cu("cuOccupancyMaxActiveBlocksPerMultiprocessor", &value, f, 256, size_t(0)) == 0 && value == 8);
}

static void test_memory() {
    printf("memory\n");
    CHECK(call<size_t>(cuda, "sim_live_allocations") == 0);
    float* p = device<float>(100);
    CHECK(call<size_t>(cuda, "sim_live_bytes") == 400);
    unsigned first;
    memcpy(&first, &host(p, 100)[0], 4);
    CHECK(first == 0xA5A5A5A5u);
    drop(p);
    call<void>(cuda, "sim_set_memory_limit", size_t(1000));
    void *a, *b;
    CHECK(cu("cuMemAllocAsync", &a, size_t(600), stream) == 0 && cu("cuMemAllocAsync", &b, size_t(600), stream) == 2);
    CHECK(cu("cuMemAlloc_v2", &b, size_t(400)) == 0 && drop(a) == 0 && cu("cuMemFree_v2", b) == 0);
    call<void>(cuda, "sim_set_memory_limit", size_t(8) << 30);
    void* pool;
    uint64_t value = UINT64_MAX;
    CHECK(cu("cuDeviceGetDefaultMemPool", &pool, 0) == 0 && cu("cuMemPoolSetAttribute", pool, 4, (void*)&value) == 0);
    CHECK(cu("cuMemAllocAsync", &a, size_t(1) << 20, stream) == 0 && drop(a) == 0);
    cu("cuStreamSynchronize", stream);
    CHECK(cu("cuMemPoolGetAttribute", pool, 5, (void*)&value) == 0 && value >= size_t(1) << 20);
    CHECK(cu("cuMemPoolTrimTo", pool, size_t(0)) == 0 && cu("cuMemPoolGetAttribute", pool, 5, (void*)&value) == 0 && value == 0);
    vector<void*> many(20000);
    double each = microseconds(5, 1, [&] {
        for (auto& m : many) cu("cuMemAllocAsync", &m, size_t(1000), stream);
        for (auto& m : many) drop(m);
    }) / 20000;
    printf("  allocating and freeing 1000 bytes: %.1f us (20000 live)\n", each);
    each = microseconds(50, 100, [] { drop(device<float>(250)); });
    printf("  allocating and freeing 1000 bytes: %.1f us (one at a time)\n", each);
    each = microseconds(50, 5, [] { drop(device<float>(250000)); });
    printf("  allocating and freeing 1 MB: %.1f us\n", each);
    CHECK(call<size_t>(cuda, "sim_live_bytes") == 0);
}

static void test_capture() {
    printf("capture\n");
    float *x = device(vector<float>{1, 2, 3}), *y = device<float>(3);
    void* f = function(module, "scale");
    void *graph, *exec, *inner, *other;
    float back[3] = {0, 0, 0};
    CHECK(cu("cuStreamBeginCapture_v2", stream, 1) == 0);
    CHECK(launch(f, 1, 32, Vec{x, y, 3}) == 0);
    CHECK(cu("cuMemAllocAsync", &inner, size_t(12), stream) == 0);
    CHECK(cu("cuMemcpyDtoDAsync_v2", inner, (const void*)y, size_t(12), stream) == 0);
    CHECK(launch(f, 1, 32, Vec{static_cast<float*>(inner), y, 3}) == 0);
    CHECK(drop(inner) == 0 && drop(inner) == 1);
    CHECK(cu("cuMemcpyDtoHAsync_v2", (void*)back, (const void*)y, size_t(12), stream) == 0);
    int status;
    CHECK(cu("cuStreamIsCapturing", stream, &status) == 0 && status == 1);
    CHECK(cu("cuStreamEndCapture", stream, &graph) == 0 && back[0] == 0);
    size_t nodes = 0;
    CHECK(cu("cuGraphGetNodes", graph, (void**)nullptr, &nodes) == 0 && nodes == 4);
    CHECK(cu("cuGraphInstantiateWithFlags", &exec, graph, 0ull) == 0 && cu("cuGraphDestroy", graph) == 0);
    long before = call<long>(cuda, "sim_launches");
    CHECK(cu("cuGraphLaunch", exec, stream) == 0 && back[0] == 4 && back[2] == 12);
    vector<float> again{5, 5, 5};
    cu("cuMemcpyHtoDAsync_v2", (void*)x, (const void*)again.data(), size_t(12), stream);
    CHECK(cu("cuGraphLaunch", exec, stream) == 0 && back[0] == 20 && call<long>(cuda, "sim_launches") == before + 4);
    char names[100];
    call<size_t>(cuda, "sim_last_kernel_names", names, sizeof names);
    CHECK(strstr(names, "scale"));
    CHECK(call<size_t>(cuda, "sim_live_allocations") == 3);
    CHECK(cu("cuGraphExecDestroy", exec) == 0 && call<size_t>(cuda, "sim_live_allocations") == 2);
    // What may not be done while a stream is captured.
    for (int forbidden = 0; forbidden < 4; forbidden++) {
        void* p;
        CHECK(cu("cuStreamBeginCapture_v2", stream, 0) == 0);
        CHECK((forbidden == 0   ? cu("cuStreamSynchronize", stream)
               : forbidden == 1 ? cu("cuMemAlloc_v2", &p, size_t(4))
               : forbidden == 2 ? cu("cuCtxSynchronize")
                                : cu("cuStreamQuery", stream)) == 900);
        CHECK(launch(f, 1, 32, Vec{x, y, 3}) == 901 && cu("cuMemAllocAsync", &p, size_t(4), stream) == 901);
        CHECK(cu("cuStreamEndCapture", stream, &graph) == 901 && graph == nullptr);
    }
    CHECK(cu("cuStreamEndCapture", stream, &graph) == 401 && launch(f, 1, 32, Vec{x, y, 3}) == 0);
    // Another stream joins the capture through an event, and has to come back.
    void* event;
    CHECK(cu("cuStreamCreate", &other, 1u) == 0 && cu("cuEventCreate", &event, 2u) == 0);
    for (int joined = 0; joined < 2; joined++) {
        CHECK(cu("cuStreamBeginCapture_v2", stream, 0) == 0 && cu("cuEventRecord", event, stream) == 0);
        CHECK(cu("cuStreamWaitEvent", other, event, 0u) == 0 && launch(f, 1, 32, Vec{x, y, 3}, 0, other) == 0);
        CHECK(cu("cuEventRecord", event, other) == 0);
        if (joined) CHECK(cu("cuStreamWaitEvent", stream, event, 0u) == 0);
        CHECK(cu("cuStreamEndCapture", stream, &graph) == (joined ? 0 : 904));
    }
    CHECK(cu("cuGraphDestroy", graph) == 0 && cu("cuStreamDestroy_v2", other) == 0 && cu("cuEventDestroy_v2", event) == 0);
    drop(x), drop(y);
}

static void test_faults() {
    printf("faults\n");
    float *x = device(vector<float>(64, 1.0f)), *y = device<float>(64);
    auto run = [=](const char* name, unsigned threads, Vec v) { return launch(function(module, name), 1, threads, v); };
    expect_end("tail overrun", 70, "overrun, block (0,0,0), thread (64,0,0): illegal address", [=] { return run("overrun", 128, {x, y, 64}); });
    expect_end("overrun within the padding", 70, "just after an allocation of 250 bytes", [=] {
        char* p = device<char>(250);
        return run("overrun_small", 1, {x, reinterpret_cast<float*>(p), 250}) || drop(p);
    });
    expect_end("access before the start", 70, "just before an allocation", [=] {
        return run("overrun_small", 1, {x, y, -1}) || drop(y);
    });
    expect_end("use after free", 70, "in freed memory", [=] {
        drop(x);
        return run("scale", 32, {x, y, 32});
    });
    expect_end("misaligned vector load", 70, "sanitizer trap", [=] { return run("vector_load", 1, {x + 1, y, 0}); });
    expect_end("misaligned vector store", 70, "sanitizer trap", [=] { return run("vector_store", 1, {x, y + 2, 0}); });
    expect_end("index outside a shared array", 70, "sanitizer trap", [=] { return run("outside", 1, {x, y, 32}); });
    expect_end("dynamic shared overrun", 70, "beyond the dynamic shared memory", [=] { return launch(function(module, "block_sum"), 1, 64, Vec{x, y, 64}, 128); });
    expect_end("division by zero", 70, "division by zero", [=] { return run("divide", 1, {x, y, 5}); });
    expect_end("stack overflow", 70, "beyond the thread's stack", [=] { return run("recurse", 1, {x, y, 1000000}); });
    expect_end("divergent barrier", 0, "divergent __syncthreads", [=] {
        bool first = run("divergent", 64, {x, y, 0}) == 719;
        return !(first && run("scale", 32, {x, y, 32}) == 719 && cu("cuStreamSynchronize", stream) == 719 && drop(x) == 719);
    });
    expect_end("divergent warp", 0, "divergent warp", [=] {
        return launch(function(module, "divergent_warp"), 1, 32, y) != 719;
    });
    expect_end("deadlock", 0, "wait for ever", [=] { return run("deadlock", 32, {x, y, 0}) != 719; });
    expect_end("trap", 0, "thread 5 called __trap()", [=] { return run("trap", 32, {x, y, 0}) != 719; });
    // Outside kernels, a fault is the program's own.
    string text;
    CHECK(in_child([] { *reinterpret_cast<volatile int*>(8) = 1; return 0; }, &text) == -SIGSEGV && text.empty());
    // On another thread, whose signal stack the driver has to provide.
    expect_end("overrun on a second thread", 70, "overrun", [=] {
        void* context;
        cu("cuCtxGetCurrent", &context);
        std::thread([=] {
            cu("cuCtxSetCurrent", context);
            run("overrun", 128, {x, y, 64});
        }).join();
        return 0;
    });
    drop(x), drop(y);
}

static void test_missing_barrier() {
    printf("missing barrier\n");
    vector<float> v(256);
    for (int i = 0; i < 256; i++) v[size_t(i)] = float(i);
    float *x = device(v), *y = device<float>(256);
    int caught = 0;
    for (long seed = 0; seed < 10; seed++) {
        call<void>(cuda, "sim_set_seed", seed);
        launch(function(module, "missing_barrier"), 1, 256, Vec{x, y, 256});
        auto got = host(y, 256);
        for (size_t t = 1; t < 256; t++)
            if (got[t] != v[t - 1]) {
                caught++;
                break;
            }
    }
    call<void>(cuda, "sim_set_seed", -1L);
    printf("  wrong result with %d of 10 seeds\n", caught);
    CHECK(caught == 10);
    drop(x), drop(y);
}

static void test_threads() {
    printf("threads\n");
    void* context;
    cu("cuCtxGetCurrent", &context);
    vector<std::thread> threads;
    for (int k = 0; k < 4; k++)
        threads.emplace_back([context, k] {
            cu("cuCtxSetCurrent", context);
            void* mine;
            cu("cuStreamCreate", &mine, 1u);
            for (int i = 0; i < 200; i++) {
                float *x = device(vector<float>(100, float(k))), *y = device<float>(200);
                launch(function(module, "block_sum"), 1, 100, Vec{x, y, 100}, 400, mine);
                CHECK(host(y, 2)[1] == 100 * float(k));
                drop(x), drop(y);
            }
            cu("cuStreamDestroy_v2", mine);
        });
    for (auto& t : threads) t.join();
}

// ---- libraries ----------------------------------------------------------------------------------------

// A column-major matrix on the host, with values that depend on place and seed alone.
struct Mat {
    int rows, cols;
    vector<double> v;
    Mat(int rows, int cols, int seed = 0) : rows(rows), cols(cols), v(size_t(rows * cols)) {
        for (size_t i = 0; seed && i < v.size(); i++) v[i] = std::sin(double(i * 7 + i * i % 5) + seed * 3.7);
    }
    Mat(const double* p, int rows, int cols) : rows(rows), cols(cols), v(host(p, size_t(rows * cols))) {}
    double& operator()(int i, int j) { return v[size_t(i + j * rows)]; }
    double operator()(int i, int j) const { return v[size_t(i + j * rows)]; }
    Mat t() const {
        Mat r(cols, rows);
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < cols; j++) r(j, i) = (*this)(i, j);
        return r;
    }
    Mat operator*(const Mat& o) const {
        Mat r(rows, o.cols);
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < o.cols; j++)
                for (int k = 0; k < cols; k++) r(i, j) += (*this)(i, k) * o(k, j);
        return r;
    }
    double distance(const Mat& o) const {
        double d = rows == o.rows && cols == o.cols ? 0 : 1e30;
        for (size_t i = 0; d < 1e30 && i < v.size(); i++) d = std::max(d, std::isnan(v[i] - o.v[i]) ? 1e30 : std::abs(v[i] - o.v[i]));
        return d;
    }
};

static Mat identity(int n) {
    Mat r(n, n);
    for (int i = 0; i < n; i++) r(i, i) = 1;
    return r;
}
static Mat triangle(const Mat& a, bool upper, bool unit) {
    Mat r = a;
    for (int i = 0; i < a.rows; i++)
        for (int j = 0; j < a.cols; j++)
            if (i == j ? unit : (i < j) != upper) r(i, j) = i == j;
    return r;
}
static Mat diagonal(const vector<double>& s, int rows, int cols) {
    Mat r(rows, cols);
    for (int i = 0; i < std::min(rows, cols); i++) r(i, i) = s[size_t(i)];
    return r;
}
static Mat head(const Mat& a, int rows, int cols) {
    Mat r(rows, cols);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++) r(i, j) = a(i, j);
    return r;
}

template <class... A> int blas(const char* name, A... a) { return call<int>(cublas, name, a...); }
template <class... A> int solver(const char* name, A... a) { return call<int>(cusolver, name, a...); }
using CD = const double*;

static void test_cublas() {
    printf("cuBLAS\n");
    void* h;
    CHECK(blas("cublasCreate_v2", &h) == 0 && blas("cublasSetStream_v2", h, stream) == 0);
    const double one = 1, two = 2, zero = 0, half = 0.5;
    const int m = 5, n = 4, k = 3;
    for (int opa = 0; opa < 2; opa++)
        for (int opb = 0; opb < 2; opb++) {
            Mat a(opa ? k : m, opa ? m : k, 1), b(opb ? n : k, opb ? k : n, 2), c(m, n, 3);
            double *da = device(a.v), *db = device(b.v), *dc = device(c.v), *fresh = device<double>(m * n);
            Mat product = (opa ? a.t() : a) * (opb ? b.t() : b), expected = product;
            for (size_t i = 0; i < c.v.size(); i++) expected.v[i] = 2 * product.v[i] + 0.5 * c.v[i];
            CHECK(blas("cublasDgemm_v2", h, opa, opb, m, n, k, &two, (CD)da, a.rows, (CD)db, b.rows, &half, dc, m) == 0);
            CHECK(Mat(dc, m, n).distance(expected) < 1e-14);
            // Beta 0 does not read C, which is poisoned here.
            CHECK(blas("cublasGemmEx", h, opa, opb, m, n, k, (const void*)&one, (const void*)da, 1, a.rows, (const void*)db, 1, b.rows,
                       (const void*)&zero, (void*)fresh, 1, m, 70, -1) == 0);
            CHECK(Mat(fresh, m, n).distance(product) < 1e-14);
            CHECK(blas("cublasDgemm_v2", h, opa, opb, m, n, k, &one, (CD)da, a.rows - 1, (CD)db, b.rows, &zero, dc, m) == 7);
            CHECK(blas("cublasDgemm_v2", h, opa, opb, m, n, k, &one, (CD)da, a.rows, (CD)db, b.rows, &zero, dc, m - 1) == 7);
            drop(da), drop(db), drop(dc), drop(fresh);
        }
    {  // Strided batch, with one matrix for all on the left; captured and replayed.
        Mat a(3, 3, 4), b(3, 6, 5);
        double *da = device(a.v), *db = device(b.v), *dc = device<double>(18);
        void *graph, *exec;
        CHECK(cu("cuStreamBeginCapture_v2", stream, 1) == 0);
        CHECK(blas("cublasDgemmStridedBatched", h, 0, 0, 3, 2, 3, &one, (CD)da, 3, 0ll, (CD)db, 3, 6ll, &zero, dc, 3, 6ll, 3) == 0);
        CHECK(cu("cuStreamEndCapture", stream, &graph) == 0 && cu("cuGraphInstantiateWithFlags", &exec, graph, 0ull) == 0);
        CHECK(cu("cuGraphLaunch", exec, stream) == 0 && Mat(dc, 3, 6).distance(a * b) < 1e-14);
        cu("cuGraphExecDestroy", exec), cu("cuGraphDestroy", graph);
        double y[3] = {0, 0, 0}, *dy = device<double>(3);
        CHECK(blas("cublasDgemv_v2", h, 1, 3, 3, &one, (CD)da, 3, (CD)db, 1, &zero, dy, 1) == 0);
        CHECK(Mat(dy, 3, 1).distance(a.t() * head(b, 3, 1)) < 1e-14);
        CHECK(blas("cublasDdot_v2", h, 3, (CD)da, 1, (CD)db, 1, y) == 0 && std::abs(y[0] - (head(a, 3, 1).t() * head(b, 3, 1))(0, 0)) < 1e-14);
        CHECK(blas("cublasDgeam", h, 1, 0, 3, 3, &one, (CD)da, 3, &zero, (CD) nullptr, 3, dc, 3) == 0 && Mat(dc, 3, 3).distance(a.t()) == 0);
        string text;
        CHECK(in_child([=] { return blas("cublasDgemv_v2", h, 1, 3, 3, &one, a.v.data(), 3, (CD)db, 1, &zero, dy, 1); }, &text) == 13);
        CHECK(text.find("not in device memory") != string::npos);
        drop(da), drop(db), drop(dc), drop(dy);
    }
    for (int which = 0; which < 16; which++) {  // every side, triangle, transpose and diagonal
        int right = which & 1, upper = which >> 1 & 1, trans = which >> 2 & 1, unit = which >> 3;
        Mat a(right ? n : m, right ? n : m, 6), b(m, n, 7);
        for (int i = 0; i < a.rows; i++) a(i, i) += 3;
        double *da = device(a.v), *db = device(b.v);
        CHECK(blas("cublasDtrsm_v2", h, right, upper, trans, unit, m, n, &two, (CD)da, a.rows, db, m) == 0);
        Mat t = triangle(a, upper, unit), x(db, m, n), back = right ? x * (trans ? t.t() : t) : (trans ? t.t() : t) * x;
        for (double& v : b.v) v *= 2;
        CHECK(back.distance(b) < 1e-12);
        drop(da), drop(db);
    }
    {  // Batched LU and solution, matrices by pointers.
        Mat a(4, 4, 8), b(4, 8, 9);
        vector<double> both = a.v;
        both.insert(both.end(), a.v.rbegin(), a.v.rend());
        double *da = device(both), *db = device(b.v);
        double **pa = device(vector<double*>{da, da + 16}), **pb = device(vector<double*>{db, db + 16});
        int *pivots = device<int>(8), *info = device<int>(2), host_info = 5;
        CHECK(blas("cublasDgetrfBatched", h, 4, pa, 4, pivots, info, 2) == 0 && host(info, 2) == vector<int>({0, 0}));
        CHECK(blas("cublasDgetrsBatched", h, 0, 4, 4, pa, 4, pivots, pb, 4, &host_info, 2) == 0 && host_info == 0);
        Mat x = head(Mat(db, 4, 8), 4, 4);
        CHECK((a * x).distance(head(b, 4, 4)) < 1e-12);
        CHECK(blas("cublasDgetrsBatched", h, 1, 4, 4, pa, 4, pivots, pb, 4, &host_info, 2) == 0);
        CHECK((a.t() * head(Mat(db, 4, 8), 4, 4)).distance(x) < 1e-12);
        for (void* p : {(void*)da, (void*)db, (void*)pa, (void*)pb, (void*)pivots, (void*)info}) drop(p);
    }
    {  // TF32 shows in the result.
        float *a = device(vector<float>{1.0001f}), *c = device<float>(1), f1 = 1, f0 = 0;
        CHECK(blas("cublasSgemm_v2", h, 0, 0, 1, 1, 1, &f1, (const float*)a, 1, (const float*)a, 1, &f0, c, 1) == 0 && host(c, 1)[0] == 1.0001f * 1.0001f);
        CHECK(blas("cublasSetMathMode", h, 3) == 0);
        CHECK(blas("cublasSgemm_v2", h, 0, 0, 1, 1, 1, &f1, (const float*)a, 1, (const float*)a, 1, &f0, c, 1) == 0 && host(c, 1)[0] == 1.0f);
        drop(a), drop(c);
    }
    CHECK(blas("cublasDestroy_v2", h) == 0);
}

// Calls a 64-bit routine with the workspaces it asks for.
template <class Size, class Run> static void with_workspace(Size size, Run run) {
    size_t on_device = 0, on_host = 0;
    CHECK(size(&on_device, &on_host) == 0);
    char* work = device<char>(on_device);
    vector<char> host_work(on_host);
    int* info = device<int>(8);
    CHECK(run((void*)work, on_device, (void*)host_work.data(), on_host, info) == 0);
    CHECK(host(info, 1)[0] == 0);
    drop(work), drop(info);
}

static void check_svd(const Mat& a, const vector<double>& s, const Mat& u, const Mat& vt) {
    CHECK((u * diagonal(s, u.cols, vt.rows) * vt).distance(a) < 1e-12);
    CHECK((u.t() * u).distance(identity(u.cols)) < 1e-12 && (vt * vt.t()).distance(identity(vt.rows)) < 1e-12);
    CHECK(std::is_sorted(s.rbegin(), s.rend()));
}

template <class... A> int fft(const char* name, A... a) { return call<int>(cufft, name, a...); }

static int plan_of(int type, long long n, long long count, size_t* work) {
    int plan = 0;
    long long *none = nullptr, one = 1, zero = 0;
    CHECK(fft("cufftCreate", &plan) == 0 && fft("cufftSetAutoAllocation", plan, 0) == 0);
    CHECK(fft("cufftMakePlanMany64", plan, 1, &n, none, one, zero, none, one, zero, type, count, work) == 0);
    CHECK(fft("cufftSetStream", plan, stream) == 0);
    return plan;
}

template <class T> bool near(const vector<T>& x, const vector<T>& expected) {
    for (size_t i = 0; i < x.size(); i++)
        if (!(std::abs(x[i] - expected[i]) < 1e-6)) return false;
    return x.size() == expected.size();
}

static void test_cufft() {
    printf("cuFFT\n");
    // Of 3, 1, 2: 6, (3 - 1/2 - 2/2) + i sqrt(3)/2 (2 - 1), and its conjugate.
    const double root = sqrt(0.75);
    const vector<double> given{3, 1, 2, 0, 0, 1}, half{6, 0, 1.5, root, 1, 0, -0.5, root};
    double *x = device(given), *y = device<double>(8), *host_x = const_cast<double*>(given.data());
    size_t bytes = 0;
    int plan = plan_of(0x6a, 3, 2, &bytes);
    CHECK(bytes > 0 && fft("cufftExecD2Z", plan, x, y) == 13);
    void* work = device<char>(bytes);
    CHECK(fft("cufftSetWorkArea", plan, work) == 0 && fft("cufftExecC2C", plan, x, y, 1) == 3);
    CHECK(fft("cufftExecD2Z", plan, x + 1, y) == 9);
    string text;
    CHECK(in_child([=] { return fft("cufftExecD2Z", plan, host_x, y); }, &text) == 6);
    CHECK(text.find("not in device memory") != string::npos);
    CHECK(fft("cufftExecD2Z", plan, x, y) == 0 && near(host(y, 8), half));
    CHECK(fft("cufftDestroy", plan) == 0 && fft("cufftDestroy", plan) == 1);
    drop(work);
    plan = plan_of(0x6c, 3, 2, &bytes);
    CHECK(fft("cufftSetWorkArea", plan, work = device<char>(bytes)) == 0);
    CHECK(fft("cufftExecZ2D", plan, y, x) == 0 && near(host(x, 6), {9, 3, 6, 0, 0, 3}));
    // What it has read is lost, and where there is an imaginary part too many nothing can be relied on.
    CHECK(!near(host(y, 8), half));
    CHECK(fft("cufftExecZ2D", plan, y, x) == 0 && std::isnan(host(x, 6)[0]));
    CHECK(fft("cufftDestroy", plan) == 0);
    drop(work), drop(x), drop(y);
    // Captured and replayed, in place.
    float* z = device(vector<float>{0, 0, 1, 0, 0, 0, 0, 0});
    plan = plan_of(0x29, 4, 1, &bytes);
    CHECK(fft("cufftSetWorkArea", plan, work = device<char>(bytes)) == 0 && fft("cufftExecC2C", plan, z, z, 0) == 4);
    void *graph, *exec;
    CHECK(cu("cuStreamBeginCapture_v2", stream, 1) == 0 && fft("cufftExecC2C", plan, z, z, 1) == 0);
    CHECK(cu("cuStreamEndCapture", stream, &graph) == 0 && cu("cuGraphInstantiateWithFlags", &exec, graph, 0ull) == 0);
    CHECK(cu("cuGraphLaunch", exec, stream) == 0 && near(host(z, 8), {1, 0, 0, 1, -1, 0, 0, -1}));
    cu("cuGraphExecDestroy", exec), cu("cuGraphDestroy", graph);
    CHECK(fft("cufftDestroy", plan) == 0);
    drop(work), drop(z);
}

static void test_cusolver() {
    printf("cuSOLVER\n");
    void *h, *params, *none = nullptr;
    CHECK(solver("cusolverDnCreate", &h) == 0 && solver("cusolverDnSetStream", h, stream) == 0);
    CHECK(solver("cusolverDnCreateParams", &params) == 0);
    const int64_t n = 6, m = 9;
    const int F64 = 1;
    Mat a((int)n, (int)n, 1), b((int)n, 2, 2);
    {  // LU
        double *da = device(a.v), *db = device(b.v);
        int64_t* pivots = device<int64_t>(size_t(n));
        int* info = device<int>(1);
        with_workspace([&](size_t* d, size_t* w) { return solver("cusolverDnXgetrf_bufferSize", h, params, n, n, F64, (const void*)da, n, F64, d, w); },
                       [&](void* d, size_t db_, void* w, size_t wb, int* i) { return solver("cusolverDnXgetrf", h, params, n, n, F64, (void*)da, n, pivots, F64, d, db_, w, wb, i); });
        CHECK(solver("cusolverDnXgetrs", h, params, 0, n, int64_t(2), F64, (const void*)da, n, (const int64_t*)pivots, F64, (void*)db, n, info) == 0);
        CHECK((a * Mat(db, (int)n, 2)).distance(b) < 1e-12);
        drop(da), drop(db), drop(pivots), drop(info);
    }
    Mat spd = a * a.t();
    for (int i = 0; i < n; i++) spd(i, i) += 1;
    for (int upper = 0; upper < 2; upper++) {  // Cholesky, and eigenvalues
        double *da = device(spd.v), *db = device(b.v), *w = device<double>(size_t(n));
        int* info = device<int>(1);
        with_workspace([&](size_t* d, size_t* x) { return solver("cusolverDnXpotrf_bufferSize", h, params, upper, n, F64, (const void*)da, n, F64, d, x); },
                       [&](void* d, size_t bytes, void* x, size_t xb, int* i) { return solver("cusolverDnXpotrf", h, params, upper, n, F64, (void*)da, n, F64, d, bytes, x, xb, i); });
        CHECK(solver("cusolverDnXpotrs", h, params, upper, n, int64_t(2), F64, (const void*)da, n, F64, (void*)db, n, info) == 0);
        CHECK((spd * Mat(db, (int)n, 2)).distance(b) < 1e-12);
        drop(da);
        da = device(spd.v);
        with_workspace([&](size_t* d, size_t* x) { return solver("cusolverDnXsyevd_bufferSize", h, params, 1, upper, n, F64, (const void*)da, n, F64, (const void*)w, F64, d, x); },
                       [&](void* d, size_t bytes, void* x, size_t xb, int* i) { return solver("cusolverDnXsyevd", h, params, 1, upper, n, F64, (void*)da, n, F64, (void*)w, F64, d, bytes, x, xb, i); });
        Mat q(da, (int)n, (int)n);
        auto values = host(w, size_t(n));
        CHECK((q * diagonal(values, (int)n, (int)n) * q.t()).distance(spd) < 1e-12 && std::is_sorted(values.begin(), values.end()));
        drop(da), drop(db), drop(w), drop(info);
    }
    {  // Eigenvalues of a batch, one of them diagonal
        Mat diag = diagonal({3, 1, 2, 2, 0, -1}, (int)n, (int)n);
        vector<double> both = spd.v;
        both.insert(both.end(), diag.v.begin(), diag.v.end());
        double *da = device(both), *w = device<double>(size_t(2 * n));
        with_workspace([&](size_t* d, size_t* x) { return solver("cusolverDnXsyevBatched_bufferSize", h, params, 1, 0, n, F64, (const void*)da, n, F64, (const void*)w, F64, d, x, int64_t(2)); },
                       [&](void* d, size_t bytes, void* x, size_t xb, int* i) { return solver("cusolverDnXsyevBatched", h, params, 1, 0, n, F64, (void*)da, n, F64, (void*)w, F64, d, bytes, x, xb, i, int64_t(2)); });
        CHECK(host(w + n, size_t(n)) == vector<double>({-1, 0, 1, 2, 2, 3}));
        drop(da), drop(w);
    }
    Mat tall((int)m, (int)n, 3);
    {  // QR: R, Q itself, and Q applied
        double *da = device(tall.v), *tau = device<double>(size_t(n)), *c = device(tall.v);
        with_workspace([&](size_t* d, size_t* x) { return solver("cusolverDnXgeqrf_bufferSize", h, params, m, n, F64, (const void*)da, m, F64, (const void*)tau, F64, d, x); },
                       [&](void* d, size_t bytes, void* x, size_t xb, int* i) { return solver("cusolverDnXgeqrf", h, params, m, n, F64, (void*)da, m, F64, (void*)tau, F64, d, bytes, x, xb, i); });
        Mat r = triangle(head(Mat(da, (int)m, (int)n), (int)n, (int)n), true, false);
        int lwork;
        int* info = device<int>(1);
        CHECK(solver("cusolverDnDormqr_bufferSize", h, 0, 1, (int)m, (int)n, (int)n, (CD)da, (int)m, (CD)tau, (CD)c, (int)m, &lwork) == 0);
        double* work = device<double>(size_t(lwork));
        CHECK(solver("cusolverDnDormqr", h, 0, 1, (int)m, (int)n, (int)n, (CD)da, (int)m, (CD)tau, c, (int)m, work, lwork, info) == 0);
        CHECK(head(Mat(c, (int)m, (int)n), (int)n, (int)n).distance(r) < 1e-12);
        drop(work);
        CHECK(solver("cusolverDnDorgqr_bufferSize", h, (int)m, (int)n, (int)n, (CD)da, (int)m, (CD)tau, &lwork) == 0);
        work = device<double>(size_t(lwork));
        CHECK(solver("cusolverDnDorgqr", h, (int)m, (int)n, (int)n, da, (int)m, (CD)tau, work, lwork, info) == 0);
        Mat q(da, (int)m, (int)n);
        CHECK((q * r).distance(tall) < 1e-12 && (q.t() * q).distance(identity((int)n)) < 1e-12);
        for (void* p : {(void*)da, (void*)tau, (void*)c, (void*)work, (void*)info}) drop(p);
    }
    Mat deficient = tall;
    for (int i = 0; i < m; i++) deficient(i, 3) = deficient(i, 1), deficient(i, 5) = 0;
    for (const Mat& x : {tall, deficient})
        for (int full = 0; full < 2; full++) {
            int k = full ? (int)m : (int)n;
            double *da = device(x.v), *s = device<double>(size_t(n)), *u = device<double>(size_t(m * m)), *v = device<double>(size_t(n * n));
            signed char job = full ? 'A' : 'S';
            with_workspace([&](size_t* d, size_t* w) { return solver("cusolverDnXgesvd_bufferSize", h, params, job, job, m, n, F64, (const void*)da, m, F64, (const void*)s, F64, (const void*)u, m, F64, (const void*)v, n, F64, d, w); },
                           [&](void* d, size_t bytes, void* w, size_t wb, int* i) { return solver("cusolverDnXgesvd", h, params, job, job, m, n, F64, (void*)da, m, F64, (void*)s, F64, (void*)u, m, F64, (void*)v, n, F64, d, bytes, w, wb, i); });
            check_svd(x, host(s, size_t(n)), Mat(u, (int)m, k), Mat(v, (int)n, (int)n));
            drop(da);
            // Wide: gesvd refuses it, gesvdp returns V itself.
            Mat wide = x.t();
            da = device(wide.v);
            size_t ignored;
            CHECK(solver("cusolverDnXgesvd_bufferSize", h, params, job, job, n, m, F64, (const void*)da, n, F64, (const void*)s, F64, (const void*)u, n, F64, (const void*)v, m, F64, &ignored, &ignored) == 3);
            double error;
            with_workspace([&](size_t* d, size_t* w) { return solver("cusolverDnXgesvdp_bufferSize", h, params, 1, int(!full), n, m, F64, (const void*)da, n, F64, (const void*)s, F64, (const void*)v, n, F64, (const void*)u, m, F64, d, w); },
                           [&](void* d, size_t bytes, void* w, size_t wb, int* i) { return solver("cusolverDnXgesvdp", h, params, 1, int(!full), n, m, F64, (void*)da, n, F64, (void*)s, F64, (void*)v, n, F64, (void*)u, m, F64, d, bytes, w, wb, i, &error); });
            check_svd(wide, host(s, size_t(n)), Mat(v, (int)n, (int)n), Mat(u, (int)m, k).t());
            drop(da), drop(s), drop(u), drop(v);
        }
    {  // Jacobi, a batch of two in single precision
        vector<float> both;
        for (int i = 0; i < 2; i++) both.insert(both.end(), tall.v.begin(), tall.v.end());
        float *da = device(both), *s = device<float>(2 * n), *u = device<float>(2 * m * m), *v = device<float>(2 * n * n);
        int lwork, *info = device<int>(2);
        using CF = const float*;
        CHECK(solver("cusolverDnCreateGesvdjInfo", &none) == 0);
        CHECK(solver("cusolverDnSgesvdjBatched_bufferSize", h, 1, (int)m, (int)n, (CF)da, (int)m, (CF)s, (CF)u, (int)m, (CF)v, (int)n, &lwork, none, 2) == 0);
        float* work = device<float>(size_t(lwork));
        CHECK(solver("cusolverDnSgesvdjBatched", h, 1, (int)m, (int)n, da, (int)m, s, u, (int)m, v, (int)n, work, lwork, info, none, 2) == 0);
        auto values = host(s, 2 * n), left = host(u + m * m, m * m), right = host(v + n * n, n * n);
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++) {
                float sum = 0;
                for (int k = 0; k < n; k++) sum += left[size_t(i + k * m)] * values[size_t(n + k)] * right[size_t(j + k * n)];
                CHECK(std::abs(sum - both[size_t(i + j * m)]) < 1e-5f);
            }
        CHECK(solver("cusolverDnSgesvdjBatched", h, 1, (int)m, (int)n, da, (int)m, s, u, (int)m, v, (int)n, work, lwork - 1, info, none, 2) == 3);
        void* graph;
        cu("cuStreamBeginCapture_v2", stream, 1);
        CHECK(solver("cusolverDnSgesvdjBatched", h, 1, (int)m, (int)n, da, (int)m, s, u, (int)m, v, (int)n, work, lwork, info, none, 2) == 7);
        CHECK(cu("cuStreamEndCapture", stream, &graph) == 0 && cu("cuGraphDestroy", graph) == 0);
        CHECK(solver("cusolverDnDestroyGesvdjInfo", none) == 0);
        for (void* p : {(void*)da, (void*)s, (void*)u, (void*)v, (void*)work, (void*)info}) drop(p);
    }
    CHECK(solver("cusolverDnDestroyParams", params) == 0 && solver("cusolverDnDestroy", h) == 0);
}

static void measure() {
    printf("speed\n");
    float *x = device(vector<float>(4096, 1.0f)), *y = device<float>(4096);
    void *scale = function(module, "scale"), *sum = function(module, "block_sum");
    printf("  launch, 1 thread: %.1f us\n", microseconds(50, 100, [=] { launch(scale, 1, 1, Vec{x, y, 4096}); }));
    printf("  launch, 4 x 256 threads: %.1f us\n", microseconds(50, 20, [=] { launch(scale, 4, 256, Vec{x, y, 4096}); }));
    printf("  launch, 4 x 256 threads with 11 barriers and 5 shuffles: %.1f us\n",
           microseconds(100, 1, [=] { launch(sum, 4, 256, Vec{x, y, 256}, 1024); }));
    vector<char> image;
    string log;
    const char* small = "struct A { float* p; int n; }; KERNEL(k, A, 256) { int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < a.n) a.p[i] *= 2; }";
    printf("  compilation of a small kernel: %.0f ms\n", microseconds(8, 1, [&] { compile(small, &image, &log); }) / 1000);
    printf("  compilation of this test's kernels: %.0f ms\n", microseconds(8, 1, [&] { compile(source(), &image, &log); }) / 1000);
    drop(x), drop(y);
}

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    folder = argv[1];
    cuda = library("libcuda.so");
    nvrtc = library("libnvrtc.so");
    cublas = library("libcublas.so");
    cufft = library("libcufft.so");
    cusolver = library("libcusolver.so");
    void* context;
    CHECK(cu("cuDeviceGetCount", (int*)nullptr) == 3);
    CHECK(cu("cuInit", 0u) == 0 && cu("cuDevicePrimaryCtxRetain", &context, 0) == 0);
    CHECK(cu("cuCtxSynchronize") == 201);
    CHECK(cu("cuCtxSetCurrent", context) == 0 && cu("cuStreamCreate", &stream, 1u) == 0);
    test_compiler();
    module = load(source());
    test_kernels();
    test_refusals();
    test_memory();
    test_capture();
    test_missing_barrier();
    test_threads();
    test_faults();
    test_cublas();
    test_cufft();
    test_cusolver();
    measure();
    CHECK(call<size_t>(cuda, "sim_live_allocations") == 0);
    printf(failures ? "%d checks FAILED\n" : "all checks passed\n", failures);
    return failures != 0;
}
