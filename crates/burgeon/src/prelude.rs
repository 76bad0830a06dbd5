//! What nearly every file of an application uses: `use burgeon::prelude::*;`.

pub use burgeon_cache::{Cache, Caches, InvalidateOnCommit, Load};
pub use burgeon_core::{Ctx, Error, Kind, Money, OrNotFound, Result};
pub use burgeon_db::{Db, Tx, migrations, retry, sql};
pub use burgeon_http::schemars::{self, JsonSchema};
pub use burgeon_http::{
    Checks, Created, Csrf, Flash, Form, Html, Input, Json, NoContent, Path, Query, Redirect, Reply, Response,
    Routes, Session, State, StatusCode, Submitted, Valid, delete, get, patch, post, put,
};
pub use burgeon_macros::RoofRow as Row;
pub use burgeon_runtime::Tasks;

pub use crate::{App, Command, Module, Progress, command, id};
