//! Leading: work that one node does at a time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use burgeon_core::{Cancel, Ctx, Deadline, Error, Kind, Result};
use burgeon_db::Tx;
use burgeon_resilience::random::{Dice, between};
use burgeon_runtime::{Restart, Task, Tasks};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{Lease, Leases, fence};
use crate::NodeId;

/// What the one who leads has in hand. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Leading {
    node: NodeId,
    name: &'static str,
    term: i64,
    over: Cancel,
}

/// A node's part in a contest for one lease: it leads or waits for its turn until its tasks stop. Dropping this changes
/// nothing; [`abort`](Self::abort) ends it.
pub struct Leader {
    term: watch::Receiver<Option<i64>>,
    task: Task<()>,
}

impl Leading {
    /// In which term.
    pub fn term(&self) -> i64 {
        self.term
    }

    /// Ties the transaction to this leadership, see [`Lease::fence`].
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it is over.
    pub async fn fence(&self, tx: &Tx) -> Result<()> {
        fence(tx, self.name, self.node, self.term).await
    }

    /// Raised when the lease is lost or the node stops: bring what you do to an end.
    pub fn over(&self) -> Cancel {
        self.over.clone()
    }
}

impl Leader {
    /// In which term this node leads; none while it does not.
    pub fn term(&self) -> Option<i64> {
        *self.term.borrow()
    }

    /// Waits until this node leads, and answers the term.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] when it has stopped to try.
    pub async fn leads(&mut self) -> Result<i64> {
        let leads = self.term.wait_for(Option::is_some).await;
        let term = leads.ok().and_then(|term| *term);
        term.ok_or_else(|| Error::unavailable("this node does not contend for the lease any more"))
    }

    /// Stops contending at once, without giving the lease back: as a node would that is killed.
    pub fn abort(&self) {
        self.task.abort();
    }
}

impl Leases {
    /// Runs `work` on one node at a time: on this one whenever it holds the lease `name`, whose life is `life`.
    ///
    /// It tries three times in a life, renews three times in a life, and drops `work` where it stands when its time is up
    /// before a renewal was answered. When `work` returns, the lease is given back, and after an error another node
    /// may be luckier; after `Ok` this node does not contend again.
    ///
    /// What `work` writes it must [fence](Leading::fence): a node that was paused finds out only afterwards.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use burgeon_cluster::lease::{Leader, Leases};
    /// # use burgeon_core::Ctx;
    /// # use burgeon_db::{Db, sql};
    /// # use burgeon_runtime::Tasks;
    /// # fn example(leases: Leases, db: Db, tasks: Tasks) -> Leader {
    /// leases.lead(&tasks, "nightly report", Duration::from_secs(10), move |leading| {
    ///     let db = db.clone();
    ///     async move {
    ///         db.tx(&Ctx::background(), async |tx| {
    ///             leading.fence(tx).await?;
    ///             sql!("write_report", "insert into report default values").execute(tx).await
    ///         })
    ///         .await
    ///         .map(drop)
    ///     }
    /// })
    /// # }
    /// ```
    pub fn lead<F, Fut>(&self, tasks: &Tasks, name: &'static str, life: Duration, work: F) -> Leader
    where
        F: Fn(Leading) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let (told, term) = watch::channel(None);
        let contest = Contest {
            leases: self.clone(),
            name,
            life: life.max(Leases::SHORTEST),
            dice: Dice::seeded(self.node.bits() as u64),
            told,
            stopping: tasks.stopping(),
        };
        let (contest, work) = (Arc::new(contest), Arc::new(work));
        let task = tasks.supervise(format!("lease {name}"), Restart::default(), move || {
            let (contest, work) = (contest.clone(), work.clone());
            async move { contest.run(&*work).await }
        });
        Leader { term, task }
    }
}

struct Contest {
    leases: Leases,
    name: &'static str,
    life: Duration,
    dice: Dice,
    told: watch::Sender<Option<i64>>,
    stopping: Cancel,
}

impl Contest {
    async fn run<F, Fut>(&self, work: &F) -> Result<()>
    where
        F: Fn(Leading) -> Fut,
        Fut: Future<Output = Result<()>>,
    {
        // A panic in the work brings us here again: nobody leads then.
        self.told.send_replace(None);
        while !self.stopping.is_cancelled() {
            match self.leases.acquire(&self.soon(), self.name, self.life).await {
                Ok(Some(lease)) => {
                    if self.hold(lease, work).await {
                        return Ok(());
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(
                        lease = self.name,
                        error = error.detail(),
                        "cannot ask for the lease; trying again"
                    );
                }
            }
            // Not all at once, and sooner than the lease can expire twice.
            let pause = self.life.mul_f64(between(self.dice.roll(), 0.2, 0.4));
            tokio::select! {
                () = sleep(pause) => {}
                () = self.stopping.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Leads until the work has ended or the lease is lost. Answers whether all is done.
    async fn hold<F, Fut>(&self, mut lease: Lease, work: &F) -> bool
    where
        F: Fn(Leading) -> Fut,
        Fut: Future<Output = Result<()>>,
    {
        let (over, is_over) = Cancel::new();
        let leading = Leading { node: self.leases.node, name: self.name, term: lease.term, over: is_over };
        tracing::info!(lease = self.name, term = lease.term, "leads");
        self.told.send_replace(Some(lease.term));
        let mut is_told = false;
        let ended = {
            let mut work = std::pin::pin!(work(leading));
            loop {
                tokio::select! {
                    biased;
                    // The time first: after a pause everything is ready at once, and only this is true.
                    () = sleep_until(lease.until) => break None,
                    ended = &mut work => break Some(ended),
                    renewed = self.renew(&mut lease) => if let Err(error) = renewed {
                        tracing::warn!(lease = self.name, error = error.detail(), "lost");
                        break None;
                    },
                    () = self.stopping.cancelled(), if !is_told => {
                        is_told = true;
                        over.cancel();
                    }
                }
            }
        };
        drop(over);
        self.told.send_replace(None);
        let Some(ended) = ended else { return false };
        if let Err(error) = self.leases.release(&self.soon(), lease).await {
            tracing::warn!(lease = self.name, error = error.detail(), "not given back; it expires by itself");
        }
        match ended {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(lease = self.name, error = error.detail(), "the work of the leader failed");
                self.stopping.is_cancelled()
            }
        }
    }

    /// Waits for the next renewal and does it. An error means that the lease is lost; what befell the database alone is
    /// tried again while there is time.
    async fn renew(&self, lease: &mut Lease) -> Result<()> {
        sleep_until(lease.until - self.life + self.life / 3).await;
        loop {
            let limit = self.life / 3;
            match timeout(limit, self.leases.renew(&self.soon(), lease)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) if error.kind() == Kind::Conflict => return Err(error),
                Ok(Err(error)) => {
                    tracing::warn!(lease = self.name, error = error.detail(), "not renewed; trying again");
                    sleep(self.life / 20).await;
                }
                Err(_) => tracing::warn!(lease = self.name, "renewing was not answered; trying again"),
            }
        }
    }

    fn soon(&self) -> Ctx {
        let deadline = Deadline::after(Instant::now().into_std(), self.life.max(Duration::from_secs(1)));
        Ctx::background().with_deadline(deadline)
    }
}
