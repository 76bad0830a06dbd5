//! Files on disk: which there are, what their hashes are, and how they are read.

use std::collections::HashMap;
use std::io::{Read as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::stream::try_unfold;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use burgeon_core::{Error, Result};

use super::{Content, Found, Hash};
use crate::Body;

/// More than this is not an application's own files.
const MOST_FILES: usize = 10_000;
const CHUNK: usize = 64 * 1024;

pub(super) struct Directory {
    /// Absolute and without links, so that a file's own real path can be compared with it.
    root: PathBuf,
    // Not a tokio mutex: nothing awaits under it.
    known: Mutex<HashMap<String, Known>>,
}

/// A file's hash, and what it looked like when it was hashed.
#[derive(Clone)]
struct Known {
    hash: Hash,
    len: u64,
    modified: Option<SystemTime>,
}

impl Directory {
    pub(super) fn scan(root: PathBuf) -> Result<Self> {
        let unreadable = |path: &Path, error: std::io::Error| {
            Error::internal(format!("cannot read static files from `{}`: {error}", path.display()))
        };
        let root = root.canonicalize().map_err(|error| unreadable(&root, error))?;
        let mut known = HashMap::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).map_err(|error| unreadable(&folder, error))? {
                let path = entry.map_err(|error| unreadable(&folder, error))?.path();
                let Some(name) = name_below(&root, &path) else { continue };
                let metadata = std::fs::symlink_metadata(&path).map_err(|error| unreadable(&path, error))?;
                if metadata.is_dir() {
                    folders.push(path);
                } else if metadata.is_file() {
                    let hash = hash_file(&path).map_err(|error| unreadable(&path, error))?;
                    known.insert(
                        name,
                        Known { hash, len: metadata.len(), modified: metadata.modified().ok() },
                    );
                }
                if known.len() > MOST_FILES {
                    let sentence = format!("`{}` holds more than {MOST_FILES} files", root.display());
                    return Err(Error::internal(sentence));
                }
            }
        }
        Ok(Self { root, known: Mutex::new(known) })
    }

    pub(super) fn known_hash(&self, name: &str) -> Option<Hash> {
        self.known(name).map(|known| known.hash)
    }

    fn known(&self, name: &str) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Opens a file, if it is one and may be served.
    pub(super) async fn open(&self, name: &str) -> Result<Option<Found>> {
        let Some(relative) = harmless(name) else { return Ok(None) };
        // The real path: a link may lead out of the directory.
        let Ok(path) = tokio::fs::canonicalize(self.root.join(relative)).await else { return Ok(None) };
        if !path.starts_with(&self.root) {
            return Ok(None);
        }
        let mut file = match tokio::fs::File::open(&path).await {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::internal(error)),
        };
        // Of the open file, so that hash and content belong together though the name may mean another file by now.
        let metadata = file.metadata().await.map_err(Error::internal)?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let (len, modified) = (metadata.len(), metadata.modified().ok());
        let hash = match self.known(name) {
            Some(known) if known.len == len && known.modified == modified => known.hash,
            _ => {
                let hash = hash_open(&mut file).await.map_err(Error::internal)?;
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                // Only what exists gets here, so only a directory that grows for ever reaches the limit.
                if known.len() < MOST_FILES || known.contains_key(name) {
                    known.insert(name.to_owned(), Known { hash: hash.clone(), len, modified });
                }
                hash
            }
        };
        Ok(Some(Found { hash, len, content: Content::File(file) }))
    }
}

/// The path below the root, unless a part of it is hidden, climbs, or means something to a file system.
fn harmless(name: &str) -> Option<&Path> {
    let fine = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', ':', '\0']);
    name.split('/').all(fine).then(|| Path::new(name))
}

fn name_below(root: &Path, path: &Path) -> Option<String> {
    let name = path.strip_prefix(root).ok()?.to_str()?.replace(std::path::MAIN_SEPARATOR, "/");
    harmless(&name).is_some().then_some(name)
}

fn hash_file(path: &Path) -> std::io::Result<Hash> {
    let mut file = std::fs::File::open(path)?;
    let mut digest = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(Hash::from_digest(&digest.finalize())),
            len => digest.update(&chunk[..len]),
        }
    }
}

async fn hash_open(file: &mut tokio::fs::File) -> std::io::Result<Hash> {
    let mut digest = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk).await? {
            0 => break,
            len => digest.update(&chunk[..len]),
        }
    }
    file.seek(SeekFrom::Start(0)).await?;
    Ok(Hash::from_digest(&digest.finalize()))
}

/// `len` bytes from `start`, in chunks as the client takes them.
pub(super) fn read(file: tokio::fs::File, start: u64, len: u64) -> Body {
    struct Reading {
        file: tokio::fs::File,
        start: Option<u64>,
        left: u64,
    }
    let reading = Reading { file, start: Some(start).filter(|start| *start > 0), left: len };
    Body::stream(try_unfold(reading, |mut reading| async move {
        if reading.left == 0 {
            return Ok(None);
        }
        if let Some(start) = reading.start.take() {
            reading.file.seek(SeekFrom::Start(start)).await.map_err(Error::internal)?;
        }
        let most = usize::try_from(reading.left).unwrap_or(CHUNK).min(CHUNK);
        let mut chunk = vec![0; most];
        let read = reading.file.read(&mut chunk).await.map_err(Error::internal)?;
        if read == 0 {
            return Err(Error::internal("a file became shorter while it was sent"));
        }
        chunk.truncate(read);
        reading.left -= read as u64;
        Ok(Some((Bytes::from(chunk), reading)))
    }))
}
