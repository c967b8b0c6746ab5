"""A drop-in sbatch that queues calls, and a flush that submits them as job arrays."""

__version__ = "1.0.0"
__released__ = "2026-11-26"
