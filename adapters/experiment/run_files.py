"""What files of a run are called, for who only reads them: its settings, and its figures."""

RUN, RESULTS = "run.json", "results.csv"
