//! Plain async functions as handlers.
//!
//! A handler is an `async fn` of up to eight arguments. Every argument says by its type what it takes from the request
//! ([`Extract`]), and only the last may take the body ([`ExtractBody`]). What it returns says by its type what is
//! answered ([`Reply`](crate::Reply)). The same types describe the operation in the API document, so the two cannot disagree.
//!
//! The two halves are separate traits, so that the compiler names the argument that does not fit rather than the
//! function: [`Handler`] is any async function, [`Arguments`] is what the bounds are on.

use std::future::Future;

use burgeon_core::Result;

use crate::Body;
use crate::extract::{Extract, ExtractBody, Head};
use crate::openapi::Operation;

/// An async function with the arguments `A`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "not an async function of at most eight arguments",
    note = "a handler is `async fn(Ctx, State<S>, Path<T>, .., Json<T>) -> Result<impl Reply>`"
)]
pub trait Handler<A>: Clone + Send + Sync + 'static {
    /// What it returns.
    type Output: Send;

    /// Runs it.
    fn call(&self, arguments: A) -> impl Future<Output = Self::Output> + Send;
}

/// The arguments of a handler on routes with state `S`. `M` tells a last argument that takes the body from one that
/// does not; it is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the arguments of a handler on routes with state `{S}`",
    note = "every argument must implement `Extract<{S}>`; only the last may implement `ExtractBody<{S}>` instead (`Json`, `Form`, `Bytes`)"
)]
pub trait Arguments<S, M>: Sized + Send {
    /// Takes them from the request, in order; the first that fails ends it.
    fn extract(head: &mut Head, body: Body, state: &S) -> impl Future<Output = Result<Self>> + Send;

    /// What they say about the operation.
    fn describe(operation: &mut Operation<'_>);
}

impl<S: Sync> Arguments<S, ()> for () {
    async fn extract(_head: &mut Head, _body: Body, _state: &S) -> Result<Self> {
        Ok(())
    }

    fn describe(_operation: &mut Operation<'_>) {}
}

impl<F, R, Fut> Handler<()> for F
where
    F: Fn() -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = R> + Send,
    R: Send,
{
    type Output = R;

    fn call(&self, (): ()) -> impl Future<Output = R> + Send {
        self()
    }
}

macro_rules! functions {
    ($(($($argument:ident)*) $last:ident;)+) => {$(
        impl<F, R, Fut, $($argument,)* $last> Handler<($($argument,)* $last,)> for F
        where
            F: Fn($($argument,)* $last) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = R> + Send,
            R: Send,
            $($argument: Send,)*
            $last: Send,
        {
            type Output = R;

            #[expect(non_snake_case, reason = "the type's letter is the argument's name")]
            fn call(&self, ($($argument,)* $last,): ($($argument,)* $last,)) -> impl Future<Output = R> + Send {
                self($($argument,)* $last)
            }
        }

        impl<S, M, $($argument,)* $last> Arguments<S, M> for ($($argument,)* $last,)
        where
            S: Sync,
            $($argument: Extract<S> + Send,)*
            $last: ExtractBody<S, M> + Send,
        {
            #[expect(non_snake_case, reason = "the type's letter is the argument's name")]
            async fn extract(head: &mut Head, body: Body, state: &S) -> Result<Self> {
                $(let $argument = $argument::extract(head, state).await?;)*
                let $last = $last::extract_body(head, body, state).await?;
                Ok(($($argument,)* $last,))
            }

            fn describe(operation: &mut Operation<'_>) {
                $($argument::describe(operation);)*
                $last::describe_body(operation);
            }
        }
    )+};
}

functions! {
    () A;
    (A) B;
    (A B) C;
    (A B C) D;
    (A B C D) E;
    (A B C D E) G;
    (A B C D E G) H;
    (A B C D E G H) I;
}
