//! Everything a call to another service needs, composed in the one right order.
//!
//! ```text
//!  request -> deadline -> client throttle -> [ try -> hedge -> endpoint + breaker -> timeout -> service ]
//!                                               ^                                              |
//!                                               +--- wait, if the table and the budget say so -+
//! ```
//!
//! What this is: one tower service over the machines of this crate, and the order in which they are asked; [`Upstream::call`] reads as that order.
//! What it is not: a client. It knows no HTTP: a [`Policy`] says what a request may be done with and what an answer means. It starts no
//! task and reads no clock; the caller hands it a [`Timer`].
//!
//! Why this order: the deadline first, because nothing else matters when it has passed. The throttle sees requests, not tries, so that it measures
//! what the caller got. The budget bounds retries and hedges together. The breaker sits behind the choice of an endpoint, because an ill
//! endpoint has well neighbours. The timeout is innermost, because it is a try's and not a request's.
//!
//! # Invariants
//! - Nothing is sent after the deadline, and no try outlives it.
//! - One endpoint is asked at most once per request while there are others.
//! - Dropping the call cancels all of it and counts as nothing.
//!
//! # When not to use it
//! Inside another one of these: retry at one layer only.

mod endpoints;
mod error;
mod policy;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tower_service::Service;

pub use self::endpoints::EndpointView;
use self::endpoints::{Chosen, Endpoints, Tried};
pub use self::error::Error;
pub use self::policy::{Policy, Verdict};

use crate::budget::{Budget, Withdrawal};
use crate::deadline::Gate;
use crate::latency::Latency;
use crate::race::{First, race};
use crate::random::Dice;
use crate::retry::{Cause, Decision, Failed, Reach};
use crate::throttle::Throttle;
use crate::{Instant, Outcome, Refused, Timer, breaker, budget, deadline, hedge, retry, throttle};

/// The numbers of a whole pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long one try may take; what is left until the deadline, if that is less. Default `10s`\*: it is there so that no try lasts for ever,
    /// the deadline is what bounds the request.
    #[serde(with = "burgeon_core::units::duration")]
    pub attempt_timeout: Duration,

    /// From when on an answer counts as slow for the breaker. Default `5s`\*.
    #[serde(with = "burgeon_core::units::duration")]
    pub slow: Duration,

    /// The client throttle, per upstream.
    pub throttle: throttle::Config,

    /// Which failures are tried again.
    pub retry: retry::Config,

    /// How many retries and hedges there may be.
    pub budget: budget::Config,

    /// Whether a late answer is asked for twice.
    pub hedge: hedge::Config,

    /// When an endpoint is left alone.
    pub breaker: breaker::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            attempt_timeout: Duration::from_secs(10),
            slow: Duration::from_secs(5),
            throttle: throttle::Config::default(),
            retry: retry::Config::default(),
            budget: budget::Config::default(),
            hedge: hedge::Config::default(),
            breaker: breaker::Config::default(),
        }
    }
}

impl Config {
    /// What is wrong with these numbers, if something is.
    ///
    /// # Errors
    /// A sentence that names the field.
    pub fn validate(&self) -> Result<(), String> {
        if self.attempt_timeout.is_zero() {
            return Err("attempt_timeout must be above zero, or every try is late".into());
        }
        self.throttle.validate()?;
        self.retry.validate()?;
        self.budget.validate()?;
        self.breaker.validate()
    }
}

/// A service somewhere else, with all its endpoints. Clones share everything; it is always ready.
pub struct Upstream<P, T, S>(Arc<Inner<P, T, S>>);

struct Inner<P, T, S> {
    name: String,
    policy: P,
    timer: T,
    dice: Dice,
    gate: Gate,
    throttle: Throttle,
    budget: Budget,
    latency: Latency,
    endpoints: Endpoints<S>,
    config: Config,
}

/// What a person sees of an upstream.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct View {
    /// Its name.
    pub name: String,
    /// What the deadline refused, and how long answers usually take.
    pub deadline: deadline::View,
    /// What the throttle does.
    pub throttle: throttle::View,
    /// What is left for retries and hedges.
    pub budget: budget::View,
    /// Its endpoints, in the order they were given.
    pub endpoints: Vec<EndpointView>,
}

/// How one try ended, and when: the clock is read once for the whole of what follows.
struct Ended<Response, E> {
    how: How<Response, E>,
    at: Instant,
}

enum How<Response, E> {
    Answered(Response, Verdict),
    Failed(E, Verdict),
    TimedOut(Duration),
    Refused(Refused),
}

impl<P, T: Timer, S> Upstream<P, T, S> {
    /// An upstream of this name (for errors and people) with these endpoints. `seed` is any number that no other process has.
    ///
    /// # Panics
    /// Without an endpoint: a defect in the program, found at start.
    #[track_caller]
    pub fn new(
        name: impl Into<String>,
        config: Config,
        policy: P,
        timer: T,
        seed: u64,
        endpoints: impl IntoIterator<Item = S>,
    ) -> Self {
        let endpoints = Endpoints::new(endpoints, &config.breaker);
        let name = name.into();
        assert!(!endpoints.is_empty(), "the upstream `{name}` has no endpoint");
        let latency = Latency::new();
        Self(Arc::new(Inner {
            name,
            policy,
            timer,
            dice: Dice::seeded(seed),
            gate: Gate::new(latency.clone()),
            throttle: Throttle::new(config.throttle.clone()),
            budget: Budget::new(config.budget.clone()),
            latency,
            endpoints,
            config,
        }))
    }

    /// What a person sees.
    pub fn view(&self) -> View {
        let now = self.0.timer.now();
        View {
            name: self.0.name.clone(),
            deadline: self.0.gate.view(now),
            throttle: self.0.throttle.view(now),
            budget: self.0.budget.view(now),
            endpoints: self.0.endpoints.view(now),
        }
    }
}

impl<P, T, S> Upstream<P, T, S> {
    /// Sends a request, and whatever it takes to get an answer in time.
    ///
    /// # Errors
    /// [`Error::Refused`] when nothing was sent, [`Error::TimedOut`], or the service's own error, of the last try.
    pub async fn call<Request>(&self, request: Request) -> Result<S::Response, Error<S::Error>>
    where
        P: Policy<Request, S::Response, S::Error>,
        T: Timer,
        S: Service<Request> + Clone,
    {
        let Inner { policy, timer, dice, gate, throttle, budget, config, .. } = &*self.0;
        let deadline = policy.deadline(&request);
        let mut now = timer.now();
        gate.admit(now, deadline)?;
        let permit = throttle.admit(now, dice.roll())?;
        let _in_flight = budget.deposit(now);

        let mut tried = Tried::default();
        let mut request = request;
        let mut extra: Option<Withdrawal> = None;
        let mut attempt = 0;
        let ended = loop {
            attempt += 1;
            let mut call = policy.call(&request);
            let spare = if call.replayable { policy.again(&request) } else { None };
            call.replayable = spare.is_some();
            let ended = self.hedged(request, attempt, deadline, now, &mut tried).await;
            drop(extra.take());

            let Some(failed) = ended.how.failed() else { break ended };
            now = ended.at;
            let remaining = deadline.map(|deadline| deadline.since(now));
            let usual = gate.view(now).usual.map(|usual| usual.p50);
            let decision = config.retry.decide(attempt, call, failed, remaining, usual, dice.roll());
            let (Decision::Again(wait), Some(spare)) = (decision, spare) else { break ended };
            let Ok(token) = budget.withdraw(now) else { break ended };
            if !wait.is_zero() {
                timer.sleep_until(now.plus(wait)).await;
                now = timer.now();
            }
            request = spare;
            extra = Some(token);
        };

        permit.settle(ended.at, ended.how.outcome());
        ended.how.into_result(&self.0.name)
    }

    /// A try, and a second one beside it when the first is late.
    async fn hedged<Request>(
        &self,
        request: Request,
        attempt: u32,
        deadline: Option<Instant>,
        now: Instant,
        tried: &mut Tried,
    ) -> Ended<S::Response, S::Error>
    where
        P: Policy<Request, S::Response, S::Error>,
        T: Timer,
        S: Service<Request> + Clone,
    {
        let Inner { policy, timer, dice, budget, latency, endpoints, config, .. } = &*self.0;
        let delay = if config.hedge.on {
            config.hedge.delay(policy.is_read(&request), latency.view(now), policy.is_busy())
        } else {
            None
        };
        let spare = delay.and_then(|delay| Some((delay, policy.again(&request)?)));
        let chosen = endpoints.choose(now, dice, tried);
        let Some((delay, spare)) = spare else {
            return self.attempt(chosen, request, attempt, deadline, now).await;
        };

        let first = std::pin::pin!(self.attempt(chosen, request, attempt, deadline, now));
        let late = std::pin::pin!(timer.sleep_until(now.plus(delay)));
        let first = match race(first, late).await {
            First::Left(ended) => return ended,
            First::Right((), first) => first,
        };
        // Without a token, or another endpoint to ask, the first is waited for.
        let now = timer.now();
        let Some(second) = endpoints.another(now, dice, tried) else { return first.await };
        let Ok(_extra) = config.hedge.fire(now, budget) else { return first.await };
        let second = std::pin::pin!(self.attempt(Ok(second), spare, attempt, deadline, now));
        match race(first, second).await {
            First::Left(ended) if ended.how.failed().is_none() => ended,
            First::Right(ended, _) if ended.how.failed().is_none() => ended,
            // One failed; the other may still be well.
            First::Right(_, first) => first.await,
            First::Left(ended) => ended,
        }
    }

    /// One request to one endpoint, within its time.
    async fn attempt<Request>(
        &self,
        chosen: Result<Chosen<S>, Refused>,
        mut request: Request,
        attempt: u32,
        deadline: Option<Instant>,
        begun: Instant,
    ) -> Ended<S::Response, S::Error>
    where
        P: Policy<Request, S::Response, S::Error>,
        T: Timer,
        S: Service<Request> + Clone,
    {
        let Inner { policy, timer, latency, config, .. } = &*self.0;
        let Chosen { mut service, permit, .. } = match chosen {
            Ok(chosen) => chosen,
            Err(refused) => return Ended { how: How::Refused(refused), at: begun },
        };
        let end = begun.plus(config.attempt_timeout).min(deadline.unwrap_or(Instant::from_micros(u64::MAX)));
        policy.stamp(&mut request, attempt, deadline.map(|deadline| deadline.since(begun)));
        let call = std::pin::pin!(async {
            std::future::poll_fn(|cx| service.poll_ready(cx)).await?;
            service.call(request).await
        });
        let too_late = std::pin::pin!(timer.sleep_until(end));
        let raced = race(call, too_late).await;
        let now = timer.now();
        let took = now.since(begun);
        let how = match raced {
            First::Left(Ok(response)) => {
                let verdict = policy.judge(Ok(&response));
                How::Answered(response, verdict)
            }
            First::Left(Err(error)) => {
                let verdict = policy.judge(Err(&error));
                How::Failed(error, verdict)
            }
            First::Right((), _) => How::TimedOut(took),
        };
        let outcome = match how.outcome() {
            Outcome::Ok if took >= config.slow => Outcome::Slow,
            outcome => outcome,
        };
        if matches!(outcome, Outcome::Ok | Outcome::Slow) || matches!(how, How::TimedOut(_)) {
            latency.record(now, took);
        }
        permit.settle(now, outcome);
        Ended { how, at: now }
    }
}

impl<Response, E> How<Response, E> {
    /// What the retry table must know; `None` when there is nothing to try again.
    fn failed(&self) -> Option<Failed> {
        match self {
            How::Answered(_, verdict) | How::Failed(_, verdict) => verdict.failed,
            How::TimedOut(_) => Some(Failed { reach: Reach::Perhaps, cause: Cause::Timeout, hint: None }),
            // Every endpoint was asked already.
            How::Refused(_) => None,
        }
    }

    fn outcome(&self) -> Outcome {
        match self {
            How::Answered(_, verdict) | How::Failed(_, verdict) => verdict.outcome,
            How::TimedOut(_) => Outcome::Fail,
            How::Refused(_) => Outcome::Ignored,
        }
    }

    fn into_result(self, name: &str) -> Result<Response, Error<E>> {
        match self {
            How::Answered(response, _) => Ok(response),
            How::Failed(error, _) => Err(Error::Service(error)),
            How::TimedOut(after) => Err(Error::TimedOut { upstream: name.to_owned(), after }),
            How::Refused(refused) => Err(Error::Refused(refused)),
        }
    }
}

impl<P, T, S, Request> Service<Request> for Upstream<P, T, S>
where
    P: Policy<Request, S::Response, S::Error>,
    T: Timer,
    S: Service<Request> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Response: Send,
    S::Error: Send,
    Request: Send + 'static,
{
    type Response = S::Response;
    type Error = Error<S::Error>;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let upstream = self.clone();
        Box::pin(async move { Upstream::call(&upstream, request).await })
    }
}

impl<P, T, S> Clone for Upstream<P, T, S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<P, T, S> fmt::Debug for Upstream<P, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("name", &self.0.name).finish_non_exhaustive()
    }
}
