//! What a request carries through every layer: until when, how important, which trace, who, and what it has seen.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Cancel, Criticality, Deadline, Mark, Marks, Position, Principal, Tenant, Trace};

/// The request's context. Cloning is cheap and shares everything.
///
/// It is the *request's*, not the application's: it holds no pool, no configuration, no service. A function takes
/// what it uses, and a `Ctx` so that it stops in time.
///
/// A derived context (`with_*`) shares the causal position with its parent, so that a write deep down is known when
/// the response is made, and the note of what is stale in what is [kept](Self::lasting); everything else is its own.
///
/// ```
/// use burgeon_core::{Criticality, Ctx};
///
/// let ctx = Ctx::background().with_criticality(Criticality::Sheddable);
/// assert_eq!(ctx.criticality(), Criticality::Sheddable);
/// assert!(ctx.deadline().is_none());
/// ```
#[derive(Clone)]
pub struct Ctx(Arc<Inner>);

struct Inner {
    deadline: Option<Deadline>,
    criticality: Criticality,
    trace: Option<Trace>,
    principal: Option<Principal>,
    tenant: Option<Tenant>,
    cancel: Option<Cancel>,
    lasting: Option<Arc<Lasting>>,
    seen: Seen,
    // The context whose `seen` counts, if it is not this one: all contexts of one request share it.
    first: Option<Ctx>,
}

/// What a request has written or seen so far.
#[derive(Default)]
struct Seen {
    // Not tokio mutexes: nothing awaits under them.
    position: Mutex<Position>,
    marks: Mutex<Marks>,
    // Asked by every read of a cache, and nearly always false.
    is_marked: AtomicBool,
}

/// What is made under a context is kept.
#[derive(Default)]
struct Lasting {
    // Not a tokio mutex: nothing awaits under it.
    stale_until: Mutex<Option<Deadline>>,
}

impl Ctx {
    /// A context for work no client waits for: no deadline, [`Criticality::default`], nobody.
    ///
    /// Work that a client waits for gets its context from the edge.
    pub fn background() -> Self {
        Self(Arc::new(Inner {
            deadline: None,
            criticality: Criticality::default(),
            trace: None,
            principal: None,
            tenant: None,
            cancel: None,
            lasting: None,
            seen: Seen::default(),
            first: None,
        }))
    }

    /// A context for work that a client waits for: made by the edge, once per request.
    pub fn of_request(deadline: Deadline, criticality: Criticality, trace: Trace) -> Self {
        Self(Arc::new(Inner {
            deadline: Some(deadline),
            criticality,
            trace: Some(trace),
            principal: None,
            tenant: None,
            cancel: None,
            lasting: None,
            seen: Seen::default(),
            first: None,
        }))
    }

    /// Until when an answer is worth anything; `None` means for ever.
    pub fn deadline(&self) -> Option<Deadline> {
        self.0.deadline
    }

    /// Who is served first when there is not enough for all.
    pub fn criticality(&self) -> Criticality {
        self.0.criticality
    }

    /// The trace this work belongs to.
    pub fn trace(&self) -> Option<Trace> {
        self.0.trace
    }

    /// Who asks; `None` is anonymous.
    pub fn principal(&self) -> Option<&Principal> {
        self.0.principal.as_ref()
    }

    /// The tenant, where the application has several.
    pub fn tenant(&self) -> Option<&Tenant> {
        self.0.tenant.as_ref()
    }

    /// What this request has written or seen so far; readers must be at least here.
    pub fn position(&self) -> Position {
        *hold(&self.seen().position)
    }

    /// Raises the position after a commit. Never lowers it.
    pub fn advance(&self, to: Position) {
        let mut position = hold(&self.seen().position);
        *position = position.join(to);
    }

    /// Which messages between nodes tell of what this request has written or seen.
    pub fn marks(&self) -> Marks {
        hold(&self.seen().marks).clone()
    }

    /// Whether there are any. One atomic load.
    pub fn is_marked(&self) -> bool {
        self.seen().is_marked.load(Ordering::Acquire)
    }

    /// Notes that this message tells of something that the request has done. Never forgets a later one of that node.
    pub fn mark(&self, mark: Mark) {
        let seen = self.seen();
        hold(&seen.marks).add(mark);
        seen.is_marked.store(true, Ordering::Release);
    }

    fn seen(&self) -> &Seen {
        &self.0.first.as_ref().unwrap_or(self).0.seen
    }

    /// Whether what is made under this context is kept, and served to others later.
    pub fn is_lasting(&self) -> bool {
        self.0.lasting.is_some()
    }

    /// Notes that something stale went into what is made under this context, and when that is to be asked for again. Of several the
    /// earliest counts. Where nothing is kept it means nothing.
    pub fn made_of_stale(&self, until: Deadline) {
        if let Some(lasting) = &self.0.lasting {
            let mut known = hold(&lasting.stale_until);
            *known = Some(known.map_or(until, |known| known.earlier(until)));
        }
    }

    /// When what was made under this context is to be made anew, because something stale is in it; `None`: nothing is.
    pub fn stale_until(&self) -> Option<Deadline> {
        self.0.lasting.as_ref().and_then(|lasting| *hold(&lasting.stale_until))
    }

    /// Whether the caller has gone away.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancel.as_ref().is_some_and(Cancel::is_cancelled)
    }

    /// Resolves when the caller goes away; never, if nothing can cancel this context. Cancel-safe.
    pub async fn cancelled(&self) {
        match &self.0.cancel {
            Some(cancel) => cancel.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// A context that ends at `deadline` or at this one's deadline, whichever is earlier.
    #[must_use]
    pub fn with_deadline(&self, deadline: Deadline) -> Self {
        let strictest = self.0.deadline.map_or(deadline, |own| own.earlier(deadline));
        self.derive(|inner| inner.deadline = Some(strictest))
    }

    /// A context of another criticality.
    #[must_use]
    pub fn with_criticality(&self, criticality: Criticality) -> Self {
        self.derive(|inner| inner.criticality = criticality)
    }

    /// A context in this trace.
    #[must_use]
    pub fn with_trace(&self, trace: Trace) -> Self {
        self.derive(|inner| inner.trace = Some(trace))
    }

    /// A context on behalf of this caller.
    #[must_use]
    pub fn with_principal(&self, principal: Principal) -> Self {
        self.derive(|inner| inner.principal = Some(principal))
    }

    /// A context for this tenant.
    #[must_use]
    pub fn with_tenant(&self, tenant: Tenant) -> Self {
        self.derive(|inner| inner.tenant = Some(tenant))
    }

    /// A context that also ends when `cancel` is raised. It replaces this context's own flag.
    #[must_use]
    pub fn with_cancel(&self, cancel: Cancel) -> Self {
        self.derive(|inner| inner.cancel = Some(cancel))
    }

    /// A context for making what is kept and served to others, such as a value of a cache. Whoever would give something stale for it
    /// only to be quick must not; whoever has nothing better says so ([`made_of_stale`](Self::made_of_stale)), so that what is made of it is not
    /// taken for fresh.
    #[must_use]
    pub fn lasting(&self) -> Self {
        self.derive(|inner| inner.lasting = Some(Arc::default()))
    }

    /// A context with a causal position and marks of its own, starting from here: for work that outlives the request.
    #[must_use]
    pub fn detached(&self) -> Self {
        let marks = self.marks();
        let seen = Seen {
            position: Mutex::new(self.position()),
            is_marked: AtomicBool::new(!marks.is_empty()),
            marks: Mutex::new(marks),
        };
        self.derive(|inner| {
            (inner.seen, inner.first) = (seen, None);
            inner.deadline = None;
            inner.cancel = None;
            inner.lasting = None;
        })
    }

    fn derive(&self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Inner {
            deadline: self.0.deadline,
            criticality: self.0.criticality,
            trace: self.0.trace,
            principal: self.0.principal.clone(),
            tenant: self.0.tenant.clone(),
            cancel: self.0.cancel.clone(),
            lasting: self.0.lasting.clone(),
            seen: Seen::default(),
            first: Some(self.0.first.as_ref().unwrap_or(self).clone()),
        };
        change(&mut inner);
        Self(Arc::new(inner))
    }
}

/// A panic under it left nothing half done.
fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Ctx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ctx")
            .field("deadline", &self.0.deadline)
            .field("criticality", &self.0.criticality)
            .field("trace", &self.0.trace)
            .field("principal", &self.0.principal)
            .field("tenant", &self.0.tenant)
            .field("position", &self.position())
            .field("marks", &self.marks())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do as an origin; no time passes here")]
    fn a_child_never_outlives_its_parent() {
        let now = Instant::now();
        let parent = Ctx::background().with_deadline(Deadline::after(now, Duration::from_secs(1)));
        let child = parent.with_deadline(Deadline::after(now, Duration::from_secs(9)));
        assert_eq!(child.deadline(), parent.deadline());
        let child = parent.with_deadline(Deadline::after(now, Duration::from_millis(1)));
        assert!(child.deadline() < parent.deadline());
    }

    #[test]
    fn a_write_deep_down_is_known_above() {
        let request = Ctx::background();
        let deep = request.with_criticality(Criticality::Sheddable).with_principal(Principal::new("ada"));
        deep.advance(Position { timeline: 1, lsn: 7 });
        deep.advance(Position { timeline: 1, lsn: 3 });
        assert_eq!(request.position(), Position { timeline: 1, lsn: 7 });

        let job = request.detached();
        job.advance(Position { timeline: 1, lsn: 9 });
        assert_eq!(request.position(), Position { timeline: 1, lsn: 7 });
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do as an origin; no time passes here")]
    fn what_is_kept_is_as_stale_as_the_stalest_that_went_into_it() {
        let at = |seconds| Deadline::after(Instant::now(), Duration::from_secs(seconds));
        let request = Ctx::background();
        request.made_of_stale(at(1));
        assert!(!request.is_lasting() && request.stale_until().is_none());
        let page = request.lasting();
        let (late, early) = (at(9), at(5));
        page.with_criticality(Criticality::Sheddable).made_of_stale(late);
        page.made_of_stale(early);
        page.made_of_stale(late);
        assert_eq!(page.stale_until(), Some(early));
        // A piece of it has a life of its own, and so has what outlives it.
        assert!(page.lasting().stale_until().is_none() && page.lasting().is_lasting());
        assert!(!page.detached().is_lasting());
    }

    #[test]
    fn a_mark_made_deep_down_is_known_above_and_taken_along() {
        let request = Ctx::background();
        assert!(!request.is_marked());
        request.with_criticality(Criticality::Sheddable).mark(Mark { node: 1, sequence: 7 });
        assert!(request.is_marked());
        let job = request.detached();
        job.mark(Mark { node: 2, sequence: 3 });
        assert_eq!(job.marks().to_string(), "1-7,2-3");
        assert_eq!(request.marks().to_string(), "1-7");
    }
}
