"""The PyTorch wing: exact receptive fields of any `torch.nn.Module`."""

from rfwidget.extras import brought_by

with brought_by("torch", "torch"):
    from rfwidget.torch.estimator import TorchReceptiveField

__all__ = ["TorchReceptiveField"]
