"""The peer: timm's networks in PyTorch, channels last, training the same values.

Norms stand in evaluation mode: frozen statistics, as ours. Runs in any Python that has torch and
timm; it need not have this project installed.
"""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn

from adapters.benchmarking import cases
from adapters.benchmarking.cases import Case
from adapters.benchmarking.worker import Prepared


def _import_timm() -> Any:
    """timm, which imports torchvision and needs none of its operators.

    A torchvision built for another PyTorch lacks those operators and refuses to be imported without
    them: so they are declared, and nothing calls them.
    """
    library = torch.library.Library("torchvision", "FRAGMENT")
    while True:
        try:
            import timm
        except RuntimeError as error:
            missing = re.search(r"operator torchvision::(\w+) does not exist", str(error))
            if missing is None:
                raise
            library.define(f"{missing[1]}() -> ()")
        else:
            return timm


timm = _import_timm()

NAME = f"PyTorch {torch.__version__.partition('+')[0]}"
NETWORKS = {  # layer table: timm's name
    "mobilenet_v2_1.0": "mobilenetv2_100",
    "mobilenet_v3_large_1.0": "mobilenetv3_large_100",
    "mobilenet_v4_conv_small": "mobilenetv4_conv_small",
    "mobilenet_v4_conv_medium": "mobilenetv4_conv_medium",
}


def prepare(case: Case) -> Prepared:
    """Builds the peer of one of our cases of one task.

    Raises ValueError for work or a backbone that this peer does not know.
    """
    works = {"inference": _inference, "block": _block, "training": _training}
    if case.work not in works or case.backbone not in NETWORKS or case.tasks != 1:
        raise ValueError(f"this peer has nothing like {case}")
    return works[case.work](case)


def _device(case: Case) -> str:
    return {"cpu": "cpu", "gpu": "cuda"}[case.platform]


@contextlib.contextmanager
def _precisely(case: Case) -> Iterator[None]:
    """In the case's precision; at the end all is waited for."""
    rounded = case.precision != "float32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = rounded
    yield
    if case.platform == "gpu":
        torch.cuda.synchronize()


def _mixed(case: Case) -> torch.autocast:
    return torch.autocast(_device(case), torch.bfloat16, enabled=case.precision == "bfloat16")


def _inference(case: Case) -> Prepared:
    network, forward = _network(case)
    network.requires_grad_(requires_grad=False)
    images = _normalised(_pixels(case))

    def run() -> None:
        with _precisely(case), torch.inference_mode():
            forward(images.to(_device(case))).cpu().numpy()

    return Prepared(run)


def _block(case: Case) -> Prepared:
    """One block, on what the network gives it of the images."""
    network, forward = _network(case)
    network.requires_grad_(requires_grad=False)
    blocks = [block for stage in network.blocks for block in stage]
    block = blocks[int(case.block.removeprefix("block_")) - 1]
    inputs: list[torch.Tensor] = []
    hook = block.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    with torch.inference_mode():
        forward(_normalised(_pixels(case).to(_device(case))))
    hook.remove()

    def run() -> None:
        with _precisely(case), torch.inference_mode():
            block(inputs[0])

    return Prepared(run)


def _training(case: Case) -> Prepared:
    """One step from pixels to moved parameters."""
    network, forward = _network(case)
    patch, head = trained(network, case.patch)
    groups = [{"params": patch, "weight_decay": 0.0}] if patch else []
    groups.append({"params": head, "weight_decay": cases.HEAD_DECAY})
    # One fused kernel instead of a loop over a hundred small tensors: the faster of the two.
    optimiser = torch.optim.AdamW(groups, lr=cases.RATE, fused=True)
    loss_of = nn.CrossEntropyLoss(label_smoothing=cases.SMOOTHING)
    pixels, labels = (
        _pixels(case),
        torch.arange(case.examples, device=_device(case)) % cases.CLASSES,
    )

    def step() -> None:
        with _mixed(case):
            loss = loss_of(forward(_normalised(pixels.to(_device(case)))), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    def run() -> None:
        with _precisely(case):
            for _ in range(case.steps):
                step()

    def facts() -> dict[str, float]:
        return {"values trained": float(sum(value.numel() for value in [*patch, *head]))}

    return Prepared(run, facts)


def trained(network: nn.Module, spec: str) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Freezes all but what the patch `spec` and the head train; returns those two sets."""
    network.requires_grad_(requires_grad=False)
    head = list(network.classifier.parameters())
    others = [module for module in network.modules() if module is not network.classifier]
    chosen = {id(value): value for name in spec.split("+") for value in PATCHES[name](others)}
    patch = list(chosen.values())
    for value in [*patch, *head]:
        value.requires_grad_(requires_grad=True)
    return patch, head


def _biases(modules: Iterable[nn.Module]) -> Iterator[nn.Parameter]:
    return (module.bias for module in modules if isinstance(module, nn.BatchNorm2d))


def _scales_and_biases(modules: Iterable[nn.Module]) -> Iterator[nn.Parameter]:
    norms = (module for module in modules if isinstance(module, nn.BatchNorm2d))
    return (value for norm in norms for value in (norm.weight, norm.bias))


def _depthwise(modules: Iterable[nn.Module]) -> Iterator[nn.Parameter]:
    convolutions = (module for module in modules if isinstance(module, nn.Conv2d))
    return (module.weight for module in convolutions if module.groups > 1)


def _all(modules: Iterable[nn.Module]) -> Iterator[nn.Parameter]:
    return (value for module in modules for value in module.parameters(recurse=False))


PATCHES: dict[str, Callable[[Iterable[nn.Module]], Iterator[nn.Parameter]]] = {
    "bias": _biases,
    "depthwise": _depthwise,
    "full": _all,
    "head_only": lambda modules: iter(()),
    "scale_bias": _scales_and_biases,
}


def _network(case: Case) -> tuple[nn.Module, Callable[[torch.Tensor], torch.Tensor]]:
    """The module, and what calls it: itself, or its compiled form."""
    torch.manual_seed(0)
    network = timm.create_model(NETWORKS[case.backbone], num_classes=cases.CLASSES)
    network = network.to(_device(case), memory_format=torch.channels_last).eval()
    return network, torch.compile(network) if case.compiled else network


def _pixels(case: Case) -> torch.Tensor:
    """Noise [N, 3, size, size] uint8, channels last in memory."""
    shape = (case.examples, 3, case.size, case.size)
    noise = torch.randint(0, 256, shape, dtype=torch.uint8)
    return noise.contiguous(memory_format=torch.channels_last)


def _normalised(pixels: torch.Tensor) -> torch.Tensor:
    return (pixels.float() - cases.PIXELS) / cases.PIXELS
