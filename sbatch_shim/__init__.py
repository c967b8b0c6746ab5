"""A drop-in sbatch that queues calls, and a flush that submits them as job arrays."""

__version__ = "1.0.0"
