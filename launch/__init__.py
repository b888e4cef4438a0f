"""The commands: one thin module per verb."""

import adapters

if getattr(adapters, "MARK", None) != "modelpatch":
    raise ImportError(
        f"the package `adapters` found at {list(adapters.__path__)} is not modelpatch's: another "
        "distribution with the same import name is installed here. Use a fresh virtual "
        "environment, or `pip uninstall adapters` and install modelpatch again."
    )
