//! Compiles CUDA C++ at run time, with NVRTC.
//!
//! The result is machine code for one architecture (CUBIN), so that the driver has nothing left to
//! do; for a GPU that is newer than the compiler it is PTX, which the driver finishes.

use super::program_cache;
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::context::{Gpu, Module};
use crate::gpu::libraries::{Library, require};
use cudarc::nvrtc::sys::{self, nvrtcResult};
use std::ffi::{CString, c_char, c_int};
use std::ptr::{null, null_mut};
use std::thread;

/// The options besides the architecture. Line numbers cost nothing and let NVIDIA's tools name the
/// line at fault.
const OPTIONS: [&str; 3] = ["--std=c++17", "-lineinfo", "--fmad=true"];

/// As much as a main thread usually has.
const STACK: usize = 8 << 20;

impl Gpu {
    /// Compiles and loads a program; whoever calls keeps the result.
    pub(crate) fn module(&'static self, op: &'static str, text: &str) -> Result<Module> {
        let image = compile(op, self.capability(), text)?;
        self.load(op, &image)
    }
}

/// Compiles a complete program for GPUs of this compute capability, or finds it on the disk.
pub(crate) fn compile(op: &'static str, capability: (u32, u32), text: &str) -> Result<Vec<u8>> {
    require(op, Library::Nvrtc)?;
    let (major, minor) = version(op)?;
    let architecture = architecture(op, capability, &supported(op)?, (major, minor))?;
    // Another NVRTC of the same version, such as one of the user's own folder, may compile
    // differently.
    let folder = std::env::var_os("TAPEGRAD_CUDA_PATH").unwrap_or_default();
    let recipe =
        format!("NVRTC {major}.{minor} {}\n{architecture} {}\n", folder.display(), OPTIONS.join(" "));
    if let Some(image) = program_cache::find(&recipe, text) {
        return Ok(image);
    }
    let image = build(op, &architecture, text)?;
    program_cache::keep(&recipe, text, &image);
    Ok(image)
}

/// What to compile for: `sm_90` is machine code, `compute_90` is PTX.
fn architecture(
    op: &'static str,
    (major, minor): (u32, u32),
    supported: &[u32],
    nvrtc: (u32, u32),
) -> Result<String> {
    let wanted = 10 * major + minor;
    if supported.contains(&wanted) {
        return Ok(format!("sm_{wanted}"));
    }
    if let Some(nearest) = supported.iter().filter(|a| **a < wanted).max() {
        return Ok(format!("compute_{nearest}"));
    }
    let oldest = supported.iter().min().copied().unwrap_or(0);
    let message = format!(
        "NVRTC {}.{} does not compile for a GPU of compute capability {major}.{minor}, only for {}.{} and \
         later; install one of an earlier CUDA (`pip install nvidia-cuda-nvrtc-cu12`)",
        nvrtc.0,
        nvrtc.1,
        oldest / 10,
        oldest % 10
    );
    Err(Error::new(ErrorKind::Device, op, message))
}

fn version(op: &'static str) -> Result<(u32, u32)> {
    let (mut major, mut minor) = (0, 0);
    // SAFETY: NVRTC is loaded, and both are written.
    check(op, "nvrtcVersion", unsafe { sys::nvrtcVersion(&mut major, &mut minor) })?;
    Ok((major as u32, minor as u32))
}

/// The architectures that NVRTC compiles for, 90 for `sm_90`.
fn supported(op: &'static str) -> Result<Vec<u32>> {
    let mut count = 0;
    // SAFETY: NVRTC is loaded, and `count` is written.
    check(op, "nvrtcGetNumSupportedArchs", unsafe { sys::nvrtcGetNumSupportedArchs(&mut count) })?;
    let mut supported: Vec<c_int> = vec![0; count.max(0) as usize];
    // SAFETY: as many are written as NVRTC has just said.
    check(op, "nvrtcGetSupportedArchs", unsafe { sys::nvrtcGetSupportedArchs(supported.as_mut_ptr()) })?;
    Ok(supported.into_iter().map(|a| a as u32).collect())
}

/// Compiles on a thread of its own: NVRTC needs more stack than the caller may have.
fn build(op: &'static str, architecture: &str, text: &str) -> Result<Vec<u8>> {
    thread::scope(|scope| {
        let compiler = thread::Builder::new().stack_size(STACK);
        let result = compiler.spawn_scoped(scope, || build_here(op, architecture, text));
        result.ok().and_then(|thread| thread.join().ok()).unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Device, op, "no thread could be started to compile a CUDA program"))
        })
    })
}

fn build_here(op: &'static str, architecture: &str, text: &str) -> Result<Vec<u8>> {
    let bug =
        |what: String| Error::new(ErrorKind::Device, op, format!("{what}; this is a bug, please report it"));
    let c_string = |s: String| CString::new(s).map_err(|_| bug("a program holds a zero byte".into()));
    let target = format!("--gpu-architecture={architecture}");
    let options = std::iter::once(target.as_str()).chain(OPTIONS);
    let options: Vec<CString> = options.map(|o| c_string(o.into())).collect::<Result<_>>()?;
    let pointers: Vec<*const c_char> = options.iter().map(|o| o.as_ptr()).collect();

    let text = c_string(text.into())?;
    let program = Program::new(op, &text)?;
    // SAFETY: the program exists, and the options live until the call returns.
    let code = unsafe { sys::nvrtcCompileProgram(program.0, pointers.len() as c_int, pointers.as_ptr()) };
    let log = program.read(op, sys::nvrtcGetProgramLogSize, sys::nvrtcGetProgramLog).unwrap_or_default();
    let log = String::from_utf8_lossy(&log).trim_end_matches(['\0', '\n']).to_string();
    if code == nvrtcResult::NVRTC_ERROR_COMPILATION {
        return Err(bug(format!("a CUDA program does not compile for {architecture}:\n{log}")));
    }
    check(op, &format!("nvrtcCompileProgram for {architecture}: {log}"), code)?;
    if architecture.starts_with("sm_") {
        program.read(op, sys::nvrtcGetCUBINSize, sys::nvrtcGetCUBIN)
    } else {
        program.read(op, sys::nvrtcGetPTXSize, sys::nvrtcGetPTX)
    }
}

struct Program(sys::nvrtcProgram);

type Size = unsafe fn(sys::nvrtcProgram, *mut usize) -> nvrtcResult;
type Content = unsafe fn(sys::nvrtcProgram, *mut c_char) -> nvrtcResult;

impl Program {
    fn new(op: &'static str, text: &CString) -> Result<Program> {
        let mut program = null_mut();
        // SAFETY: NVRTC is loaded, copies the text and the name, and writes `program`.
        let code = unsafe {
            sys::nvrtcCreateProgram(&mut program, text.as_ptr(), c"tapegrad.cu".as_ptr(), 0, null(), null())
        };
        check(op, "nvrtcCreateProgram", code)?;
        Ok(Program(program))
    }

    /// One of the results, which NVRTC hands out as a size and a copy.
    fn read(&self, op: &'static str, size: Size, content: Content) -> Result<Vec<u8>> {
        let mut bytes = 0;
        // SAFETY: the program exists, and `bytes` is written.
        check(op, "the size of a result of NVRTC", unsafe { size(self.0, &mut bytes) })?;
        let mut result = vec![0; bytes];
        // SAFETY: `result` has the size that NVRTC has just named.
        check(op, "a result of NVRTC", unsafe { content(self.0, result.as_mut_ptr().cast()) })?;
        Ok(result)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: the program exists, and is destroyed once.
        _ = unsafe { sys::nvrtcDestroyProgram(&mut self.0) };
    }
}

fn check(op: &'static str, call: &str, code: nvrtcResult) -> Result<()> {
    let remedy = match code {
        nvrtcResult::NVRTC_SUCCESS => return Ok(()),
        nvrtcResult::NVRTC_ERROR_BUILTIN_OPERATION_FAILURE => {
            "; its file nvrtc-builtins is missing beside it: `pip install nvidia-cuda-nvrtc` has both"
        }
        nvrtcResult::NVRTC_ERROR_OUT_OF_MEMORY => "; the host has no memory left",
        _ => "",
    };
    Err(Error::new(ErrorKind::Device, op, format!("{call} failed with {code:?}{remedy}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_architecture_is_the_gpus_own_or_the_newest_that_it_runs() {
        let choose = |capability| architecture("test", capability, &[75, 80, 86, 90, 100], (13, 0));
        assert_eq!(choose((9, 0)).unwrap(), "sm_90");
        assert_eq!(choose((8, 9)).unwrap(), "compute_86");
        assert_eq!(choose((13, 1)).unwrap(), "compute_100");
        let e = choose((6, 1)).unwrap_err().to_string();
        assert!(e.contains("6.1") && e.contains("7.5 and later"), "{e}");
    }
}
