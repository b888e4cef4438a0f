"""Named lists of tasks. A suite's name can be given wherever a task's can."""

DECATHLON = (
    "decathlon/imagenet12",
    "decathlon/aircraft",
    "decathlon/cifar100",
    "decathlon/daimlerpedcls",
    "decathlon/dtd",
    "decathlon/gtsrb",
    "decathlon/vgg-flowers",
    "decathlon/omniglot",
    "decathlon/svhn",
    "decathlon/ucf101",
)

SUITES: dict[str, tuple[str, ...]] = {
    # Data from pip alone, so that it can be had wherever Python can.
    "pocket": ("digits", "silhouettes", "glyphs", "icons", "textures"),
    # One analogue of each Visual Decathlon domain, from pip, npm and apt.
    "pocket_decathlon": (
        "fashion",
        "stamps",
        "solar_cells",
        "handwritten",
        "silhouettes",
        "signs",
        "glyphs",
        "clip_art",
        "emoji",
        "textures",
    ),
    "decathlon": DECATHLON,
}
