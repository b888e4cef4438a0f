"""Errors of the library that another command, or a flag of one, mends: which, in words.

By the names of their types, so that no command loads what it does not use.
"""

REMEDIES = {
    "AskedServerError": "launch/serve out/*.patch starts one.",
    "ConverterError": "launch/export installs what it needs, where that is made for.",
    "GraphError": "launch/export --backbone=NAME writes one.",
    "GraphFileError": "launch/export --backbone=NAME --out=FILE.tflite writes one.",
    "KeyFileError": "launch/sign --new_key=PATH makes a pair of keys.",
    "LatencyError": "launch/benchmark --works=routes --backbones={table} --sizes={size} "
    "--batches={examples} --threads={threads} --out=FILE.csv --picture=FILE.png measures them; "
    "with --works=widths those of --space=widths.",
    "LooksFirstError": "launch/export --patch=FILE makes the task's own graph; launch/evaluate and "
    "launch/preview run it in JAX.",
    "MissingFileError": "launch/train writes TASK.patch.",
    "OtherSizeError": "launch/export takes --sizes=SIZE,SIZE.",
    "RuntimeNeededError": "npm ci --prefix javascript/browser brings it.",
    "TaskNeededError": "It is --task={task}.py, say, or --task=folder:PATH.",
    "TeacherError": "launch/train --out=FOLDER makes one.",
    "UnreadableFolderError": "tfds build NAME --file_format=array_record prepares one.",
    "UnsignedFolderError": "launch/sign FOLDER --key=KEY signs it.",
    "UnsignedError": "launch/sign FILE --key=KEY signs it.",
    "UnsupportedPatchError": "launch/export --patch=FILE makes a graph for one task alone; with "
    "--depthwise, --classes=N and --heads_of=FILE a backbone's graph takes more.",
    "WeightsNeedConvertingError": "launch/convert FILE --backbone=TABLE --conventions=... "
    "--out=... writes one; --entry=... chooses of several.",
}


def remedies(error: Exception) -> list[str]:
    """What `REMEDIES` says of an error of this type, or of the nearest it derives from.

    In braces stand attributes of the error.
    """
    names = [kind.__name__ for kind in type(error).__mro__ if kind.__name__ in REMEDIES]
    return [REMEDIES[name].format_map(vars(error)) for name in names[:1]]
