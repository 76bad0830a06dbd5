//! Hashing passwords: argon2id, off the request's threads, a few at once.
//!
//! A hash takes about 30 ms of one core and 19 MiB on purpose. So it runs on the blocking pool, and never more than
//! [`AT_ONCE`] together: a crowd at the sign-in door waits in line instead of taking processor and memory from the rest
//! of the shop. Who waits beyond the request's deadline is sent away by the edge.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use burgeon::prelude::*;
use tokio::sync::Semaphore;

/// How many hashes are computed at once.
const AT_ONCE: usize = 2;

/// Hashes and verifies.
#[derive(Clone)]
pub(super) struct Passwords {
    tasks: Tasks,
    permits: Arc<Semaphore>,
}

impl Passwords {
    pub(super) fn new(tasks: Tasks) -> Self {
        Self { tasks, permits: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The hash to keep, with a salt of its own.
    pub(super) async fn hash(&self, password: String) -> Result<String> {
        self.off_the_request(move || {
            let hashed = Argon2::default().hash_password(password.as_bytes());
            hashed.map(|hash| hash.to_string()).map_err(|error| Error::internal(error.to_string()))
        })
        .await
    }

    /// Whether the password belongs to the hash. With no hash it takes as long and is always wrong, so that nobody
    /// learns from the clock which addresses have an account.
    pub(super) async fn verify(&self, password: String, hash: Option<String>) -> Result<bool> {
        self.off_the_request(move || {
            let argon2 = Argon2::default();
            let Some(hash) = hash else {
                argon2
                    .hash_password(password.as_bytes())
                    .map_err(|error| Error::internal(error.to_string()))?;
                return Ok(false);
            };
            let parsed = PasswordHash::new(&hash).map_err(|error| Error::internal(error.to_string()))?;
            Ok(argon2.verify_password(password.as_bytes(), &parsed).is_ok())
        })
        .await
    }

    async fn off_the_request<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(Error::internal)?;
        self.tasks
            .blocking("hash a password", move || {
                // Held by the work and not by its caller, who may leave.
                let _permit = permit;
                work()
            })
            .await?
    }
}
