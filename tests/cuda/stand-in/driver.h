// What the driver's files share: results, handles, contexts, streams and captured graphs.
#pragma once
#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))

namespace sim {

enum Result : int {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    NO_BINARY_FOR_GPU = 209,
    INVALID_HANDLE = 400,
    ILLEGAL_STATE = 401,
    NOT_FOUND = 500,
    NOT_READY = 600,
    LAUNCH_FAILED = 719,
    NOT_SUPPORTED = 801,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901,
    CAPTURE_UNMATCHED = 903,
    CAPTURE_UNJOINED = 904,
    CAPTURE_ISOLATION = 905,
    CAPTURE_IMPLICIT = 906,
    CAPTURED_EVENT = 907,
    CAPTURE_WRONG_THREAD = 908,
};

// Live handles of one kind; a stale or foreign one is refused instead of followed. The tables are
// created once and never destroyed, because threads may still call while the process ends.
template <class T> class Handles {
    std::mutex lock;
    std::unordered_map<void*, std::shared_ptr<T>> all;

  public:
    void* add(std::shared_ptr<T> object) {
        std::lock_guard<std::mutex> guard(lock);
        void* handle = object.get();
        all[handle] = std::move(object);
        return handle;
    }
    std::shared_ptr<T> get(void* handle) {
        std::lock_guard<std::mutex> guard(lock);
        auto i = all.find(handle);
        return i == all.end() ? nullptr : i->second;
    }
    std::shared_ptr<T> take(void* handle) {
        std::lock_guard<std::mutex> guard(lock);
        auto i = all.find(handle);
        if (i == all.end()) return nullptr;
        auto object = i->second;
        all.erase(i);
        return object;
    }
};

struct Capture;

struct Context;

struct Stream {
    Context* context = nullptr;
    bool non_blocking = false;
    int priority = 0;
    // Guarded by the capture lock.
    std::shared_ptr<Capture> capture;
    bool forked = false;      // joined the capture of another stream,
    bool unjoined = false;    // which has not waited for its latest work
    uint64_t sequence = 0;    // of captured work
};

struct Context {
    int device = 0;
    int references = 0;
    std::atomic<int> error{0};  // 719 lasts until the context is reset
    std::shared_ptr<Stream> null_stream;
};

using Work = std::function<int()>;

struct Node {
    std::string name;
    Work work;
};

// Memory allocated or freed during a capture: it stays as long as the graph or an executable of it.
struct GraphMemory {
    std::mutex lock;
    std::unordered_set<void*> owned, freed;
    ~GraphMemory();
};

struct Graph {
    std::vector<Node> nodes;
    std::shared_ptr<GraphMemory> memory = std::make_shared<GraphMemory>();
};

// ---- contexts (driver.cpp)

Context* current_context();
// Every call that needs a context starts with this: 0, or why it cannot go on.
int context_status();

// ---- streams (streams.cpp)

// The stream of a handle, or of the current context for the handles 0, 1 and 2.
std::shared_ptr<Stream> find_stream(void* handle);
// Runs the work at once, or records it.
int submit(void* stream, std::string name, Work work);
// For calls that are forbidden while this thread captures: they also invalidate the capture.
int forbid_in_capture();
// 901 if the stream is in a capture that has been invalidated.
int capture_error(void* stream);
// Null if the stream is not being captured.
std::shared_ptr<Graph> captured_graph(void* stream);
// Memory that belongs to a graph. Returns false if `p` does not.
bool free_graph_memory(void* p, int* result);
void own_graph_memory(const std::shared_ptr<GraphMemory>& memory, void* p);

// ---- kernels (modules.cpp)

// Runs something as if it were a kernel: alone, with faults reported under its name.
int run_as_kernel(const char* name, const std::function<bool()>& run);

}  // namespace sim

// The start of a call that needs a context.
#define NEED_CONTEXT()                                        \
    do {                                                      \
        if (int status = sim::context_status()) return status; \
    } while (0)
