"""Adapters from transformers video models to the `Mllm` protocol, one file a family."""
