"""Benchmarks: what fastadl costs, beside rivals and the machine's own limit. See README.md."""
