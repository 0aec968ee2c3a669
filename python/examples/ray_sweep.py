"""A sweep on the machines of a Ray cluster, a shard each, into folders of their own that are merged in the end.

    pip install ray ./python
    python python/examples/ray_sweep.py configs/sweeps/l1-study.toml /shared/l1-study --shards 16

Run again after a failure: points that are stored are kept.
"""

import argparse
import pathlib

import phantom_gpu
import ray


@ray.remote(num_cpus=1, max_retries=3)
def shard(file, folder, at, of):
    """Runs the points of a shard on the machine that Ray gives it."""
    phantom_gpu.sweep(file, folder, shard=f"{at}/{of}", jobs=1)
    return folder


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("file", type=pathlib.Path)
    words.add_argument("output", type=pathlib.Path, help="a folder that all machines see")
    words.add_argument("--shards", type=int, default=4)
    asked = words.parse_args()
    ray.init()
    file, output = asked.file.resolve(), asked.output.resolve()
    parts = [(output / f"shard-{at}", at) for at in range(asked.shards)]
    for folder, _ in parts:
        folder.parent.mkdir(parents=True, exist_ok=True)
    done = ray.get([shard.remote(file, folder, at, asked.shards) for folder, at in parts])
    study = phantom_gpu.merge(*done, output=output / "all")
    print(study.csv, len(study.rows()), "points")


if __name__ == "__main__":
    main()
