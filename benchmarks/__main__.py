"""Command line of the benchmarks: ``python -m benchmarks --help``."""

import argparse

from . import competitors, data, report, suites


def main(arguments=None):
    """Run the selected benchmarks and print their markdown."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.list:
        print(_listing())
        return
    names = chosen.only or tuple(suites.NAMES)
    print(report.machine() + "\n")
    for name in names:
        suite = suites.get(name)
        used = _selected(suite, chosen.data)
        if suite.DATA and not used:
            report.note(f"{name}: skipped, it has none of --data {','.join(chosen.data)}")
            continue
        print(f"## {name}\n\n{suite.__doc__.strip()}\n", flush=True)
        for block in suite.run(
            data_names=used,
            competitor_names=chosen.competitors,
            repeats=chosen.repeats or suite.REPEATS,
        ):
            print(block + "\n", flush=True)


def _parser():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--list", action="store_true", help="name all that can be selected")
    parser.add_argument("--only", type=_names_from(suites.NAMES, "benchmark"), metavar="NAME[,NAME]")
    parser.add_argument("--data", type=_names_from(data.NAMES, "data set"), metavar="NAME[,NAME]")
    parser.add_argument(
        "--competitors",
        type=_names_from(competitors.NAMES, "competitor"),
        metavar="NAME[,NAME]",
        help="estimators to compare, instead of those that a benchmark has by default",
    )
    parser.add_argument("--repeats", type=_positive, metavar="N", help="runs behind each median")
    return parser


def _names_from(known, kind):
    """An argparse type: comma-separated names, all of them known."""

    def parse(text):
        names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            what = f"unknown {kind} {', '.join(unknown)}" if unknown else f"no {kind} named"
            raise argparse.ArgumentTypeError(f"{what}; choose from {', '.join(known)}")
        return names

    return parse


def _positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, got {text!r}")
    return int(text)


def _selected(suite, wanted):
    if wanted is None:
        return suite.DATA
    return tuple(name for name in (*suite.DATA, *getattr(suite, "ON_REQUEST", ())) if name in wanted)


def _listing():
    lines = ["benchmarks:"]
    lines += [f"  {name:26s}{suites.get(name).__doc__.splitlines()[0]}" for name in suites.NAMES]
    lines += ["data sets:"]
    lines += [f"  {name:26s}{data.describe(name)}" for name in data.NAMES]
    lines += ["competitors:"]
    lines += [f"  {name:26s}{competitors.get(name).label}" for name in competitors.NAMES]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
