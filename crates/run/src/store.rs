//! The run directory.
//!
//! `steps/000012.state`: values of the state after step 12, i64 LE, tensors in order of declaration, then BLAKE3 of
//! them; `steps/000012.root`: root of its oracle; `secret/run.key`: 32 random bytes, mode 0600, from which state
//! salts are derived; `openings.json`: how often each tree was opened. Every file is written whole or not at all.

use crate::RunError;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A run directory.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

fn file_error(path: &Path, reason: impl std::fmt::Display) -> RunError {
    RunError::File { path: path.to_owned(), reason: reason.to_string() }
}

/// Writes a file whole: to a temporary name, synchronised, renamed.
pub fn write_whole(path: &Path, bytes: &[u8], secret: bool) -> Result<(), RunError> {
    let partial = path.with_extension("partial");
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
        file_error(path, error)
    })
}

/// Reads a file.
pub fn read(path: &Path) -> Result<Vec<u8>, RunError> {
    fs::read(path).map_err(|error| file_error(path, error))
}

impl Store {
    /// Opens the directory, making what is missing.
    pub fn open(root: &Path) -> Result<Self, RunError> {
        for folder in ["steps", "secret", "certificate/proofs"] {
            let path = root.join(folder);
            fs::create_dir_all(&path).map_err(|e| file_error(&path, e))?;
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let path = root.join("secret");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).map_err(|e| file_error(&path, e))?;
        }
        Ok(Self { root: root.to_owned() })
    }

    /// A path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The run's secret, made at first use from the operating system's randomness.
    pub fn secret(&self) -> Result<[u8; 32], RunError> {
        let path = self.path("secret/run.key");
        if let Ok(bytes) = fs::read(&path) {
            return <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| file_error(&path, "is not 32 bytes"));
        }
        let secret = fresh_seed()?;
        write_whole(&path, &secret, true)?;
        Ok(secret)
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
            return Err(file_error(&path, "is damaged or belongs to another run; remove it to train the step again"));
        }
        let mut words = bytes[..body].as_chunks::<8>().0.iter().map(|w| i64::from_le_bytes(*w));
        Ok(lens.iter().map(|&len| Arc::new(words.by_ref().take(len).collect())).collect())
    }

    /// The last step whose state and root are there.
    pub fn last_step(&self) -> Option<u64> {
        let names = fs::read_dir(self.path("steps")).ok()?;
        let steps = names.filter_map(|entry| {
            let name = entry.ok()?.file_name();
            name.to_str()?.strip_suffix(".root")?.parse().ok()
        });
        steps.filter(|&step| self.state_path(step).exists()).max()
    }

    /// Saves the root of a state's oracle.
    pub fn save_root(&self, step: u64, root: &[u8; 32]) -> Result<(), RunError> {
        write_whole(&self.path(&format!("steps/{step:06}.root")), root, false)
    }

    /// The root of a state's oracle.
    pub fn root(&self, step: u64) -> Result<[u8; 32], RunError> {
        let path = self.path(&format!("steps/{step:06}.root"));
        <[u8; 32]>::try_from(read(&path)?.as_slice()).map_err(|_| file_error(&path, "is not 32 bytes"))
    }

    /// How often each tree was opened, by name.
    pub fn openings(&self) -> Result<BTreeMap<String, u32>, RunError> {
        let path = self.path("openings.json");
        if !path.exists() {
            return Ok(BTreeMap::new());
        }
        serde_json::from_slice(&read(&path)?).map_err(|e| file_error(&path, e))
    }

    /// Persists one more opening of each named tree, before any byte of the proof leaves.
    pub fn spend(&self, trees: &[String]) -> Result<(), RunError> {
        let mut openings = self.openings()?;
        for tree in trees {
            *openings.entry(tree.clone()).or_insert(0) += 1;
        }
        let path = self.path("openings.json");
        let bytes = serde_json::to_vec(&openings).map_err(|e| file_error(&path, e))?;
        write_whole(&path, &bytes, false)
    }
}

/// 32 bytes of the operating system's randomness.
pub fn fresh_seed() -> Result<[u8; 32], RunError> {
    let path = Path::new("/dev/urandom");
    let mut seed = [0; 32];
    let mut file = fs::File::open(path).map_err(|e| file_error(path, e))?;
    std::io::Read::read_exact(&mut file, &mut seed).map_err(|e| file_error(path, e))?;
    Ok(seed)
}
