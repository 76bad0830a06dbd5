//! What a function cannot do: rows, statements, module APIs, tests.
