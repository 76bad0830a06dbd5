//! A link that loses, delays and repeats: nothing is lost unnoticed.

use std::collections::HashMap;
use std::time::Duration;

use burgeon_cluster::bus::{Fate, Hub};
use burgeon_cluster::{Gap, NodeId};
use burgeon_resilience::random::{Dice, below};

use super::{Entry, Log, Meeting, within};

#[tokio::test(flavor = "multi_thread")]
async fn in_bad_weather_no_listener_misses_a_message_without_hearing_a_gap() {
    let hub = Hub::new();
    let meeting = Meeting::InProcess(hub.clone());
    let nodes = meeting.nodes(3).await;
    let logs: Vec<_> = nodes.iter().map(|node| Log::listen(&node.bus, "news")).collect();
    let dice = Dice::seeded(7);
    hub.set_weather(move || match below(dice.roll(), 10) {
        0 | 1 => Fate::Lose,
        2 => Fate::Delay(Duration::from_millis(below(dice.roll(), 20))),
        3 => Fate::Repeat,
        _ => Fate::Arrive,
    });
    let mut last = HashMap::new();
    for number in 0..2_000 {
        let node = &nodes[number % 3].bus;
        let stamp = node.publish("news", format!("{number}")).unwrap();
        last.insert(stamp.node, stamp);
        // Makes packets small and many.
        within(node.until(|bus| bus.has_applied(stamp))).await;
    }
    hub.clear_weather();
    // In good weather the next heartbeat tells how far everybody was.
    for node in &nodes {
        for stamp in last.values() {
            within(node.bus.until(|bus| bus.has_applied(*stamp))).await;
        }
    }
    let mut losses = 0;
    for ((log, _listening), node) in logs.iter().zip(&nodes) {
        losses += check(&log.entries(), node.bus.node(), last.values().map(|stamp| stamp.sequence).max());
    }
    assert!(losses > 0, "the weather was too good to show anything");
}

/// Goes through what one node heard; answers how many gaps there were.
fn check(entries: &[Entry], own: NodeId, last: Option<u64>) -> usize {
    let mut heard: HashMap<NodeId, u64> = HashMap::new();
    let mut warned: HashMap<NodeId, bool> = HashMap::new();
    let mut gaps = 0;
    for entry in entries {
        match entry {
            Entry::Gap(Gap::Missed(node)) => {
                warned.insert(*node, true);
                gaps += 1;
            }
            Entry::Gap(other) => panic!("{other:?} in a link that was never cut"),
            Entry::Message(stamp, _) => {
                let before = heard.insert(stamp.node, stamp.sequence).unwrap_or(0);
                assert!(stamp.sequence > before, "heard twice or out of order");
                let warned = warned.insert(stamp.node, false).unwrap_or(false);
                assert!(stamp.sequence == before + 1 || warned, "a loss before {stamp} was not told");
                assert!(stamp.node != own || stamp.sequence == before + 1, "own messages are never lost");
            }
        }
    }
    for (node, sequence) in heard {
        assert!(
            Some(sequence) == last || warned[&node] || sequence + 1 >= last.unwrap(),
            "a loss at the end was not told"
        );
    }
    gaps
}
