"""What the controller and the site allow."""

from __future__ import annotations

from sbatch_shim.state.plain import dataclass, replace


@dataclass(frozen=True)
class Limits:
    """
    What the controller allows, and how many tasks of an array the site lets run at a time.

    Attributes:
        array_size: Largest index + 1 (MaxArraySize - 1 is the largest index).
        script_bytes: Largest batch script (max_script_size).
        launch_sets_name: Slurm 24.11 or newer: SLURM_JOB_NAME is written at launch.
        makes_log_folders: Slurm 23.02 or newer: missing folders of a log are created.
        lookahead: How many elements of an array that waits with aftercorr slurmctld looks at together
            (correspond_after_task_cnt).
        last_lane_waits: Slurm 25.05 or newer: the last waiting element of an array with aftercorr waits for all of the
            other array, not for its own element alone (tried on 26.05; 24.11 looks at it by itself).
        reads_comments: Something of the site's own gets each job's comment when it is submitted or started, and may
            act on it: a job_submit or cli_filter plugin, a prolog, an epilog.
        judged_by_site: job_submit plugins judge each submission, by rules of the site's own.
        kills_impossible: Jobs whose dependency cannot be met any more are cancelled, unless they ask not to be
            (kill_invalid_depend).
        propagates_nice: Jobs run with the nice value of their submission (PropagatePrioProcess).
        site_changes_environment: A TaskProlog or plugins see what sbatch sends with a job, and may change it.
        appends_to_logs: Logs are appended to unless the job says otherwise (JobFileAppend).
        stores_scripts: The accounting keeps batch scripts, and no environments (AccountingStoreFlags).
        time_format: How the node's own lines in a job's stderr begin since Slurm 25.05, in words of strftime and `@ms`
            for a point and the milliseconds; empty before, where they begin with the node's name.
        spares: Arrays of several calls get a spare (submission.spare_of).
        usual_throttle, most_at_once: Tasks of an array at a time, where nobody says how many, and whatever anybody
            says (state/settings.py); 0 for no limit.
    """

    array_size: int = 1001
    script_bytes: int = 4194304
    launch_sets_name: bool = False
    makes_log_folders: bool = False
    lookahead: int = 10
    last_lane_waits: bool = False
    kills_impossible: bool = False
    propagates_nice: bool = False
    site_changes_environment: bool = False
    stores_scripts: bool = False
    reads_comments: bool = False
    judged_by_site: bool = False
    time_format: str = ""
    appends_to_logs: bool = False
    spares: bool = False
    usual_throttle: int = 0
    most_at_once: int = 0

    @property
    def indices(self) -> int:
        """How many indices the calls of one array can have, so that one is left for its spare."""
        return max(1, self.array_size - self.spares)

    def throttle(self, asked: int | None, own: int) -> int:
        """
        How many tasks of an array may run at a time; 0 for no limit.

        The user's wish goes before what the call says, and that before what is usual at the site. Nobody gets more
        than the site's most.

        Args:
            asked: What the user wants of all arrays (0: no limit), or None.
            own: What the call says, 0 for nothing.
        """
        limit = asked
        if limit is None:
            limit = own or self.usual_throttle
        if not limit:
            return self.most_at_once
        if not self.most_at_once:
            return limit
        return min(limit, self.most_at_once)

    def narrowed(self, other: Limits | None) -> Limits:
        """What this and another controller allow, for a plan that serves both."""
        if other is None:
            return self
        return replace(
            self,
            array_size=min(self.array_size, other.array_size),
            script_bytes=min(self.script_bytes, other.script_bytes),
            lookahead=min(self.lookahead, other.lookahead),
            last_lane_waits=self.last_lane_waits or other.last_lane_waits,
            kills_impossible=self.kills_impossible or other.kills_impossible,
            site_changes_environment=self.site_changes_environment or other.site_changes_environment,
            stores_scripts=self.stores_scripts or other.stores_scripts,
            propagates_nice=self.propagates_nice or other.propagates_nice,
            reads_comments=self.reads_comments or other.reads_comments,
            appends_to_logs=self.appends_to_logs or other.appends_to_logs,
            judged_by_site=self.judged_by_site or other.judged_by_site,
            spares=self.spares or other.spares,
        )
