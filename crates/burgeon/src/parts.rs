//! What a module, a command or a first start may ask for, by the types of its arguments.
//!
//! This is wiring at start and nothing else: the collection is private, it is filled and read in one place
//! (`compose`), and after the start it is gone. Nobody can look anything up in it.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use burgeon_core::{Ctx, Result};

use crate::Module;

/// Values by type, and who gave them.
#[derive(Default, Clone)]
pub struct Parts(HashMap<TypeId, Part>);

#[derive(Clone)]
struct Part {
    value: Arc<dyn Any + Send + Sync>,
    giver: String,
}

/// A type that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    pub(crate) of: TypeId,
    /// The whole path: `shop::catalog::CatalogApi`.
    pub(crate) name: &'static str,
}

impl Need {
    fn of<T: 'static>() -> Self {
        Self { of: TypeId::of::<T>(), name: type_name::<T>() }
    }

    pub(crate) fn is<T: 'static>(&self) -> bool {
        self.of == TypeId::of::<T>()
    }
}

impl Parts {
    /// Adds a value, over one of the same type, whose giver is returned.
    pub(crate) fn put<T: Any + Send + Sync>(&mut self, value: T, giver: impl Into<String>) -> Option<String> {
        let part = Part { value: Arc::new(value), giver: giver.into() };
        self.0.insert(TypeId::of::<T>(), part).map(|before| before.giver)
    }

    pub(crate) fn has(&self, need: &Need) -> bool {
        self.0.contains_key(&need.of)
    }

    /// Who gave the value of this type.
    pub(crate) fn giver(&self, need: &Need) -> Option<&str> {
        self.0.get(&need.of).map(|part| part.giver.as_str())
    }

    pub(crate) fn missing(&self, needs: &[Need]) -> Vec<Need> {
        needs.iter().filter(|need| !self.has(need)).copied().collect()
    }

    #[expect(
        clippy::panic,
        reason = "every function's needs are compared with the parts before it is called"
    )]
    fn get<T: Clone + 'static>(&self) -> T {
        match self.0.get(&TypeId::of::<T>()).and_then(|part| part.value.downcast_ref::<T>()) {
            Some(value) => value.clone(),
            None => panic!("{} was asked for without being among the needs", type_name::<T>()),
        }
    }
}

/// A function that makes a [`Module`] of what it asks for: `fn(Db, CatalogApi) -> Module`, with up to eight arguments,
/// returning a [`Module`] or a `Result<Module>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not make a module",
    label = "not a function from at most eight parts to a `Module`",
    note = "a module is `fn(Db, Meters, .., OtherApi) -> Module`; every argument is `Clone + Send + Sync + 'static`"
)]
pub trait ModuleFn<A>: Send + 'static {
    /// What it asks for.
    #[doc(hidden)]
    fn needs() -> Vec<Need>;
    /// Calls it.
    #[doc(hidden)]
    fn build(self, parts: &Parts) -> Result<Module>;
}

/// A function that does one thing and ends: `async fn(Ctx, Db, ..) -> Result<()>`, with up to seven parts.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot run at a first start",
    label = "not an `async fn(Ctx, ..) -> Result<()>`",
    note = "after `Ctx` come up to seven parts by type: `Db`, `Progress`, a configuration section, a module's API"
)]
pub trait StartFn<A>: Send + 'static {
    /// What it asks for.
    #[doc(hidden)]
    fn needs() -> Vec<Need>;
    /// Calls it.
    #[doc(hidden)]
    fn start(self, ctx: Ctx, parts: &Parts) -> Running;
}

/// A command's function: `async fn(Args, Ctx, Db, ..) -> Result<()>`, where `Args` derives `clap::Args` (or is `()`).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a command",
    label = "not an `async fn(Args, Ctx, ..) -> Result<()>`",
    note = "the first argument derives `clap::Args` (or is `()`), the second is `Ctx`, then come up to six parts by type"
)]
pub trait CommandFn<Args, A>: Send + 'static {
    /// What it asks for.
    #[doc(hidden)]
    fn needs() -> Vec<Need>;
    /// Calls it.
    #[doc(hidden)]
    fn run(self, args: Args, ctx: Ctx, parts: &Parts) -> Running;
}

/// Work under way.
#[doc(hidden)]
pub type Running = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

macro_rules! functions {
    ($(($($part:ident)*))+) => {$(
        impl<F, R, $($part,)*> ModuleFn<($($part,)*)> for F
        where
            F: FnOnce($($part,)*) -> R + Send + 'static,
            R: IntoModule,
            $($part: Clone + Send + Sync + 'static,)*
        {
            fn needs() -> Vec<Need> {
                vec![$(Need::of::<$part>(),)*]
            }

            fn build(self, _parts: &Parts) -> Result<Module> {
                self($(_parts.get::<$part>(),)*).into_module()
            }
        }

        impl<F, Fut, $($part,)*> StartFn<($($part,)*)> for F
        where
            F: FnOnce(Ctx, $($part,)*) -> Fut + Send + 'static,
            Fut: Future<Output = Result<()>> + Send + 'static,
            $($part: Clone + Send + Sync + 'static,)*
        {
            fn needs() -> Vec<Need> {
                vec![$(Need::of::<$part>(),)*]
            }

            fn start(self, ctx: Ctx, _parts: &Parts) -> Running {
                Box::pin(self(ctx, $(_parts.get::<$part>(),)*))
            }
        }

        impl<Args, F, Fut, $($part,)*> CommandFn<Args, ($($part,)*)> for F
        where
            F: FnOnce(Args, Ctx, $($part,)*) -> Fut + Send + 'static,
            Fut: Future<Output = Result<()>> + Send + 'static,
            $($part: Clone + Send + Sync + 'static,)*
        {
            fn needs() -> Vec<Need> {
                vec![$(Need::of::<$part>(),)*]
            }

            fn run(self, args: Args, ctx: Ctx, _parts: &Parts) -> Running {
                Box::pin(self(args, ctx, $(_parts.get::<$part>(),)*))
            }
        }
    )+};
}

functions! {
    ()
    (A)
    (A B)
    (A B C)
    (A B C D)
    (A B C D E)
    (A B C D E G)
    (A B C D E G H)
    (A B C D E G H I)
}

/// What a module function may return.
#[doc(hidden)]
pub trait IntoModule {
    fn into_module(self) -> Result<Module>;
}

impl IntoModule for Module {
    fn into_module(self) -> Result<Module> {
        Ok(self)
    }
}

impl IntoModule for Result<Module> {
    fn into_module(self) -> Result<Module> {
        self
    }
}
