"""Code of PyTorch inside Keras layers, run over spans operation by operation (`rfwidget._aten`)."""
