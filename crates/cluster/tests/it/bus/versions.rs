//! Nodes of two versions beside each other. The other version's packets are written here by hand, from what `packet.rs` says of
//! the wire: so this also notices if the wire changes without a new number.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use burgeon_cluster::{Gap, NodeId, Stamp};
use burgeon_core::Ctx;
use burgeon_db::{Db, Heard};
use burgeon_meter::{Meters, Value};
use burgeon_redis::Redis;
use burgeon_runtime::Tasks;

use super::{Entry, Log, Meeting, Node, within};

/// A frame: its length, version, kind, node, number, and the rest.
fn frame(version: u8, kind: u8, stamp: Stamp, rest: &[u8]) -> Vec<u8> {
    let mut frame = vec![version, kind];
    frame.extend(stamp.node.bits().to_le_bytes());
    frame.extend(stamp.sequence.to_le_bytes());
    frame.extend(rest);
    let mut packet = u16::try_from(frame.len()).unwrap().to_le_bytes().to_vec();
    packet.extend(frame);
    packet
}

fn message(topic: &str, payload: &str) -> Vec<u8> {
    let mut rest = vec![u8::try_from(topic.len()).unwrap()];
    rest.extend(topic.bytes().chain(payload.bytes()));
    rest
}

/// One end of the link, without a bus.
enum Wire {
    Postgres { listener: burgeon_db::Listener, notifier: burgeon_db::Notifier, _db: Db },
    Redis { listener: burgeon_redis::Listener, publisher: burgeon_redis::Publisher, _tasks: Tasks },
}

impl Wire {
    async fn open(meeting: &Meeting) -> Option<Wire> {
        let (meters, ctx) = (Meters::new(), Ctx::background());
        let tasks = Tasks::new(&meters);
        match meeting {
            Meeting::Postgres { url, .. } => {
                let db = Db::open(&burgeon_db::Config::at(url.clone()), &tasks, &meters).await.unwrap();
                let (listener, notifier) = db.listen(&ctx, "burgeon_test").await.unwrap();
                Some(Wire::Postgres { listener, notifier, _db: db })
            }
            Meeting::Redis { server, .. } => {
                let config = burgeon_redis::Config::at(server.url());
                let redis = Redis::connect(&config, &tasks, &meters).unwrap();
                let (listener, publisher) = redis.listen(&ctx, "burgeon_test").await.unwrap();
                Some(Wire::Redis { listener, publisher, _tasks: tasks })
            }
            _ => None,
        }
    }

    async fn say(&self, packet: &[u8]) {
        match self {
            Wire::Postgres { notifier, .. } => notifier.say(&STANDARD_NO_PAD.encode(packet)).await.unwrap(),
            Wire::Redis { publisher, .. } => publisher.say(packet).await.unwrap(),
        }
    }

    async fn hear(&mut self) -> Vec<u8> {
        match self {
            Wire::Postgres { listener, .. } => match listener.hear().await.unwrap() {
                Heard::Said(text) => STANDARD_NO_PAD.decode(text).unwrap(),
                Heard::Missed(_) => panic!("not so many"),
            },
            Wire::Redis { listener, .. } => match listener.hear().await.unwrap() {
                burgeon_redis::Heard::Said(packet) => packet.to_vec(),
                burgeon_redis::Heard::Missed(_) => panic!("not so many"),
            },
        }
    }
}

fn skipped(node: &Node) -> u64 {
    let samples = node.meters.samples();
    match samples.iter().find(|sample| sample.name == "bus_skipped_total").map(|sample| &sample.value) {
        Some(Value::Counter(count)) => *count,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_node_says_is_skipped_counted_and_known_to_be_missed_and_the_rest_is_heard() {
    for meeting in Meeting::all().await {
        let Some(wire) = Wire::open(&meeting).await else { continue };
        let nodes = meeting.nodes(2).await;
        let logs: Vec<_> = nodes.iter().map(|node| Log::listen(&node.bus, "news")).collect();
        let newer = |sequence| Stamp { node: NodeId::from_bits(77), sequence };
        let older = Stamp { node: NodeId::from_bits(78), sequence: 1 };

        // In one packet: something of version 2, and behind it something that everybody understands.
        let mut packet = frame(2, 1, newer(1), b"who knows what");
        packet.extend(frame(1, 1, older, &message("news", "hello")));
        wire.say(&packet).await;
        let hello = Entry::Message(older, "hello".to_owned());
        for ((log, _listening), node) in logs.iter().zip(&nodes) {
            log.until(|heard| heard.contains(&hello)).await;
            assert_eq!(log.entries(), [Entry::Gap(Gap::Missed(newer(1).node)), hello.clone()]);
            assert!(node.bus.has_applied(newer(1)));
            assert_eq!(skipped(node), 1);
        }

        // A heartbeat of it that tells nothing new, a kind that version 1 does not have, and what is no frame at all.
        let mut packet = frame(2, 2, newer(1), &[]);
        packet.extend(frame(1, 9, newer(2), &[]));
        packet.extend([200, 0, 1, 1]);
        wire.say(&packet).await;
        for ((log, _listening), node) in logs.iter().zip(&nodes) {
            within(node.bus.until(|bus| bus.has_applied(newer(2)))).await;
            within(node.bus.until(|_| skipped(node) == 4)).await;
            assert_eq!(log.entries().len(), 3, "one more gap, for the one more message");
        }

        // The nodes of this version hear each other as before.
        let stamp = nodes[0].bus.publish("news", "as before").unwrap();
        for (log, _listening) in &logs {
            log.until(|heard| heard.last() == Some(&Entry::Message(stamp, "as before".to_owned()))).await;
            assert_eq!(log.entries().len(), 4);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_version_says_is_version_1_as_it_is_written_down() {
    for meeting in Meeting::all().await {
        let Some(mut wire) = Wire::open(&meeting).await else { continue };
        let nodes = meeting.nodes(1).await;
        let stamp = nodes[0].bus.publish("news", "hello").unwrap();
        let (said, beat) = (frame(1, 1, stamp, &message("news", "hello")), frame(1, 2, stamp, &[0]));
        let holds = |packet: &[u8], frame: &[u8]| packet.windows(frame.len()).any(|part| part == frame);
        within(async { while !holds(&wire.hear().await, &said) {} }).await;
        within(async { while !holds(&wire.hear().await, &beat) {} }).await;
        nodes[0].tasks.stop(super::SOON).await.unwrap();
        let bye = frame(1, 3, stamp, &[0]);
        within(async { while !holds(&wire.hear().await, &bye) {} }).await;
    }
}
