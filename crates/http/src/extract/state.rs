//! What the routes were made with.

use burgeon_core::Result;

use crate::extract::{Extract, Head};

/// The state that the routes were made with, or a part of it. Cloned for each request, so keep it behind handles.
#[derive(Debug, Clone, Copy)]
pub struct State<T>(pub T);

/// `Self` can be taken out of the state `S`. Every state can be taken out of itself; implement it for parts.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the state of these routes, nor a part of it",
    label = "the routes were made with `{S}`",
    note = "take `State<{S}>`, or implement `FromState<{S}> for {Self}`"
)]
pub trait FromState<S> {
    /// Takes it out.
    fn from_state(state: &S) -> Self;
}

impl<S: Clone> FromState<S> for S {
    fn from_state(state: &S) -> Self {
        state.clone()
    }
}

impl<S: Sync, T: FromState<S>> Extract<S> for State<T> {
    async fn extract(_head: &mut Head, state: &S) -> Result<Self> {
        Ok(State(T::from_state(state)))
    }
}
