//! A link that loses, delays and repeats: nothing is lost unnoticed.

use std::collections::HashMap;
use std::time::Duration;

use burgeon_cluster::bus::{Fate, Hub, State};
use burgeon_cluster::{Bus, Gap, NodeId, Stamp};
use burgeon_resilience::random::{Dice, below};
use tokio::runtime::Builder;

use super::{Entry, Log, Meeting, Node, within};

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
        losses += check(&log.entries(), node.bus.node(), &last);
    }
    assert!(losses > 0, "the weather was too good to show anything");
}

/// What befalls a line or its broker, and for how long.
#[derive(Debug, Clone, Copy)]
enum Mishap {
    Cut,
    Slow,
    Swallowed,
    Unanswered,
    Killed,
}

impl Mishap {
    const ALL: [Mishap; 5] =
        [Mishap::Cut, Mishap::Slow, Mishap::Swallowed, Mishap::Unanswered, Mishap::Killed];

    async fn befall(self, meeting: &Meeting, nodes: &[Node], number: &mut usize) {
        let (proxy, server) = (meeting.proxy().unwrap(), meeting.server().unwrap());
        match self {
            Mishap::Cut => proxy.cut(),
            Mishap::Slow => proxy.delay(Duration::from_millis(20)),
            Mishap::Swallowed => proxy.black_hole(),
            // What is said is heard by others and said again, because its speaker does not know.
            Mishap::Unanswered => proxy.hold_replies(),
            Mishap::Killed => server.kill().await.unwrap(),
        }
        // Longer than the three heartbeats after which it is noticed; meanwhile everybody goes on talking.
        for _ in 0..30 {
            say(nodes, number);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        match self {
            Mishap::Killed => server.restart().await.unwrap(),
            _ => proxy.heal(),
        }
        for node in nodes {
            within(node.bus.whole()).await;
        }
    }
}

fn say(nodes: &[Node], number: &mut usize) {
    *number += 1;
    nodes[*number % nodes.len()].bus.publish("news", format!("{number}")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_befalls_the_line_or_the_broker_no_loss_goes_unnoticed_and_all_heals() {
    for meeting in Meeting::of_brokers().await {
        let nodes = meeting.nodes(3).await;
        let logs: Vec<_> = nodes.iter().map(|node| Log::listen(&node.bus, "news")).collect();
        let mut number = 0;
        for mishap in Mishap::ALL {
            mishap.befall(&meeting, &nodes, &mut number).await;
            for _ in 0..30 {
                say(&nodes, &mut number);
                tokio::task::yield_now().await;
            }
        }
        let last: HashMap<NodeId, Stamp> = nodes
            .iter()
            .map(|node| (node.bus.node(), node.bus.publish("news", "the end").unwrap()))
            .collect();
        for node in &nodes {
            for stamp in last.values() {
                within(node.bus.until(|bus| bus.has_applied(*stamp))).await;
            }
        }
        for ((log, _listening), node) in logs.iter().zip(&nodes) {
            let entries = log.entries();
            check(&entries, node.bus.node(), &last);
            assert!(entries.contains(&Entry::Gap(Gap::Reconnected)), "nobody was told of a cut");
        }
    }
}

/// One node's line breaks while the others go on talking: what they say is lost for it alone, packet by packet, as on the hub.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_misses_while_its_line_is_cut_it_is_told_of_by_numbers_and_what_it_says_is_heard_after()
{
    for meeting in Meeting::of_brokers().await {
        let mut nodes = meeting.nodes(2).await;
        let line = meeting.another_line().await;
        nodes.push(meeting.node_over(Some(&line)).await);
        for node in &nodes {
            within(node.bus.whole()).await;
            within(node.bus.until(|bus| bus.heard().len() == 2)).await;
        }
        let logs: Vec<_> = nodes.iter().map(|node| Log::listen(&node.bus, "news")).collect();
        let [one, other, away] = &nodes[..] else { unreachable!() };
        let heard_by_all = async |stamp: Stamp| {
            for node in &nodes {
                within(node.bus.until(|bus| bus.has_applied(stamp))).await;
            }
        };
        heard_by_all(one.bus.publish("news", "before").unwrap()).await;

        line.cut();
        within(away.bus.until(|bus| bus.state() == State::Cut)).await;
        let mut last = Vec::new();
        for number in 0..20 {
            let speaker = if number % 2 == 0 { one } else { other };
            let stamp = speaker.bus.publish("news", format!("unheard {number}")).unwrap();
            // In packets of their own, each of which is gone before the line is back.
            for node in [one, other] {
                within(node.bus.until(|bus| bus.has_applied(stamp))).await;
            }
            last.push(stamp);
        }
        let own = away.bus.publish("news", "from away").unwrap();
        assert!(!away.bus.has_applied(last[19]));
        line.heal();
        within(away.bus.whole()).await;

        // Nobody says anything more: the next heartbeats tell how far they were.
        for stamp in &last[18..] {
            heard_by_all(*stamp).await;
        }
        heard_by_all(own).await;
        let entries = logs[2].0.entries();
        assert!(entries.contains(&Entry::Gap(Gap::Reconnected)), "{entries:?}");
        for node in [one, other] {
            assert!(entries.contains(&Entry::Gap(Gap::Missed(node.bus.node()))), "{entries:?}");
        }
        assert!(logs[2].0.messages().iter().all(|message| !message.starts_with("unheard")), "{entries:?}");
        for (log, _) in &logs[..2] {
            assert_eq!(log.messages().len(), 22, "what is said without a line is said once it is back");
            assert!(log.entries().iter().all(|entry| !matches!(entry, Entry::Gap(_))), "they missed nothing");
        }
        // From here on it hears everything again.
        let after = one.bus.publish("news", "after").unwrap();
        logs[2].0.until(|entries| entries.contains(&Entry::Message(after, "after".to_owned()))).await;
    }
}

/// Goes through what one node heard; answers how many gaps there were.
fn check(entries: &[Entry], own: NodeId, last: &HashMap<NodeId, Stamp>) -> usize {
    let mut heard: HashMap<NodeId, u64> = HashMap::new();
    let mut warned: HashMap<NodeId, bool> = HashMap::new();
    let mut gaps = 0;
    for entry in entries {
        match entry {
            Entry::Gap(Gap::Missed(node)) => {
                warned.insert(*node, true);
                gaps += 1;
            }
            // Told beside, not instead: what is missing is still told of node by node.
            Entry::Gap(Gap::Reconnected) => {}
            Entry::Gap(other) => panic!("{other:?}"),
            Entry::Message(stamp, _) => {
                let before = heard.insert(stamp.node, stamp.sequence).unwrap_or(0);
                assert!(stamp.sequence > before, "heard twice or out of order");
                let warned = warned.insert(stamp.node, false).unwrap_or(false);
                assert!(stamp.sequence == before + 1 || warned, "a loss before {stamp} was not told");
                assert!(stamp.node != own || stamp.sequence == before + 1, "own messages are never lost");
            }
        }
    }
    for (node, stamp) in last {
        let is_told = heard.get(node) == Some(&stamp.sequence) || warned.get(node) == Some(&true);
        assert!(is_told, "a loss at the end was not told");
    }
    gaps
}

#[test]
fn a_dead_node_that_is_heard_late_is_forgotten_once_more() {
    // Whether it first hears what waits for it or finds itself silent, and takes another link, is the toss of a coin.
    assert!((0..20).any(|_| is_heard_late()), "nothing was heard late");
}

/// A node is stopped while another one dies. Answers whether it heard of that one afterwards; then it forgot it once more.
fn is_heard_late() -> bool {
    let here = Builder::new_current_thread().enable_all().build().unwrap();
    let there = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let meeting = Meeting::InProcess(Hub::new());
    let staying = here.block_on(meeting.nodes(1));
    let dying = there.block_on(meeting.nodes(1));
    let (staying, dying) = (&staying[0].bus, &dying[0].bus);
    let (log, _listening) = Log::listen(staying, "news");
    let is_heard = |bus: &Bus| bus.heard().contains(&dying.node());
    here.block_on(within(staying.until(is_heard)));

    // Nothing runs here, and what is said waits, until the list of members says that whoever said it is gone.
    there.block_on(within(dying.until(|_| {
        staying.forget_gone(&[]);
        !is_heard(staying)
    })));
    drop(there);
    here.block_on(async {
        let is_relinked = || log.entries().contains(&Entry::Gap(Gap::Reconnected));
        within(staying.until(|bus| is_heard(bus) || is_relinked())).await;
        let was_heard = is_heard(staying);
        within(staying.until(|bus| {
            bus.forget_gone(&[]);
            !is_heard(bus) && bus.state() == State::Whole
        }))
        .await;
        was_heard
    })
}
