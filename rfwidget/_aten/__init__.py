"""PyTorch's operations run over spans: shared by the PyTorch wing, and by Keras where it runs on PyTorch.

`interpreter` sees every `aten` operation of any code; `rules` know how dependencies go through them.
"""
