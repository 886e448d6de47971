"""clipon beside other CPU runtimes on the same weights and inputs; bench/compare.py is the program."""
