//! The API document (OpenAPI 3.1), derived from the handlers' own types.
//!
//! Every extractor and every reply says what it means for its operation ([`Operation`]), so the document cannot say one
//! thing and the handler do another. Schemas are JSON Schema 2020-12 by `schemars`.

mod document;
mod operation;
mod page;
mod schemas;

pub use document::Info;
pub use operation::Operation;

pub(crate) use document::document;
pub(crate) use page::routes;
