"""What a layer table's name says behind it: a denser last map, a neck.

`TABLE+stride_16`, `TABLE+NECK` or `TABLE+stride_16+NECK`. A denser map needs no other weights, so a
backbone has one fingerprint whatever its output stride.
"""

import dataclasses

from adapters.backbones.necks import NECKS, SEPARATOR, with_neck
from adapters.backbones.output_stride import OUTPUT_STRIDES, with_output_stride
from adapters.backbones.table import LayerTable
from adapters.errors import ModelPatchError, UnknownNameError

DENSER = {f"stride_{stride}": stride for stride in OUTPUT_STRIDES}


class FormError(ModelPatchError):
    """A backbone's name that asks for two necks, or for a denser map of one that has its neck."""


def with_forms(table: LayerTable, forms: str) -> LayerTable:
    """The table in the forms that `forms` names, in this order, joined by `+`; "" changes nothing.

    Raises UnknownNameError, FormError, and as `with_output_stride` and the necks do.

    >>> from adapters.backbones.mobilenet_v2 import mobilenet_v2
    >>> with_forms(mobilenet_v2(), "stride_16+lraspp").name
    'mobilenet_v2_1.0+stride_16+lraspp'
    """
    for form in filter(None, forms.split(SEPARATOR)):
        if form not in DENSER and form not in NECKS:
            raise UnknownNameError("neck", form, [*NECKS, *DENSER])
        if table.neck:
            raise FormError(
                f"{table.name}{SEPARATOR}{form}: a backbone has one neck, and its output stride "
                f"stands before it, as in {SEPARATOR.join(('NAME', 'stride_16', 'lraspp'))}."
            )
        if form in NECKS:
            table = with_neck(table, form)
        else:
            denser = with_output_stride(table, DENSER[form])
            table = dataclasses.replace(denser, name=f"{table.name}{SEPARATOR}{form}")
    return table
