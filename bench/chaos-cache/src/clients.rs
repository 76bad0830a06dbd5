//! Clients that write on one node and read on any other. Between requests each keeps what a browser keeps in a cookie: the
//! position and the marks of what it has done.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use burgeon_cache::News;
use burgeon_core::{Ctx, Deadline, Marks, Position};
use burgeon_resilience::random::{Dice, below};
use burgeon_runtime::Tasks;
use tokio::time::Instant;

use crate::oracle::Oracle;
use crate::site::{Manners, Node};
use crate::{Failure, KEYS, NODES};

#[derive(Default)]
struct Client {
    position: Position,
    marks: Marks,
    own: HashMap<u64, u64>,
}

/// How many there are at once.
const CLIENTS: u64 = 24;

/// In a hundred operations so many write.
const WRITES: u64 = 15;

/// Runs until there were so many operations, or `until`.
pub async fn run(
    nodes: &Arc<Vec<Node>>,
    oracle: &Arc<Oracle>,
    tasks: &Tasks,
    manners: Manners,
    seed: u64,
    operations: u64,
    until: Option<Instant>,
) -> Result<(), Failure> {
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (nodes, oracle) = (nodes.clone(), oracle.clone());
            let dice = Dice::seeded(seed ^ (number << 32));
            tasks.spawn("client", async move {
                let mut client = Client::default();
                for turn in 0..operations / CLIENTS {
                    // Nobody's story is endless: a new client has done nothing yet.
                    if turn % 200 == 199 {
                        client = Client::default();
                    }
                    if until.is_some_and(|until| Instant::now() > until) {
                        return;
                    }
                    client.operate(&nodes, &oracle, manners, &dice).await;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.map_err(|error| error.detail().to_string())?;
    }
    Ok(())
}

impl Client {
    async fn operate(&mut self, nodes: &[Node], oracle: &Oracle, manners: Manners, dice: &Dice) {
        let index = below(dice.roll(), NODES as u64) as usize;
        let node = &nodes[index];
        // A few are asked for more than others.
        let key = below(dice.roll(), KEYS).min(below(dice.roll(), KEYS));
        let deadline = Deadline::after(Instant::now().into_std(), Duration::from_secs(10));
        let ctx = Ctx::background().with_deadline(deadline);
        ctx.advance(self.position);
        self.marks.iter().for_each(|mark| ctx.mark(mark));
        if below(dice.roll(), 100) < WRITES {
            match node.write(manners, &ctx, key).await {
                Ok((version, stamp)) => {
                    oracle.written(index, key, version, stamp);
                    let known = self.own.entry(key).or_default();
                    *known = version.max(*known);
                }
                Err(error) => oracle.failed(error.detail().to_string()),
            }
            (self.position, self.marks) = (ctx.position(), ctx.marks());
        } else {
            let own = self.own.get(&key).copied().unwrap_or(0);
            let floor = oracle.floor(index, &node.bus, || node.caches.news() == News::Whole, key, own);
            match node.read(manners, &ctx, key).await {
                Ok(seen) => oracle.read(floor, seen),
                Err(error) => oracle.failed(error.detail().to_string()),
            }
        }
    }
}
