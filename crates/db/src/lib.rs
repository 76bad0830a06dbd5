//! Postgres and SQLite behind one honest API: statements, rows, transactions, migrations.
