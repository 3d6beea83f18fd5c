"""Every family of transformers, scored every way and held to a plain forward of its own processor's output.

`make families` measures all of them and writes `docs/families.md`; `make test` a tenth of them, another one every day.
"""
