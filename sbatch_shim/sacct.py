from sbatch_shim.companion import Context


def main(context: Context) -> int:
    return context.become(context.words)
