//! The API document is what the handlers' types say, and keeps the rules of OpenAPI 3.1.
