//! The run directory.
//!
//! `steps/000012.state`: values of the state after step 12, i64 LE, tensors in order of declaration, then their BLAKE3
//! under a key of the run and with the step, so that no other file takes its place; `steps/000012.root`: root of its oracle; `secret/run.key`: 32 random bytes from which state salts are derived;
//! `openings.json`: how often each tree was opened ([`crate::openings`]). Every file is written whole or not at all.
//! `secret/` and `steps/` have mode 0700, their files and the record of openings 0600; so have `release/` and its files where
//! the adapter is hidden.

use crate::RunError;
use crate::openings::{Opening, Openings};
use std::fs::{self, TryLockError};
use std::io::{ErrorKind, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// A run directory, in which no other process works while this value or a clone of it lives.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    /// Handle with the lock on `secret/`; the kernel releases it when the process ends, however it ends.
    _lock: Arc<fs::File>,
}

/// Ending of a file that is being written. What still has it when a run is opened is left over from a crash.
const PARTIAL: &str = ".partial";
/// Folders of a run, and the run's own.
const FOLDERS: [&str; 6] = ["", STEPS, SECRET, "certificate", "certificate/proofs", RELEASE];
/// Folders that only the owner may enter.
const PRIVATE: [&str; 2] = [STEPS, SECRET];
const STEPS: &str = "steps";
const SECRET: &str = "secret";
const RELEASE: &str = "release";
const KEY: &str = "secret/run.key";
/// The record of openings.
const OPENINGS: &str = "openings.json";
/// What the key of the state files' digests is derived for.
const STATE_CONTEXT: &str = "veritune v1 digest of a state file";

/// A file under the name that it has until it is whole; removed when it is dropped before that.
struct Partial<'a> {
    path: &'a Path,
    partial: PathBuf,
    file: fs::File,
    is_whole: bool,
}

impl<'a> Partial<'a> {
    /// A new file: it follows no link and takes over no file's mode.
    fn create(path: &'a Path, secret: bool) -> std::io::Result<Self> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(PARTIAL);
        let partial = PathBuf::from(partial);
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mode = if secret { 0o600 } else { 0o644 };
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&partial)?;
        Ok(Self { path, partial, file, is_whole: false })
    }

    /// Makes these the bytes of the file, durably.
    fn fill(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.rewind()?;
        self.file.write_all(bytes)?;
        self.file.sync_all()
    }

    /// Gives the file its name, durably.
    fn finish(mut self) -> std::io::Result<()> {
        fs::rename(&self.partial, self.path)?;
        self.is_whole = true;
        // The rename itself must survive a crash: spent openings depend on it.
        match self.path.parent() {
            Some(parent) => fs::File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        if !self.is_whole {
            let _ = fs::remove_file(&self.partial);
        }
    }
}

/// The error of a failed write of `num_bytes`.
fn unwritten(path: &Path, num_bytes: usize) -> impl Fn(std::io::Error) -> RunError {
    move |error| match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => RunError::NoSpace {
            path: path.to_owned(),
            reason: error.to_string(),
            needed_bytes: num_bytes as u64,
            rest_bytes: 0,
        },
        _ => RunError::file(path, error),
    }
}

/// Writes a file whole: to a temporary name, synchronised, renamed, the folder synchronised. A secret one has mode 0600.
///
/// # Errors
/// [`RunError::NoSpace`] or [`RunError::File`]; the path then holds what it held before.
pub fn write_whole(path: &Path, bytes: &[u8], secret: bool) -> Result<(), RunError> {
    let write = || {
        let mut partial = Partial::create(path, secret)?;
        partial.fill(bytes)?;
        partial.finish()
    };
    write().map_err(unwritten(path, bytes.len()))
}

/// Reads a file.
pub fn read(path: &Path) -> Result<Vec<u8>, RunError> {
    fs::read(path).map_err(|error| RunError::file(path, error))
}

impl Store {
    /// Opens the directory for this process alone, making what is missing and removing what a crash left half-written.
    ///
    /// # Errors
    /// [`RunError::Busy`] while another [`Store`] of the directory lives, in this process or another.
    pub fn open(root: &Path) -> Result<Self, RunError> {
        for folder in FOLDERS {
            let path = root.join(folder);
            let mode = if PRIVATE.contains(&folder) { 0o700 } else { 0o755 };
            let made = fs::DirBuilder::new().recursive(true).mode(mode).create(&path);
            made.map_err(|e| RunError::file(&path, e))?;
        }
        let lock = Arc::new(lock(&root.join(SECRET))?);
        for folder in FOLDERS {
            let path = root.join(folder);
            for entry in fs::read_dir(&path).map_err(|e| RunError::file(&path, e))? {
                let entry = entry.map_err(|e| RunError::file(&path, e))?;
                if entry.file_name().to_string_lossy().ends_with(PARTIAL) {
                    fs::remove_file(entry.path()).map_err(|e| RunError::file(&entry.path(), e))?;
                }
            }
            if PRIVATE.contains(&folder) {
                close(&path)?;
            }
        }
        let record = root.join(OPENINGS);
        if record.exists() {
            keep_private(&record)?;
        }
        Ok(Self { root: root.to_owned(), _lock: lock })
    }

    /// A path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The run's secret, made at first use from the operating system's randomness, after an empty record of openings:
    /// where there is a secret, there is a record of what was opened under it.
    ///
    /// # Errors
    /// If it is missing although steps are committed under it: another one would give them other roots.
    pub fn secret(&self) -> Result<Zeroizing<[u8; 32]>, RunError> {
        let path = self.path(KEY);
        let mut secret = Zeroizing::new([0; 32]);
        match fs::read(&path).map(Zeroizing::new) {
            Ok(bytes) if bytes.len() == secret.len() => secret.copy_from_slice(&bytes),
            Ok(_) => return Err(RunError::file(&path, "is not 32 bytes")),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(RunError::file(&path, error)),
            Err(_) if self.last_step()?.is_some() => {
                return Err(RunError::file(&path, "is missing, but the steps of this run are committed under it"));
            }
            Err(_) => {
                if !self.path(OPENINGS).exists() {
                    self.write_openings(&Openings::default())?;
                }
                fill_randomly(&mut secret)?;
                write_whole(&path, &*secret, true)?;
            }
        }
        Ok(secret)
    }

    fn state_path(&self, step: u64) -> PathBuf {
        self.path(&format!("steps/{step:06}.state"))
    }

    /// What a state file ends with.
    fn state_digest(&self, step: u64, values: &[u8]) -> Result<[u8; 32], RunError> {
        let key = Zeroizing::new(blake3::derive_key(STATE_CONTEXT, &*self.secret()?));
        let mut hasher = Zeroizing::new(blake3::Hasher::new_keyed(&key));
        hasher.update(&step.to_le_bytes()).update(values);
        Ok(*hasher.finalize().as_bytes())
    }

    /// Saves the state after a step.
    pub fn save_state(&self, step: u64, state: &[&[i64]]) -> Result<(), RunError> {
        let len: usize = state.iter().map(|values| values.len()).sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(8 * len + 32));
        bytes.extend(state.iter().flat_map(|t| t.iter()).flat_map(|x| x.to_le_bytes()));
        let digest = self.state_digest(step, &bytes)?;
        bytes.extend_from_slice(&digest);
        write_whole(&self.state_path(step), &bytes, true)
    }

    /// The state after a step: one vector per length.
    ///
    /// # Errors
    /// If the file is not the one that this run saved after this step.
    pub fn load_state(&self, step: u64, lens: &[usize]) -> Result<Vec<Arc<Vec<i64>>>, RunError> {
        let path = self.state_path(step);
        let bytes = Zeroizing::new(read(&path)?);
        let body = bytes.len().saturating_sub(32);
        if body != 8 * lens.iter().sum::<usize>() || self.state_digest(step, &bytes[..body])? != bytes[body..] {
            return Err(RunError::file(
                &path,
                "is damaged or belongs to another step or run; remove the files of this and all later steps and train again",
            ));
        }
        let mut words = bytes[..body].as_chunks::<8>().0.iter().map(|w| i64::from_le_bytes(*w));
        Ok(lens.iter().map(|&len| Arc::new(words.by_ref().take(len).collect())).collect())
    }

    /// The last step whose state and root are there; none in a fresh run.
    pub fn last_step(&self) -> Result<Option<u64>, RunError> {
        let folder = self.path(STEPS);
        let mut last = None;
        for entry in fs::read_dir(&folder).map_err(|e| RunError::file(&folder, e))? {
            let name = entry.map_err(|e| RunError::file(&folder, e))?.file_name();
            let step = name.to_str().and_then(|name| name.strip_suffix(".root")?.parse().ok());
            last = last.max(step.filter(|&step| self.state_path(step).exists()));
        }
        Ok(last)
    }

    /// Saves the root of a state's oracle.
    pub fn save_root(&self, step: u64, root: &[u8; 32]) -> Result<(), RunError> {
        write_whole(&self.path(&format!("steps/{step:06}.root")), root, true)
    }

    /// The root of a state's oracle.
    pub fn root(&self, step: u64) -> Result<[u8; 32], RunError> {
        let path = self.path(&format!("steps/{step:06}.root"));
        <[u8; 32]>::try_from(read(&path)?.as_slice()).map_err(|_| RunError::file(&path, "is not 32 bytes"))
    }

    /// How often each tree was opened.
    ///
    /// # Errors
    /// If the record is missing although there is a secret: counting anew could exceed a budget.
    pub fn openings(&self) -> Result<Openings, RunError> {
        let path = self.path(OPENINGS);
        match fs::read(&path) {
            Ok(bytes) => Openings::parse(&bytes).map_err(|e| RunError::file(&path, e)),
            Err(error) if error.kind() != ErrorKind::NotFound => Err(RunError::file(&path, error)),
            Err(_) if self.path(KEY).exists() => {
                Err(RunError::file(&path, "is missing, but it must count what was opened under secret/run.key"))
            }
            Err(_) => Ok(Openings::default()),
        }
    }

    fn write_openings(&self, openings: &Openings) -> Result<(), RunError> {
        let path = self.path(OPENINGS);
        let bytes = openings.to_json().map_err(|e| RunError::file(&path, e))?;
        write_whole(&path, &bytes, true)
    }

    /// Makes `release/` private, with what lies in it: for a run whose adapter is hidden.
    pub fn close_release(&self) -> Result<(), RunError> {
        close(&self.path(RELEASE))
    }

    /// Writes a proof that makes these openings; a secret one has mode 0600.
    ///
    /// 1. Its space is taken, so that a full disk costs no opening.
    /// 2. The openings are recorded, durably. Past a budget nothing is recorded.
    /// 3. Only then is a byte of the proof written: whatever happens to this process, what may have left it is counted.
    ///
    /// # Errors
    /// [`RunError::BudgetSpent`], or as [`write_whole`].
    pub fn publish(&self, path: &Path, proof: &[u8], openings: &[Opening], secret: bool) -> Result<(), RunError> {
        let failed = unwritten(path, proof.len());
        let mut partial = Partial::create(path, secret).map_err(&failed)?;
        partial.fill(&vec![0; proof.len()]).map_err(&failed)?; // 1
        let mut record = self.openings()?;
        record.add(openings)?;
        self.write_openings(&record)?; // 2
        partial.fill(proof).and_then(|()| partial.finish()).map_err(&failed) // 3
    }
}

/// Locks a folder; the lock ends with the handle.
fn lock(folder: &Path) -> Result<fs::File, RunError> {
    let failed = |error| RunError::file(folder, error);
    loop {
        let handle = fs::File::open(folder).map_err(failed)?;
        match handle.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {
                let holder = handle.metadata().ok().and_then(|held| holder_of(held.ino()));
                return Err(RunError::Busy { path: folder.to_owned(), holder });
            }
        }
        let (held, named) = (handle.metadata().map_err(failed)?, fs::metadata(folder).map_err(failed)?);
        // Otherwise it was removed and made again meanwhile: this lock is on nothing.
        if (held.dev(), held.ino()) == (named.dev(), named.ino()) {
            return Ok(handle);
        }
    }
}

/// The process that holds the lock of an inode, as far as the kernel tells.
fn holder_of(inode: u64) -> Option<u32> {
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        // 7: FLOCK  ADVISORY  WRITE 4711 fe:00:10084385 0 EOF
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, process, file, ..] = fields[..] else { return None };
        let of_inode = file.rsplit(':').next() == Some(&inode.to_string());
        process.parse().ok().filter(|&process: &u32| of_inode && process > 0)
    })
}

/// Takes away what the modes of a folder and of its entries allow to others than their owner.
fn close(folder: &Path) -> Result<(), RunError> {
    keep_private(folder)?;
    for entry in fs::read_dir(folder).map_err(|e| RunError::file(folder, e))? {
        keep_private(&entry.map_err(|e| RunError::file(folder, e))?.path())?;
    }
    Ok(())
}

/// Takes away what a file's or folder's mode allows to others than its owner.
fn keep_private(path: &Path) -> Result<(), RunError> {
    let failed = |error| RunError::file(path, error);
    let mode = fs::symlink_metadata(path).map_err(failed)?.mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7700)).map_err(failed)
}

/// Bytes of the two files of a step whose state has tensors of these lengths.
pub fn state_bytes(lens: &[usize]) -> u64 {
    8 * lens.iter().sum::<usize>() as u64 + 32 + 32
}

/// 32 bytes of the operating system's randomness.
pub fn fresh_seed() -> Result<[u8; 32], RunError> {
    let mut seed = [0; 32];
    fill_randomly(&mut seed)?;
    Ok(seed)
}

fn fill_randomly(bytes: &mut [u8; 32]) -> Result<(), RunError> {
    getrandom::fill(bytes).map_err(|error| {
        bytes.zeroize();
        RunError::file(Path::new("the operating system's randomness"), error)
    })
}
