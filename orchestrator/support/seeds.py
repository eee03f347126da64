"""Every random stream of a study hangs on one seed: streams are named, never counted."""

import hashlib


def derive(seed: int, *names: str | int) -> int:
    """The seed of the stream that `names` name, in [0, 2^31): `derive(7, "trial", 12)`.

    A hash, so that neighbouring seeds and names give unrelated streams, on every machine and in every version.
    31 bits, because numpy, torch and Optuna all take them.
    """
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") & 0x7FFF_FFFF
