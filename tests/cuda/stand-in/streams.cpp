// Streams, events, capture and graphs. A stream's work runs at once, unless the stream is captured.
#include <chrono>

#include "driver.h"
#include "memory.h"
#include "submit.h"

using namespace sim;

namespace sim {

enum Mode { GLOBAL = 0, THREAD_LOCAL = 1, RELAXED = 2 };

struct Capture {
    uint64_t id;
    int mode;
    pthread_t thread;
    Stream* origin;
    bool invalid = false;
    std::shared_ptr<Graph> graph = std::make_shared<Graph>();
    std::vector<std::shared_ptr<Stream>> streams;  // origin and forked ones
};

namespace {

using Clock = std::chrono::steady_clock;

struct Event {
    Context* context;
    bool timed;
    bool recorded = false;
    Clock::time_point time;
    // Where it was last recorded, if that was in a capture.
    std::shared_ptr<Capture> capture;
    std::shared_ptr<Stream> stream;
    uint64_t sequence = 0;
};

// An instantiated graph: its own copy of the nodes.
struct Executable {
    std::vector<Node> nodes;
    std::shared_ptr<GraphMemory> memory;
};

Handles<Stream>& streams = *new Handles<Stream>;
Handles<Event>& events = *new Handles<Event>;
Handles<Graph>& graphs = *new Handles<Graph>;
Handles<Executable>& executables = *new Handles<Executable>;

std::mutex& capture_lock = *new std::mutex;
std::vector<std::shared_ptr<Capture>>& captures = *new std::vector<std::shared_ptr<Capture>>;  // in progress
uint64_t next_capture = 1;
thread_local int thread_mode = GLOBAL;

std::mutex& owner_lock = *new std::mutex;
auto& graph_owner = *new std::unordered_map<void*, std::weak_ptr<GraphMemory>>;

bool active(const std::shared_ptr<Capture>& c) {
    for (const auto& other : captures)
        if (other == c) return true;
    return false;
}

int invalidate(const std::shared_ptr<Capture>& c, Result why) {
    c->invalid = true;
    return why;
}

// For a call that waits for the stream. Takes the capture lock.
int forbid_on(const std::shared_ptr<Stream>& s) {
    if (!s) return INVALID_HANDLE;
    std::lock_guard<std::mutex> guard(capture_lock);
    return s->capture ? invalidate(s->capture, CAPTURE_UNSUPPORTED) : int(SUCCESS);
}

int run_nodes(const std::vector<Node>& nodes) {
    for (const Node& n : nodes)
        if (int e = n.work()) return e;
    return SUCCESS;
}

int finish(int result) {
    if (result == LAUNCH_FAILED) current_context()->error = LAUNCH_FAILED;
    return result;
}

}  // namespace

GraphMemory::~GraphMemory() {
    std::lock_guard<std::mutex> guard(owner_lock);
    for (void* p : owned) {
        graph_owner.erase(p);
        release(p);
    }
}

void own_graph_memory(const std::shared_ptr<GraphMemory>& memory, void* p) {
    std::lock_guard<std::mutex> guard(owner_lock);
    std::lock_guard<std::mutex> mine(memory->lock);
    if (memory->owned.insert(p).second) graph_owner[p] = memory;
}

bool free_graph_memory(void* p, int* result) {
    std::shared_ptr<GraphMemory> memory;
    {
        std::lock_guard<std::mutex> guard(owner_lock);
        auto i = graph_owner.find(p);
        if (i == graph_owner.end()) return false;
        memory = i->second.lock();
    }
    if (!memory) return false;
    std::lock_guard<std::mutex> guard(owner_lock);
    std::lock_guard<std::mutex> mine(memory->lock);
    if (memory->freed.count(p) || !memory->owned.erase(p)) {
        *result = INVALID_VALUE;  // freed by the graph already
    } else {
        graph_owner.erase(p);
        *result = release(p) ? SUCCESS : INVALID_VALUE;
    }
    return true;
}

std::shared_ptr<Stream> find_stream(void* handle) {
    if (uintptr_t(handle) <= 2) return current_context() ? current_context()->null_stream : nullptr;
    return streams.get(handle);
}

int capture_error(void* stream) {
    auto s = find_stream(stream);
    std::lock_guard<std::mutex> guard(capture_lock);
    return s && s->capture && s->capture->invalid ? CAPTURE_INVALIDATED : SUCCESS;
}

std::shared_ptr<Graph> captured_graph(void* stream) {
    auto s = find_stream(stream);
    std::lock_guard<std::mutex> guard(capture_lock);
    return s && s->capture ? s->capture->graph : nullptr;
}

int forbid_in_capture() {
    std::lock_guard<std::mutex> guard(capture_lock);
    int result = SUCCESS;
    for (const auto& c : captures) {
        bool mine = pthread_equal(c->thread, pthread_self());
        if (mine ? c->mode != RELAXED && thread_mode != RELAXED : c->mode == GLOBAL && thread_mode == GLOBAL)
            result = invalidate(c, CAPTURE_UNSUPPORTED);
    }
    return result;
}

int submit(void* handle, std::string name, Work work) {
    auto s = find_stream(handle);
    if (!s || s->context != current_context()) return INVALID_HANDLE;
    {
        std::lock_guard<std::mutex> guard(capture_lock);
        if (s->capture) {
            if (s->capture->invalid) return CAPTURE_INVALIDATED;
            s->capture->graph->nodes.push_back({std::move(name), std::move(work)});
            s->sequence++;
            s->unjoined = s->forked;
            return SUCCESS;
        }
        // The null stream waits for every blocking stream, so it cannot be used while one is captured.
        if (s == s->context->null_stream)
            for (const auto& c : captures)
                if (!c->origin->non_blocking && c->origin->context == s->context)
                    return invalidate(c, CAPTURE_IMPLICIT);
    }
    return finish(work());
}

}  // namespace sim

API int sim_submit(void* stream, const char* name, const std::function<void()>* work) {
    NEED_CONTEXT();
    return submit(stream, name, [name = std::string(name), work = *work] {
        return run_as_kernel(name.c_str(), [&] {
            work();
            return true;
        });
    });
}

API int sim_is_capturing(void* stream) { return captured_graph(stream) != nullptr; }

// ---- streams ----------------------------------------------------------------------------------------

API int cuStreamCreateWithPriority(void** stream, unsigned flags, int priority) {
    NEED_CONTEXT();
    if (flags > 1) return INVALID_VALUE;
    auto s = std::make_shared<Stream>();
    s->context = current_context();
    s->non_blocking = flags & 1;
    s->priority = priority;
    *stream = streams.add(s);
    return SUCCESS;
}

API int cuStreamCreate(void** stream, unsigned flags) { return cuStreamCreateWithPriority(stream, flags, 0); }

API int cuCtxGetStreamPriorityRange(int* least, int* greatest) {
    NEED_CONTEXT();
    if (least) *least = 0;
    if (greatest) *greatest = -5;
    return SUCCESS;
}

API int cuStreamDestroy_v2(void* stream) {
    NEED_CONTEXT();
    auto s = streams.get(stream);
    if (int e = forbid_on(s)) return e;
    streams.take(stream);
    return SUCCESS;
}

API int cuStreamSynchronize(void* stream) {
    NEED_CONTEXT();
    auto s = find_stream(stream);
    if (int e = forbid_on(s)) return e;
    int device = s->context->device;
    trim_pool(device, pool_use(device).threshold);
    return SUCCESS;
}

API int cuStreamQuery(void* stream) {
    NEED_CONTEXT();
    return forbid_on(find_stream(stream));
}

API int cuStreamGetCtx(void* stream, void** context) {
    NEED_CONTEXT();
    auto s = find_stream(stream);
    if (!s) return INVALID_HANDLE;
    *context = s->context;
    return SUCCESS;
}

API int cuLaunchHostFunc(void* stream, void (*function)(void*), void* data) {
    NEED_CONTEXT();
    return submit(stream, "host function", [=]() -> int {
        function(data);
        return SUCCESS;
    });
}

// ---- events -----------------------------------------------------------------------------------------

API int cuEventCreate(void** event, unsigned flags) {
    NEED_CONTEXT();
    auto e = std::make_shared<Event>();
    e->context = current_context();
    e->timed = !(flags & 2);
    *event = events.add(e);
    return SUCCESS;
}

API int cuEventDestroy_v2(void* event) {
    NEED_CONTEXT();
    return events.take(event) ? SUCCESS : INVALID_HANDLE;
}

API int cuEventRecord(void* event, void* stream) {
    NEED_CONTEXT();
    auto e = events.get(event);
    auto s = find_stream(stream);
    if (!e || !s || e->context != s->context) return INVALID_HANDLE;
    std::lock_guard<std::mutex> guard(capture_lock);
    if (s->capture && s->capture->invalid) return CAPTURE_INVALIDATED;
    e->capture = s->capture;
    e->stream = s->capture ? s : nullptr;
    e->sequence = s->sequence;
    e->recorded = true;
    e->time = Clock::now();
    return SUCCESS;
}

API int cuStreamWaitEvent(void* stream, void* event, unsigned) {
    NEED_CONTEXT();
    auto s = find_stream(stream);
    auto e = events.get(event);
    if (!s || !e) return INVALID_HANDLE;
    std::lock_guard<std::mutex> guard(capture_lock);
    if (!e->recorded) return SUCCESS;
    if (!e->capture || !active(e->capture))  // recorded outside, or in a capture that has ended
        return s->capture ? invalidate(s->capture, CAPTURE_ISOLATION) : int(SUCCESS);
    if (s->capture && s->capture != e->capture) return invalidate(s->capture, CAPTURE_ISOLATION);
    if (s == s->context->null_stream) return invalidate(e->capture, CAPTURE_IMPLICIT);
    if (!s->capture) {
        s->capture = e->capture;
        s->forked = s->unjoined = true;
        s->capture->streams.push_back(s);
    } else if (e->stream != s && e->sequence == e->stream->sequence) {
        e->stream->unjoined = false;
    }
    return SUCCESS;
}

static int event_status(void* event) {
    NEED_CONTEXT();
    auto e = events.get(event);
    if (!e) return INVALID_HANDLE;
    std::lock_guard<std::mutex> guard(capture_lock);
    return e->capture && active(e->capture) ? invalidate(e->capture, CAPTURED_EVENT) : int(SUCCESS);
}
API int cuEventSynchronize(void* event) { return event_status(event); }
API int cuEventQuery(void* event) { return event_status(event); }

static int elapsed(float* milliseconds, void* start, void* end) {
    NEED_CONTEXT();
    auto a = events.get(start), b = events.get(end);
    if (!a || !b || !a->recorded || !b->recorded || !a->timed || !b->timed || a->capture || b->capture) return INVALID_HANDLE;
    *milliseconds = std::chrono::duration<float, std::milli>(b->time - a->time).count();
    return SUCCESS;
}
API int cuEventElapsedTime(float* ms, void* start, void* end) { return elapsed(ms, start, end); }
API int cuEventElapsedTime_v2(float* ms, void* start, void* end) { return elapsed(ms, start, end); }

// ---- capture ----------------------------------------------------------------------------------------

API int cuThreadExchangeStreamCaptureMode(int* mode) {
    if (*mode < GLOBAL || *mode > RELAXED) return INVALID_VALUE;
    std::swap(*mode, thread_mode);
    return SUCCESS;
}

API int cuStreamBeginCapture_v2(void* stream, int mode) {
    NEED_CONTEXT();
    if (uintptr_t(stream) <= 2) return CAPTURE_UNSUPPORTED;
    if (mode < GLOBAL || mode > RELAXED) return INVALID_VALUE;
    auto s = streams.get(stream);
    if (!s) return INVALID_HANDLE;
    std::lock_guard<std::mutex> guard(capture_lock);
    if (s->capture) return ILLEGAL_STATE;
    auto c = std::make_shared<Capture>();
    c->id = next_capture++;
    c->mode = mode;
    c->thread = pthread_self();
    c->origin = s.get();
    c->streams.push_back(s);
    s->capture = c;
    s->forked = s->unjoined = false;
    captures.push_back(c);
    return SUCCESS;
}

API int cuStreamEndCapture(void* stream, void** graph) {
    NEED_CONTEXT();
    if (graph) *graph = nullptr;
    auto s = find_stream(stream);
    if (!s) return INVALID_HANDLE;
    std::shared_ptr<Capture> c;
    bool unjoined = false;
    {
        std::lock_guard<std::mutex> guard(capture_lock);
        c = s->capture;
        if (!c) return ILLEGAL_STATE;
        if (c->origin != s.get()) return invalidate(c, CAPTURE_UNMATCHED);
        if (c->mode != RELAXED && !pthread_equal(c->thread, pthread_self())) return CAPTURE_WRONG_THREAD;
        for (const auto& other : c->streams) {
            unjoined = unjoined || other->unjoined;
            other->capture = nullptr;
            other->forked = other->unjoined = false;
        }
        for (size_t i = 0; i < captures.size(); i++)
            if (captures[i] == c) captures.erase(captures.begin() + long(i));
    }
    if (c->invalid) return CAPTURE_INVALIDATED;
    if (unjoined) return CAPTURE_UNJOINED;
    if (graph) *graph = graphs.add(c->graph);
    return SUCCESS;
}

static int capture_info(void* stream, int* status, uint64_t* id, void** graph) {
    NEED_CONTEXT();
    auto s = find_stream(stream);
    if (!s) return INVALID_HANDLE;
    std::lock_guard<std::mutex> guard(capture_lock);
    *status = !s->capture ? 0 : s->capture->invalid ? 2 : 1;
    if (id && s->capture) *id = s->capture->id;
    if (graph && s->capture) *graph = s->capture->graph.get();
    return SUCCESS;
}
API int cuStreamIsCapturing(void* stream, int* status) { return capture_info(stream, status, nullptr, nullptr); }
API int cuStreamGetCaptureInfo_v2(void* stream, int* status, uint64_t* id, void** graph, const void**, size_t* count) {
    if (count) *count = 0;
    return capture_info(stream, status, id, graph);
}
API int cuStreamGetCaptureInfo_v3(void* stream, int* status, uint64_t* id, void** graph, const void**, const void**, size_t* count) {
    if (count) *count = 0;
    return capture_info(stream, status, id, graph);
}

// ---- graphs -----------------------------------------------------------------------------------------

API int cuGraphInstantiateWithFlags(void** executable, void* graph, unsigned long long) {
    NEED_CONTEXT();
    auto g = graphs.get(graph);
    if (!g) return INVALID_VALUE;
    auto e = std::make_shared<Executable>();
    e->nodes = g->nodes;
    e->memory = g->memory;
    *executable = executables.add(e);
    return SUCCESS;
}
API int cuGraphInstantiate(void** executable, void* graph, unsigned long long flags) {
    return cuGraphInstantiateWithFlags(executable, graph, flags);
}

API int cuGraphLaunch(void* executable, void* stream) {
    NEED_CONTEXT();
    auto e = executables.get(executable);
    if (!e) return INVALID_VALUE;
    return submit(stream, "graph", [e] { return run_nodes(e->nodes); });
}

API int cuGraphUpload(void* executable, void* stream) {
    NEED_CONTEXT();
    if (!find_stream(stream)) return INVALID_HANDLE;
    return executables.get(executable) ? SUCCESS : INVALID_VALUE;
}

API int cuGraphExecDestroy(void* executable) {
    NEED_CONTEXT();
    return executables.take(executable) ? SUCCESS : INVALID_VALUE;
}

API int cuGraphDestroy(void* graph) {
    NEED_CONTEXT();
    return graphs.take(graph) ? SUCCESS : INVALID_VALUE;
}

API int cuGraphGetNodes(void* graph, void** nodes, size_t* count) {
    auto g = graphs.get(graph);
    if (!g) return INVALID_VALUE;
    if (nodes)
        for (size_t i = 0; i < *count; i++) nodes[i] = i < g->nodes.size() ? &g->nodes[i] : nullptr;
    *count = nodes ? std::min(*count, g->nodes.size()) : g->nodes.size();
    return SUCCESS;
}
