//! Where a handler goes on whose client has left.
//!
//! A POST whose client hangs up is not undone by that: it runs to its end, as it would have. Its future moves here from
//! its connection, becomes a task of the core, and is awaited when the server drains.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc};

use burgeon_runtime::Core;

/// The way in, for one core. Cloning shares it.
///
/// Bounded, though its queue is not: whoever goes in holds its connection's place, so those inside and the open
/// connections together are never more than the cap times the streams of a connection.
#[derive(Clone)]
pub(super) struct Shelter(mpsc::UnboundedSender<Guest>);

struct Guest {
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
    place: Arc<OwnedSemaphorePermit>,
}

impl Shelter {
    /// On this core. It stays open until the last handle is dropped, which the last connection does.
    pub(super) fn open(core: &Core) -> Self {
        let (enter, mut guests) = mpsc::unbounded_channel::<Guest>();
        let on = core.clone();
        core.spawn(async move {
            while let Some(Guest { work, place }) = guests.recv().await {
                on.spawn(async move {
                    work.await;
                    drop(place);
                });
            }
        });
        Self(enter)
    }

    /// Lets `work` go on; `place` is given back when it has ended.
    pub(super) fn take_in(
        &self,
        work: impl Future<Output = ()> + Send + 'static,
        place: Arc<OwnedSemaphorePermit>,
    ) {
        // Refused only when the core is gone, and with it all that could go on.
        let _ = self.0.send(Guest { work: Box::pin(work), place });
    }
}
