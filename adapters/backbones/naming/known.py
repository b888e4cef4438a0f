"""Every naming that a checkpoint may come in."""

from adapters.backbones.naming import efficientnet_pytorch, keras, slim, timm, torchvision

NAMINGS = (
    *keras.NAMINGS,
    *torchvision.NAMINGS,
    *timm.NAMINGS,
    *efficientnet_pytorch.NAMINGS,
    *slim.NAMINGS,
)
