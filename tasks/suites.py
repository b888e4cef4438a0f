"""Named lists of tasks. A suite's name can be given wherever a task's can."""

DECATHLON = (
    "decathlon_imagenet12",
    "decathlon_aircraft",
    "decathlon_cifar100",
    "decathlon_daimlerpedcls",
    "decathlon_dtd",
    "decathlon_gtsrb",
    "decathlon_vgg-flowers",
    "decathlon_omniglot",
    "decathlon_svhn",
    "decathlon_ucf101",
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
    # Objects to be found: two of real pictures, four of scenes that are pasted together.
    "pocket_detection": (
        "nuclei",
        "tree_crowns",
        "sign_scenes",
        "digit_scenes",
        "emoji_scenes",
        "stamp_scenes",
    ),
    # A class for every pixel: two of real pictures, one of scenes that are pasted together; and
    # segments one by one, of such scenes.
    "pocket_segmentation": ("nuclei_masks", "brain_tissue", "stamp_masks", "stamps_on_surfaces"),
    "decathlon": DECATHLON,
}
