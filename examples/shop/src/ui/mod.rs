//! The look of the shop: one layout, one style sheet, a handful of parts. No scripts, nothing from elsewhere.
//!
//! # Invariants
//! - Every page works without a mouse, without colour, at 320 pixels, and in the dark.
//! - The style sheet's address changes with its content, so that browsers may keep it for ever.

pub(crate) mod form;
pub(crate) mod icon;
pub(crate) mod layout;
pub(crate) mod part;
mod problem;
mod style;

pub(crate) use layout::page;
pub(crate) use problem::problem_page;

use burgeon::prelude::*;

/// The shop's name.
pub(crate) const NAME: &str = "Marlow & Wren";

/// The style sheet and the icon: a module like any other.
pub(crate) fn module() -> Module {
    Module::new("ui").routes(
        Routes::new(())
            .routes([get(style::PATH, style::sheet).hidden(), get("/favicon.svg", icon::favicon).hidden()]),
    )
}
