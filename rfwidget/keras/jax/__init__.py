"""Code of JAX run over spans: drawn as a jaxpr, and walked primitive by primitive."""
