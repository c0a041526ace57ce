"""Trains twice, by a loop in a module beside it, after work in a process that multiprocessing
spawns.
"""

import multiprocessing


def doubled(number):
    return 2.0 * number


def main():
    from two_trainings_loop import train

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        targets = pool.map(doubled, range(6))
    for rate in (0.1, 0.2):
        train(targets, rate)


if __name__ == "__main__":
    main()
