//! The keys' table: made at first start, followed by every node, replaced in time.
//!
//! Every node looks at the table once a minute. When the newest key has signed for 30 days, whoever sees it first adds
//! the next one, which signs ten minutes later: by then every node has looked. The generation is the primary key, so
//! that of several nodes that add at once exactly one wins, and the others read what it wrote.
//!
//! When the database is away, nodes go on with the keys they know. A node that could not look for ten minutes while
//! others replaced the key would take what the new one signed for expired, until it can look again.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use burgeon_core::{Ctx, Deadline, Error, Result};
use burgeon_db::{Db, sql};
use burgeon_runtime::{Restart, Tasks};

use super::{Key, Keys, MOST_LIFETIME, Ring};

/// How often a node looks.
const LOOK: Duration = Duration::from_secs(60);
/// How long looking may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long a key signs before the next one is made.
const SIGNS_FOR: i64 = 30 * 24 * 3600;
/// How long after it was made a key begins to sign.
const NOTICE: i64 = 10 * 60;

/// What the table says, and when it said so.
struct Seen {
    keys: Vec<Key>,
    now: i64,
}

impl Keys {
    /// Takes the keys from the table `burgeon_key`, makes the first one if there is none, and follows the table from
    /// now on with a task of `tasks`. The [migrations](crate::migrations) must have run.
    ///
    /// # Errors
    /// Whatever befell the database.
    pub async fn follow(&self, db: &Db, tasks: &Tasks) -> Result<()> {
        self.refresh(db).await?;
        let (keys, db, stopping) = (self.clone(), db.clone(), tasks.stopping());
        drop(tasks.supervise("signing keys", Restart::default(), move || {
            let (keys, db, stopping) = (keys.clone(), db.clone(), stopping.clone());
            async move {
                loop {
                    tokio::select! {
                        () = sleep(LOOK) => keys.refresh(&db).await?,
                        () = stopping.cancelled() => return Ok(()),
                    }
                }
            }
        }));
        Ok(())
    }

    /// One turn of [`follow`](Self::follow): reads the table, and makes or removes keys where it is time.
    ///
    /// # Errors
    /// Whatever befell the database.
    pub async fn refresh(&self, db: &Db) -> Result<()> {
        let deadline = Deadline::after(Instant::now().into_std(), LIMIT);
        let ctx = Ctx::background().with_deadline(deadline);
        let mut seen = read(db, &ctx).await?;
        if let Some((generation, signs_from)) = due(&seen.keys, seen.now) {
            let mut secret = [0_u8; 32];
            getrandom::fill(&mut secret).map_err(|error| Error::internal(error.to_string()))?;
            sql!(
                "add_key",
                "insert into burgeon_key (generation, secret, signs_from) values ($1, $2, $3)
                 on conflict (generation) do nothing",
                generation,
                secret.to_vec(),
                signs_from
            )
            .execute(&db.write(&ctx))
            .await?;
            // Another node may have been first: its key counts.
            seen = read(db, &ctx).await?;
        }
        if let Some(oldest) = oldest_useful(&seen.keys, seen.now) {
            sql!("remove_keys", "delete from burgeon_key where generation < $1", oldest)
                .execute(&db.write(&ctx))
                .await?;
            seen.keys.retain(|key| key.id >= oldest);
        }
        if seen.keys.is_empty() {
            return Err(Error::internal("the table `burgeon_key` is empty though a key was just added"));
        }
        self.replace(Ring::new(seen.keys));
        Ok(())
    }
}

async fn read(db: &Db, ctx: &Ctx) -> Result<Seen> {
    let now: i64 = sql!(
        "database_time",
        sqlite: "select unixepoch()",
        postgres: "select extract(epoch from clock_timestamp())::bigint",
    )
    .one(&db.write(ctx))
    .await?;
    let rows: Vec<(i64, Vec<u8>, i64)> =
        sql!("read_keys", "select generation, secret, signs_from from burgeon_key order by generation")
            .all(&db.write(ctx))
            .await?;
    let keys = rows.into_iter().map(|(id, secret, signs_from)| {
        let secret = secret.try_into().map_err(|_| damaged(id, "its secret has not 32 bytes"))?;
        let signs_from =
            Timestamp::from_second(signs_from).map_err(|_| damaged(id, "its time is out of range"))?;
        Ok(Key { id, secret, signs_from })
    });
    Ok(Seen { keys: keys.collect::<Result<_>>()?, now })
}

fn damaged(generation: i64, why: &str) -> Error {
    Error::internal(format!("key {generation} in `burgeon_key` is damaged: {why}; remove the row"))
}

/// The next key to be made, if it is time: its generation, and from when on it signs.
fn due(keys: &[Key], now: i64) -> Option<(i64, i64)> {
    let Some(newest) = keys.iter().max_by_key(|key| key.id) else { return Some((1, now)) };
    let expired = newest.signs_from.as_second().saturating_add(SIGNS_FOR) <= now;
    expired.then(|| (newest.id + 1, now.saturating_add(NOTICE)))
}

/// The oldest generation that could have signed something that is still good; `None` when none is older.
fn oldest_useful(keys: &[Key], now: i64) -> Option<i64> {
    let lifetime = i64::try_from(MOST_LIFETIME.as_secs()).unwrap_or(i64::MAX);
    // A key stops signing when its successor begins, give or take the nodes' clocks: a day is more than enough.
    let over = |successor: &&Key| {
        successor.signs_from.as_second().saturating_add(lifetime).saturating_add(24 * 3600) <= now
    };
    let oldest = keys.iter().filter(over).map(|successor| successor.id).max()?;
    keys.iter().any(|key| key.id < oldest).then_some(oldest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;

    fn keys(times: &[i64]) -> Vec<Key> {
        let key = |(index, seconds): (usize, &i64)| Key {
            id: index as i64 + 1,
            secret: [0; 32],
            signs_from: Timestamp::from_second(*seconds).unwrap(),
        };
        times.iter().enumerate().map(key).collect()
    }

    #[test]
    fn the_first_key_signs_at_once_and_the_next_ones_with_notice() {
        assert_eq!(due(&[], 1_000), Some((1, 1_000)));
        assert_eq!(due(&keys(&[1_000]), 1_000 + 30 * DAY - 1), None);
        assert_eq!(due(&keys(&[1_000]), 1_000 + 30 * DAY), Some((2, 1_000 + 30 * DAY + NOTICE)));
        // One that does not sign yet is not followed by another.
        assert_eq!(due(&keys(&[0, 31 * DAY]), 31 * DAY - 1), None);
    }

    #[test]
    fn a_key_is_kept_as_long_as_something_it_signed_can_be_good() {
        let successor = 30 * DAY;
        let last_good = successor + MOST_LIFETIME.as_secs() as i64;
        assert_eq!(oldest_useful(&keys(&[0, successor]), last_good), None);
        assert_eq!(oldest_useful(&keys(&[0, successor]), last_good + DAY), Some(2));
        assert_eq!(oldest_useful(&keys(&[0]), i64::MAX), None);
    }
}
