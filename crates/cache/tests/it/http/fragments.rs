//! Pieces of pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use burgeon_cache::{Cache, Fragment, Load};
use burgeon_core::Result;
use burgeon_core::units::Size;

use crate::house::house;

type Count = Arc<AtomicU64>;

async fn card(count: Count, load: Load, id: u32) -> Result<Fragment> {
    let times = count.fetch_add(1, Ordering::SeqCst);
    load.tag(format_args!("product:{id}"));
    Ok(Fragment::of(&load, format!("<li>{id}.{times}</li>")))
}

async fn shelf((cards, ids): (Cache<u32, Fragment>, Vec<u32>), load: Load, _: ()) -> Result<Fragment> {
    load.tag("shelf");
    let mut html = String::new();
    for id in &ids {
        if let Some(card) = cards.get(&load, id).await? {
            html.push_str(card.within(&load));
        }
    }
    Ok(Fragment::of(&load, html))
}

#[tokio::test(start_paused = true)]
async fn what_removes_an_inner_piece_removes_the_outer_one() {
    let house = house();
    let count = Count::default();
    let cards = house.caches.named("cards").fragments(Size::mib(1)).loader(count.clone(), card);
    let shelves = house
        .caches
        .named("shelves")
        .fragments(Size::mib(1))
        .ttl(Duration::from_secs(60))
        .loader((cards.clone(), vec![1, 2]), shelf);
    let shown = async || shelves.get(&house.ctx, &()).await.unwrap().unwrap();
    assert_eq!(shown().await.html(), "<li>1.0</li><li>2.1</li>");
    assert_eq!(shown().await.tags(), ["product:1", "product:2", "shelf"]);
    assert_eq!(count.load(Ordering::SeqCst), 2);
    // One tag for both caches: the outer one asks the inner ones, and only the changed one is rendered again.
    cards.invalidate_tag(&house.ctx, "product:2");
    shelves.invalidate_tag(&house.ctx, "product:2");
    assert_eq!(shown().await.html(), "<li>1.0</li><li>2.2</li>");
    cards.invalidate_tag(&house.ctx, "product:9");
    shelves.invalidate_tag(&house.ctx, "product:9");
    assert_eq!(shown().await.html(), "<li>1.0</li><li>2.2</li>");
}

#[tokio::test(start_paused = true)]
async fn a_piece_that_cannot_be_rendered_stays_as_it_was() {
    let house = house();
    let fails = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let pieces = house.caches.named("pieces").fragments(Size::mib(1)).ttl(Duration::from_secs(10)).loader(
        fails.clone(),
        async |fails: Arc<std::sync::atomic::AtomicBool>, load: Load, _: ()| match fails
            .load(Ordering::SeqCst)
        {
            true => Err(load.fail("the template is broken")),
            false => Ok(Fragment::of(&load, "<p>well</p>")),
        },
    );
    assert_eq!(pieces.get(&house.ctx, &()).await.unwrap().unwrap().html(), "<p>well</p>");
    fails.store(true, Ordering::SeqCst);
    tokio::time::advance(Duration::from_secs(20)).await;
    assert_eq!(pieces.get(&house.ctx, &()).await.unwrap().unwrap().html(), "<p>well</p>");
}
