# The entry points of a developer; tests/run says what each part needs.
.PHONY: lint format unit slurm test bench clean

lint:            ## ruff, mypy, shellcheck
	tests/run lint
format:          ## put the code into ruff's form
	.venv/bin/ruff format sbatch_shim tests bench docs
	.venv/bin/ruff check --fix sbatch_shim tests bench docs
unit:            ## tests that need no Slurm
	tests/run unit
slurm:           ## tests on a real Slurm (root on Debian)
	tests/run slurm
test:            ## all that CI runs
	tests/run
bench:           ## ratios against direct submission (root on Debian)
	bench/run
clean:
	rm -rf .venv .coverage* .pytest_cache .mypy_cache .ruff_cache build *.egg-info
