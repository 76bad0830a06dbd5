//! What holds on every link.

use std::time::Duration;

use burgeon_cluster::bus::{LONGEST, Received};
use burgeon_cluster::{Gap, State};
use burgeon_core::{Deadline, Kind};
use tokio::time::Instant;

use super::{Entry, Log, Meeting, within};

#[tokio::test(flavor = "multi_thread")]
async fn every_node_hears_every_message_once_and_each_senders_in_order_one_node_or_three() {
    for count in [1, 3] {
        for meeting in Meeting::all().await {
            let nodes = meeting.nodes(count).await;
            let logs: Vec<_> = nodes.iter().map(|node| Log::listen(&node.bus, "news")).collect();
            for number in 0..100 {
                for (index, node) in nodes.iter().enumerate() {
                    node.bus.publish("news", format!("{index}:{number}")).unwrap();
                    node.bus.publish("other", "not for them").unwrap();
                }
            }
            for (log, _listening) in &logs {
                log.until(|heard| heard.len() >= 100 * count).await;
                for index in 0..count {
                    let prefix = format!("{index}:");
                    let of_one: Vec<_> =
                        log.messages().into_iter().filter(|text| text.starts_with(&prefix)).collect();
                    let wanted: Vec<_> = (0..100).map(|number| format!("{index}:{number}")).collect();
                    assert_eq!(of_one, wanted);
                }
                assert_eq!(log.entries().len(), 100 * count, "no gap, nothing twice");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stamp_is_applied_on_another_node_once_its_listeners_have_seen_the_message() {
    for meeting in Meeting::all().await {
        let nodes = meeting.nodes(2).await;
        let (log, _listening) = Log::listen(&nodes[1].bus, "news");
        for number in 0..50 {
            let stamp = nodes[0].bus.publish("news", format!("{number}")).unwrap();
            let deadline = Deadline::after(Instant::now().into_std(), super::SOON);
            assert!(nodes[1].bus.applied(stamp, deadline).await);
            assert!(log.entries().contains(&Entry::Message(stamp, format!("{number}"))));
        }
        let beyond = burgeon_cluster::Stamp { node: nodes[0].bus.node(), sequence: 1_000 };
        let soon = Deadline::after(Instant::now().into_std(), Duration::from_millis(20));
        assert!(!nodes[1].bus.applied(beyond, soon).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_link_is_known_own_messages_are_heard_meanwhile_and_everybody_is_told_when_it_is_back() {
    for meeting in Meeting::all().await {
        let nodes = meeting.nodes(3).await;
        let logs: Vec<_> = nodes.iter().map(|node| Log::listen(&node.bus, "news")).collect();
        meeting.cut();
        for node in &nodes {
            within(node.bus.until(|bus| bus.state() == State::Cut)).await;
        }
        let stamp = nodes[0].bus.publish("news", "said alone").unwrap();
        logs[0].0.until(|heard| heard.iter().any(|entry| matches!(entry, Entry::Message(..)))).await;

        meeting.restore();
        for (log, _listening) in &logs {
            log.until(|heard| heard.contains(&Entry::Gap(Gap::Reconnected))).await;
        }
        // What waited in the outbox is said late; who came back later still knows that it missed it.
        for (node, (log, _listening)) in nodes.iter().zip(&logs) {
            within(node.bus.until(|bus| bus.has_applied(stamp))).await;
            let (message, gap) =
                (Entry::Message(stamp, "said alone".to_owned()), Entry::Gap(Gap::Missed(stamp.node)));
            assert!(log.entries().iter().any(|entry| *entry == message || *entry == gap));
            within(node.bus.whole()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_breaks_and_is_back_at_once_is_told_all_the_same() {
    for meeting in Meeting::all().await {
        let nodes = meeting.nodes(1).await;
        let (log, _listening) = Log::listen(&nodes[0].bus, "news");
        let told = async {
            while !log.entries().contains(&Entry::Gap(Gap::Reconnected)) {
                meeting.cut();
                // For so short a time that a driver of its own may find it mended; and if the line has not even noticed,
                // it is cut again.
                tokio::time::sleep(Duration::from_millis(2)).await;
                meeting.restore();
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        within(told).await;
        within(nodes[0].bus.whole()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_leaves_says_good_bye_and_one_that_vanishes_is_missed_until_it_is_forgotten() {
    for meeting in Meeting::all().await {
        let mut nodes = meeting.nodes(3).await;
        let vanishing = nodes.remove(2);
        let leaving = nodes.remove(1);
        let staying = &nodes[0].bus;
        let (log, _listening) = Log::listen(staying, "news");

        let left = leaving.bus.node();
        leaving.tasks.stop(super::SOON).await.unwrap();
        within(staying.until(|bus| !bus.heard().contains(&left))).await;
        assert_eq!(staying.state(), State::Whole);

        let vanished = vanishing.bus.node();
        drop(vanishing.tasks);
        within(staying.until(|bus| bus.state() == State::Partial)).await;
        staying.forget_gone(&[vanished]);
        assert_eq!(staying.state(), State::Partial, "it lives, somebody says");
        staying.forget_gone(&[]);
        assert_eq!(staying.state(), State::Whole);
        // It may have done what it did not come to tell. Who said good-bye has told all.
        log.until(|heard| !heard.is_empty()).await;
        assert_eq!(log.entries(), [Entry::Gap(Gap::Missed(vanished))]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_message_arrives_and_a_longer_one_is_refused() {
    for meeting in Meeting::all().await {
        let nodes = meeting.nodes(2).await;
        let (log, _listening) = Log::listen(&nodes[1].bus, "news");
        let longest = "x".repeat(LONGEST);
        nodes[0].bus.publish("news", longest.clone()).unwrap();
        log.until(|heard| heard.len() == 1).await;
        assert_eq!(log.messages(), std::slice::from_ref(&longest));
        let refused = nodes[0].bus.publish("news", longest + "x").unwrap_err();
        assert_eq!(refused.kind(), Kind::Invalid);
        let refused = nodes[0].bus.publish("t".repeat(129), "x").unwrap_err();
        assert_eq!(refused.kind(), Kind::Invalid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_panics_does_not_harm_the_others_and_who_stops_listening_hears_no_more() {
    for meeting in Meeting::all().await {
        let nodes = meeting.nodes(1).await;
        let bus = &nodes[0].bus;
        let _panicking = bus.listen("news", |_| panic!("on purpose"));
        let (log, _listening) = Log::listen(bus, "news");
        let (stopped, listening) = Log::listen(bus, "news");
        drop(listening);
        bus.publish("news", "1").unwrap();
        bus.publish("news", "2").unwrap();
        log.until(|heard| heard.len() == 2).await;
        assert!(stopped.entries().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_does_not_keep_up_gets_a_gap() {
    let meeting = Meeting::InProcess(Default::default());
    let nodes = meeting.nodes(1).await;
    let mut subscription = nodes[0].bus.subscribe("news", 2);
    let (log, _listening) = Log::listen(&nodes[0].bus, "news");
    for number in 0..5 {
        nodes[0].bus.publish("news", format!("{number}")).unwrap();
    }
    log.until(|heard| heard.len() == 5).await;
    let first = subscription.next().await.unwrap();
    assert!(matches!(first, Received::Gap(Gap::Overflowed)), "{first:?}");
    for number in 0..2 {
        let Received::Message(message) = subscription.next().await.unwrap() else { panic!("a message") };
        assert_eq!(message.payload, format!("{number}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_looks_open_and_carries_nothing_is_noticed() {
    for meeting in Meeting::all().await {
        let Some(proxy) = meeting.proxy() else { continue };
        let nodes = meeting.nodes(1).await;
        proxy.hold_replies();
        within(nodes[0].bus.until(|bus| bus.state() == State::Cut)).await;
        proxy.heal();
        within(nodes[0].bus.whole()).await;
    }
}
