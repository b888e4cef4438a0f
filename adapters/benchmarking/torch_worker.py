"""Serves the PyTorch side, or says that this Python has no PyTorch."""

from adapters.benchmarking import worker


def main() -> None:
    """Runs until standard input ends."""
    try:
        from adapters.benchmarking import torch_peer
    except ImportError as error:
        worker.announce_missing(str(error))
        return
    worker.serve(torch_peer.NAME, torch_peer.prepare)


if __name__ == "__main__":
    main()
