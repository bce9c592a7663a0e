"""The benchmarks of `fastadl.bench` under pytest-benchmark. See README.md."""

from fastadl.bench import reserve

reserve()
