//! The reference application.
