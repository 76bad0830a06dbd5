//! A piece of a page that is rendered once for many.
//!
//! A fragment is a value like any other: its cache has a name, a lifetime, tags and a loader, here one that renders. What is
//! special is that fragments lie within each other: whoever puts one into another takes its tags along, so that what
//! removes the inner one removes the outer one, too.

use std::fmt;
use std::hash::Hash;

use burgeon_core::units::Size;

use crate::caches::Named;
use crate::load::Load;

/// HTML that is ready to be put into a page, and the tags of everything in it.
///
/// It must hold nothing of one visitor: whoever sees the page sees it.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use std::time::Duration;
///
/// use burgeon_cache::{Cache, Caches, Config, Fragment, Load};
/// use burgeon_core::units::Size;
/// use burgeon_core::{Ctx, Result};
///
/// async fn card(_db: (), load: Load, id: i64) -> Result<Fragment> {
///     load.tag(format_args!("product:{id}"));
///     Ok(Fragment::of(&load, format!("<li>{id}</li>")))
/// }
///
/// async fn shelf(cards: Cache<i64, Fragment>, load: Load, _: ()) -> Result<Fragment> {
///     let mut html = String::from("<ul>");
///     for id in [1, 2] {
///         if let Some(card) = cards.get(&load, &id).await? {
///             html.push_str(card.within(&load));
///         }
///     }
///     Ok(Fragment::of(&load, html + "</ul>"))
/// }
///
/// # let meters = burgeon_meter::Meters::new();
/// # let tasks = burgeon_runtime::Tasks::new(&meters);
/// # let caches = Caches::new(&Config::default(), &tasks, &meters)?;
/// let cards = caches.named("card").fragments(Size::mib(8)).loader((), card);
/// let shelves = caches.named("shelf").fragments(Size::mib(8)).ttl(Duration::from_secs(60)).loader(cards, shelf);
///
/// let ctx = Ctx::background();
/// let shelf = shelves.get(&ctx, &()).await?.unwrap();
/// assert_eq!(shelf.html(), "<ul><li>1</li><li>2</li></ul>");
/// assert_eq!(shelf.tags(), ["product:1", "product:2"]);
/// shelves.invalidate_tag(&ctx, "product:2"); // the shelf holds a card of it
/// assert!(shelves.peek(&()).is_none());
/// # Result::<()>::Ok(())
/// # }).unwrap();
/// ```
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Fragment {
    html: Box<str>,
    tags: Box<[String]>,
}

impl Fragment {
    /// What was rendered, under everything that `load` was tagged with until now: call it last.
    pub fn of(load: &Load, html: impl Into<String>) -> Self {
        let mut tags = load.said().tags;
        tags.sort_unstable();
        tags.dedup();
        Self { html: html.into().into_boxed_str(), tags: tags.into_boxed_slice() }
    }

    /// The HTML.
    pub fn html(&self) -> &str {
        &self.html
    }

    /// The HTML, to be put into what `load` renders, which from now on has its tags, too.
    pub fn within(&self, load: &Load) -> &str {
        for tag in &self.tags {
            load.tag(tag);
        }
        &self.html
    }

    /// The tags of everything in it: also for the headers of a page that is kept whole.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    fn weight(&self) -> u64 {
        let tags: usize = self.tags.iter().map(|tag| tag.len() + size_of::<String>()).sum();
        (self.html.len() + tags) as u64
    }
}

impl<K> Named<K, Fragment>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
{
    /// Takes at most so many bytes of HTML and tags; keys are taken to be small.
    pub fn fragments(self, size: Size) -> Self {
        self.bytes(size, |_, fragment| size_of::<K>() as u64 + fragment.weight())
    }
}

impl fmt::Display for Fragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.html)
    }
}

impl fmt::Debug for Fragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fragment").field("bytes", &self.html.len()).field("tags", &self.tags).finish()
    }
}
