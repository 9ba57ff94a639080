"""What the benchmarks share: the clock, the fixed Llama, the peers' environment, how a result is printed."""
