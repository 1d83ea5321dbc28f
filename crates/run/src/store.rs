//! The run directory.
//!
//! `steps/000012.state`: values of the state after step 12, i64 LE, tensors in order of declaration, then BLAKE3 of
//! them; `steps/000012.root`: root of its oracle; `secret/run.key`: 32 random bytes, mode 0600, from which state
//! salts are derived; `openings.json`: how often each tree was opened. Every file is written whole or not at all.

use crate::RunError;
use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A run directory.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// Ending of a file that is being written. What still has it when a run is opened is left over from a crash.
const PARTIAL: &str = ".partial";
/// Folders of a run, and the run's own.
const FOLDERS: [&str; 6] = ["", "steps", "secret", "certificate", "certificate/proofs", "release"];

/// Writes a file whole: to a temporary name, synchronised, renamed, the folder synchronised.
///
/// # Errors
/// [`RunError::NoSpace`] or [`RunError::File`]; the path then holds what it held before.
pub fn write_whole(path: &Path, bytes: &[u8], secret: bool) -> Result<(), RunError> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(PARTIAL);
    let partial = PathBuf::from(partial);
    let write = || -> std::io::Result<()> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        if secret {
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        let mut file = options.open(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)?;
        // The rename itself must survive a crash: spent openings depend on it.
        if let Some(parent) = path.parent() {
            fs::File::open(parent)?.sync_all()?;
        }
        Ok(())
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&partial);
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => RunError::NoSpace {
                path: path.to_owned(),
                reason: error.to_string(),
                needed_bytes: bytes.len() as u64,
                rest_bytes: 0,
            },
            _ => RunError::file(path, error),
        }
    })
}

/// Reads a file.
pub fn read(path: &Path) -> Result<Vec<u8>, RunError> {
    fs::read(path).map_err(|error| RunError::file(path, error))
}

impl Store {
    /// Opens the directory, making what is missing and removing what a crash left half-written.
    ///
    /// *Caller must* be the only process that works in it.
    pub fn open(root: &Path) -> Result<Self, RunError> {
        for folder in FOLDERS {
            let path = root.join(folder);
            fs::create_dir_all(&path).map_err(|e| RunError::file(&path, e))?;
            for entry in fs::read_dir(&path).map_err(|e| RunError::file(&path, e))? {
                let entry = entry.map_err(|e| RunError::file(&path, e))?;
                if entry.file_name().to_string_lossy().ends_with(PARTIAL) {
                    fs::remove_file(entry.path()).map_err(|e| RunError::file(&entry.path(), e))?;
                }
            }
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let path = root.join("secret");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).map_err(|e| RunError::file(&path, e))?;
        }
        Ok(Self { root: root.to_owned() })
    }

    /// A path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The run's secret, made at first use from the operating system's randomness.
    ///
    /// # Errors
    /// If it is missing although steps are committed under it: another one would give them other roots.
    pub fn secret(&self) -> Result<[u8; 32], RunError> {
        let path = self.path("secret/run.key");
        match fs::read(&path) {
            Ok(bytes) => <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| RunError::file(&path, "is not 32 bytes")),
            Err(error) if error.kind() != ErrorKind::NotFound => Err(RunError::file(&path, error)),
            Err(_) if self.last_step()?.is_some() => {
                Err(RunError::file(&path, "is missing, but the steps of this run are committed under it"))
            }
            Err(_) => {
                let secret = fresh_seed()?;
                write_whole(&path, &secret, true)?;
                Ok(secret)
            }
        }
    }

    fn state_path(&self, step: u64) -> PathBuf {
        self.path(&format!("steps/{step:06}.state"))
    }

    /// Saves the state after a step.
    pub fn save_state(&self, step: u64, state: &[&[i64]]) -> Result<(), RunError> {
        let mut bytes: Vec<u8> = state.iter().flat_map(|t| t.iter()).flat_map(|x| x.to_le_bytes()).collect();
        let digest = blake3::hash(&bytes);
        bytes.extend_from_slice(digest.as_bytes());
        write_whole(&self.state_path(step), &bytes, true)
    }

    /// The state after a step: one vector per length.
    pub fn load_state(&self, step: u64, lens: &[usize]) -> Result<Vec<Arc<Vec<i64>>>, RunError> {
        let path = self.state_path(step);
        let bytes = read(&path)?;
        let body = bytes.len().saturating_sub(32);
        if body != 8 * lens.iter().sum::<usize>() || blake3::hash(&bytes[..body]).as_bytes() != &bytes[body..] {
            return Err(RunError::file(
                &path,
                "is damaged or belongs to another run; remove it to train the step again",
            ));
        }
        let mut words = bytes[..body].as_chunks::<8>().0.iter().map(|w| i64::from_le_bytes(*w));
        Ok(lens.iter().map(|&len| Arc::new(words.by_ref().take(len).collect())).collect())
    }

    /// The last step whose state and root are there; none in a fresh run.
    pub fn last_step(&self) -> Result<Option<u64>, RunError> {
        let folder = self.path("steps");
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
        write_whole(&self.path(&format!("steps/{step:06}.root")), root, false)
    }

    /// The root of a state's oracle.
    pub fn root(&self, step: u64) -> Result<[u8; 32], RunError> {
        let path = self.path(&format!("steps/{step:06}.root"));
        <[u8; 32]>::try_from(read(&path)?.as_slice()).map_err(|_| RunError::file(&path, "is not 32 bytes"))
    }

    /// How often each tree was opened, by name.
    ///
    /// # Errors
    /// If the record is missing although there are proofs: counting anew could exceed a budget.
    pub fn openings(&self) -> Result<BTreeMap<String, u32>, RunError> {
        let path = self.path("openings.json");
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| RunError::file(&path, e)),
            Err(error) if error.kind() != ErrorKind::NotFound => Err(RunError::file(&path, error)),
            Err(_) => {
                let proofs = self.path("certificate/proofs");
                match fs::read_dir(&proofs).map_err(|e| RunError::file(&proofs, e))?.next() {
                    None => Ok(BTreeMap::new()),
                    Some(_) => Err(RunError::file(&path, "is missing, but there are proofs that it must count")),
                }
            }
        }
    }

    /// Persists one more opening of each named tree, before any byte of the proof leaves.
    pub fn spend(&self, trees: &[String]) -> Result<(), RunError> {
        let mut openings = self.openings()?;
        for tree in trees {
            *openings.entry(tree.clone()).or_insert(0) += 1;
        }
        let path = self.path("openings.json");
        let bytes = serde_json::to_vec(&openings).map_err(|e| RunError::file(&path, e))?;
        write_whole(&path, &bytes, false)
    }
}

/// Bytes of the two files of a step whose state has tensors of these lengths.
pub fn state_bytes(lens: &[usize]) -> u64 {
    8 * lens.iter().sum::<usize>() as u64 + 32 + 32
}

/// 32 bytes of the operating system's randomness.
pub fn fresh_seed() -> Result<[u8; 32], RunError> {
    let path = Path::new("/dev/urandom");
    let mut seed = [0; 32];
    let mut file = fs::File::open(path).map_err(|e| RunError::file(path, e))?;
    std::io::Read::read_exact(&mut file, &mut seed).map_err(|e| RunError::file(path, e))?;
    Ok(seed)
}
