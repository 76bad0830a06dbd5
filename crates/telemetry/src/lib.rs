//! Export of meters, logs and traces: Prometheus text, JSON lines, readable development output.
