//! Files whose rows processes share, and memory that they share.

use crate::expect;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tapegrad::distributed::Group;
use tapegrad::linalg::least_squares_loss;
use tapegrad::{ErrorKind, Result, Tensor, rows, value_and_grad};

/// A folder that all processes see, and the first removes.
struct Folder(PathBuf, bool);

impl Folder {
    fn new(group: &Group, name: &str) -> Result<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let own = Tensor::from([i64::from(std::process::id()), number as i64]);
        let [id, number] = group.broadcast(&own, 0)?.to_vec()[..] else { unreachable!("two numbers") };
        let path = std::env::temp_dir().join(format!("tapegrad-{name}-{id}-{number}"));
        if group.rank() == 0 {
            std::fs::create_dir_all(&path)?;
        }
        group.barrier()?;
        Ok(Folder(path, group.rank() == 0))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.1 {
            _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

fn table(rows: usize, cols: usize) -> Result<Tensor> {
    Tensor::from_vec((0..rows * cols).map(|k| (k as f64 * 0.37).sin()).collect(), [rows, cols])
}

pub fn rows_of_files(group: &Group) -> Result<()> {
    let folder = Folder::new(group, "rows")?;
    let path = folder.0.join("a.npy");
    let a = table(103, 5)?;
    let shared = group.rows(103);
    shared.save_npy(&path, &shared.take(&a)?)?;
    expect!(Tensor::load_npy(&path)?.to_vec() == a.to_vec(), "the file is not what was written");
    let own = shared.load_npy::<f64>(&path)?;
    expect!(own.to_vec() == shared.take(&a)?.to_vec(), "other rows were read");
    // SAFETY: the processes write to the file no more.
    let mapped = unsafe { shared.map_npy::<f64>(&path)? };
    expect!(mapped.to_vec() == own.to_vec(), "other rows were mapped");
    drop(mapped);
    let e = group.rows(104).load_npy::<f64>(&path).unwrap_err();
    expect!(e.kind() == ErrorKind::Shape && e.to_string().contains("103 rows"), "{e}");
    group.barrier()?;
    // Not at all where one process cannot: the old file stays, and nothing else is left.
    let wrong = if group.rank() + 1 == group.size() { table(1, 5)? } else { shared.take(&a)? };
    let e = shared.save_npy(&path, &wrong).unwrap_err();
    expect!(group.rank() + 1 == group.size() || e.to_string().contains("failed"), "{e}");
    group.barrier()?;
    expect!(Tensor::load_npy(&path)?.to_vec() == a.to_vec(), "the old file is gone");
    let names = std::fs::read_dir(&folder.0)?.count();
    expect!(names == 1, "{names} files where one is expected");
    let e = shared.save_npy(folder.0.join("none/a.npy"), &shared.take(&a)?).unwrap_err();
    expect!(matches!(e.kind(), ErrorKind::File | ErrorKind::Group), "{e}");
    // A vector, and one array of several in a file.
    let y = a.select(1, 0)?.clone();
    shared.save_npy(folder.0.join("y.npy"), &shared.take(&y)?)?;
    let named = folder.0.join("both.safetensors");
    if group.rank() == 0 {
        tapegrad::save_safetensors(&named, [("y", &y), ("a", &a)])?;
    }
    group.barrier()?;
    let own = shared.load_safetensors::<f64>(&named, "a")?;
    expect!(own.to_vec() == shared.take(&a)?.to_vec(), "other rows of a safetensors file");
    group.barrier()
}

pub fn streams(group: &Group) -> Result<()> {
    let folder = Folder::new(group, "stream")?;
    let (a, y) = (table(1001, 6)?, table(1001, 1)?.reshape([1001])?);
    if group.rank() == 0 {
        a.save_npy(folder.0.join("a.npy"))?;
        y.save_npy(folder.0.join("y.npy"))?;
    }
    group.barrier()?;
    let (file_a, file_y) = (rows(folder.0.join("a.npy"))?, rows(folder.0.join("y.npy"))?);
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = seen.clone();
    let shared = group.rows(1001).with_block_rows(50);
    let data = shared.over([&file_a, &file_y])?.on_block(move |rows| {
        counter.fetch_add(rows.len(), Ordering::Relaxed);
    });
    let x = Tensor::full([6], 0.5);
    let (loss, g) = data.least_squares(&x)?;
    expect!(seen.load(Ordering::Relaxed) == shared.range().len(), "rows that were told");
    let (exact, slope) = value_and_grad(|x| least_squares_loss(&a, x, &y), &x)?;
    let off = (loss - exact).abs().item()? + (g - slope).abs().max()?.item()?;
    expect!(off < 1e-10, "streamed least squares off by {off:e}");
    let v = Tensor::ones([6]);
    let product = data.least_squares_hvp(&v)?;
    let whole = tapegrad::hvp(|x| least_squares_loss(&a, x, &y), &x, &v)?;
    let general = data.hvp(|x: &Tensor, p: &[Tensor]| least_squares_loss(&p[0], x, &p[1]), &x, &v)?;
    let off = (product - &whole).abs().max()?.item()? + (general - whole).abs().max()?.item()?;
    expect!(off < 1e-9, "streamed products off by {off:e}");
    // From files, and from memory, the same bits.
    let in_memory = shared.over([shared.take(&a)?, shared.take(&y)?])?.least_squares(&x)?;
    let again = data.least_squares(&x)?;
    expect!(in_memory.1.to_vec() == again.1.to_vec(), "other bits from the file");
    let e = group.rows(1000).over([&file_a]).err().map(|e| e.to_string()).unwrap_or_default();
    expect!(e.contains("[1001, 6]"), "{e}");
    group.barrier()?;
    // A file that is cut short meanwhile.
    if group.rank() == 0 {
        std::fs::OpenOptions::new().write(true).open(folder.0.join("a.npy"))?.set_len(200)?;
    }
    group.barrier()?;
    let e = data.least_squares(&x).err().map(|e| e.to_string()).unwrap_or_default();
    expect!(e.contains("cut short"), "{e}");
    group.barrier()
}

pub fn shared(group: &Group) -> Result<()> {
    if cfg!(not(target_os = "linux")) {
        return Ok(());
    }
    let machine = group.split_by_machine()?;
    let root = machine.size() - 1;
    let table = machine.share(root, || table(100, 7))?;
    expect!(table.to_vec() == self::table(100, 7)?.to_vec(), "other elements are shared");
    let mut own = table.clone();
    own += 1.0;
    machine.barrier()?;
    expect!(table.to_vec() == self::table(100, 7)?.to_vec(), "a copy was written to all");
    let flags = machine.share(0, || Ok(Tensor::from([true, false])))?;
    expect!(flags.to_vec() == [true, false], "truth values");
    let number = machine.share(0, || Ok(Tensor::scalar(3.5f32)))?;
    expect!(number.item()? == 3.5, "a scalar");
    let e = machine.share::<f64>(root, || Err(tapegrad::Error::other("no table"))).unwrap_err().to_string();
    expect!(e.contains("no table"), "{e}");
    // Nobody changes it, by whatever means: the system refuses.
    machine.barrier()
}
