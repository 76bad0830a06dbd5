//! The raw driver behind the same hand-over: what is left when everything but rusqlite and a channel is taken away.
//!
//! One writer thread that groups what is queued, reader threads that map the row where it is read. No names, no deadlines, no
//! meters, no typed errors: the price of those is what the comparison shows.

use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

use crate::case::{BULK, Failure, INSERT, Peer, Product, SELECT, UPDATE, body};

/// What is written travels to the writer, as it does for anybody whose rows come from a request.
type Entry = (i64, String, i64);

/// A job of the writer.
enum Work {
    Insert(Vec<Entry>),
    Update(i64),
}
type Reply<T> = oneshot::Sender<Result<T, rusqlite::Error>>;

#[derive(Clone)]
pub struct RawSqlite {
    reads: mpsc::Sender<(i64, Reply<Product>)>,
    writes: mpsc::Sender<(Work, Reply<()>)>,
}

impl RawSqlite {
    pub fn open(path: &Path, synchronous: &'static str, readers: usize) -> Result<Self, Failure> {
        let (writes, queue) = mpsc::channel();
        let writer = Connection::open(path)?;
        pragmas(&writer, synchronous)?;
        thread::Builder::new().name("raw-writer".into()).spawn(move || write(writer, queue))?;

        let (reads, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..readers {
            let reader = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            pragmas(&reader, synchronous)?;
            let queue = queue.clone();
            thread::Builder::new()
                .name(format!("raw-reader-{number}"))
                .spawn(move || read(reader, &queue))?;
        }
        Ok(Self { reads, writes })
    }

    async fn write(&self, first: i64, rows: usize) -> Result<(), Failure> {
        let entries = (first..first + rows as i64).map(|id| (id, body(id), id * 100)).collect();
        self.work(Work::Insert(entries)).await
    }

    async fn work(&self, work: Work) -> Result<(), Failure> {
        let (reply, answer) = oneshot::channel();
        self.writes.send((work, reply)).map_err(|_| "the writer is gone")?;
        Ok(answer.await??)
    }
}

pub fn pragmas(connection: &Connection, synchronous: &str) -> Result<(), rusqlite::Error> {
    connection.execute_batch(&format!(
        "pragma busy_timeout = 5000; pragma journal_mode = wal; pragma synchronous = {synchronous}; pragma foreign_keys = on;
         pragma mmap_size = 134217728; pragma journal_size_limit = 67108864;"
    ))
}

fn read(connection: Connection, queue: &Mutex<mpsc::Receiver<(i64, Reply<Product>)>>) {
    loop {
        let Ok((id, reply)) = queue.lock().expect("no reader panics").recv() else { return };
        let find = || {
            connection.prepare_cached(SELECT)?.query_row([id], |row| {
                Ok(Product { id: row.get(0)?, name: row.get(1)?, price: row.get(2)?, stock: row.get(3)? })
            })
        };
        let _ = reply.send(find());
    }
}

fn write(connection: Connection, queue: mpsc::Receiver<(Work, Reply<()>)>) {
    let run = |work: Work| -> Result<(), rusqlite::Error> {
        connection.prepare_cached("savepoint job")?.execute([])?;
        match work {
            Work::Insert(entries) => {
                let mut statement = connection.prepare_cached(INSERT)?;
                for entry in entries {
                    statement.execute(entry)?;
                }
            }
            Work::Update(id) => {
                connection.prepare_cached(UPDATE)?.execute([id])?;
            }
        }
        connection.prepare_cached("release job")?.execute([])?;
        Ok(())
    };
    while let Ok(first) = queue.recv() {
        let mut answers = Vec::new();
        let begun = connection.execute_batch("begin immediate");
        let group = std::iter::once(first).chain(queue.try_iter()).take(500);
        for (work, reply) in group {
            answers.push((run(work), reply));
        }
        let ended = begun.and_then(|()| connection.execute_batch("commit"));
        for (result, reply) in answers {
            let _ = reply.send(match &ended {
                Ok(()) => result,
                Err(error) => Err(rusqlite::Error::ModuleError(error.to_string())),
            });
        }
    }
}

impl Peer for RawSqlite {
    async fn point_read(&self, id: i64) -> Result<Product, Failure> {
        let (reply, answer) = oneshot::channel();
        self.reads.send((id, reply)).map_err(|_| "the readers are gone")?;
        Ok(answer.await??)
    }

    async fn insert(&self, id: i64) -> Result<(), Failure> {
        self.write(id, 1).await
    }

    async fn update(&self, id: i64) -> Result<(), Failure> {
        self.work(Work::Update(id)).await
    }

    async fn bulk(&self, first: i64) -> Result<(), Failure> {
        self.write(first, BULK).await
    }
}
