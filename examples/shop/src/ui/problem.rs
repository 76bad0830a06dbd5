//! The page for what went wrong.

use burgeon::http::{Asked, Problem};
use maud::html;

use super::layout::{anonymous_top, document};

/// What a browser shows for a problem, in the shop's own look.
pub(crate) fn problem_page(problem: &Problem, _asked: &Asked) -> String {
    let content = html! {
        section.door.lost {
            p.status { (problem.status) }
            h1 { (problem.title) }
            p { (problem.detail) }
            @if !problem.errors.is_empty() {
                ul { @for refused in &problem.errors { li { b { (refused.field) } " " (refused.message) } } }
            }
            p { a.button href="/" { "Back to the shop" } }
            @if let Some(id) = &problem.instance {
                p.quiet { "If you write to us about this, please name it: " code { (id) } }
            }
        }
    };
    document(&problem.title, anonymous_top(), content).into_string()
}
