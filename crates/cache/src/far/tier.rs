//! The second tier of one cache, with its types: asks, offers, claims.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use burgeon_core::{Position, Result};
use burgeon_runtime::Tasks;
use tokio::time::Instant;

use super::codec::Codec;
use super::config::Config;
use super::desk::{Desk, Doubt};
use super::doubts::{Unsettled, What};
use super::meters::FarMeters;
use super::reads::Read;
use super::remote::{Remote, Unreached};
use super::store::{self, Burial, Entry, Place, Record, Token};
use crate::stored::Validators;
use crate::wire::{Head, Rules, Span, Unfit};

pub(crate) struct Tier<K, V> {
    codec: Codec<K, V>,
    pub(crate) desk: Arc<Desk>,
    rules: Rules,
    /// The longest text of a key.
    longest: usize,
    /// Whether a value has been written and read again, and was the same.
    is_proved: AtomicBool,
}

/// The longest name of an entry, its cache's name included.
const LONGEST_NAME: usize = 1_024;

/// What the second tier says of a key.
pub(crate) enum Told<V> {
    /// There is a value, or the knowledge that there is none.
    There { value: Option<V>, head: Head, age: Duration, is_expired: bool, ticket: Ticket },
    /// There is nothing.
    Nothing(Ticket),
    /// It is not asked about this key: it cannot hold it.
    Unfit,
    /// It could not be asked, or must not be believed.
    Silent,
}

/// What a value loaded now is offered with.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    key: String,
    token: Token,
}

/// A value on its way to the second tier.
pub(crate) struct Export<V> {
    pub(crate) value: Option<Arc<V>>,
    pub(crate) span: Span,
    /// See [`crate::tags`].
    pub(crate) tags: Vec<u64>,
    pub(crate) validators: Option<Validators>,
    pub(crate) position: Position,
}

impl<K, V> Tier<K, V> {
    pub(crate) fn new(
        codec: Codec<K, V>,
        name: &Arc<str>,
        config: &Config,
        remote: &Arc<Remote>,
        meters: FarMeters,
        (tasks, unsettled): (&Tasks, &Unsettled),
    ) -> Self {
        let place = Place {
            cache: format!("{}:{name}", remote.application).into(),
            fingerprint: codec.fingerprint,
            is_tagged: Arc::default(),
        };
        let longest = LONGEST_NAME.saturating_sub(place.cache.len() + 4);
        let rules = Rules {
            format: config.format,
            compress_above: config.compress_above,
            limit: config.payload_limit,
        };
        let (tasks, unsettled) = (tasks.clone(), unsettled.clone());
        let desk = Desk::new(name.clone(), place, config.clone(), remote.clone(), meters, tasks, unsettled);
        Self { codec, desk, rules, longest, is_proved: AtomicBool::new(false) }
    }

    /// How long who asks waits. `has_something`: to fall back on.
    pub(crate) fn limit(&self, has_something: bool) -> Duration {
        let config = &self.desk.config;
        if has_something { config.soft_timeout } else { config.hard_timeout }
    }

    /// Asks for all these keys in one round trip of their own. `limit`: for how long.
    pub(crate) async fn ask(&self, keys: &[&K], limit: Duration) -> Vec<Told<V>> {
        let desk = &self.desk;
        let texts: Vec<Option<String>> = keys.iter().map(|key| self.codec.key(key, self.longest)).collect();
        let asked: Vec<String> =
            texts.iter().flatten().filter(|key| !desk.doubts.covers_key(key)).cloned().collect();
        let mut answers = match asked.is_empty() {
            true => None,
            false => self.read(&asked, limit).await,
        }
        .into_iter()
        .flatten();
        let mut asked = asked.into_iter().peekable();
        texts
            .into_iter()
            .map(|text| {
                let Some(text) = text else {
                    desk.meters.unfit.increment();
                    return Told::Unfit;
                };
                if asked.next_if_eq(&text).is_none() {
                    desk.meters.passed_over.increment();
                    return Told::Silent;
                }
                match answers.next() {
                    Some((token, entry)) => self.told(Ticket { key: text, token }, entry),
                    None => Told::Silent,
                }
            })
            .collect()
    }

    /// Asks for one key, together with others who ask at the same time. `limit`: for how long.
    pub(crate) async fn ask_one(&self, key: &K, limit: Duration) -> Told<V> {
        let desk = &self.desk;
        let Some(key) = self.codec.key(key, self.longest) else {
            desk.meters.unfit.increment();
            return Told::Unfit;
        };
        if desk.doubts.covers_key(&key) {
            desk.meters.passed_over.increment();
            return Told::Silent;
        }
        let (asked, slow) = (Instant::now(), desk.config.soft_timeout);
        let (answer, took) = desk.remote.call_at(asked, limit, slow, desk.read(asked + limit, key)).await;
        desk.meters.read_time.record(took);
        match answer {
            Ok(Some(Read { key, token, entry })) => {
                desk.meters.read_bytes.add(entry.as_ref().map_or(0, |entry| entry.bytes.len() as u64));
                self.told(Ticket { key, token }, entry)
            }
            Ok(None) => {
                desk.meters.passed_over.increment();
                Told::Silent
            }
            Err(why) => {
                self.unreached(why, 1);
                Told::Silent
            }
        }
    }

    async fn read(&self, keys: &[String], limit: Duration) -> Option<Vec<(Token, Option<Entry>)>> {
        let desk = &self.desk;
        let (asked, slow) = (Instant::now(), desk.config.soft_timeout);
        let ctx = Remote::ctx_until(asked + limit);
        let reading = desk.remote.store.read(&ctx, &desk.place, keys);
        let (answer, took) = desk.remote.call_at(asked, limit, slow, reading).await;
        desk.meters.read_time.record(took);
        match answer {
            Ok(answer) => {
                let bytes = answer.entries.iter().flatten().map(|entry| entry.bytes.len() as u64).sum();
                desk.meters.read_bytes.add(bytes);
                let token = answer.token;
                Some(answer.entries.into_iter().map(|entry| (token, entry)).collect())
            }
            Err(why) => {
                self.unreached(why, keys.len() as u64);
                None
            }
        }
    }

    fn unreached(&self, why: Unreached, keys: u64) {
        let desk = &self.desk;
        match why {
            Unreached::Refused => desk.meters.refused.add(keys),
            Unreached::Failed(why) => {
                tracing::debug!(cache = %desk.name, %why, "the second tier did not answer");
                desk.meters.failed.add(keys);
            }
        }
    }

    fn told(&self, ticket: Ticket, entry: Option<Entry>) -> Told<V> {
        let meters = &self.desk.meters;
        let Some(Entry { bytes, age, is_expired }) = entry else {
            meters.misses.increment();
            return Told::Nothing(ticket);
        };
        match self.codec.decode(&bytes, self.rules.limit) {
            Ok((head, _)) if self.is_doubtful(&head) => {
                meters.passed_over.increment();
                // What is loaded instead is newer than what the tag's invalidation will find.
                Told::Nothing(ticket)
            }
            Ok((head, value)) => Told::There { value, head, age, is_expired, ticket },
            Err(why) => {
                meters.unreadable(why);
                meters.misses.increment();
                Told::Nothing(ticket)
            }
        }
    }

    fn is_doubtful(&self, head: &Head) -> bool {
        if self.desk.doubts.len() == 0 {
            return false;
        }
        let stripes: Vec<u16> = head.tags.iter().map(|tag| store::tag(*tag)).collect();
        self.desk.doubts.covers_tags(&stripes)
    }

    /// Offers what was loaded. It is not taken if an invalidation came in between.
    pub(crate) async fn offer(&self, ticket: Ticket, export: Export<V>) {
        let Some(record) = self.record(ticket, export) else { return };
        let desk = &self.desk;
        let (started, size) = (Instant::now(), record.bytes.len() as u64);
        let ctx = Remote::ctx(desk.config.hard_timeout);
        let written = self.call(desk.remote.store.write(&ctx, &desk.place, record)).await;
        desk.meters.write_time.record(started.elapsed());
        match written {
            Ok(true) => {
                desk.meters.written.increment();
                desk.meters.written_bytes.add(size);
            }
            Ok(false) => desk.meters.fenced.increment(),
            Err(why) => {
                tracing::debug!(cache = %desk.name, ?why, "the second tier did not take a value");
                desk.meters.write_failed.increment();
            }
        }
    }

    /// Writes through: what is there is invalidated, and this is there instead. If that fails, the key stays in doubt. Answers
    /// whether the old value is gone.
    pub(crate) async fn replace(&self, held: Held, export: Export<V>) -> bool {
        let desk = &self.desk;
        let ctx = Remote::ctx(desk.config.hard_timeout);
        let replacing = async {
            let (store, place) = (&desk.remote.store, &desk.place);
            let key = held.key.clone();
            let token = store.bury_keys(&ctx, place, std::slice::from_ref(&key), held.burial).await?;
            let Some(record) = self.record(Ticket { key, token }, export) else { return Ok(false) };
            store.write(&ctx, place, record).await
        };
        let replaced = self.call(replacing).await;
        match replaced {
            Ok(true) => desk.meters.written.increment(),
            // Invalidated at once after; or it cannot be written, and is gone at least.
            Ok(false) => desk.meters.fenced.increment(),
            Err(_) => {
                desk.meters.write_failed.increment();
                desk.doubts.tell(&What::Key(held.key.clone()));
                return false;
            }
        }
        held.settle();
        true
    }

    fn record(&self, Ticket { key, token }: Ticket, export: Export<V>) -> Option<Record> {
        let desk = &self.desk;
        let Export { value, span, tags, validators, position } = export;
        let stripes = tags.iter().map(|tag| store::tag(*tag)).collect();
        let head = Head::new(span, tags, validators, position);
        let fit = match self.codec.encode(value.as_deref(), head, &self.rules) {
            Ok(bytes) => self.prove(&bytes).map(|()| bytes),
            Err(why) => Err(why),
        };
        match fit {
            Ok(bytes) => Some(Record {
                key,
                token,
                bytes,
                tags: stripes,
                kept: Duration::from_millis(span.kept),
                position,
            }),
            Err(why) => {
                desk.meters.unfit.increment();
                tracing::warn!(cache = %desk.name, %why, "a value does not go into the second tier");
                None
            }
        }
    }

    /// Not every type comes back from every format. The first value is read again before anybody relies on it.
    fn prove(&self, bytes: &[u8]) -> Result<(), Unfit> {
        if self.is_proved.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.codec.decode(bytes, self.rules.limit) {
            Ok(_) => {
                self.is_proved.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(_) => Err(Unfit::Refused(
                "its type does not come back from this format as it was; set `format = \"json\"`".to_owned(),
            )),
        }
    }

    /// Whether this process may load the key for all. The right ends after `life`.
    pub(crate) async fn claim(&self, ticket: &Ticket, life: Duration) -> Result<bool, Unreached> {
        let desk = &self.desk;
        let ctx = Remote::ctx(desk.config.hard_timeout);
        let holder = desk.remote.holder;
        self.call(desk.remote.store.claim(&ctx, &desk.place, &ticket.key, holder, life)).await
    }

    /// Gives the right back. If that fails, it ends by itself.
    pub(crate) async fn unclaim(&self, ticket: &Ticket) {
        let desk = &self.desk;
        let ctx = Remote::ctx(desk.config.hard_timeout);
        let holder = desk.remote.holder;
        let released = self.call(desk.remote.store.release(&ctx, &desk.place, &ticket.key, holder)).await;
        if let Err(why) = released {
            tracing::debug!(cache = %desk.name, ?why, "a claim was not given back; it ends by itself");
        }
    }

    async fn call<T>(&self, asking: impl Future<Output = Result<T>>) -> Result<T, Unreached> {
        let config = &self.desk.config;
        self.desk.remote.call(config.hard_timeout, config.soft_timeout, asking).await
    }

    /// The key is in doubt from now on; `None` when the store cannot hold it anyway.
    pub(crate) fn doubt_key(&self, key: &K, burial: Burial) -> Option<Doubt> {
        let key = self.codec.key(key, self.longest)?;
        Some(self.desk.doubt(What::Key(key), burial))
    }

    /// The same of a key that another node calls by its text.
    pub(crate) fn doubt_text(&self, text: &str, burial: Burial) -> Doubt {
        self.desk.doubt(What::Key(text.to_owned()), burial)
    }

    /// What the store calls the key.
    pub(crate) fn text(&self, key: &K) -> Option<Arc<str>> {
        self.codec.key(key, self.longest).map(Into::into)
    }

    pub(crate) fn doubt_tag(&self, tag: u64, burial: Burial) -> Doubt {
        self.desk.doubt(What::Tag(store::tag(tag)), burial)
    }

    pub(crate) fn doubt_everything(&self, burial: Burial) -> Doubt {
        self.desk.doubt(What::Everything, burial)
    }

    /// The key is in doubt until [`replace`](Self::replace) has succeeded.
    pub(crate) fn hold_key(&self, key: &K, burial: Burial) -> Option<Held> {
        let key = self.codec.key(key, self.longest)?;
        let number = self.desk.hold(What::Key(key.clone()), burial);
        Some(Held { desk: self.desk.clone(), key, number, burial, is_settled: false })
    }
}

/// A key that somebody replaces. If he gives up, it is invalidated instead.
pub(crate) struct Held {
    desk: Arc<Desk>,
    key: String,
    number: u64,
    burial: Burial,
    is_settled: bool,
}

impl Held {
    pub(crate) fn text(&self) -> Arc<str> {
        self.key.as_str().into()
    }

    /// There is no new value: the old one is to be invalidated.
    pub(crate) fn give_up(self) -> Doubt {
        let doubt = Doubt::of(&self.desk, What::Key(self.key.clone()));
        drop(self);
        doubt
    }

    fn settle(mut self) {
        self.is_settled = true;
        self.desk.settle(&What::Key(self.key.clone()), self.number);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.is_settled {
            self.desk.release(&What::Key(self.key.clone()), self.number);
        }
    }
}
