//! Members: who lives, who left, who is gone.

use std::time::Duration;

use burgeon_cluster::NodeId;
use burgeon_cluster::members::{About, Members};
use burgeon_core::Ctx;
use burgeon_db::sql;
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;

use crate::yard::{Yard, within};

fn about(name: &str) -> About {
    let roles = vec!["web".to_owned(), "worker".to_owned()];
    About {
        name: name.to_owned(),
        version: "1.2.3".to_owned(),
        roles,
        address: "127.0.0.1:3000".to_owned(),
        bus: "postgres, beats every 1s".to_owned(),
        limits: "database".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_sees_all_who_live_and_soon_not_those_who_left_or_died() {
    for yard in Yard::all().await {
        let meters = Meters::new();
        let mut nodes = Vec::new();
        for db in yard.dbs().await {
            let tasks = Tasks::new(&meters);
            let node = NodeId::draw().unwrap();
            let members = Members::awaiting(node, &meters);
            assert!(members.alive().is_empty());
            members.join(&db, about("same-name"), None, &tasks).await.unwrap();
            nodes.push((node, members, tasks));
        }
        let count = nodes.len();
        for (_, members, _) in &nodes {
            members.turn().await.unwrap();
            let alive = members.alive();
            assert_eq!(alive.len(), count);
            for (node, ..) in &nodes {
                let member = alive.iter().find(|member| member.node == *node).unwrap();
                assert_eq!(member.about, about("same-name"));
            }
            assert!(members.age() < Duration::from_secs(5));
        }
        let (_, staying, _) = &nodes[0];
        if count > 1 {
            let (left, _, tasks) = &nodes[1];
            within(tasks.stop(Duration::from_secs(5))).await.unwrap();
            staying.turn().await.unwrap();
            assert!(staying.alive().iter().all(|member| member.node != *left));
        }
        // One that died long ago, on the database's clock, and one that died just now.
        let db = yard.db().await;
        let ctx = Ctx::background();
        for (node, ago) in [(NodeId::from_bits(1), 71), (NodeId::from_bits(2), 11)] {
            sql!(
                "test_dead_member",
                "insert into burgeon_member (node, name, version, roles, address, bus, joined, seen)
                 select $1, '', '', '', '', '', 0, max(seen) - $2 from burgeon_member",
                node.to_string(),
                ago * 1_000_000_i64
            )
            .execute(&db.write(&ctx))
            .await
            .unwrap();
        }
        staying.turn().await.unwrap();
        assert!(staying.alive().iter().all(|member| member.node.bits() > 2));
        let kept: Vec<String> =
            sql!("test_kept", "select node from burgeon_member").all(&db.read(&ctx)).await.unwrap();
        assert!(kept.contains(&NodeId::from_bits(2).to_string()));
        assert!(!kept.contains(&NodeId::from_bits(1).to_string()));
    }
}

#[tokio::test]
async fn who_stands_alone_is_the_only_member_and_needs_no_table() {
    let members = Members::awaiting(NodeId::from_bits(7), &Meters::new());
    members.stand_alone(about("alone"));
    assert_eq!(members.alive().len(), 1);
    assert!(members.others().is_empty());
    assert_eq!(members.age(), Duration::ZERO);
}
