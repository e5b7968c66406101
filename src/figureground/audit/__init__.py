"""Room 2, tests: what a model does with the data. Explains, measures, intervenes, judges."""

if __name__ == "audit":
    raise ImportError(
        "this is figureground's own folder, found because the working directory is on sys.path; "
        "import it as `figureground.audit`, or run `python -P` to get another package named `audit`"
    )
