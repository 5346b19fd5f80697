// A stand-in NCCL: every message is a file in a folder that the id names, so that processes and threads meet alike. Work is done when
// the call returns, or at the end of its group. What comes must be as long as what is awaited; who waits longer than a minute
// gets an error, where NCCL would wait for good.
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "library.h"

extern "C" int cuCtxGetDevice(int* device);

namespace {

using namespace sim;

enum Status { SUCCESS = 0, UNHANDLED_CUDA_ERROR = 1, SYSTEM_ERROR = 2, INVALID_ARGUMENT = 4, INVALID_USAGE = 5, REMOTE_ERROR = 6 };

struct Id {
    char text[128];
};

struct Comm {
    std::string folder;
    int rank, size;
    std::map<int, long> sent, received;  // messages so far, by peers
};

struct Work {
    bool sends;
    void* p;
    size_t bytes;
    int peer;
    Comm* comm;
};

thread_local int depth = 0;
thread_local std::vector<Work> grouped;

// Messages of the rank that SIM_NCCL_SILENT names are lost.
bool lost(const Comm& c) {
    static const char* silent = getenv("SIM_NCCL_SILENT");
    return silent && atoi(silent) == c.rank;
}

// Folders that this process made: they go when it ends.
std::mutex made_lock;
std::vector<std::string>& made = *new std::vector<std::string>;

struct Cleanup {
    ~Cleanup() {
        for (const std::string& folder : made) {
            if (DIR* d = opendir(folder.c_str())) {
                while (dirent* e = readdir(d)) unlink((folder + "/" + e->d_name).c_str());
                closedir(d);
            }
            rmdir(folder.c_str());
        }
    }
} cleanup;

bool write_file(const std::string& folder, const std::string& name, const void* p, size_t bytes) {
    std::string hidden = folder + "/." + name;
    FILE* f = fopen(hidden.c_str(), "wb");
    if (!f) return false;
    bool done = fwrite(p, 1, bytes, f) == bytes;
    done &= fclose(f) == 0;
    return done && rename(hidden.c_str(), (folder + "/" + name).c_str()) == 0;
}

// The file, once it is there.
bool read_file(const std::string& folder, const std::string& name, std::vector<char>* into) {
    std::string path = folder + "/" + name;
    auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (true) {
        if (FILE* f = fopen(path.c_str(), "rb")) {
            struct stat s;
            bool done = fstat(fileno(f), &s) == 0;
            into->resize(done ? size_t(s.st_size) : 0);
            done = done && fread(into->data(), 1, into->size(), f) == into->size();
            fclose(f);
            return done;
        }
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
}

std::string message(int from, int to, long number) {
    return "message-" + std::to_string(from) + "-" + std::to_string(to) + "-" + std::to_string(number);
}

int carry_out(const std::vector<Work>& all) {
    for (const Work& w : all) {
        if (!w.sends) continue;
        Comm& c = *w.comm;
        if (lost(c)) continue;
        if (!write_file(c.folder, message(c.rank, w.peer, c.sent[w.peer]++), w.p, w.bytes)) return SYSTEM_ERROR;
    }
    for (const Work& w : all) {
        if (w.sends) continue;
        Comm& c = *w.comm;
        std::string name = message(w.peer, c.rank, c.received[w.peer]++);
        std::vector<char> bytes;
        if (!read_file(c.folder, name, &bytes)) return REMOTE_ERROR;
        unlink((c.folder + "/" + name).c_str());
        if (bytes.size() != w.bytes) {
            fprintf(stderr, "stand-in: NCCL: %zu bytes came from rank %d where %zu are awaited\n", bytes.size(), w.peer, w.bytes);
            return INVALID_USAGE;
        }
        memcpy(w.p, bytes.data(), w.bytes);
    }
    return SUCCESS;
}

// Checks a block, and the stream on which the work is to run: a capture is refused.
int check(const char* call, const void* p, size_t bytes, Comm* comm, void* stream) {
    if (!comm) return INVALID_ARGUMENT;
    if (sim_context_status()) return UNHANDLED_CUDA_ERROR;
    if (sim_is_capturing(stream)) return INVALID_USAGE;
    if (!all_on_device(call, {{p, int64_t(bytes), 1}})) return INVALID_ARGUMENT;
    return SUCCESS;
}

// Bytes of a type of nccl.h; 0 for one that there is not.
size_t width(int type) {
    static const size_t widths[] = {1, 1, 4, 4, 8, 8, 2, 4, 8, 2};
    return type >= 0 && type < 10 ? widths[type] : 0;
}

int submit(const char* call, Work w, int type, void* stream) {
    size_t of = width(type);
    if (!of) return INVALID_ARGUMENT;
    w.bytes *= of;
    if (int e = check(call, w.p, w.bytes, w.comm, stream)) return e;
    if (w.peer < 0 || w.peer >= w.comm->size) return INVALID_ARGUMENT;
    if (depth) {
        grouped.push_back(w);
        return SUCCESS;
    }
    return carry_out({w});
}

}  // namespace

API const char* ncclGetErrorString(int status) {
    switch (status) {
        case SUCCESS: return "no error";
        case UNHANDLED_CUDA_ERROR: return "unhandled cuda error";
        case SYSTEM_ERROR: return "unhandled system error";
        case INVALID_ARGUMENT: return "invalid argument";
        case INVALID_USAGE: return "invalid usage";
        case REMOTE_ERROR: return "remote process exited or there was a network error";
        default: return "unknown result code";
    }
}

API int ncclGetUniqueId(Id* id) {
    if (!id) return INVALID_ARGUMENT;
    const char* tmp = getenv("TMPDIR");
    std::string folder = std::string(tmp ? tmp : "/tmp") + "/stand-in-nccl-XXXXXX";
    if (folder.size() >= sizeof id->text || !mkdtemp(folder.data())) return SYSTEM_ERROR;
    std::lock_guard<std::mutex> guard(made_lock);
    made.push_back(folder);
    memset(id->text, 0, sizeof id->text);
    memcpy(id->text, folder.c_str(), folder.size());
    return SUCCESS;
}

API int ncclCommInitRank(Comm** comm, int size, Id id, int rank) {
    if (!comm || size < 1 || rank < 0 || rank >= size || strnlen(id.text, sizeof id.text) == sizeof id.text) return INVALID_ARGUMENT;
    if (sim_context_status()) return UNHANDLED_CUDA_ERROR;
    int device = -1;
    if (cuCtxGetDevice(&device)) return UNHANDLED_CUDA_ERROR;
    std::string folder = id.text;
    auto here = [](int r) { return "rank-" + std::to_string(r); };
    if (!write_file(folder, here(rank), &device, sizeof device)) return SYSTEM_ERROR;
    for (int r = 0; r < size; r++) {
        std::vector<char> other;
        if (!read_file(folder, here(r), &other)) return REMOTE_ERROR;
        int theirs = -1;
        if (other.size() == sizeof theirs) memcpy(&theirs, other.data(), sizeof theirs);
        if (r != rank && theirs == device) {
            fprintf(stderr, "stand-in: NCCL: duplicate GPU: ranks %d and %d have device %d\n", rank, r, device);
            return INVALID_USAGE;
        }
    }
    *comm = new Comm{folder, rank, size, {}, {}};
    return SUCCESS;
}

API int ncclCommDestroy(Comm* comm) {
    if (!comm) return INVALID_ARGUMENT;
    delete comm;
    return SUCCESS;
}
API int ncclCommAbort(Comm* comm) { return ncclCommDestroy(comm); }

API int ncclCommGetAsyncError(Comm* comm, int* status) {
    if (!comm || !status) return INVALID_ARGUMENT;
    *status = SUCCESS;
    return SUCCESS;
}

API int ncclGroupStart() {
    depth++;
    return SUCCESS;
}

API int ncclGroupEnd() {
    if (!depth) return INVALID_USAGE;
    if (--depth) return SUCCESS;
    std::vector<Work> all;
    std::swap(all, grouped);
    return carry_out(all);
}

API int ncclSend(const void* p, size_t count, int type, int peer, Comm* comm, void* stream) {
    return submit("ncclSend", {true, const_cast<void*>(p), count, peer, comm}, type, stream);
}

API int ncclRecv(void* p, size_t count, int type, int peer, Comm* comm, void* stream) {
    return submit("ncclRecv", {false, p, count, peer, comm}, type, stream);
}

API int ncclBroadcast(const void* from, void* to, size_t count, int type, int root, Comm* comm, void* stream) {
    size_t bytes = count * width(type);
    if (int e = check("ncclBroadcast", to, bytes, comm, stream)) return e;
    if (root < 0 || root >= comm->size || !width(type)) return INVALID_ARGUMENT;
    std::vector<Work> all;
    if (comm->rank != root) {
        all.push_back({false, to, bytes, root, comm});
    } else {
        if (int e = check("ncclBroadcast", from, bytes, comm, stream)) return e;
        for (int r = 0; r < comm->size; r++)
            if (r != root) all.push_back({true, const_cast<void*>(from), bytes, r, comm});
        if (from != to) memcpy(to, from, bytes);
    }
    return carry_out(all);
}

API int ncclAllGather(const void* from, void* to, size_t count, int type, Comm* comm, void* stream) {
    size_t bytes = count * width(type);
    if (int e = check("ncclAllGather", from, bytes, comm, stream)) return e;
    if (!width(type)) return INVALID_ARGUMENT;
    if (int e = check("ncclAllGather", to, bytes * size_t(comm->size), comm, stream)) return e;
    std::vector<Work> all;
    char* start = static_cast<char*>(to);
    for (int r = 0; r < comm->size; r++) {
        char* place = start + bytes * size_t(r);
        if (r == comm->rank) {
            if (place != from) memcpy(place, from, bytes);
            continue;
        }
        all.push_back({true, const_cast<void*>(from), bytes, r, comm});
        all.push_back({false, place, bytes, r, comm});
    }
    return carry_out(all);
}
