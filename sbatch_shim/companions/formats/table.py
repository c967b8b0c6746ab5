"""
sacct's columns and rows.

The width of a column is kept with its name, so that hidden columns cannot have widths of their own: rows come in the
parsable form, and the real header, with the line of dashes below it, says how wide each column is and on which side
it is justified.
"""

from __future__ import annotations

import os

from sbatch_shim.companions.formats.separators import FIELD
from sbatch_shim.companions.options import Unseparable
from sbatch_shim.state.ids import JobId
from sbatch_shim.state.plain import dataclass

DEFAULT = "jobid,jobname,partition,account,alloccpus,state,exitcode"
BRIEF = "jobid,state,exitcode"
LONG = (
    "jobid,jobidraw,jobname,partition,maxvmsize,maxvmsizenode,maxvmsizetask,avevmsize,maxrss,maxrssnode,maxrsstask,"
    "averss,maxpages,maxpagesnode,maxpagestask,avepages,mincpu,mincpunode,mincputask,avecpu,ntasks,alloccpus,elapsed,"
    "state,exitcode,avecpufreq,reqcpufreqmin,reqcpufreqmax,reqcpufreqgov,reqmem,consumedenergy,maxdiskread,"
    "maxdiskreadnode,maxdiskreadtask,avediskread,maxdiskwrite,maxdiskwritenode,maxdiskwritetask,avediskwrite,reqtres,"
    "alloctres,tresusageinave,tresusageinmax,tresusageinmaxn,tresusageinmaxt,tresusageinmin,tresusageinminn,"
    "tresusageinmint,tresusageintot,tresusageoutmax,tresusageoutmaxn,tresusageoutmaxt,tresusageoutave,tresusageouttot"
)
# Columns that we write.
OWN_COLUMNS = ("jobid", "jobidraw", "jobname", "comment", "workdir", "submitline", "stdout", "stderr", "stdin")
HIDDEN = "JobID,JobIDRaw,JobName,Cluster,SubmitLine"
# Behind the caller's: it holds no line end, so that a record ends with a line.
LAST = "JobIDRaw"


@dataclass
class Column:
    """
    A column of the caller's.

    Attributes:
        name: In lower case; one of OWN_COLUMNS where it is a beginning of one.
        left: Left-justified.
    """

    name: str
    left: bool


def columns_of(form: str) -> list[Column]:
    """The columns of --format."""
    found = []
    for token in form.split(","):
        name, percent, width = token.strip().lower().partition("%")
        if not name:
            continue
        for whole in OWN_COLUMNS:
            if whole.startswith(name) and len(name) > 1:
                name = "submit" if whole == "submitline" and "submit".startswith(name) else whole
                break
        if name == "j":
            name = "jobid"
        left = width.startswith("-") if percent else name in ("jobid", "jobidraw")
        found.append(Column(name, left))
    return found


@dataclass
class Row:
    """
    A row of sacct.

    Attributes:
        printed: Its id; id: the same taken apart, None for a job of another kind.
        raw_job: The job id of this very task.
        submitted: The words of the job's sbatch; of a step maybe none.
        texts: The caller's columns as printed.
    """

    printed: str
    id: JobId | None
    raw_job: str
    name: str
    cluster: str
    submitted: str
    texts: list[bytes]

    @property
    def is_step(self) -> bool:
        return "." in self.printed


class Output:
    """
    sacct's rows taken apart, and how to print them.

    Args:
        out: From `--parsable2` with our separator, the hidden columns first, and LAST.
        header: What the real sacct prints for the caller's own format and no job: its titles, and for a table the
            dashes that tell each column's width.
    """

    def __init__(self, out: bytes, header: bytes, columns: list[Column], *, parsable: bool) -> None:
        self.columns = columns
        self.parsable = parsable
        self.header = header
        self.widths: list[int] = []
        if not parsable:
            titles, dashes = header.split(b"\n")[:2]
            at = 0
            for column, part in zip(columns, dashes.split()):
                self.widths.append(len(part))
                title = titles[at : at + len(part)]
                column.left = title[:1] != b" " and title[-1:] == b" "
                at += len(part) + 1
        self.rows: list[Row] = []
        wanted = HIDDEN.count(",") + 1 + len(columns) + 1
        record: list[bytes] = []
        for line in out.split(b"\n")[:-1]:
            # A submit line, or a comment, may hold line ends.
            record.append(line)
            parts = b"\n".join(record).split(os.fsencode(FIELD))
            if len(parts) < wanted:
                continue
            if len(parts) > wanted:
                raise Unseparable("sacct printed a row of other fields than it was asked for")
            record = []
            job, raw, name, cluster, submitted = (os.fsdecode(part) for part in parts[:5])
            raw_job = raw.partition(".")[0]
            self.rows.append(Row(job, JobId.printed(job), raw_job, name, cluster, submitted, parts[5:-1]))
        if record:
            raise Unseparable("a row is not whole")

    def line(self, texts: list[bytes], delimiter: bytes, *, ends: bool) -> bytes:
        """A row as sacct prints it."""
        if self.parsable:
            return delimiter.join(texts) + delimiter * ends + b"\n"
        return b"".join(self.cell(at, text) for at, text in enumerate(texts)) + b"\n"

    def cell(self, at: int, text: bytes) -> bytes:
        width = self.widths[at]
        if len(text) > width:
            text = text[: width - 1] + b"+"
        if self.columns[at].left:
            return text.ljust(width) + b" "
        return text.rjust(width) + b" "
