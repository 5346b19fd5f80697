// Modules, functions and launches. A module's image is a shared object made by the stand-in NVRTC; an
// image is marked and checksummed in the ELF header's unused bytes, so that damage is refused.
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <deque>

#include "driver.h"
#include "fibers.h"
#include "image.h"
#include "memory.h"

using namespace sim;

namespace {

constexpr unsigned DEFAULT_SHARED = 48 << 10, MAX_SHARED = 232448, MAX_ARGUMENTS = 32764;
constexpr int REGISTERS = 32;  // what every function claims to need

struct Module {
    void* library = nullptr;
    int file = -1;  // stays open: the loader knows libraries by name, and the name holds this number
    std::vector<std::shared_ptr<struct Function>> functions;
    // Static shared arrays, by the kernel that declares them; those of other functions under "".
    std::unordered_map<std::string, std::vector<Span>> shared;
    ~Module() {
        if (library) dlclose(library);
        if (file >= 0) close(file);
    }
};

struct Function {
    std::shared_ptr<Module> module;
    std::string name;
    void (*run)(const void*);
    KernelInfo info;
    std::vector<Span> shared;
    size_t own_shared = 0;  // bytes of the kernel's own arrays
    unsigned max_dynamic = DEFAULT_SHARED;
};

Handles<Module>& modules = *new Handles<Module>;
Handles<Function>& functions = *new Handles<Function>;

std::mutex& launch_lock = *new std::mutex;
std::atomic<long> launches;
std::mutex& names_lock = *new std::mutex;
std::deque<std::string>& names = *new std::deque<std::string>;  // the latest

void note(const std::string& name) {
    std::lock_guard<std::mutex> guard(names_lock);
    names.push_back(name);
    if (names.size() > 64) names.pop_front();
}

// The image's bytes; empty if it is not what the stand-in NVRTC made. write() reads them, because it
// refuses an address that cannot be read instead of faulting.
std::vector<char> checked_image(const void* image, int* why) {
    *why = INVALID_IMAGE;
    ElfW(Ehdr) header;
    memcpy(&header, image, sizeof header);
    if (memcmp(header.e_ident, ELFMAG, SELFMAG)) return {};
    if (!is_marked(header.e_ident)) {
        *why = NO_BINARY_FOR_GPU;  // a cubin for a real GPU, for one
        return {};
    }
    size_t bytes = header.e_shoff + size_t(header.e_shnum) * header.e_shentsize;
    if (bytes < sizeof header || bytes > (size_t(64) << 20)) return {};
    int file = memfd_create("image", MFD_CLOEXEC);
    std::vector<char> copy(bytes);
    bool read = file >= 0 && write(file, image, bytes) == ssize_t(bytes) && pread(file, copy.data(), bytes, 0) == ssize_t(bytes);
    if (file >= 0) close(file);
    if (!read || !unmark(copy)) return {};
    return copy;
}

// Function-local statics in .bss are the shared arrays; _ZZ<length><function>E... names the function.
void find_shared(Module& m, const std::vector<char>& image) {
    link_map* map;
    dlinfo(m.library, RTLD_DI_LINKMAP, &map);
    auto header = reinterpret_cast<const ElfW(Ehdr)*>(image.data());
    auto sections = reinterpret_cast<const ElfW(Shdr)*>(image.data() + header->e_shoff);
    for (int i = 0; i < header->e_shnum; i++) {
        if (sections[i].sh_type != SHT_SYMTAB) continue;
        auto symbols = reinterpret_cast<const ElfW(Sym)*>(image.data() + sections[i].sh_offset);
        const char* text = image.data() + sections[sections[i].sh_link].sh_offset;
        for (size_t s = 0; s < sections[i].sh_size / sizeof *symbols; s++) {
            const ElfW(Sym)& symbol = symbols[s];
            const char* name = text + symbol.st_name;
            if (ELF64_ST_TYPE(symbol.st_info) != STT_OBJECT || strncmp(name, "_ZZ", 3)) continue;
            if (symbol.st_shndx >= header->e_shnum || sections[symbol.st_shndx].sh_type != SHT_NOBITS) continue;
            char* end;
            size_t length = strtoul(name + 3, &end, 10);
            std::string function(end, std::min(length, strlen(end)));
            bool kernel = end[function.size()] == 'E' && dlsym(m.library, (function + "_sim").c_str());
            m.shared[kernel ? function : ""].push_back({reinterpret_cast<unsigned char*>(map->l_addr + symbol.st_value), symbol.st_size});
        }
    }
}

int launch(const Function& f, Index grid, Index block, unsigned shared_bytes, const void* args) {
    launches++;
    Kernel k = {f.name.c_str(), f.run, &f.shared};
    return run_as_kernel(k.name, [&] { return run_grid(k, grid, block, shared_bytes, args); });
}

}  // namespace

int sim::run_as_kernel(const char* name, const std::function<bool()>& run) {
    std::lock_guard<std::mutex> guard(launch_lock);
    note(name);
    ensure_signal_stack();
    set_running(name);
    bool ok = run();
    set_running(nullptr);
    return ok ? SUCCESS : LAUNCH_FAILED;
}

// ---- modules ----------------------------------------------------------------------------------------

API int cuModuleLoadData(void** module, const void* image) {
    NEED_CONTEXT();
    if (!image) return INVALID_VALUE;
    if (int e = forbid_in_capture()) return e;
    int why;
    std::vector<char> bytes = checked_image(image, &why);
    if (bytes.empty()) return why;
    auto m = std::make_shared<Module>();
    m->file = memfd_create("module", MFD_CLOEXEC);
    if (m->file < 0 || write(m->file, bytes.data(), bytes.size()) != ssize_t(bytes.size())) return OUT_OF_MEMORY;
    std::string path = "/proc/self/fd/" + std::to_string(m->file);
    m->library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!m->library) {
        fprintf(stderr, "stand-in: %s\n", dlerror());
        return INVALID_IMAGE;
    }
    auto state_pointer = static_cast<State**>(dlsym(m->library, "sim_state"));
    if (!state_pointer) return INVALID_IMAGE;
    *state_pointer = &state;
    find_shared(*m, bytes);
    *module = modules.add(m);
    return SUCCESS;
}

API int cuModuleLoadDataEx(void** module, const void* image, unsigned, int*, void**) { return cuModuleLoadData(module, image); }

API int cuModuleUnload(void* module) {
    NEED_CONTEXT();
    auto m = modules.take(module);
    if (!m) return INVALID_HANDLE;
    for (const auto& f : m->functions) functions.take(f.get());
    m->functions.clear();  // they hold the module
    return SUCCESS;
}

API int cuModuleGetFunction(void** function, void* module, const char* name) {
    NEED_CONTEXT();
    auto m = modules.get(module);
    if (!m) return INVALID_HANDLE;
    if (!name) return INVALID_VALUE;
    static std::mutex& lock = *new std::mutex;
    std::lock_guard<std::mutex> guard(lock);
    for (const auto& f : m->functions)
        if (f->name == name) {
            *function = f.get();
            return SUCCESS;
        }
    // A kernel exports its description; any other symbol may be one of the C library's.
    auto info = static_cast<const KernelInfo*>(dlsym(m->library, (std::string(name) + "_sim").c_str()));
    auto run = reinterpret_cast<void (*)(const void*)>(dlsym(m->library, name));
    if (!info || !run) return NOT_FOUND;
    auto f = std::make_shared<Function>();
    f->module = m;
    f->name = name;
    f->run = run;
    f->info = *info;
    f->shared = m->shared[name];
    for (const Span& s : f->shared) f->own_shared += s.bytes;
    const auto& others = m->shared[""];
    f->shared.insert(f->shared.end(), others.begin(), others.end());
    m->functions.push_back(f);
    *function = functions.add(f);
    return SUCCESS;
}

// ---- functions --------------------------------------------------------------------------------------

API int cuFuncGetAttribute(int* value, int attribute, void* function) {
    NEED_CONTEXT();
    auto f = functions.get(function);
    if (!f) return INVALID_HANDLE;
    switch (attribute) {
        case 0: *value = int(std::min(f->info.max_threads, 1024u)); return SUCCESS;
        case 1: *value = int(f->own_shared); return SUCCESS;
        case 2: case 3: case 7: *value = 0; return SUCCESS;  // constant, local, cache mode
        case 4: *value = REGISTERS; return SUCCESS;
        case 5: case 6: *value = 90; return SUCCESS;  // PTX and binary version
        case 8: *value = int(f->max_dynamic); return SUCCESS;
        case 9: *value = -1; return SUCCESS;  // no preferred carve-out
        default: return INVALID_VALUE;
    }
}

API int cuFuncSetAttribute(void* function, int attribute, int value) {
    NEED_CONTEXT();
    auto f = functions.get(function);
    if (!f) return INVALID_HANDLE;
    switch (attribute) {
        case 8:
            if (value < 0 || size_t(value) + f->own_shared > MAX_SHARED) return INVALID_VALUE;
            f->max_dynamic = unsigned(value);
            return SUCCESS;
        case 9: return value >= -1 && value <= 100 ? SUCCESS : INVALID_VALUE;
        default: return INVALID_VALUE;
    }
}

API int cuFuncSetCacheConfig(void* function, int) { return functions.get(function) ? SUCCESS : INVALID_HANDLE; }

static int active_blocks(int* blocks, void* function, int threads, size_t dynamic) {
    NEED_CONTEXT();
    auto f = functions.get(function);
    if (!f) return INVALID_HANDLE;
    if (threads <= 0) return INVALID_VALUE;
    unsigned warps = (unsigned(threads) + 31) / 32;
    size_t shared = f->own_shared + dynamic;
    bool fits = unsigned(threads) <= f->info.max_threads && dynamic <= f->max_dynamic && shared <= MAX_SHARED;
    size_t most = std::min<size_t>({32, 64 / warps, 65536 / (REGISTERS * 32 * warps), 233472 / (shared + 1024)});
    *blocks = fits ? int(most) : 0;
    return SUCCESS;
}
API int cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void* function, int threads, size_t dynamic) {
    return active_blocks(blocks, function, threads, dynamic);
}
API int cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, void* function, int threads, size_t dynamic, unsigned) {
    return active_blocks(blocks, function, threads, dynamic);
}

// ---- launches ---------------------------------------------------------------------------------------

API int cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                       unsigned shared_bytes, void* stream, void** params, void** extra) {
    NEED_CONTEXT();
    auto f = functions.get(function);
    if (!f) return INVALID_HANDLE;
    if (extra) return NOT_SUPPORTED;
    if (!params || !params[0] || f->info.argument_bytes > MAX_ARGUMENTS) return INVALID_VALUE;
    if (!gx || !gy || !gz || !bx || !by || !bz) return INVALID_VALUE;
    if (gx > 2147483647 || gy > 65535 || gz > 65535 || bx > 1024 || by > 1024 || bz > 64) return INVALID_VALUE;
    if (uint64_t(bx) * by * bz > std::min(f->info.max_threads, 1024u)) return INVALID_VALUE;
    // Beyond 48 KiB in all, the launch needs the attribute.
    unsigned room = f->max_dynamic > DEFAULT_SHARED ? f->max_dynamic : unsigned(DEFAULT_SHARED - std::min<size_t>(f->own_shared, DEFAULT_SHARED));
    if (shared_bytes > room) return INVALID_VALUE;
    // Copied, as a launch may be recorded; the copy is aligned as a kernel's parameter is.
    struct alignas(16) Chunk {
        char bytes[16];
    };
    std::vector<Chunk> args((f->info.argument_bytes + 15) / 16);
    memcpy(args.data(), params[0], f->info.argument_bytes);
    Index grid = {gx, gy, gz}, block = {bx, by, bz};
    return submit(stream, f->name, [=] { return launch(*f, grid, block, shared_bytes, args.data()); });
}

struct LaunchConfig {
    unsigned grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes;
    void* stream;
    void* attributes;
    unsigned attribute_count;
};

API int cuLaunchKernelEx(const LaunchConfig* c, void* function, void** params, void** extra) {
    if (!c) return INVALID_VALUE;
    return cuLaunchKernel(function, c->grid_x, c->grid_y, c->grid_z, c->block_x, c->block_y, c->block_z, c->shared_bytes,
                          c->stream, params, extra);
}

// ---- for tests --------------------------------------------------------------------------------------

// Kernels run, those of graph replays included.
API long sim_launches() { return launches; }

API void sim_set_seed(long seed) {
    std::lock_guard<std::mutex> guard(launch_lock);
    set_seed(seed);
}

// The names of the latest kernels and library calls, oldest first, separated by commas. Returns the
// length without the final zero.
API size_t sim_last_kernel_names(char* text, size_t room) {
    std::lock_guard<std::mutex> guard(names_lock);
    std::string all;
    for (const auto& n : names) all += (all.empty() ? "" : ",") + n;
    if (room) {
        size_t n = std::min(all.size(), room - 1);
        memcpy(text, all.data(), n);
        text[n] = 0;
    }
    return all.size();
}
