//! A hit allocates nothing.
#![allow(unsafe_code, reason = "a global allocator is unsafe by its trait; this one counts and hands on")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use burgeon_cache::{Cache, Caches, Config, Load};
use burgeon_core::Ctx;
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

#[tokio::test]
async fn a_hit_allocates_nothing() {
    let meters = Meters::new();
    let tasks = Tasks::new(&meters);
    let caches = Caches::new(&Config::default(), &tasks, &meters).unwrap();
    let cache: Cache<String, String> =
        caches.named("it").loader((), async |(), _: Load, key: String| Ok(format!("the value of {key}")));
    let ctx = Ctx::background();
    let keys: Vec<String> = (0..1_000).map(|number| format!("product:{number}")).collect();
    for key in &keys {
        cache.get(&ctx, key).await.unwrap();
    }
    let before = ALLOCATIONS.get();
    for _ in 0..3 {
        for key in &keys {
            assert!(cache.get(&ctx, key.as_str()).await.unwrap().is_some());
        }
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    // Nor does it carry about what only a load needs: a future is moved as often as it is wrapped.
    let carried = size_of_val(&cache.get(&ctx, "product:1"));
    assert!(carried <= 128, "{carried} bytes");
}
