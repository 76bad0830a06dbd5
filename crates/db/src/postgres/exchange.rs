//! A connection that listens and notifies.
//!
//! What the server pushes arrives at the task that drives the connection. It never waits for whoever listens, because
//! it also carries the answers: what does not fit is dropped and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::poll_fn;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;
use tokio_postgres::AsyncMessage;

use super::connection::Connection;
use super::{Pool, fault};
use crate::Fault;
use crate::listen::Heard;
use crate::stmt::Class;

/// How many notifications wait for the listener.
const WAITING: usize = 4_096;

/// Both ends of one channel. Cloning shares the connection, which closes with the last clone.
#[derive(Clone)]
pub(crate) struct Exchange(Arc<Inner>);

struct Inner {
    connection: Box<Connection>,
    channel: String,
    // A tokio mutex: the one listener awaits under it.
    heard: Mutex<mpsc::Receiver<String>>,
    missed: Arc<AtomicU64>,
}

/// Where the driving task puts what the server pushes.
#[derive(Clone)]
pub(super) struct Ear {
    heard: mpsc::Sender<String>,
    missed: Arc<AtomicU64>,
}

impl Pool {
    /// Opens a connection of its own and listens on `channel`.
    pub(crate) async fn exchange(&self, channel: &str, until: Instant) -> Result<Exchange, Fault> {
        let (sender, heard) = mpsc::channel(WAITING);
        let missed = Arc::new(AtomicU64::new(0));
        let ear = Ear { heard: sender, missed: missed.clone() };
        let connector = self.with_sessions("listening", until).await?;
        let connection = connector.connect_hearing(ear, until).await;
        let connection = connection.map_err(|refusal| refusal.into_fault())?;
        let quoted = channel.replace('"', "\"\"");
        let listening = connection.client().batch_execute(&format!("listen \"{quoted}\"")).await;
        listening.map_err(|error| fault::failure(error).into_fault(Class::Read))?;
        let channel = channel.to_owned();
        Ok(Exchange(Arc::new(Inner { connection, channel, heard: Mutex::new(heard), missed })))
    }
}

impl Exchange {
    /// The next thing said; none once the connection has ended.
    pub(crate) async fn hear(&self) -> Option<Heard> {
        let missed = self.0.missed.swap(0, Ordering::Relaxed);
        if missed > 0 {
            return Some(Heard::Missed(missed));
        }
        self.0.heard.lock().await.recv().await.map(Heard::Said)
    }

    pub(crate) async fn say(&self, payload: &str) -> Result<(), Fault> {
        // Prepared once per connection would save the server a parse; a typed query saves the round trip instead.
        const SAY: &str = "select pg_notify($1, $2)";
        let text = tokio_postgres::types::Type::TEXT;
        let params: [(&(dyn tokio_postgres::types::ToSql + Sync), _); 2] =
            [(&self.0.channel, text.clone()), (&payload, text)];
        let said = self.0.connection.client().query_typed(SAY, &params).await;
        // Saying it twice would be harmless, but whether it was said is the caller's question: it numbers.
        said.map(drop).map_err(|error| fault::failure(error).into_fault(Class::Read))
    }
}

impl Ear {
    /// Drives a connection to its end, and keeps what the server pushes.
    pub(super) async fn drive<S, T>(self, mut driving: tokio_postgres::Connection<S, T>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
        T: AsyncRead + AsyncWrite + Unpin,
    {
        // How it ended is told by the client's own errors, and to the listener by the end of the queue.
        while let Some(Ok(message)) = poll_fn(|cx| driving.poll_message(cx)).await {
            let AsyncMessage::Notification(notification) = message else { continue };
            if self.heard.try_send(notification.payload().to_owned()).is_err() {
                self.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
