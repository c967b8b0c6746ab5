"""
#SBATCH lines of a script, by Slurm's own rules (`_opt_batch_script` and `_get_next_opt`, tried on 22.05).

Hot path. What differs between versions, or what sbatch refuses, is a HandOver.
"""

from sbatch_shim.errors import HandOver

MAGIC = b"#SBATCH"
# Read by sbatch too, unless --ignore-pbs, and they override #SBATCH; #SLURM lines make it complain.
FOREIGN = (b"#PBS", b"#BSUB", b"#SLURM")


def words_of(line: bytes) -> "list[bytes]":
    """
    Split what follows #SBATCH into words: quotes of both kinds group and a bare # ends the line.

    A backslash and an empty word ("") are left to the real sbatch: Slurm 24.05 changed what the first means,
    and the second swallows the rest of its line.
    """
    for odd in (b"\\", b"\r", b"\v", b"\f"):
        if odd in line:
            raise HandOver("a backslash or control character in an #SBATCH line")
    if b'"' not in line and b"'" not in line:
        return line.partition(b"#")[0].split()
    words = []
    word = b""
    inside = False
    quote = b""
    for at in range(len(line)):
        letter = line[at : at + 1]
        if quote:
            if letter == quote:
                quote = b""
            else:
                word += letter
        elif letter in (b'"', b"'"):
            quote = letter
            inside = True
        elif letter in (b" ", b"\t"):
            if inside:
                words.append(word)
            word, inside = b"", False
        elif letter == b"#":
            break
        else:
            word += letter
            inside = True
    if quote:
        raise HandOver("an open quote in an #SBATCH line")
    if inside:
        words.append(word)
    if b"" in words:
        raise HandOver("an empty word in an #SBATCH line")
    return words


def directive_words(script: bytes, *, ignore_pbs: bool) -> "list[bytes]":
    """
    All words of all #SBATCH lines: Slurm reads them as one command line.

    Reading stops at the first line that is neither blank nor a comment.
    """
    if not ignore_pbs or b"#SLURM" in script:
        for magic in FOREIGN:
            if magic in script and (script.startswith(magic) or b"\n" + magic in script):
                raise HandOver("%s lines" % magic.decode())
    words = []  # type: list[bytes]
    start = 0
    size = len(script)
    while start < size:
        end = script.find(b"\n", start)
        if end < 0:
            end = size
        line = script[start:end]
        start = end + 1
        if line[:7] == MAGIC:
            words += words_of(line[7:])
            continue
        bare = line.lstrip()
        if bare and bare[:1] != b"#":
            break
    for word in words:
        if word[:1] == b":" or word in (b"--", b"hetjob", b"packjob"):
            raise HandOver("a heterogeneous job")
    return words
