// The stand-in driver: devices, contexts, memory and copies. Everything happens on the CPU.
#include "driver.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "fibers.h"
#include "memory.h"
#include "submit.h"

using namespace sim;

namespace sim {

namespace {

bool initialised;
int device_count = 1;
std::mutex& context_lock = *new std::mutex;
Context* contexts = new Context[MAX_DEVICES];

// Plain data, so that it is usable in every destructor of an ending thread.
constexpr int MAX_STACK = 16;
thread_local Context* stack[MAX_STACK];
thread_local int depth;

bool known(void* context) {
    for (int d = 0; d < device_count; d++)
        if (context == &contexts[d]) return true;
    return false;
}

bool valid_device(int d) { return d >= 0 && d < device_count; }

}  // namespace

Context* current_context() { return depth ? stack[depth - 1] : nullptr; }

int context_status() {
    if (!initialised) return NOT_INITIALIZED;
    Context* c = current_context();
    return c && c->references > 0 ? int(c->error) : int(INVALID_CONTEXT);
}

}  // namespace sim

// ---- devices ----------------------------------------------------------------------------------------

API int cuInit(unsigned) {
    static std::once_flag once;
    std::call_once(once, [] {
        if (const char* v = getenv("SIM_DEVICES")) device_count = std::min(std::max(atoi(v), 0), MAX_DEVICES);
        if (const char* v = getenv("SIM_MEM")) set_memory_limit(strtoull(v, nullptr, 10));
        if (const char* v = getenv("SIM_SEED")) set_seed(strtol(v, nullptr, 10));
        for (int d = 0; d < device_count; d++) {
            contexts[d].device = d;
            contexts[d].null_stream = std::make_shared<Stream>();
            contexts[d].null_stream->context = &contexts[d];
        }
        install_fault_handlers();
        initialised = true;
    });
    return device_count ? SUCCESS : NO_DEVICE;
}

API int cuDriverGetVersion(int* version) {
    *version = 13000;
    return SUCCESS;
}

// NVRTC asks a loaded driver for private tables and crashes if the call is absent: refuse.
API int cuGetExportTable(const void** table, const void*) {
    *table = nullptr;
    return NOT_FOUND;
}

API int cuDeviceGetCount(int* count) {
    if (!initialised) return NOT_INITIALIZED;
    *count = device_count;
    return SUCCESS;
}

API int cuDeviceGet(int* device, int ordinal) {
    if (!initialised) return NOT_INITIALIZED;
    if (!valid_device(ordinal)) return INVALID_DEVICE;
    *device = ordinal;
    return SUCCESS;
}

API int cuDeviceGetName(char* name, int room, int device) {
    if (!valid_device(device)) return INVALID_DEVICE;
    snprintf(name, size_t(room), "stand-in (simulated)");
    return SUCCESS;
}

static int device_uuid(unsigned char* uuid, int device) {
    if (!valid_device(device)) return INVALID_DEVICE;
    memset(uuid, 0, 16);
    memcpy(uuid, "stand-in", 8);
    uuid[15] = static_cast<unsigned char>(device);
    return SUCCESS;
}
API int cuDeviceGetUuid(unsigned char* uuid, int device) { return device_uuid(uuid, device); }
API int cuDeviceGetUuid_v2(unsigned char* uuid, int device) { return device_uuid(uuid, device); }

API int cuDeviceTotalMem_v2(size_t* bytes, int device) {
    if (!valid_device(device)) return INVALID_DEVICE;
    *bytes = memory_limit();
    return SUCCESS;
}

// The limits of an H200; attributes that are not listed are 0.
API int cuDeviceGetAttribute(int* value, int attribute, int device) {
    if (!valid_device(device)) return INVALID_DEVICE;
    static const std::unordered_map<int, int>& values = *new std::unordered_map<int, int>{
        {1, 1024},          // threads per block
        {2, 1024},          // block dimensions
        {3, 1024},
        {4, 64},
        {5, 2147483647},    // grid dimensions
        {6, 65535},
        {7, 65535},
        {8, 49152},         // shared memory per block
        {9, 65536},         // constant memory
        {10, 32},           // warp size
        {12, 65536},        // registers per block
        {13, 1980000},      // clock, kHz
        {14, 512},          // texture alignment
        {16, 132},          // multiprocessors
        {31, 1},            // concurrent kernels
        {36, 2619000},      // memory clock, kHz
        {37, 6144},         // memory bus, bits
        {38, 62914560},     // L2 bytes
        {39, 2048},         // threads per multiprocessor
        {40, 3},            // copy engines
        {41, 1},            // unified addressing
        {75, 9},            // compute capability
        {76, 0},
        {78, 1},            // stream priorities
        {81, 233472},       // shared memory per multiprocessor
        {82, 65536},        // registers per multiprocessor
        {87, 2},            // float to double speed
        {97, 232448},       // shared memory per block, opt-in
        {106, 32},          // blocks per multiprocessor
        {111, 1024},        // shared memory kept by the system, per block
        {115, 1},           // memory pools
    };
    auto i = values.find(attribute);
    *value = i == values.end() ? 0 : i->second;
    return SUCCESS;
}

// ---- contexts ---------------------------------------------------------------------------------------

API int cuDevicePrimaryCtxRetain(void** context, int device) {
    if (!initialised) return NOT_INITIALIZED;
    if (!valid_device(device)) return INVALID_DEVICE;
    std::lock_guard<std::mutex> guard(context_lock);
    contexts[device].references++;
    *context = &contexts[device];
    return SUCCESS;
}

API int cuDevicePrimaryCtxRelease_v2(int device) {
    if (!valid_device(device)) return INVALID_DEVICE;
    std::lock_guard<std::mutex> guard(context_lock);
    Context& c = contexts[device];
    if (c.references == 0) return INVALID_CONTEXT;
    if (--c.references == 0) c.error = 0;
    return SUCCESS;
}

API int cuDevicePrimaryCtxReset_v2(int device) {
    if (!valid_device(device)) return INVALID_DEVICE;
    contexts[device].error = 0;
    return SUCCESS;
}

API int cuDevicePrimaryCtxGetState(int device, unsigned* flags, int* active) {
    if (!valid_device(device)) return INVALID_DEVICE;
    std::lock_guard<std::mutex> guard(context_lock);
    *flags = 0;
    *active = contexts[device].references > 0;
    return SUCCESS;
}

API int cuCtxGetCurrent(void** context) {
    if (!initialised) return NOT_INITIALIZED;
    *context = current_context();
    return SUCCESS;
}

API int cuCtxSetCurrent(void* context) {
    if (!initialised) return NOT_INITIALIZED;
    if (!context) {
        if (depth) depth--;
        return SUCCESS;
    }
    if (!known(context)) return INVALID_CONTEXT;
    if (!depth) depth = 1;
    stack[depth - 1] = static_cast<Context*>(context);
    return SUCCESS;
}

API int cuCtxPushCurrent_v2(void* context) {
    if (!known(context)) return INVALID_CONTEXT;
    if (depth == MAX_STACK) return INVALID_VALUE;
    stack[depth++] = static_cast<Context*>(context);
    return SUCCESS;
}

API int cuCtxPopCurrent_v2(void** context) {
    if (!depth) return INVALID_CONTEXT;
    depth--;
    if (context) *context = stack[depth];
    return SUCCESS;
}

API int cuCtxGetDevice(int* device) {
    if (!current_context()) return INVALID_CONTEXT;
    *device = current_context()->device;
    return SUCCESS;
}

API int cuCtxSynchronize() {
    NEED_CONTEXT();
    if (int e = forbid_in_capture()) return e;
    int device = current_context()->device;
    trim_pool(device, pool_use(device).threshold);
    return SUCCESS;
}

// ---- memory -----------------------------------------------------------------------------------------

static int allocate_in(void** p, size_t bytes, bool pooled, void* stream) {
    auto graph = pooled ? captured_graph(stream) : nullptr;
    if (bytes == 0) return INVALID_VALUE;
    *p = allocate(bytes, current_context()->device, pooled);
    if (!*p) return OUT_OF_MEMORY;
    if (graph) own_graph_memory(graph->memory, *p);
    return SUCCESS;
}

API int cuMemAlloc_v2(void** p, size_t bytes) {
    NEED_CONTEXT();
    if (int e = forbid_in_capture()) return e;
    return allocate_in(p, bytes, false, nullptr);
}

API int cuMemAllocAsync(void** p, size_t bytes, void* stream) {
    NEED_CONTEXT();
    if (!find_stream(stream)) return INVALID_HANDLE;
    if (int e = capture_error(stream)) return e;
    return allocate_in(p, bytes, true, stream);
}

static bool is_pool(void* pool, int* device) {
    for (int d = 0; d < device_count; d++)
        if (pool == &contexts[d].device) {
            *device = d;
            return true;
        }
    return false;
}

API int cuMemAllocFromPoolAsync(void** p, size_t bytes, void* pool, void* stream) {
    NEED_CONTEXT();
    int device;
    if (!is_pool(pool, &device)) return INVALID_VALUE;
    return cuMemAllocAsync(p, bytes, stream);
}

API int cuMemFree_v2(void* p) {
    NEED_CONTEXT();
    if (!p) return SUCCESS;
    if (int e = forbid_in_capture()) return e;
    int result;
    if (free_graph_memory(p, &result)) return result;
    return release(p) ? SUCCESS : INVALID_VALUE;
}

API int cuMemFreeAsync(void* p, void* stream) {
    NEED_CONTEXT();
    if (!find_stream(stream)) return INVALID_HANDLE;
    if (int e = capture_error(stream)) return e;
    if (auto graph = captured_graph(stream)) {
        // Freed with the graph, which may use it in every replay.
        Allocation a;
        if (!find_allocation(p, 1, &a) || a.start != p) return INVALID_VALUE;
        own_graph_memory(graph->memory, p);
        std::lock_guard<std::mutex> guard(graph->memory->lock);
        return graph->memory->freed.insert(p).second ? SUCCESS : INVALID_VALUE;
    }
    int result;
    if (free_graph_memory(p, &result)) return result;
    return release(p) ? SUCCESS : INVALID_VALUE;
}

API int cuMemGetInfo_v2(size_t* free, size_t* total) {
    NEED_CONTEXT();
    *total = memory_limit();
    size_t used = live_bytes(current_context()->device);
    *free = *total > used ? *total - used : 0;
    return SUCCESS;
}

// The address of the context's device number serves as the handle of the device's only pool.
static int device_pool(void** pool, int device) {
    if (!valid_device(device)) return INVALID_DEVICE;
    *pool = &contexts[device].device;
    return SUCCESS;
}
API int cuDeviceGetDefaultMemPool(void** pool, int device) { return device_pool(pool, device); }
API int cuDeviceGetMemPool(void** pool, int device) { return device_pool(pool, device); }

API int cuDeviceSetMemPool(int device, void* pool) {
    int of;
    return valid_device(device) && is_pool(pool, &of) && of == device ? SUCCESS : INVALID_VALUE;
}

API int cuMemPoolSetAttribute(void* pool, int attribute, void* value) {
    int device;
    if (!is_pool(pool, &device)) return INVALID_VALUE;
    switch (attribute) {
        case 1: case 2: case 3: return SUCCESS;  // reuse policies
        case 4: set_pool_threshold(device, *static_cast<uint64_t*>(value)); return SUCCESS;
        case 6: case 8:
            if (*static_cast<uint64_t*>(value)) return INVALID_VALUE;  // the high marks can only be reset
            reset_pool_highs(device, attribute == 8, attribute == 6);
            return SUCCESS;
        default: return INVALID_VALUE;
    }
}

API int cuMemPoolGetAttribute(void* pool, int attribute, void* value) {
    int device;
    if (!is_pool(pool, &device)) return INVALID_VALUE;
    PoolUse use = pool_use(device);
    auto bytes = static_cast<uint64_t*>(value);
    switch (attribute) {
        case 1: case 2: case 3: *static_cast<int*>(value) = 1; return SUCCESS;
        case 4: *bytes = use.threshold; return SUCCESS;
        case 5: *bytes = use.reserved; return SUCCESS;
        case 6: *bytes = use.reserved_high; return SUCCESS;
        case 7: *bytes = use.used; return SUCCESS;
        case 8: *bytes = use.used_high; return SUCCESS;
        default: return INVALID_VALUE;
    }
}

API int cuMemPoolTrimTo(void* pool, size_t keep) {
    int device;
    if (!is_pool(pool, &device)) return INVALID_VALUE;
    trim_pool(device, keep);
    return SUCCESS;
}

// Pinned host memory, known by its address so that a foreign pointer is refused.
static std::mutex& host_lock = *new std::mutex;
static std::unordered_set<void*>& host_memory = *new std::unordered_set<void*>;

API int cuMemHostAlloc(void** p, size_t bytes, unsigned) {
    NEED_CONTEXT();
    if (int e = forbid_in_capture()) return e;
    if (!bytes) return INVALID_VALUE;
    *p = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (!*p) return OUT_OF_MEMORY;
    std::lock_guard<std::mutex> guard(host_lock);
    host_memory.insert(*p);
    return SUCCESS;
}

API int cuMemAllocHost_v2(void** p, size_t bytes) { return cuMemHostAlloc(p, bytes, 0); }

API int cuMemFreeHost(void* p) {
    NEED_CONTEXT();
    if (int e = forbid_in_capture()) return e;
    {
        std::lock_guard<std::mutex> guard(host_lock);
        if (!host_memory.erase(p)) return INVALID_VALUE;
    }
    free(p);
    return SUCCESS;
}

API int cuPointerGetAttribute(void* data, int attribute, void* p) {
    NEED_CONTEXT();
    Allocation a;
    if (!find_allocation(p, 1, &a)) return INVALID_VALUE;
    switch (attribute) {
        case 1: *static_cast<void**>(data) = &contexts[a.device]; return SUCCESS;
        case 2: *static_cast<unsigned*>(data) = 2; return SUCCESS;  // device memory
        case 3: *static_cast<void**>(data) = p; return SUCCESS;
        case 8: *static_cast<unsigned*>(data) = 0; return SUCCESS;  // not managed
        case 9: *static_cast<int*>(data) = a.device; return SUCCESS;
        case 11: *static_cast<void**>(data) = a.start; return SUCCESS;
        case 12: *static_cast<size_t*>(data) = a.bytes; return SUCCESS;
        case 13: *static_cast<bool*>(data) = true; return SUCCESS;
        default: return NOT_SUPPORTED;
    }
}

// ---- copies -----------------------------------------------------------------------------------------

static bool on_device(const void* p, size_t bytes) {
    Allocation a;
    return bytes == 0 || find_allocation(p, bytes, &a);
}

// Checked when called, and again in every replay, for the memory may be gone by then.
static int copy(void* to, const void* from, size_t bytes, bool to_device, bool from_device, const char* name, void* stream) {
    NEED_CONTEXT();
    auto valid = [=] { return (!to_device || on_device(to, bytes)) && (!from_device || on_device(from, bytes)); };
    if (!valid()) return INVALID_VALUE;
    return submit(stream, name, [=]() -> int {
        if (!valid()) return INVALID_VALUE;
        memmove(to, from, bytes);
        return SUCCESS;
    });
}

API int cuMemcpyHtoDAsync_v2(void* to, const void* from, size_t bytes, void* stream) {
    return copy(to, from, bytes, true, false, "copy to device", stream);
}
API int cuMemcpyDtoHAsync_v2(void* to, const void* from, size_t bytes, void* stream) {
    return copy(to, from, bytes, false, true, "copy to host", stream);
}
API int cuMemcpyDtoDAsync_v2(void* to, const void* from, size_t bytes, void* stream) {
    return copy(to, from, bytes, true, true, "copy on device", stream);
}
API int cuMemcpyPeerAsync(void* to, void*, const void* from, void*, size_t bytes, void* stream) {
    return copy(to, from, bytes, true, true, "copy between devices", stream);
}

static int copy_now(void* to, const void* from, size_t bytes, bool to_device, bool from_device) {
    NEED_CONTEXT();
    if (int e = forbid_in_capture()) return e;
    return copy(to, from, bytes, to_device, from_device, "copy", nullptr);
}
API int cuMemcpyHtoD_v2(void* to, const void* from, size_t bytes) { return copy_now(to, from, bytes, true, false); }
API int cuMemcpyDtoH_v2(void* to, const void* from, size_t bytes) { return copy_now(to, from, bytes, false, true); }
API int cuMemcpyDtoD_v2(void* to, const void* from, size_t bytes) { return copy_now(to, from, bytes, true, true); }

template <class T> static int fill(void* p, T value, size_t count, void* stream) {
    NEED_CONTEXT();
    if (count > SIZE_MAX / sizeof(T) || uintptr_t(p) % sizeof(T) || !on_device(p, count * sizeof(T))) return INVALID_VALUE;
    return submit(stream, "fill", [=]() -> int {
        if (!on_device(p, count * sizeof(T))) return INVALID_VALUE;
        std::fill_n(static_cast<T*>(p), count, value);
        return SUCCESS;
    });
}
API int cuMemsetD8Async(void* p, unsigned char value, size_t count, void* stream) { return fill(p, value, count, stream); }
API int cuMemsetD16Async(void* p, unsigned short value, size_t count, void* stream) { return fill(p, value, count, stream); }
API int cuMemsetD32Async(void* p, unsigned value, size_t count, void* stream) { return fill(p, value, count, stream); }
API int cuMemsetD8_v2(void* p, unsigned char value, size_t count) { return fill(p, value, count, nullptr); }
API int cuMemsetD16_v2(void* p, unsigned short value, size_t count) { return fill(p, value, count, nullptr); }
API int cuMemsetD32_v2(void* p, unsigned value, size_t count) { return fill(p, value, count, nullptr); }

// ---- errors -----------------------------------------------------------------------------------------

struct ErrorText {
    int code;
    const char *name, *text;
};
static const ErrorText ERRORS[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {401, "CUDA_ERROR_ILLEGAL_STATE", "the operation cannot be performed in the present state"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {600, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {801, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
    {903, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "capture was not ended in the same stream as it began"},
    {904, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "capturing stream has unjoined work"},
    {905, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "dependency created on uncaptured work in another stream"},
    {906, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", "operation would make the legacy stream depend on a capturing blocking stream"},
    {907, "CUDA_ERROR_CAPTURED_EVENT", "operation not permitted on an event last recorded in a capturing stream"},
    {908, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD", "attempt to terminate a thread-local capture sequence from another thread"},
    {999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

static int error_text(int code, const char* ErrorText::* field, const char** text) {
    for (const ErrorText& e : ERRORS)
        if (e.code == code) {
            *text = e.*field;
            return SUCCESS;
        }
    *text = nullptr;
    return INVALID_VALUE;
}
API int cuGetErrorName(int code, const char** text) { return error_text(code, &ErrorText::name, text); }
API int cuGetErrorString(int code, const char** text) { return error_text(code, &ErrorText::text, text); }

// ---- for tests --------------------------------------------------------------------------------------

API int sim_is_device_memory(const void* p, size_t bytes) { return on_device(p, bytes); }
API int sim_context_status() { return context_status(); }
API size_t sim_live_bytes() { return live_bytes(-1); }
API size_t sim_live_allocations() { return live_allocations(); }
API void sim_set_memory_limit(size_t bytes) { set_memory_limit(bytes); }
