"""``python -m sklearn_lossopt``: a demonstration on scikit-learn's digits, or a run on your own data.

``--data FILE`` tunes both estimators on a file of your own, reports and saves the better one
(`_own_data`). Without it, the digits take its place (`_demo`).
"""

import argparse
from pathlib import Path

OWN_DATA = ("target", "test", "save", "force", "impute", "max_features")  # only with --data
MAX_FEATURES = 10**7


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m sklearn_lossopt",
        description="Tune both estimators on a file of your own (--data) or on scikit-learn's digits, and "
        "print them beside scikit-learn's.",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="save the loss curves as a picture")
    parser.add_argument("--seed", type=int, default=0, help="of split, folds and fits (default: 0)")
    parser.add_argument("--quick", action="store_true", help="search a smaller grid")
    own = parser.add_argument_group("your own data")
    own.add_argument(
        "--data", type=Path, metavar="FILE", help=".csv, .parquet, .npz, .svmlight, .libsvm or .svm"
    )
    own.add_argument(
        "--target",
        metavar="NAME",
        help="column of the labels (default: one named target, label, class or y, else the last), or "
        "array of an .npz (default: y)",
    )
    own.add_argument("--test", type=Path, metavar="FILE", help="test rows (default: a quarter of the rows)")
    own.add_argument("--save", type=Path, metavar="MODEL", help="save the better pipeline by joblib")
    own.add_argument("--force", action="store_true", help="let --save and --out overwrite files")
    own.add_argument("--impute", action="store_true", help="fill in missing values, inside the pipeline")
    own.add_argument(
        "--max-features",
        type=int,
        metavar="N",
        help=f"refuse sparse files with more features (default: {MAX_FEATURES})",
    )
    return parser


def main(argv=None):
    """Run; SystemExit with code 2 where an option, a file or the data cannot be used."""
    parser = _parser()
    options = parser.parse_args(argv)
    if not 0 <= options.seed < 2**32:
        parser.error("--seed must be in [0, 2**32)")
    if options.max_features is not None and options.max_features < 1:
        parser.error("--max-features must be at least 1")
    if options.data is None:
        alone = [f"--{name.replace('_', '-')}" for name in OWN_DATA if getattr(options, name)]
        if alone:
            parser.error(f"{', '.join(alone)}: only with --data FILE")
        from ._demo import run
    else:
        if options.max_features is None:
            options.max_features = MAX_FEATURES
        from ._own_data.run import run
    run(options)


if __name__ == "__main__":
    main()
