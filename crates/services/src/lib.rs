//! Real servers for tests and laptops: Postgres, Redis, NATS, PgBouncer, and a TCP fault proxy.
