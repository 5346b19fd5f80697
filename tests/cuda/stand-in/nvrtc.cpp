// The stand-in NVRTC: "compiles" a kernel source with g++ (or $CXX) against kernel.h, which lies beside
// this library, precompiled. The cubin is the bytes of the shared object.
#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>

#include "image.h"

#define API extern "C" __attribute__((visibility("default")))

namespace {

enum Result {
    SUCCESS = 0,
    PROGRAM_CREATION_FAILURE = 2,
    INVALID_INPUT = 3,
    INVALID_PROGRAM = 4,
    COMPILATION = 6,
    BUILTIN_OPERATION_FAILURE = 7,
    NO_NAME_EXPRESSIONS_AFTER_COMPILATION = 8,
    NO_LOWERED_NAMES_BEFORE_COMPILATION = 9,
    NAME_EXPRESSION_NOT_VALID = 10,
};

struct Program {
    std::string source, name, log;
    std::set<std::string> expressions;
    std::vector<char> image;
    bool compiled = false;
};

using Arguments = std::vector<std::string>;

// A folder of its own for each compilation, gone with everything the compiler left in it.
struct Folder {
    std::string path;
    Folder() {
        const char* base = getenv("TMPDIR");
        path = std::string(base && *base ? base : "/tmp") + "/stand-in-XXXXXX";
        if (!mkdtemp(path.data())) path.clear();
    }
    ~Folder() {
        std::error_code ignored;
        if (!path.empty()) std::filesystem::remove_all(path, ignored);
    }
};

std::string library_folder() {
    Dl_info info = {};
    static const char here = 0;
    dladdr(&here, &info);
    return std::filesystem::absolute(info.dli_fname).parent_path().string();
}

// -DX, -D X and --define-macro=X; every other option speaks of a GPU.
Arguments definitions(int count, const char* const* options) {
    Arguments kept;
    for (int i = 0; i < count; i++) {
        std::string o = options[i];
        for (const char* prefix : {"--define-macro=", "--define-macro", "-D"}) {
            if (o.rfind(prefix, 0)) continue;
            o.erase(0, strlen(prefix));
            if (o.empty() && i + 1 < count) o = options[++i];
            kept.push_back("-D" + o);
            break;
        }
    }
    return kept;
}

// The compiler's exit code; what it prints goes to the log file.
int run_compiler(const Arguments& arguments, const std::string& folder, const std::string& log) {
    std::vector<char*> argv, env;
    for (const auto& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    std::string temporary = "TMPDIR=" + folder, language = "LC_ALL=C";
    for (char** e = environ; *e; e++)
        if (strncmp(*e, "TMPDIR=", 7) && strncmp(*e, "LC_ALL=", 7)) env.push_back(*e);
    env.insert(env.end(), {temporary.data(), language.data(), nullptr});

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    pid_t child;
    int failed = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), env.data());
    posix_spawn_file_actions_destroy(&actions);
    if (failed) return -1;
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

Result compile(Program& p, int count, const char* const* options) {
    Folder folder;
    if (folder.path.empty()) return BUILTIN_OPERATION_FAILURE;
    std::string source = folder.path + "/kernel.cu", object = folder.path + "/kernel.so", log = folder.path + "/log";
    std::ofstream(source) << "#line 1 \"" << p.name << "\"\n" << p.source;

    Arguments arguments;
    const char* compiler = getenv("CXX");
    std::istringstream words(compiler && *compiler ? compiler : "g++");
    for (std::string w; words >> w;) arguments.push_back(w);
    std::string here = library_folder();
    std::istringstream flags(STAND_IN_KERNEL_FLAGS);  // from build.sh: those of the precompiled header
    for (std::string w; flags >> w;) arguments.push_back(w);
    for (const auto& d : definitions(count, options)) arguments.push_back(d);
    // Bsymbolic: a kernel's own functions come before the C library's of the same name. defs: none may be missing.
    for (const char* a : {"-shared", "-nostartfiles", "-nodefaultlibs", "-Wl,-Bsymbolic", "-Wl,-z,defs", "-pipe", "-include"})
        arguments.push_back(a);
    arguments.insert(arguments.end(), {here + "/kernel.h", "-x", "c++", source, "-o", object, "-lm", "-lc", "-lgcc"});

    int code = run_compiler(arguments, folder.path, log);
    p.log = read_file(log);
    if (code < 0) p.log += "the stand-in NVRTC could not run " + arguments[0] + "\n";
    if (code != 0) return COMPILATION;
    std::string image = read_file(object);
    p.image.assign(image.begin(), image.end());
    sim::mark(p.image);
    return SUCCESS;
}

Program* of(void* program) { return static_cast<Program*>(program); }

}  // namespace

API int nvrtcVersion(int* major, int* minor) {
    *major = 13;
    *minor = 0;
    return SUCCESS;
}

API int nvrtcGetNumSupportedArchs(int* count) {
    *count = 3;
    return SUCCESS;
}

API int nvrtcGetSupportedArchs(int* archs) {
    archs[0] = 80;
    archs[1] = 90;
    archs[2] = 100;
    return SUCCESS;
}

API int nvrtcCreateProgram(void** program, const char* source, const char* name, int headers, const char* const*, const char* const*) {
    if (!program || !source) return INVALID_INPUT;
    if (headers) return PROGRAM_CREATION_FAILURE;  // kernel sources include nothing
    auto p = new Program;
    p->source = source;
    p->name = name ? name : "default_program";
    *program = p;
    return SUCCESS;
}

API int nvrtcDestroyProgram(void** program) {
    if (!program || !*program) return INVALID_PROGRAM;
    delete of(*program);
    *program = nullptr;
    return SUCCESS;
}

API int nvrtcAddNameExpression(void* program, const char* name) {
    if (!program) return INVALID_PROGRAM;
    if (of(program)->compiled) return NO_NAME_EXPRESSIONS_AFTER_COMPILATION;
    of(program)->expressions.insert(name);
    return SUCCESS;
}

// Kernels are extern "C": a name is its own lowered form.
API int nvrtcGetLoweredName(void* program, const char* name, const char** lowered) {
    if (!program) return INVALID_PROGRAM;
    if (!of(program)->compiled) return NO_LOWERED_NAMES_BEFORE_COMPILATION;
    auto i = of(program)->expressions.find(name);
    if (i == of(program)->expressions.end()) return NAME_EXPRESSION_NOT_VALID;
    *lowered = i->c_str();
    return SUCCESS;
}

API int nvrtcCompileProgram(void* program, int count, const char* const* options) {
    if (!program) return INVALID_PROGRAM;
    of(program)->compiled = true;
    return compile(*of(program), count, options);
}

static int image_size(void* program, size_t* bytes) {
    if (!program) return INVALID_PROGRAM;
    *bytes = of(program)->image.size();
    return *bytes ? SUCCESS : INVALID_PROGRAM;
}

static int image(void* program, char* bytes) {
    if (!program || of(program)->image.empty()) return INVALID_PROGRAM;
    std::copy(of(program)->image.begin(), of(program)->image.end(), bytes);
    return SUCCESS;
}

API int nvrtcGetCUBINSize(void* program, size_t* bytes) { return image_size(program, bytes); }
API int nvrtcGetCUBIN(void* program, char* bytes) { return image(program, bytes); }
// There is no PTX; the same image serves, because the driver loads nothing else.
API int nvrtcGetPTXSize(void* program, size_t* bytes) { return image_size(program, bytes); }
API int nvrtcGetPTX(void* program, char* bytes) { return image(program, bytes); }

API int nvrtcGetProgramLogSize(void* program, size_t* bytes) {
    if (!program) return INVALID_PROGRAM;
    *bytes = of(program)->log.size() + 1;
    return SUCCESS;
}

API int nvrtcGetProgramLog(void* program, char* log) {
    if (!program) return INVALID_PROGRAM;
    memcpy(log, of(program)->log.c_str(), of(program)->log.size() + 1);
    return SUCCESS;
}

API const char* nvrtcGetErrorString(int result) {
    switch (result) {
        case SUCCESS: return "NVRTC_SUCCESS";
        case PROGRAM_CREATION_FAILURE: return "NVRTC_ERROR_PROGRAM_CREATION_FAILURE";
        case INVALID_INPUT: return "NVRTC_ERROR_INVALID_INPUT";
        case INVALID_PROGRAM: return "NVRTC_ERROR_INVALID_PROGRAM";
        case COMPILATION: return "NVRTC_ERROR_COMPILATION";
        case BUILTIN_OPERATION_FAILURE: return "NVRTC_ERROR_BUILTIN_OPERATION_FAILURE";
        case NO_NAME_EXPRESSIONS_AFTER_COMPILATION: return "NVRTC_ERROR_NO_NAME_EXPRESSIONS_AFTER_COMPILATION";
        case NO_LOWERED_NAMES_BEFORE_COMPILATION: return "NVRTC_ERROR_NO_LOWERED_NAMES_BEFORE_COMPILATION";
        case NAME_EXPRESSION_NOT_VALID: return "NVRTC_ERROR_NAME_EXPRESSION_NOT_VALID";
        default: return "NVRTC_ERROR unknown";
    }
}
