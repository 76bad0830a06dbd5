//! Threads for what reads long: streams and transactions that only read.
//!
//! Each has its own thread and connection for its life, so that it takes nothing from the short reads. There are few:
//! a long reader keeps the write-ahead log from shrinking.

use std::path::PathBuf;
use std::sync::Arc;

use burgeon_core::Deadline;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;

use crate::Fault;
use crate::config::Sqlite;

use super::conn::Conn;
use super::faults;

/// How many may read long at once.
const AT_ONCE: usize = 8;

#[derive(Clone)]
pub(super) struct Aside {
    place: Arc<(PathBuf, Sqlite)>,
    room: Arc<Semaphore>,
}

impl Aside {
    pub(super) fn new(path: PathBuf, config: Sqlite) -> Self {
        Self { place: Arc::new((path, config)), room: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Runs `work` on a thread with a connection of its own, or with the reason why there is none.
    pub(super) async fn start(
        &self,
        room_by: Deadline,
        work: impl FnOnce(Result<Conn, Fault>) + Send + 'static,
    ) -> Result<(), Fault> {
        let permit = match timeout_at(room_by.instant().into(), Arc::clone(&self.room).acquire_owned()).await
        {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(Fault::Unavailable { why: "the database has been closed".to_owned() }),
            Err(_) => {
                return Err(Fault::Overloaded {
                    what: format!("{AT_ONCE} streams or read-only transactions are open"),
                });
            }
        };
        let place = Arc::clone(&self.place);
        let run = move || {
            let _permit = permit;
            work(Conn::reader(&place.0, &place.1).map_err(|error| faults::of(&error)));
        };
        std::thread::Builder::new()
            .name("sqlite-aside".to_owned())
            .spawn(run)
            .map(drop)
            .map_err(|error| Fault::Unavailable { why: format!("no thread for a long read: {error}") })
    }

    /// Refuses new ones and waits, up to their own deadlines, for those that read. Blocks.
    pub(super) fn stop(&self) {
        self.room.close();
    }
}
