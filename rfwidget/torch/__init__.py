"""The PyTorch wing: exact receptive fields of any `torch.nn.Module`."""

from rfwidget.torch.estimator import TorchReceptiveField

__all__ = ["TorchReceptiveField"]
